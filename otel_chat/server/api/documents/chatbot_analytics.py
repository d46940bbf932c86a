"""`/api/analytics`: overview, conversations, engagement, intents, performance, leads, exports.

The document prints addresses and parameters; the keys are those of its tables.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import Annotated, Final, Literal

from fastapi import Depends, Query, Request, Response
from pydantic import Field

from otel_chat.server.api import exports as export_routes
from otel_chat.server.api.documents.parameters import LastDays, known_milliseconds
from otel_chat.server.api.errors import RESPONSES
from otel_chat.server.api.flow import zipped
from otel_chat.server.api.parameters import (
    CursorParameter,
    Exporter,
    LimitParameter,
    StoreParameter,
    Viewer,
    idle_of,
)
from otel_chat.server.api.security import own_router
from otel_chat.server.figures.answers import Answer
from otel_chat.server.figures.filters import Filters
from otel_chat.server.figures.paging import PAGE
from otel_chat.server.figures.rows import Format
from otel_chat.server.figures.window import Window
from otel_chat.server.questions import conversations as conversation_queries
from otel_chat.server.questions import engagement as engagement_queries
from otel_chat.server.questions import exports, nlu, overview, process, routes
from otel_chat.server.questions import leads as lead_queries

router = own_router(
    prefix="/api/analytics", tags=["documents: chatbot analytics"], responses=RESPONSES
)

ALL: Final = Filters()
MEBIBYTE: Final = 1024 * 1024


def last_hours(
    request: Request,
    hours: Annotated[
        int, Query(ge=1, le=366 * 24, description="So many hours up to now.", examples=[24])
    ] = 24,
) -> Window:
    """The window of so many hours that ends now."""
    return Window.up_to_now(timedelta(hours=hours), idle=idle_of(request))


LastHours = Annotated[Window, Depends(last_hours)]


class ChatOverview(Answer):
    """What the last days were like; null over nothing."""

    total_conversations: int
    active_conversations: int
    total_messages: int
    avg_response_time_ms: float | None
    avg_satisfaction: float | None = Field(description="0 to 1.")
    total_leads: int
    conversion_rate: float | None = Field(description="Conversations with a lead ÷ all, 0 to 1.")
    error_rate: float | None = Field(description="Failed turns ÷ turns, 0 to 1.")


class ChatConversation(Answer):
    """A conversation in a line."""

    session_id: str
    message_count: int
    intent_detected: str = Field(description="The last one; empty without any.")
    response_time_ms: float | None = Field(description="Mean over its turns.")
    user_satisfied: bool | None = Field(
        description="By the feedback in it; null without any, or where it is of both kinds."
    )
    timestamp: datetime


class ChatConversations(Answer):
    """A page of conversations, newest first."""

    conversations: list[ChatConversation]
    next_cursor: str | None = Field(description="Ask with it for the next page; null at the end.")


class UserEngagement(Answer):
    """How people use the chat."""

    total_users: int = Field(description="Where the ids of users are hashed.")
    total_conversations: int
    total_messages: int
    session_duration_seconds: float | None = Field(description="Mean.")
    first_interaction: datetime | None
    last_interaction: datetime | None
    pages_visited: dict[str, int] = Field(description="Conversations by page.")
    conversion_event: dict[str, int] = Field(description="Conversations by kind of lead.")
    device_type: dict[str, int] = Field(description="Conversations by device.")
    browser: dict[str, int] = Field(description="Conversations by browser.")
    referrer: dict[str, int] = Field(description="Conversations by the host they came from.")


class IntentPerformance(Answer):
    """The figures of one intent."""

    intent_name: str
    trigger_count: int
    success_count: int
    failure_count: int
    avg_confidence: float | None
    avg_response_time_ms: float | None


class IntentAnalytics(Answer):
    """Intents, the most frequent first."""

    intents: list[IntentPerformance]


class EndpointPerformance(Answer):
    """The turns of an endpoint that were answered with one status."""

    endpoint: str
    status_code: int | None
    requests: int
    errors: int
    response_time_ms: float | None = Field(description="Mean.")


class ProcessUse(Answer):
    """What a process of the application uses."""

    service: str
    instance: str
    timestamp: datetime = Field(description="When it was last heard of.")
    memory_usage_mb: float | None
    cpu_usage_percent: float | None = Field(description="100 is one whole processor.")


class PerformanceMetrics(Answer):
    """How fast, what fails, and what it takes."""

    endpoints: list[EndpointPerformance]
    processes: list[ProcessUse]


class LeadKind(Answer):
    """Leads of one kind."""

    kind: str
    leads: int
    conversations: int


class LeadAnalytics(Answer):
    """How many conversations make a lead."""

    total_leads: int
    converted_conversations: int
    total_conversations: int
    conversion_rate: float | None = Field(description="0 to 1.")
    leads: list[LeadKind]


@router.get("/overview", summary="What the last days were like")
def chat_overview(store: StoreParameter, scope: Viewer, window: LastDays) -> ChatOverview:
    """As `/api/v1/overview` and `/api/v1/leads` tell."""
    converted = store.submit(lead_queries.leads, store, scope, window, ALL)
    found = overview.overview(store, scope, window, ALL)
    made = converted.result()
    return ChatOverview(
        total_conversations=found.conversations,
        active_conversations=found.active_conversations,
        total_messages=found.messages,
        avg_response_time_ms=known_milliseconds(found.response_time.mean),
        avg_satisfaction=found.satisfaction.mean,
        total_leads=made.leads,
        conversion_rate=made.conversion_rate,
        error_rate=found.errors.rate,
    )


@router.get("/conversations", summary="Conversations of the last days")
def chat_conversations(
    store: StoreParameter,
    scope: Viewer,
    window: LastDays,
    limit: LimitParameter = PAGE,
    cursor: CursorParameter = None,
) -> ChatConversations:
    """As `/api/v1/conversations` tells."""
    found = conversation_queries.conversations(store, scope, window, ALL, limit, cursor)
    satisfied = {"positive": True, "negative": False}
    return ChatConversations(
        conversations=[
            ChatConversation(
                session_id=one.conversation_id,
                message_count=one.messages,
                intent_detected=one.last_intent,
                response_time_ms=known_milliseconds(one.mean_response_time),
                user_satisfied=satisfied.get(one.feedback or ""),
                timestamp=one.started_at,
            )
            for one in found.items
        ],
        next_cursor=found.next_cursor,
    )


@router.get("/engagement", summary="How people used the chat in the last days")
def user_engagement(store: StoreParameter, scope: Viewer, window: LastDays) -> UserEngagement:
    """As `/api/v1/engagement` and its dimensions tell."""
    asked = (store, scope, window, ALL)
    whole = store.submit(engagement_queries.engagement, *asked)
    sums = store.submit(overview.overview, *asked)
    made = store.submit(lead_queries.leads, *asked)

    def by(dimension: engagement_queries.Dimension) -> dict[str, int]:
        found = engagement_queries.segments(*asked, dimension)
        return {one.name: one.conversations for one in found.items if one.name}

    segments = {
        "pages_visited": by("page"),
        "device_type": by("device"),
        "browser": by("browser"),
        "referrer": by("referrer"),
    }
    found = whole.result()
    return UserEngagement(
        total_users=found.users.users,
        total_conversations=found.conversations,
        total_messages=sums.result().messages,
        session_duration_seconds=found.duration.mean,
        first_interaction=found.first_interaction,
        last_interaction=found.last_interaction,
        conversion_event={one.kind: one.conversations for one in made.result().kinds},
        **segments,
    )


@router.get("/intents", summary="Intents of the last days")
def intent_analytics(store: StoreParameter, scope: Viewer, window: LastDays) -> IntentAnalytics:
    """As `/api/v1/intents` tells."""
    return IntentAnalytics(
        intents=[
            IntentPerformance(
                intent_name=one.name,
                trigger_count=one.turns,
                success_count=one.success,
                failure_count=one.failure,
                avg_confidence=one.mean_confidence,
                avg_response_time_ms=known_milliseconds(one.mean_response_time),
            )
            for one in nlu.intents(store, scope, window, ALL).items
        ]
    )


@router.get("/performance", summary="How fast, what failed and what it took in the last hours")
def performance_metrics(
    store: StoreParameter, scope: Viewer, window: LastHours
) -> PerformanceMetrics:
    """As `/api/v1/performance/routes` and `/api/v1/performance/process` tell."""
    running = store.submit(process.processes, store, scope, window)
    found = routes.routes(store, scope, window, ALL)
    return PerformanceMetrics(
        endpoints=[
            EndpointPerformance(
                endpoint=one.route,
                status_code=one.status_code,
                requests=one.turns,
                errors=one.errors,
                response_time_ms=known_milliseconds(one.mean),
            )
            for one in found.items
        ],
        processes=[
            ProcessUse(
                service=one.service_name,
                instance=one.instance_id,
                timestamp=one.last_seen,
                memory_usage_mb=None if one.memory is None else one.memory / MEBIBYTE,
                cpu_usage_percent=None if one.cpu is None else 100 * one.cpu,
            )
            for one in running.result().items
        ],
    )


@router.get("/leads", summary="Leads of the last days")
def lead_analytics(store: StoreParameter, scope: Viewer, window: LastDays) -> LeadAnalytics:
    """As `/api/v1/leads` tells."""
    found = lead_queries.leads(store, scope, window, ALL)
    return LeadAnalytics(
        total_leads=found.leads,
        converted_conversations=found.converted,
        total_conversations=found.conversations,
        conversion_rate=found.conversion_rate,
        leads=[
            LeadKind(kind=one.kind, leads=one.leads, conversations=one.conversations)
            for one in found.kinds
        ],
    )


Type = Literal["all", "conversations", "messages", "engagement", "intents", "events"]
_EXPORTS: Final = {
    "conversations": exports.export_sessions,
    "messages": exports.export_messages,
    "engagement": exports.export_analytics,
    "intents": exports.export_interactions,
    "events": exports.export_events,
}


@router.get(
    "/export",
    summary="Rows of the last days",
    response_class=Response,
    responses={
        200: {
            "description": "The rows; of all kinds as a zip archive of a file each.",
            "content": {
                **{name.split(";")[0]: {} for name in export_routes.MEDIA.values()},
                export_routes.ZIP: {},
            },
        }
    },
)
async def export(
    request: Request,
    store: StoreParameter,
    scope: Exporter,
    window: LastDays,
    type: Annotated[Type, Query(description="Rows of what.")] = "all",  # noqa: A002 - its name
    format: Annotated[Format, Query(description="How they are written.")] = "csv",  # noqa: A002
) -> Response:
    """As the addresses at `/api/v1/exports` have them; several kinds have other names there."""
    starts = {
        kind: partial(start, store, scope, window, ALL, format) for kind, start in _EXPORTS.items()
    }
    if type == "all":
        files = {f"{kind}.{format}": start for kind, start in starts.items()}
        return await export_routes.answer(
            request, partial(zipped, files), "all.zip", export_routes.ZIP
        )
    media = export_routes.MEDIA[format]
    return await export_routes.answer(request, starts[type], f"{type}.{format}", media)
