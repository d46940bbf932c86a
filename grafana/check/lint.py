"""Rules for dashboards, in the manner of Grafana's dashboard linter, and some of our own."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from grafana.board import COLUMNS, INFINITY, MOST_PANELS, NOW, TAG
from grafana.check.expressions import Expression
from grafana.panels import POINTS
from grafana.sdk import JSONEncoder, models
from otel_chat import semconv

SCHEMA_VERSION: Final = 42
DATASOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
TRACES: Final = {"type": "tempo", "uid": "${tempo}"}
ANSWERS: Final = {"type": INFINITY, "uid": "${answers}"}
CONVERSATION: Final = "/d/otel-chat-conversation?"
_LEAST_WORDS: Final = 4
_LINK_LABEL: Final = re.compile(r"__field\.labels\.(\w+):percentencode")
_LEGEND: Final = re.compile(r"{{\s*(\w+)\s*}}")
_HIDDEN: Final = 2
_DIGITS: Final = 6
_MONEY: Final = "currencyUSD"
_SCALED: Final = frozenset({"short", "s", "ns", "bytes"})
UNITS: Final[Mapping[str, int]] = {
    **dict.fromkeys(_SCALED, 2),
    "percentunit": 2,
    "locale": 0,
    _MONEY: 4,
    POINTS: 1,
}
"""Grafana's names of the units that panels have, and the most digits after the point of each."""
_PLACES: Final = ("${analytics}/", CONVERSATION)
_ATTRIBUTES: Final = frozenset(value for value in vars(semconv).values() if isinstance(value, str))

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong.

    Args:
        dashboard: Its title.
        panel: The panel's title; empty for the dashboard itself.
        text: What it is.
    """

    dashboard: str
    panel: str
    text: str

    def __str__(self) -> str:
        where = f"{self.dashboard}, {self.panel}" if self.panel else self.dashboard
        return f"{where}: {self.text}"


def lint(dashboards: Sequence[Json]) -> list[Finding]:
    """All findings.

    Args:
        dashboards: The dashboards, as Grafana reads them.
    """
    found = [finding for one in dashboards for finding in _dashboard(one)]
    for key in ("uid", "title"):
        many = Counter(one.get(key) for one in dashboards)
        found += [
            Finding(str(value), "", f"{key} is not unique") for value, n in many.items() if n > 1
        ]
    return found


def _dashboard(one: Json) -> Iterator[Finding]:
    title = str(one.get("title", ""))
    for rule in (_identity, _schema, _grid, _variables, _numbers):
        yield from (Finding(title, "", text) for text in rule(one))
    for annotation in one["annotations"]["list"]:
        for text in Expression(annotation["expr"]).wrong(instant=False):
            yield Finding(title, annotation["name"], text)
    for panel in one["panels"]:
        yield from (Finding(title, str(panel.get("title", "")), text) for text in _panel(panel))


def _identity(one: Json) -> Iterator[str]:
    panels = one["panels"]
    if not re.fullmatch(rf"{TAG}-[a-z-]+", one.get("uid", "")):
        yield "has no uid of the form otel-chat-name"
    if one.get("schemaVersion") != SCHEMA_VERSION:
        yield f"is not of schemaVersion {SCHEMA_VERSION}"
    if TAG not in one.get("tags", []) or len(one.get("description", "").split()) < _LEAST_WORDS:
        yield "has no tag or no description"
    if len(panels) > MOST_PANELS:
        yield f"has more than {MOST_PANELS} panels"
    for key in ("id", "title"):
        if len({panel.get(key) for panel in panels}) != len(panels):
            yield f"has panels of the same {key}"


def _schema(one: Json) -> Iterator[str]:
    """What Grafana's schema does not know, or knows otherwise."""
    try:
        read = models.Dashboard.from_json(json.loads(json.dumps(one)))
    except (TypeError, ValueError, KeyError) as error:
        yield f"is not of Grafana's schema: {error}"
        return
    yield from lost(one, json.loads(json.dumps(read, cls=JSONEncoder)), "")


def lost(wanted: Any, there: Any, path: str) -> Iterator[str]:
    """What Grafana's model of a thing does not know, or knows otherwise.

    Args:
        wanted: The thing as it is written.
        there: The same, read by the model and written by it again.
        path: Where in the thing it is.
    """
    if isinstance(wanted, Mapping) and isinstance(there, Mapping):
        for key, value in wanted.items():
            if key in there:
                yield from lost(value, there[key], f"{path}.{key}")
            else:
                yield f"has {path}.{key}, which Grafana's schema does not know"
    elif isinstance(wanted, list) and isinstance(there, list) and len(wanted) == len(there):
        for at, (value, other) in enumerate(zip(wanted, there, strict=True)):
            yield from lost(value, other, f"{path}[{at}]")
    elif wanted != there:
        yield f"has {path} = {wanted!r}, which Grafana's schema reads as {there!r}"


def _numbers(value: Any, path: str = "") -> Iterator[str]:
    """Numbers that nobody would write."""
    if isinstance(value, Mapping):
        for key, inside in value.items():
            yield from _numbers(inside, f"{path}.{key}")
    elif isinstance(value, list):
        for at, inside in enumerate(value):
            yield from _numbers(inside, f"{path}[{at}]")
    elif isinstance(value, float) and value != float(f"{value:.{_DIGITS}g}"):
        yield f"has {path} = {value!r}, of more than {_DIGITS} digits"


def _grid(one: Json) -> Iterator[str]:
    taken: dict[tuple[int, int], str] = {}
    for panel in one["panels"]:
        at = panel["gridPos"]
        if at["x"] + at["w"] > COLUMNS:
            yield f"has {panel['title']} outside of the grid"
        for x in range(at["x"], at["x"] + at["w"]):
            for y in range(at["y"], at["y"] + at["h"]):
                if (x, y) in taken:
                    yield f"has {panel['title']} over {taken[x, y]}"
                    return
                taken[x, y] = panel["title"]


def _variables(one: Json) -> Iterator[str]:
    targets = [target for panel in one["panels"] for target in panel["targets"]]
    texts = [one.get("expr", one.get("query", one.get("url", ""))) for one in targets]
    texts += [annotation["expr"] for annotation in one["annotations"]["list"]]
    used = {name for text in texts for name in Expression(text).variables}
    offered = {}
    for variable in one["templating"]["list"]:
        offered[variable["name"]] = variable
        if variable["type"] == "query":
            inside = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["definition"])
            if inside is None:
                yield f"offers {variable['name']} by a query that is not label_values"
                continue
            asked = Expression(f"count by ({inside[2]}) ({inside[1]})")
            yield from (f"offers {variable['name']}: {text}" for text in asked.wrong(instant=True))
            if variable["datasource"] != DATASOURCE or not variable.get("includeAll"):
                yield f"offers {variable['name']} of a fixed data source, or not all of it"
    yield from (f"uses ${name}, which it does not offer" for name in sorted(used - set(offered)))
    shown = {
        n for n, v in offered.items() if v.get("hide") != _HIDDEN and v["type"] != "datasource"
    }
    for name, of_it in (("tempo", _of_traces), ("answers", _of_answers)):
        if (name in offered) != any(map(of_it, targets)):
            yield f"offers the data source {name} that no panel asks, or none that one asks"
    yield from (f"offers {name}, which no query uses" for name in sorted(shown - used))
    if next(iter(offered), None) != "datasource":
        yield "does not offer its data source first"


def _panel(panel: Json) -> Iterator[str]:
    defaults = panel["fieldConfig"]["defaults"]
    if not panel.get("title") or len(panel.get("description", "").split()) < _LEAST_WORDS:
        yield "has no title or no description"
    yield from _written(panel)
    if not defaults.get("thresholds", {}).get("steps"):
        yield "has no thresholds"
    targets = panel.get("targets", [])
    if panel.get("datasource") != _source(targets):
        yield "does not take the data source that was chosen"
    if not targets:
        yield "asks nothing"
    if len({target.get("refId") for target in targets}) != len(targets):
        yield "has queries of the same refId"
    for target in targets:
        yield from _target(target)
    quantiles = [one for one in targets if "histogram_quantile" in one.get("expr", "")]
    turns = [one for one in quantiles if "otel_chat_turn_" in one["expr"]]
    single = panel["type"] == "timeseries" and turns and all("by (le)" in q["expr"] for q in turns)
    if single and not any(one.get("exemplar") for one in targets):
        yield "shows quantiles of turns without exemplars"
    yield from _links(panel)
    windowed = any('window="$window"' in one.get("expr", "") for one in targets)
    if windowed != ("$window" in panel.get("title", "")):
        yield "does not say in its title which window its figures are of, or says one in vain"


def _written(panel: Json) -> Iterator[str]:
    """How its numbers are written: in a unit, with so many digits."""
    fields = [("", panel["fieldConfig"]["defaults"])]
    axis = panel["type"] == "timeseries"  # whose ticks tell how many digits they need
    for rule in panel["fieldConfig"]["overrides"]:
        given = {one["id"]: one.get("value") for one in rule["properties"]}
        if "unit" in given or "decimals" in given:
            fields.append((f" in {rule['matcher']['options']}", given))
    for where, given in fields:
        unit, decimals = given.get("unit"), given.get("decimals")
        if not unit:
            yield f"has no unit{where}"
        elif unit not in UNITS:
            yield f"has the unit {unit}{where}, which is none of {', '.join(sorted(UNITS))}"
        elif decimals is None and unit not in _SCALED and not (unit == _MONEY and axis):
            yield f"leaves open how many digits {unit} has{where}"
        elif decimals is not None and not 0 <= decimals <= UNITS[unit]:
            yield f"writes {unit} with {decimals} digits{where}, not with up to {UNITS[unit]}"


def _of_traces(target: Json) -> bool:
    return "query" in target


def _of_answers(target: Json) -> bool:
    return "root_selector" in target


def _source(targets: Sequence[Json]) -> Json:
    if targets and all(map(_of_traces, targets)):
        return TRACES
    return ANSWERS if targets and all(map(_of_answers, targets)) else DATASOURCE


def _target(target: Json) -> Iterator[str]:
    if target.get("datasource") != _source([target]):
        yield "has a query that does not take the data source that was chosen"
    if _of_traces(target):
        yield from _traceql(target)
        return
    if _of_answers(target):
        yield from _answer(target)
        return
    expression = Expression(target["expr"])
    yield from expression.wrong(instant=bool(target.get("instant")))
    for label in _LEGEND.findall(target.get("legendFormat", "")):
        if label not in expression.grouped:
            yield f"has a legend of {label}, by which its query does not group"


def _traceql(target: Json) -> Iterator[str]:
    """What is wrong with a query for traces, beside its grammar, which a test reads."""
    query = target.get("query", "")
    if not query or target.get("queryType") != "traceql":
        yield "asks for traces without TraceQL"
    if query.startswith("{") and target.get("tableType") != "spans":
        yield "shows traces where turns are meant"
    for name in re.findall(r"\bspan\.([\w.]+)", query):
        if name not in _ATTRIBUTES:
            yield f"names the attribute {name}, which nobody sends"


def _answer(target: Json) -> Iterator[str]:
    """What is wrong with a question to the analytics server; a test asks it."""
    if not target["url"].startswith("/api/v1/") or NOW not in target["url"]:
        yield "asks elsewhere than at /api/v1, or not about the chosen time"
    if target["url_options"].get("headers") or not target["columns"]:
        yield "has headers of its own, where a token could be, or no columns"


def _links(panel: Json) -> Iterator[str]:
    expressions = [Expression(one["expr"]) for one in panel["targets"] if "expr" in one]
    grouped = {label for one in expressions for label in one.grouped}
    links = [*panel.get("links", []), *panel["fieldConfig"]["defaults"].get("links", [])]
    for rule in panel["fieldConfig"]["overrides"]:
        links += [x for p in rule["properties"] if p["id"] == "links" for x in p["value"]]
    for link in links:
        if panel["type"] == "table" and "__field.labels" in link.get("url", ""):
            yield "has a link by labels, which the rows of a table do not have"
        if re.search(r"/(conversations|turns)\?(?!from=.*&to=|window=)", link.get("url", "")):
            yield "has a link that does not keep the time"
        if not link.get("title") or not link.get("url", "").startswith(_PLACES):
            yield "has a link without a title, or to elsewhere than the analytics server"
        for label in _LINK_LABEL.findall(link.get("url", "")):
            if label not in grouped:
                yield f"has a link with {label}, by which no query groups"
