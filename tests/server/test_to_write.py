"""What to write next: unanswered themes by how much containment they cost."""

from __future__ import annotations

import json

import pytest
from fastapi.testclient import TestClient

from otel_chat.errors import AccessError
from otel_chat.server.access import ANALYTICS_VIEW, Scope
from otel_chat.server.figures.filters import Filters
from otel_chat.server.questions.to_write import ToWrite, to_write
from tests.server.given import DAY, Given

GIFT = ("What is the balance of my gift card?", "gift card balance please")
PARKING = ("Is there parking at the store?", "where is the parking at the store")


def asked(given: Given, texts: tuple[str, ...], name: str, many: int, handed_off: int) -> None:
    """So many conversations that ask for it, of which some are handed off."""
    for number in range(many):
        text = texts[number % len(texts)]
        given.turn(
            f"{name}-{number}", number, fallback=True, agent="writing",
            input_messages=json.dumps([{"role": "user", "parts": [{"content": text}]}]),
        )  # fmt: skip
        given.turn(f"{name}-{number}", number + 5, handoff=number < handed_off, agent="writing")


def ask(given: Given) -> ToWrite:
    return to_write(given.store, given.scope, DAY, Filters())


@pytest.fixture
def three(given: Given) -> Given:
    """Gift cards lose 18 of 30, parking none of 25; of 100 that ask for neither 5 are lost."""
    asked(given, GIFT, "gift", 30, 18)
    asked(given, PARKING, "park", 25, 0)
    asked(given, ("Can I bring my dog?",), "dog", 3, 3)
    for number in range(100):
        given.turn(f"other-{number}", number, handoff=number < 5, agent="writing")
    given.save()
    return given


def test_a_theme_costs_what_all_others_are_contained_more(three: Given) -> None:
    """By hand: 12 of 30 against 120 of 128: (0.9375 - 0.4) × 30 = 16.125 handoffs."""
    found = ask(three)
    (gift,) = found.items
    assert (found.settled, found.contained, found.free, found.too_few) == (158, 132, 1, 1)
    assert gift.label in GIFT
    assert (gift.turns, gift.conversations, gift.contained) == (30, 30, 12)
    assert (gift.others, gift.others_contained, gift.clear) == (128, 120, True)
    assert (gift.lost, gift.points) == pytest.approx((16.125, 16.125 / 158))
    assert gift.lost_low < 16.125 < gift.lost_high
    assert gift.said == (
        "12 of 30 conversations that asked for it were contained (40 %), of all others 94 %:"
        " (94 % - 40 %) × 30 = 16 handoffs, 10.2 points of all 158."
    )


def test_those_to_read_were_handed_off(three: Given) -> None:
    """The newest three of the eighteen, not those that went well after them."""
    (gift,) = ask(three).items
    assert [one.conversation_id for one in gift.read] == ["gift-17", "gift-16", "gift-15"]


def test_chance_is_not_called_a_cost(given: Given) -> None:
    """Two handoffs of 25 beside one of 25 in the others may be chance: it is told as that."""
    asked(given, GIFT, "gift", 25, 2)
    for number in range(25):
        given.turn(f"other-{number}", number, handoff=number < 1)
    given.save()
    (gift,) = ask(given).items
    assert not gift.clear
    assert gift.lost_low < 0 < gift.lost


def test_nothing_unanswered_is_nothing_to_write(given: Given) -> None:
    """Every message was understood."""
    given.turn("well", 0, intent="hello")
    given.save()
    assert ask(given).items == []


def test_who_may_not_read_texts_is_refused(three: Given) -> None:
    """Themes are made of what people wrote."""
    scope = Scope(frozenset({three.tenant}), frozenset({ANALYTICS_VIEW}))
    with pytest.raises(AccessError):
        to_write(three.store, scope, DAY, Filters())


@pytest.mark.usefixtures("three")
def test_api_and_page_tell_it_with_a_way_to_read(client: TestClient) -> None:
    """The arithmetic, and a conversation that was handed off."""
    window = {"from": DAY.start.isoformat(), "to": DAY.end.isoformat(), "agent": "writing"}
    answer = client.get("/api/v1/recommendations/questions", params=window).json()
    gift = answer["items"][0]
    assert "conversations that asked for it were contained" in gift["said"]
    page = client.get("/recommendations", params=window).text
    assert "What to write next" in page
    assert gift["label"].replace("?", "") in page
    assert f"/conversations/{gift['read'][0]['conversation_id']}" in page
    assert f"tenant={gift['read'][0]['tenant']}" in page
