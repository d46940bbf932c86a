"""`/api/v1/analytics`: conversations, NLU, users and business, as an insights guide asks for them.

The document's rates are per cent, its times milliseconds, and figures over nothing are 0.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Final

from fastapi import Depends, Query, Request
from pydantic import Field

from otel_chat import semconv
from otel_chat.server.access import Scope
from otel_chat.server.api.documents.parameters import (
    OfAgent,
    between_dates,
    milliseconds,
    per_cent,
)
from otel_chat.server.api.errors import FOUND_RESPONSES, RESPONSES
from otel_chat.server.api.known import PREFIX
from otel_chat.server.api.parameters import (
    CursorParameter,
    NowParameter,
    StoreParameter,
    TenantParameter,
    Viewer,
    WholeId,
    idle_of,
)
from otel_chat.server.api.security import own_router
from otel_chat.server.figures.answers import Answer
from otel_chat.server.figures.filters import Filters
from otel_chat.server.figures.window import Window, WindowName
from otel_chat.server.questions import business, drop_off, nlu, overview, workflows
from otel_chat.server.questions import conversation as conversation_queries
from otel_chat.server.questions.timeline import MOST_ITEMS
from otel_chat.server.store import Store

router = own_router(prefix=f"{PREFIX}/analytics", tags=["documents: insights"], responses=RESPONSES)

LastMonth = Annotated[Window, Depends(between_dates(timedelta(days=30)))]
UNKNOWN: Final = "unknown"
"""What the document calls a drop-off point without an intent."""
COST_PER_INTERACTION: Final = Decimal("5.0")
"""The document's own assumption, USD."""


class ConversationMetrics(Answer):
    """Conversations of an agent."""

    total_conversations: int
    avg_conversation_length: float = Field(
        description="Messages of users and of the bot ÷ conversations."
    )
    completion_rate: float = Field(description="Workflows completed ÷ started, per cent.")
    avg_response_time_ms: float
    total_messages: int = Field(description="Messages of all senders.")


class NluMetrics(Answer):
    """How well an agent understood."""

    intent_distribution: dict[str, int] = Field(description="Turns by intent.")
    avg_confidence: float
    low_confidence_rate: float = Field(
        description="Turns with a confidence below the server's threshold ÷ turns with one, per"
        " cent."
    )
    fallback_rate: float = Field(description="Per cent of classified turns.")
    total_classifications: int


class JourneyStep(Answer):
    """What happened in a session, at a moment."""

    timestamp: datetime
    type: str = Field(description="One of the document's types of event.")
    data: dict[str, Any] = Field(
        description="What it says; texts where they are stored and the token holds"
        " conversations:read."
    )


class Journey(Answer):
    """All that happened in a session, in order."""

    session_id: str
    journey: list[JourneyStep] = Field(description=f"{MOST_ITEMS} turns and events at most.")
    next_cursor: str | None = Field(
        description="Ask with it for what follows, if the session was longer; null at the end."
    )


class DropOffAnalysis(Answer):
    """Where users dropped off."""

    drop_off_points: dict[str, int] = Field(
        description=f"Conversations by their last intent; `{UNKNOWN}` without any."
    )
    total_incomplete_sessions: int


class AutomationRate(Answer):
    """How much went without a human."""

    automation_rate: float = Field(
        description="Settled conversations without a handoff ÷ settled, per cent."
    )


class CostSavings(AutomationRate):
    """What that saved."""

    total_conversations: int = Field(description="Settled conversations.")
    automated_conversations: int
    cost_savings: float = Field(description="Automated conversations × cost of an interaction.")
    cost_per_interaction: float


class DashboardOverview(AutomationRate):
    """All of these, of a span of time."""

    timeframe: WindowName
    conversation_metrics: ConversationMetrics
    nlu_metrics: NluMetrics


def _conversations(
    store: Store, scope: Scope, window: Window, filters: Filters
) -> ConversationMetrics:
    moved = store.submit(workflows.workflows, store, scope, window, filters)
    found = overview.overview(store, scope, window, filters)
    sent = found.messages_by_sender
    runs = moved.result().items
    started, completed = sum(run.started for run in runs), sum(run.completed for run in runs)
    count = found.conversations
    return ConversationMetrics(
        total_conversations=count,
        avg_conversation_length=(sent.user + sent.assistant) / count if count else 0,
        completion_rate=per_cent(completed / started if started else None),
        avg_response_time_ms=milliseconds(found.response_time.mean),
        total_messages=found.messages,
    )


def _nlu(store: Store, scope: Scope, window: Window, filters: Filters) -> NluMetrics:
    found = nlu.intents(store, scope, window, filters)
    return NluMetrics(
        intent_distribution={one.name: one.turns for one in found.items if one.turns},
        avg_confidence=found.confidence.mean or 0,
        low_confidence_rate=per_cent(found.confidence.low_rate),
        fallback_rate=per_cent(found.fallback.rate),
        total_classifications=found.classifications,
    )


def _automation(store: Store, scope: Scope, window: Window, filters: Filters) -> float:
    return per_cent(business.business(store, scope, window, filters).containment.rate)


@router.get("/conversations/metrics", summary="Conversations of an agent")
def conversation_metrics(
    store: StoreParameter, scope: Viewer, window: LastMonth, filters: OfAgent
) -> ConversationMetrics:
    """As `/api/v1/overview` and `/api/v1/workflows` tell, of the last 30 days without dates."""
    return _conversations(store, scope, window, filters)


@router.get("/nlu/metrics", summary="How well an agent understood")
def nlu_metrics(
    store: StoreParameter, scope: Viewer, window: LastMonth, filters: OfAgent
) -> NluMetrics:
    """As `/api/v1/intents` tells."""
    return _nlu(store, scope, window, filters)


@router.get(
    "/users/journey/{session_id:id}",
    summary="All that happened in a session",
    responses=FOUND_RESPONSES,
)
def user_journey(
    store: StoreParameter,
    scope: Viewer,
    window: NowParameter,
    session_id: WholeId,
    tenant: TenantParameter = None,
    cursor: CursorParameter = None,
) -> Journey:
    """As `/api/v1/conversations/{conversation_id}` tells."""
    found = conversation_queries.conversation(
        store, scope, window, session_id, tenant, cursor, MOST_ITEMS
    )
    steps = [*_of_turns(found), *map(_of_event, found.events)]
    return Journey(
        session_id=session_id,
        journey=sorted(steps, key=lambda step: step.timestamp),
        next_cursor=found.next_cursor,
    )


@router.get("/users/drop-off", summary="Where users dropped off")
def drop_off_analysis(
    store: StoreParameter, scope: Viewer, window: LastMonth, filters: OfAgent
) -> DropOffAnalysis:
    """As `/api/v1/journeys/drop-off` tells."""
    found = drop_off.drop_off(store, scope, window, filters)
    points = {one.intent or UNKNOWN: one.dropped for one in found.intents if one.dropped}
    return DropOffAnalysis(drop_off_points=points, total_incomplete_sessions=found.dropped)


@router.get("/business/automation-rate", summary="How much went without a human")
def automation_rate(
    store: StoreParameter, scope: Viewer, window: LastMonth, filters: OfAgent
) -> AutomationRate:
    """As `/api/v1/business` tells."""
    return AutomationRate(automation_rate=_automation(store, scope, window, filters))


@router.get("/business/cost-savings", summary="What automation saved")
def cost_savings(
    store: StoreParameter,
    scope: Viewer,
    window: LastMonth,
    filters: OfAgent,
    cost_per_interaction: Annotated[
        Decimal,
        Query(
            ge=0,
            le=business.DEAREST,
            description="What a conversation with a human costs, USD.",
        ),
    ] = COST_PER_INTERACTION,
) -> CostSavings:
    """As `/api/v1/business` tells."""
    found = business.business(store, scope, window, filters, cost_per_interaction)
    return CostSavings(
        total_conversations=found.containment.settled,
        automated_conversations=found.containment.count,
        automation_rate=per_cent(found.containment.rate),
        cost_savings=float(found.savings.gross or 0),
        cost_per_interaction=float(cost_per_interaction),
    )


@router.get("/dashboard/overview", summary="Conversations, NLU and automation at once")
def dashboard_overview(
    request: Request,
    store: StoreParameter,
    scope: Viewer,
    filters: OfAgent,
    timeframe: Annotated[WindowName, Query(description="A length that ends now.")] = "30d",
) -> DashboardOverview:
    """The answers of the addresses beside it, of one span of time."""
    window = Window.last(timeframe, idle=idle_of(request))
    return DashboardOverview(
        timeframe=timeframe,
        conversation_metrics=_conversations(store, scope, window, filters),
        nlu_metrics=_nlu(store, scope, window, filters),
        automation_rate=_automation(store, scope, window, filters),
    )


_TYPES: Final = {
    semconv.EVENT_CONVERSATION_START: "conversation_start",
    semconv.EVENT_CONVERSATION_END: "conversation_end",
    semconv.EVENT_INTENT: "intent_classified",
    semconv.EVENT_ENTITY: "entity_extracted",
    semconv.EVENT_WORKFLOW_STARTED: "workflow_started",
    semconv.EVENT_WORKFLOW_COMPLETED: "workflow_completed",
    semconv.EVENT_WORKFLOW_FAILED: "workflow_failed",
    semconv.EVENT_API_CALL: "api_call",
    semconv.EVENT_EXCEPTION: "error",
    semconv.EVENT_EVALUATION: "user_feedback",
}
_SENDERS: Final = {"user": "user_message", "assistant": "bot_response"}
CUSTOM: Final = "custom"


def _of_turns(found: conversation_queries.Conversation) -> list[JourneyStep]:
    steps = []
    for turn in found.turns:
        asked = {"intent": turn.intent, "text": turn.user_message}
        steps.append(_step(turn.start, "user_message", asked))
        if turn.reply is not None or turn.status == semconv.STATUS_OK:
            ended = turn.start + timedelta(seconds=turn.duration)
            answered = {
                "text": turn.reply,
                "response_time_ms": milliseconds(turn.duration),
                "confidence": turn.confidence,
                "sentiment": turn.sentiment,
            }
            steps.append(_step(ended, "bot_response", answered))
    return steps


def _of_event(event: conversation_queries.Event) -> JourneyStep:
    if event.name == semconv.EVENT_MESSAGE:
        kind = _SENDERS.get(event.details.get("sender", ""), CUSTOM)
    else:
        kind = _TYPES.get(event.name, CUSTOM)
    named = {} if kind != CUSTOM else {"event": event.name}
    return _step(event.time, kind, {**named, **event.details, "text": event.text})


def _step(moment: datetime, kind: str, data: dict[str, Any]) -> JourneyStep:
    known = {name: value for name, value in data.items() if value not in {None, ""}}
    return JourneyStep(timestamp=moment, type=kind, data=known)
