"""The page of segments in a real browser: written with a count, saved, chosen on another page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.server.pages.test_browser import ago

if TYPE_CHECKING:
    from tests.server.given import Given
    from tests.server.pages.conftest import Reader

pytestmark = pytest.mark.browser


def test_a_segment_is_written_with_a_count_and_chosen_on_another_page(
    given: Given, reader: Reader
) -> None:
    """The count follows the text, also where it cannot be read; the list shows what was counted."""
    for number, intent in enumerate(("refund", "refund", "greet")):
        given.turn(f"c{number}", ago(3600), intent=intent, agent="support")
    given.save()
    page = reader.read("/segments")
    page.get_by_label("Conditions, as").fill("intent = refund and not")
    expect(page.locator("#count")).to_contain_text("at character 24: here comes a field")
    page.get_by_label("Conditions, as").fill("intent = refund and not failed")
    expect(page.locator("#count")).to_have_text("2 of 3 conversations of the last 7 days")
    page.get_by_label("Name").fill("Refunds")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("[data-table=segments] tbody tr")).to_contain_text("Refunds")
    page.get_by_role("link", name="Conversations of Refunds").click()
    expect(page.locator("#rows > tr")).to_have_count(2)
    page.get_by_role("link", name="Overview", exact=True).click()
    expect(page.get_by_label("Segment", exact=True)).to_have_value("Refunds")
    page.goto(page.url.replace("segment=Refunds", "").rstrip("?&"))
    page.get_by_label("Segment", exact=True).select_option("Refunds")
    page.wait_for_url("**segment=Refunds**")
    page.goto(f"{reader.site.address}/segments")
    page.get_by_role("button", name="Forget Refunds").click()
    expect(page.get_by_text("None yet.")).to_be_visible()


def test_what_cannot_be_read_stays_in_the_form(given: Given, reader: Reader) -> None:
    """With the place and the fix, and nothing saved."""
    page = reader.read("/segments?where=intnt%20%3D%20refund&name=Mine")
    expect(page.locator("#count")).to_contain_text(
        "there is no field 'intnt'; did you mean intent?"
    )
    expect(page.get_by_label("Name")).to_have_value("Mine")
    assert given.tenant
