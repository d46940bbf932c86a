"""`/api/v1/recommendations`: what the data says should be done next."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Query

from otel_chat.server.api.errors import RESPONSES
from otel_chat.server.api.examples import WINDOW, shown
from otel_chat.server.api.parameters import (
    FiltersParameter,
    Reader,
    StartedWindowParameter,
    StoreParameter,
    Viewer,
)
from otel_chat.server.api.security import own_router
from otel_chat.server.figures.answers import TimeSpan
from otel_chat.server.questions import losses
from otel_chat.server.questions import model_advice as models
from otel_chat.server.questions import to_write as writing
from otel_chat.server.questions.clear_changes import Read

router = own_router(tags=["ahead"], responses=RESPONSES)

MODELS_ANSWER: Final = shown(
    models.ModelAdvice(
        window=TimeSpan.of(WINDOW),
        read=9310,
        items=[
            models.AgentAdvice(
                agent="support", today="large", conversations=6020, cost=0.0213, take="small",
                randomised=True, mixed=12,
                candidates=[
                    models.Candidate(
                        model="small", conversations=3278, advice="take", covered=0.98,
                        criteria=[
                            models.Compared(
                                criterion="resolution", today=0.812, model=0.809, difference=-0.003,
                                worst=-0.018, margin=0.03, verdict="not worse",
                            )
                        ],
                        cost=0.0071, saving=366.2, saving_low=351.7, saving_high=380.7, more=0,
                        said="small is not worse by more than the margins, and saves $366.20 a"
                        " month ($351.70 to $380.70).",
                    )
                ],
                said="For support: small is not worse by more than the margins, and saves $366.20 a"
                " month ($351.70 to $380.70). The models were dealt by an experiment's variants.",
            )
        ],
    )
)  # fmt: skip

FIXES_ANSWER: Final = shown(
    losses.Losses(
        window=TimeSpan.of(WINDOW),
        settled=200,
        resolved=155,
        items=[
            losses.Loss(
                kind="tool", name="track_return", conversations=50, resolved=20, others=100,
                others_resolved=90, lost=25.0, lost_low=17.4, lost_high=31.6, points=0.125,
                said="20 of 50 conversations in which track_return failed were resolved (40 %), in"
                " which it did not 90 %: (90 % - 40 %) × 50 = 25 resolutions, 12.5 points of all"
                " 200.",
                read=[
                    losses.LossExample(
                        tenant="default", conversation_id="chat-7f3a", started_at=WINDOW.start
                    )
                ],
            )
        ],
        others=0,
        unclear=3,
        too_few=1,
    )
)  # fmt: skip


QUESTIONS_ANSWER: Final = shown(
    writing.ToWrite(
        window=TimeSpan.of(WINDOW),
        settled=158,
        contained=132,
        items=[
            writing.Unwritten(
                label="gift card balance please", turns=34, conversations=30, contained=12,
                others=128, others_contained=120, lost=16.1, lost_low=10.6, lost_high=20.8,
                points=0.102, clear=True,
                said="12 of 30 conversations that asked for it were contained (40 %), of all"
                " others 94 %: (94 % - 40 %) × 30 = 16 handoffs, 10.2 points of all 158.",
                read=[
                    Read(
                        tenant="default", conversation_id="chat-7f3a", started_at=WINDOW.start
                    )
                ],
            )
        ],
        free=1,
        too_few=1,
    )
)  # fmt: skip


@router.get(
    "/recommendations/models",
    summary="The cheapest model that is not worse",
    responses=MODELS_ANSWER,
)
def recommended_models(
    store: StoreParameter,
    scope: Viewer,
    window: StartedWindowParameter,
    filters: FiltersParameter,
    resolution_margin: Annotated[
        float, Query(description="By how much resolution may be lower, as a share of 1.")
    ] = 0.03,
    satisfaction_margin: Annotated[
        float, Query(description="By how much CSAT may be lower.")
    ] = 0.05,
    p95_margin: Annotated[
        float, Query(description="By how much the 95th percentile may be longer, as a share of it.")
    ] = 0.2,
) -> models.ModelAdvice:
    """Of each agent, against the model of most conversations; or how many more would tell."""
    margins = models.Margins(resolution_margin, satisfaction_margin, p95_margin)
    return models.model_advice(store, scope, window, filters, margins)


@router.get(
    "/recommendations/fixes",
    summary="What costs the most resolution",
    responses=FIXES_ANSWER,
)
def recommended_fixes(
    store: StoreParameter, scope: Viewer, window: StartedWindowParameter, filters: FiltersParameter
) -> losses.Losses:
    """Intents, and tools that fail, by how many resolutions go along with them."""
    return losses.losses(store, scope, window, filters)


@router.get(
    "/recommendations/questions",
    summary="Unanswered questions by what they cost",
    responses=QUESTIONS_ANSWER,
)
def recommended_questions(
    store: StoreParameter, scope: Reader, window: StartedWindowParameter, filters: FiltersParameter
) -> writing.ToWrite:
    """Themes of what was not understood, by how many handoffs go along with them."""
    return writing.to_write(store, scope, window, filters)
