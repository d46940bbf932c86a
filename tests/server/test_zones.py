"""Series by the clock of a time zone: whole days of the reader, over changes of clocks too."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from otel_chat.server.figures.window import BUCKETS, Window
from tests.server.given import NOON, Given

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

    from otel_chat.server.figures.window import Bucket

STEP = timedelta(minutes=37)
SPANS = {
    "Asia/Kolkata": (datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 9, 5, tzinfo=UTC)),
    "Europe/Berlin": (datetime(2026, 10, 22, 3, tzinfo=UTC), datetime(2026, 10, 29, tzinfo=UTC)),
    "Europe/London": (datetime(2026, 3, 26, tzinfo=UTC), datetime(2026, 4, 2, 7, tzinfo=UTC)),
    "Australia/Lord_Howe": (datetime(2026, 4, 1, tzinfo=UTC), datetime(2026, 4, 8, tzinfo=UTC)),
    "America/Havana": (datetime(2026, 10, 30, tzinfo=UTC), datetime(2026, 11, 4, tzinfo=UTC)),
    "Africa/Cairo": (datetime(2026, 4, 21, tzinfo=UTC), datetime(2026, 4, 27, tzinfo=UTC)),
}


@pytest.mark.parametrize("zone", SPANS)
def test_a_series_by_days_has_the_days_of_the_time_zone(
    client: TestClient, given: Given, zone: str
) -> None:
    """Each turn belongs to the day that its clock showed; a day begins at its first moment."""
    start, end = SPANS[zone]
    own = ZoneInfo(zone)
    days: Counter[str] = Counter()
    at = start
    while at < end:
        given.turn(f"c-{at.isoformat()}", (at - NOON).total_seconds(), agent=given.tenant)
        days[at.astimezone(own).date().isoformat()] += 1
        at += STEP
    given.save()
    asked = {"from": start.isoformat(), "to": end.isoformat(), "timezone": zone, "bucket": "1d"}
    answer = client.get("/api/v1/overview/series", params={**asked, "agent": given.tenant})
    assert answer.status_code == 200, answer.text
    points = answer.json()["points"]
    found = {point["start"][:10]: (point["turns"], point["conversations"]) for point in points}
    assert found == {day: (turns, turns) for day, turns in sorted(days.items())}
    for point in points:
        moment = datetime.fromisoformat(point["start"])
        assert moment.utcoffset() == moment.astimezone(own).utcoffset()
        before = (moment - timedelta(seconds=1)).astimezone(own)
        assert before.date() < moment.astimezone(own).date()


@pytest.mark.parametrize("bucket", BUCKETS)
@pytest.mark.parametrize("zone", SPANS)
def test_buckets_part_the_window(zone: str, bucket: Bucket) -> None:
    """They follow one another without a gap, from the start or before to the end or after."""
    start, end = SPANS[zone]
    window = Window(start, end, end, zone=ZoneInfo(zone))
    edges = window.bucket_edges(bucket)
    assert edges[0] <= start < edges[1]
    assert edges[-2] < end <= edges[-1]
    assert edges == sorted(set(edges))
    assert window.bucket_starts(bucket) == edges[:-1]
    if bucket != "15m":
        assert {edge.minute for edge in edges} <= {0, 30}
    longest = max(later - edge for edge, later in pairwise(edges))
    assert longest <= BUCKETS[bucket] + timedelta(hours=1)


def test_without_a_time_zone_the_days_are_those_of_utc() -> None:
    """Of 24 hours each, written as ever."""
    start, end = SPANS["Europe/Berlin"]
    edges = Window(start, end, end).bucket_edges("1d")
    assert edges == [datetime(2026, 10, day, tzinfo=UTC) for day in range(22, 30)]
    assert {edge.tzname() for edge in edges} == {"UTC"}
