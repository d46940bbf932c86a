"""`/api/v1/interactions`: turns by themselves."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Path, Query

from otel_chat.server.api import examples
from otel_chat.server.api.conversations import SearchParameter
from otel_chat.server.api.errors import FOUND_RESPONSES, RESPONSES
from otel_chat.server.api.known import PREFIX
from otel_chat.server.api.parameters import (
    CursorParameter,
    FiltersParameter,
    LimitParameter,
    NowParameter,
    StoreParameter,
    Viewer,
    WindowParameter,
)
from otel_chat.server.api.security import own_router
from otel_chat.server.figures.paging import PAGE
from otel_chat.server.questions import interactions as queries
from otel_chat.server.questions.turns import Turn

router = own_router(prefix=f"{PREFIX}/interactions", tags=["interactions"])


def listing_of(
    sort: Annotated[
        queries.Sort, Query(description="What they are sorted by; a hyphen: the greatest first.")
    ] = queries.NEWEST,
    search: SearchParameter = None,
) -> queries.Listing:
    """In which order turns are listed, and which of them."""
    return queries.Listing(sort, search)


ListingParameter = Annotated[queries.Listing, Depends(listing_of)]


@router.get(
    "", summary="Turns, page by page", responses={**RESPONSES, **examples.INTERACTIONS_ANSWER}
)
def interactions(
    store: StoreParameter,
    scope: Viewer,
    window: WindowParameter,
    filters: FiltersParameter,
    listing: ListingParameter,
    limit: LimitParameter = PAGE,
    cursor: CursorParameter = None,
) -> queries.Interactions:
    """The turns that started in the window, page by page, the newest first without `sort`.

    With a text to search for, those whose message or reply holds it; that needs
    conversations:read too.
    """
    found = filters.of_turns_themselves
    return queries.interactions(store, scope, window, found, limit, cursor, listing)


@router.get("/stats", summary="The figures of turns by themselves", responses=RESPONSES)
def statistics(
    store: StoreParameter, scope: Viewer, window: WindowParameter, filters: FiltersParameter
) -> queries.InteractionStatistics:
    """Cost, tokens, confidence, handoffs and times, by model and type of message too."""
    return queries.interaction_statistics(store, scope, window, filters.of_turns_themselves)


@router.get(
    "/{interaction_id}",
    summary="One turn",
    responses={**FOUND_RESPONSES, **examples.INTERACTION_ANSWER},
)
def interaction(
    store: StoreParameter,
    scope: Viewer,
    window: NowParameter,
    interaction_id: Annotated[
        str,
        Path(
            max_length=100,
            description="The digits of its trace and of its span, joined by a hyphen.",
            examples=["4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7"],
        ),
    ],
) -> Turn:
    """One turn, whenever it was. Text needs a token with conversations:read."""
    return queries.interaction(store, scope, window, interaction_id)
