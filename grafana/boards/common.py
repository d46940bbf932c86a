"""What several dashboards share: where links lead, and what is good or bad."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from grafana.board import NOW, WINDOW
from grafana.names import ALERTS, SINCE
from grafana.panels import (
    BARS,
    QUIET,
    About,
    Column,
    Link,
    Placed,
    Steps,
    bad_from,
    figure,
    good_from,
    sheet,
)
from grafana.promql import Scope
from otel_chat import semconv as sc
from prometheus.names import AGENT, Metric, label
from prometheus.settings import Settings

LIST: Final = f"${{analytics}}/conversations?{NOW}"
TURNS: Final = f"${{analytics}}/turns?{NOW}"
SETTLED: Final = f"${{analytics}}/conversations?{WINDOW}&state=settled"
STARTED: Final = f"${{analytics}}/conversations?{WINDOW}"

GOALS: Final = Settings()
"""Objectives and thresholds: those of the alerts."""
CONVERSATIONS: Final = Link("Conversations", LIST)
EVERY_TURN: Final = Link("Turns", TURNS)
HANDED_OFF: Final = Link("Conversations with a handoff", f"{LIST}&handoff=true")
UNSURE: Final = Link("Unsure turns", f"{TURNS}&confidence_below={sc.LOW_CONFIDENCE_THRESHOLD}")
NOT_UNDERSTOOD: Final = Link("Turns without an intent", f"{TURNS}&fallback=true")
FAILURES: Final = Link("Failed turns", f"{TURNS}&failed=true")
LATE_TURNS: Final = Link(
    f"Turns of {GOALS.response_seconds:g} s and longer",
    f"{TURNS}&response_time_min={GOALS.response_seconds:g}",
)
DEAREST: Final = Link("Conversations, the dearest first", f"{LIST}&sort=-cost")
RATED: Final = Link("Rated conversations", f"{LIST}&rating_min=0")
CONTAINED: Final = Link("Contained conversations", f"{SETTLED}&handoff=false")
RESOLVED: Final = Link("Resolved conversations", f"{SETTLED}&outcome=resolved")
IN_TABLE: Final = "${__value.raw:percentencode}"
"""The text of a table's cell in an address: rows have lost the labels of their series."""


def of_label(name: str) -> str:
    """The value of a series' label in an address."""
    return f"${{__field.labels.{name}:percentencode}}"


OF_AGENT: Final = Link("Conversations of this agent", f"{LIST}&agent={IN_TABLE}")

SLOW: Final[Steps] = bad_from(GOALS.response_seconds * 0.6, GOALS.response_seconds)
UNSURE_TURNS: Final[Steps] = bad_from(GOALS.low_confidence * 0.6, GOALS.low_confidence)
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


def alert_list(height: int) -> Placed:
    """Which alerts fire now, with what to do.

    Args:
        height: In units of 38 pixels.
    """
    by = "alertname, severity, agent"
    firing = ALERTS.where("alertstate", "firing").where("severity", "page|ticket", "=~")
    since = SINCE.where("severity", "page|ticket", "=~")

    def of_agent(what: str) -> str:
        # Alerts of applications carry the one label, those of whole conversations the other
        return f'label_join({what}, "agent", "", "{AGENT}", "agent")'

    return sheet(
        About(
            "Alerts that fire now",
            "Each alert of severity page or ticket, the longest first. A click on its name opens"
            f" its runbook: what it means, and what to do. {QUIET}",
            "s",
        ),
        {"alertname": "Alert", "severity": "Severity", "agent": "Agent"},
        Column(
            "For",
            f"time() - min by ({by}) ({of_agent(str(since))}) and max by ({by})"
            f" ({of_agent(str(firing))})",
            "s",
            decimals=0,
        ),
        # As many as the figure says: one name may be of several tools or models
        Column("Alerts", f"count by ({by}) ({of_agent(str(firing))})", "locale", decimals=0),
        each=[Link("What to do", f"${{analytics}}/runbooks/{IN_TABLE}.md")],
        height=height,
    )


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
