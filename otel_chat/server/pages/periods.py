"""Whole days, weeks and months to choose from, by the reader's own calendar."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Final
from urllib.parse import unquote
from zoneinfo import ZoneInfo

from fastapi import Depends, Request

from otel_chat._common.moments import PERIODS, UTC_NAME, period, zone_of
from otel_chat.errors import QueryError
from otel_chat.server.api.parameters import started_in
from otel_chat.server.figures.window import Window
from otel_chat.server.pages import links
from otel_chat.server.questions.newest import newest_conversation

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from otel_chat.server.access import Scope
    from otel_chat.server.store import Store

ZONE_COOKIE: Final = "otel_chat_zone"
"""Where a script keeps the name of the browser's time zone."""

ZONES: Final = (
    "UTC", "America/Los_Angeles", "America/Denver", "America/Chicago", "America/New_York",
    "America/Sao_Paulo", "Europe/London", "Europe/Berlin", "Europe/Helsinki", "Africa/Nairobi",
    "Asia/Dubai", "Asia/Kolkata", "Asia/Singapore", "Asia/Tokyo", "Australia/Sydney",
    "Pacific/Auckland",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Period:
    """A period to choose.

    Args:
        label: What it is called.
        href: The address of the page with it.
        chosen: Whether the page shows it already.
    """

    label: str
    href: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class Calendar:
    """The periods of a page.

    Args:
        zone: The name of the time zone whose days they are.
        periods: What can be chosen.
    """

    zone: str
    periods: Sequence[Period]

    @property
    def chosen(self) -> str:
        """What the page shows; empty where it shows none of them."""
        return next((one.label for one in self.periods if one.chosen), "")


@dataclass(frozen=True, slots=True)
class NewestWeek:
    """The week of the newest conversation, for a page that has nothing to show.

    Args:
        day: The day of that conversation, in words.
        href: The address of the page with its week, and without filters.
    """

    day: str
    href: str


def reader_zone(request: Request) -> ZoneInfo:
    """The reader's time zone: of the address, else of the browser, else UTC."""
    kept = unquote(request.cookies.get(ZONE_COOKIE, ""))
    for name in (request.query_params.get("timezone"), kept):
        try:
            if name:
                return zone_of(name)
        except QueryError:
            continue  # a page that needs it says so; a cookie is no reason to show none
    return ZoneInfo(UTC_NAME)


def zones(chosen: str) -> list[str]:
    """The time zones to choose from; the chosen one first."""
    return [chosen, *(zone for zone in ZONES if zone != chosen)]


def _readers_own(request: Request, window: Annotated[Window, Depends(started_in)]) -> Window:
    return replace(window, zone=reader_zone(request))


WindowParameter = Annotated[Window, Depends(_readers_own)]
"""The window of a page, whose buckets are by the reader's clock."""


def calendar(view: links.View, zone: ZoneInfo, now: datetime) -> Calendar:
    """The periods that a page can show.

    A period that still goes on has no end in its address: it is compared with the period before,
    up to the same time.

    Args:
        view: The filters of the page.
        zone: The reader's time zone.
        now: The present time.

    Example:
        >>> from datetime import UTC, datetime
        >>> now = datetime(2026, 3, 30, 7, tzinfo=UTC)  # clocks went forward on the 29th
        >>> view = links.View("/", (("from", "2026-03-29T22:00:00Z"),))
        >>> found = calendar(view, ZoneInfo("Europe/Berlin"), now)
        >>> found.chosen, found.periods[2].label
        ('Today', 'This week')
        >>> found.periods[2].href
        '/?timezone=Europe%2FBerlin&from=2026-03-29T22%3A00%3A00Z'
    """
    kept = [*view.hidden(*links.TIMES, "timezone"), *_of_zone(zone)]
    shown = (view.value("from"), view.value("to"))
    found = []
    for name in PERIODS:
        start, end = period(name, zone, now)
        times = (links.written(start), links.written(end) if end <= now else "")
        named = [pair for pair in zip(("from", "to"), times, strict=True) if pair[1]]
        href = links.View(view.path, (*kept, *named)).at(view.path)
        found.append(Period(name.replace("_", " ").capitalize(), href, times == shown))
    return Calendar(zone.key, found)


def newest_week(
    request: Request, store: Store, scope: Scope, window: Window, path: str
) -> NewestWeek | None:
    """Where the newest conversation is, if that is outside of a window.

    Args:
        request: What was asked for.
        store: The store to ask.
        scope: What the reader may see.
        window: The window of the page.
        path: The page.
    """
    newest = newest_conversation(store, scope)
    if newest is None or window.start <= newest < window.end:
        return None
    zone = reader_zone(request)
    day = newest.astimezone(zone)
    href = links.View(path, tuple(_of_zone(zone))).within(path, *period("this_week", zone, newest))
    return NewestWeek(f"{day.day} {day:%b %Y}", href)


def _of_zone(zone: ZoneInfo) -> list[tuple[str, str]]:
    return [] if zone.key == UTC_NAME else [("timezone", zone.key)]
