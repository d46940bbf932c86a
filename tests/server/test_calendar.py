"""What periods of the calendar are compared with."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from fastapi.testclient import TestClient

from otel_chat._common.moments import PeriodName, period, period_before
from otel_chat.server.figures.window import Window
from tests.server.given import NOON, Given

BERLIN = ZoneInfo("Europe/Berlin")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}Z")


@pytest.mark.parametrize(
    ("name", "now", "before"),
    [
        ("today", "2026-11-25T14:30", ("2026-11-23T23:00", "2026-11-24T14:30")),
        # Clocks went forward on Sunday 29 March: the same time of the clock, an hour later in UTC.
        ("today", "2026-03-29T14:30", ("2026-03-27T23:00", "2026-03-28T15:30")),
        ("this_week", "2026-11-25T14:30", ("2026-11-15T23:00", "2026-11-18T14:30")),
        ("this_month", "2026-11-25T14:30", ("2026-09-30T22:00", "2026-10-25T14:30")),
        # The 30th of February is over when the month is.
        ("this_month", "2026-03-30T14:30", ("2026-01-31T23:00", "2026-02-28T23:00")),
        ("yesterday", "2026-11-25T14:30", ("2026-11-22T23:00", "2026-11-23T23:00")),
        ("last_week", "2026-11-25T14:30", ("2026-11-08T23:00", "2026-11-15T23:00")),
        ("last_month", "2026-11-25T14:30", ("2026-08-31T22:00", "2026-09-30T22:00")),
    ],
)
def test_a_period_is_compared_with_the_one_before(
    name: PeriodName, now: str, before: tuple[str, str]
) -> None:
    """One that goes on up to the same time; one that is over, with the whole one before."""
    start, after = period(name, BERLIN, utc(now))
    end = after if after <= utc(now) else None
    assert period_before(start, end, BERLIN, utc(now)) == (utc(before[0]), utc(before[1]))


def test_any_other_window_is_no_period() -> None:
    """A day that is neither today nor yesterday, and today cut at noon."""
    now = utc("2026-11-25T14:30")
    start, after = period("today", BERLIN, now)
    assert period_before(start - timedelta(days=3), after - timedelta(days=3), BERLIN, now) is None
    assert period_before(start, now, BERLIN, now) is None
    assert period_before(start + timedelta(hours=1), None, BERLIN, now) is None


def test_what_lies_between_a_period_and_the_one_before_counts_in_neither() -> None:
    """The hours of yesterday that today has not come to."""
    noon = utc("2026-11-25T12:00")
    today = noon.replace(hour=0)
    day = timedelta(days=1)
    window = Window(today, noon, noon, before=(today - day, noon - day))
    assert (window.previous().start, window.previous().end) == (today - day, noon - day)
    assert window.with_previous().gap == (noon - day, today)
    assert window.compared == "the period before up to the same time"
    assert Window(today, noon, noon).with_previous().gap is None


def test_today_is_compared_with_yesterday_until_now(given: Given, client: TestClient) -> None:
    """By every figure that tells of the window before: of turns, conversations and events."""
    now = datetime.now(UTC)
    zone = _where_it_is_noon(now)
    start, _ = period("today", ZoneInfo(zone), now)
    day = timedelta(days=1)
    for name, moment in {
        "today": now - timedelta(minutes=90),
        "then": now - day - timedelta(minutes=90),
        "then-too": now - day - timedelta(minutes=80),
        "later-yesterday": now - day + timedelta(minutes=60),
    }.items():
        seconds = (moment - NOON).total_seconds()
        given.turn(name, seconds, intent="greeting", agent=given.tenant)
        given.feedback(4, name, seconds + 1)
    given.save()

    asked = {"from": f"{start:%Y-%m-%dT%H:%M:%SZ}", "timezone": zone, "agent": given.tenant}
    found: dict[str, Any] = client.get("/api/v1/overview", params=asked).json()
    assert datetime.fromisoformat(found["previous_window"]["from"]) == start - day
    assert (found["turns"], found["previous"]["turns"]) == (1, 2)
    assert (found["conversations"], found["previous"]["conversations"]) == (1, 2)
    assert (found["satisfaction"]["count"], found["previous"]["satisfaction"]["count"]) == (1, 2)
    changes = client.get("/api/v1/overview/changes", params=asked).json()
    assert (changes["conversations"], changes["previous_conversations"]) == (1, 2)
    leaders = client.get("/api/v1/overview/leaders", params=asked).json()
    (intent,) = [one for one in leaders["intents"] if one["name"] == "greeting"]
    assert (intent["count"], intent["previous"]) == (1, 2)
    rolling = client.get("/api/v1/overview", params={"window": "24h", "agent": given.tenant}).json()
    assert rolling["previous"]["turns"] == 2


def _where_it_is_noon(now: datetime) -> str:
    """A zone in which it is between twelve and one: a day has begun, and more of it is to come."""
    hours = 12 - now.hour
    return f"Etc/GMT{-hours:+d}" if hours else "UTC"
