"""The page of segments: those that were saved, and an editor with a count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final
from urllib.parse import quote, urlencode

from fastapi import Depends, Query, Request, Response
from starlette.responses import HTMLResponse, RedirectResponse

from otel_chat.errors import OtelChatError, QueryError
from otel_chat.server.access import MARKS_WRITE, Scope
from otel_chat.server.api.parameters import StoreParameter, TenantParameter, Viewer, idle_of
from otel_chat.server.api.security import own_router
from otel_chat.server.figures.conversation_rows import Selection, counted_rows
from otel_chat.server.figures.fields import FIELDS
from otel_chat.server.figures.filters import Filters
from otel_chat.server.figures.sql import Query as Statement
from otel_chat.server.figures.where import LONGEST
from otel_chat.server.figures.window import Window
from otel_chat.server.pages import links
from otel_chat.server.pages.administration import first_of, form_of, reader_with
from otel_chat.server.pages.errors import PageRoute
from otel_chat.server.pages.render import page
from otel_chat.server.questions.segments import Segment, segments
from otel_chat.server.segments import SegmentConditions, drop_segment, save_segment

if TYPE_CHECKING:
    from otel_chat.server.store import Store

router = own_router(
    prefix="", route_class=PageRoute, include_in_schema=False, default_response_class=HTMLResponse
)

PATH: Final = "/segments"
EXAMPLE: Final = "(intent = refund or tool = track_return) and not failed"


def marker_of(request: Request) -> Scope:
    """The scope of a reader who may save something for colleagues.

    Raises:
        AccessError: With status 401 or 403, if the reader may not.
    """
    return reader_with(request, MARKS_WRITE)


Form = Annotated[dict[str, list[str]], Depends(form_of)]
Marker = Annotated[Scope, Depends(marker_of)]
Where = Annotated[str, Query(max_length=2 * LONGEST)]


@dataclass(frozen=True, slots=True)
class Counted:
    """How many conversations of the last seven days conditions let through.

    Args:
        many: How many; None where the conditions cannot be read.
        of: How many there are.
        address: The list of them.
        wrong: Why the conditions cannot be read; empty where they can.
    """

    many: int | None
    of: int
    address: str
    wrong: str


def _counted(request: Request, store: Store, scope: Scope, where: str) -> Counted:
    window = Window.last("7d", idle=idle_of(request))
    limits, wrong = [Filters()], ""
    try:
        limits.append(Filters(where=where))
    except QueryError as error:
        wrong = str(error)
    try:
        found = counted_rows(Statement(store, scope), Selection(window, Filters()), limits)
    except OtelChatError as error:
        return Counted(None, 0, "", str(error))
    address = f"{links.LIST}?{urlencode({'window': '7d', 'where': where})}"
    return Counted(None if wrong else found[1], found[0], address, wrong)


@dataclass(frozen=True, slots=True)
class Row:
    """A segment in the list.

    Args:
        segment: The segment.
        edit: Where it is changed.
        shown: Its conversations.
        forget: Where it is forgotten.
    """

    segment: Segment
    edit: str
    shown: str
    forget: str


def _row(one: Segment) -> Row:
    named = urlencode({"name": one.name, "tenant": one.tenant})
    shown = f"{links.LIST}?{urlencode({'segment': one.name})}"
    return Row(one, f"{PATH}?{named}", shown, f"{PATH}/{quote(one.name, safe='')}/forget")


def _shown(
    request: Request,
    store: Store,
    scope: Scope,
    *,
    name: str = "",
    tenant: str = "",
    where: str = "",
    watched: bool = False,
    told: str = "",
) -> Response:
    kept = segments(store, scope).items
    return page(
        request,
        "segments.html",
        "segments",
        status=422 if told else 200,
        told=told,
        rows=[_row(one) for one in kept],
        name=name,
        tenant=tenant,
        where=where,
        watched=watched,
        example=EXAMPLE,
        counted=_counted(request, store, scope, where) if where else None,
        fields=[(name, field) for name, field in FIELDS.items()],
        may_mark=scope.allows(MARKS_WRITE),
        permission=MARKS_WRITE,
        several=scope.tenants is None or len(scope.tenants) > 1,
    )


@router.get(PATH)
def segments_page(
    request: Request,
    store: StoreParameter,
    scope: Viewer,
    name: str = "",
    where: Where = "",
    tenant: TenantParameter = None,
) -> Response:
    """Every segment, and one of them, or conditions of the address, to edit."""
    kept = segments(store, scope).items
    one = next((one for one in kept if one.name == name and tenant in {None, one.tenant}), None)
    if one is None or where:
        return _shown(request, store, scope, name=name, tenant=tenant or "", where=where)
    return _shown(
        request,
        store,
        scope,
        name=one.name,
        tenant=one.tenant,
        where=one.where,
        watched=one.watched,
    )


@router.get(f"{PATH}/count")
def count_of_segment(
    request: Request, store: StoreParameter, scope: Viewer, where: Where = ""
) -> Response:
    """How many conversations conditions let through, while they are written."""
    counted = _counted(request, store, scope, where) if where.strip() else None
    return page(request, "segment_count.html", "segments", counted=counted)


@router.post(PATH)
def keep_segment(request: Request, store: StoreParameter, scope: Marker, form: Form) -> Response:
    """Keeps the conditions of the form under its name."""
    name, where, tenant = (first_of(form, field) for field in ("name", "where", "tenant"))
    watched = bool(first_of(form, "watched"))
    try:
        if len(where) > LONGEST:
            raise QueryError(f"where has {LONGEST} characters at most.", field="where")
        wanted = SegmentConditions(where=where, watched=watched)
        save_segment(store, scope, name, wanted, tenant or None)
    except OtelChatError as error:
        return _shown(
            request,
            store,
            scope,
            name=name,
            tenant=tenant,
            where=where,
            watched=watched,
            told=str(error),
        )
    return RedirectResponse(PATH, status_code=303)


@router.post(f"{PATH}/{{name:path}}/forget")
def forget_segment(store: StoreParameter, scope: Marker, form: Form, name: str) -> Response:
    """Forgets a segment."""
    drop_segment(store, scope, name, first_of(form, "tenant") or None)
    return RedirectResponse(PATH, status_code=303)
