"""`/v1/bot/interactions`: turns as an agent's interactions are tracked, with their statistics."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import Depends, Path, Query
from pydantic import Field

from otel_chat.server.api.documents.parameters import (
    between_dates,
    known_milliseconds,
    milliseconds,
)
from otel_chat.server.api.errors import FOUND_RESPONSES, RESPONSES
from otel_chat.server.api.parameters import (
    CursorParameter,
    LimitParameter,
    NowParameter,
    StoreParameter,
    Viewer,
)
from otel_chat.server.api.security import own_router
from otel_chat.server.figures.answers import Answer, Money
from otel_chat.server.figures.filters import Filters
from otel_chat.server.figures.paging import PAGE
from otel_chat.server.figures.window import Window
from otel_chat.server.questions import interactions as queries
from otel_chat.server.questions.turns import Turn

router = own_router(
    prefix="/v1/bot/interactions", tags=["documents: bot interactions"], responses=RESPONSES
)

LastMonth = Annotated[Window, Depends(between_dates(timedelta(days=30)))]


class DetectedIntent(Answer):
    """An intent that was seen in a message."""

    name: str
    confidence: float | None


class TokenUsage(Answer):
    """Tokens of an interaction; null where it reported none."""

    prompt_tokens: int | None
    completion_tokens: int | None
    total_tokens: int | None


class AgentInteraction(Answer):
    """A message of a customer's, and the agent's response to it."""

    id: str = Field(description="The digits of its trace and of its span, joined by a hyphen.")
    conversation_id: str
    tenant: str
    customer_message: str | None = Field(
        description="Null where none is stored, or without the scope conversations:read."
    )
    detected_intents: list[DetectedIntent]
    model_used: str
    context_size: int | None
    processing_time_ms: float
    agent_response: str | None = Field(description="As `customer_message`.")
    confidence_score: float | None
    handoff_triggered: bool
    handoff_reason: str
    message_type: str
    token_usage: TokenUsage
    estimated_cost: Money | None = Field(description="USD, exact; null if unpriced.")
    created_at: datetime


class AgentInteractions(Answer):
    """A page of interactions, newest first."""

    results: list[AgentInteraction]
    next_cursor: str | None = Field(description="Ask with it for the next page; null at the end.")


class Group(Answer):
    """Interactions that have something in common."""

    count: int
    cost: Money | None = Field(description="USD, exact; null if none is priced.")
    avg_confidence: float | None


class AgentInteractionStats(Answer):
    """The figures of interactions; a mean over none is null."""

    total_interactions: int
    total_cost: Money | None = Field(description="USD, exact; null if none is priced.")
    avg_confidence: float | None
    avg_processing_time_ms: float | None
    handoff_count: int
    handoff_rate: float | None = Field(description="Of all interactions, 0 to 1.")
    handoff_reasons: dict[str, int]
    by_model: dict[str, Group]
    by_message_type: dict[str, Group]
    high_confidence_count: int
    low_confidence_count: int


def filters_of(
    conversation_id: Annotated[str | None, Query(max_length=1000)] = None,
    model_used: Annotated[
        str | None, Query(max_length=1000, description="The model.", examples=["gpt-4o"])
    ] = None,
    min_confidence: Annotated[
        float | None, Query(ge=0, le=1, description="The least confidence.", examples=[0.7])
    ] = None,
    max_confidence: Annotated[
        float | None, Query(ge=0, le=1, description="The greatest confidence.")
    ] = None,
    handoff_triggered: Annotated[
        bool | None, Query(description="Those that asked for a human, or did not.")
    ] = None,
    message_type: Annotated[
        str | None, Query(max_length=1000, description="text, voice and so on.")
    ] = None,
) -> Filters:
    """What a list or its statistics are limited to."""
    return Filters(
        conversation_id=conversation_id,
        model=model_used,
        confidence_min=min_confidence,
        confidence_max=max_confidence,
        turn_handoff=handoff_triggered,
        message_type=message_type,
    )


OfInteractions = Annotated[Filters, Depends(filters_of)]


def _read(turn: Turn) -> AgentInteraction:
    tokens = [count for count in (turn.tokens.input, turn.tokens.output) if count is not None]
    return AgentInteraction(
        id=turn.id,
        conversation_id=turn.conversation_id,
        tenant=turn.tenant,
        customer_message=turn.user_message,
        detected_intents=[
            DetectedIntent(name=intent.name, confidence=intent.confidence)
            for intent in turn.intents
        ],
        model_used=turn.model,
        context_size=turn.context_size,
        processing_time_ms=milliseconds(turn.duration),
        agent_response=turn.reply,
        confidence_score=turn.confidence,
        handoff_triggered=turn.handoff.triggered,
        handoff_reason=turn.handoff.reason,
        message_type=turn.message_type,
        token_usage=TokenUsage(
            prompt_tokens=turn.tokens.input,
            completion_tokens=turn.tokens.output,
            total_tokens=sum(tokens) if tokens else None,
        ),
        estimated_cost=turn.cost,
        created_at=turn.start,
    )


def _groups(found: list[queries.Group]) -> dict[str, Group]:
    return {
        one.name: Group(count=one.turns, cost=one.cost, avg_confidence=one.mean_confidence)
        for one in found
    }


@router.get("", summary="Interactions, newest first")
def interactions(
    store: StoreParameter,
    scope: Viewer,
    window: LastMonth,
    filters: OfInteractions,
    limit: LimitParameter = PAGE,
    cursor: CursorParameter = None,
) -> AgentInteractions:
    """As `/api/v1/interactions` tells, of the last 30 days without dates."""
    found = queries.interactions(store, scope, window, filters, limit, cursor)
    return AgentInteractions(results=[*map(_read, found.items)], next_cursor=found.next_cursor)


@router.get("/stats", summary="The figures of interactions")
def stats(
    store: StoreParameter, scope: Viewer, window: LastMonth, filters: OfInteractions
) -> AgentInteractionStats:
    """As `/api/v1/interactions/stats` tells, of the last 30 days without dates."""
    found = queries.interaction_statistics(store, scope, window, filters)
    return AgentInteractionStats(
        total_interactions=found.turns,
        total_cost=found.cost.amount,
        avg_confidence=found.confidence.mean,
        avg_processing_time_ms=known_milliseconds(found.response_time.mean),
        handoff_count=found.handoffs,
        handoff_rate=found.handoff_rate,
        handoff_reasons={one.reason: one.turns for one in found.handoff_reasons},
        by_model=_groups(found.models),
        by_message_type=_groups(found.message_types),
        high_confidence_count=found.confidence.high,
        low_confidence_count=found.confidence.low,
    )


@router.get("/{interaction_id}", summary="One interaction", responses=FOUND_RESPONSES)
def interaction(
    store: StoreParameter,
    scope: Viewer,
    window: NowParameter,
    interaction_id: Annotated[str, Path(max_length=100, description="As the list's `id`.")],
) -> AgentInteraction:
    """As `/api/v1/interactions/{interaction_id}` tells."""
    return _read(queries.interaction(store, scope, window, interaction_id))
