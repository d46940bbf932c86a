"""The overview, for a product owner."""

from __future__ import annotations

from grafana.board import NOW, Board
from grafana.names import ALERTS
from grafana.panels import (
    About,
    Column,
    Link,
    Query,
    bad_from,
    course,
    figure,
    good_from,
    sheet,
)
from grafana.promql import RANGE, RATE, STEP, grown, quantile, ratio, total, weighted
from otel_chat import semconv as sc
from prometheus.names import AGENT, label
from prometheus.settings import Settings

CONVERSATIONS = Link("Conversations", f"${{analytics}}/conversations?{NOW}")
OF_AGENT = Link(
    "Conversations of this agent",
    f"${{analytics}}/conversations?{NOW}&agent=${{__field.labels.{AGENT}}}",
)


def board() -> Board:
    """How chat is doing, on one page."""
    found = Board(
        "overview",
        "otel-chat / 1 Overview",
        "For a product owner: is chat resolving what people ask, fast, reliably and at what cost?",
        ("environment", "agent", "channel", "window"),
        "now-24h",
    )
    _figures(found)
    _courses(found)
    _agents(found)
    return found


def _figures(found: Board) -> None:
    """The headline figures: what chat achieves first, then how it runs."""
    scope, settings = found.scope, Settings()
    settled = scope.server("otel_chat_conversations_settled")
    contained = weighted(scope.server("otel_chat_containment_ratio"), settled)
    resolved = scope.server("otel_chat_resolution_ratio").where("bound", "assumed")
    turns = scope.count(sc.METRIC_TURN_DURATION)
    failed = turns.where(label(sc.STATUS), sc.STATUS_ERROR)
    scores = scope.count(sc.METRIC_FEEDBACK_SCORE)
    rated = scores.where(label(sc.EVALUATION_NAME), sc.EVALUATION_USER_FEEDBACK)
    rating = scope.sum(sc.METRIC_FEEDBACK_SCORE).where(
        label(sc.EVALUATION_NAME), sc.EVALUATION_USER_FEEDBACK
    )
    late, goal = settings.response_seconds, 1 - settings.error_target
    found.row(
        figure(
            About(
                "Containment",
                "Settled conversations that no human had to take over, of all settled ones in the"
                " window chosen above. Abandoned ones count as contained.",
                "percentunit", good_from(0.5, 0.7), 1, 0, 1,
            ),
            contained, course=True, links=[CONVERSATIONS], width=6, height=6,
        ),
        figure(
            About(
                "Resolution",
                "Settled conversations that ended resolved, confirmed or assumed, in the window.",
                "percentunit", good_from(0.5, 0.7), 1, 0, 1,
            ),
            weighted(resolved, settled), course=True, width=6, height=6,
        ),
        figure(
            About(
                "User rating",
                "Mean rating by users in the chosen time: 0 % is the worst of their scale, 100 %"
                " the best.",
                "percentunit", good_from(0.5, 0.7), 0, 0, 1,
            ),
            ratio(grown(rating, RANGE), grown(rated, RANGE)), width=6, height=6,
        ),
        figure(
            About(
                "Savings",
                "What the contained conversations of the window would have cost with a human, less"
                " what the models cost; assumed resolutions included.",
                "currencyUSD", good_from(0, 0.01), 2,
            ),
            total(scope.server("otel_chat_savings_usd").where("bound", "high")),
            course=True, width=6, height=6,
        ),
    )  # fmt: skip
    found.row(
        figure(
            About("Open conversations", "Conversations in which something happened lately and"
                  " that have not ended, as the analytics server sees them now.", "short"),
            total(scope.server("otel_chat_conversations_open")), course=True,
        ),
        figure(
            About("Turns", "User messages that were answered, or tried to be, in the chosen time.",
                  "short", decimals=0),
            grown(turns, RANGE), links=[CONVERSATIONS],
        ),
        figure(
            About(
                "Response time, p95",
                f"95 of 100 turns of the chosen time took no longer. The objective is"
                f" {settings.response_target:.0%} within {late:g} s.",
                "s", bad_from(late * 0.6, late),
            ),
            quantile(0.95, scope.buckets(sc.METRIC_TURN_DURATION), RANGE),
        ),
        figure(
            About("Failed turns", "Turns of the chosen time that ended with an error. The"
                  f" objective is less than {goal:.0%}.",
                  "percentunit", bad_from(goal / 2, goal), 2),
            ratio(grown(failed, RANGE), grown(turns, RANGE)),
        ),
        figure(
            About("Cost", "Cost of the priced turns of the chosen time.", "currencyUSD"),
            grown(scope.sum(sc.METRIC_TURN_COST), RANGE),
        ),
        figure(
            About("Firing alerts", "Alerts of severity page or ticket that fire now, of any agent.",
                  "short", bad_from(1, 3), 0),
            f"count({ALERTS.where('alertstate', 'firing').where('severity', 'page|ticket', '=~')})"
            " or vector(0)",
        ),
    )  # fmt: skip


def _courses(found: Board) -> None:
    scope, settings = found.scope, Settings()
    turns = scope.count(sc.METRIC_TURN_DURATION)
    buckets = scope.buckets(sc.METRIC_TURN_DURATION)
    status = label(sc.STATUS)
    found.row(
        course(
            About("Turns by result", "Turns per interval, by how they ended.", "short",
                  decimals=0),
            Query(grown(turns, STEP, [status]), f"{{{{{status}}}}}"),
            bars=True, stacked=True,
            colours={"ok": "green", "error": "red", "cancelled": "text"},
            links=[CONVERSATIONS], width=12,
        ),
        course(
            About(
                "Response time",
                "Half of the turns (p50) and 95 of 100 (p95) took no longer. Points are single"
                " turns: a click opens the conversation.",
                "s", bad_from(settings.response_seconds, settings.response_seconds),
            ),
            Query(quantile(0.5, buckets, RATE), "p50"),
            Query(quantile(0.95, buckets, RATE), "p95", exemplars=True),
            width=12,
        ),
    )  # fmt: skip


def _agents(found: Board) -> None:
    scope, settings = found.scope, Settings()
    turns = scope.count(sc.METRIC_TURN_DURATION)
    failed = turns.where(label(sc.STATUS), sc.STATUS_ERROR)
    late, goal = settings.response_seconds, 1 - settings.error_target
    by = (AGENT, label(sc.CHANNEL))
    found.row(
        sheet(
            About("Agents and channels", "Each agent on each channel over the chosen time.",
                  "short"),
            {AGENT: "Agent", label(sc.CHANNEL): "Channel"},
            Column("Turns", grown(turns, RANGE, by), "short", decimals=0),
            Column("Response time, p95",
                   quantile(0.95, scope.buckets(sc.METRIC_TURN_DURATION), RANGE, by), "s",
                   bad_from(late * 0.6, late)),
            Column("Failed", ratio(grown(failed, RANGE, by), grown(turns, RANGE, by)),
                   "percentunit", bad_from(goal / 2, goal), 2),
            Column("Handoffs", grown(scope.count(sc.METRIC_HANDOFFS), RANGE, by), "short",
                   decimals=0),
            Column("Cost", grown(scope.sum(sc.METRIC_TURN_COST), RANGE, by), "currencyUSD"),
            each=[OF_AGENT],
        ),
    )  # fmt: skip
