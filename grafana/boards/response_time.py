"""5 Response time and its objective."""

from __future__ import annotations

from dataclasses import replace

from grafana.board import Board
from grafana.boards.common import (
    ANSWERED,
    EVERY_TURN,
    FAILED,
    FAILURES,
    GOALS,
    IN_TABLE,
    LATE_TURNS,
    RESULTS,
    SLOW,
    TURNS,
    answered,
    each,
    of_label,
    or_zero,
)
from grafana.panels import (
    AREAS,
    FAULTS,
    QUIET,
    About,
    Column,
    Link,
    Look,
    Query,
    Steps,
    bad_from,
    course,
    figure,
    heat,
    sheet,
)
from grafana.promql import (
    RANGE,
    RATE,
    STEP,
    Scope,
    grown,
    latest,
    of_any,
    per_second,
    quantile,
    ratio,
    total,
)
from otel_chat import semconv as sc
from prometheus.names import AGENT, label

STATUS, ERROR, TOOL = label(sc.STATUS), label(sc.ERROR_TYPE), label(sc.TOOL_NAME)
BURN: Steps = ((None, "green"), (1, "yellow"), (6, "orange"), (14.4, "red"))
LATE = bad_from(GOALS.first_chunk_seconds * 0.6, GOALS.first_chunk_seconds)
BURNS = ("5m", "1h", "6h")


def board() -> Board:
    """How fast and how reliably turns are answered."""
    found = Board(
        "response-time",
        "otel-chat / 5 Response time and SLO",
        "How fast and how reliably turns are answered, against the objectives that alerts watch.",
        ("environment", "agent", "channel", "model"),
    )
    _figures(found)
    _times(found)
    _spread(found)
    _burns(found)
    _where(found)
    _tools(found)
    return found


def _figures(found: Board) -> None:
    scope = found.scope
    turns = scope.count(sc.METRIC_TURN_DURATION)
    failed = turns.where(STATUS, sc.STATUS_ERROR)
    buckets = scope.buckets(sc.METRIC_TURN_DURATION)
    within = ratio(grown(buckets.at_most(GOALS.response_seconds), RANGE), grown(turns, RANGE))
    # Of the first minutes of an installation there is no step of five minutes yet
    days, hour = (
        latest(scope.recorded(f"agent:otel_chat_turns_slow:ratio{window}"))
        for window in ("3d", "1h")
    )
    burnt = f"({days} or {hour})"
    allowed = 1 - GOALS.response_target
    target = GOALS.response_target
    found.row(
        figure(
            About("Response time, p95", "95 of 100 answered turns of the chosen time took no longer"
                  f"{ANSWERED}.", "s", SLOW),
            quantile(0.95, answered(scope), RANGE), links=[LATE_TURNS], change=True,
        ),
        figure(
            About(
                f"Within {GOALS.response_seconds:g} s",
                f"Turns of the chosen time answered within {GOALS.response_seconds:g} s. The"
                f" objective: {target:.0%}.",
                "percentunit", ((None, "red"), (target, "orange"), ((1 + target) / 2, "green")),
                1, 0, 1,
            ),
            within, links=[LATE_TURNS], change=True,
        ),
        figure(
            About(
                "Budget left, 3 days",
                f"What is left of the {allowed:.0%} of turns that may be slow, over the last 3"
                " days, of the agent with the least; below 0 the objective was missed.",
                "percentunit", ((None, "red"), (0.1, "orange"), (0.5, "green")), 0,
            ),
            f"1 - {burnt} / {allowed:.6g}",
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
            About("First words, p95", "In 95 of 100 streamed replies of the chosen time the first"
                  " chunk came no later.", "s", LATE),
            quantile(0.95, scope.buckets(sc.METRIC_TIME_TO_FIRST_CHUNK), RANGE), change=True,
        ),
        figure(
            About("Turns running now", "Turns that have begun and not ended, of every model. A"
                  " number that only climbs means that a handler hangs.", "locale",
                  bad_from(50, 200), 0),
            or_zero(total(scope.gauge(sc.METRIC_TURN_ACTIVE))), course=True,
        ),
    )  # fmt: skip


def _times(found: Board) -> None:
    scope = found.scope
    buckets = answered(scope)
    first = scope.buckets(sc.METRIC_TIME_TO_FIRST_CHUNK)
    found.row(
        course(
            About(
                "Response time",
                "Half of the answered turns (p50), 95 (p95) and 99 of 100 (p99) took no longer"
                f"{ANSWERED}. Points are single turns; each opens its conversation.",
                "s", SLOW,
            ),
            Query(quantile(0.5, buckets, RATE), "p50"),
            Query(quantile(0.95, buckets, RATE), "p95", exemplars=True),
            Query(quantile(0.99, buckets, RATE), "p99"),
            links=[LATE_TURNS],
        ),
        course(
            About("Time to the first words", "Of streamed replies: half (p50) and 95 of 100 (p95)"
                  " began no later.", "s", LATE),
            Query(quantile(0.5, first, RATE), "p50"),
            Query(quantile(0.95, first, RATE), "p95", exemplars=True),
        ),
    )  # fmt: skip


def _spread(found: Board) -> None:
    scope, place = found.scope, Scope(("environment",))
    whole = per_second(place.sum(sc.METRIC_TURN_DURATION))
    model, tool = (
        f"({of_any(per_second(place.sum(name)), whole)})"
        for name in (sc.METRIC_INFERENCE_DURATION, sc.METRIC_EXECUTE_TOOL_DURATION)
    )
    own = f"clamp_min({whole} - {model} - {tool}, 0)"
    every = f"({model} + {tool} + {own} > 0)"
    found.row(
        heat(
            About(
                "Spread of the response time",
                "Answered turns per interval by how long they took: the darker, the more"
                f"{ANSWERED}. Two bands mean two kinds of turns, which a quantile would hide.",
                "s",
            ),
            grown(answered(scope), STEP, ["le"]), links=[EVERY_TURN],
        ),
        course(
            About(
                "Where the time of turns goes",
                "Time in calls of models and of tools, and what is left for the application's own"
                " code, of the time of all turns. Of every agent, channel and model; of calls side"
                " by side each counts.",
                "percentunit", decimals=0, minimum=0, maximum=1,
            ),
            Query(f"{model} / {every}", "models"), Query(f"{tool} / {every}", "tools"),
            Query(f"{own} / {every}", "own code"),
            look=replace(AREAS, colours={"models": "blue", "tools": "orange", "own code": "text"}),
        ),
    )  # fmt: skip


def _burns(found: Board) -> None:
    scope = found.scope
    text = (
        "How fast the error budget is used up, of the agent for which it goes fastest: at 1 it is"
        " just used up, from 14.4 (over 1 h and 5 min) somebody is called. Of every channel and"
        " model."
    )
    found.row(
        *(
            course(
                About(title, text, "short", BURN, minimum=0),
                *(
                    Query(
                        f"{latest(scope.recorded(f'agent:{name}:ratio{window}'))} / {budget:.6g}",
                        f"over {window}",
                    )
                    for window in BURNS
                ),
                look=Look(reach=2),
                height=7,
            )
            for title, name, budget in (
                ("Burn rate: response time", "otel_chat_turns_slow", 1 - GOALS.response_target),
                ("Burn rate: errors", "otel_chat_turns_failed", 1 - GOALS.error_target),
            )
        )
    )


def _where(found: Board) -> None:
    scope = found.scope
    buckets = answered(scope)
    errors = scope.count(sc.METRIC_TURN_ERRORS)
    channel = label(sc.CHANNEL)
    by = (AGENT, channel)
    found.row(
        course(
            About("Response time by agent and channel, p95", "95 of 100 answered turns took no"
                  f" longer{ANSWERED}.", "s", SLOW),
            Query(quantile(0.95, buckets, RATE, by), f"{each(AGENT)} {each(channel)}"),
            each=[Link("Slow turns of this agent on this channel",
                       f"{LATE_TURNS.url}&agent={of_label(AGENT)}&channel={of_label(channel)}")],
            width=8,
        ),
        course(
            About("Turns by result", "Turns per interval, by how they ended. Cancelled: the user"
                  " left, or the connection broke.", "locale", decimals=0),
            Query(grown(scope.count(sc.METRIC_TURN_DURATION), STEP, [STATUS]), each(STATUS)),
            look=RESULTS, links=[EVERY_TURN], width=8,
        ),
        course(
            About("Errors by type", "Failed turns per interval, by the class of the error; of"
                  f" every model. {QUIET}", "locale", decimals=0),
            Query(grown(errors, STEP, [ERROR]), each(ERROR)),
            each=[Link("Turns with this error", f"{TURNS}&error_type={of_label(ERROR)}")],
            look=FAULTS, links=[FAILURES], width=8,
        ),
    )  # fmt: skip


def _tools(found: Board) -> None:
    scope = found.scope
    tools = scope.count(sc.METRIC_EXECUTE_TOOL_DURATION)
    failed = tools.where(ERROR, "", "!=")
    time = scope.buckets(sc.METRIC_EXECUTE_TOOL_DURATION)
    found.row(
        sheet(
            About("Tools", "Calls of tools in the chosen time: slow or failing tools slow down and"
                  " fail turns. Of every agent and channel.", "short"),
            {TOOL: "Tool"},
            Column("Calls", grown(tools, RANGE, [TOOL]), "locale", decimals=0),
            Column("p95", quantile(0.95, time, RANGE, [TOOL]), "s", SLOW),
            Column("Failed", ratio(grown(failed, RANGE, [TOOL]), grown(tools, RANGE, [TOOL])),
                   "percentunit", bad_from(0.01, GOALS.tool_errors), 1),
            each=[Link("Turns that called this tool", f"{TURNS}&tool={IN_TABLE}")], height=7,
        ),
    )  # fmt: skip
