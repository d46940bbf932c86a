"""When people write: by weekday and hour of a time zone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pydantic import Field

from otel_chat._common.moments import UTC_NAME, zone_of
from otel_chat.server.figures.answers import Answer, TimeSpan, exact_mean
from otel_chat.server.figures.conversation_rows import Selection, conversation_rows
from otel_chat.server.figures.figures import conditions_on_turns
from otel_chat.server.figures.registry import figure, query
from otel_chat.server.figures.sql import Query, ratio
from otel_chat.server.figures.sums import Grouping, added, sums
from otel_chat.server.figures.window import Window

if TYPE_CHECKING:
    from otel_chat.server.access import Scope
    from otel_chat.server.figures.filters import Filters
    from otel_chat.server.store import Store

DAYS: Final = 7
HOURS: Final = 24
Grid = dict[tuple[int, int], dict[str, Any]]
"""Rows by weekday, 0 for Monday, and hour."""


class HourOfWeek(Answer):
    """An hour of a weekday; null where nothing happened in it."""

    weekday: int = Field(ge=0, le=6, description="0 is Monday.")
    hour: int = Field(ge=0, le=23)
    conversations: int = figure(
        "conversations_by_hour",
        "{conversation}",
        "Conversations whose first turn started in this hour of this weekday.",
    )
    turns: int = Field(description="Turns that started in it.")
    mean_response_time: float | None = Field(description="Of those that were answered, seconds.")
    handoffs: int = Field(description="Of these turns, those that asked for a human.")


class PeakHours(Answer):
    """Every hour of the week, added up over the weeks of the window."""

    window: TimeSpan
    timezone: str
    cells: list[HourOfWeek] = Field(description="168, Monday 0 h first.")
    peak: HourOfWeek | None = Field(description="The hour with the most turns; the first of equal.")
    peak_share: float | None = Field(description="Its turns ÷ all turns.")


_OF_TURNS: Final = ("turns", "response_n", "response_sum", "handoff_turns")


def _slot(column: str) -> str:
    return f"toStartOfFifteenMinutes({column})"


_BY_SLOT: Final = Grouping(lambda _query, column: _slot(column))


def turns_by_hour(statement: Query, window: Window, filters: Filters, timezone: str) -> Grid:
    """Turns of the window by weekday and hour of a time zone, with what they were like."""
    conditions = conditions_on_turns(statement, window, filters)
    slots = sums(statement, "turns", conditions, _BY_SLOT, _OF_TURNS)
    counts = added(_OF_TURNS)
    return _grid(statement, slots, counts, timezone)


def _conversations_by_hour(
    statement: Query, window: Window, filters: Filters, timezone: str
) -> Grid:
    """Conversations that began in the window by weekday and hour."""
    begun = conversation_rows(statement, Selection(window, filters), "started_at")
    slots = f"(SELECT {_slot('started_at')} AS part, count() AS begun FROM {begun} GROUP BY part)"  # noqa: S608
    return _grid(statement, slots, "sum(begun) AS conversations", timezone)


def _grid(statement: Query, slots: str, counts: str, timezone: str) -> Grid:
    """Counts by hour from those by quarters of an hour: to look up an hour takes its time."""
    zone = statement.bind(timezone, "String")
    rows = statement.run(f"""
        SELECT toDayOfWeek(part, 1, {zone}) AS weekday, toHour(part, {zone}) AS hour, {counts}
        FROM {slots} AS s
        GROUP BY weekday, hour
    """)  # noqa: S608
    return {(row["weekday"], row["hour"]): row for row in rows}


@query()
def peak_hours(
    store: Store, scope: Scope, window: Window, filters: Filters, timezone: str = UTC_NAME
) -> PeakHours:
    """When people write.

    Args:
        store: The store to ask.
        scope: What the caller may see.
        window: The turns, and the conversations that started, to take.
        filters: What they are limited to.
        timezone: As Europe/Berlin; its summer time is followed.

    Raises:
        QueryError: If there is no such time zone.
    """
    zone_of(timezone)
    begun = store.submit(_conversations_by_hour, Query(store, scope), window, filters, timezone)
    turns = turns_by_hour(Query(store, scope), window, filters, timezone)
    conversations = begun.result()
    cells = [
        _cell(day, hour, turns.get((day, hour), {}), conversations.get((day, hour), {}))
        for day in range(DAYS)
        for hour in range(HOURS)
    ]
    peak = max(cells, key=lambda cell: cell.turns)
    every = sum(cell.turns for cell in cells)
    return PeakHours(
        window=TimeSpan.of(window),
        timezone=timezone,
        cells=cells,
        peak=peak if peak.turns else None,
        peak_share=ratio(peak.turns, every),
    )


def _cell(day: int, hour: int, turns: dict[str, Any], begun: dict[str, Any]) -> HourOfWeek:
    count = turns.get("turns", 0)
    return HourOfWeek(
        weekday=day,
        hour=hour,
        conversations=begun.get("conversations", 0),
        turns=count,
        mean_response_time=exact_mean(turns.get("response_sum"), turns.get("response_n")),
        handoffs=turns.get("handoff_turns", 0),
    )
