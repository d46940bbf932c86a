"""What costs how much, worked out by hand on two days."""

from __future__ import annotations

from decimal import Decimal

import pytest

from otel_chat.pricing import PriceTable
from otel_chat.server.figures.filters import Filters
from otel_chat.server.prices import PriceList, ServerPrices
from otel_chat.server.questions.costs import By, CostPart, costs, same_turns
from tests.server.given import DAY, Given

NONE = Filters()
YESTERDAY = -86_400
HOUSE = PriceList(
    "house",
    PriceTable(
        {
            "large": {"input": 2, "output": 8},
            "small": {"input": 1, "output": 2, "cache_read": "0.1"},
            "tiered": {"input": 1, "output": 1, "tiers": {"1500": {"input": 3, "output": 3}}},
        }
    ),
)
PRICES = ServerPrices([HOUSE], published=False)


@pytest.fixture
def two_days(given: Given) -> Given:
    """Today a, resolved at $0.75 in two turns, and b, failed at $1; yesterday c at $0.25."""
    large = {"agent": "one", "channel": "web", "response_model": "large", "agent_version": "2"}
    given.turn("a", 0, intent="pay", cost="0.5", input_tokens=1000, cache_read_tokens=400,
               output_tokens=100, **large)  # fmt: skip
    given.turn("a", 10, intent="bye", cost="0.25", input_tokens=1000, output_tokens=100, **large)
    given.turn("b", 20, intent="pay", cost="1", status="error", input_tokens=2000,
               output_tokens=0, request_model="tiered")  # fmt: skip
    given.turn("c", YESTERDAY, intent="pay", cost="0.25", **large)
    given.turn("d", 30, intent="free")
    given.save()
    return given


def told(parts: list[CostPart]) -> list[tuple[str, Decimal | None, Decimal | None]]:
    return [(part.name, part.cost, part.previous) for part in parts]


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("intent", [("pay", "1.5", "0.25"), ("bye", "0.25", None), ("free", None, None)]),
        ("model", [("tiered", "1", None), ("large", "0.75", "0.25"), ("", None, None)]),
        ("agent", [("", "1", None), ("one", "0.75", "0.25")]),
        ("version", [("", "1", None), ("2", "0.75", "0.25")]),
        ("channel", [("", "1", None), ("web", "0.75", "0.25")]),
        ("outcome", [("failed", "1", None), ("resolved", "0.75", "0.25")]),
    ],
)
def test_cost_is_told_by_what_it_was_spent_on(
    two_days: Given, by: By, expected: list[tuple[str, str | None, str | None]]
) -> None:
    """The dearest first, beside the day before; nothing priced is null and comes last."""
    found = costs(two_days.store, two_days.scope, DAY, NONE)
    money = [
        (name, *(None if one is None else Decimal(one) for one in amounts))
        for name, *amounts in expected
    ]
    assert told(found.by[by]) == money
    assert sum(part.share or 0 for part in found.by[by]) == pytest.approx(1)


def test_resolved_conversations_cached_tokens_and_the_dearest(two_days: Given) -> None:
    """Two resolved today cost $0.75, one of them nothing; 400 of 4,000 input tokens were cached."""
    found = costs(two_days.store, two_days.scope, DAY, NONE)
    assert (found.resolved, found.previous_resolved) == (Decimal("0.375"), Decimal("0.25"))
    assert found.cached == 400 / 4000
    dearest = [(one.conversation_id, one.cost, one.outcome) for one in found.dearest]
    assert dearest == [("b", Decimal(1), "failed"), ("a", Decimal("0.75"), "resolved")]


def test_the_same_turns_at_other_models(two_days: Given) -> None:
    """3,600 plain, 400 cached and 200 output tokens; the tier holds for the turn of 2,000 alone."""
    found = same_turns(two_days.store, two_days.scope, DAY, NONE, PRICES, ["unheard of"])
    assert (found.turns, found.priced_turns, found.cost) == (3, 3, Decimal("1.75"))
    expected = [
        ("small", (3600 * 1 + 400 * Decimal("0.1") + 200 * 2) / 10**6),
        ("tiered", Decimal(2000 * 1 + 200 * 1 + 2000 * 3) / 10**6),
        ("large", Decimal(4000 * 2 + 200 * 8) / 10**6),
        ("unheard of", None),
    ]
    assert [(one.model, one.cost) for one in found.items] == expected
    small = found.items[0]
    assert small.cost is not None
    assert small.difference == small.cost - Decimal("1.75")


def test_nothing_costs_nothing(given: Given) -> None:
    """Without turns there are no parts and no models but those of the lists, without a cost."""
    found = costs(given.store, given.scope, DAY, NONE)
    assert set(found.by) == {"model", "intent", "agent", "version", "channel", "outcome"}
    assert not any(found.by.values())
    assert (found.resolved, found.cached, found.dearest) == (None, None, [])
    same = same_turns(given.store, given.scope, DAY, NONE, PRICES)
    assert (same.cost, {one.cost for one in same.items}) == (None, {None})


def spend(given: Given, day: float, costs: list[str], intent: str = "pay") -> None:
    """Resolved conversations of a day, each of which cost so much in two turns."""
    for number, cost in enumerate(costs):
        name = f"{intent}-{day}-{number}"
        given.turn(name, day + 60 * number, intent=intent, cost=cost)
        given.turn(name, day + 60 * number + 10, intent=intent, cost="0")


def test_a_change_of_cost_is_told_from_chance(given: Given) -> None:
    """Within it where almost the same amounts came; beyond it where each is threefold.

    With a few conversations on a side nothing is said.
    """
    amounts = [f"0.{1 + number % 7}" for number in range(40)]
    spend(given, YESTERDAY, amounts)
    spend(given, 0, amounts[3:])
    spend(given, YESTERDAY, amounts, "dear")
    spend(given, 0, [str(3 * Decimal(one)) for one in amounts], "dear")
    spend(given, YESTERDAY, amounts[:10], "few")
    spend(given, 0, amounts[:12], "few")
    given.save()
    found = costs(given.store, given.scope, DAY, NONE)
    assert {part.name: part.clear for part in found.by["intent"]} == {
        "pay": False, "dear": True, "few": None,
    }  # fmt: skip


def test_what_has_no_price_has_no_mean(given: Given) -> None:
    """Of conversations without a priced turn nothing is told: they are not known to be free."""
    for number in range(3):
        given.turn(f"unpriced-{number}", 60 * number, input_tokens=5, cost_source="unpriced")
    given.save()
    found = costs(given.store, given.scope, DAY, NONE)
    for one in (found.per_conversation, found.per_resolved):
        assert (one.value, one.low, one.high, one.previous, one.clear) == (None,) * 5
    assert found.resolved is None


def test_the_cost_of_a_conversation_has_an_interval(given: Given) -> None:
    """Student's, of conversations, whole; Welch's test tells whether it changed."""
    spend(given, YESTERDAY, ["0.2", "0.4"] * 15)
    spend(given, 0, ["0.5", "0.7"] * 15)
    given.save()
    mean = costs(given.store, given.scope, DAY, NONE).per_resolved
    assert (mean.value, mean.previous, mean.clear) == (Decimal("0.6"), Decimal("0.3"), True)
    half = 2.0452296 * (0.01 * 30 / 29 / 30) ** 0.5
    assert (mean.low, mean.high) == (pytest.approx(0.6 - half), pytest.approx(0.6 + half))
    few = costs(given.store, given.scope, DAY, Filters(intent=("nothing",))).per_conversation
    assert few.model_dump() == {
        "value": None, "low": None, "high": None, "previous": None, "clear": None,
    }  # fmt: skip
