"""The figures that are shares of conversations and means over them: an entry each.

From an entry come its field in the API, its place in every series, its definition, its row in
comparisons, its gauge for Prometheus and its column in exports.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from otel_chat import semconv
from otel_chat.server.figures.registry import Better, Quotient, every, register
from otel_chat.server.figures.rows import Column
from otel_chat.server.figures.sql import SCALE

SETTLED: Final = "s.settled"
ALL: Final = "true"
_WHOLES: Final = {ALL: "conversations", SETTLED: "settled_n"}


@dataclass(frozen=True, kw_only=True, slots=True)
class OfConversations(Quotient):
    """A figure over conversations.

    Args:
        sums: SQL of what it is worked out of, by name, over rows that are called `s`.
        square: SQL of the sum of squares; none of a share.
        reads: The columns of a row that all this reads, beside `COLUMNS`.
        column: What exports tell of each conversation; nothing without.
    """

    sums: Mapping[str, str]
    square: str = ""
    reads: tuple[str, ...] = ()
    column: Column | None = None


def share(  # noqa: PLR0913 - what there is to say of a share
    name: str,
    definition: str,
    *,
    label: str,
    counted: str,
    better: Better,
    among: str = SETTLED,
    reads: tuple[str, ...] = (),
    version: int = 1,
    gauge: str = "",
    export: str = "",
) -> OfConversations:
    """Makes a share of conversations a figure.

    Args:
        name: Its name, unique over the whole server.
        definition: The rule it is worked out by, in words.
        label: What people call it, in a few words.
        counted: SQL for whether a conversation counts, of a row that is called `s`.
        better: Which way is good.
        among: SQL for whether a conversation is one of those that it is a share of.
        reads: The columns of a row that the two read, beside `COLUMNS`.
        version: Counts up when the rule changes.
        gauge: What Prometheus is told of it as; nothing without.
        export: The column of exports that says whether a conversation counts; none without.

    Raises:
        ValueError: If another figure has the name.
    """
    part, whole = f"{name}_n", _WHOLES.get(among, f"{name}_of")
    told = f"if({among}, {counted}, CAST(NULL AS Nullable(Bool)))"
    return register(
        OfConversations(
            name=name, unit="1", definition=definition, version=version,
            label=label, better=better, part=part, whole=whole, gauge=gauge,
            sums={part: f"countIf({among} AND {counted})", whole: f"countIf({among})"},
            reads=reads,
            column=Column(export, told, "flag") if export else None,
        )
    )  # fmt: skip


def mean(  # noqa: PLR0913 - what there is to say of a mean
    name: str,
    unit: str,
    definition: str,
    *,
    label: str,
    value: str,
    better: Better,
    among: str = SETTLED,
    scale: int = 1,
    reads: tuple[str, ...] = (),
    version: int = 1,
    gauge: str = "",
    export: str = "",
) -> OfConversations:
    """Makes a mean over conversations a figure.

    Args:
        name: Its name, unique over the whole server.
        unit: What it is counted in.
        definition: The rule it is worked out by, in words.
        label: What people call it, in a few words.
        value: SQL of a whole number, of a row that is called `s`; its sum fits into its type, or
            into 64 bits.
        better: Which way is good.
        among: SQL for whether a conversation is one of those that it is the mean over.
        scale: So many of what `value` counts are one of the unit.
        reads: The columns of a row that the two read, beside `COLUMNS`.
        version: Counts up when the rule changes.
        gauge: What Prometheus is told of it as; nothing without.
        export: The column of exports with a conversation's own value; none without.

    Raises:
        ValueError: If another figure has the name.
    """
    part, whole = f"{name}_sum", _WHOLES.get(among, f"{name}_of")
    told = f"if({among}, {value} / {scale}, NULL)"
    return register(
        OfConversations(
            name=name, unit=unit, definition=definition, version=version,
            label=label, better=better, part=part, whole=whole, scale=scale,
            squares=f"{name}_squares", gauge=gauge,
            sums={part: f"sumIf({value}, {among})", whole: f"countIf({among})"},
            square=f"toString(sumIf(toInt256({value}) * {value}, {among}))",
            reads=reads,
            column=Column(export, told) if export else None,
        )
    )  # fmt: skip


RESOLVED_LOW: Final = share(
    "resolution_ratio_low",
    "Confirmed resolutions ÷ settled conversations.",
    label="Resolved, confirmed",
    counted="s.confirmed",
    better="higher",
)
RESOLVED_HIGH: Final = share(
    "resolution_ratio_high",
    "Confirmed and assumed resolutions ÷ settled conversations.",
    label="Resolved, with assumed",
    counted="s.outcome = 'resolved'",
    better="higher",
)
CONTAINED: Final = share(
    "containment_ratio",
    "Settled conversations without a handoff to a human ÷ settled conversations. Abandoned ones"
    " count as contained.",
    label="Contained",
    counted="NOT s.handed_off",
    better="higher",
    gauge="otel_chat_containment_ratio",
)
HANDED_OFF: Final = share(
    "handoff_ratio",
    "Settled conversations that were handed off ÷ settled conversations. With containment it adds"
    " up to 1.",
    label="Handed off",
    counted="s.handed_off",
    better="lower",
    version=2,
    gauge="otel_chat_handoff_ratio",
)
ABANDONED: Final = share(
    "abandonment_ratio",
    "Settled conversations that were abandoned ÷ settled conversations.",
    label="Abandoned",
    counted="s.outcome = 'abandoned'",
    better="lower",
    gauge="otel_chat_abandonment_ratio",
)
ENGAGEMENT: Final = mean(
    "engagement_score",
    "1",
    "Mean over conversations of 0-100 = 40·min(turns ÷ 10, 1) + 20·min(actions ÷ 3, 1) + 40·o,"
    " with o = 1 for resolved, 0.5 for open or handed_off, 0 for abandoned or failed.",
    label="Engagement score",
    value="s.engagement",
    better="higher",
    among=ALL,
    scale=3,
    gauge="otel_chat_engagement_score",
)
LENGTH: Final = mean(
    "mean_length_turns",
    "{turn}",
    "Turns of settled conversations ÷ settled conversations.",
    label="Turns of a conversation",
    value="s.turns",
    better="neither",
    version=2,
)
LENGTH_IN_MESSAGES: Final = mean(
    "mean_length_messages",
    "{message}",
    "Messages of all senders in settled conversations ÷ settled conversations.",
    label="Messages of a conversation",
    value="s.messages",
    better="neither",
    version=2,
)
DURATION: Final = mean(
    "mean_conversation_duration",
    "s",
    "Mean time from a settled conversation's first turn to the end of its last activity.",
    label="Length of a conversation",
    # The sum of nanoseconds takes more than 64 bits.
    value="toInt128(s.duration)",
    better="neither",
    scale=SCALE,
    version=2,
)

COLUMNS: Final = (
    "started_at", "settled", "handed_off", "outcome", "confirmed", "turns", "engagement", "cost",
    "messages", "duration", "handoffs", "feedback",
)  # fmt: skip
_SUMS: Final = {
    "conversations": "count()",
    **{f"outcome_{name}": f"countIf(s.outcome = '{name}')" for name in semconv.OUTCOMES},
    "handoffs_sum": "sumIf(s.handoffs, s.settled)",
    "contained_confirmed": "countIf(s.confirmed AND NOT s.handed_off)",
    "contained_resolved": "countIf(s.outcome = 'resolved' AND NOT s.handed_off)",
    **{
        f"contained_{name}": f"countIf(s.outcome = '{name}' AND NOT s.handed_off)"
        for name in ("abandoned", "failed")
    },
    "settled_cost": "sumIf(s.cost, s.settled)",
}


def columns() -> tuple[str, ...]:
    """The columns of conversations' rows that `sums` reads."""
    more = (name for one in every(OfConversations) for name in one.reads)
    return tuple(dict.fromkeys((*COLUMNS, *more)))


def sums(*, squares: bool = False) -> dict[str, str]:
    """What conversations sum up to: SQL over rows that are called `s`, by name.

    Args:
        squares: With what the intervals of means need.
    """
    found = dict(_SUMS)
    for one in every(OfConversations):
        found |= one.sums
        if squares and one.squares:
            found[one.squares] = one.square
    return found


def sums_sql(*, squares: bool = False) -> str:
    """The same as columns of a SELECT."""
    return ", ".join(f"{sql} AS {name}" for name, sql in sums(squares=squares).items())
