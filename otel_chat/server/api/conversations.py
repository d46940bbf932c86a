"""`/api/v1/conversations` and `/api/v1/traces`."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Path, Query

from otel_chat.server import patterns
from otel_chat.server.api import examples
from otel_chat.server.api.errors import FOUND_RESPONSES, RESPONSES
from otel_chat.server.api.parameters import (
    ConversationId,
    CursorParameter,
    FiltersParameter,
    LimitParameter,
    NowParameter,
    StoreParameter,
    TenantParameter,
    Viewer,
    WindowParameter,
)
from otel_chat.server.api.security import own_router
from otel_chat.server.figures.paging import PAGE
from otel_chat.server.figures.texts import LONGEST
from otel_chat.server.questions import conversation as conversation_queries
from otel_chat.server.questions import conversations as queries
from otel_chat.server.questions import ranked, traces
from otel_chat.server.questions.timeline import ITEMS, MOST_ITEMS

router = own_router(tags=["conversations"])

TraceId = Annotated[
    str,
    Path(
        pattern=patterns.ANY_TRACE_ID,
        description="32 hexadecimal digits.",
        examples=["4bf92f3577b34da6a3ce929d0e0e4736"],
    ),
]
ItemsParameter = Annotated[
    int,
    Query(ge=1, le=MOST_ITEMS, description=f"Turns and events to a page; {ITEMS} without."),
]
SearchParameter = Annotated[
    str | None,
    Query(
        min_length=1,
        max_length=LONGEST,
        description=(
            "A text that a user, the bot or a human said, in whatever case, as it stands. Needs"
            " conversations:read, and content that is stored."
        ),
        examples=["refund"],
    ),
]


def listing_of(
    sort: Annotated[
        ranked.Sort, Query(description="What they are sorted by; a hyphen: the greatest first.")
    ] = ranked.NEWEST,
    search: SearchParameter = None,
) -> ranked.Listing:
    """In which order conversations are listed, and which of them."""
    return ranked.Listing(sort, search)


ListingParameter = Annotated[ranked.Listing, Depends(listing_of)]


@router.get(
    "/conversations",
    summary="Conversations",
    responses={**RESPONSES, **examples.CONVERSATIONS_ANSWER},
)
def conversations(
    store: StoreParameter,
    scope: Viewer,
    window: WindowParameter,
    filters: FiltersParameter,
    listing: ListingParameter,
    limit: LimitParameter = PAGE,
    cursor: CursorParameter = None,
) -> queries.Conversations:
    """The conversations that started in the window, page by page, the newest first without `sort`.

    With a text to search for, those in which it was said; that needs conversations:read too.
    """
    return ranked.ranked(store, scope, window, filters, listing, limit, cursor)


@router.get(
    "/conversations/{conversation_id:id}/traces",
    summary="The traces of a page of a conversation",
    responses=FOUND_RESPONSES,
)
def conversation_traces(
    store: StoreParameter,
    scope: Viewer,
    window: NowParameter,
    conversation_id: ConversationId,
    tenant: TenantParameter = None,
    limit: ItemsParameter = ITEMS,
    cursor: CursorParameter = None,
) -> dict[str, traces.Trace]:
    """The traces of the turns on a page of a conversation, by trace id.

    Ask with the same `cursor` and `limit` as for the page itself.
    """
    return traces.conversation_traces(store, scope, window, conversation_id, tenant, cursor, limit)


@router.get(
    "/conversations/{conversation_id:id}",
    summary="One conversation with its turns and events",
    responses={**FOUND_RESPONSES, **examples.CONVERSATION_ANSWER},
)
def conversation(
    store: StoreParameter,
    scope: Viewer,
    window: NowParameter,
    conversation_id: ConversationId,
    tenant: TenantParameter = None,
    limit: ItemsParameter = ITEMS,
    cursor: CursorParameter = None,
) -> conversation_queries.Conversation:
    """One conversation, whenever it was, page by page. Text needs conversations:read too.

    A page ends before a turn where it can, so that what happened in a turn is on its page.
    """
    return conversation_queries.conversation(
        store, scope, window, conversation_id, tenant, cursor, limit
    )


@router.get(
    "/traces/{trace_id}",
    summary="The spans of a trace",
    responses={**FOUND_RESPONSES, **examples.TRACE_ANSWER},
)
def trace(
    store: StoreParameter, scope: Viewer, window: NowParameter, trace_id: TraceId
) -> traces.Trace:
    """The spans of a trace as a tree, each after its parent."""
    return traces.trace(store, scope, window, trace_id)
