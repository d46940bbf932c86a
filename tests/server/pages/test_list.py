"""The list of conversations in a real browser: order, search, columns, marks, keys, saved views."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from otel_chat.server.figures.window import Window
from otel_chat.server.marks import MarkChange, set_mark
from otel_chat.server.questions.marks import Mark, mark, saved_views
from tests.server.given import Given
from tests.server.pages import scenes
from tests.server.pages.conftest import Reader, Readers
from tests.server.pages.test_browser import HOSTILE, WIDE_ENOUGH, ago
from tests.waiting import until

pytestmark = pytest.mark.browser


@pytest.fixture
def three(given: Given) -> Given:
    """a: the newest, cheap; b: two turns and dear; c: the oldest, about a kettle."""
    given.turn("a", ago(3600), 2.0, cost="0.1", channel="web")
    given.turn("b", ago(3700), 1.0, cost="0.5")
    given.turn("b", ago(3650), 1.0, cost="0.5")
    given.turn("c", ago(3800), 3.0, input_messages=scenes.content("user", "My kettle leaks"))
    given.save()
    return given


def names(page: Page) -> list[str]:
    return page.locator("#rows [data-row-id]").all_inner_texts()


def noted(given: Given, name: str) -> Mark:
    return mark(given.store, given.scope, Window.last(), name)


def focused(page: Page) -> str:
    """The id of the conversation whose row has the keyboard."""
    there = "document.activeElement.closest('tr')?.querySelector('[data-row-id]')?.textContent"
    return str(page.evaluate(there))


def test_a_head_sorts_by_its_column(three: Given, reader: Reader) -> None:
    """The greatest first, then the least; the order stands in the address and is announced."""
    page = reader.read("/conversations?window=24h")
    assert names(page) == ["a", "b", "c"]
    page.get_by_role("link", name="Cost", exact=True).click()
    page.wait_for_url("**/conversations?window=24h&sort=-cost")
    assert names(page) == ["b", "a", "c"]
    expect(page.locator("th[aria-sort=descending]")).to_have_text("Cost")
    page.get_by_role("link", name="Cost", exact=True).click()
    page.wait_for_url("**sort=cost")
    assert names(page) == ["a", "b", "c"]
    page.get_by_role("link", name="Mean response").click()
    page.wait_for_url("**sort=-response")
    assert names(page) == ["c", "a", "b"]


def test_more_of_another_order_comes_below(given: Given, reader: Reader) -> None:
    """Page by page, each once, in the same order."""
    for number in range(60):
        given.turn(f"c-{number:02d}", ago(60 + number), cost=f"{(number * 37) % 60}.5")
    given.save()
    page = reader.read("/conversations?sort=-cost")
    page.get_by_role("link", name="Show more conversations").click()
    expect(page.locator("#rows tr")).to_have_count(60)
    by_cost = sorted(range(60), key=lambda number: -((number * 37) % 60))
    assert names(page) == [f"c-{number:02d}" for number in by_cost]


def test_search_finds_what_was_said(three: Given, reader: Reader) -> None:
    """In whatever case; the place is shown; `/` leads to the field; nothing found is told."""
    page = reader.read("/conversations?window=24h")
    page.keyboard.press("/")
    page.keyboard.type("KETTLE")
    page.keyboard.press("Enter")
    page.wait_for_url("**/conversations?window=24h&search=KETTLE")
    assert names(page) == ["c"]
    expect(page.locator(".match q")).to_have_text("My kettle leaks")
    page.get_by_label("Search what was said").fill("teapot")
    page.keyboard.press("Enter")
    expect(page.locator(".empty h2")).to_have_text("No conversation is like this")


def test_who_may_not_read_cannot_search(three: Given, reader: Reader) -> None:
    """No field, and the address says what is missing."""
    reader.site.keys.permissions[three.tenant] = frozenset({"analytics:view"})
    page = reader.read("/conversations")
    assert page.get_by_label("Search what was said").count() == 0
    assert page.locator("button.review").count() == 0
    assert page.get_by_role("link", name="CSV").count() == 0
    page.goto(f"{reader.site.address}/conversations?search=kettle")
    expect(page.locator("main")).to_contain_text("conversations:read")
    reader.faults.clear()  # the browser reports the status 403 on its console


def test_columns_are_chosen_and_stay_in_the_address(three: Given, reader: Reader) -> None:
    """With and without others; the usual ones come back."""
    page = reader.read("/conversations?window=24h")
    page.get_by_role("button", name="Columns").click()
    page.get_by_label("Tokens").uncheck()
    page.get_by_label("Channel", exact=True).and_(page.locator("input")).check()
    page.get_by_role("button", name="Show these").click()
    page.wait_for_url("**column=channel*")
    heads = [text for text in page.locator("thead th").all_inner_texts() if text]
    assert "Channel" in heads
    assert "Tokens" not in heads
    expect(page.locator("#rows tr").first).to_contain_text("web")
    page.get_by_role("link", name="Cost", exact=True).click()
    page.wait_for_url("**column=channel*sort=-cost*")
    page.get_by_role("button", name="Columns").click()
    page.get_by_role("link", name="The usual ones").click()
    page.wait_for_url("**/conversations?window=24h&sort=-cost")


def test_keys_go_through_the_list(three: Given, reader: Reader) -> None:
    """By j and k from one to the next, x marks it as reviewed on the server, Enter opens it."""
    page = reader.read("/conversations?window=24h")
    page.keyboard.press("j")
    assert focused(page) == "a"
    page.keyboard.press("j")
    assert focused(page) == "b"
    page.keyboard.press("x")
    until(lambda: noted(three, "b").reviewed)
    expect(page.locator("tr.is-reviewed")).to_contain_text("b")
    page.keyboard.press("j")
    page.keyboard.press("j")
    assert focused(page) == "c"
    page.keyboard.press("k")
    page.keyboard.press("x")
    until(lambda: not noted(three, "b").reviewed)
    page.keyboard.press("Enter")
    page.wait_for_url("**/conversations/b?window=24h")


def test_from_one_conversation_to_the_next(three: Given, reader: Reader) -> None:
    """In the order of the list that one came from: by links, and by n and p; x marks it."""
    page = reader.read("/conversations?window=24h&sort=-cost")
    page.locator("[data-row-link]").first.click()
    steps = page.locator("[data-steps]")
    expect(steps).to_contain_text("1 of 3")
    expect(page.get_by_label("Previous conversation")).to_have_attribute("aria-disabled", "true")
    page.get_by_role("link", name="Next conversation").click()
    page.wait_for_url("**/conversations/a?window=24h&sort=-cost")
    page.keyboard.press("n")
    page.wait_for_url("**/conversations/c?window=24h&sort=-cost")
    expect(steps).to_contain_text("3 of 3")
    page.keyboard.press("x")
    until(lambda: noted(three, "c").reviewed)
    page.keyboard.press("p")
    page.wait_for_url("**/conversations/a?*")


def test_to_review_tags_and_notes(three: Given, reader: Reader) -> None:
    """What is noted is on the list, and the list can be limited by it."""
    change = MarkChange(tags=["for Dana"], note="Ask the warehouse", reviewed=True)
    set_mark(three.store, three.scope, Window.last(), "b", change)
    page = reader.read("/conversations?window=24h")
    row = page.locator("#rows tr", has_text="for Dana")
    expect(row.locator(".note-hint")).to_have_attribute("title", "Ask the warehouse")
    page.get_by_label("Reviewed", exact=True).select_option(label="To review")
    page.wait_for_url("**reviewed=false*")
    assert names(page) == ["a", "c"]
    page.get_by_label("Reviewed", exact=True).select_option(label="Reviewed or not")
    page.wait_for_url("**/conversations?window=24h")
    page.get_by_label("Tag", exact=True).select_option("for Dana")
    page.wait_for_url("**tag=for+Dana*")
    assert names(page) == ["b"]
    page.get_by_role("link", name="Overview").click()
    page.wait_for_url("**/?window=24h&tag=for+Dana")  # a filter as any other
    expect(page.locator(".chip")).to_contain_text("Tag is for Dana")


def test_a_mark_that_cannot_be_kept_is_taken_back(three: Given, reader: Reader) -> None:
    """The reader is told why."""
    page = reader.read("/conversations?window=24h")
    reader.site.store.away = True
    try:
        page.locator("button.review").first.click()
        expect(page.locator(".telling")).to_contain_text("Not kept: The store does not answer.")
    finally:
        reader.site.store.away = False
    expect(page.locator("button.review").first).to_have_attribute("aria-pressed", "false")
    assert all("503" in fault for fault in reader.faults)
    reader.faults.clear()


def test_a_view_is_saved_under_a_name(three: Given, reader: Reader) -> None:
    """From any page; chosen on another it leads back, filters and all; it can be forgotten."""
    page = reader.read("/conversations?window=24h&sort=-cost&outcome=resolved")
    page.get_by_role("button", name="Views").click()
    expect(page.locator("[data-views]")).to_contain_text("No view is saved yet")
    page.get_by_label("Name of this view").fill("Dear ones / resolved?")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".views-list a[aria-current]")).to_have_text("Dear ones / resolved?")
    reader.read("/costs")
    page.get_by_role("button", name="Views").click()
    page.get_by_role("link", name="Dear ones").click()
    page.wait_for_url("**/conversations?window=24h&sort=-cost&outcome=resolved")
    page.get_by_role("button", name="Views").click()
    page.get_by_role("button", name="Forget the view Dear ones").click()
    expect(page.locator(".views-list li")).to_have_count(0)
    assert saved_views(three.store, three.scope).items == []


def test_a_view_that_may_not_be_saved_says_so(three: Given, reader: Reader) -> None:
    """Without marks:write the reader is told what is missing."""
    reader.site.keys.permissions[three.tenant] = frozenset({"analytics:view"})
    page = reader.read("/conversations")
    page.get_by_role("button", name="Views").click()
    page.get_by_label("Name of this view").fill("x")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("[data-views-note]")).to_contain_text("marks:write")
    assert all("403" in fault for fault in reader.faults)
    reader.faults.clear()


def test_the_whole_view_can_be_saved_as_a_table(three: Given, reader: Reader) -> None:
    """All conversations of the filters, not only those on the page."""
    page = reader.read("/conversations?window=24h&channel=web")
    with page.expect_download() as saved:
        page.get_by_role("link", name="CSV").click()
    lines = saved.value.path().read_text().splitlines()
    assert len(lines) == 2
    assert lines[1].count("a") >= 1


def test_the_list_is_brought_up_to_date_in_its_place(three: Given, reader: Reader) -> None:
    """After 30 s a new conversation is there; the row with the keyboard keeps it."""
    page = reader.page
    page.clock.install()
    reader.read("/conversations?window=24h")
    page.keyboard.press("j")
    page.keyboard.press("j")
    three.rows.clear()
    three.turn("new", ago(30))
    three.save()
    page.clock.fast_forward(31_000)
    expect(page.locator("#rows tr")).to_have_count(4)
    assert focused(page) == "b"
    page.keyboard.press("x")
    until(lambda: noted(three, "b").reviewed)


def test_a_list_that_was_read_on_is_held(given: Given, reader: Reader) -> None:
    """What was added below stays, and the page says that it holds it."""
    for number in range(60):
        given.turn(f"c-{number:02d}", ago(60 + number))
    given.save()
    page = reader.page
    page.clock.install()
    reader.read("/conversations")
    page.get_by_role("link", name="Show older conversations").click()
    expect(page.locator("#rows tr")).to_have_count(60)
    expect(page.locator("[data-refresh-status]")).to_contain_text("held while you read on")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.clock.fast_forward(95_000)
    assert [address for address in asked if "/static/" not in address] == []
    expect(page.locator("#rows tr")).to_have_count(60)


def test_hostile_notes_and_views_are_text(given: Given, readers: Readers) -> None:
    """Tags, notes, searches and names of views run nothing and break nothing."""
    for number, text in enumerate(HOSTILE):
        said = scenes.content("user", f"{text} kettle")
        given.turn(f"c{number}", ago(60 + number), input_messages=said)
    given.save()
    for number, text in enumerate(HOSTILE):
        change = MarkChange(tags=[text[:60]], note=text)
        set_mark(given.store, given.scope, Window.last(), f"c{number}", change)
    rows: list[dict[str, Any]] = [
        {"tenant": given.tenant, "name": text, "address": "/?agent=x", "version": 1}
        for text in HOSTILE
    ]
    given.store.insert_rows("saved_views", rows)
    page = readers().read("/conversations?search=kettle")
    page.get_by_role("button", name="Views").click()
    expect(page.locator(".views-list li")).to_have_count(len(HOSTILE))
    page.keyboard.press("Escape")
    expect(page.locator("#rows .said-cell")).to_have_count(len(HOSTILE))
    for width in (390, 1440):
        page.set_viewport_size({"width": width, "height": 1000})
        assert page.evaluate(WIDE_ENOUGH)
    assert page.evaluate("window.pwned") is None


def read_in_pane(page: Page, number: int) -> str:
    """What the pane shows after one more key, as the row number `number`."""
    page.keyboard.press("j")
    expect(page.locator("#rows tr").nth(number)).to_have_class("is-current")
    expect(page.locator(".pane[aria-busy]")).to_have_count(0)
    return page.locator(".pane h2").inner_text()


def test_a_row_says_what_was_said_and_why_it_is_notable(given: Given, reader: Reader) -> None:
    """The first message, the last reply without its marks, the id; intents where no text is."""
    start = ago(3600)
    given.turn(
        "told", start, 4.0, channel="web", confidence=0.1, handoff=True,
        input_messages=scenes.content("user", "My kettle leaks"),
        output_messages=scenes.content("assistant", "Send it **back**"),
    )  # fmt: skip
    given.turn("told", start + 9, status="error")
    given.feedback(2, "told", start + 20)
    for number, intent in enumerate(("greet", "refund", "refund", "bye")):
        given.turn("untold", start - 100 + number, intent=intent)
    given.save()
    rows = reader.read("/conversations?window=24h").locator("#rows tr")
    told = rows.first
    expect(told.locator(".said-first")).to_have_text("My kettle leaks")
    expect(told.locator(".said-last bdi")).to_have_text("Send it back")
    expect(told.locator("[data-row-id]")).to_have_text("told")
    assert told.locator(".reasons .badge").all_inner_texts() == [
        "failed 1", "unsure 1", "slow 1", "asked for a human", "rating 2 of 5",
    ]  # fmt: skip
    expect(told).to_contain_text("web")
    expect(rows.last.locator(".said-first")).to_have_text("greet → refund → bye")
    expect(rows.last.locator(".reasons")).to_have_text("\u2013")


def test_each_key_reads_the_next_conversation(given: Given, reader: Reader) -> None:
    """Each j reads the next beside the list; what ended is not asked for again on the way back."""
    for number in range(5):
        said = scenes.content("user", f"Question {number}")
        given.turn(f"c{number:02d}", ago(7200 + number), input_messages=said)
    given.save()
    page = reader.read("/conversations?window=24h")
    for number in range(5):
        assert read_in_pane(page, number) == f"c{number:02d}"
        expect(page.locator(".pane .bubble.is-user")).to_contain_text(f"Question {number}")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.keyboard.press("k")
    expect(page.locator(".pane h2")).to_have_text("c03")
    assert [address for address in asked if "/reading" in address] == []
    page.keyboard.press("r")
    expect(page.locator(".pane")).to_be_focused()
    page.keyboard.press("x")
    until(lambda: noted(given, "c03").reviewed)
    expect(page.locator(".pane [data-review]")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Escape")
    expect(page.locator(".pane")).to_be_hidden()
    assert focused(page) == "c03"


def test_a_click_on_a_row_reads_it_and_its_link_opens_it(three: Given, readers: Readers) -> None:
    """Beside the list at a desk; on a phone there is no pane, and the link is the way."""
    page = readers().read("/conversations?window=24h")
    page.locator("#rows tr").nth(1).locator(".started").click()
    expect(page.locator(".pane h2")).to_have_text("b")
    expect(page.locator(".pane .turn")).to_have_count(2)
    page.locator(".pane .turn-facts summary").first.click()
    expect(page.locator(".pane .facts-grid")).to_be_visible()
    assert page.evaluate(WIDE_ENOUGH)
    page.locator(".pane h2 a").click()
    page.wait_for_url("**/conversations/b?window=24h")
    phone = readers(width=390).read("/conversations?window=24h")
    phone.keyboard.press("j")
    assert focused(phone) == "a"
    expect(phone.locator(".pane")).to_be_hidden()
    phone.keyboard.press("Enter")
    phone.wait_for_url("**/conversations/a?window=24h")
