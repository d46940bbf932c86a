"""The pages of figures, in a real browser: what they show, lead to, save and are spared."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.server.given import Given
from tests.server.pages import scenes
from tests.server.pages.conftest import Reader, Readers
from tests.server.pages.test_browser import HOSTILE, WIDE_ENOUGH, ago

pytestmark = pytest.mark.browser

PATHS = ("/intents", "/journeys", "/costs")


def told(given: Given, marker: str) -> None:
    """Two conversations with everything that these pages name, called after the marker."""
    for number in (1, 2):
        start = ago(7200 * number)
        name = f"{marker} {number}"
        given.turn(
            name, start, agent=marker, intent=marker, confidence=0.4, response_model=marker,
            input_tokens=10, output_tokens=5, cost="0.25", sentiment=marker, handoff=True,
            handoff_reason=marker,
        )  # fmt: skip
        given.turn(name, start + 20, agent=marker, intent=f"{marker}2", status="error")
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
    tables = page.locator("table.figures")
    assert tables.count() >= 2
    for number in range(tables.count()):
        assert tables.nth(number).locator("tbody tr").count() >= 1
    meaning = page.locator(".card .meaning").first
    meaning.click()
    expect(page.locator(".popover:popover-open dd").first).to_be_visible()


@pytest.mark.parametrize("path", PATHS)
def test_a_page_of_figures_without_data_says_so(reader: Reader, path: str) -> None:
    """No zeros, no empty tables: a sentence and a way on."""
    page = reader.read(path)
    expect(page.locator(".empty h2")).to_have_text("Nothing in this window")
    assert page.locator("table").count() == 0


def test_intents_are_counted_by_hand(given: Given, reader: Reader) -> None:
    """Two turns of `parcel`, both handed over, so none succeeded; both unsure."""
    told(given, "parcel")
    page = reader.read("/intents")
    cells = page.locator("[data-table=intents] tbody tr").first.locator("th, td").all_inner_texts()
    shown = [cell.replace("\u202f", " ") for cell in cells]
    assert shown[:6] == ["parcel", "2", "0 %", "2", "0.40", "2"]


def test_an_intent_leads_to_its_conversations(given: Given, reader: Reader) -> None:
    """One click; window and filters travel along."""
    told(given, "parcel")
    page = reader.read("/intents?window=30d&agent=parcel")
    page.locator("[data-table=intents] a", has_text="parcel2").click()
    page.wait_for_url("**/conversations?*")
    assert page.url.endswith("/conversations?window=30d&agent=parcel&intent=parcel2")
    assert page.locator("tbody tr").count() == 2


def test_an_incomplete_conversation_is_one_click_away(given: Given, reader: Reader) -> None:
    """From the journeys to the conversation that nobody finished."""
    told(given, "parcel")
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
    assert lines[0].startswith("Intent,Turns,Success,Failed")
    assert lines[1].startswith('"\'=cmd|""x""!A1",2,0 %,2')


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names_are_shown_and_nothing_more(
    given: Given, reader: Reader, path: str, text: str
) -> None:
    """Whatever intents, topics, models and workflows are called."""
    told(given, text.replace("\u0000", ""))
    page = reader.read(path)
    assert page.locator("table.figures").count() >= 2
    assert page.evaluate("window.pwned") is None
    assert page.evaluate(WIDE_ENOUGH)


@pytest.mark.parametrize("path", PATHS)
def test_a_phone_shows_every_figure(given: Given, readers: Readers, path: str) -> None:
    """The page itself never scrolls sideways; its tables do."""
    scenes.busy_week(given, datetime.now(UTC), conversations=30)
    page = readers(390, 844).read(path)
    expect(page.locator(".card").first).to_be_visible()
    assert page.evaluate(WIDE_ENOUGH)
