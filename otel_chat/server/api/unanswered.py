"""`/api/v1/unanswered`: what was not understood, by theme."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from otel_chat.server.api.errors import RESPONSES
from otel_chat.server.api.examples import TRACE_ID, WINDOW, shown
from otel_chat.server.api.parameters import (
    FiltersParameter,
    Reader,
    StoreParameter,
    WindowParameter,
)
from otel_chat.server.api.security import own_router
from otel_chat.server.figures.answers import TimeSpan
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


@router.get("/unanswered", summary="What was not understood, by theme", responses=ANSWER)
def unanswered(
    store: StoreParameter, scope: Reader, window: WindowParameter, filters: FiltersParameter
) -> queries.Themes:
    """Fallbacks and unsure messages, grouped by what they ask; needs conversations:read."""
    return queries.unanswered(store, scope, window, filters)
