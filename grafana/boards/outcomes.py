"""6 Outcomes and feedback."""

from __future__ import annotations

from dataclasses import replace

from grafana.board import Board
from grafana.boards.common import (
    GOALS,
    GOOD_SHARE,
    IN_TABLE,
    OUTCOMES,
    RATED,
    RESOLVED,
    SETTLED,
    each,
    of_label,
)
from grafana.panels import (
    BARS,
    UNKNOWN_COST,
    About,
    Column,
    Link,
    Look,
    Query,
    bad_from,
    course,
    figure,
    good_from,
    ranking,
    sheet,
)
from grafana.promql import (
    RANGE,
    STEP,
    Scope,
    grown,
    latest,
    named,
    per_second,
    ratio,
    top,
    total,
    weighted,
)
from otel_chat import semconv as sc
from prometheus.names import AGENT, Metric, label

OUTCOME, EVALUATION = label(sc.OUTCOME), label(sc.EVALUATION_NAME)
ACTION, WORKFLOW, STATE = label(sc.ACTION_TYPE), label(sc.WORKFLOW_NAME), label(sc.WORKFLOW_STATUS)
ABANDONED = bad_from(GOALS.abandonment / 2, GOALS.abandonment)
BANDS = (0.4, 0.8)
NOT_TOLD = "not told"
COLOURS = ("red", "yellow", "green")


def board() -> Board:
    """What conversations lead to, and what users say of them."""
    found = Board(
        "outcomes",
        "otel-chat / 6 Outcomes and feedback",
        "What conversations lead to, what users say of them, and what they are worth.",
        ("environment", "agent", "channel", "window"),
        "now-24h",
    )
    _figures(found)
    _outcomes(found)
    _ratings(found)
    _deeds(found)
    return found


def _rated(what: Metric) -> Metric:
    return what.where(EVALUATION, sc.EVALUATION_USER_FEEDBACK)


def _figures(found: Board) -> None:
    scope = found.scope
    settled = scope.server("otel_chat_conversations_settled")
    resolved = scope.server("otel_chat_resolution_ratio")
    scores = _rated(scope.sum(sc.METRIC_FEEDBACK_SCORE))
    ratings = _rated(scope.count(sc.METRIC_FEEDBACK_SCORE))
    found.row(
        figure(
            About(
                "Resolution",
                "Settled conversations of the window that ended resolved: confirmed by the user,"
                " or assumed because nothing speaks against it.",
                "percentunit", GOOD_SHARE, 1, 0, 1,
            ),
            weighted(resolved.where("bound", "assumed"), settled), course=True,
            links=[RESOLVED], change=True,
        ),
        figure(
            About("Confirmed only", "The part of the resolution that the user or the application"
                  " confirmed: the low bound.", "percentunit", good_from(0.2, 0.4), 1, 0, 1),
            weighted(resolved.where("bound", "confirmed"), settled), course=True,
            links=[Link("Confirmed conversations", f"{RESOLVED.url}&confirmed=true")], change=True,
        ),
        figure(
            About("Abandonment", "Settled conversations of the window that users left without a"
                  " result.", "percentunit", ABANDONED, 1, 0, 1),
            weighted(scope.server("otel_chat_abandonment_ratio"), settled), course=True,
            links=[Link("Abandoned conversations", f"{SETTLED}&outcome=abandoned")], change=True,
        ),
        figure(
            About("User rating", "Mean rating by users in the chosen time: 0 % is the worst of"
                  " their scale, 100 % the best.", "percentunit", GOOD_SHARE, 0, 0, 1),
            ratio(grown(scores, RANGE), grown(ratings, RANGE)), links=[RATED], change=True,
        ),
        figure(
            About("Ratings", "Ratings that users gave in the chosen time: below"
                  f" {GOALS.ratings} a mean says little.", "locale",
                  ((None, "orange"), (GOALS.ratings, "green")), 0),
            grown(ratings, RANGE), links=[RATED], change=True,
        ),
        figure(
            About("Savings", "What the contained conversations of the window that were resolved,"
                  " confirmed or assumed, would have cost with a human, less what the models cost."
                  f" {UNKNOWN_COST}",
                  "currencyUSD", good_from(0, 0.01), 2),
            total(scope.server("otel_chat_savings_usd").where("bound", "high")), course=True,
            change=True,
        ),
    )  # fmt: skip


def _outcomes(found: Board) -> None:
    scope = found.scope
    settled = scope.server("otel_chat_conversations_settled")
    outcome = Link("These conversations", f"{SETTLED}&outcome={of_label('outcome')}")
    found.row(
        ranking(
            About("Settled conversations", "Settled conversations of the window, by how they"
                  " ended.", "locale", decimals=0),
            Query(top(4, total(settled, ["outcome"])), "{{outcome}}"), each=[outcome],
        ),
        course(
            About("Ended conversations", "Conversations per interval whose end the application"
                  " told, by outcome.", "locale", decimals=0),
            Query(named(grown(scope.count(sc.METRIC_CONVERSATION_ENDED), STEP, [OUTCOME]),
                        OUTCOME, NOT_TOLD), each(OUTCOME)),
            look=replace(BARS, colours={**OUTCOMES, NOT_TOLD: "text"}), width=8,
        ),
        course(
            About("Resolved and abandoned", "How both shares of the window went.",
                  "percentunit", decimals=0, minimum=0, maximum=1),
            Query(weighted(scope.server("otel_chat_resolution_ratio").where("bound", "assumed"),
                           settled), "resolved"),
            Query(weighted(scope.server("otel_chat_abandonment_ratio"), settled), "abandoned"),
            look=Look(colours={"resolved": "green", "abandoned": "orange"}), width=8,
        ),
    )  # fmt: skip


def _ratings(found: Board) -> None:
    scope = found.scope
    scores, counts = scope.sum(sc.METRIC_FEEDBACK_SCORE), scope.count(sc.METRIC_FEEDBACK_SCORE)
    engaged = scope.server("otel_chat_engagement_score")
    low, high = (f"{bound:.0%}" for bound in BANDS)
    names = (f"up to {low}", f"{low} to {high}", f"above {high}")
    bands = _bands(scope)
    found.row(
        course(
            About("Ratings by users", "Ratings per interval: low ones, middling ones and high"
                  " ones of their scale.", "locale", decimals=0),
            *(Query(amount, name) for amount, name in zip(bands, names, strict=True)),
            look=replace(BARS, colours=dict(zip(names, COLOURS, strict=True))), links=[RATED],
            width=8,
        ),
        course(
            About(
                "Mean score by evaluation",
                "Scores of users and of evaluations of your own, 0 % to 100 %. Of few ratings a"
                " mean jumps. Points are single turns; each opens its conversation.",
                "percentunit", GOOD_SHARE, 0, minimum=0, maximum=1,
            ),
            Query(ratio(per_second(scores, [EVALUATION]), per_second(counts, [EVALUATION])),
                  each(EVALUATION)),
            width=8,
        ),
        course(
            About("Engagement", "Mean score of the window's conversations, 0 to 100, out of turns,"
                  " actions and outcome; for each agent and channel.", "short", minimum=0,
                  maximum=100, decimals=0),
            Query(latest(engaged, ["agent", "channel"]), "{{agent}} {{channel}}"), width=8,
        ),
    )  # fmt: skip


def _bands(scope: Scope) -> tuple[str, str, str]:
    buckets = _rated(scope.buckets(sc.METRIC_FEEDBACK_SCORE))
    every = grown(_rated(scope.count(sc.METRIC_FEEDBACK_SCORE)), STEP)
    low, high = (grown(buckets.at_most(bound), STEP) for bound in BANDS)
    return low, f"{high} - {low}", f"{every} - {high}"


def _deeds(found: Board) -> None:
    scope = found.scope
    scores = _rated(scope.sum(sc.METRIC_FEEDBACK_SCORE))
    ratings = _rated(scope.count(sc.METRIC_FEEDBACK_SCORE))
    actions, steps = scope.count(sc.METRIC_ACTIONS), scope.count(sc.METRIC_WORKFLOWS)
    started, completed, failed = (
        grown(steps.where(STATE, state), RANGE, [AGENT, WORKFLOW]) for state in sc.WORKFLOW_STATUSES
    )
    found.row(
        ranking(
            About("Actions", "What agents did for users in the chosen time; of every channel.",
                  "locale", decimals=0),
            Query(top(5, grown(actions, RANGE, [ACTION])), each(ACTION)), width=6, height=7,
        ),
        sheet(
            About("Ratings by agent", "What users said of each agent in the chosen time: 0 % is the"
                  " worst of their scale, 100 % the best.", "short"),
            {AGENT: "Agent"},
            Column("Ratings", grown(ratings, RANGE, [AGENT]), "locale", decimals=0),
            Column("Mean", ratio(grown(scores, RANGE, [AGENT]), grown(ratings, RANGE, [AGENT])),
                   "percentunit", GOOD_SHARE, 0),
            each=[Link("Rated conversations of this agent", f"{RATED.url}&agent={IN_TABLE}")],
            width=8, height=7,
        ),
        sheet(
            About("Workflows", "Tasks of several steps: how many of those begun in the chosen time"
                  " were brought to their end; of every channel.", "short"),
            {AGENT: "Agent", WORKFLOW: "Workflow"},
            Column("Started", started, "locale", decimals=0),
            Column("Completed", completed, "locale", decimals=0),
            Column("Failed", failed, "locale", bad_from(1, 5), decimals=0),
            Column("Completion", ratio(completed, started), "percentunit", GOOD_SHARE, 0),
            width=10, height=7,
        ),
    )  # fmt: skip
