"""The parameters that most endpoints take."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

from fastapi import Depends, Path, Query, Request

from otel_chat._common.moments import UTC_NAME, end_of, first_of, period_before, zone_of
from otel_chat.errors import QueryError
from otel_chat.server.access import (
    ADMIN,
    ANALYTICS_VIEW,
    CONVERSATIONS_READ,
    EXPORT_CREATE,
    METRICS_READ,
    Scope,
)
from otel_chat.server.api.filters import filters_of
from otel_chat.server.api.security import Needs
from otel_chat.server.episodes import Episode
from otel_chat.server.figures.filters import Filters
from otel_chat.server.figures.paging import LARGEST_PAGE, PAGE
from otel_chat.server.figures.window import EARLIEST, LATEST, Bucket, By, Window, WindowName
from otel_chat.server.store import Store

OUT_OF_RANGE: Final = f"A time lies between {EARLIEST:%Y} and {LATEST:%Y}."

TimezoneParameter = Annotated[
    str,
    Query(
        max_length=100,
        description="The time zone of days, of hours, and of times without an offset; a series by"
        " days has its days.",
        examples=["Europe/Berlin"],
    ),
]
FIRST: Final = (
    "The first day, or the first moment of RFC 3339; without an offset it is in `timezone`."
)
LAST: Final = (
    "The last day, which counts whole, or the first moment after; written as the first is."
)


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


def in_range(moment: datetime, field: str) -> datetime:
    """A time within what the store knows.

    Raises:
        QueryError: If it lies outside.
    """
    if not EARLIEST <= moment <= LATEST:
        raise QueryError(OUT_OF_RANGE, field=field)
    return moment


def span_of(
    first: str | None,
    last: str | None,
    timezone: str,
    *,
    length: timedelta,
    idle: timedelta,
    names: tuple[str, str] = ("from", "to"),
) -> Window:
    """The window between two days or moments.

    Args:
        first: The first day or moment; so much before the end without.
        last: The last day or the first moment after; now without.
        timezone: The time zone of days.
        length: How long it is where `first` is left out.
        idle: How long a conversation is quiet before it is settled.
        names: What the parameters are called.

    Raises:
        QueryError: If one cannot be read or is out of range, or the window is empty.
    """
    begin, until = names
    now = datetime.now(UTC)
    end = now if last is None else in_range(end_of(last, until, timezone), until)
    start = end - length if first is None else in_range(first_of(first, begin, timezone), begin)
    if start >= end:
        raise QueryError(f"{begin!r} must lie before {until!r}.", field=begin)
    return Window(start, end, now, idle)


def started_in(
    request: Request,
    window: Annotated[
        WindowName | None,
        Query(description="A length that ends now; 7d without. Not together with from or to."),
    ] = None,
    from_: Annotated[
        str | None,
        Query(
            alias="from",
            max_length=100,
            description=f"{FIRST} Seven days before `to` without. A day, week or month of the"
            " calendar is compared with the one before, one that goes on still up to the same"
            " time; anything else with the same length before.",
            examples=["2026-11-01"],
        ),
    ] = None,
    to: Annotated[
        str | None,
        Query(max_length=100, description=f"{LAST} Now without.", examples=["2026-11-07"]),
    ] = None,
    timezone: TimezoneParameter = UTC_NAME,
) -> Window:
    """The window that a request asks about.

    Raises:
        QueryError: If it is empty, out of range, given in two ways or cannot be read, or there is
            no such time zone.
    """
    idle = idle_of(request)
    state = request.app.state.settler.state()
    zone = zone_of(timezone)
    known = {"as_of": state.as_of, "rules": state.rules, "zone": zone}
    if from_ is None and to is None:
        return replace(Window.last(window or "7d", idle=idle), **known)
    if window is not None:
        raise QueryError("Give either window or from and to.", field="window")
    asked = span_of(from_, to, timezone, length=timedelta(days=7), idle=idle)
    before = period_before(asked.start, asked.end if to else None, zone, asked.now)
    return replace(asked, before=before, **known)


def window_of(
    window: Annotated[Window, Depends(started_in)],
    by: Annotated[
        By,
        Query(
            description="Which conversations belong to it: those that started in it, or those that"
            " had a turn in it, as whole lives. For charts and changes over time only `started`."
        ),
    ] = "started",
) -> Window:
    """The window that a request asks about, by start or by activity."""
    return replace(window, by=by)


StoreParameter = Annotated[Store, Depends(store_of)]
WindowParameter = Annotated[Window, Depends(window_of)]
StartedWindowParameter = Annotated[Window, Depends(started_in)]
NowParameter = Annotated[Window, Depends(now_window)]
FiltersParameter = Annotated[Filters, Depends(filters_of)]
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


WholeId = Annotated[str, Path(max_length=1000, description="The conversation's id.")]


def episode_of(
    conversation_id: WholeId,
    episode: Annotated[
        str | None,
        Query(
            max_length=40,
            description="When the episode began, as answers tell it, where silences split the id;"
            " the first without.",
            examples=["20261118T110640.000000001Z"],
        ),
    ] = None,
) -> str:
    """The id of the conversation, or of the episode, that a request is about.

    Raises:
        QueryError: If the episode is not written as answers write it.
    """
    if episode is None:
        return conversation_id
    known = f"{conversation_id}@{episode}"
    if not Episode.of(known).begun:
        message = "An episode is told by its start, as 20261118T110640.000000001Z."
        raise QueryError(message, field="episode")
    return known


ConversationId = Annotated[str, Depends(episode_of)]
TagParameter = Annotated[str | None, Query(max_length=60, description="Those with this tag.")]
ReviewedParameter = Annotated[
    bool | None, Query(description="Those that were reviewed, or were not.")
]

Viewer = Annotated[Scope, Depends(Needs(ANALYTICS_VIEW))]
Reader = Annotated[Scope, Depends(Needs(CONVERSATIONS_READ))]
Exporter = Annotated[Scope, Depends(Needs(EXPORT_CREATE))]
Admin = Annotated[Scope, Depends(Needs(ADMIN, cookie=False))]
Scraper = Annotated[Scope, Depends(Needs(METRICS_READ, cookie=False))]
