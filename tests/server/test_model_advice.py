"""Advice on models over a store: the cheapest that is not worse, or what is missing."""

from __future__ import annotations

import random
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from otel_chat.errors import QueryError
from otel_chat.server.figures.filters import Filters
from otel_chat.server.figures.window import Window
from otel_chat.server.questions.model_advice import AgentAdvice, Margins, model_advice
from tests.server.given import NOON, Given

WINDOW = Window(NOON - timedelta(days=10), NOON, NOON + timedelta(days=1))
TEN_DAYS = 10 * 86_400
WIDE = Margins(0.1, 0.2, 0.3)


def chats(
    given: Given,
    model: str,
    many: int,
    *,
    cost: str,
    failed: float = 0.1,
    seconds: float = 1.0,
    variant: str = "",
    intents: tuple[str, ...] = ("refund", "greet"),
    seed: int = 1,
) -> None:
    """So many conversations of two turns with a model, of which some end in an error."""
    rng = random.Random(seed)
    for number in range(many):
        name, start = f"{model} {number}", -rng.uniform(3600, 9 * 86_400) if number else -TEN_DAYS
        intent = intents[number % len(intents)]
        fails = number % 100 < 100 * failed
        for turn in range(2):
            given.turn(
                name, start + 30 * turn, seconds * rng.uniform(0.8, 1.2), agent="support",
                response_model=model, cost=cost, variant=variant, intent=intent,
                status="error" if fails and turn else "ok",
            )  # fmt: skip
        if number % 3 == 0:
            given.feedback(1 if number % 30 == 0 else 5, name, start + 40)


def ask(given: Given, margins: Margins = WIDE, **filters: Any) -> AgentAdvice:
    found = model_advice(given.store, given.scope, WINDOW, Filters(**filters), margins)
    (one,) = found.items
    return one


def test_the_cheapest_model_that_is_not_worse_is_named_with_what_it_saves(given: Given) -> None:
    """By hand: 600 conversations in 10 days, at $0.04 and at $0.01: 1,800 × $0.03 in 30 days."""
    chats(given, "large", 600, cost="0.02")
    chats(given, "middle", 300, cost="0.01")
    chats(given, "small", 300, cost="0.005")
    given.save()
    found = ask(given)
    assert (found.today, found.take, found.conversations) == ("large", "small", 600)
    assert found.cost == pytest.approx(0.04)
    small, middle = found.candidates
    assert (small.advice, middle.advice) == ("take", "not worse")
    assert (small.saving, small.saving_low, small.saving_high) == pytest.approx((54, 54, 54))
    assert {one.criterion: one.verdict for one in small.criteria} == dict.fromkeys(
        ("resolution", "satisfaction", "p95"), "not worse"
    )
    assert "saves $54.00 a month ($54.00 to $54.00)" in found.said
    assert "Traffic was not randomised" in found.said


def test_a_model_that_resolves_less_is_worse(given: Given) -> None:
    """However cheap it is; and a slower one as well."""
    chats(given, "large", 600, cost="0.02")
    chats(given, "tiny", 400, cost="0.001", failed=0.4)
    chats(given, "slow", 400, cost="0.002", seconds=3)
    given.save()
    found = ask(given)
    tiny, slow = found.candidates
    assert found.take is None
    assert (tiny.advice, slow.advice) == ("worse", "worse")
    assert tiny.said == "tiny is worse by more than the margin: resolution."
    assert slow.said == "slow is worse by more than the margin: the 95th percentile."


def test_where_data_is_missing_it_says_how_much(given: Given) -> None:
    """60 conversations are too few for three points; about so many more would tell."""
    chats(given, "large", 600, cost="0.02")
    chats(given, "small", 60, cost="0.005")
    given.save()
    (small,) = ask(given, Margins()).candidates
    assert small.advice == "not enough data"
    assert small.more > 500
    assert small.said == f"Not enough data: about {small.more:,} more conversations on model small."


def test_intents_that_a_model_has_not_answered_are_named(given: Given) -> None:
    """It greeted only, so half of today's conversations say nothing of it."""
    chats(given, "large", 600, cost="0.02")
    chats(given, "small", 300, cost="0.005", intents=("greet",))
    given.save()
    (small,) = ask(given).candidates
    assert (small.advice, small.covered) == ("not enough data", 0.5)
    assert "50 % of today's are covered" in small.said


def test_as_dear_a_model_is_not_advised(given: Given) -> None:
    """Not worse alone is no reason to change."""
    chats(given, "large", 600, cost="0.02")
    chats(given, "other", 300, cost="0.02")
    given.save()
    (other,) = ask(given).candidates
    assert (other.advice, other.said) == ("not cheaper", "other is not clearly cheaper.")


def test_models_that_an_experiment_dealt_are_said_to_be(given: Given) -> None:
    """Each model is of a variant of its own."""
    chats(given, "large", 600, cost="0.02", variant="a")
    chats(given, "small", 300, cost="0.005", variant="b")
    given.save()
    found = ask(given)
    assert found.randomised
    assert found.said.endswith("The models were dealt by an experiment's variants.")


def test_conversations_of_several_models_tell_of_none(given: Given) -> None:
    """They are counted, and left out; with one model there is nothing to compare."""
    chats(given, "large", 40, cost="0.02")
    for number in range(5):
        given.turn(f"both {number}", 0, response_model="large", agent="support")
        given.turn(f"both {number}", 60, response_model="small", agent="support")
    given.save()
    window = Window(WINDOW.start, NOON + timedelta(hours=1), WINDOW.now)
    (found,) = model_advice(given.store, given.scope, window, Filters()).items
    assert (found.conversations, found.mixed, found.candidates) == (40, 5, [])
    assert "there is nothing to compare" in found.said


def test_margins_have_their_range(client: TestClient) -> None:
    """None at all, or half of everything, is no margin."""
    with pytest.raises(QueryError):
        Margins(resolution=0)
    answer = client.get("/api/v1/recommendations/models", params={"p95_margin": "9"})
    assert (answer.status_code, answer.json()["error"]["field"]) == (422, "p95_margin")
    assert client.get("/api/v1/recommendations/models").status_code == 200


def test_the_commands_of_the_documentation_work(client: TestClient) -> None:
    """Each line of `curl` in docs/recommendations.md is answered."""
    page = (Path(__file__).parents[2] / "docs" / "recommendations.md").read_text()
    addresses = re.findall(r'^curl "localhost:8400(.+)"$', page, flags=re.MULTILINE)
    assert len(addresses) == 3
    assert [client.get(address).status_code for address in addresses] == [200] * 3
