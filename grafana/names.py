"""Names that dashboards use beside those of the rules: the server's gauges, and the variables."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Final

from otel_chat import semconv as sc
from prometheus import names
from prometheus.names import ENVIRONMENT, Metric, UnknownNameError, label

PLACE: Final = ("agent", "channel")
IN_WINDOW: Final = (*PLACE, "window")

SERVER: Final[Mapping[str, tuple[str, ...]]] = {
    "otel_chat_conversations_open": PLACE,
    "otel_chat_conversations_settled": (*IN_WINDOW, "outcome"),
    "otel_chat_containment_ratio": IN_WINDOW,
    "otel_chat_handoff_ratio": IN_WINDOW,
    "otel_chat_abandonment_ratio": IN_WINDOW,
    "otel_chat_resolution_ratio": (*IN_WINDOW, "bound"),
    "otel_chat_csat_ratio": IN_WINDOW,
    "otel_chat_engagement_score": IN_WINDOW,
    "otel_chat_savings_usd": (*IN_WINDOW, "bound"),
    "otel_chat_cost_usd": IN_WINDOW,
    "otel_chat_budget_usd": ("budget", "period", "agent", "tenant"),
    "otel_chat_budget_spent_usd": ("budget", "period", "agent", "tenant"),
    "otel_chat_drop_off_conversations": (*IN_WINDOW, "intent"),
    "otel_chat_conversations_started": IN_WINDOW,
    "otel_chat_topic_conversations": (*IN_WINDOW, "topic"),
    "otel_chat_user_type_conversations": (*IN_WINDOW, "user_type"),
    "otel_chat_sentiment_turns": (*IN_WINDOW, "sentiment"),
    "otel_chat_leads": (*IN_WINDOW, "kind"),
    "otel_chat_hour_conversations": ("agent", "hour"),
    "otel_chat_server_gauges_timestamp_seconds": (),
    "otel_chat_server_ingest_requests_total": ("signal", "status"),
    "otel_chat_server_ingest_items_total": (),
    "otel_chat_server_ingest_queue_bytes": (),
}
"""What the analytics server tells, as far as the dashboards use it."""

COLLECTOR: Final[Mapping[str, tuple[str, ...]]] = {
    **{f"otelcol_receiver_accepted_{signal}": ("receiver",) for signal in names.SIGNALS},
}
"""What the collector tells, beside what the rules use."""

_OF_ALERTS: Final = frozenset({"alertname", "severity", names.AGENT, "agent"})
ALERTS: Final = Metric("ALERTS", _OF_ALERTS | {"alertstate"})
"""The alerts of Prometheus; `alertstate` is pending or firing."""
SINCE: Final = Metric("ALERTS_FOR_STATE", _OF_ALERTS)
"""Since when each alert is pending or firing, in seconds since 1970."""
VERSION: Final = label("service.version")
"""What Prometheus is told of the process that sends, beside the labels of the rules."""

VARIABLES: Final[Mapping[str, frozenset[str]]] = {
    "environment": frozenset({ENVIRONMENT}),
    "agent": frozenset({names.AGENT, "agent"}),
    "channel": frozenset({label(sc.CHANNEL), "channel"}),
    "model": frozenset({names.MODEL}),
    "window": frozenset({"window"}),
}
"""Dashboard variables, and the labels that they choose values of."""


def scraped(name: str) -> Metric:
    """A metric of the analytics server, the collector or Prometheus itself.

    Raises:
        UnknownNameError: none of them has it.

    Example:
        >>> str(scraped("otel_chat_containment_ratio").where("window", "24h"))
        'otel_chat_containment_ratio{window="24h"}'
    """
    for table in (SERVER, COLLECTOR):
        if name in table:
            return Metric(name, frozenset({*table[name], "job", "instance"}))
    return names.scraped(name)


_LEVELS: Final = {
    "agent:": frozenset({names.SERVICE, ENVIRONMENT, names.AGENT}),
    "environment:": frozenset({ENVIRONMENT}),
}
"""Beginnings of recorded names that dashboards use, and their labels."""


@cache
def records() -> frozenset[str]:
    """The metrics that the recording rules make of each agent or environment."""
    from prometheus.generate import rules
    from prometheus.settings import Settings

    groups = rules(Settings()).record_groups().values()
    found = {str(rule["record"]) for group in groups for rule in group["rules"]}
    return frozenset(name for name in found if name.startswith(tuple(_LEVELS)))


def recorded(name: str) -> Metric:
    """A metric that the recording rules make.

    Raises:
        UnknownNameError: no rule records it.
    """
    if name not in records():
        raise UnknownNameError(f"No rule records {name}.")
    return Metric(name, _LEVELS[f"{name.partition(':')[0]}:"])


def chosen(metric: Metric, variables: tuple[str, ...]) -> Metric:
    """The series that a dashboard's variables choose, as far as the metric has their labels.

    Args:
        metric: What is shown.
        variables: The dashboard's.

    Example:
        >>> str(chosen(scraped("otel_chat_conversations_open"), ("environment", "agent")))
        'otel_chat_conversations_open{agent=~"$agent"}'
    """
    for variable in variables:
        for name in sorted(VARIABLES[variable] & metric.labels):
            equal = "=" if variable == "window" else "=~"
            metric = metric.where(name, f"${variable}", equal)
    return metric
