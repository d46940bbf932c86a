"""The filters of every page in a real browser: in the address, in the fields, from page to page."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import expect

from tests.server.given import Given
from tests.server.pages.conftest import Reader, Readers
from tests.server.pages.test_browser import WIDE_ENOUGH, ago, figure

pytestmark = pytest.mark.browser

PAGES = ("/", "/conversations", "/intents", "/journeys", "/costs")


@pytest.fixture
def two(given: Given) -> Given:
    """Two conversations that differ in all that can be chosen."""
    given.turn(
        "web-1", ago(7200), agent="sales", channel="web", response_model="small",
        user_type="client", status="error", prompt="greeting",
    )  # fmt: skip
    given.turn(
        "app-1", ago(7100), agent="support", channel="app", response_model="large",
        user_type="anonymous", prompt="refund",
    )  # fmt: skip
    given.save()
    return given


@pytest.mark.parametrize(
    ("field", "value", "parameter"),
    [
        ("Agent", "support", "agent=support"),
        ("Channel", "app", "channel=app"),
        ("Model", "large", "model=large"),
        ("Prompt", "refund", "prompt=refund"),
        ("User type", "anonymous", "user_type=anonymous"),
        ("Outcome", "Resolved", "outcome=resolved"),
    ],
)
def test_each_filter_stands_in_the_address(
    two: Given, reader: Reader, field: str, value: str, parameter: str
) -> None:
    """A choice leaves one of two conversations, and goes along to the list."""
    page = reader.read("/")
    assert figure(page, "conversations") == "2"
    page.get_by_role("combobox", name=field).select_option(label=value)
    page.wait_for_url(f"**/?{parameter}")
    assert figure(page, "conversations") == "1"
    page.get_by_role("link", name="Conversations", exact=True).click()
    page.wait_for_url(f"**/conversations?{parameter}")
    expect(page.locator("#rows [data-row-id]")).to_have_text(["app-1"])


def test_keys_go_through_a_field_without_a_reload(two: Given, reader: Reader) -> None:
    """The arrows leave page and focus as they are; Enter takes what stands there, and so Apply."""
    page = reader.read("/conversations")
    agent = page.get_by_role("combobox", name="Agent")
    apply = page.get_by_role("search", name="Filters").get_by_role("button", name="Apply")
    expect(apply).to_be_hidden()
    agent.focus()
    agent.press("ArrowDown")
    agent.press("ArrowDown")
    expect(agent).to_have_value("support")
    expect(agent).to_be_focused()
    assert page.url.endswith("/conversations")
    agent.press("Enter")
    page.wait_for_url("**/conversations?agent=support")
    agent.focus()
    agent.press("ArrowUp")
    apply.click()
    page.wait_for_url("**/conversations?agent=sales")


@pytest.mark.parametrize("path", PAGES)
def test_a_view_can_be_shared(two: Given, reader: Reader, path: str) -> None:
    """Whoever opens the address finds its window and its filters in the fields."""
    page = reader.read(f"{path}?window=30d&agent=sales&channel=web&intent=none+such")
    expect(page.locator(".segments [aria-current]")).to_have_text("30d")
    expect(page.get_by_role("combobox", name="Agent")).to_have_value("sales")
    expect(page.get_by_role("combobox", name="Channel")).to_have_value("web")
    expect(page.locator(".chip")).to_contain_text("Intent is none such")
    page.locator(".chip").click()
    page.wait_for_url(f"**{path}?window=30d&agent=sales&channel=web")
    page.get_by_role("link", name="Clear all").click()
    page.wait_for_url(f"**{path}?window=30d")


def test_filters_come_back_from_a_conversation(two: Given, reader: Reader) -> None:
    """To a conversation and back, and on from it to another page: window and filters stay."""
    page = reader.read("/conversations?window=24h&agent=sales")
    page.locator("#rows [data-row-link]").click()
    page.wait_for_url("**/conversations/web-1?window=24h&agent=sales")
    page.locator(".crumbs > a").click()
    page.wait_for_url("**/conversations?window=24h&agent=sales")
    page.go_back()
    page.get_by_role("link", name="Overview").click()
    page.wait_for_url("**/?window=24h&agent=sales")
    assert figure(page, "conversations") == "1"


@pytest.mark.parametrize("script", [True, False], ids=["script", "none"])
def test_a_range_of_ones_own(two: Given, readers: Readers, script: bool) -> None:
    """From and until, in UTC, with a script and without; it stays in the address."""
    page = readers(java_script_enabled=script).read("/?agent=sales")
    page.get_by_role("button", name="Range").click()
    day = datetime.now(UTC) - timedelta(hours=5)
    page.get_by_label("From (UTC)").fill(f"{day:%Y-%m-%dT%H:%M}")
    page.get_by_label("Until (UTC)").fill(f"{day + timedelta(hours=1):%Y-%m-%dT%H:%M}")
    page.get_by_role("button", name="Show this range").click()
    page.wait_for_url("**/?agent=sales&from=*&to=*")
    assert page.url.count("%3A00Z") == 2
    expect(page.get_by_role("heading", name="No turns in this window")).to_be_visible()
    expect(page.locator(".segments [aria-current]")).to_have_text("Own range")
    page.get_by_role("button", name="Own range").click()
    page.get_by_label("Until (UTC)").fill(f"{datetime.now(UTC):%Y-%m-%dT%H:%M}")
    page.get_by_role("button", name="Show this range").click()
    assert figure(page, "conversations") == "1"
    page.get_by_role("link", name="The last 24 hours").click()
    page.wait_for_url("**/?agent=sales&window=24h")


def test_a_range_that_ends_before_it_begins_is_told(two: Given, reader: Reader) -> None:
    """The page says what is wrong with it; nothing breaks."""
    page = reader.read("/?from=2026-02-02T00:00&to=2026-02-01T00:00")
    assert "from=2026-02-02T00%3A00%3A00Z" in page.url
    expect(page.locator("main")).to_contain_text("must lie before")
    reader.faults.clear()  # the browser reports the status 422 on its console


def test_pages_of_figures_are_brought_up_to_date_too(two: Given, reader: Reader) -> None:
    """After 30 s the new turn counts, without the reader's doing."""
    page = reader.page
    page.clock.install()
    reader.read("/costs")
    before = page.locator(".card .sample").all_inner_texts()
    two.rows.clear()
    two.turn("new", ago(30), cost="1.5", input_tokens=10)
    two.save()
    page.clock.fast_forward(31_000)
    expect(page.locator(".cards")).to_contain_text("$1.50")
    assert page.locator(".card .sample").all_inner_texts() != before


def test_filters_fit_on_a_phone(two: Given, readers: Readers) -> None:
    """They are in one row that scrolls by itself; the page does not scroll sideways."""
    page = readers(390, 844).read("/conversations?intent=long-intent&variant=blue&agent=sales")
    assert page.evaluate(WIDE_ENOUGH)
    page.get_by_role("combobox", name="Outcome").select_option("failed")
    page.wait_for_url("**outcome=failed*")
