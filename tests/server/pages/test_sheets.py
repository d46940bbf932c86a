"""The pages of figures, in a real browser: what they show, lead to, save and are spared."""

from __future__ import annotations

import struct
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

import otel_chat
from otel_chat.server.budgets import Budget
from otel_chat.server.settings import ServerSettings
from otel_chat.testing import Telemetry, assert_turn
from tests.server.given import Given
from tests.server.pages import scenes
from tests.server.pages.conftest import Reader, Readers
from tests.server.pages.test_browser import HOSTILE, WIDE_ENOUGH, ago

MEMORY = "process.memory.usage"

pytestmark = pytest.mark.browser

PATHS = ("/intents", "/journeys", "/performance", "/outcomes", "/costs")


def told(given: Given, marker: str) -> None:
    """Two conversations with everything that these pages name, called after the marker."""
    for number in (1, 2):
        start = ago(7200 * number)
        name = f"{marker} {number}"
        given.turn(
            name, start, agent=marker, intent=marker, confidence=0.4, response_model=marker,
            input_tokens=10, output_tokens=5, cost="0.25", sentiment=marker, handoff=True,
            handoff_reason=marker, route=marker, http_status=200, time_to_first_chunk=0.2,
            input_messages=scenes.content("user", f"Where is my {marker}?"),
        )  # fmt: skip
        failed = given.turn(
            name, start + 20, agent=marker, intent=f"{marker}2", status="error", error_type=marker
        )
        given.span(
            failed["trace_id"], failed["span_id"], start + 20, operation="execute_tool",
            tool=marker, status_code="error", error_type=marker,
        )  # fmt: skip
        given.feedback(4, name, start + 30)["comment"] = marker
        given.event(
            "gen_ai.evaluation.result", name, start + 31, evaluation=marker, label=marker, score=0.5
        )
        given.metric(MEMORY, 2e8, start, service_name=marker, instance_id=marker)
        given.event("topic", name, start + 1, topic=marker)
        given.event("entity", name, start + 1, entity_type=marker)
        given.event("workflow.started", name, start + 2, workflow=marker, step=marker)
    given.save()


@pytest.mark.parametrize("path", PATHS)
def test_a_page_of_figures_shows_what_there_is(given: Given, reader: Reader, path: str) -> None:
    """Each has its question first, cards with their meaning, and no table without rows."""
    told(given, "parcel")
    page = reader.read(path)
    expect(page.locator("h1 + .lead")).to_contain_text("?")
    expect(page.locator(".card").first).to_be_visible()
    expect(page.locator("nav [aria-current=page]")).to_have_attribute("href", path)
    expect(page.locator("[aria-busy=true]")).to_have_count(0)
    tables = page.locator("table.figures")
    assert tables.count() >= 2
    for number in range(tables.count()):
        assert tables.nth(number).locator("tbody tr").count() >= 1
    meaning = page.locator(".card .meaning").first
    meaning.click()
    expect(page.locator(".popover:popover-open dd").first).to_be_visible()


def test_intents_are_counted_by_hand(given: Given, reader: Reader) -> None:
    """Two turns of `parcel`, both handed over, and of neither a success reported; both unsure."""
    told(given, "parcel")
    page = reader.read("/intents")
    cells = page.locator("[data-table=intents] tbody tr").first.locator("th, td").all_inner_texts()
    shown = [" ".join(cell.split()) for cell in cells]
    assert shown[:6] == ["parcel", "2", "0 % 0 to 66 %", "no data", "0.40", "2"]


def test_an_intent_leads_to_its_turns(given: Given, reader: Reader) -> None:
    """One click; window and filters travel along."""
    told(given, "parcel")
    page = reader.read("/intents?window=30d&agent=parcel")
    row = page.locator("[data-table=intents] tr", has_text="parcel2")
    counted = row.locator("a").first.inner_text().split()[0]
    row.locator("a").first.click()
    page.wait_for_url("**/turns?*")
    assert page.url.endswith("/turns?window=30d&agent=parcel&intent=parcel2")
    expect(page.locator("[data-table=turns] tbody tr")).to_have_count(int(counted))


def test_an_incomplete_conversation_is_one_click_away(given: Given, reader: Reader) -> None:
    """From the journeys to the conversation that nobody finished."""
    given.turn("parcel 1", ago(7200), fallback=True)
    given.save()
    page = reader.read("/journeys")
    page.locator("[data-table=incomplete] a").first.click()
    page.wait_for_url("**/conversations/parcel%20*")
    expect(page.locator("[data-turn]").first).to_be_visible()


def test_a_table_is_saved_as_it_stands(given: Given, reader: Reader, tmp_path: Path) -> None:
    """As CSV for spreadsheets, which run no formula of it."""
    told(given, '=cmd|"x"!A1')
    page = reader.read("/intents")
    with page.expect_download() as download:
        page.locator("[data-download=intents]").click()
    assert download.value.suggested_filename == "intents.csv"
    saved = tmp_path / "saved.csv"
    download.value.save_as(saved)
    lines = saved.read_bytes().decode("utf-8-sig").split("\r\n")
    assert lines[0].startswith("Intent,Turns,No failure,Success")
    assert lines[1].startswith('"\'=cmd|""x""!A1",2,0 %,')


def test_hostile_names_are_shown_and_nothing_more(given: Given, reader: Reader) -> None:
    """Whatever intents, topics, models and workflows are called: all at once, on every page."""
    for text in HOSTILE:
        told(given, text.replace("\u0000", ""))
        given.rows.clear()
    for path in PATHS:
        page = reader.read(path)
        expect(page.locator("[aria-busy=true]")).to_have_count(0)
        assert page.locator("table.figures").count() >= 2
        assert page.evaluate("window.pwned") is None
        assert page.evaluate(WIDE_ENOUGH), path


@pytest.mark.parametrize("path", PATHS)
def test_a_phone_shows_every_figure(given: Given, readers: Readers, path: str) -> None:
    """The page itself never scrolls sideways; its tables do."""
    scenes.busy_week(given, datetime.now(UTC), conversations=30)
    page = readers(390, 844).read(path)
    expect(page.locator(".card").first).to_be_visible()
    assert page.evaluate(WIDE_ENOUGH)


def test_what_was_not_understood_stands_by_theme(given: Given, reader: Reader) -> None:
    """Fetched after the rest of the page: the theme, how often, and how somebody put it."""
    told(given, "parcel")
    page = reader.read("/intents")
    row = page.locator("[data-table=unanswered] tbody tr").first
    expect(row.locator("th q")).to_have_text("Where is my parcel?")
    assert page.locator("section.panel h2").first.inner_text() == "Unanswered questions"
    expect(row.locator("td.quoted a")).to_have_text("Where is my parcel?")
    expect(page.locator("#later-unanswered")).to_contain_text(
        "2 turns not understood, 2 with text, 2 grouped; 0 thanks, greetings and the like left out"
    )
    row.locator("td.quoted a").click()
    page.wait_for_url("**/conversations/parcel%201")


def test_ten_questions_stand_on_the_page_and_all_on_one_of_their_own(
    given: Given, reader: Reader
) -> None:
    """Twelve that share no word: the page leads to the list of all."""
    asked = "parcel,invoice,kettle,password,bitcoin,parking,christmas,warranty,iceland,coupon"
    for number, word in enumerate([*asked.split(","), "insurance", "language"]):
        given.turn(f"c{number}", ago(600 + number), fallback=True,
                   input_messages=scenes.content("user", word))  # fmt: skip
    given.save()
    page = reader.read("/intents")
    rows = page.locator("[data-table=unanswered] tbody tr")
    expect(rows).to_have_count(10)
    page.get_by_role("link", name="All questions").click()
    page.wait_for_url("**/intents/questions")
    expect(rows).to_have_count(12)


def test_a_question_is_decided_about_on_its_page(given: Given, reader: Reader) -> None:
    """From the panel to the question, answered with a click; then it is among the answered."""
    told(given, "parcel")
    page = reader.read("/intents")
    page.locator("[data-table=unanswered] tbody th a").first.click()
    page.wait_for_url("**/intents/question?asking=*")
    expect(page.locator("h1")).to_have_text("Where is my parcel?")
    expect(page.locator("[data-table=asked] tbody tr")).to_have_count(2)
    page.get_by_role("button", name="Answered").click()
    expect(page.locator(".deciding .badge")).to_have_text("Answered")
    expect(page.locator("[data-table=effect] tbody tr")).to_have_count(2)
    expect(page.locator(".verdict")).to_contain_text("nothing to compare yet")
    page.get_by_role("link", name="Unanswered questions").first.click()
    page.get_by_role("link", name="Answered 1").click()
    expect(page.locator("[data-table=unanswered] tbody th")).to_contain_text("parcel")
    page.get_by_role("link", name="Open 0").click()
    expect(page.locator("#part")).to_contain_text("No question of this state.")


def test_questions_are_decided_about_without_a_script(given: Given, readers: Readers) -> None:
    """A plain form; who may not is told which scope it takes."""
    told(given, "parcel")
    page = readers(java_script_enabled=False).read("/intents/questions")
    page.locator("[data-table=unanswered] tbody th a").click()
    page.get_by_role("button", name="Ignore").click()
    expect(page.locator(".deciding .badge")).to_have_text("Ignored")
    reader = readers()
    reader.site.keys.permissions[given.tenant] = frozenset({"analytics:view", "conversations:read"})
    other = reader.read("/intents/questions")
    other.locator("[data-table=unanswered] tbody th a").click()
    expect(other.locator(".deciding")).to_contain_text("needs a token with the scope marks:write")
    expect(other.locator(".deciding button")).to_have_count(0)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/intents", {"intents", "topics", "entities", "sentiments"}),
        ("/journeys", {"paths", "transitions", "drop-off-steps"}),
    ],
)
def test_an_empty_panel_is_one_line_with_how_to_report_it(
    given: Given, reader: Reader, path: str, said: set[str]
) -> None:
    """A conversation of which nothing was reported; what the page says to write runs."""
    given.turn("a", ago(7200))
    given.save()
    page = reader.read(path)
    for key in said:
        panel = page.locator(f"section[aria-labelledby=table-{key}]")
        assert panel.bounding_box()["height"] < 60, key  # type: ignore[index]
        expect(panel.locator("code")).to_have_count(1)
    codes = page.locator(".is-bare code").all_text_contents()

    @otel_chat.chat_handler(agent="support", conversation_id="session_id")
    def answer(session_id: str) -> None:
        for code in codes:
            eval(code, {"turn": otel_chat.current_turn(), "otel_chat": otel_chat})

    with Telemetry() as seen:  # which raises what is wrong
        answer("c")
    assert_turn(seen.only_turn(), conversation_id="c")


def test_questions_are_kept_from_whoever_may_not_read_them(given: Given, reader: Reader) -> None:
    """Without conversations:read the page says which scope it takes, and shows no text."""
    told(given, "parcel")
    reader.site.keys.permissions[given.tenant] = frozenset({"analytics:view"})
    page = reader.read("/intents")
    expect(page.locator(".later")).to_contain_text(
        "needs a token with the scope conversations:read"
    )
    assert "Where is my" not in page.content()


def test_themes_say_what_has_to_be_installed(
    given: Given, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the extra the rest of the page stands, and the panel says how to get it."""
    told(given, "parcel")
    monkeypatch.setitem(sys.modules, "sklearn.cluster", None)
    page = reader.read("/intents")
    expect(page.locator(".later")).to_contain_text("pip install 'otel-chat[themes]'")
    expect(page.locator("[data-table=intents] tbody tr")).to_have_count(2)


def test_slow_turns_lead_to_the_turn_and_its_trace(given: Given, reader: Reader) -> None:
    """The conversation at the turn, or the trace: both end at the same turn."""
    turns = scenes_of_waiting(given)
    page = reader.read("/performance")
    slowest = page.locator("[data-table=slowest] tbody tr").first
    expect(slowest).to_contain_text("Tools 3.0")
    for link in (slowest.locator("th a"), slowest.locator("td a")):
        address = link.get_attribute("href") or ""
        other = reader.read(address)
        expect(other.locator(f"#turn-{turns[0]['span_id']}.is-chosen")).to_be_visible()
        page = reader.read("/performance")
        slowest = page.locator("[data-table=slowest] tbody tr").first


def scenes_of_waiting(given: Given) -> list[dict[str, Any]]:
    """Two turns, of which the first waits three of its four seconds for a tool."""
    slow = given.turn("waiting", ago(600), 4.0)
    quick = given.turn("waiting", ago(500), 0.3)
    scenes.add_span(
        given, "execute_tool look", ago(600) + 0.5, 3.0, trace_id=slow["trace_id"],
        parent=slow["span_id"], operation="execute_tool", tool="look",
    )  # fmt: skip
    given.save()
    return [slow, quick]


def test_latency_is_a_grid_of_turns_by_time(given: Given, reader: Reader) -> None:
    """The squares sum to the turns; each says in words what it stands for."""
    scenes_of_waiting(given)
    page = reader.read("/performance?window=24h")
    cells = page.locator("[data-table=latency] tbody td")
    assert sum(int(text) for text in cells.all_text_contents()) == 2
    heads = page.locator("[data-table=latency] tbody th").all_inner_texts()
    assert [head.replace("\u202f", " ") for head in (heads[0], heads[-1])] == [
        "3 to 5 s",
        "0.25 to 0.5 s",
    ]
    expect(page.locator("[data-table=latency] .depth-8")).to_have_count(2)
    assert "3 to 5\u202fs: 1 turn" in (
        page.locator("[data-table=latency] .depth-8").first.get_attribute("title") or ""
    )


@pytest.mark.parametrize("kind", ["response-bands", "latency"])
def test_charts_are_saved_as_pictures(
    given: Given, reader: Reader, tmp_path: Path, kind: str
) -> None:
    """As PNG, drawn in the browser: with a title, and not of one colour."""
    scenes_of_waiting(given)
    page = reader.read("/performance")
    with page.expect_download() as download:
        page.locator(f"[data-picture={kind}]").click()
    assert download.value.suggested_filename == f"{kind}.png"
    saved = tmp_path / "saved.png"
    download.value.save_as(saved)
    content = saved.read_bytes()
    assert content.startswith(b"\x89PNG\r\n")
    width, height = struct.unpack(">II", content[16:24])
    assert width > 600
    assert height > 200
    assert len(content) > 3000


def test_what_can_be_saved_outlives_a_refresh(given: Given, reader: Reader) -> None:
    """After new figures have come in there are still the buttons."""
    told(given, "parcel")
    page = reader.page
    page.clock.install()
    reader.read("/performance")
    given.rows.clear()
    given.turn("fresh", ago(30))
    given.save()
    page.clock.fast_forward(31_000)
    expect(page.locator("[data-table=slowest] tbody tr")).to_have_count(5)
    expect(page.locator("[data-download=slowest]")).to_be_visible()
    expect(page.locator("[data-picture=response-bands]")).to_be_visible()


def test_outcomes_are_counted_by_hand(given: Given, reader: Reader) -> None:
    """Both bounds of resolution, ratings on their scale, sure and unsure turns, comments."""
    for number, rating in enumerate((5, 5, 2)):
        given.turn(f"rated-{number}", ago(9000), confidence=(0.65, 0.7, 1.0)[number])
        given.feedback(rating, f"rated-{number}", ago(8990))["comment"] = f"I say {rating}"
    given.turn("silent", ago(9000))
    given.save()
    page = reader.read("/outcomes")
    resolved = page.locator("section[aria-labelledby=card-resolved]")
    expect(resolved.locator(".figure")).to_have_text("50\u202f% to 75\u202f%")
    expect(resolved).to_contain_text("2 confirmed · 1 assumed")
    page.locator("[data-chart=scale-0] summary").click()
    ratings = page.locator("[data-chart=scale-0] tbody td").all_inner_texts()
    assert ratings == ["0", "1", "0", "0", "2"]
    page.locator("[data-chart=confidence] summary").click()
    rows = page.locator("[data-chart=confidence] tbody tr")
    expect(rows.nth(6)).to_have_text("0.6 to 0.710")
    expect(rows.nth(7)).to_have_text("0.7 to 0.801")
    expect(page.locator("[data-chart=confidence]")).to_have_attribute("data-mark", "7")
    expect(page.locator("[data-table=comments] tbody th").first).to_have_text("I say 2")
    row = page.locator("[data-table=outcomes] tr", has_text="Abandoned")
    row.get_by_role("link").first.click()
    page.wait_for_url("**/conversations?outcome=abandoned")


def test_comments_are_kept_from_whoever_may_not_read_them(given: Given, reader: Reader) -> None:
    """Without conversations:read there are scores and no words."""
    told(given, "parcel")
    reader.site.keys.permissions[given.tenant] = frozenset({"analytics:view"})
    page = reader.read("/outcomes")
    panel = page.locator("section[aria-labelledby=table-comments]")
    expect(panel).to_contain_text("needs a token with the scope conversations:read")


def test_hours_follow_the_time_zone_of_the_address(given: Given, reader: Reader) -> None:
    """A turn at noon of a Tuesday in UTC is at 21:00 in Tokyo; the choice stays in the address."""
    given.turn("noon", 0)
    given.save()
    range_of_noon = "from=2026-11-10T00:00:00Z&to=2026-11-11T00:00:00Z"
    page = reader.read(f"/outcomes?{range_of_noon}")
    assert "Tuesday, 12:00: 1 turn" in (hour(page).get_attribute("title") or "")
    page.get_by_label("Time zone").select_option("Asia/Tokyo")
    page.wait_for_url("**timezone=Asia*")
    assert "Tuesday, 21:00: 1 turn" in (hour(page).get_attribute("title") or "")
    expect(page.get_by_label("Time zone")).to_have_value("Asia/Tokyo")
    assert page.locator(".chip").count() == 0
    link = page.get_by_role("link", name="Journeys").get_attribute("href") or ""
    assert "timezone" not in link
    reader.read("/outcomes?timezone=Nowhere/Land")
    expect(reader.page.locator(".empty h1")).to_contain_text("asks for something")
    reader.faults.clear()


def hour(page: Page) -> Locator:
    """The one hour of the week in which there was anything."""
    return page.locator("[data-table=hours] td.depth-8")


def test_journeys_are_a_table_and_a_diagram(given: Given, reader: Reader, tmp_path: Path) -> None:
    """The table stands first; the ribbons beside it say the same, and can be saved."""
    for number in range(3):
        start = ago(9000 + number)
        given.turn(f"c-{number}", start, intent="order")
        given.turn(f"c-{number}", start + 60, intent="exchange" if number else "complaint")
    given.save()
    page = reader.read("/journeys")
    places = page.locator("[data-table=paths], .flow-drawing").evaluate_all(
        "(found) => found.map((one) => one.tagName)"
    )
    assert places == ["TABLE", "svg"]
    tips = page.locator(".flow-drawing title").all_text_contents()
    for tip in (
        "order: 3 conversations",
        "order \u2192 exchange: 2 conversations",
        "order \u2192 complaint: 1 conversation",
        "exchange \u2192 Resolved: 2 conversations",
    ):
        assert tip in tips
    with page.expect_download() as download:
        page.locator("[data-picture=flow]").click()
    download.value.save_as(tmp_path / "flow.png")
    assert (tmp_path / "flow.png").stat().st_size > 5000


@pytest.mark.parametrize("path", ["/performance?window=30d&agent=parcel", "/outcomes?window=24h"])
def test_a_link_shows_the_same_to_whoever_opens_it(
    given: Given, readers: Readers, path: str
) -> None:
    """Window and filters stand in the address, so another reader sees the same figures."""
    told(given, "parcel")
    first, second = readers().read(path), readers().read(path)
    assert first.url == second.url
    for page in (first, second):
        expect(page.locator(".segments [aria-current]")).to_have_text(path.split("=")[1][:3])
    figures = [page.locator(".card .figure").all_inner_texts() for page in (first, second)]
    assert figures[0] == figures[1]
    assert len(figures[0]) == 4


def test_the_keyboard_alone_reaches_all_of_performance(given: Given, reader: Reader) -> None:
    """Definitions, pictures, figures, tables and every link, in the order of the page."""
    told(given, "parcel")
    page = reader.read("/performance")
    expect(page.locator("[aria-busy=true]")).to_have_count(0)
    reached: list[str] = []
    for _ in range(70):
        page.keyboard.press("Tab")
        name = page.evaluate(
            """() => { const at = document.activeElement;
              return (at.getAttribute("aria-label") ?? at.textContent).trim(); }"""
        )
        reached.append(name)
    wanted = (
        "What Response time means",
        "PNG of Response time",
        "CSV of Response time",
        "Figures",
        "What response times over time means",
        "Response times over time: grid",
        "What slowest turns means",
        "Slowest turns: table",
        "parcel 1",
        "CSV of Errors by type",
    )
    assert [name for name in wanted if name not in reached] == []
    places = [reached.index(name) for name in wanted]
    assert places == sorted(places)
    page.locator("[data-picture=latency]").focus()
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    assert download.value.suggested_filename == "latency.png"


@pytest.mark.parametrize("path", ["/performance", "/outcomes", "/journeys"])
def test_on_paper_there_are_figures_and_no_buttons(given: Given, reader: Reader, path: str) -> None:
    """Light, every table whole, nothing that only a screen can use."""
    told(given, "parcel")
    page = reader.read(path)
    expect(page.locator("[aria-busy=true]")).to_have_count(0)
    page.emulate_media(media="print", color_scheme="dark")
    for hidden in (".tools", ".download", ".side", ".filter-form"):
        assert page.locator(f"{hidden}:visible").count() == 0
    expect(page.locator("table.figures").first).to_be_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


def test_without_a_script_what_comes_later_is_a_link(given: Given, readers: Readers) -> None:
    """It leads to a page of its own, with the same filters, and from there back."""
    told(given, "parcel")
    page = readers(java_script_enabled=False).read("/performance?agent=parcel")
    page.get_by_role("link", name="Show slowest turns").click()
    assert page.url.endswith("/performance/slowest?agent=parcel")
    expect(page.locator("[data-table=slowest] tbody tr")).to_have_count(4)
    page.get_by_role("link", name="Performance").last.click()
    assert page.url.endswith("/performance?agent=parcel")


def test_what_was_open_in_a_later_panel_stays_open(given: Given, reader: Reader) -> None:
    """A refresh brings new figures, and the opened table below a chart is open still."""
    told(given, "parcel")
    page = reader.page
    page.clock.install()
    reader.read("/outcomes")
    page.locator("[data-chart=confidence] summary").click()
    given.rows.clear()
    given.turn("fresh", ago(30), confidence=0.95)
    given.save()
    page.clock.fast_forward(31_000)
    expect(page.locator("[data-chart=confidence] tbody tr").last).to_contain_text("0.9 to 1.001")
    expect(page.locator("[data-chart=confidence] details")).to_have_attribute("open", "")


def test_cost_is_told_by_what_it_was_spent_on_and_at_another_model(
    given: Given, reader: Reader
) -> None:
    """A row leads to its conversations; a model named below the table is priced beside the rest."""
    told(given, "parcel")
    page = reader.read("/costs")
    intent = page.locator("[data-table=cost-intent] tbody tr").first
    assert " ".join(intent.inner_text().split()).startswith("parcel $0.50 no data no data 2 $0.25")
    expect(page.locator("[data-table=dearest] tbody tr")).to_have_count(2)
    page.get_by_label("Another model, by its name").fill("gpt-4o-mini")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.locator("[data-table=same-turns] tbody tr")).to_have_count(2)
    row = page.locator("[data-table=same-turns] tbody tr", has_text="gpt-4o-mini")
    # 20 input tokens at $0.15 and 10 output tokens at $0.60 a million
    expect(row).to_contain_text("$0.0000090")
    page.locator("[data-table=cost-intent] a").first.click()
    page.wait_for_url("**/costs?**intent=parcel**")
    page.locator("[data-table=cost-intent] td a").first.click()
    page.wait_for_url("**/turns?intent=parcel&sort=-cost")


def test_budgets_stand_on_the_page_of_costs(
    given: Given, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was spent, what is left or over, and whose they are; without budgets no table."""
    given.turn("c", ago(1), agent="support", cost="3")
    given.save()
    page = reader.read("/costs")
    assert page.locator("[data-table=budgets]").count() == 0
    budgets = (
        Budget(name="Month", usd=Decimal(12), period="month", tenant=given.tenant),
        Budget(name="Short", usd=Decimal(1), period="month", agent="support", tenant=given.tenant),
        Budget(name="Not mine", usd=Decimal(1), period="day"),
    )
    settings = ServerSettings(port=0, budgets=budgets)
    # Of a state's own names: what is set on the object itself is deleted in the end
    monkeypatch.setitem(reader.site.app.state._state, "settings", settings)
    page = reader.read("/costs")
    rows = page.locator("[data-table=budgets] tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.nth(0)).to_contain_text("Month")
    expect(rows.nth(0)).to_contain_text("$9.00")
    expect(rows.nth(1)).to_contain_text(f"agent support of tenant {given.tenant}")
    expect(rows.nth(1)).to_contain_text("$2.00 over")
