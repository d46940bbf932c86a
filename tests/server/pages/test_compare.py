"""The page of comparison, in a real browser: who is compared, and what is said of them."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.server.given import Given
from tests.server.pages.conftest import Reader, Readers
from tests.server.pages.test_browser import HOSTILE, WIDE_ENOUGH, ago

pytestmark = pytest.mark.browser


def two_models(given: Given, good: str = "good", bad: str = "bad") -> None:
    """Forty conversations with each of two models, of which the second fails half the time."""
    for number in range(80):
        name = good if number % 2 else bad
        given.turn(
            f"c-{number}", ago(9000 + number), 1.0 if name == good else 3.0, response_model=name,
            status="error" if name == bad and number % 4 else "ok", agent=name, variant="one",
        )  # fmt: skip
    given.save()


def row(page: Page, table: str, figure: str) -> list[str]:
    """What a row of a table says, blanks made plain."""
    found = page.locator(f"[data-table={table}] tbody tr").filter(has_text=figure)
    cells = found.locator("th, td").all_inner_texts()
    return [" ".join(cell.replace("\u202f", " ").split()) for cell in cells]


def test_two_models_are_compared_with_intervals(given: Given, reader: Reader) -> None:
    """Sample sizes, both figures with what they may be, the difference, and a verdict."""
    two_models(given)
    page = reader.read("/compare?by=model&a=bad&b=good")
    expect(page.locator("h1 + .lead")).to_contain_text("really differ?")
    expect(page.locator("section[aria-labelledby=card-a] .figure")).to_have_text("40")
    expect(page.locator("section[aria-labelledby=card-b] h2")).to_have_text("B: good")
    errors = row(page, "shares", "Errors")
    assert errors[1] == "50 % 35 % to 65 % \u00b7 20 of 40"
    assert errors[2] == "0 % 0 % to 8.8 % \u00b7 0 of 40"
    assert errors[4].startswith("+50 pts")
    assert errors[5] == "A is worse"
    assert row(page, "times", "Response time, median")[4:] == ["+2.0 s", "A is worse"]
    assert row(page, "shares", "CSAT")[1:3] == ["no data of 0", "no data of 0"]
    page.locator("section[aria-labelledby=table-shares] .meaning").click()
    expect(page.locator("#meaning-table-shares")).to_contain_text("confidence of 95 %")


def test_what_is_compared_stands_in_the_address(given: Given, reader: Reader) -> None:
    """From periods to models by a click, to other groups by a choice; a reload shows the same."""
    two_models(given)
    page = reader.read("/compare?window=30d")
    expect(page.locator("section[aria-labelledby=card-a] h2")).to_have_text("A: this window")
    page.get_by_role("navigation", name="Compare by").get_by_role("link", name="Model").click()
    page.wait_for_url("**/compare?window=30d&by=model")
    page.locator("select[name=a]").select_option("good")
    page.locator("select[name=b]").select_option("bad")
    page.wait_for_url("**/compare?window=30d&by=model&a=good&b=bad")
    page.reload()
    expect(page.locator("section[aria-labelledby=card-a] h2")).to_have_text("A: good")
    assert row(page, "shares", "Errors")[5] == "A is better"


def test_any_two_periods_can_be_compared(given: Given, reader: Reader) -> None:
    """The second one by its bounds, typed in UTC."""
    given.turn("then", 0)
    given.turn("now", ago(600))
    given.save()
    page = reader.read("/compare?window=24h")
    page.locator("[name=from_b]").fill("2026-11-10T00:00")
    page.locator("[name=to_b]").fill("2026-11-11T00:00")
    page.get_by_role("button", name="Compare").click()
    page.wait_for_url("**from_b=2026-11-10T00%3A00%3A00Z&to_b=2026-11-11T00%3A00%3A00Z")
    second = page.locator("section[aria-labelledby=card-b]")
    expect(second.locator(".figure")).to_have_text("1")
    expect(second.locator(".sample")).to_contain_text("10 Nov 2026, 00:00")
    page.get_by_role("link", name="The period before").click()
    expect(second.locator(".figure")).to_have_text("0")


def test_one_group_alone_says_so(given: Given, reader: Reader) -> None:
    """There is nothing to compare: a sentence, and the way to other groups, and no table."""
    two_models(given)
    page = reader.read("/compare?by=variant")
    expect(page.locator(".notice")).to_have_text(
        "There is only one variant in this window, one: nothing to compare it with."
    )
    assert page.locator("table").count() == 0
    page = reader.read("/compare?by=channel&agent=nobody")
    expect(page.locator(".notice")).to_contain_text("No turn of this window names its channel")


@pytest.mark.parametrize("query", ["by=colour", "from_b=yesterday&to_b=2026-11-11T00:00:00Z"])
def test_what_cannot_be_compared_is_explained(reader: Reader, query: str) -> None:
    """A page that says which part of the address is wrong."""
    page = reader.read(f"/compare?{query}")
    expect(page.locator(".empty h1")).to_contain_text("asks for something")
    expect(page.locator(".empty")).to_contain_text(query.split("=", maxsplit=1)[0])
    reader.faults.clear()


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_groups_are_shown_and_nothing_more(
    given: Given, readers: Readers, text: str
) -> None:
    """Whatever agents are called, on a desk and on a phone."""
    two_models(given, text.replace("\u0000", ""), "plain")
    page = readers().read("/compare?by=agent")
    expect(page.locator("[data-table=shares] tbody tr")).to_have_count(9)
    assert page.evaluate("window.pwned") is None
    for width in (390, 1440):
        page.set_viewport_size({"width": width, "height": 1000})
        assert page.evaluate(WIDE_ENOUGH)


def test_a_sample_ratio_that_was_not_planned_is_warned_of(given: Given, reader: Reader) -> None:
    """A sentence before every figure; with the shares that were planned it is gone."""
    for number in range(100):
        given.turn(f"c-{number}", ago(9000 + number), variant="a" if number < 70 else "b")
    given.save()
    page = reader.read("/compare?by=variant&a=a&b=b")
    expect(page.locator(".notice")).to_contain_text(
        "Sample ratio mismatch: A has 70 of 100 users (70\u202f%), planned were 50\u202f%"
    )
    planned = page.get_by_label("Planned share of A, %")
    expect(planned).to_have_value("50")
    planned.fill("70")
    planned.press("Enter")
    page.wait_for_url("**planned=70")
    expect(page.locator("section[aria-labelledby=card-a] .figure")).to_have_text("70")
    assert page.locator(".notice").count() == 0
