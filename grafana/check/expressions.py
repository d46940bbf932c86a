"""What a PromQL expression names, and what is wrong with how it looks at time."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

from grafana import names
from otel_chat._telemetry.instruments import TABLE, Kind
from prometheus import names as rules

_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*"')
_GROUPING: Final = re.compile(
    r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^()]*)\)", re.IGNORECASE
)
_SELECTOR: Final = re.compile(r"([a-zA-Z_:][\w:]*)?\s*\{([^{}]*)\}")
_MATCHER: Final = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")
_WINDOW: Final = re.compile(r"\[([^\]]*)\](?:\s*(anchored|smoothed))?")
_WORD: Final = re.compile(r"(?<![\w$.])[a-zA-Z_:][\w:]*")
_CALL: Final = re.compile(r"\b(rate|irate|increase|delta|last_over_time)\s*\(")
_VARIABLE: Final = re.compile(r"\$\{?(\w+)")
_WORDS: Final = frozenset(
    {
        *("and", "or", "unless", "bool", "by", "without", "on", "ignoring", "offset"),
        *("group_left", "group_right", "anchored", "smoothed"),
        *("sum", "count", "max", "min", "avg", "topk", "bottomk", "stddev", "quantile"),
        *("rate", "irate", "increase", "delta", "last_over_time", "histogram_quantile"),
        *(
            "sort",
            "sort_desc",
            "label_replace",
            "label_join",
            "vector",
            "time",
            "abs",
            "clamp_min",
            "clamp_max",
        ),
    }
)
_GAUGES: Final = {Kind.UP_DOWN, Kind.GAUGE}
_PARTS: Final = ("bucket", "count", "sum")
_IN_PROMETHEUS: Final = frozenset(
    {"le", "job", "instance", "__name__", "service_version", "service_instance_id"}
)


@cache
def known() -> Mapping[str, frozenset[str]]:
    """Every metric that there is, and its labels."""
    found: dict[str, frozenset[str]] = {}
    for line in TABLE:
        metrics = (
            [rules.histogram(line.name, part) for part in _PARTS]
            if line.kind is Kind.HISTOGRAM
            else [rules.gauge(line.name) if line.kind in _GAUGES else rules.counter(line.name)]
        )
        found.update({metric.name: metric.labels | _IN_PROMETHEUS for metric in metrics})
    for table in (names.SERVER, names.COLLECTOR, rules.SERVER, rules.COLLECTOR, rules.PROMETHEUS):
        found.update({name: names.scraped(name).labels for name in table})
    found.update({name: names.recorded(name).labels for name in names.records()})
    found.update({one.name: one.labels for one in (names.ALERTS, names.SINCE)})
    return found


@dataclass(frozen=True, slots=True)
class Expression:
    """A query of a dashboard, its variables not yet filled in.

    Args:
        text: PromQL.
    """

    text: str

    @property
    def metrics(self) -> set[str]:
        """The metrics that it names."""
        bare = _GROUPING.sub(" ", _STRING.sub('""', self.text))
        bare = re.sub(r"\{[^{}]*\}|\[[^\]]*\]|\boffset\s+\S+", " ", bare)
        return {word for word in _WORD.findall(bare) if word not in _WORDS}

    @property
    def grouped(self) -> set[str]:
        """The labels by which it groups."""
        lists = _GROUPING.findall(_STRING.sub('""', self.text))
        return {word for part in lists for word in re.findall(r"\w+", part)}

    @property
    def variables(self) -> set[str]:
        """The variables that it uses, those of time left out."""
        return {name for name in _VARIABLE.findall(self.text) if not name.startswith("__")}

    def matched(self) -> Iterator[tuple[str, set[str]]]:
        """Each selector's metric, and the labels that it matches."""
        for metric, inside in _SELECTOR.findall(_STRING.sub('""', self.text)):
            yield metric, set(_MATCHER.findall(inside))

    def wrong(self, *, instant: bool) -> Iterator[str]:
        """What is wrong with it, in words.

        Args:
            instant: Whether it is asked for one moment.
        """
        yield from self._unknown()
        yield from self._windows(instant=instant)
        if re.search(r"\bavg\b[^(]*\([^()]*(_bucket|histogram_quantile)", self.text):
            yield "averages buckets or quantiles"
        if "histogram_quantile" in self.text and "le" not in self.grouped:
            yield "takes a quantile without keeping `le`"

    def _unknown(self) -> Iterator[str]:
        there = known()
        found = self.metrics
        yield from (f"names {metric}, which nobody sends" for metric in sorted(found - set(there)))
        labels = frozenset[str]().union(*(there.get(metric, frozenset()) for metric in found))
        if found:
            for label in sorted(self.grouped - labels):
                yield f"groups by {label}, which none of its metrics has"
        for metric, matched in self.matched():
            for label in sorted(matched - there.get(metric, frozenset(matched))):
                yield f"matches {label}, which {metric} does not have"

    def _windows(self, *, instant: bool) -> Iterator[str]:
        text = _STRING.sub('""', self.text)
        for call in _CALL.finditer(text):
            window = _WINDOW.search(text, call.end())
            if window is None:
                yield f"gives {call[1]} no time"
                continue
            length, anchored = window.groups()
            if call[1] in {"rate", "irate"} and length != "$__rate_interval":
                yield f"takes a {call[1]} over {length}, not over $__rate_interval"
            if call[1] == "increase" and anchored != "anchored":
                yield "counts an increase that is not anchored: it misses the first, and guesses"
            if call[1] == "increase" and length == "$__rate_interval":
                yield "counts over $__rate_interval, which overlaps"
            if length == "$__range" and not instant:
                yield "looks at the whole time at every step"
