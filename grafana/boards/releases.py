"""10 Releases: versions of an application side by side, a canary among them."""

from __future__ import annotations

from grafana.board import NOW, Board
from grafana.boards.common import FAILED, SLOW, UNSURE_TURNS, answered, each
from grafana.names import VERSION
from grafana.panels import BARS, RARE, About, Column, Link, Query, bad_from, course, sheet
from grafana.promql import (
    RANGE,
    RATE,
    STEP,
    Scope,
    elsewhere,
    grown,
    of_any,
    per_second,
    quantile,
    ratio,
)
from otel_chat import semconv as sc
from prometheus.names import SERVICE, Metric, label

BY = (SERVICE, VERSION)
COMPARE = Link("Compare versions", f"${{analytics}}/compare?{NOW}&by=version")
WORSE = bad_from(1, 3)
"""Points by which a version is worse than the others."""


def board() -> Board:
    """Whether a new version does better or worse than those beside it."""
    found = Board(
        "releases",
        "otel-chat / 10 Releases and canaries",
        "For whoever deploys: the versions that run side by side, and how a new one differs from"
        " all others.",
        ("environment", "agent", "channel"),
    )
    _split(found)
    _canary(found)
    _courses(found)
    return found


def _parts(scope: Scope) -> tuple[Metric, Metric, Metric, Metric]:
    turns = scope.by_version(scope.count(sc.METRIC_TURN_DURATION))
    return (
        turns,
        turns.where(label(sc.STATUS), sc.STATUS_ERROR),
        scope.by_version(scope.count(sc.METRIC_TURN_CONFIDENCE)),
        scope.by_version(scope.count(sc.METRIC_LOW_CONFIDENCE)),
    )


def _split(found: Board) -> None:
    scope = found.scope
    turns, failed, known, low = _parts(scope)
    every = grown(turns, RANGE, BY)
    cost = scope.by_version(scope.sum(sc.METRIC_TURN_COST))
    priced = scope.by_version(scope.count(sc.METRIC_TURN_COST))
    handoffs = scope.by_version(scope.count(sc.METRIC_HANDOFFS))
    found.row(
        sheet(
            About(
                "Versions",
                "The versions (service.version) that answered turns in the chosen time, those with"
                " the most turns first. Needs a version in the resource of the application."
                f" {RARE}",
                "short",
            ),
            {SERVICE: "Service", VERSION: "Version"},
            Column("Turns", every, "locale", decimals=0),
            Column("Response time, p95",
                   quantile(0.95, scope.by_version(answered(scope)), RANGE, BY), "s", SLOW),
            Column("Failed", ratio(grown(failed, RANGE, BY), every), "percentunit", FAILED, 2),
            Column("Unsure", ratio(grown(low, RANGE, BY), grown(known, RANGE, BY)),
                   "percentunit", UNSURE_TURNS, 1),
            Column("Handoffs per 100 turns", f"100 * {ratio(grown(handoffs, RANGE, BY), every)}",
                   "short", bad_from(5, 10), 1),
            Column("Cost of 1,000 turns",
                   f"1000 * {ratio(grown(cost, RANGE, BY), grown(priced, RANGE, BY))}",
                   "currencyUSD", decimals=2),
            links=[COMPARE], height=6,
        ),
    )  # fmt: skip


def _canary(found: Board) -> None:
    scope = found.scope
    turns, failed, known, low = _parts(scope)
    handoffs = scope.by_version(scope.count(sc.METRIC_HANDOFFS))
    every = grown(turns, RANGE)
    found.row(
        sheet(
            About(
                "Each version against all others",
                "What a version has more (or, below 0, less) than all other versions of the chosen"
                " time together. Of few turns a difference is chance: Compare says which are not."
                f" Empty where only one version runs. {RARE}",
                "short",
            ),
            {SERVICE: "Service", VERSION: "Version"},
            Column("Share of turns",
                   f"{grown(turns, RANGE, BY)} / on () group_left () ({every} > 0)",
                   "percentunit", decimals=1),
            Column("Failed, points more", _more(failed, turns), "short", WORSE, 1),
            Column("Unsure, points more", _more(low, known), "short", WORSE, 1),
            Column("Handoffs per 100, more", _more(handoffs, turns), "short", WORSE, 1),
            Column("Turns of the others", f"{elsewhere(every, grown(turns, RANGE, BY))} > 0",
                   "locale", decimals=0),
            links=[COMPARE], height=6,
        ),
    )  # fmt: skip


def _more(part: Metric, whole: Metric) -> str:
    """Points by which a share is greater than that of all other versions."""
    part_of_each, each_whole = grown(part, RANGE, BY), grown(whole, RANGE, BY)
    # A version without any failure has no series of failures
    others = elsewhere(grown(part, RANGE), of_any(part_of_each, each_whole))
    of_others = f"({elsewhere(grown(whole, RANGE), each_whole)})"
    return f"100 * ({ratio(part_of_each, each_whole)} - ({ratio(others, of_others)}))"


def _courses(found: Board) -> None:
    scope = found.scope
    turns, failed, _, _ = _parts(scope)
    by = [VERSION]
    found.row(
        course(
            About("Turns by version", f"Turns per interval, by the version that answered. {RARE}",
                  "locale", decimals=0),
            Query(grown(turns, STEP, by), each(VERSION)), look=BARS, width=8,
        ),
        course(
            About("Failed turns by version", "Turns that ended with an error, of all turns of the"
                  f" version. {RARE}", "percentunit", FAILED, 1, 0),
            Query(ratio(per_second(failed, by), per_second(turns, by)), each(VERSION)), width=8,
        ),
        course(
            About("Response time by version, p95", "95 of 100 answered turns of the version took"
                  f" no longer. {RARE}", "s", SLOW),
            Query(quantile(0.95, scope.by_version(answered(scope)), RATE, by), each(VERSION)),
            width=8,
        ),
    )  # fmt: skip
