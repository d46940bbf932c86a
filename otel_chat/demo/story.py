"""Three weeks of sample conversations that happened before the demo was started.

The bot answers them now, through its own endpoints, and whatever is measured is measured now; only
the clock is moved back to when they are said to have happened. On one day the bot's next release
went out, and it has lost its connection with a carrier. That is the fault which the tour finds.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import httpx

import otel_chat
from otel_chat._common.moments import nanoseconds
from otel_chat.demo import content
from otel_chat.demo.bot import RELEASE, SupportBot
from otel_chat.demo.orderbook import OrderBook
from otel_chat.demo.traffic import Sent, browser, play
from otel_chat.demo.web import create_app

DAYS: Final = 21
BAD_DAYS: Final = 5
"""So many days ago the release with the fault went out, in the morning."""
BEFORE: Final = "1.4.0"
LOST: Final = {"Greyhound Post": 4}
"""The carrier that the release lost, with its working days."""
READ: Final = "demo-parcel-not-found"
"""The id of the conversation that the tour reads."""
_RELEASED: Final = timedelta(hours=9)
_A_DAY: Final = (7, 7, 7, 7, 7, 4, 4)
"""Conversations of a day, from Monday on."""
_HOURS: Final = (7.0, 22.0, 13.0)
"""When a day's conversations begin: the earliest, the latest and the most usual hour, UTC."""
_OF_CARRIER: Final = 0.35
"""The share of conversations about that carrier's parcels, before and after."""
_FAULTY: Final = frozenset({"carrier that cannot be asked", "return with an unknown carrier"})
_QUIET: Final = timedelta(hours=1)
_AT_ONCE: Final = 24
_FLUSHED: Final = 48
_FLUSH_SECONDS: Final = 30.0
_SEED: Final = 5
_READS: Final = 6.0
_TYPES: Final = 0.2


@dataclass(frozen=True, slots=True)
class Told:
    """A conversation of the story.

    Args:
        sample: What is said in it.
        start: When it began.
        release: The version of the bot that answered.
        name: Its id.
    """

    sample: Mapping[str, Any]
    start: datetime
    release: str
    name: str


@dataclass(slots=True)
class _Place:
    """Where in the story something happens: in which conversation, and how long ago."""

    name: str
    ago_ns: int


_place: ContextVar[_Place | None] = ContextVar("otel_chat_demo_place", default=None)


class StoryClock:
    """The machine's clock; within a conversation of the story, moved back to its time.

    Example:
        >>> abs(StoryClock().time_ns() - time.time_ns()) < 10**9
        True
    """

    monotonic_ns = staticmethod(time.monotonic_ns)

    def time_ns(self) -> int:
        """Nanoseconds since 1970."""
        place = _place.get()
        return time.time_ns() - (place.ago_ns if place else 0)


def story(now: datetime) -> list[Told]:
    """The conversations of the story, in the order of their days; the same for the same day.

    Args:
        now: The present, with its time zone; all have ended an hour before.

    Example:
        >>> from datetime import UTC
        >>> told = story(datetime(2026, 11, 29, 12, tzinfo=UTC))
        >>> {one.release for one in told} == {BEFORE, RELEASE}
        True
        >>> sum(one.name == READ for one in told)
        1
    """
    chance = random.Random(_SEED)  # noqa: S311 - no secret
    usual = [sample for sample in content.samples() if sample["name"] not in _FAULTY]
    about_carrier = content.story()
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    released = today - timedelta(days=BAD_DAYS) + _RELEASED
    told: list[Told] = []
    for ago in range(DAYS, -1, -1):
        day = today - timedelta(days=ago)
        for _ in range(_A_DAY[day.weekday()]):
            start = day + timedelta(hours=chance.triangular(*_HOURS))
            sample = chance.choice(about_carrier if chance.random() < _OF_CARRIER else usual)
            is_new = start >= released
            name = f"demo-story-{len(told) + 1:03d}"
            if start < now - _QUIET:
                told.append(Told(sample, start, RELEASE if is_new else BEFORE, name))
    return _with_read(told, about_carrier[0])


def _with_read(told: list[Told], sample: Mapping[str, Any]) -> list[Told]:
    """The same, with the conversation that the tour reads: the first one after the release."""
    at = next(place for place, one in enumerate(told) if one.release == RELEASE)
    return [*told[:at], Told(sample, told[at].start, RELEASE, READ), *told[at + 1 :]]


async def tell(told: Sequence[Told], *, done: Callable[[], None]) -> Sent:
    """Has the bot answer the conversations of the story, each release its own.

    Args:
        told: The conversations.
        done: Called after each.

    Raises:
        TelemetryError: telemetry of it could not be sent.

    Returns:
        What was sent.
    """
    carriers: dict[str, dict[str, int]] = {BEFORE: LOST, RELEASE: {}}
    bots = {release: _transport(release, known) for release, known in carriers.items()}
    gate, sent = asyncio.Semaphore(_AT_ONCE), Sent({})

    async def one(told: Told, at: int) -> None:
        async with gate, browser(told.sample, at, transport=bots[told.release]) as http:
            place = _Place(told.name, time.time_ns() - nanoseconds(told.start))
            _place.set(place)
            await play(http, told.sample, sent, before=lambda step: _pass(place, step))
        done()

    for first in range(0, len(told), _FLUSHED):
        async with asyncio.TaskGroup() as group:
            for at, item in enumerate(told[first : first + _FLUSHED], first):
                group.create_task(one(item, at))
        # What waits to be sent is limited, and the bot is quicker than the sending.
        await asyncio.to_thread(otel_chat.flush, _FLUSH_SECONDS)
    return sent


def _transport(release: str, carriers: Mapping[str, int]) -> httpx.ASGITransport:
    """A release of the bot, in this process; every conversation has the orders as they were."""
    bot = SupportBot(release=release, book=lambda: OrderBook(carriers), name=_name)
    return httpx.ASGITransport(app=create_app(bot, analytics="", http_spans=False))


def _name() -> str:
    place = _place.get()
    if place is None:
        raise LookupError("a conversation of the story has no place in it")
    return place.name


def _pass(place: _Place, step: Mapping[str, Any]) -> None:
    """Lets the time pass that a user takes to read and to type."""
    seconds = _READS + _TYPES * len(str(step.get("say", "")))
    place.ago_ns -= round(seconds * 1e9)
