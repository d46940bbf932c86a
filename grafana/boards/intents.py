"""3 Intents and confidence."""

from __future__ import annotations

from dataclasses import replace

from grafana.board import Board
from grafana.boards.common import (
    GOALS,
    IN_TABLE,
    LIST,
    NOT_UNDERSTOOD,
    OF_AGENT,
    SETTLED,
    UNSURE,
    UNSURE_TURNS,
    each,
    of_label,
)
from grafana.panels import (
    BARS,
    About,
    Column,
    Link,
    Query,
    bad_from,
    course,
    figure,
    ranking,
    sheet,
)
from grafana.promql import RANGE, RATE, STEP, Scope, grown, per_second, quantile, ratio, top, total
from otel_chat import semconv as sc
from prometheus.names import AGENT, Metric, label

CHANNEL, INTENT = label(sc.CHANNEL), label(sc.INTENT_NAME)
FALLBACKS = bad_from(GOALS.fallback * 0.6, GOALS.fallback)
BANDS = (0.5, 0.7, 0.9)
COLOURS = ("red", "orange", "yellow", "green")
OF_INTENT = Link("Conversations with this intent", f"{LIST}&intent={of_label(INTENT)}")
OF_INTENTS_ROW = Link("Conversations with this intent", f"{LIST}&intent={IN_TABLE}")


def board() -> Board:
    """What people want, and whether the agent understands it."""
    found = Board(
        "intents",
        "otel-chat / 3 Intents and confidence",
        "What people ask for, how surely it is understood, and where they drop off.",
        ("environment", "agent", "channel", "window"),
    )
    _figures(found)
    _courses(found)
    _intents(found)
    _agents(found)
    return found


def _parts(scope: Scope) -> tuple[Metric, Metric, Metric, Metric]:
    intents = scope.count(sc.METRIC_INTENTS)
    return (
        intents,
        intents.where(label(sc.FALLBACK), "true"),
        scope.count(sc.METRIC_TURN_CONFIDENCE),
        scope.count(sc.METRIC_LOW_CONFIDENCE),
    )


def _figures(found: Board) -> None:
    scope = found.scope
    intents, fallbacks, known, low = _parts(scope)
    found.row(
        figure(
            About(
                "Not understood",
                "Messages of the chosen time for which no intent was found, of all that were"
                " classified.",
                "percentunit", FALLBACKS, 1,
            ),
            ratio(grown(fallbacks, RANGE), grown(intents, RANGE)), links=[NOT_UNDERSTOOD],
            width=6, change=True,
        ),
        figure(
            About(
                "Unsure turns",
                f"Turns of the chosen time with a confidence below"
                f" {sc.LOW_CONFIDENCE_THRESHOLD:g}, of those with one.",
                "percentunit", UNSURE_TURNS, 1,
            ),
            ratio(grown(low, RANGE), grown(known, RANGE)), links=[UNSURE], width=6, change=True,
        ),
        figure(
            About(
                "Confidence, median",
                "Half of the turns of the chosen time had a higher confidence, half a lower one.",
                "percentunit", ((None, "red"), (0.5, "orange"), (0.7, "green")), 0, 0, 1,
            ),
            quantile(0.5, scope.buckets(sc.METRIC_TURN_CONFIDENCE), RANGE), width=6, change=True,
        ),
        figure(
            About("Classified messages", "Messages of the chosen time whose intent was looked"
                  " for.", "locale", decimals=0),
            grown(intents, RANGE), width=6, change=True,
        ),
    )  # fmt: skip


def _courses(found: Board) -> None:
    scope = found.scope
    intents, fallbacks, known, low = _parts(scope)
    buckets = scope.buckets(sc.METRIC_TURN_CONFIDENCE)
    found.row(
        course(
            About(
                "Not understood over time",
                "Messages without an intent, of all that were classified. A step up after a"
                " deployment points to the classifier, a slow climb to new questions.",
                "percentunit", FALLBACKS, 0, minimum=0,
            ),
            Query(ratio(per_second(fallbacks), per_second(intents)), "not understood"),
            links=[NOT_UNDERSTOOD], width=8,
        ),
        course(
            About(
                "Unsure turns over time",
                f"Turns with a confidence below {sc.LOW_CONFIDENCE_THRESHOLD:g}, of those with"
                " one.",
                "percentunit", UNSURE_TURNS, 0, minimum=0,
            ),
            Query(ratio(per_second(low), per_second(known)), "unsure"), links=[UNSURE], width=8,
        ),
        course(
            About(
                "Confidence",
                "One turn of ten is below p10, half are below p50. Points are single turns; each"
                " opens its conversation.",
                "percentunit", decimals=0, minimum=0, maximum=1,
            ),
            Query(quantile(0.1, buckets, RATE), "p10", exemplars=True),
            Query(quantile(0.5, buckets, RATE), "p50"),
            Query(quantile(0.9, buckets, RATE), "p90"),
            width=8,
        ),
    )  # fmt: skip


def _intents(found: Board) -> None:
    scope = found.scope
    intents, _, _, _ = _parts(scope)
    named = intents.where(INTENT, "", "!=")
    dropped = scope.server("otel_chat_drop_off_conversations").where("intent", "", "!=")
    last = Link(
        "Conversations that ended so",
        f"{SETTLED}&outcome=abandoned&outcome=failed&last_intent={of_label('intent')}",
    )
    found.row(
        ranking(
            About("Most frequent intents", "What people asked for most in the chosen time.",
                  "locale", decimals=0),
            Query(top(8, grown(named, RANGE, [INTENT])), each(INTENT)),
            each=[OF_INTENT], width=8, height=10,
        ),
        ranking(
            About(
                "Where people drop off",
                "Last intent of the conversations of the window that ended abandoned or failed.",
                "locale", ((None, "orange"),), 0,
            ),
            Query(top(8, total(dropped, ["intent"])), "{{intent}}"), each=[last], width=8,
            height=10,
        ),
        course(
            About("Turns by confidence", "Turns per interval, by how sure the agent was of what"
                  " they are about.", "locale", decimals=0),
            *_bands(scope),
            look=replace(BARS, colours=dict(zip(_names(), COLOURS, strict=True))),
            links=[UNSURE], width=8, height=10,
        ),
    )  # fmt: skip


def _names() -> list[str]:
    low, middle, high = (f"{bound:.0%}" for bound in BANDS)
    return [f"up to {low}", f"{low} to {middle}", f"{middle} to {high}", f"above {high}"]


def _bands(scope: Scope) -> list[Query]:
    buckets = scope.buckets(sc.METRIC_TURN_CONFIDENCE)
    every = grown(scope.count(sc.METRIC_TURN_CONFIDENCE), STEP)
    upto = [grown(buckets.at_most(bound), STEP) for bound in BANDS]
    low, middle, high = upto
    amounts = [low, f"{middle} - {low}", f"{high} - {middle}", f"{every} - {high}"]
    return [Query(amount, name) for amount, name in zip(amounts, _names(), strict=True)]


def _agents(found: Board) -> None:
    scope = found.scope
    intents, fallbacks, known, low = _parts(scope)
    by = (AGENT, CHANNEL)
    confidence = quantile(0.5, scope.buckets(sc.METRIC_TURN_CONFIDENCE), RANGE, by)
    found.row(
        sheet(
            About("Fallback by intent", "How often a message was put under each intent in the"
                  " chosen time, and how often as a fallback. The confidence of each is among"
                  " the answers of the analytics server, dashboard 12.", "short"),
            {INTENT: "Intent"},
            Column("Classified", grown(intents, RANGE, [INTENT]), "locale", decimals=0),
            Column("Of all", f"{grown(intents, RANGE, [INTENT])} / on () group_left ()"
                   f" ({grown(intents, RANGE)} > 0)", "percentunit", decimals=1),
            Column("Fallback", ratio(grown(fallbacks, RANGE, [INTENT]),
                                     grown(intents, RANGE, [INTENT])),
                   "percentunit", FALLBACKS, 1),
            each=[OF_INTENTS_ROW], width=10, height=7,
        ),
        sheet(
            About("Agents and channels", "How well each agent understands on each channel, over"
                  " the chosen time.", "short"),
            {AGENT: "Agent", CHANNEL: "Channel"},
            Column("Classified", grown(intents, RANGE, by), "locale", decimals=0),
            Column("Not understood", ratio(grown(fallbacks, RANGE, by), grown(intents, RANGE, by)),
                   "percentunit", FALLBACKS, 1),
            Column("Unsure", ratio(grown(low, RANGE, by), grown(known, RANGE, by)),
                   "percentunit", UNSURE_TURNS, 1),
            Column("Confidence, median", confidence, "percentunit", decimals=0),
            each=[OF_AGENT], width=14, height=7,
        ),
    )  # fmt: skip
