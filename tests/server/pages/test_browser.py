"""The pages in a real browser: what readers see, reach and are spared."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from otel_chat.server.figures.filters import Filters
from otel_chat.server.figures.window import Window
from otel_chat.server.pages import formats
from otel_chat.server.questions.overview import overview
from tests.server.given import NOON, Given
from tests.server.pages import scenes
from tests.server.pages.conftest import Reader, Readers

pytestmark = pytest.mark.browser

WIDE_ENOUGH = """
    document.documentElement.scrollWidth <= document.documentElement.clientWidth
    && [...document.querySelectorAll('.card')].every(c => c.scrollWidth <= c.clientWidth)
"""
"""No page scrolls sideways, and no card's text leaves it."""
HOSTILE = (
    "<script>window.pwned = 1</script>",
    '<img src=x onerror="window.pwned = 2">',
    "\" autofocus onfocus='window.pwned = 3' x=\"",
    "{{ 7 * 7 }}{% raise %}",
    "javascript:window.pwned=4",
    "\u202eright to left\u202c \u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627",
    "long" * 200,
    "\U0001f469\u200d\U0001f692\U0001f3f3\ufe0f\u200d\U0001f308\u0000\u0301\u0301\u0301",
    "a/../b?c#d&e=f",
)


def ago(seconds: float) -> float:
    """So many seconds before now, counted from the noon that `Given` counts from."""
    return (datetime.now(UTC) - NOON).total_seconds() - seconds


def talk(given: Given, name: str = "talk-1", **columns: Any) -> list[dict[str, Any]]:
    """Six turns an hour ago: the second failed, the fourth slow, the fifth handed off unsure."""
    start = ago(3600)
    turns = [
        given.turn(
            name,
            start + 30 * number,
            agent="support",
            intent="question",
            confidence=0.9,
            input_messages=scenes.content("user", f"Question {number}"),
            output_messages=scenes.content("assistant", f"Answer {number}"),
            **columns,
        )
        for number in range(1, 7)
    ]
    turns[1] |= {"status": "error", "error_type": "TimeoutError", "output_messages": ""}
    turns[3] |= {"duration": 4.2, "end": scenes_time(start + 124.2)}
    turns[4] |= {"confidence": 0.4, "handoff": True, "handoff_reason": "unsure"}
    slow = scenes.add_span(
        given,
        "execute_tool lookup_order",
        start + 120.5,
        3.5,
        trace_id=turns[3]["trace_id"],
        parent=turns[3]["span_id"],
        operation="execute_tool",
        tool="lookup_order",
        attributes={"gen_ai.tool.name": "lookup_order"},
    )
    assert slow["trace_id"] == turns[3]["trace_id"]
    given.save()
    return turns


def scenes_time(seconds: float) -> str:
    return (NOON + timedelta(seconds=seconds)).strftime("%Y-%m-%d %H:%M:%S.%f")


def figure(page: Page, key: str) -> str:
    shown = page.locator(f"section[aria-labelledby=card-{key}] .figure")
    return shown.inner_text().split("\n")[0].replace("\u202f", " ")


PARTS = ("confirmed", "assumed")


def test_overview_shows_what_the_query_answers(given: Given, reader: Reader, store: Any) -> None:
    """Cards, charts, outcomes and the latest conversations are those of the query's answer."""
    scenes.busy_week(given, datetime.now(UTC), conversations=40)
    page = reader.read("/")
    answer = overview(store, given.scope, Window.last("7d"), Filters())
    assert figure(page, "turns") == f"{answer.turns:,}"
    assert figure(page, "conversations") == "40"
    assert answer.response_time.p50 is not None
    assert figure(page, "response-time") == f"{answer.response_time.p50:.1f} s"
    assert answer.handoffs.rate is not None
    handoffs = page.inner_text("section[aria-labelledby=card-handoffs]")
    assert formats.percent(answer.handoffs.rate) in handoffs
    shares = page.inner_text(".shares").split("\n")
    sure, assumed = (int(shares[shares.index(f"Resolved, {one}") + 1]) for one in PARTS)
    assert (sure, sure + assumed) == (answer.resolution.confirmed, answer.outcomes.resolved)
    expect(page.locator("tbody#rows tr")).to_have_count(10)
    inked = page.evaluate(
        """() => [...document.querySelectorAll("canvas")].map((canvas) =>
          canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data
            .some((value) => value > 0))"""
    )
    assert inked == [True, True, True]
    drawn = page.locator("[data-chart=turns] tbody tr")
    counted = {
        key: page.evaluate(
            """(key) => [...document.querySelectorAll(`[data-chart=${key}] td`)]
              .reduce((sum, cell) => sum + Number(cell.dataset.value ?? 0), 0)""",
            key,
        )
        for key in ("conversations", "turns")
    }
    assert drawn.count() >= 28
    assert counted == {"conversations": 40, "turns": answer.turns}


@pytest.mark.parametrize("path", ["/", "/outcomes"])
def test_the_sample_of_handoffs_is_what_settled(given: Given, reader: Reader, path: str) -> None:
    """One of two asked for a human; the other goes on: all of one."""
    given.turn("asked", ago(7200), handoff=True)
    given.turn("open", ago(60))
    given.save()
    card = reader.read(path).inner_text("section[aria-labelledby=card-handoffs]")
    assert "100" in card
    assert "of 1" in card


def test_cards_compare_with_the_window_before(given: Given, reader: Reader) -> None:
    """Beside a figure stands how it moved, in its tip what it was; coloured only beyond chance."""
    day = 24 * 3600
    for number in range(3):
        given.turn(f"now-{number}", ago(600 + number), 2.0)
    for number in range(2):
        given.turn(f"before-{number}", ago(day + 600 + number), 1.0)
    given.save()
    page = reader.read("/?window=24h")
    turns = page.locator("section[aria-labelledby=card-turns] .trend")
    expect(turns).to_have_text("up 50\u202f%")
    expect(turns).to_have_attribute("title", "In the window before: 2")
    slower = page.locator("section[aria-labelledby=card-response-time] .trend")
    expect(slower).to_have_text("up p95 100\u202f%")
    expect(slower).to_have_class("trend is-plain")


def test_overview_without_data_says_how_to_send_some(reader: Reader) -> None:
    """Nothing stored: no zeros dressed as figures, but the lines of code that send a turn."""
    page = reader.read("/")
    expect(page.get_by_role("heading", name="No turns in this window")).to_be_visible()
    assert "otel_chat.setup" in page.inner_text("pre")
    assert page.locator(".card").count() == 0
    expect(reader.read("/conversations").locator(".empty h2")).to_be_visible()


def test_figures_without_a_sample_say_so(given: Given, reader: Reader) -> None:
    """A turn without tokens, cost or confidence leaves 'no data' on these cards, not 0."""
    given.turn(seconds=ago(60))
    given.save()
    page = reader.read("/")
    for key in ("tokens", "cost", "confidence"):
        assert figure(page, key) == "no data"
    assert figure(page, "turns") == "1"


def test_store_away_is_told_as_a_page(given: Given, readers: Readers) -> None:
    """While the store is away the page says so with 503, and works again afterwards."""
    reader = readers()
    reader.site.store.away = True
    try:
        answer = reader.page.goto(f"{reader.site.address}/?window=24h")
    finally:
        reader.site.store.away = False
    assert answer
    assert answer.status == 503
    assert answer.headers["retry-after"] == "7"
    expect(reader.page.locator("h1")).to_have_text("The store is away for the moment")
    # The browser itself reports the status on its console; nothing else may stand there.
    assert all("503" in fault for fault in reader.faults)
    reader.faults.clear()
    reader.page.get_by_role("link", name="Try again").click()
    expect(reader.page.locator("h1")).to_have_text("Overview")
    assert reader.page.url.endswith("/?window=24h")


def test_filters_stay_in_the_address(given: Given, reader: Reader) -> None:
    """Window and agent are chosen on the page, stand in the address, and travel to other pages."""
    given.turn("one", ago(60), agent="sales & more")
    given.turn("two", ago(60), agent="support")
    given.save()
    page = reader.read("/")
    assert figure(page, "turns") == "2"
    page.get_by_role("link", name="The last 24 hours").click()
    page.get_by_role("combobox", name="Agent").select_option("sales & more")
    page.wait_for_url("**agent=sales*")
    assert page.url.endswith("/?window=24h&agent=sales+%26+more")
    assert figure(page, "turns") == "1"
    page.get_by_role("link", name="All conversations").click()
    expect(page.locator("#rows tr")).to_have_count(1)
    expect(page.locator(".segments [aria-current]")).to_have_text("24h")
    expect(page.get_by_role("combobox", name="Agent")).to_have_value("sales & more")
    page.get_by_role("combobox", name="Agent").select_option("All agents")
    page.wait_for_url("**/conversations?window=24h")
    expect(page.locator("#rows tr")).to_have_count(2)


def test_conversation_shows_transcript_and_spans(given: Given, reader: Reader) -> None:
    """Each turn has its text; its spans are fetched when opened, as bars in proportion."""
    turns = talk(given)
    page = reader.read("/conversations/talk-1?view=trace")
    expect(page.locator(".turn")).to_have_count(6)
    expect(page.locator(".turn .bubble.is-user").first).to_contain_text("Question 1")
    slow = page.locator(f"#turn-{turns[3]['span_id']}")
    expect(slow).to_contain_text("Slow")
    assert "execute_tool lookup_order" not in page.content()
    slow.get_by_text("Spans", exact=True).click()
    expect(slow.locator(".span-fill")).to_have_count(2)
    boxes = [box.bounding_box() for box in slow.locator(".span-fill").all()]
    assert len(boxes) == 2
    whole, tool = (box or {} for box in boxes)
    assert tool["width"] / whole["width"] == pytest.approx(3.5 / 4.2, abs=0.02)
    assert (tool["x"] - whole["x"]) / whole["width"] == pytest.approx(0.5 / 4.2, abs=0.02)
    slow.locator(".span summary").nth(1).click()
    expect(slow.locator(".attributes").nth(1)).to_contain_text("gen_ai.tool.name")
    failed = page.locator(f"#turn-{turns[1]['span_id']}")
    expect(failed).to_contain_text("TimeoutError")
    expect(failed).to_contain_text("no reply: the turn failed")


def test_jumps_lead_from_one_to_the_next(given: Given, reader: Reader) -> None:
    """The links over the transcript go to failed, slow, unsure and handed-off turns in turn."""
    turns = talk(given)
    page = reader.read("/conversations/talk-1")
    for name, index in (("Failed", 1), ("Slow", 3), ("Unsure", 4), ("Handed off", 4)):
        page.locator(".jumps").get_by_role("link", name=name).click()
        expect(page.locator(".turn.is-chosen")).to_have_id(f"turn-{turns[index]['span_id']}")
        expect(page.locator(".turn.is-chosen .bubble").first).to_be_in_viewport()
    page.keyboard.press("k")
    expect(page.locator(".turn.is-chosen")).to_have_id(f"turn-{turns[3]['span_id']}")
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(page.locator(".turn.is-chosen")).to_have_id(f"turn-{turns[5]['span_id']}")


def test_trace_leads_to_its_turn(given: Given, reader: Reader) -> None:
    """`/traces/ID` ends at the turn of the conversation, marked and in view; so does its link."""
    turns = talk(given, "with / slash & more?")
    page = reader.read(f"/traces/{turns[4]['trace_id']}")
    anchor = f"turn-{turns[4]['span_id']}"
    place = f"/conversations/{quote('with / slash & more?', safe='')}"
    assert page.url.endswith(f"{place}?turn={turns[4]['span_id']}#{anchor}")
    expect(page.locator(".turn.is-chosen")).to_have_id(anchor)
    expect(page.locator(f"#{anchor} .bubble").first).to_be_in_viewport()
    page.get_by_role("link", name="Trace", exact=True).click()
    shared = page.locator(f"#turn-{turns[0]['span_id']} .turn-number").get_attribute("href")
    assert shared
    reader.read("/")
    reader.read(shared)
    expect(page.locator(".turn.is-chosen")).to_have_id(f"turn-{turns[0]['span_id']}")


@pytest.mark.parametrize("name", [".", "..", "/", "a//b", "%2e%2e", "\u202e", "?", "#"])
def test_every_conversation_id_has_a_link_that_works(
    given: Given, reader: Reader, name: str
) -> None:
    """Ids that mean something in an address lead from the list to their conversation."""
    given.turn(name, ago(60), input_messages=scenes.content("user", "It is me"))
    given.save()
    page = reader.read("/conversations")
    page.locator("#rows [data-row-link]").click()
    expect(page.locator(".bubble.is-user")).to_contain_text("It is me")
    expect(page.locator(".conversation-id bdi")).to_have_text(name)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_is_shown_and_nothing_more(given: Given, reader: Reader, text: str) -> None:
    """Whatever stands in any field is shown as text: nothing runs, nothing breaks the layout."""
    hostile(given, text)
    visible = text.replace("\x00", "")
    address = ""
    for path in ("/", "/conversations"):
        page = reader.read(path)
        check_width(page)
        assert visible[:40] in (page.locator("#rows .said-first").text_content() or "")
        address = page.locator("#rows .said-first").get_attribute("href") or ""
    page = reader.read(f"{address}{'&' if '?' in address else '?'}view=trace")
    expect(page.locator(".bubble.is-user").first).to_contain_text(visible[:40])
    for summary in page.locator("summary").all():
        summary.click()
    for summary in page.locator(".waterfall summary").all():
        summary.click()
    shown = page.locator("main").text_content() or ""
    assert shown.count(visible[:40]) >= 15
    check_width(page)
    assert page.evaluate("window.pwned") is None


def check_width(page: Page) -> None:
    """Neither at a desk nor on a phone does the page scroll sideways."""
    for width in (390, 1440):
        page.set_viewport_size({"width": width, "height": 1000})
        assert page.evaluate(WIDE_ENOUGH)


def hostile(given: Given, text: str) -> None:
    """A conversation with `text` in every field that a page shows."""
    start = ago(600)
    row = given.turn(
        text,
        start,
        status="error",
        **dict.fromkeys(
            (
                *("agent", "agent_version", "variant", "channel", "platform", "location"),
                *("user_type", "intent", "error_type", "sentiment", "provider", "request_model"),
                *("response_model", "handoff_reason", "handoff_target", "metadata"),
                *("message_type", "cost_source"),
            ),
            text,
        ),
        handoff=True,
        confidence=0.2,
        input_messages=scenes.content("user", text),
        output_messages=scenes.content("assistant", text),
        attributes={text: text},
    )
    place = {"trace_id": row["trace_id"], "span_id": row["span_id"]}
    given.span(
        row["trace_id"], row["span_id"], start, name=text, kind=text, operation=text, tool=text,
        error_type=text, status_code="error", attributes={text: text},
    )  # fmt: skip
    said = dict.fromkeys(
        ("intent", "topic", "action", "workflow", "step", "reason", "target"), text
    )
    more = dict.fromkeys(("data", "comment", "label", "entity_value", "event_name", "page"), text)
    given.event("custom", text, start, **said, **more, **place, attributes={text: text})
    given.event("handoff.accepted", text, start + 5, **said, **more)
    given.event("message", text, start + 6, sender=text, text=text)
    given.event("conversation.end", text, start + 7, outcome="resolved", reason=text)
    given.save()


def test_refresh_shows_new_turns_and_keeps_the_place(given: Given, reader: Reader) -> None:
    """After 30 s new turns are there; the opened table, focus and scroll are as they were."""
    scenes.busy_week(given, datetime.now(UTC), conversations=30)
    page = reader.page
    page.clock.install()
    reader.read("/")
    before = int(figure(page, "conversations"))
    page.locator("[data-chart=turns] summary").click()
    page.locator("#rows a").nth(3).focus()
    page.evaluate("scrollTo(0, 600)")
    page.wait_for_function("scrollY === 600")
    place = page.evaluate("[scrollY, document.activeElement.getAttribute('href')]")
    given.rows.clear()
    given.turn("fresh", ago(90_000))
    given.save()
    page.clock.fast_forward(31_000)
    expect(page.locator("section[aria-labelledby=card-conversations] .figure")).to_contain_text(
        str(before + 1)
    )
    assert page.evaluate("[scrollY, document.activeElement.getAttribute('href')]") == place
    expect(page.locator("[data-chart=turns] details")).to_have_attribute("open", "")


def test_refresh_can_be_paused_and_stays_so(given: Given, reader: Reader) -> None:
    """Paused, nothing is asked again, on this page and after a reload; resumed, it is at once."""
    given.turn("first", ago(60))
    given.save()
    page = reader.page
    page.clock.install()
    reader.read("/")
    page.get_by_role("button", name="Pause").click()
    given.turn("second", ago(50))
    given.save()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.clock.fast_forward(95_000)
    assert asked == []
    page.reload()
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    expect(page.locator("#rows tr")).to_have_count(2)


def test_refresh_says_when_the_server_is_away(given: Given, reader: Reader) -> None:
    """A refresh that fails leaves the figures, and says from when they are."""
    given.turn("first", ago(60))
    given.save()
    page = reader.page
    page.clock.install()
    reader.read("/")
    expect(page.locator("#causes")).to_contain_text("No intent moved it")
    reader.site.store.away = True
    try:
        page.clock.fast_forward(31_000)
        expect(page.locator("[data-refresh-status]")).to_contain_text("The server does not answer")
    finally:
        reader.site.store.away = False
    assert figure(page, "turns") == "1"
    assert reader.faults
    assert all("503" in fault for fault in reader.faults)
    reader.faults.clear()
    page.clock.fast_forward(31_000)
    expect(page.locator("[data-refresh-status]")).to_contain_text("every 30 s")


def test_keyboard_alone_reaches_everything(given: Given, reader: Reader) -> None:
    """Tab goes from the skip link over navigation and filters to every link and definition."""
    talk(given)
    page = reader.read("/")
    reached = []
    for _ in range(120):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate(
                """() => { const at = document.activeElement;
                  return (at.getAttribute("aria-label") ?? at.textContent).trim(); }"""
            )
        )
    assert reached[0] == "Skip to the content"
    wanted = (
        *("Conversations", "The last 30 days", "Pause", "What Turns means", "What Cost means"),
        *("Figures", "All conversations", "Question 1"),
    )
    assert [name for name in wanted if name not in reached] == []
    page.locator("[popovertarget=meaning-turns]").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#meaning-turns")).to_be_visible()
    expect(page.locator("#meaning-turns")).to_contain_text("User messages and the replies to them")
    page.keyboard.press("Escape")
    expect(page.locator("#meaning-turns")).to_be_hidden()


def test_pages_work_without_a_script(given: Given, readers: Readers) -> None:
    """Without JavaScript there are the figures, tables for charts, bars, definitions, filters."""
    turns = talk(given)
    page = readers(java_script_enabled=False).read("/")
    assert "6" in page.inner_text("section[aria-labelledby=card-turns] .figure")
    page.locator("[popovertarget=meaning-turns]").click()
    expect(page.locator("#meaning-turns")).to_be_visible()
    page.keyboard.press("Escape")
    page.locator("[data-chart=turns] summary").click()
    expect(page.locator("[data-chart=turns] tbody tr").last).to_be_visible()
    page.get_by_role("combobox", name="Agent").select_option("support")
    page.get_by_role("button", name="Apply").click()
    assert page.url.endswith("/?agent=support")
    page.get_by_role("combobox", name="Agent").select_option("All agents")
    page.get_by_role("button", name="Apply").click()
    assert page.url.endswith("/")
    page.locator("#rows [data-row-link]").click()
    page.locator(".jumps").get_by_role("link", name="Slow").click()
    slow = page.locator(f"#turn-{turns[3]['span_id']}")
    expect(slow.locator(".bubble").first).to_be_in_viewport()
    slow.locator("summary").click()
    slow.get_by_role("link", name="All of this turn").click()
    bars = page.locator(".span-fill")
    assert (bars.nth(1).bounding_box() or {})["width"] > 50
    page.get_by_role("link", name="The conversation").click()
    page.get_by_role("link", name="Trace", exact=True).click()
    expect(page.locator(".facts-grid")).to_have_count(6)


def test_older_conversations_are_added_below(given: Given, reader: Reader) -> None:
    """The list shows fifty, then the rest below them, each once; then it says that it is all."""
    for number in range(70):
        given.turn(f"c-{number:02d}", ago(60 + number))
    given.save()
    page = reader.read("/conversations")
    expect(page.locator("#rows tr")).to_have_count(50)
    page.get_by_role("link", name="Show older conversations").click()
    expect(page.locator("#rows tr")).to_have_count(70)
    names = page.locator("#rows [data-row-id]").all_inner_texts()
    assert names == [f"c-{number:02d}" for number in range(70)]
    expect(page.locator("#paging")).to_have_text("These are all conversations of the window.")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_theme_follows_the_system_until_one_is_chosen(readers: Readers, scheme: Any) -> None:
    """The system's theme holds; a chosen one holds over reloads, without a flash of the other."""
    page = readers(color_scheme=scheme).read("/")
    shade = "getComputedStyle(document.body).backgroundColor"
    light, dark = "rgb(245, 246, 248)", "rgb(13, 16, 21)"
    assert page.evaluate(shade) == (light if scheme == "light" else dark)
    switch = page.locator("[data-theme-switch]")
    expect(switch).to_have_text("Theme: system")
    switch.click()
    assert page.evaluate(shade) == light
    switch.click()
    expect(switch).to_have_text("Theme: dark")
    page.reload()
    assert page.evaluate(shade) == dark
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


def test_phone_shows_every_page_without_sideways_scrolling(given: Given, readers: Readers) -> None:
    """At 390 px nothing is cut off, and the navigation is there."""
    scenes.busy_week(given, datetime.now(UTC), conversations=12)
    reader = readers(390, 844)
    for path in ("/", "/conversations"):
        page = reader.read(path)
        assert page.evaluate(WIDE_ENOUGH)
        expect(page.get_by_role("link", name="Overview")).to_be_visible()
    page.locator("#rows [data-row-link]").first.click()
    expect(page.locator(".turn").first).to_be_visible()
    assert page.evaluate(WIDE_ENOUGH)


def test_print_leaves_out_what_only_a_screen_can_use(given: Given, reader: Reader) -> None:
    """On paper there are figures and turns, light, and no navigation, filters or buttons."""
    talk(given)
    page = reader.read("/conversations/talk-1")
    page.emulate_media(media="print", color_scheme="dark")
    expect(page.locator(".side")).to_be_hidden()
    expect(page.locator(".jump-bar")).to_be_hidden()
    expect(page.locator(".turn").last).to_be_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


def test_text_is_kept_from_whoever_may_not_read_it(given: Given, reader: Reader) -> None:
    """Without conversations:read the page says so, and shows figures but nothing that was said."""
    talk(given)
    reader.site.keys.permissions[given.tenant] = frozenset({"analytics:view"})
    page = reader.read("/conversations/talk-1")
    expect(page.locator(".notice")).to_contain_text("conversations:read")
    assert "Question 1" not in page.content()
    expect(page.locator(".turn")).to_have_count(6)
