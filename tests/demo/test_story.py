from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from otel_chat._common.moments import nanoseconds
from otel_chat._telemetry import runtime as process
from otel_chat.demo import content
from otel_chat.demo.bot import RELEASE
from otel_chat.demo.story import BAD_DAYS, BEFORE, DAYS, READ, StoryClock, Told, story, tell
from otel_chat.demo.traffic import Sent
from tests.demo.conftest import Telemetry

NOW = datetime(2026, 11, 29, 12, 30, tzinfo=UTC)
MUGS, MIRROR = content.story()[:2]


@pytest.fixture
def backdated() -> Iterator[Telemetry]:
    """A runtime of the test's own, with the clock of the story."""
    made = Telemetry(clock=StoryClock())
    before = process.install(made.runtime)
    yield made
    process.install(before)


@dataclass
class Heard:
    """What was sent, and how often a conversation was done."""

    sent: Sent
    done: int


def told(*conversations: Told) -> Heard:
    """Has them told."""
    done: list[bool] = []
    sent = asyncio.run(tell(conversations, done=lambda: done.append(True)))
    return Heard(sent, len(done))


@pytest.mark.parametrize("hour", [0, 12, 23])
def test_the_story_fills_three_weeks_and_ends_before_now(hour: int) -> None:
    """Conversations on each day, none in the last hour, all ids apart, the same on each asking."""
    now = NOW.replace(hour=hour)
    plan = story(now)
    days = {one.start.date() for one in plan}
    assert {(now - timedelta(days=ago)).date() for ago in range(1, DAYS + 1)} <= days
    assert max(one.start for one in plan) < now - timedelta(hours=1)
    assert len({one.name for one in plan}) == len(plan) > 100
    assert plan == story(now)
    released = min(one.start for one in plan if one.release == RELEASE)
    assert released > max(one.start for one in plan if one.release == BEFORE)
    assert (now.date() - released.date()).days == BAD_DAYS


def test_the_release_has_lost_a_carrier(backdated: Telemetry) -> None:
    """The same question was answered by the release before; after a failure users say so."""
    start = NOW - timedelta(days=7)
    heard = told(Told(MIRROR, start, BEFORE, "old"), Told(MIRROR, start, RELEASE, "new"))
    assert (heard.sent.conversations, heard.sent.failed, heard.done) == ({"old": 3, "new": 3}, 2, 2)
    kinds: dict[str, list[object]] = {"old": [], "new": []}
    for turn in backdated.turns():
        kinds[str(turn["gen_ai.conversation.id"])].append(turn.get("error.type"))
        version = turn["gen_ai.agent.version"]
        assert version == {"old": BEFORE, "new": RELEASE}[str(turn["gen_ai.conversation.id"])]
    assert kinds == {"old": [None] * 3, "new": [None, "CarrierUnknownError", "CarrierUnknownError"]}


def test_times_are_moved_back_and_measures_are_real(backdated: Telemetry) -> None:
    """All spans and events lie at their conversation's time; durations are what passed."""
    start = datetime.now(UTC) - timedelta(days=10)
    heard = told(Told(MUGS, start, RELEASE, READ))
    assert heard.sent.handoffs == 1
    begin, limit = nanoseconds(start), nanoseconds(start + timedelta(minutes=3))
    spans = backdated.spans()
    for span in spans:
        assert begin <= (span.start_time or 0) <= (span.end_time or 0) < limit
    lasted = sum((span.end_time or 0) - (span.start_time or 0) for span in spans) / 1e9
    assert 0 < lasted < 60
    moments = backdated.moments()
    assert moments
    assert all(begin <= moment < limit for moment in moments)
