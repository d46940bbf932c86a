"""`/api/v1/reviews`, `/rubric` and `/samples`: what reviewers say, by what, and of which."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Path, Query

from otel_chat.server import reviews as keeping
from otel_chat.server.access import MARKS_WRITE, Scope
from otel_chat.server.api.errors import BODY_RESPONSES, FOUND_RESPONSES, RESPONSES
from otel_chat.server.api.parameters import (
    Admin,
    ConversationId,
    FiltersParameter,
    NowParameter,
    StartedWindowParameter,
    StoreParameter,
    TenantParameter,
    Viewer,
)
from otel_chat.server.api.security import Needs, own_router
from otel_chat.server.questions import reviews as queries
from otel_chat.server.questions import rubric as rubrics
from otel_chat.server.questions import samples as drawn

router = own_router(tags=["reviews"])

SampleName = Annotated[str, Path(max_length=200, description="What the sample is called.")]
OwnerParameter = Annotated[
    str | None,
    Query(max_length=1000, description="The tenant; the first by name of the token's without."),
]
Reviewer = Annotated[Scope, Depends(Needs(MARKS_WRITE))]


@router.get("/rubric", summary="What reviewers are asked", responses=RESPONSES)
def read_rubric(
    store: StoreParameter, scope: Viewer, tenant: OwnerParameter = None
) -> rubrics.KeptRubric:
    """Scores with their values, and labels; the usual ones where nobody set any."""
    return rubrics.rubric(store, scope, tenant)


@router.put("/rubric", summary="Set what reviewers are asked", responses=BODY_RESPONSES)
def set_rubric(
    store: StoreParameter, scope: Admin, wanted: rubrics.Rubric, tenant: OwnerParameter = None
) -> rubrics.KeptRubric:
    """In place of the rubric before; what was said by that one stays as it is."""
    return keeping.set_rubric(store, scope, wanted, tenant)


@router.get("/reviews", summary="What reviewers say of many", responses=RESPONSES)
def review_results(
    store: StoreParameter,
    scope: Viewer,
    window: StartedWindowParameter,
    filters: FiltersParameter,
) -> queries.ReviewResults:
    """Counts of the conversations that began in the window; rates where `sample` alone limits."""
    return queries.review_results(store, scope, window, filters)


@router.get(
    "/reviews/{conversation_id:id}",
    summary="What reviewers say of one conversation",
    responses=FOUND_RESPONSES,
)
def read_reviews(
    store: StoreParameter,
    scope: Viewer,
    window: NowParameter,
    conversation_id: ConversationId,
    tenant: TenantParameter = None,
) -> queries.Reviews:
    """Each reviewer's scores, labels and comment; the comment needs conversations:read."""
    return queries.reviews_of(store, scope, window, conversation_id, tenant)


@router.put(
    "/reviews/{conversation_id:id}",
    summary="Say what you think of a conversation",
    responses={**FOUND_RESPONSES, **BODY_RESPONSES},
)
def keep_review(
    store: StoreParameter,
    scope: Reviewer,
    window: NowParameter,
    conversation_id: ConversationId,
    given: keeping.GivenReview,
    tenant: TenantParameter = None,
) -> queries.Review:
    """In place of what the same token's name said before; marks it as reviewed.

    The conversation's outcome stays what it is. Erased with the conversation.
    """
    return keeping.keep_review(store, scope, window, conversation_id, given, tenant)


@router.delete(
    "/reviews/{conversation_id:id}",
    summary="Take back what you said",
    responses=FOUND_RESPONSES,
)
def drop_review(
    store: StoreParameter,
    scope: Reviewer,
    window: NowParameter,
    conversation_id: ConversationId,
    tenant: TenantParameter = None,
) -> queries.Review:
    """Of others nothing is taken back; answers what it was."""
    return keeping.drop_review(store, scope, window, conversation_id, tenant)


@router.get("/samples", summary="Random samples for review", responses=RESPONSES)
def list_samples(store: StoreParameter, scope: Viewer) -> drawn.Samples:
    """The last drawn first, each with its seed and how many of it are reviewed."""
    return drawn.samples(store, scope)


@router.post("/samples", summary="Draw a random sample", status_code=201, responses=BODY_RESPONSES)
def draw_sample(
    store: StoreParameter,
    scope: Reviewer,
    window: StartedWindowParameter,
    filters: FiltersParameter,
    wanted: keeping.SampleWish,
    tenant: OwnerParameter = None,
) -> drawn.Sample:
    """Of the settled conversations that began in the window, each as likely as any other."""
    return keeping.draw_sample(store, scope, window, filters, wanted, tenant)


@router.get("/samples/{name:path}", summary="One random sample", responses=FOUND_RESPONSES)
def read_sample(
    store: StoreParameter, scope: Viewer, name: SampleName, tenant: TenantParameter = None
) -> drawn.OneSample:
    """Its window, seed and size, and its conversations in the order they were drawn.

    `/api/v1/reviews?sample=` has what was said of it.
    """
    return drawn.one_sample(store, scope, name, tenant)


@router.delete("/samples/{name:path}", summary="Forget a sample", responses=FOUND_RESPONSES)
def drop_sample(
    store: StoreParameter, scope: Reviewer, name: SampleName, tenant: TenantParameter = None
) -> drawn.Sample:
    """What was said of its conversations stays; answers what it was."""
    return keeping.drop_sample(store, scope, name, tenant)
