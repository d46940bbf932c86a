"""Charts by the reader's clock: each bar opens exactly what happened on that day of theirs."""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING
from urllib.parse import quote
from zoneinfo import ZoneInfo

import pytest

from otel_chat.server.api.security import COOKIE
from otel_chat.server.pages.periods import ZONE_COOKIE
from tests import web
from tests.server.given import NOON, Given
from tests.server.pages.test_counts import entries
from tests.server.pages.test_sheets import PATHS, told

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from otel_chat.server.store import Store
    from tests.server.pages.conftest import Site

FIRST = datetime(2026, 10, 10, tzinfo=UTC)
DAYS = 20
TIMES = "from=2026-10-10T00:00:00Z&to=2026-10-30T00:00:00Z"
ROW = re.compile(r'<tr[^>]*><th scope="row"><a href="([^"]+)"([^>]*)><time[^>]*>([^<]+)</time>')
COUNTS = re.compile(r'data-counts="(\d+)"')


@pytest.fixture(scope="module")
def filled(store: Store) -> Given:
    """Conversations every 50 minutes while clocks went back in Europe, some handed off."""
    given = Given(store)
    seconds = (FIRST - NOON).total_seconds()
    for number in range(DAYS * 24 * 60 // 50):
        given.turn(
            f"c-{number}", seconds + number * 3000, agent="support", handoff=number % 7 == 0,
            cost="0.01", input_tokens=10, status="error" if number % 9 == 0 else "ok",
        )  # fmt: skip
    given.save()
    return given


@pytest.fixture(params=["Asia/Kolkata", "Europe/Berlin"])
def zone(request: pytest.FixtureRequest) -> str:
    """Where the reader is."""
    return str(request.param)


@pytest.fixture
def client(site: Site, filled: Given, zone: str) -> Iterator[httpx.Client]:
    """A reader whose browser has told its time zone."""
    cookies = {COOKIE: filled.tenant, ZONE_COOKIE: quote(zone, safe="")}
    with web.Client(base_url=site.address, cookies=cookies) as opened:
        yield opened


@pytest.mark.parametrize("path", ["/", "/outcomes/course", "/costs"])
def test_a_bar_opens_exactly_its_day(client: httpx.Client, zone: str, path: str) -> None:
    """The day of 25 hours too; the table says whose days they are."""
    page = client.get(f"{path}?{TIMES}").text
    assert f'<th scope="col">Time ({zone})</th>' in page
    rows = ROW.findall(page)
    starts = sorted(
        {datetime.fromisoformat(found[1]) for href, _, _ in rows
         if (found := re.search(r"from=([^&]+)", html.unescape(href).replace("%3A", ":")))}
    )  # fmt: skip
    lengths = {later - start for start, later in pairwise(starts[1:])}
    day = timedelta(days=1)
    changed = {day + timedelta(hours=1)} if zone == "Europe/Berlin" else set()
    assert lengths == {day} | changed
    counting = [(html.unescape(href), COUNTS.search(rest), day) for href, rest, day in rows]
    told = {href: int(counts[1]) for href, counts, _ in counting if counts}
    assert told or path == "/costs"
    wanted = [href for href in told if "2026-10-2" in href]
    assert {href: entries(client, {}, href) for href in wanted} == {
        href: told[href] for href in wanted
    }


LISTS = ("/conversations", "/turns", "/conversations/told 2", "/reading?id=told 2")
FURTHER = (
    "/", "/compare", "/recommendations", "/forecasts", "/live", "/segments", "/review", "/exports",
    "/reports", "/settings", "/questions?intent=told", "/engagement", "/nowhere",
)  # fmt: skip
TIME = re.compile(r'<time [^>]*?datetime="([^"]+)"[^>]*>[^<]*?(\d\d:\d\d)')
IN_UTC = re.compile(r"\d:\d\d(?::\d\d)? UTC(?![-+])")


@pytest.fixture(scope="module")
def named(store: Store) -> Given:
    """Two conversations of the last hours, with everything that pages name."""
    given = Given(store)
    told(given, "told")
    return given


@pytest.mark.parametrize("path", [*LISTS, *PATHS, *FURTHER])
def test_every_time_is_by_the_readers_clock(site: Site, named: Given, path: str) -> None:
    """In lists, tables and transcripts as in charts: half an hour beside UTC."""
    kolkata = ZoneInfo("Asia/Kolkata")
    cookies = {COOKIE: named.tenant, ZONE_COOKIE: quote(kolkata.key, safe="")}
    with web.Client(base_url=site.address, cookies=cookies) as client:
        text = client.get(path, headers={"hx-request": "true"}).text
    shown = [(datetime.fromisoformat(moment), clock) for moment, clock in TIME.findall(text)]
    assert shown or path not in LISTS
    assert [f"{moment.astimezone(kolkata):%H:%M}" for moment, _ in shown] == [
        clock for _, clock in shown
    ]
    assert IN_UTC.findall(text) == []
    assert " IST" in text or path not in (*LISTS, *PATHS)


def test_days_are_called_by_the_readers_calendar(client: httpx.Client, zone: str) -> None:
    """From midnight to midnight where they are, not in UTC."""
    page = client.get(f"/?{TIMES}").text
    labels = [label for _, _, label in ROW.findall(page)][: DAYS + 1]
    assert labels == [f"{day} Oct" for day in range(10, 31)]
    assert f"timezone={quote(zone, safe='')}" in page
