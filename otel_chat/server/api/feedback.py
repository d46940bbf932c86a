"""`/api/v1/feedback` and `/evaluations`: what users and others think of conversations."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from otel_chat.server.api import engagement_examples as examples
from otel_chat.server.api.errors import RESPONSES
from otel_chat.server.api.parameters import (
    BucketParameter,
    CursorParameter,
    FiltersParameter,
    LimitParameter,
    Reader,
    StoreParameter,
    Viewer,
    WindowParameter,
)
from otel_chat.server.api.security import own_router
from otel_chat.server.figures.paging import PAGE
from otel_chat.server.questions import evaluations as evaluation_queries
from otel_chat.server.questions import feedback as queries

router = own_router(tags=["feedback"], responses=RESPONSES)

Name = Annotated[str | None, Query(max_length=200, examples=["user_feedback"])]
Score = Annotated[float | None, Query(ge=0, le=1)]


@router.get(
    "/feedback",
    summary="Mean rating, CSAT and how ratings spread",
    responses=examples.FEEDBACK_ANSWER,
)
def feedback(
    store: StoreParameter,
    scope: Viewer,
    window: WindowParameter,
    filters: FiltersParameter,
    bucket: BucketParameter = None,
) -> queries.FeedbackFigures:
    """User feedback: CSAT in its three forms, by scale and value, over time."""
    return queries.feedback(store, scope, window, filters, bucket)


@router.get(
    "/feedback/comments",
    summary="What users wrote beside their ratings",
    responses=examples.COMMENTS_ANSWER,
)
def comments(
    store: StoreParameter,
    scope: Reader,
    window: WindowParameter,
    filters: FiltersParameter,
    limit: LimitParameter = PAGE,
    cursor: CursorParameter = None,
    evaluation: Name = None,
) -> queries.Comments:
    """Comments, newest first; needs conversations:read."""
    return queries.comments(store, scope, window, filters, limit, cursor, evaluation)


@router.get(
    "/evaluations", summary="Named evaluation scores", responses=examples.EVALUATIONS_ANSWER
)
def evaluations(
    store: StoreParameter,
    scope: Viewer,
    window: WindowParameter,
    filters: FiltersParameter,
    bucket: BucketParameter = None,
    name: Name = None,
    score_min: Score = None,
    score_max: Score = None,
) -> evaluation_queries.Evaluations:
    """Scores from 0 to 1 by the name of their evaluation, with their labels and trend."""
    return evaluation_queries.evaluations(
        store, scope, window, filters, bucket, name, score_min, score_max
    )
