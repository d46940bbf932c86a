"""`/api/v1/journeys`, `/workflows` and `/repeat-contact`: the ways through conversations."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from otel_chat.server.api import journey_examples as examples
from otel_chat.server.api.errors import RESPONSES
from otel_chat.server.api.parameters import (
    CursorParameter,
    FiltersParameter,
    LimitParameter,
    StoreParameter,
    Viewer,
    WindowParameter,
)
from otel_chat.server.api.security import own_router
from otel_chat.server.figures.paging import LARGEST_PAGE, PAGE
from otel_chat.server.questions import drop_off as drop_off_queries
from otel_chat.server.questions import funnel as funnel_queries
from otel_chat.server.questions import journeys as queries
from otel_chat.server.questions import repeat_contact as repeat_contact_queries
from otel_chat.server.questions import workflows as workflow_queries
from otel_chat.server.questions.funnel_steps import KINDS

router = own_router(tags=["journeys"], responses=RESPONSES)


@router.get(
    "/journeys/paths", summary="Ways from intent to intent", responses=examples.PATHS_ANSWER
)
def paths(
    store: StoreParameter,
    scope: Viewer,
    window: WindowParameter,
    filters: FiltersParameter,
    limit: Annotated[
        int,
        Query(
            ge=1,
            le=LARGEST_PAGE,
            description=f"How many transitions, and how many paths; {PAGE} without.",
        ),
    ] = PAGE,
    merged: Annotated[
        bool,
        Query(
            description="Leave out small talk (greetings, thanks, yes and no, by the intent's"
            " name), and take an intent that comes again at once as one."
        ),
    ] = False,
) -> queries.Paths:
    """Transitions between the intents of turns, and the commonest paths as a whole."""
    return queries.paths(store, scope, window, filters, limit, merged=merged)


@router.get(
    "/journeys/drop-off",
    summary="Where conversations ended abandoned or failed",
    responses=examples.DROP_OFF_ANSWER,
)
def drop_off(
    store: StoreParameter,
    scope: Viewer,
    window: WindowParameter,
    filters: FiltersParameter,
    source: Annotated[
        drop_off_queries.IntentSource,
        Query(description="Whose intents: those of turns, or those that annotations name."),
    ] = "turn",
) -> drop_off_queries.DropOff:
    """Abandoned and failed conversations by last intent and by step of a workflow."""
    return drop_off_queries.drop_off(store, scope, window, filters, source)


@router.get(
    "/journeys/incomplete",
    summary="Conversations without an end, newest first",
    responses=examples.INCOMPLETE_ANSWER,
)
def incomplete(
    store: StoreParameter,
    scope: Viewer,
    window: WindowParameter,
    filters: FiltersParameter,
    limit: LimitParameter = PAGE,
    cursor: CursorParameter = None,
) -> queries.Incomplete:
    """Settled conversations that nobody ended, neither resolved nor handed off, page by page."""
    return queries.incomplete(store, scope, window, filters, limit, cursor)


@router.get("/journeys/funnel", summary="A funnel of your own", responses=examples.FUNNEL_ANSWER)
def funnel(
    store: StoreParameter,
    scope: Viewer,
    window: WindowParameter,
    filters: FiltersParameter,
    step: Annotated[
        list[str],
        Query(
            description="The steps in order, 2 to 10: a kind, or a kind and a name with a colon"
            f" between. Kinds: {', '.join(KINDS)}. The name of a workflow_step is"
            " a step, or workflow/step; of an event the name it was recorded under; an outcome"
            " comes last.",
            examples=[["intent:greet", "workflow:checkout", "action:purchase", "handoff"]],
        ),
    ] = list(funnel_queries.DEFAULT_STEPS),  # noqa: B006 - never changed
    within: Annotated[
        float | None,
        Query(
            gt=0,
            le=funnel_queries.LONGEST_WITHIN,
            description="Seconds from the first step within which the others count.",
        ),
    ] = None,
) -> funnel_queries.Funnel:
    """How many conversations came to each step in order, and how long it took them."""
    return funnel_queries.funnel(store, scope, window, filters, step, within)


@router.get(
    "/workflows",
    summary="Workflows with completion and drop-off",
    responses=examples.WORKFLOWS_ANSWER,
)
def workflows(
    store: StoreParameter, scope: Viewer, window: WindowParameter, filters: FiltersParameter
) -> workflow_queries.Workflows:
    """Workflows that were started, how they ended, and at which step they were left."""
    return workflow_queries.workflows(store, scope, window, filters)


@router.get(
    "/repeat-contact", summary="Users who came back", responses=examples.REPEAT_CONTACT_ANSWER
)
def repeat_contact(
    store: StoreParameter,
    scope: Viewer,
    window: WindowParameter,
    filters: FiltersParameter,
    hours: Annotated[
        float,
        Query(
            gt=0,
            le=repeat_contact_queries.LONGEST,
            description="How long after a conversation coming back counts.",
        ),
    ] = repeat_contact_queries.HOURS,
) -> repeat_contact_queries.RepeatContact:
    """How often users came back after a conversation; null where no user is hashed."""
    return repeat_contact_queries.repeat_contact(store, scope, window, filters, hours)
