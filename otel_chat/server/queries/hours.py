"""When people write: by weekday and hour of a time zone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field

from otel_chat.errors import QueryError
from otel_chat.server.queries.aggregation import Selection, turns_by_conversation
from otel_chat.server.queries.answers import Answer, TimeSpan, exact_mean
from otel_chat.server.queries.figures import turns_source
from otel_chat.server.queries.registry import figure, query
from otel_chat.server.queries.sql import Query, nanos, ratio, total
from otel_chat.server.queries.window import Window

if TYPE_CHECKING:
    from otel_chat.server.access import Scope
    from otel_chat.server.queries.filters import Filters
    from otel_chat.server.store import Store

UTC_NAME: Final = "UTC"
DAYS: Final = 7
HOURS: Final = 24
QUARTER: Final = 900_000_000_000
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
    mean_response_time: float | None = Field(description="Of these turns, seconds.")
    handoffs: int = Field(description="Of these turns, those that asked for a human.")


class PeakHours(Answer):
    """Every hour of the week, added up over the weeks of the window."""

    window: TimeSpan
    timezone: str
    cells: list[HourOfWeek] = Field(description="168, Monday 0 h first.")
    peak: HourOfWeek | None = Field(description="The hour with the most turns; the first of equal.")
    peak_share: float | None = Field(description="Its turns ÷ all turns.")


def check_zone(timezone: str) -> None:
    """Refuses a time zone that there is not.

    Raises:
        QueryError: If it is none.
    """
    try:
        ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        message = "A time zone is named as in Europe/Berlin or UTC."
        raise QueryError(message, field="timezone") from error


def counts_by_hour(
    statement: Query, window: Window, filters: Filters, timezone: str
) -> dict[tuple[int, int], int]:
    """How many turns of the window there are by weekday and hour of a time zone."""
    source = turns_source(statement, window, filters, ("start",))
    # By the quarter first, as no zone is told in less: to look up an hour takes its time.
    slot = f"toUInt32(intDiv({nanos('start')}, {QUARTER}))"
    begin = f"fromUnixTimestamp64Nano(toInt64(slot) * {QUARTER}, 'UTC')"
    grid = _grid(
        statement,
        f"""
        SELECT {_place(statement, begin, timezone)}, sum(counted) AS turns
        FROM (SELECT {slot} AS slot, count() AS counted FROM {source} AS t GROUP BY slot)
        GROUP BY weekday, hour
        """,  # noqa: S608
    )
    return {place: row["turns"] for place, row in grid.items()}


def turns_by_hour(statement: Query, window: Window, filters: Filters, timezone: str) -> Grid:
    """Turns of the window by weekday and hour of a time zone, with what they were like."""
    source = turns_source(statement, window, filters, ("start", "duration", "handoff"))
    return _grid(
        statement,
        f"""
        SELECT {_place(statement, "start", timezone)}, count() AS turns,
            {total("duration")} AS duration_sum, countIf(handoff) AS handoffs
        FROM {source} AS t
        GROUP BY weekday, hour
        """,  # noqa: S608
    )


def _place(statement: Query, column: str, timezone: str) -> str:
    zone = statement.bind(timezone, "String")
    return f"toDayOfWeek({column}, 1, {zone}) AS weekday, toHour({column}, {zone}) AS hour"


def _grid(statement: Query, sql: str) -> Grid:
    return {(row["weekday"], row["hour"]): row for row in statement.run(sql)}


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
    check_zone(timezone)
    statement = Query(store, scope)
    turns = turns_by_hour(statement, window, filters, timezone)
    begun = turns_by_conversation(statement, Selection(window, filters))
    conversations = _grid(
        statement,
        f"SELECT {_place(statement, 'started_at', timezone)}, count() AS conversations"  # noqa: S608
        f" FROM {begun} AS c GROUP BY weekday, hour",
    )
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
        mean_response_time=exact_mean(turns.get("duration_sum"), count),
        handoffs=turns.get("handoffs", 0),
    )
