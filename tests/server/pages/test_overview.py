"""The overview in a real browser: what it shows beside the figures, and what it leads to."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from playwright.sync_api import Page, expect

from otel_chat.server.figures.filters import Filters
from otel_chat.server.figures.window import Window
from otel_chat.server.questions.overview import overview
from tests.server.given import Given
from tests.server.pages import scenes
from tests.server.pages.conftest import Reader, Readers
from tests.server.pages.test_browser import HOSTILE, WIDE_ENOUGH, ago, figure

pytestmark = pytest.mark.browser

CARDS = (
    *("conversations", "active", "turns", "response-time", "containment", "resolution"),
    *("handoffs", "satisfaction", "confidence", "engagement", "tokens", "cost"),
)


def ranking(page: Page, key: str) -> list[str]:
    """The rows of a list, on one line each."""
    rows = page.locator(f"section[aria-labelledby=ranking-{key}] li")
    expect(rows.first).to_be_visible()
    return [" ".join(row.split()) for row in rows.all_inner_texts()]


@pytest.fixture
def fallen(given: Given) -> Given:
    """Last week all was contained; this week whoever wants a refund waits and asks for a human."""
    scenes.fallen_containment(given, datetime.now(UTC))
    return given


def test_every_headline_figure_has_its_meaning_sample_and_course(
    fallen: Given, reader: Reader
) -> None:
    """Twelve cards; each says on demand what it means, on what it rests, and how it went."""
    page = reader.read("/")
    answer = overview(fallen.store, fallen.scope, Window.last("7d"), Filters())
    for key in CARDS:
        card = page.locator(f"section[aria-labelledby=card-{key}]")
        assert card.locator(".sample").inner_text()
        expect(card.locator(".sparkline path")).to_have_count(1)
        card.locator(".meaning").click()
        expect(card.locator(".popover dd").first).to_be_visible()
        page.keyboard.press("Escape")
    assert answer.containment.rate is not None
    assert figure(page, "containment") == f"{answer.containment.rate:.0%}".replace("%", " %")
    assert answer.satisfaction.count
    assert f"{answer.satisfaction.count} ratings" in page.inner_text(
        "section[aria-labelledby=card-satisfaction]"
    )


def test_what_changed_most_and_why(fallen: Given, reader: Reader) -> None:
    """40 settled in either week, 10 of them handed off now and none before: all of it refunds."""
    page = reader.read("/")
    changed = page.locator(".changed li", has_text="Containment")
    expect(changed).to_contain_text("100\u202f%")
    expect(changed).to_contain_text("75\u202f%")
    expect(changed.locator(".trend")).to_have_class("trend is-bad")
    expect(changed.locator(".trend")).to_contain_text("25.0\u202fpts")
    cause = page.locator("#causes tbody tr")
    expect(cause).to_have_count(1)
    cells = [cell.replace("\u202f", " ") for cell in cause.locator("th, td").all_inner_texts()]
    assert cells == ["refund", "\u221225.0 pts", "10 of 10", "0 %", "100 %"]
    cause.get_by_role("link", name="10 of 10").click()
    page.wait_for_url("**/conversations?last_intent=refund&state=settled&handoff=true")
    expect(page.locator("#rows tr")).to_have_count(10)


def test_the_page_begins_with_what_changed_and_whom_to_read(fallen: Given, reader: Reader) -> None:
    """One sentence before the cards; its links open conversations in which it went wrong."""
    page = reader.read("/")
    said = page.locator(".saying")
    expect(said.locator(".sentence")).to_contain_text("Containment fell 25.0 points to 75")
    expect(said.locator(".sentence")).to_contain_text("intent refund accounts for 25.0 of it")
    assert page.locator(".saying + .cards").count() == 1
    said.locator("a").first.click()
    expect(page.locator("main")).to_contain_text("Handed off")


def test_what_is_frequent_is_counted(given: Given, reader: Reader) -> None:
    """Topics, intents, user types and actions; an intent leads to its turns."""
    start = ago(7200)
    given.turn("a", start, intent="pay", user_type="client")
    given.turn("b", start + 1, intent="pay")
    given.turn("b", start + 2, intent="greet")
    given.event("topic", "a", start + 3, topic="bills")
    given.event("action", "a", start + 4, action="click")
    given.event("action", "a", start + 5, action="click")
    given.save()
    page = reader.read("/?window=24h")
    assert ranking(page, "intents") == ["pay 2 67 %", "greet 1 33 %"]
    assert ranking(page, "topics") == ["bills 1 100 %"]
    assert ranking(page, "user-types") == ["not named 1 50 %", "client 1 50 %"]
    assert ranking(page, "actions") == ["click 2 100 %"]
    page.locator("section[aria-labelledby=ranking-intents] a").first.click()
    page.wait_for_url("**/turns?window=24h&intent=pay")


def test_the_lists_are_brought_up_to_date_in_their_place(given: Given, reader: Reader) -> None:
    """A refresh replaces them without taking them away first."""
    given.turn("a", ago(60), intent="pay")
    given.save()
    page = reader.page
    page.clock.install()
    reader.read("/")
    assert ranking(page, "intents") == ["pay 1 100 %"]
    given.rows.clear()
    given.turn("b", ago(50), intent="greet")
    given.save()
    page.clock.fast_forward(31_000)
    expect(page.locator("section[aria-labelledby=ranking-intents] li")).to_have_count(2)
    expect(page.locator("section[aria-labelledby=ranking-intents]")).to_have_count(1)


def test_without_a_script_the_lists_are_a_page(fallen: Given, readers: Readers) -> None:
    """A link leads to them, with the filters, and back."""
    page = readers(java_script_enabled=False).read("/?agent=support")
    page.get_by_role("link", name="Show topics, intents").click()
    page.wait_for_url("**/leaders?agent=support")
    expect(page.locator("#causes tbody tr")).to_have_count(1)
    page.locator(".crumbs > a").click()
    page.wait_for_url("**/?agent=support")


def test_lists_that_fail_say_so(given: Given, reader: Reader) -> None:
    """The figures stand all the same, and the next refresh tries again."""
    given.turn("a", ago(60), intent="pay")
    given.save()
    page = reader.page
    page.clock.install()
    page.route("**/leaders*", lambda route: route.fulfill(status=503))
    reader.read("/")
    expect(page.locator("#causes")).to_contain_text("could not be worked out")
    assert figure(page, "turns") == "1"
    assert all("503" in fault for fault in reader.faults)
    reader.faults.clear()
    page.unroute("**/leaders*")
    page.clock.fast_forward(31_000)
    assert ranking(page, "intents") == ["pay 1 100 %"]


def test_too_little_is_compared_with_nothing(given: Given, reader: Reader) -> None:
    """One turn in a window and none before: no arrows, and words for it."""
    given.turn("a", ago(60))
    given.save()
    page = reader.read("/")
    expect(page.locator(".sentence")).to_contain_text("Not enough to tell a change from chance")
    expect(page.locator("section[aria-labelledby=changed]")).to_contain_text("Nothing to compare")
    expect(page.locator("#causes")).to_contain_text("No intent moved it")
    assert page.locator(".trend").count() == 0


def test_a_narrowed_page_does_not_wait_for_its_charts(fallen: Given, reader: Reader) -> None:
    """Charts are drawn anew a frame after the width has changed; the page is right before."""
    reader.page.add_init_script(
        "const next = window.requestAnimationFrame.bind(window);"
        "window.requestAnimationFrame = (step) => (window.stopped ? 0 : next(step));"
    )
    page = reader.read("/")
    page.wait_for_function("[...document.querySelectorAll('canvas')].some((drawn) => drawn.width)")
    page.evaluate("window.stopped = true")
    page.set_viewport_size({"width": 390, "height": 1000})
    assert page.evaluate(WIDE_ENOUGH)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_names_in_the_lists_are_text(given: Given, reader: Reader, text: str) -> None:
    """Topics, intents, users and actions of any name run nothing and break nothing."""
    start = ago(7200)
    given.turn("a", start, intent=text, user_type=text, handoff=True)
    given.turn("b", ago(8 * 86_400), intent=text)
    given.event("topic", "a", start, topic=text)
    given.event("action", "a", start, action=text)
    given.save()
    page = reader.read("/")
    visible = text.replace("\x00", "")[:40]
    for key in ("topics", "intents", "user-types", "actions"):
        assert visible in (page.locator(f"[aria-labelledby=ranking-{key}]").text_content() or "")
    assert visible in (page.locator("#causes").text_content() or "")
    for width in (390, 1440):
        page.set_viewport_size({"width": width, "height": 1000})
        assert page.evaluate(WIDE_ENOUGH)
    assert page.evaluate("window.pwned") is None
