"""What people come for, done in a real browser from the overview, with the clicks counted."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.server.pages import scenes
from tests.server.pages.test_browser import ago

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

    from tests.server.given import Given
    from tests.server.pages.conftest import Reader

pytestmark = pytest.mark.browser


@dataclass
class Hand:
    """What clicks, and counts.

    Args:
        clicks: How often it did.
    """

    clicks: int = 0

    def click(self, there: Locator) -> None:
        """One more."""
        there.click()
        self.clicks += 1


def arrived(page: Page) -> None:
    """Everything that the page fetches later is there."""
    expect(page.locator("[aria-busy=true]")).to_have_count(0)


def test_why_did_containment_fall(given: Given, reader: Reader) -> None:
    """From the fall to the intent, to those of it that reached a human, to what failed in one."""
    scenes.fallen_containment(given, datetime.now(UTC))
    hand = Hand()
    page = reader.read("/?window=7d")
    expect(page.locator(".saying")).to_contain_text("Containment")
    row = page.locator("#causes tbody tr", has_text="refund").first
    expect(row.locator("td").first).to_have_class(re.compile("is-bad"))
    hand.click(row.get_by_role("link").first)
    page.wait_for_url("**/conversations?**")
    rows = page.locator("#rows tr")
    expect(rows).to_have_count(10)
    expect(rows.first).to_contain_text("asked for a human")
    hand.click(rows.first.locator(".said-first"))
    page.wait_for_url("**/conversations/return-**")
    expect(page.locator("main")).to_contain_text("I am bringing in a colleague")
    assert hand.clicks <= 4


def test_what_costs_most_and_what_a_cheaper_model_saves(given: Given, reader: Reader) -> None:
    """The dearest intent stands first; its name narrows the page, other models' prices to it."""
    for number in range(6):
        given.turn(
            f"r-{number}", ago(3600 * number + 60), intent="refund", response_model="gpt-4o",
            input_tokens=20_000, output_tokens=1_000, cost="0.06",
        )  # fmt: skip
        given.turn(
            f"g-{number}", ago(3600 * number + 90), intent="greet", response_model="gpt-4o-mini",
            input_tokens=1_000, output_tokens=100, cost="0.00021",
        )  # fmt: skip
    given.save()
    hand = Hand()
    page = reader.read("/?window=24h")
    hand.click(page.locator(".nav").get_by_role("link", name="Cost and savings"))
    page.wait_for_url("**/costs?**")
    dearest = page.locator("[data-table=cost-intent] tbody tr").first
    expect(dearest).to_contain_text("refund")
    expect(dearest).to_contain_text("$0.36")
    hand.click(dearest.get_by_role("link", name="refund", exact=True))
    page.wait_for_url("**intent=refund**")
    cheaper = page.locator("[data-table=same-turns] tr", has_text="gpt-4o-mini")
    # 6 x (20,000 x 0.15 + 1,000 x 0.60) / 1e6 = 0.0216 instead of 0.36
    expect(cheaper).to_contain_text("$0.022")
    expect(cheaper.locator(".is-good")).to_contain_text("0.34")
    assert hand.clicks <= 3


def test_what_the_bot_cannot_answer_and_since_when(given: Given, reader: Reader) -> None:
    """The first panel of Intents: the question in the users' words, and since when it is asked."""
    for number in range(8):
        given.turn(
            f"old-{number}", ago(86_400 * 9 + 600 * number), intent="", fallback=True,
            confidence=0.2, input_messages=scenes.content("user", "Where can I park at the store?"),
        )  # fmt: skip
    for number, asked in enumerate(("Do you ship to Iceland?", "Do you ship to Iceland") * 4):
        given.turn(
            f"new-{number}", ago(86_400 * 2 - 600 * number), intent="", fallback=True,
            confidence=0.2, input_messages=scenes.content("user", asked),
        )  # fmt: skip
    given.save()
    hand = Hand()
    page = reader.read("/?window=7d")
    hand.click(page.locator(".nav").get_by_role("link", name="Intents"))
    page.wait_for_url("**/intents?**")
    arrived(page)
    theme = page.locator("#later-unanswered tbody tr").first
    expect(theme).to_contain_text("Do you ship to Iceland")
    expect(theme).to_contain_text("new since")
    assert hand.clicks <= 2
