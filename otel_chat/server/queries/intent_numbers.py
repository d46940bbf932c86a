"""Intents as small numbers: time and intent of a turn in one whole number, which sorts fast.

At millions of turns the order of a conversation's intents is the dearest thing to work out. As
pairs of time and text it takes twice as long as by such numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from otel_chat import semconv
from otel_chat.server.queries.window import MARGIN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_chat.server.queries.sql import Query
    from otel_chat.server.queries.window import Window

IntentSource = Literal["turn", "annotation"]
NUMBERS: Final = 1024
LAST: Final = NUMBERS - 1
FOLDED: Final = (
    f"Of more than {LAST - 1:,} intents in a window the rarest are counted together, as"
    f" {semconv.OTHER}."
)
ANNOTATED: Final = f"name = '{semconv.EVENT_INTENT}' AND source = 'annotation' AND intent != ''"
_NAMES: Final = "{intents:Array(String)}"


def micros(column: str) -> str:
    """SQL for the microseconds of a time since the epoch."""
    return f"toUInt64(intDiv(toUnixTimestamp64Nano({column}), 1000))"


def moment_and_intent(column: str) -> str:
    """SQL for the microsecond of a time, times 1024, and the number of the row's intent.

    Of the same microsecond the last by name is the last. Good until 2250, later than any time that
    the ingest takes.
    """
    number = f"indexOf({_NAMES}, intent)"
    return f"{micros(column)} * {NUMBERS} + if({number} = 0, {LAST}, {number})"


TURN_MICROS: Final = micros("start")
TURN_INTENT: Final = moment_and_intent("start")


def intent_number(name: str) -> str:
    """SQL for the number of an intent's name, found by a hash: for names out of an array."""
    names = f"if(empty({_NAMES}), [''], {_NAMES})"
    numbers = f"arrayMap(x -> toUInt64(x), arrayEnumerate({names}))"
    return f"transform(toString({name}), {names}, {numbers}, toUInt64({LAST}))"


def number_intents(
    query: Query, window: Window, source: IntentSource = "turn"
) -> Mapping[int, str]:
    """Number the intents of a window; what uses `moment_and_intent` must be asked after it.

    Args:
        query: The SELECT that is to use the numbers.
        window: The time whose intents to number, with a margin.
        source: Whose intents: those of turns, or those of annotations.

    Returns:
        The intents by number, from 1. Of more than 1,022 the rarest share the last number, as
        `_other`.
    """
    start, end = window.start - MARGIN, window.end + MARGIN
    asked = (start, end, source)
    if asked in query.numbered:
        return query.numbered[asked]
    if source == "turn":
        rows = query.table("turns", ("intent",), [query.between("start", start, end)], once=False)
    else:
        within = query.between("time", start, end)
        rows = query.table("events", ("intent",), [within, ANNOTATED], once=False)
    found = query.run(f"""
        SELECT toString(intent) AS name, count() AS times
        FROM {rows}
        WHERE intent != ''
        GROUP BY intent
        ORDER BY times DESC, name
        LIMIT {LAST - 1}
    """)  # noqa: S608
    names = sorted(row["name"] for row in found)
    query.parameters["intents"] = names
    query.numbered = {asked: {**dict(enumerate(names, 1)), LAST: semconv.OTHER}}
    return query.numbered[asked]
