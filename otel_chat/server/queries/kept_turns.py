"""Single turns that are kept by themselves for days that are over: few among many.

They are those that ended in an error, and the slowest of each tenant's day.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otel_chat.server.queries.days import days_of
from otel_chat.server.queries.figures import conditions_on_turns
from otel_chat.server.queries.paging import LARGEST_PAGE
from otel_chat.server.queries.partials import DIMENSIONS
from otel_chat.server.queries.sums import all_of, whole, whole_days

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_chat.server.queries.days import Days
    from otel_chat.server.queries.filters import Filters
    from otel_chat.server.queries.sql import Query, Table
    from otel_chat.server.queries.window import Window

FAILED: Final = (
    "tenant", *DIMENSIONS, "conversation_id", "error_type", "start", "trace_id", "span_id",
)  # fmt: skip
SLOW: Final = (
    "tenant", "conversation_id", "trace_id", "span_id", "agent", "request_model", "response_model",
    "intent", "start", "end", "duration", "status",
)  # fmt: skip
SLOWEST_FIRST: Final = "duration DESC, start DESC, trace_id, span_id"
_IS_FAILED: Final = "status = 'error'"


def failed(turns: str) -> str:
    """A SELECT of the turns that ended in an error: `FAILED`.

    Args:
        turns: The turns: what stands after FROM, with a WHERE.
    """
    return f"SELECT {', '.join(FAILED)} FROM {turns} AND {_IS_FAILED}"  # noqa: S608


def slow(turns: str) -> str:
    """A SELECT of as many of the slowest turns of each tenant as anybody may ask for: `SLOW`.

    Args:
        turns: The turns: what stands after FROM.
    """
    return (
        f"SELECT {', '.join(SLOW)} FROM {turns}"  # noqa: S608
        f" ORDER BY tenant, {SLOWEST_FIRST} LIMIT {LARGEST_PAGE} BY tenant"
    )


def failed_turns(query: Query, window: Window, filters: Filters) -> str:
    """A subquery with the turns of a window that ended in an error: `FAILED`.

    Args:
        query: The SELECT that it becomes a part of.
        window: The turns to take.
        filters: What they are limited to.
    """
    told = filters.by_dimensions and not filters.whole_conversations
    days = days_of(query, window.start.date(), window.end.date()) if told else all_of(window)
    conditions = conditions_on_turns(query, window, filters)
    return _turns(query, days, "failed_turns", FAILED, conditions, _IS_FAILED)


def slow_turns(query: Query, window: Window, filters: Filters) -> str:
    """A subquery with turns of a window, the slowest among them: `SLOW`.

    Args:
        query: The SELECT that it becomes a part of.
        window: The turns to take.
        filters: What they are limited to.
    """
    days = whole_days(query, window, whole) if filters.empty else all_of(window)
    conditions = conditions_on_turns(query, window, filters)
    return _turns(query, days, "slow_turns", SLOW, conditions)


def _turns(
    query: Query,
    days: Days,
    table: Table,
    columns: Sequence[str],
    conditions: Sequence[str],
    *of_others: str,
) -> str:
    """Those of kept days from what is kept, those of others from all turns."""
    sources = []
    if days.kept:
        kept = [*days.kept_conditions(query), *conditions]
        sources.append(query.table(table, columns, kept, once=False))
    if days.afresh or not sources:
        afresh = [days.afresh_condition(query, "start"), *conditions, *of_others]
        sources.append(query.table("turns", columns, afresh))
    return f"({' UNION ALL '.join(sources)})"
