"""What is going on right now."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from pydantic import Field

from otel_chat.errors import QueryError
from otel_chat.server.figures.answers import Answer
from otel_chat.server.figures.conversation_rows import Selection, conversation_rows
from otel_chat.server.figures.figures import event_figures, turns_source
from otel_chat.server.figures.registry import figure, query
from otel_chat.server.figures.sql import SCALE, Query, mean, ratio
from otel_chat.server.figures.sums import whole
from otel_chat.server.figures.window import Window
from otel_chat.server.questions.feedback import ScaleMean, means_by_scale
from otel_chat.server.rules import RESPONSE_TIME

if TYPE_CHECKING:
    from otel_chat.server.access import Scope
    from otel_chat.server.figures.filters import Filters
    from otel_chat.server.store import Store

MINUTES: Final = 5
LONGEST: Final = 60


class Realtime(Answer):
    """The last minutes; null where nothing happened in them."""

    timestamp: datetime = Field(description="When it was asked about, UTC.")
    minutes: int = Field(description="How far it looks back.")
    active_conversations: int = figure(
        "realtime_active_conversations",
        "{conversation}",
        "Conversations without an explicit end that were active less than the idle time ago.",
    )
    turns: int = figure("realtime_turns", "{turn}", "Turns that started in these minutes.")
    avg_response_time_ms: float | None = figure(
        "realtime_response_time", "ms", "Mean response time of the answered ones.", version=2
    )
    errors: int = figure("realtime_errors", "{turn}", "Of these turns, those that failed.")
    handoffs: int = figure(
        "realtime_handoffs", "{turn}", "Of these turns, those that asked for a human."
    )
    avg_satisfaction: float | None = figure(
        "realtime_satisfaction",
        "1",
        "Mean of (value - min) ÷ (max - min) over the user feedback of the last hour.",
    )
    ratings: int = Field(description="How much feedback that was.")
    satisfaction_by_scale: list[ScaleMean] = Field(
        description="The same on each scale that it was given on, as 1 to 5; the most used first."
    )


@query()
def realtime(
    store: Store, scope: Scope, window: Window, filters: Filters, minutes: int = MINUTES
) -> Realtime:
    """What is going on at the end of the window.

    Args:
        store: The store to ask.
        scope: What the caller may see.
        window: It ends when it is asked about.
        filters: What it is limited to.
        minutes: How far to look back for turns, 1 to 60.

    Raises:
        QueryError: If the minutes are none of these.
    """
    if not 1 <= minutes <= LONGEST:
        raise QueryError(f"Give minutes from 1 to {LONGEST}.", field="minutes")
    last = replace(window, start=window.end - timedelta(minutes=minutes))
    turns = _turns(Query(store, scope), last, filters)
    hour = replace(window, start=window.end - timedelta(hours=1))
    rated = event_figures(Query(store, scope), hour, filters, whole).get(1, {})
    count, ratings = turns.get("turns", 0), rated.get("ratings", 0)
    seconds = turns.get("response_mean")
    return Realtime(
        timestamp=window.now,
        minutes=minutes,
        active_conversations=_active(Query(store, scope), window, filters),
        turns=count,
        avg_response_time_ms=None if seconds is None else seconds * 1000,
        errors=turns.get("errors", 0),
        handoffs=turns.get("handoffs", 0),
        avg_satisfaction=ratio(rated.get("score_sum"), ratings * SCALE),
        ratings=ratings,
        satisfaction_by_scale=means_by_scale(Query(store, scope), hour, filters) if ratings else [],
    )


def _turns(statement: Query, window: Window, filters: Filters) -> dict[str, float]:
    source = turns_source(
        statement, window, filters, (f"{RESPONSE_TIME} AS response_time", "status", "handoff")
    )
    return statement.one(f"""
        SELECT count() AS turns, {mean("response_time")} AS response_mean,
            countIf(status = 'error') AS errors, countIf(handoff) AS handoffs
        FROM {source} AS t
    """)  # noqa: S608


def _active(statement: Query, window: Window, filters: Filters) -> int:
    # Whenever it started; whoever is open has had a turn within the day.
    recent = replace(window, start=window.end - timedelta(days=1), by="active")
    rows = conversation_rows(statement, Selection(recent, filters), "settled")
    found = statement.one(f"SELECT countIf(NOT settled) AS active FROM {rows} AS c")  # noqa: S608
    return int(found.get("active", 0))
