"""Intents as small numbers: time and intent of a turn in one whole number, which sorts fast.

At millions of turns the order of a conversation's intents is the dearest thing to work out. As
pairs of time and text it takes twice as long as by such numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otel_chat import semconv
from otel_chat.server.queries.days import days_of
from otel_chat.server.queries.window import MARGIN

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from otel_chat.server.queries.sql import Query
    from otel_chat.server.queries.window import Window

NUMBERS: Final = 1024
LAST: Final = NUMBERS - 1
FOLDED: Final = (
    f"Of more than {LAST - 1:,} intents in a window the rarest are counted together, as"
    f" {semconv.OTHER}."
)
_NAMES: Final = "{intents:Array(String)}, {intent_numbers:Array(UInt16)}"


def micros(column: str) -> str:
    """SQL for the microseconds of a time since the epoch."""
    return f"toUInt64(intDiv(toUnixTimestamp64Nano({column}), 1000))"


def intent_number(name: str) -> str:
    """SQL for the number of an intent's name."""
    # By a hash: `indexOf` would compare with one name after the other.
    return f"transform(toString({name}), {_NAMES}, toUInt16({LAST}))"


TURN_MICROS: Final = micros("start")
TURN_INTENT: Final = f"{TURN_MICROS} * {NUMBERS} + {intent_number('intent')}"
"""SQL for the microsecond of a turn's start, times 1024, and the number of its intent.

Of the same microsecond the last by name is the last. Good until 2250, later than any time that
the ingest takes.
"""


def number_intents(query: Query, window: Window) -> Mapping[int, str]:
    """Number the intents of a window; what uses these numbers must be asked after it.

    Args:
        query: The SELECT that is to use the numbers.
        window: The time whose intents to number, with a margin.

    Returns:
        The intents by number, from 1. Of more than 1,022 the rarest share the last number, as
        `_other`.
    """
    start, end = window.start - MARGIN, window.end + MARGIN
    asked = (start, end)
    if asked in query.numbered:
        return query.numbered[asked]
    names = _all(query, start, end)
    if len(names) >= LAST:
        names = _most_frequent(query, start, end)
    query.parameters["intents"] = names or [""]
    query.parameters["intent_numbers"] = [*range(1, len(names) + 1)] or [1]
    query.numbered = {asked: {**dict(enumerate(names, 1)), LAST: semconv.OTHER}}
    return query.numbered[asked]


def _all(query: Query, start: datetime, end: datetime) -> list[str]:
    """The names of all intents of turns of these days, in order; more than fit are not all."""
    days = days_of(query, start.date(), end.date())
    within = days.afresh_condition(query, "start")
    parts = [query.select("turns", ("intent",), [within], once=False)]
    if days.kept:
        kept = days.kept_conditions(query)
        parts.append(query.select("intent_days", ("intent",), kept, once=False))
    found = query.run(f"""
        SELECT DISTINCT toString(intent) AS name
        FROM ({" UNION ALL ".join(parts)})
        WHERE intent != ''
        LIMIT {LAST}
    """)  # noqa: S608
    return sorted(row["name"] for row in found)


def _most_frequent(query: Query, start: datetime, end: datetime) -> list[str]:
    rows = query.table("turns", ("intent",), [query.between("start", start, end)], once=False)
    found = query.run(f"""
        SELECT toString(intent) AS name, count() AS times
        FROM {rows}
        WHERE intent != ''
        GROUP BY intent
        ORDER BY times DESC, name
        LIMIT {LAST - 1}
    """)  # noqa: S608
    return sorted(row["name"] for row in found)
