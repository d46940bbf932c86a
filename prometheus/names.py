"""What the metrics are called in Prometheus: a name or label that does not exist is an error here.

The application's names come from `otel_chat._telemetry.instruments`; those of the analytics
server, of the collector and of Prometheus itself stand here, and tests compare them with what
these servers tell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from otel_chat import semconv as sc
from otel_chat._telemetry.instruments import BY_NAME, Instrument, Kind

SERVICE: Final = "service_name"
ENVIRONMENT: Final = "deployment_environment_name"
INSTANCE: Final = "service_instance_id"
RESOURCE: Final = (SERVICE, ENVIRONMENT, INSTANCE)
"""Resource attributes that prometheus.yml promotes to labels, as far as the rules use them."""
_SUFFIX: Final = {"s": "_seconds", "By": "_bytes"}


class UnknownNameError(Exception):
    """A rule names a metric, label or bound that nobody sends."""


def label(attribute: str) -> str:
    """An attribute's label.

    Example:
        >>> label("gen_ai.agent.name")
        'gen_ai_agent_name'
    """
    return attribute.replace(".", "_")


AGENT: Final = label(sc.AGENT_NAME)
MODEL: Final = label(sc.REQUEST_MODEL)


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric, or a part of it, as a selector.

    Args:
        name: The name in Prometheus.
        labels: The labels that its series carry.
        matchers: What is selected of it.
        bounds: The `le` of its buckets.
        former: The same by the name that senders of before know, who may send both.
    """

    name: str
    labels: frozenset[str]
    matchers: tuple[str, ...] = ()
    bounds: tuple[str, ...] = ()
    former: Metric | None = None

    def __str__(self) -> str:
        return f"{self.name}{{{','.join(self.matchers)}}}" if self.matchers else self.name

    def require(self, labels: Sequence[str]) -> None:
        """Sees that the series carry these labels.

        Raises:
            UnknownNameError: they do not.
        """
        if missing := [one for one in labels if one not in self.labels]:
            raise UnknownNameError(f"{self.name} has no label {', '.join(missing)}.")

    def where(self, name: str, value: str, operator: str = "=") -> Metric:
        """The series with a label of this value.

        Raises:
            UnknownNameError: the series carry no such label.
        """
        self.require([name])
        former = self.former.where(name, value, operator) if self.former else None
        matchers = (*self.matchers, f'{name}{operator}"{value}"')
        return replace(self, matchers=matchers, former=former)

    def over(self, function: str, window: str) -> str:
        """A function of each series over a time; of a series sent by both names, of the present.

        Args:
            function: Such as `rate`.
            window: The time with its brackets, and what follows them.

        Example:
            >>> histogram("gen_ai.execute_tool.duration", "count").over("rate", "[5m]")
            'rate(gen_ai_execute_tool_duration_seconds_count[5m])'
        """
        present = f"{function}({self}{window})"
        if self.former is None:
            return present
        # Label by label: what one sender sends by both names is left out of what others send
        return f"{present} or {self.former.over(function, window)}"

    def at_most(self, bound: float) -> Metric:
        """The bucket of a histogram up to a bound.

        Raises:
            UnknownNameError: it is not one of the histogram's bounds.
        """
        text = f"{bound:g}"
        if text not in self.bounds:
            raise UnknownNameError(f"{text} is no bound of {self.name}; {', '.join(self.bounds)}.")
        # "5" where it came over OTLP, "5.0" where Prometheus fetched it
        whole = float(bound).is_integer()
        return self.where("le", f"{text}|{text}.0", "=~") if whole else self.where("le", text)


def _labels(line: Instrument) -> frozenset[str]:
    return frozenset({*map(label, line.attributes), *RESOURCE})


def _name(line: Instrument) -> str:
    return label(line.name) + _SUFFIX.get(line.unit, "")


def _line(name: str, *kinds: Kind) -> Instrument:
    line = BY_NAME.get(name)
    if line is None or line.kind not in kinds:
        raise UnknownNameError(f"No {' or '.join(kind.value for kind in kinds)} is named {name}.")
    return line


def counter(name: str) -> Metric:
    """A counter of the table of instruments.

    Example:
        >>> str(counter("otel_chat.handoffs"))
        'otel_chat_handoffs_total'
    """
    line = _line(name, Kind.COUNTER, Kind.OBSERVABLE_COUNTER)
    return Metric(f"{_name(line)}_total", _labels(line))


def gauge(name: str) -> Metric:
    """A gauge or up-down counter of the table of instruments; both are gauges in Prometheus."""
    line = _line(name, Kind.UP_DOWN, Kind.GAUGE)
    return Metric(_name(line), _labels(line))


def histogram(name: str, part: str) -> Metric:
    """A part of a histogram of the table of instruments.

    Args:
        name: The instrument's.
        part: `count`, `sum` or `bucket`.

    Example:
        >>> str(histogram("otel_chat.turn.duration", "bucket").at_most(5))
        'otel_chat_turn_duration_seconds_bucket{le=~"5|5.0"}'
    """
    line = _line(name, Kind.HISTOGRAM)
    if part not in {"count", "sum", "bucket"}:
        raise UnknownNameError(f"A histogram has no part {part}.")
    labels = _labels(line)
    bounds: tuple[str, ...] = ()
    if part == "bucket":
        labels |= {"le"}
        bounds = tuple(f"{bound:g}" for bound in line.bounds or ())
    former = histogram(line.former, part) if line.former else None
    return Metric(f"{_name(line)}_{part}", labels, bounds=bounds, former=former)


_PLACE: Final = ("agent", "channel", "window")
_BUDGET: Final = ("budget", "period", "agent", "tenant")
_TARGET: Final = ("job", "instance")
SIGNALS: Final = ("spans", "log_records", "metric_points")

SERVER: Final[Mapping[str, tuple[str, ...]]] = {
    "otel_chat_containment_ratio": _PLACE,
    "otel_chat_abandonment_ratio": _PLACE,
    "otel_chat_resolution_ratio": (*_PLACE, "bound"),
    "otel_chat_csat_ratio": _PLACE,
    "otel_chat_ratings": _PLACE,
    "otel_chat_cost_usd": _PLACE,
    "otel_chat_conversations_settled": (*_PLACE, "outcome"),
    "otel_chat_budget_usd": _BUDGET,
    "otel_chat_budget_spent_usd": _BUDGET,
    "otel_chat_day_changed": ("agent", "figure", "direction"),
    "otel_chat_day_change_ratio": ("agent", "figure"),
    "otel_chat_server_ingest_failed_inserts_total": (),
    "otel_chat_server_gauge_failures_total": (),
    "otel_chat_server_gauges_timestamp_seconds": (),
}
"""What the analytics server tells, as far as the rules use it."""

COLLECTOR: Final[Mapping[str, tuple[str, ...]]] = {
    **{f"otelcol_receiver_refused_{signal}": ("receiver", "transport") for signal in SIGNALS},
    **{f"otelcol_exporter_sent_{signal}": ("exporter",) for signal in SIGNALS},
    **{f"otelcol_exporter_send_failed_{signal}": ("exporter",) for signal in SIGNALS},
    **{f"otelcol_exporter_enqueue_failed_{signal}": ("exporter",) for signal in SIGNALS},
    "otelcol_exporter_queue_size": ("exporter", "data_type"),
    "otelcol_exporter_queue_capacity": ("exporter", "data_type"),
    "otelcol_processor_tail_sampling_sampling_trace_dropped_too_early": (),
    "otelcol_processor_filter_datapoints_filtered": ("filter",),
}
"""What the collector tells, as far as the rules use it."""

PROMETHEUS: Final[Mapping[str, tuple[str, ...]]] = {
    "up": (),
    "prometheus_rule_evaluation_failures_total": ("rule_group",),
    "prometheus_notifications_dropped_total": (),
    "prometheus_notifications_alertmanagers_discovered": (),
    "alertmanager_notifications_failed_total": ("integration",),
}
"""What Prometheus and Alertmanager tell of themselves, as far as the rules use it."""

TEMPO: Final[Mapping[str, tuple[str, ...]]] = {
    "tempo_discarded_spans_total": ("reason", "tenant"),
    "tempo_distributor_attributes_truncated_total": ("scope", "tenant"),
}
"""What Tempo tells, as far as the rules use it; by its documentation, no test runs it."""


def scraped(name: str) -> Metric:
    """A metric of the analytics server, the collector, Prometheus or Tempo.

    Raises:
        UnknownNameError: none of them has it.
    """
    for table in (SERVER, COLLECTOR, PROMETHEUS, TEMPO):
        if name in table:
            return Metric(name, frozenset({*table[name], *_TARGET}))
    raise UnknownNameError(f"No server tells {name}.")
