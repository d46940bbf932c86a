"""The page of what is to come, in a real browser."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import expect

from tests.server.given import NOON, Given
from tests.server.pages.conftest import Reader

pytestmark = pytest.mark.browser

DAY = 86_400


def weeks(given: Given, many: int) -> None:
    """So many weeks up to today: 30 conversations a day, of which every sixth is handed off."""
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    for back in range(1, 7 * many + 2):
        start = (midnight - timedelta(days=back) - NOON).total_seconds()
        for number in range(30):
            given.turn(
                f"{back} {number}", start + 8 * 3600 + number * 1200, agent="support",
                cost="0.02", input_tokens=100, handoff=number % 6 == 0,
            )  # fmt: skip
    given.save()


def test_the_next_week_is_shown_with_its_error(given: Given, reader: Reader) -> None:
    """Cards, days, hours and the error in words; and the time zone can be chosen."""
    weeks(given, 5)
    page = reader.read("/forecasts")
    card = page.locator("section[aria-labelledby=card-conversations]")
    expect(card).to_contain_text("210")
    expect(card).to_contain_text("was off by 0.0 % on average")
    expect(page.locator("[data-table=days] tbody tr")).to_have_count(7)
    expect(page.locator("[data-table=days] tbody tr").first).to_contain_text("30")
    expect(page.locator("[data-table=errors] tbody tr")).to_have_count(6)
    expect(page.locator("[data-table=handoffs-by-hour] tbody tr")).to_have_count(7)
    expect(page.locator("[data-table=agents] tbody tr")).to_contain_text("support")
    page.select_option("select[name=timezone]", "Europe/Berlin")
    page.wait_for_url("**timezone=Europe*")
    expect(page.locator("[data-table=handoffs-by-hour] caption")).to_contain_text("Europe/Berlin")


def test_with_too_few_days_the_page_says_so(given: Given, reader: Reader) -> None:
    """And shows no figure that nobody can know."""
    weeks(given, 1)
    page = reader.read("/forecasts")
    expect(page.locator(".notice")).to_contain_text("Not enough data: 7 of 14 whole days.")
    expect(page.locator(".card")).to_have_count(0)
