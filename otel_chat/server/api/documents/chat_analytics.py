"""`/admin/chat-analytics`: exports, and what is going on, of a chat assistant's sessions."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Annotated, Any, Final, Literal

from fastapi import Depends, Query, Request, Response
from pydantic import Field

from otel_chat.server.api.documents.parameters import MILLISECONDS, between_dates
from otel_chat.server.api.errors import RESPONSES
from otel_chat.server.api.exports import MEDIA, answer
from otel_chat.server.api.parameters import Exporter, NowParameter, StoreParameter, Viewer
from otel_chat.server.api.security import own_router
from otel_chat.server.figures.answers import Answer
from otel_chat.server.figures.filters import Filters
from otel_chat.server.figures.rows import Column, renamed
from otel_chat.server.figures.window import Window
from otel_chat.server.questions import exports as queries
from otel_chat.server.questions import realtime
from otel_chat.server.questions.exports import ANALYTICS, MESSAGES, SESSIONS

router = own_router(
    prefix="/admin/chat-analytics", tags=["documents: chat analytics"], responses=RESPONSES
)

AllDates = Annotated[Window, Depends(between_dates(None))]
UserType = Annotated[
    str | None,
    Query(max_length=1000, description="client, provider, anonymous or as the application says."),
]
SessionId = Annotated[str | None, Query(max_length=1000, description="One session.")]
_CSV: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "CSV. It is whole only if its last, empty chunk arrives.",
        "content": {"text/csv": {}},
    }
}


class Now(Answer):
    """What is going on right now; null where nothing happened."""

    active_sessions: int
    avg_response_time: float | None = Field(description="Of the last minutes, milliseconds.")
    avg_satisfaction: float | None = Field(
        description="Of the last hour, on the scale that most feedback was given on, as 1 to 5."
    )
    timestamp: datetime


def _ms(name: str, seconds: str) -> Column:
    return Column(name, f"{seconds} * {MILLISECONDS}")


def _sql(columns: tuple[Column, ...], name: str) -> str:
    return next(column.sql or column.name for column in columns if column.name == name)


_COUNTS: Final = renamed(
    SESSIONS,
    total_messages="messages",
    user_messages="user_messages",
    assistant_messages="assistant_messages",
)
_RESPONSE: Final = _ms("average_response_time_ms", f"({_sql(SESSIONS, 'mean_response_time')})")
SESSION_FIELDS: Final = (
    *renamed(SESSIONS, session_id="conversation_id", user="user_hash", user_type="user_type"),
    *renamed(SESSIONS, status="state"),
    *renamed(SESSIONS, created_at="started_at", updated_at="last_at", closed_at="closed_at"),
    *_COUNTS,
    _RESPONSE,
    *renamed(SESSIONS, satisfaction_rating="rating", resolved="resolved"),
    *renamed(SESSIONS, topics_discussed="topics", engagement_score="engagement_score"),
)
MESSAGE_FIELDS: Final = (
    *renamed(MESSAGES, message_id="message_id", session_id="conversation_id", user="user_hash"),
    *renamed(MESSAGES, sender_type="sender", content="content", created_at="created_at"),
    _ms("processing_time_ms", "processing_time"),
    *renamed(MESSAGES, is_cached="cached", metadata="metadata"),
)
ANALYTICS_FIELDS: Final = (
    *renamed(ANALYTICS, analytics_id="conversation_id", session_id="conversation_id"),
    *renamed(ANALYTICS, user="user_hash"),
    *_COUNTS,
    _RESPONSE,
    *renamed(ANALYTICS, resolved="resolved", escalated_to_human="handoff"),
    *renamed(ANALYTICS, topics_discussed="topics", actions_taken="actions_taken"),
    *renamed(ANALYTICS, engagement_score="engagement_score", session_duration_seconds="duration"),
)


@router.get("/api/", summary="What is going on right now")
@router.get("/api", include_in_schema=False)
def now(store: StoreParameter, scope: Viewer, window: NowParameter) -> Now:
    """As `/api/v1/realtime` tells."""
    found = realtime.realtime(store, scope, window, Filters())
    scales = found.satisfaction_by_scale
    return Now(
        active_sessions=found.active_conversations,
        avg_response_time=found.avg_response_time_ms,
        avg_satisfaction=scales[0].mean if scales else None,
        timestamp=found.timestamp,
    )


@router.get("/export/sessions/", summary="Sessions as CSV", responses=_CSV)
@router.get("/export/sessions", include_in_schema=False)
async def sessions(
    request: Request,
    store: StoreParameter,
    scope: Exporter,
    window: AllDates,
    user_type: UserType = None,
    is_active: Annotated[
        bool | None, Query(description="Those that are open, or those that are settled.")
    ] = None,
) -> Response:
    """As `/api/v1/exports/sessions` has them; all that there are without dates."""
    state: dict[bool | None, Literal["open", "settled"]] = {True: "open", False: "settled"}
    filters = Filters(user_type=user_type, state=state.get(is_active))
    start = partial(
        queries.export_sessions, store, scope, window, filters, "csv", columns=SESSION_FIELDS
    )
    return await answer(request, start, "sessions.csv", MEDIA["csv"])


@router.get("/export/messages/", summary="Messages as CSV", responses=_CSV)
@router.get("/export/messages", include_in_schema=False)
async def messages(
    request: Request,
    store: StoreParameter,
    scope: Exporter,
    window: AllDates,
    session_id: SessionId = None,
    sender_type: Annotated[
        queries.Sender | None, Query(description="The messages of one sender.")
    ] = None,
) -> Response:
    """As `/api/v1/exports/messages` has them; their content with conversations:read only."""
    start = partial(
        queries.export_messages,
        store,
        scope,
        window,
        Filters(conversation_id=session_id),
        "csv",
        sender=sender_type,
        columns=MESSAGE_FIELDS,
    )
    return await answer(request, start, "messages.csv", MEDIA["csv"])


@router.get("/export/analytics/", summary="Figures of each session as CSV", responses=_CSV)
@router.get("/export/analytics", include_in_schema=False)
async def analytics(
    request: Request,
    store: StoreParameter,
    scope: Exporter,
    window: AllDates,
    user_type: UserType = None,
    resolved: Annotated[
        bool | None, Query(description="Settled sessions that ended resolved, or did not.")
    ] = None,
) -> Response:
    """As `/api/v1/exports/analytics` has them; a session's analytics have its id."""
    start = partial(
        queries.export_analytics,
        store,
        scope,
        window,
        Filters(user_type=user_type),
        "csv",
        resolved=resolved,
        columns=ANALYTICS_FIELDS,
    )
    return await answer(request, start, "analytics.csv", MEDIA["csv"])
