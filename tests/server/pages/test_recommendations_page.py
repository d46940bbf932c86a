"""The page of recommendations, in a real browser."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from playwright.sync_api import expect

from tests.server.given import NOON, Given
from tests.server.pages.conftest import Reader

pytestmark = pytest.mark.browser


def chats(given: Given, model: str, many: int, cost: str, *, failed: int = 10) -> None:
    """So many conversations of a turn with a model in the last days; of a hundred so many fail."""
    now = (datetime.now(UTC) - NOON).total_seconds()
    for number in range(many):
        given.turn(
            f"{model} {number}", now - 7200 - 600 * number, agent="support", cost=cost,
            response_model=model, intent="cancel" if number % 2 else "greet",
            status="error" if number % 2 and number % 100 < failed else "ok",
        )  # fmt: skip


def test_a_cheaper_model_and_a_loss_are_shown_with_their_arithmetic(
    given: Given, reader: Reader
) -> None:
    """What to take and what it saves; another margin by a click; an intent that loses."""
    chats(given, "large", 700, "0.02", failed=30)
    chats(given, "small", 400, "0.005", failed=30)
    given.save()
    page = reader.read("/recommendations?resolution_margin=0.1&satisfaction_margin=0.2")
    row = page.locator("[data-table=models-0] tbody tr")
    expect(row).to_have_count(1)
    expect(row).to_contain_text("take")
    expect(row).to_contain_text("Nothing tells of CSAT.")
    expect(page.locator("section[aria-labelledby=table-models-0]")).to_contain_text(
        "Traffic was not randomised"
    )
    loss = page.locator("[data-table=fixes] tbody tr").first
    expect(loss).to_contain_text("cancel")
    expect(loss).to_contain_text("points of all 1,100")
    page.locator("[data-table=margins] a", has_text="1").first.click()
    page.wait_for_url("**resolution_margin=0.01*")
    expect(page.locator("[data-table=models-0] tbody tr")).to_contain_text("not enough data")


def test_a_margin_that_is_no_number_is_refused_in_words(given: Given, reader: Reader) -> None:
    """The address takes any margin, and says what is wrong with this one."""
    chats(given, "large", 3, "0.02")
    given.save()
    answer = reader.page.request.get(f"{reader.site.address}/recommendations?p95_margin=much")
    assert answer.status == 422
    assert "A margin is a number." in answer.text()
