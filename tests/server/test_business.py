"""Containment, resolution, handoffs, cost and savings, worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from otel_chat.errors import QueryError
from otel_chat.server.figures.filters import Filters
from otel_chat.server.questions.business import Business, business
from otel_chat.server.settings import ServerSettings
from tests.server.given import DAY, Given, at

if TYPE_CHECKING:
    import httpx
    from fastapi.testclient import TestClient


@pytest.fixture
def six(given: Given) -> Given:
    """Confirmed, assumed, abandoned, handed off, failed, and one still open at 13:30."""
    given.turn("confirmed", 0, cost="0.5")
    given.feedback(5, "confirmed", 5)
    given.turn("assumed", 0, cost="0.25")
    given.turn("abandoned", 0, fallback=True, cost="0.125")
    given.turn("handed", 0, handoff=True, handoff_reason="angry", cost="1")
    given.event("handoff.requested", "handed", 1, reason="angry")
    given.event("handoff.accepted", "handed", 31, wait=30.0)
    given.turn("failed", 0, status="error", cost_source="unpriced")
    given.turn("open", 5000, cost="8")
    given.save()
    return given


def ask(given: Given, *, price: str | None = "5.0", filters: Filters | None = None) -> Business:
    window = replace(DAY, now=at(5400))
    known = None if price is None else Decimal(price)
    return business(given.store, given.scope, window, filters or Filters(), known)


def test_containment_counts_settled_conversations_without_a_human(six: Given) -> None:
    """4 of 5 settled: the abandoned and the failed one are contained, the open one unsettled."""
    found = ask(six)
    assert (found.conversations, found.containment.settled, found.containment.count) == (6, 5, 4)
    assert found.containment.rate == 0.8


def test_resolution_has_both_bounds(six: Given) -> None:
    """1 confirmed of 5 settled; 2 with the assumed one."""
    found = ask(six).resolution
    assert (found.low, found.high, found.confirmed, found.assumed) == (0.2, 0.4, 1, 1)


def test_handoffs_by_reason_with_waits(six: Given) -> None:
    """Turn and event of one handoff are one conversation; rate 1 of 5 settled; 30 s of waiting."""
    found = ask(six).handoffs
    assert (found.conversations, found.rate) == (1, 1 / 5)
    assert [one.model_dump() for one in found.reasons] == [{"reason": "angry", "conversations": 1}]
    assert (found.wait.mean, found.wait.p99, found.wait.count) == (30.0, 30.0, 1)


def test_cost_covers_all_turns_and_savings_the_settled(six: Given) -> None:
    """9.875 in all; 1.875 for the settled, 0.375 each.

    Gross 4 x 5 = 20; high 2 x 5 - 1.875, of the resolved; low 1 x 5 - 1.875.
    """
    found = ask(six)
    assert found.cost.amount == Decimal("9.875")
    assert (found.cost.priced_turns, found.cost.unpriced_turns) == (5, 1)
    assert found.cost_per_conversation == Decimal("0.375")
    assert found.savings.model_cost == Decimal("1.875")
    assert found.savings.gross == Decimal(20)
    assert found.savings.high == Decimal("8.125")
    assert found.savings.low == Decimal("3.125")


def test_the_cost_of_a_human_interaction_is_the_callers(six: Given) -> None:
    """At 0.01 the bot costs more than it saves: savings may be negative."""
    found = ask(six, price="0.01").savings
    assert (found.gross, found.high, found.low) == (
        Decimal("0.04"), Decimal("-1.855"), Decimal("-1.865"),
    )  # fmt: skip


def test_nothing_is_saved_until_it_is_told_what_a_human_costs(six: Given) -> None:
    """Null, but for what the models cost."""
    found = ask(six, price=None).savings
    assert (found.cost_per_interaction, found.low, found.high, found.gross) == (None,) * 4
    assert found.model_cost == Decimal("1.875")


def test_the_setting_says_what_a_human_costs_where_nobody_asks_otherwise(
    client: TestClient, six: Given, monkeypatch: pytest.MonkeyPatch
) -> None:
    """5 of 6 contained, at 2.5 USD by the setting, at 1 USD by the question; a page asks for it."""
    tokens = client.app.state.access.tokens  # type: ignore[attr-defined]
    made = tokens.create("reader", scopes=["analytics:view"], tenants=[six.tenant])

    def told(path: str, **asked: str) -> httpx.Response:
        headers = {"authorization": f"Bearer {made.token}"}
        return client.get(path, params={"from": "2026-11-10", **asked}, headers=headers)

    assert told("/api/v1/business").json()["savings"]["gross"] is None
    assert "OTEL_CHAT_SERVER_COST_PER_INTERACTION" in told("/costs").text
    settings = ServerSettings(cost_per_interaction=Decimal("2.5"))
    monkeypatch.setitem(client.app.state._state, "settings", settings)  # type: ignore[attr-defined]
    assert told("/api/v1/business").json()["savings"]["gross"] == "12.5"
    asked = told("/api/v1/business", cost_per_interaction="1").json()["savings"]
    assert (asked["gross"], asked["cost_per_interaction"]) == ("5", "1")
    page = told("/costs").text
    assert "at $2.50 a human conversation" in page
    assert "OTEL_CHAT_SERVER_COST_PER_INTERACTION" not in page


@pytest.mark.parametrize("price", ["-0.01", "1000000.01"])
def test_an_absurd_cost_is_refused(six: Given, price: str) -> None:
    """Below 0, above a million."""
    with pytest.raises(QueryError) as raised:
        ask(six, price=price)
    assert raised.value.field == "cost_per_interaction"


def test_a_resolution_that_took_a_human_is_not_saved(given: Given) -> None:
    """Handed off and then resolved by the application's word: resolved, and not contained."""
    given.turn("a", handoff=True)
    given.event("conversation.end", "a", 5, outcome="resolved")
    given.save()
    found = ask(given)
    assert (found.resolution.low, found.containment.rate) == (1.0, 0.0)
    assert (found.savings.low, found.savings.high) == (Decimal(0), Decimal(0))


def test_without_settled_conversations_nothing_is_saved_or_lost(given: Given) -> None:
    """Null, with the sample size beside it."""
    found = ask(given)
    assert (found.savings.low, found.savings.high, found.savings.gross) == (None, None, None)
    assert (found.containment.rate, found.containment.settled) == (None, 0)
    assert (found.cost.amount, found.cost_per_conversation) == (None, None)


def test_filters_limit_every_part(six: Given) -> None:
    """Only the conversation that was handed off."""
    found = ask(six, filters=Filters(conversation_id="handed"))
    assert (found.conversations, found.containment.count) == (1, 0)
    assert found.cost.amount == Decimal(1)
    assert found.handoffs.wait.count == 1
    assert ask(six, filters=Filters(outcome="failed")).handoffs.reasons == []
