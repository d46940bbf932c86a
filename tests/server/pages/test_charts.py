"""Charts in a real browser: a click on a bar, a drag across, and choosing by keys."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect

from tests.server.pages.test_browser import ago

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.server.given import Given
    from tests.server.pages.conftest import Reader

pytestmark = pytest.mark.browser


@pytest.fixture
def some(given: Given) -> Given:
    """Two turns an hour, for the last twenty hours, by two agents."""
    for hour in range(1, 21):
        given.turn(f"a-{hour}", ago(3600 * hour + 60), agent="support")
        given.turn(f"b-{hour}", ago(3600 * hour + 90), agent="sales")
    given.save()
    return given


def bars(page: Page) -> tuple[list[int], list[float], float]:
    """Of the chart of turns: what each bar counts, where it is, and at which height to point."""
    figure = page.locator("[data-chart=turns]")
    canvas = figure.locator("canvas")
    expect(canvas).to_be_visible()
    canvas.scroll_into_view_if_needed()
    links = figure.locator("tbody th a")
    counts = [int(links.nth(n).get_attribute("data-counts") or 0) for n in range(links.count())]
    box = canvas.bounding_box()
    assert box
    scale = "Chart.getChart(document.querySelector('[data-chart=turns] canvas')).scales.x"
    at = [page.evaluate(f"{scale}.getPixelForValue({n})") for n in range(len(counts))]
    return counts, [box["x"] + one for one in at], box["y"] + box["height"] / 2


def listed(page: Page) -> int:
    """How many turns the page of turns says it has."""
    return int(page.locator("section[aria-labelledby=card-turns] .figure").inner_text())


def test_a_click_on_a_bar_opens_what_it_counts(some: Given, reader: Reader) -> None:
    """The turns of its time, so many as it is high."""
    page = reader.read("/?window=24h&agent=support")
    counts, across, down = bars(page)
    bar = next(number for number, count in enumerate(counts) if count and number)
    page.mouse.click(across[bar], down)
    page.wait_for_url("**/turns?**")
    assert "agent=support" in page.url
    assert listed(page) == counts[bar]


def test_a_drag_takes_a_range(some: Given, reader: Reader) -> None:
    """From the first bar to the last: the page's own time from then on, its filters kept."""
    page = reader.read("/?window=24h&agent=support")
    counts, across, down = bars(page)
    first, last = 4, 9
    page.mouse.move(across[first], down)
    page.mouse.down()
    page.mouse.move(across[last], down, steps=4)
    page.mouse.up()
    page.wait_for_url("**from=**")
    asked = parse_qs(urlsplit(page.url).query)
    assert urlsplit(page.url).path == "/"
    assert set(asked) == {"agent", "from", "to"}
    card = page.locator("section[aria-labelledby=card-turns] .figure a")
    assert int(card.get_attribute("data-counts") or 0) == sum(counts[first : last + 1])


def test_arrow_keys_in_a_field_choose_and_do_not_reload(some: Given, reader: Reader) -> None:
    """The page stays, with the field in focus, until Enter; a pointer applies at once."""
    page = reader.read("/?window=24h")
    page.evaluate("window.stayed = true")
    field = page.get_by_label("Agent", exact=True)
    field.focus()
    for _ in range(2):
        page.keyboard.press("ArrowDown")
    assert page.evaluate("window.stayed") is True
    expect(field).to_be_focused()
    expect(field).to_have_value("support")
    page.keyboard.press("Enter")
    page.wait_for_url("**agent=support**")
    assert page.evaluate("window.stayed") is None
