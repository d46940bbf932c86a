"""One conversation in a real browser: times, cost, events, notes, other places, live."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from urllib.parse import parse_qs

import pytest
from playwright.sync_api import expect

from otel_chat.server.figures.window import Window
from otel_chat.server.questions.marks import mark
from tests.server.given import Given
from tests.server.pages import scenes
from tests.server.pages.conftest import Reader, Readers
from tests.server.pages.test_browser import HOSTILE, WIDE_ENOUGH, ago, talk
from tests.waiting import until

pytestmark = pytest.mark.browser


def plain(text: str) -> str:
    return " ".join(text.replace("\u202f", " ").split())


def test_where_the_time_went_is_drawn_to_scale(given: Given, reader: Reader) -> None:
    """The slow turn of 4.2 s spent 3.5 s in a tool; so did the conversation, of 9.2 s."""
    turns = talk(given)
    page = reader.read("/conversations/talk-1?view=trace")
    slow = page.locator(f"#turn-{turns[3]['span_id']} .turn-split")
    assert plain(slow.inner_text()) == "tools 3.5 s 83 % own code 700 ms 17 %"
    tool, own = (box.bounding_box() or {} for box in slow.locator("rect").all())
    assert tool["width"] / (tool["width"] + own["width"]) == pytest.approx(3.5 / 4.2, abs=0.01)
    assert own["x"] == pytest.approx(tool["x"] + tool["width"], abs=1)
    whole = page.locator(".stats-wide > dd")
    assert plain(whole.inner_text()) == "tools 3.5 s 38 % own code 5.7 s 62 %"
    page.get_by_role("button", name="What where the time went means").click()
    expect(page.locator("#meaning-times")).to_contain_text("innermost running work was a model")


def test_each_turn_says_its_tokens_and_cost(given: Given, reader: Reader) -> None:
    """A turn with a price, one with tokens but none, and one without either."""
    start = ago(7200)
    given.turn("c", start, input_tokens=120, output_tokens=30, cost="0.0042")
    given.turn("c", start + 10, input_tokens=5, output_tokens=1, cost_source="unpriced")
    given.turn("c", start + 20)
    given.save()
    page = reader.read("/conversations/c?view=trace")
    shown = [plain(text) for text in page.locator(".facts-grid").all_inner_texts()]
    assert "Tokens 120 → 30 Cost $0.0042" in shown[0]
    assert "Tokens 5 → 1 Cost no price" in shown[1]
    assert "Tokens no data Cost no data" in shown[2]


def test_events_stand_in_order_with_their_turns(given: Given, reader: Reader) -> None:
    """By time, whether inside a turn or not; a turn's number leads to it; ratings by scale."""
    start = ago(7200)
    row = given.turn("c", start, 2.0)
    inside = {"trace_id": row["trace_id"], "span_id": row["span_id"]}
    given.event("action", "c", start + 1.5, action="open link", **inside)
    given.event("topic", "c", start + 1, topic="bills", **inside)
    given.feedback(4, "c", start + 60)
    given.event("conversation.end", "c", start + 70, outcome="resolved")
    given.save()
    page = reader.read("/conversations/c?view=trace")
    page.get_by_text("All events in order").click()
    rows = page.locator(".all-events tbody tr")
    told = [plain(" ".join(row.locator("td").all_inner_texts()[1:])) for row in rows.all()]
    assert told == [
        "1 Topic bills",
        "1 Action open link",
        "\u2013 Feedback 4 on a scale from 1 to 5",
        "\u2013 Conversation end resolved",
    ]
    expect(page.locator(".between", has_text="Feedback")).to_contain_text("4 on a scale")
    rows.first.get_by_role("link").click()
    expect(page.locator(".turn:target")).to_have_count(1)


def test_tags_and_a_note_are_kept(given: Given, reader: Reader) -> None:
    """Written on the page, kept on the server, there again after a reload."""
    talk(given)
    page = reader.read("/conversations/talk-1")
    page.locator(".noting > summary").click()
    page.get_by_label("Tags, with commas between").fill("slow tool,  for Dana, slow tool")
    page.get_by_label("Note", exact=True).fill("Ask the warehouse.\nThen close it.")
    page.get_by_role("button", name="Keep").click()
    expect(page.locator("[data-noting-status]")).to_have_text("Kept")
    expect(page.locator(".tags-shown .tag")).to_have_text(["for Dana", "slow tool"])
    page.get_by_role("button", name="Mark reviewed").click()
    until(lambda: mark(given.store, given.scope, Window.last(), "talk-1").reviewed)
    page.reload()
    expect(page.locator("[data-review]")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("[data-review]")).to_have_text("Reviewed")
    expect(page.get_by_label("Note", exact=True)).to_have_value(
        "Ask the warehouse.\nThen close it."
    )


def test_who_may_only_look_sees_marks_without_notes(given: Given, reader: Reader) -> None:
    """No form, no button; the tags are there, the note is not."""
    talk(given)
    given.store.insert_rows(
        "conversation_marks",
        [
            {
                "tenant": given.tenant,
                "conversation_id": "talk-1",
                "reviewed": True,
                "tags": ["seen"],
                "note": "secret",
                "version": 1,
            }
        ],
    )
    reader.site.keys.permissions[given.tenant] = frozenset({"analytics:view"})
    page = reader.read("/conversations/talk-1")
    expect(page.locator(".tags-shown")).to_have_text("seen")
    expect(page.locator(".conversation-tools")).to_contain_text("Reviewed")
    assert page.locator("[data-review], [data-noting]").count() == 0
    assert "secret" not in page.content()


def test_grafana_and_tempo_are_linked_where_there_are_any(given: Given, reader: Reader) -> None:
    """Addresses come from the settings; a turn that was not kept for Tempo has no link."""
    left_out = given.turn("talk-1", ago(3500), attributes={"otel_chat.keep": "false"})
    turns = talk(given)
    page = reader.read("/conversations/talk-1")
    assert "grafana" not in page.content()
    settings = reader.site.app.state.settings
    reader.site.app.state.settings = settings.model_copy(
        update={"grafana_url": "https://grafana.example/g/", "tempo_url": "http://tempo:3200"}
    )
    try:
        page.reload()
        for row in (left_out, turns[3]):
            turn = page.locator(f"#turn-{row['span_id']}")
            turn.locator("summary").first.click()
            expect(turn.locator(".waterfall")).to_be_visible()
    finally:
        reader.site.app.state.settings = settings
    trace = turns[3]["trace_id"]
    assert page.locator(f"#turn-{left_out['span_id']} .elsewhere").count() == 0
    links = page.locator(f"#turn-{turns[3]['span_id']} .elsewhere a")
    in_grafana, in_tempo = (link.get_attribute("href") or "" for link in links.all())
    assert in_tempo == f"http://tempo:3200/api/traces/{trace}"
    place, _, asked = in_grafana.partition("?")
    assert place == "https://grafana.example/g/d/otel-chat-conversation"
    chosen = parse_qs(asked)
    assert (chosen["var-conversation"], chosen["var-trace"]) == (["talk-1"], [trace])
    assert int(chosen["from"][0]) < int(chosen["to"][0])
    board = page.get_by_role("link", name="Response time", exact=True).get_attribute("href") or ""
    assert board.startswith("https://grafana.example/g/d/otel-chat-response-time?from=")
    assert "var-agent=support" in board
    whole = page.get_by_role("link", name="Grafana", exact=True).get_attribute("href") or ""
    assert whole.startswith(f"{place}?var-conversation=talk-1&from=")


def test_a_running_conversation_grows_by_itself(given: Given, reader: Reader) -> None:
    """A new turn is there 5 s later; what is open, chosen or half written stays."""
    row = given.turn("c", ago(40), input_messages=scenes.content("user", "One"))
    given.save()
    page = reader.page
    page.clock.install()
    reader.read(f"/conversations/c?turn={row['span_id']}")
    expect(page.locator("[data-refresh-status]")).to_contain_text("every 5 s")
    page.locator(".turn-facts summary").click()
    page.locator(".span summary").click()
    page.locator(".noting > summary").click()
    page.get_by_label("Note", exact=True).fill("half writ")
    given.rows.clear()
    given.turn("c", ago(10), status="error", input_messages=scenes.content("user", "Two"))
    given.save()
    page.clock.fast_forward(6_000)
    expect(page.locator(".turn")).to_have_count(2)
    expect(page.locator(".turn.is-chosen")).to_have_id(f"turn-{row['span_id']}")
    expect(page.locator(".span").first).to_have_attribute("open", "")
    expect(page.get_by_label("Note", exact=True)).to_have_value("half writ")
    page.locator(".jumps").get_by_role("link", name="Failed").click()
    expect(page.locator(".turn.is-chosen")).to_contain_text("Two")
    page.get_by_role("button", name="Pause").click()
    given.rows.clear()
    given.turn("c", ago(5))
    given.save()
    page.clock.fast_forward(20_000)
    expect(page.locator(".turn")).to_have_count(2)


def test_a_settled_conversation_is_left_alone(given: Given, reader: Reader) -> None:
    """Nothing is asked again for it."""
    talk(given)
    page = reader.page
    page.clock.install()
    reader.read("/conversations/talk-1")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.clock.fast_forward(95_000)
    assert page.locator("[data-refresh-bar]").count() == 0
    assert [address for address in asked if "/static/" not in address] == []


def test_from_a_fallen_containment_to_the_slow_tool(given: Given, reader: Reader) -> None:
    """The walk of docs/finding-a-problem.md: five clicks from the overview to the cause."""
    scenes.fallen_containment(given, datetime.now(UTC))
    page = reader.read("/")
    expect(page.locator("section[aria-labelledby=card-containment]")).to_contain_text("25\u202fpts")
    clicks = 0

    def click(locator: object) -> None:
        nonlocal clicks
        clicks += 1
        locator.click()  # type: ignore[attr-defined]

    click(page.locator("#causes tr", has_text="refund").get_by_role("link", name="10 of 10"))
    page.wait_for_url("**/conversations?last_intent=refund&state=settled&handoff=true")
    click(page.locator("#rows [data-row-link]").first)
    page.wait_for_url("**/conversations/return-*")
    click(page.locator(".jumps").get_by_role("link", name="Slow"))
    turn = page.locator(".turn.is-chosen")
    expect(turn).to_contain_text("It has been three weeks!")
    click(turn.locator(".turn-facts > summary"))
    click(turn.locator(".span.is-longest summary"))
    details = turn.locator(".span.is-longest")
    expect(details).to_contain_text("execute_tool track_return")
    expect(details).to_contain_text("7.4\u202fs")
    expect(details.locator(".attributes")).to_contain_text("gen_ai.tool.name")
    assert clicks <= 5


def test_hostile_events_and_notes_are_text(given: Given, readers: Readers) -> None:
    """Whatever an event or a note says is shown as text, at a desk and on a phone."""
    given.turn("c", ago(60))
    for text in HOSTILE:
        for name in ("custom", "action", "topic", "message", "gen_ai.evaluation.result"):
            given.event(
                name, "c", ago(50), action=text, topic=text, sender=text, text=text, comment=text,
                event_name=text, data=text, label=text, evaluation="user_feedback", reason=text,
            )  # fmt: skip
    given.save()
    tags, note = list(HOSTILE), "\n".join(HOSTILE)
    row = {"tenant": given.tenant, "conversation_id": "c", "tags": tags, "note": note}
    given.store.insert_rows("conversation_marks", [{**row, "version": 1}])
    page = readers().read("/conversations/c?view=trace")
    page.get_by_text("All events in order").click()
    for width in (390, 1440):
        page.set_viewport_size({"width": width, "height": 1000})
        assert page.evaluate(WIDE_ENOUGH)
    assert page.evaluate("window.pwned") is None


def test_the_view_of_conversations_is_remembered(given: Given, reader: Reader) -> None:
    """Transcript at first; whoever chose Trace meets it with the next conversation too."""
    talk(given)
    talk(given, "talk-2")
    page = reader.read("/conversations/talk-1")
    expect(page.locator("[aria-current=true]", has_text="Transcript")).to_be_visible()
    assert page.locator(".facts-grid").count() == 0
    page.get_by_role("link", name="Trace", exact=True).click()
    expect(page.locator(".facts-grid")).to_have_count(6)
    reader.read("/conversations/talk-2")
    expect(page.locator(".facts-grid")).to_have_count(6)
    page.get_by_role("link", name="Transcript", exact=True).click()
    reader.read("/conversations/talk-1")
    expect(page.locator(".facts-grid")).to_have_count(0)


def test_later_turns_come_below(given: Given, reader: Reader) -> None:
    """As one goes down, page by page without losing the place, each turn once and in order."""
    start = ago(90_000)
    rows = [given.turn("long", start + 2 * number) for number in range(120)]
    given.save()
    page = reader.read("/conversations/long?view=trace")
    expect(page.locator(".turn")).to_have_count(50)
    page.locator(".turn").nth(48).focus()
    page.keyboard.press("j")
    expect(page.locator(".turn")).to_have_count(100)
    for _ in range(3):
        page.keyboard.press("j")
    expect(page.locator(".turn.is-chosen")).to_have_id(f"turn-{rows[52]['span_id']}")
    expect(page.locator(".turn.is-chosen")).to_be_in_viewport()
    page.locator("#later-turns").scroll_into_view_if_needed()
    expect(page.locator(".turn")).to_have_count(120)
    expect(page.locator("#later-turns a")).to_have_count(0)
    told = page.locator(".turn").evaluate_all("(all) => all.map((one) => one.ariaLabel)")
    assert told == [f"Turn {number}" for number in range(1, 121)]


def test_jumps_lead_over_pages(given: Given, reader: Reader) -> None:
    """From a failed turn to the next, on whichever page it is, and then to the first again."""
    start = ago(90_000)
    failed = (3, 70, 130)
    rows = [
        given.turn("long", start + 2 * number, status="error" if number in failed else "ok")
        for number in range(160)
    ]
    given.save()
    page = reader.read("/conversations/long?view=trace")
    link = page.locator(".jumps").get_by_role("link", name="Failed 3")
    for number in (*failed, failed[0]):
        link.click()
        expect(page.locator(".turn.is-chosen")).to_have_id(f"turn-{rows[number]['span_id']}")
        expect(page.locator(".turn.is-chosen")).to_be_in_viewport()


def test_a_long_conversation_is_read_without_script(given: Given, readers: Readers) -> None:
    """Page by page by links, back to the beginning, and to its slowest turn by the strip."""
    start = ago(90_000)
    rows = [
        given.turn("long", start + 9 * number, 9.0 if number == 140 else 1.0)
        for number in range(150)
    ]
    given.save()
    reader = readers(java_script_enabled=False)
    page = reader.read("/conversations/long")
    expect(page.locator(".turn")).to_have_count(100)
    page.get_by_role("link", name="Later turns and events").click()
    expect(page.locator(".turn")).to_have_count(50)
    page.get_by_role("link", name="From the beginning").click()
    address = (
        page.locator(".strip-chart a", has_text=re.compile(r", slow$")).get_attribute("href") or ""
    )
    reader.read(address)
    expect(page.locator(".turn.is-chosen")).to_have_id(f"turn-{rows[140]['span_id']}")


def test_a_conversation_that_ends_is_asked_for_no_more(given: Given, reader: Reader) -> None:
    """It is looked at until its end has come, and never again."""
    given.turn("c", ago(40))
    given.save()
    page = reader.page
    page.clock.install()
    reader.read("/conversations/c")
    expect(page.locator("[data-refresh-bar]")).to_be_visible()
    given.rows.clear()
    given.event("conversation.end", "c", ago(1), outcome="resolved")
    given.save()
    page.clock.fast_forward(6_000)
    expect(page.locator("#live[data-ended]")).to_have_count(1)
    expect(page.locator("[data-refresh-bar]")).to_be_hidden()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.clock.fast_forward(95_000)
    assert asked == []


def test_a_reply_is_drawn_without_what_it_should_not_do(given: Given, reader: Reader) -> None:
    """Its lists and links; no picture is fetched, no HTML of it is taken."""
    reply = (
        "**Two** plans:\n\n1. [Basic](https://shop.example/)\n2. Pro\n\n"
        "![x](https://shop.example/x.png)<img src=x onerror='window.pwned=1'>"
    )
    given.turn("c", ago(7200), output_messages=scenes.content("assistant", reply))
    given.save()
    shown = reader.read("/conversations/c").locator(".bubble.is-assistant")
    expect(shown.locator("strong")).to_have_text("Two")
    expect(shown.locator("li")).to_have_count(2)
    expect(shown.get_by_role("link", name="Basic")).to_have_attribute(
        "rel", "noopener noreferrer nofollow"
    )
    assert shown.locator("img").count() == 0
    assert reader.page.evaluate("window.pwned") is None
