"""The parameters that most endpoints take."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

from fastapi import Depends, Path, Query, Request
from pydantic import AwareDatetime

from otel_chat.errors import QueryError
from otel_chat.server.access import (
    ADMIN,
    ANALYTICS_VIEW,
    CONVERSATIONS_READ,
    EXPORT_CREATE,
    METRICS_READ,
    Scope,
)
from otel_chat.server.api.security import Needs
from otel_chat.server.queries.filters import Filters
from otel_chat.server.queries.paging import LARGEST_PAGE, PAGE
from otel_chat.server.queries.window import EARLIEST, LATEST, Bucket, Window, WindowName
from otel_chat.server.store import Store

OUT_OF_RANGE: Final = f"A time lies between {EARLIEST:%Y} and {LATEST:%Y}."


def store_of(request: Request) -> Store:
    """The store that the application asks."""
    store: Store = request.app.state.store
    return store


def idle_of(request: Request) -> timedelta:
    """How long a conversation is quiet before it is settled."""
    return timedelta(seconds=float(request.app.state.settings.idle_seconds))


def now_window(request: Request) -> Window:
    """The default window, for questions about one thing of any time."""
    return Window.last(idle=idle_of(request))


def utc(moment: datetime, field: str) -> datetime:
    """A time in UTC, within what the store knows.

    Raises:
        QueryError: If it lies outside.
    """
    try:
        utc = moment.astimezone(UTC)
    except OverflowError as error:
        raise QueryError(OUT_OF_RANGE, field=field) from error
    if not EARLIEST <= utc <= LATEST:
        raise QueryError(OUT_OF_RANGE, field=field)
    return utc


def window_of(
    request: Request,
    window: Annotated[
        WindowName | None,
        Query(description="A length that ends now; 7d without. Not together with from or to."),
    ] = None,
    from_: Annotated[
        AwareDatetime | None,
        Query(
            alias="from",
            description="The first moment, RFC 3339. Seven days before `to` without.",
            examples=["2026-11-01T00:00:00Z"],
        ),
    ] = None,
    to: Annotated[
        AwareDatetime | None,
        Query(
            description="The first moment after, RFC 3339. Now without.",
            examples=["2026-11-08T00:00:00Z"],
        ),
    ] = None,
) -> Window:
    """The window that a request asks about.

    Raises:
        QueryError: If it is empty, out of range, or given in two ways.
    """
    idle = idle_of(request)
    if from_ is None and to is None:
        return Window.last(window or "7d", idle=idle)
    if window is not None:
        raise QueryError("Give either window or from and to.", field="window")
    now = datetime.now(UTC)
    end = now if to is None else utc(to, "to")
    start = end - timedelta(days=7) if from_ is None else utc(from_, "from")
    return Window(start, end, now, idle)


StoreParameter = Annotated[Store, Depends(store_of)]
WindowParameter = Annotated[Window, Depends(window_of)]
NowParameter = Annotated[Window, Depends(now_window)]
FiltersParameter = Annotated[Filters, Depends(Filters)]
LimitParameter = Annotated[
    int, Query(ge=1, le=LARGEST_PAGE, description=f"Entries to a page; {PAGE} without.")
]
CursorParameter = Annotated[
    str | None, Query(max_length=4000, description="The `next_cursor` of the page before.")
]
BucketParameter = Annotated[
    Bucket | None, Query(description="The length of a bucket; one that suits the window without.")
]
TenantParameter = Annotated[
    str | None,
    Query(max_length=1000, description="Its tenant, where several have one of this id."),
]
ConversationId = Annotated[str, Path(max_length=1000, description="The conversation's id.")]
TagParameter = Annotated[str | None, Query(max_length=60, description="Those with this tag.")]
ReviewedParameter = Annotated[
    bool | None, Query(description="Those that were reviewed, or were not.")
]

Viewer = Annotated[Scope, Depends(Needs(ANALYTICS_VIEW))]
Reader = Annotated[Scope, Depends(Needs(CONVERSATIONS_READ))]
Exporter = Annotated[Scope, Depends(Needs(EXPORT_CREATE))]
Admin = Annotated[Scope, Depends(Needs(ADMIN, cookie=False))]
Scraper = Annotated[Scope, Depends(Needs(METRICS_READ, cookie=False))]
