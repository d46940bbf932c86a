"""1 Overview, for a product owner."""

from __future__ import annotations

from grafana.board import Board
from grafana.boards.common import (
    ANSWERED,
    CONTAINED,
    DEAREST,
    EVERY_TURN,
    FAILED,
    FAILURES,
    GOALS,
    GOOD_SHARE,
    LATE_TURNS,
    LIST,
    OF_AGENT,
    RATED,
    RESOLVED,
    RESULTS,
    SETTLED,
    SLOW,
    alert_list,
    answered,
    each,
    firing,
)
from grafana.panels import (
    UNKNOWN_COST,
    About,
    Column,
    Link,
    Query,
    course,
    figure,
    good_from,
    sheet,
)
from grafana.promql import RANGE, RATE, STEP, grown, of_any, quantile, ratio, total, weighted
from otel_chat import semconv as sc
from prometheus.names import AGENT, label

USERS_RATE = (label(sc.EVALUATION_NAME), sc.EVALUATION_USER_FEEDBACK)


def board() -> Board:
    """How chat is doing, on one page."""
    found = Board(
        "overview",
        "otel-chat / 1 Overview",
        "For a product owner: does chat resolve what people ask, fast, reliably, at what cost?",
        ("environment", "agent", "channel", "window"),
        "now-24h",
    )
    _achieved(found)
    _runs(found)
    _courses(found)
    found.row(alert_list(6))
    _agents(found)
    return found


def _achieved(found: Board) -> None:
    scope = found.scope
    settled = scope.server("otel_chat_conversations_settled")
    resolved = scope.server("otel_chat_resolution_ratio").where("bound", "assumed")
    rated = scope.count(sc.METRIC_FEEDBACK_SCORE).where(*USERS_RATE)
    rating = scope.sum(sc.METRIC_FEEDBACK_SCORE).where(*USERS_RATE)
    found.row(
        figure(
            About(
                "Containment",
                "Settled conversations of the window that no human had to take over, of all settled"
                " ones. Abandoned ones count as contained.",
                "percentunit", GOOD_SHARE, 1, 0, 1,
            ),
            weighted(scope.server("otel_chat_containment_ratio"), settled),
            course=True, links=[CONTAINED], width=6, height=5, change=True,
        ),
        figure(
            About(
                "Resolution",
                "Settled conversations of the window that ended resolved, confirmed by the user or"
                " assumed because nothing speaks against it.",
                "percentunit", GOOD_SHARE, 1, 0, 1,
            ),
            weighted(resolved, settled), course=True, links=[RESOLVED], width=6, height=5,
            change=True,
        ),
        figure(
            About(
                "User rating",
                "Mean rating by users in the chosen time: 0 % is the worst of their scale, 100 %"
                " the best.",
                "percentunit", GOOD_SHARE, 0, 0, 1,
            ),
            ratio(grown(rating, RANGE), grown(rated, RANGE)), links=[RATED], width=6, height=5,
            change=True,
        ),
        figure(
            About(
                "Savings",
                "What the contained conversations of the window that were resolved, confirmed or"
                " assumed, would have cost with a human, less what the models cost."
                f" {UNKNOWN_COST}",
                "currencyUSD", good_from(0, 0.01), 2,
            ),
            total(scope.server("otel_chat_savings_usd").where("bound", "high")),
            course=True, links=[Link("Contained and resolved conversations",
                                     f"{SETTLED}&outcome=resolved&handoff=false")],
            width=6, height=5, change=True,
        ),
    )  # fmt: skip


def _runs(found: Board) -> None:
    scope = found.scope
    turns = scope.count(sc.METRIC_TURN_DURATION)
    failed = turns.where(label(sc.STATUS), sc.STATUS_ERROR)
    found.row(
        figure(
            About(
                "Open conversations",
                "Conversations in which something happened lately and that have not ended, as the"
                " analytics server sees them now.",
                "locale", decimals=0,
            ),
            total(scope.server("otel_chat_conversations_open")), course=True,
            links=[Link("Open conversations", f"{LIST}&state=open")],
        ),
        figure(
            About(
                "Turns",
                "User messages of the chosen time that the agents answered, or tried to.",
                "locale", decimals=0,
            ),
            grown(turns, RANGE), links=[EVERY_TURN], change=True,
        ),
        figure(
            About(
                "Response time, p95",
                f"95 of 100 answered turns of the chosen time took no longer{ANSWERED}. The"
                f" objective: {GOALS.response_target:.0%} within {GOALS.response_seconds:g} s.",
                "s", SLOW,
            ),
            quantile(0.95, answered(scope), RANGE), links=[LATE_TURNS], change=True,
        ),
        figure(
            About(
                "Failed turns",
                "Turns of the chosen time that ended with an error. The objective: at most"
                f" {1 - GOALS.error_target:.0%}.",
                "percentunit", FAILED, 2,
            ),
            ratio(grown(failed, RANGE), grown(turns, RANGE)), links=[FAILURES], change=True,
        ),
        figure(
            About("Cost", "Cost of the priced turns of the chosen time.", "currencyUSD",
                  decimals=2),
            grown(scope.sum(sc.METRIC_TURN_COST), RANGE), links=[DEAREST], change=True,
        ),
        firing(4, 4),
    )  # fmt: skip


def _courses(found: Board) -> None:
    scope = found.scope
    buckets = answered(scope)
    status = label(sc.STATUS)
    found.row(
        course(
            About("Turns by result", "Turns per interval, by how they ended.", "locale",
                  decimals=0),
            Query(grown(scope.count(sc.METRIC_TURN_DURATION), STEP, [status]), each(status)),
            look=RESULTS, links=[EVERY_TURN],
        ),
        course(
            About(
                "Response time",
                f"Half of the answered turns (p50) and 95 of 100 (p95) took no longer{ANSWERED}."
                " Points are single turns; each opens its conversation.",
                "s", SLOW,
            ),
            Query(quantile(0.5, buckets, RATE), "p50"),
            Query(quantile(0.95, buckets, RATE), "p95", exemplars=True), links=[LATE_TURNS],
        ),
    )  # fmt: skip


def _agents(found: Board) -> None:
    scope = found.scope
    turns = scope.count(sc.METRIC_TURN_DURATION)
    failed = turns.where(label(sc.STATUS), sc.STATUS_ERROR)
    by = (AGENT, label(sc.CHANNEL))
    every = grown(turns, RANGE, by)
    found.row(
        sheet(
            About("Agents and channels", "Each agent on each channel, over the chosen time.",
                  "short"),
            {AGENT: "Agent", label(sc.CHANNEL): "Channel"},
            Column("Turns", every, "locale", decimals=0),
            Column("Response time, p95",
                   quantile(0.95, answered(scope), RANGE, by), "s", SLOW),
            Column("Failed", ratio(grown(failed, RANGE, by), grown(turns, RANGE, by)),
                   "percentunit", FAILED, 2),
            Column("Handoffs", of_any(grown(scope.count(sc.METRIC_HANDOFFS), RANGE, by), every),
                   "locale", decimals=0),
            Column("Cost", grown(scope.sum(sc.METRIC_TURN_COST), RANGE, by), "currencyUSD",
                   decimals=2),
            each=[OF_AGENT], height=6,
        ),
    )  # fmt: skip
