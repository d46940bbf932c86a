"""Whole days, weeks and months on the pages, by the reader's own calendar."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import httpx
import pytest
from playwright.sync_api import expect

from otel_chat.server.api.security import COOKIE
from otel_chat.server.pages import links, periods
from tests import web
from tests.server.given import NOON, Given
from tests.server.pages.conftest import Readers, Site

BERLIN: Final = ZoneInfo("Europe/Berlin")
PERIODS: Final = ["Today", "Yesterday", "This week", "Last week", "This month", "Last month"]


def seconds(*moment: int) -> float:
    """When a moment of Berlin's clock is, as the tests' turns say it."""
    return (datetime(*moment, tzinfo=BERLIN) - NOON).total_seconds()  # type: ignore[misc, arg-type]


@pytest.fixture
def client(site: Site, given: Given) -> Iterator[httpx.Client]:
    """Signed in to the tenant of the test."""
    with web.Client(base_url=site.address, cookies={COOKIE: given.tenant}) as opened:
        yield opened


def test_a_week_of_berlin_is_its_own_when_clocks_change(client: httpx.Client, given: Given) -> None:
    """The week that lost an hour holds what began in it, from its first moment to its last."""
    given.turn("before", seconds(2026, 3, 22, 23, 59))
    given.turn("first", seconds(2026, 3, 23))
    given.turn("last", seconds(2026, 3, 29, 23, 59))
    given.turn("after", seconds(2026, 3, 30))
    given.save()
    now = datetime(2026, 4, 1, 12, tzinfo=UTC)
    view = links.View(links.LIST, (("window", "7d"),))
    week = next(
        one for one in periods.calendar(view, BERLIN, now).periods if one.label == "Last week"
    )
    shown = client.get(week.href)
    assert shown.status_code == 200
    ids = [part.split("<")[0] for part in shown.text.split("data-row-id>")[1:]]
    assert ids == ["last", "first"]
    asked = httpx.URL(week.href).params
    start, end = (datetime.fromisoformat(asked[name]) for name in ("from", "to"))
    assert end - start == timedelta(days=7) - timedelta(hours=1)
    overview = client.get(f"/?{httpx.URL(week.href).query.decode()}").text
    assert "23 Mar 2026, 00:00<" in overview
    assert "30 Mar 2026, 00:00 CEST" in overview


def test_what_goes_on_has_no_end(client: httpx.Client) -> None:
    """Today, this week and this month reach up to now; what is over has its end in the address."""
    now = datetime(2026, 10, 28, 22, 30, tzinfo=UTC)
    found = periods.calendar(links.View("/"), BERLIN, now).periods
    assert [one.label for one in found] == PERIODS
    times = [httpx.URL(one.href).params for one in found]
    assert [(one["from"], one.get("to")) for one in times] == [
        ("2026-10-27T23:00:00Z", None),
        ("2026-10-26T23:00:00Z", "2026-10-27T23:00:00Z"),
        ("2026-10-25T23:00:00Z", None),
        ("2026-10-18T22:00:00Z", "2026-10-25T23:00:00Z"),
        ("2026-09-30T22:00:00Z", None),
        ("2026-08-31T22:00:00Z", "2026-09-30T22:00:00Z"),
    ]


@pytest.mark.parametrize("path", ["/", "/conversations", "/intents", "/compare", "/exports"])
def test_without_a_script_the_zone_is_that_of_the_address(client: httpx.Client, path: str) -> None:
    """Else it is UTC; the page says which, and calls the period that its address is by its name."""
    for asked, zone in (("", "UTC"), ("timezone=Asia/Tokyo", "Asia/Tokyo")):
        text = client.get(f"{path}?{asked}" if asked else path).text
        assert f"Days of {zone}, weeks from Monday" in text
        view = links.View(path, tuple(httpx.QueryParams(asked).multi_items()))
        for one in periods.calendar(view, ZoneInfo(zone), datetime.now(UTC)).periods:
            shown = client.get(one.href)
            assert shown.status_code == 200
            assert f'aria-current="true">{one.label}</a>' in shown.text


def test_a_cookie_that_names_no_zone_is_no_harm(site: Site, given: Given) -> None:
    """Days are those of UTC then, and every page opens."""
    cookies = {COOKIE: given.tenant, periods.ZONE_COOKIE: "Nowhere%2FLand"}
    with web.Client(base_url=site.address, cookies=cookies) as client:
        assert "Days of UTC, weeks from Monday" in client.get("/").text


def test_a_range_is_typed_by_the_clock_that_its_fields_name(client: httpx.Client) -> None:
    """A zone in the address goes along with the form, so its fields are in that zone."""
    asked = "from=2026-10-24T22:00:00Z&to=2026-10-25T23:00:00Z&timezone=Europe/Berlin"
    text = client.get(f"/?{asked}").text
    assert "From (Europe/Berlin)" in text
    assert 'value="2026-10-25T00:00"' in text
    assert 'value="2026-10-26T00:00"' in text


@pytest.mark.parametrize("path", ["/", "/conversations", "/intents", "/turns"])
def test_an_empty_page_leads_to_the_week_of_the_newest_conversation(
    client: httpx.Client, given: Given, path: str
) -> None:
    """Without the filters, and in the reader's zone: Monday there is Sunday in UTC."""
    told = re.compile(r"newest conversation is of ([^:]*): <a href=\"([^\"]*)\">show that week")
    assert told.search(client.get(path).text) is None
    given.turn("older", seconds(2026, 1, 5, 12))
    given.turn("newest", seconds(2026, 3, 30, 0, 30), agent="sales")
    given.save()
    asked = f"{path}?window=24h&agent=support"
    in_utc = told.search(client.get(asked).text)
    client.cookies.set(periods.ZONE_COOKIE, "Europe%2FBerlin")
    in_berlin = told.search(client.get(asked).text)
    assert in_utc is not None
    assert in_berlin is not None
    assert (in_utc[1], in_berlin[1]) == ("29 Mar 2026", "30 Mar 2026")
    for found, start in ((in_utc, "2026-03-23T00:00:00Z"), (in_berlin, "2026-03-29T22:00:00Z")):
        address = httpx.URL(html.unescape(found[2]))
        assert address.path == path
        assert address.params["from"] == start
        assert "agent" not in address.params
        shown = client.get(str(address)).text
        assert "in this window</h2>" not in shown
        assert told.search(shown) is None


def test_the_week_of_the_newest_is_not_offered_where_filters_hide_it(
    client: httpx.Client, given: Given
) -> None:
    """A window that holds the newest conversation is not left for its sake."""
    given.turn("newest", seconds(2026, 3, 30, 0, 30), agent="sales")
    given.save()
    shown = client.get("/conversations?from=2026-03-28T00:00:00Z&agent=support").text
    assert "No conversation is like this" in shown
    assert "show that week" not in shown


@pytest.mark.browser
@pytest.mark.parametrize("path", ["/live", "/conversations/first"])
def test_times_are_those_of_the_browsers_clock(given: Given, readers: Readers, path: str) -> None:
    """From the first page on, if it has no range to choose, too."""
    given.turn("first", (datetime.now(UTC) - NOON).total_seconds() - 3600, handoff=True)
    given.save()
    page = readers(timezone_id="Asia/Tokyo").read(path)
    expect(page.get_by_text("JST").first).to_be_visible()


@pytest.mark.browser
def test_days_are_those_of_the_browsers_clock(given: Given, readers: Readers) -> None:
    """From the first page on; the period that is chosen keeps its name from page to page."""
    page = readers(timezone_id="Asia/Tokyo").read("/")
    page.get_by_role("button", name="Range").click()
    days = page.get_by_role("navigation", name="Periods, days of Asia/Tokyo")
    expect(days.get_by_role("link")).to_have_text(PERIODS)
    days.get_by_role("link", name="Last week").click()
    page.wait_for_url("**T15%3A00%3A00Z&to=**T15%3A00%3A00Z")
    expect(page.locator(".segments [aria-current]")).to_have_text("Last week")
    expect(page.locator(".window-line")).to_contain_text("Last week in Asia/Tokyo: ")
    page.get_by_role("link", name="Conversations", exact=True).click()
    expect(page.get_by_role("heading", name="Conversations", exact=True)).to_be_visible()
    expect(page.locator(".segments [aria-current]")).to_have_text("Last week")
