"""`/api/v1/segments`: conditions that are saved under a name."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Path

from otel_chat.server import segments as keeping
from otel_chat.server.access import MARKS_WRITE, Scope
from otel_chat.server.api.errors import BODY_RESPONSES, FOUND_RESPONSES, RESPONSES
from otel_chat.server.api.parameters import StoreParameter, TenantParameter, Viewer
from otel_chat.server.api.security import Needs, own_router
from otel_chat.server.questions import segments as queries

router = own_router(tags=["segments"])

SegmentName = Annotated[str, Path(max_length=200, description="What the segment is called.")]
Marker = Annotated[Scope, Depends(Needs(MARKS_WRITE))]


@router.get("/segments", summary="Saved segments", responses=RESPONSES)
def list_segments(store: StoreParameter, scope: Viewer) -> queries.SavedSegments:
    """The conditions that were saved under a name; `segment=` limits any answer by one."""
    return queries.segments(store, scope)


@router.put("/segments/{name:path}", summary="Save a segment", responses=BODY_RESPONSES)
def save_segment(
    store: StoreParameter,
    scope: Marker,
    name: SegmentName,
    wanted: keeping.SegmentConditions,
    tenant: TenantParameter = None,
) -> queries.Segment:
    """Keep conditions under a name, in place of others of that name.

    Conditions on what was said, or on metadata, need conversations:read, too.
    """
    return keeping.save_segment(store, scope, name, wanted, tenant)


@router.delete("/segments/{name:path}", summary="Forget a segment", responses=FOUND_RESPONSES)
def drop_segment(
    store: StoreParameter, scope: Marker, name: SegmentName, tenant: TenantParameter = None
) -> queries.Segment:
    """Forget a segment; answers what it was. What asks by its name is refused from then on."""
    return keeping.drop_segment(store, scope, name, tenant)
