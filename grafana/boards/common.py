"""What several dashboards share: where links lead, and what is good or bad."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from grafana.board import NOW
from grafana.names import ALERTS
from grafana.panels import BARS, About, Link, Placed, Steps, bad_from, figure, good_from
from grafana.promql import Scope
from otel_chat import semconv as sc
from prometheus.names import AGENT, Metric, label
from prometheus.settings import Settings

LIST: Final = f"${{analytics}}/conversations?{NOW}"
CONVERSATIONS: Final = Link("Conversations", LIST)
HANDED_OFF: Final = Link("Conversations with a handoff", f"{LIST}&handoff=true")
UNSURE: Final = Link("Conversations with unsure turns", f"{LIST}&confidence_max=0.7")
OF_AGENT: Final = Link("Conversations of this agent", f"{LIST}&agent=${{__field.labels.{AGENT}}}")

GOALS: Final = Settings()
"""Objectives and thresholds: those of the alerts."""
SLOW: Final[Steps] = bad_from(GOALS.response_seconds * 0.6, GOALS.response_seconds)
FAILED: Final[Steps] = bad_from((1 - GOALS.error_target) / 2, 1 - GOALS.error_target)
GOOD_SHARE: Final[Steps] = good_from(0.5, 0.7)
ANY: Final[Steps] = bad_from(1, 1)
"""One is too many."""

RESULTS: Final = replace(BARS, colours={"ok": "green", "error": "red", "cancelled": "text"})
OUTCOMES: Final = {
    "resolved": "green",
    "handed_off": "blue",
    "abandoned": "orange",
    "failed": "red",
}


ANSWERED: Final = " (status ok: those cancelled after their first words cannot be told apart here)"


def answered(scope: Scope) -> Metric:
    """The durations of turns that were answered, as far as Prometheus knows."""
    return scope.buckets(sc.METRIC_TURN_DURATION).where(label(sc.STATUS), sc.STATUS_OK)


def each(name: str) -> str:
    """A legend that shows a label."""
    return f"{{{{{name}}}}}"


def or_zero(expression: str) -> str:
    """An amount that is 0 where nobody counts it yet."""
    return f"{expression} or vector(0)"


def firing(width: int, height: int) -> Placed:
    """How many alerts fire now.

    Args:
        width: In 24ths.
        height: In units of 38 pixels.
    """
    now = ALERTS.where("alertstate", "firing").where("severity", "page|ticket", "=~")
    return figure(
        About(
            "Firing alerts",
            "Alerts of severity page or ticket that fire now, of any agent.",
            "locale",
            bad_from(1, 3),
            0,
        ),
        or_zero(f"count({now})"),
        width=width,
        height=height,
    )
