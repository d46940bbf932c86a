"""Turns that ended in an error: few among many, and kept by themselves for days that are over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otel_chat.server.queries.days import days_of
from otel_chat.server.queries.figures import conditions_on_turns
from otel_chat.server.queries.partials import DIMENSIONS
from otel_chat.server.queries.sums import all_of

if TYPE_CHECKING:
    from otel_chat.server.queries.filters import Filters
    from otel_chat.server.queries.sql import Query
    from otel_chat.server.queries.window import Window

FAILED: Final = "status = 'error'"
KEPT: Final = (*DIMENSIONS, "conversation_id", "error_type", "start", "trace_id", "span_id")
"""The columns of turns that are kept of those that failed."""


def failed_turns(query: Query, window: Window, filters: Filters) -> str:
    """A subquery with the turns of a window that ended in an error: tenant and `KEPT`.

    Args:
        query: The SELECT that it becomes a part of.
        window: The turns to take.
        filters: What they are limited to.
    """
    told = filters.by_dimensions and not filters.whole_conversations
    days = days_of(query, window.start.date(), window.end.date()) if told else all_of(window)
    conditions = conditions_on_turns(query, window, filters)
    columns = ("tenant", *KEPT)
    sources = []
    if days.kept:
        kept = [*days.kept_conditions(query), *conditions]
        sources.append(query.table("failed_turns", columns, kept, once=False))
    if days.afresh or not sources:
        afresh = [days.afresh_condition(query, "start"), FAILED, *conditions]
        sources.append(query.table("turns", columns, afresh))
    return f"({' UNION ALL '.join(sources)})"
