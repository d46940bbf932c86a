"""Turns counted by all that statistics are broken down by, and what they sum up to.

There are few combinations, and whole numbers add up to the same in any order: so one pass over the
turns serves every breakdown, and a day that is kept need not be read again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from otel_chat.server.queries.figures import turn_limits
from otel_chat.server.queries.partials import DIMENSIONS, MODEL, TOKENS, TURN_PARTIALS
from otel_chat.server.queries.sums import all_of, whole, whole_days

if TYPE_CHECKING:
    from otel_chat.server.queries.days import Days
    from otel_chat.server.queries.filters import Filters
    from otel_chat.server.queries.sql import Query
    from otel_chat.server.queries.window import Window

BINS: Final = 10
KEYS: Final[Mapping[str, str]] = {
    "model": MODEL,
    "message_type": "message_type",
    "handoff": "handoff",
    "handoff_reason": "if(handoff, handoff_reason, '')",
    "bin": "toInt8(if(confidence IS NULL, -1,"
    f" least(floor(assumeNotNull(confidence) * {BINS}), {BINS - 1})))",
}
"""What turns are told apart by: the SQL of each. A bin of -1 has no confidence."""

COUNTS: Final[Mapping[str, str]] = {
    **{
        name: TURN_PARTIALS[name].sql
        for name in (
            "turns", "duration_sum", "low_confidence", "errors", "classified", "fallbacks",
            "token_turns", "priced_turns", "unpriced_turns",
        )
    },
    "confidence_n": TURN_PARTIALS["confidences"].sql,
    "confidence_sum": f"ifNull({TURN_PARTIALS['confidence_sum'].sql}, 0)",
}  # fmt: skip
SUMS: Final[Mapping[str, str]] = {
    f"sum_{name}": TURN_PARTIALS[name].sql for name in (*TOKENS, "cost")
}
"""Null where no turn says it."""

_ADDED: Final[Mapping[str, str]] = {**COUNTS, **SUMS}
KEPT: Final = (*DIMENSIONS, *KEYS, *_ADDED)
"""The columns of `turn_days` beside its day, its generation and the tenant."""

_READ: Final = (
    "duration", "status", *TOKENS, "confidence", "fallback", "intent",
    "handoff", "handoff_reason", "cost", "cost_source", "message_type", "request_model",
    "response_model",
)  # fmt: skip


def counted(rows: str, *by: str) -> str:
    """A SELECT of turns counted by `KEYS`: columns have their names after `n_`.

    Args:
        rows: The turns: what stands after FROM.
        by: What to tell them apart by beside, out of their columns.
    """
    keys = ", ".join((*by, *(f"{sql} AS n_{name}" for name, sql in KEYS.items())))
    sums = ", ".join(f"{sql} AS n_{name}" for name, sql in _ADDED.items())
    groups = ", ".join((*by, *(f"n_{name}" for name in KEYS)))
    return f"SELECT {keys}, {sums} FROM {rows} GROUP BY {groups}"  # noqa: S608


def _kept(query: Query, days: Days, conditions: list[str]) -> str:
    """A SELECT of what is kept of whole days, as `counted`."""
    columns = (*KEYS, *_ADDED)
    table = query.table(
        "turn_days", columns, [*days.kept_conditions(query), *conditions], once=False
    )
    keys = ", ".join(f"{name} AS n_{name}" for name in KEYS)
    sums = ", ".join(f"sum({name}) AS n_{name}" for name in _ADDED)
    groups = ", ".join(f"n_{name}" for name in KEYS)
    return f"SELECT {keys}, {sums} FROM {table} AS d GROUP BY {groups}"  # noqa: S608


def tallies(query: Query, window: Window, filters: Filters) -> list[dict[str, Any]]:
    """The turns that started in the window, counted; a combination may come twice.

    Args:
        query: The SELECT under construction.
        window: The turns to take.
        filters: What they are limited to; `handoff` is the turn's own.

    Returns:
        Rows with the names of `KEYS`, `COUNTS` and `SUMS`.
    """
    others = (filters.conversation_id, filters.outcome, filters.state)
    kept = filters.by_dimensions and all(one is None for one in others)
    days = whole_days(query, window, whole) if kept else all_of(window)
    limits = turn_limits(query, window, filters)
    parts = []
    if days.kept:
        parts.append(_kept(query, days, limits))
    if days.afresh or not parts:
        spans = days.afresh_condition(query, "start")
        parts.append(counted(f"{query.table('turns', _READ, [spans, *limits])} AS t"))
    names = ", ".join(f"n_{name} AS {name}" for name in (*KEYS, *_ADDED))
    return query.run(f"SELECT {names} FROM ({' UNION ALL '.join(parts)})")  # noqa: S608
