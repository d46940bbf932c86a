"""`/api/v1/unanswered`: what was not understood, by theme, and what is decided about it."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Final

from fastapi import Path, Query

from otel_chat.server import theme_states as keeping
from otel_chat.server.api.errors import BODY_RESPONSES, FOUND_RESPONSES, RESPONSES
from otel_chat.server.api.examples import TRACE_ID, WINDOW, shown
from otel_chat.server.api.marks import Marker
from otel_chat.server.api.parameters import (
    FiltersParameter,
    Reader,
    StoreParameter,
    TenantParameter,
    WindowParameter,
)
from otel_chat.server.api.security import own_router
from otel_chat.server.figures.answers import TimeSpan
from otel_chat.server.questions import theme_effect as effects
from otel_chat.server.questions import theme_states as states
from otel_chat.server.questions import unanswered as queries

router = own_router(tags=["nlu"], responses=RESPONSES)

ANSWER: Final = shown(
    queries.Themes(
        window=TimeSpan.of(WINDOW),
        threshold=0.7,
        turns=21,
        with_text=21,
        small_talk=2,
        grouped=19,
        bucket="1d",
        starts=[WINDOW.start],
        looked_back_to=WINDOW.start - queries.BACK,
        themes=6,
        by_state={"open": 6, "answered": 1, "ignored": 2},
        items=[
            queries.Theme(
                label="How much is left on my gift card?",
                asking=TRACE_ID,
                turns=9,
                previous=0,
                new=True,
                first_at=WINDOW.end - timedelta(days=3),
                share=0.4737,
                conversations=8,
                fallbacks=7,
                intents=[queries.GuessedIntent(name="", turns=7)],
                examples=[
                    queries.Unanswered(
                        time=WINDOW.end - timedelta(hours=2), conversation_id="chat-7f3a",
                        tenant="default", trace_id=TRACE_ID,
                        message="How much is left on my gift card?", intent="", confidence=0.31,
                    )
                ],
                trend=[9],
            )
        ],
        others=10,
    )
)  # fmt: skip


TraceId = Annotated[str, Path(max_length=100, description="The trace of an asking.")]


@router.get("/unanswered", summary="What was not understood, by theme", responses=ANSWER)
def unanswered(
    store: StoreParameter,
    scope: Reader,
    window: WindowParameter,
    filters: FiltersParameter,
    theme_state: Annotated[
        list[states.ThemeState] | None,
        Query(max_length=3, description="Themes of these states only; of all without."),
    ] = None,
    offset: Annotated[int, Query(ge=0, le=queries.READ, description="Themes to pass over.")] = 0,
) -> queries.Themes:
    """Fallbacks and unsure messages, grouped by what they ask; needs conversations:read."""
    wanted = theme_state or queries.STATES
    return queries.unanswered(store, scope, window, filters, wanted, offset)


@router.get(
    "/unanswered/{trace_id}",
    summary="One question that was not understood, with its conversations",
    responses=FOUND_RESPONSES,
)
def one_theme(
    store: StoreParameter,
    scope: Reader,
    window: WindowParameter,
    filters: FiltersParameter,
    trace_id: TraceId,
) -> queries.OneTheme:
    """The theme of an asking (`asking`, or the trace of any other), and what was decided."""
    return queries.one_theme(store, scope, window, filters, trace_id)


@router.get(
    "/unanswered/{trace_id}/effect",
    summary="Did it help? A question before and after something was decided about it",
    responses=FOUND_RESPONSES,
)
def theme_effect(
    store: StoreParameter,
    scope: Reader,
    window: WindowParameter,
    filters: FiltersParameter,
    trace_id: TraceId,
) -> effects.Effect:
    """Four weeks before and after the decision that is kept with this trace."""
    return effects.theme_effect(store, scope, window, filters, trace_id)


@router.put(
    "/unanswered/{trace_id}/state",
    summary="Decide about a question: answered, ignored, open",
    responses={**FOUND_RESPONSES, **BODY_RESPONSES},
)
def decide(
    store: StoreParameter,
    scope: Marker,
    trace_id: TraceId,
    change: keeping.Deciding,
    tenant: TenantParameter = None,
) -> states.Decision:
    """Kept with this asking, who and when; needs marks:write and conversations:read."""
    return keeping.decide(store, scope, trace_id, change, tenant)
