"""`/api/v1/marks` and `/api/v1/views`: what colleagues note, and the views that they save.

The pages change these with the reader's cookie. Another site cannot: see
`security.not_from_elsewhere`.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Path

from otel_chat.server import marks as keeping
from otel_chat.server.access import MARKS_WRITE, Scope
from otel_chat.server.api.errors import BODY_RESPONSES, FOUND_RESPONSES, RESPONSES
from otel_chat.server.api.parameters import (
    ConversationId,
    NowParameter,
    ReviewedParameter,
    StoreParameter,
    TagParameter,
    TenantParameter,
    Viewer,
)
from otel_chat.server.api.security import Needs, own_router
from otel_chat.server.questions import marks as queries

router = own_router(tags=["marks"])

ViewName = Annotated[str, Path(max_length=200, description="What the view is called.")]


Marker = Annotated[Scope, Depends(Needs(MARKS_WRITE))]


@router.get("/marks", summary="What was noted about conversations", responses=RESPONSES)
def list_marks(
    store: StoreParameter,
    scope: Viewer,
    tag: TagParameter = None,
    reviewed: ReviewedParameter = None,
) -> queries.Marks:
    """Tags, notes and reviewed marks, those changed last first."""
    return queries.marks(store, scope, None, tag, reviewed)


@router.get(
    "/marks/{conversation_id:id}",
    summary="What was noted about one conversation",
    responses=FOUND_RESPONSES,
)
def read_mark(
    store: StoreParameter,
    scope: Viewer,
    window: NowParameter,
    conversation_id: ConversationId,
    tenant: TenantParameter = None,
) -> queries.Mark:
    """Tags, note and reviewed mark of a conversation; the note needs conversations:read."""
    return queries.mark(store, scope, window, conversation_id, tenant)


@router.patch(
    "/marks/{conversation_id:id}",
    summary="Note something about a conversation",
    responses={**FOUND_RESPONSES, **BODY_RESPONSES},
)
def change_mark(
    store: StoreParameter,
    scope: Marker,
    window: NowParameter,
    conversation_id: ConversationId,
    change: keeping.MarkChange,
    tenant: TenantParameter = None,
) -> queries.Mark:
    """Set tags, note or reviewed mark; what is left out stays. Erased with the conversation."""
    return keeping.set_mark(store, scope, window, conversation_id, change, tenant)


@router.get("/views", summary="Saved views", responses=RESPONSES)
def list_views(store: StoreParameter, scope: Viewer) -> queries.SavedViews:
    """The views of pages that were saved under a name."""
    return queries.saved_views(store, scope)


@router.put("/views/{name:path}", summary="Save a view", responses=BODY_RESPONSES)
def save_view(
    store: StoreParameter,
    scope: Marker,
    name: ViewName,
    wanted: keeping.ViewAddress,
    tenant: TenantParameter = None,
) -> queries.SavedView:
    """Keep a page with its filters under a name, in place of another of that name."""
    return keeping.save_view(store, scope, name, wanted, tenant)


@router.delete("/views/{name:path}", summary="Forget a view", responses=FOUND_RESPONSES)
def drop_view(
    store: StoreParameter, scope: Marker, name: ViewName, tenant: TenantParameter = None
) -> queries.SavedView:
    """Forget a view; answers what it was."""
    return keeping.drop_view(store, scope, name, tenant)
