"""What was not understood, grouped into themes, worked out by hand."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given as generated
from hypothesis import strategies as st

from otel_chat.errors import AccessError
from otel_chat.server.access import Scope
from otel_chat.server.figures.filters import Filters
from otel_chat.server.questions.unanswered import Themes, unanswered
from tests.examples import examples
from tests.server.given import DAY, Given, at

NONE = Filters()


def said(text: str) -> str:
    return json.dumps([{"role": "user", "parts": [{"type": "text", "content": text}]}])


def missed(given: Given, text: str, seconds: float = 0, conversation: str = "c") -> None:
    given.turn(conversation, seconds, fallback=True, input_messages=said(text))


def ask(given: Given) -> Themes:
    return unanswered(given.store, given.scope, DAY, NONE)


def test_messages_that_ask_the_same_are_one_theme(given: Given) -> None:
    """Three about a gift card, two about parking, one of its own; understood ones are left out."""
    missed(given, "What is the balance of my gift card?", 0, "a")
    missed(given, "gift card balance please", 60, "b")
    missed(given, "Show me the gift card balance", 120, "b")
    missed(given, "Is there parking at the store?", 180, "c")
    missed(given, "Where can I find parking near the store", 3700, "d")
    given.turn("e", 240, intent="joke", confidence=0.5, input_messages=said("Tell something funny"))
    given.turn("f", 300, intent="order", confidence=0.9, input_messages=said("gift card balance"))
    given.turn("g", 360, fallback=True)
    given.save()
    found = ask(given)
    assert (found.turns, found.with_text, found.grouped, found.others) == (7, 6, 6, 0)
    gift, parking, funny = found.items
    assert (gift.turns, gift.conversations, gift.fallbacks, gift.share) == (3, 2, 3, 0.5)
    assert {"gift", "card", "balance"} & set(gift.label.replace(",", "").split())
    assert gift.examples[0].message == "Show me the gift card balance"
    assert gift.examples[0].conversation_id == "b"
    assert (parking.turns, parking.conversations) == (2, 2)
    assert "parking" in parking.label
    assert {found.starts[n]: count for n, count in enumerate(parking.trend) if count} == {
        at(0): 1,
        at(3600): 1,
    }
    assert (funny.turns, funny.fallbacks) == (1, 0)
    assert [(one.name, one.turns) for one in funny.intents] == [("joke", 1)]
    assert sum(theme.share or 0 for theme in found.items) == pytest.approx(1)


def test_the_same_words_count_once_as_an_example(given: Given) -> None:
    """Case, numbers and blanks make no other question."""
    for number, text in enumerate(("Order 4711?", "order  4712?", "ORDER 1?")):
        missed(given, text, number)
    given.save()
    (theme,) = ask(given).items
    assert (theme.turns, len(theme.examples)) == (3, 1)


@pytest.mark.parametrize("filters", [NONE, Filters(outcome="abandoned")], ids=["all", "outcome"])
def test_messages_of_all_days_of_a_window_are_grouped(given: Given, filters: Filters) -> None:
    """One a day for a week, all of one conversation; the newest comes first."""
    for day in range(7):
        missed(given, f"Where is parcel {day}?", -day * 86400, "long")
    given.save()
    week = replace(DAY, start=DAY.end - timedelta(days=7))
    found = unanswered(given.store, given.scope, week, filters)
    assert (found.turns, found.grouped) == (7, 7)
    assert sum(found.items[0].trend) == 7
    assert found.items[0].examples[0].message == "Where is parcel 0?"


@pytest.mark.parametrize("text", ["???", "12345", "\U0001f600", "\u4f60\u597d"])
def test_messages_without_words_are_grouped_too(given: Given, text: str) -> None:
    """Nothing but signs, or a language without blanks: a theme by itself."""
    missed(given, text)
    missed(given, text, 5)
    given.save()
    (theme,) = ask(given).items
    assert (theme.turns, theme.examples[0].message) == (2, text)
    assert theme.label


def test_without_text_there_are_no_themes_but_a_count(given: Given) -> None:
    """Content was never stored: the turns are counted, and nothing is grouped."""
    given.turn(fallback=True)
    given.save()
    found = ask(given)
    assert (found.turns, found.with_text, found.items) == (1, 0, [])


def test_text_is_for_those_who_may_read_it(given: Given) -> None:
    """analytics:view alone is refused."""
    viewer = Scope(frozenset({given.tenant}), frozenset({"analytics:view"}))
    with pytest.raises(AccessError) as raised:
        unanswered(given.store, viewer, DAY, NONE)
    assert raised.value.status == 403


WORDS = st.sampled_from(["card", "gift", "order", "late", "parcel", "where", "help", "", "9", "!"])


@examples(5, 60)
@generated(
    st.lists(st.lists(WORDS, min_size=1, max_size=5).map(" ".join), min_size=1, max_size=30),
    st.integers(0, 2**16),
)
def test_no_message_is_lost_and_the_order_of_arrival_is_nothing(
    given: Given, messages: list[str], seed: int
) -> None:
    """The turns of all themes sum to those with words, however they arrived."""
    order = list(range(len(messages)))
    told = []
    for shuffled in (order, random.Random(seed).sample(order, len(order))):
        mine = Given(given.store)
        turns = [
            mine.turn(f"c{n}", 10 * n, fallback=True, input_messages=said(messages[n]))
            for n in order
        ]
        for number, turn in enumerate(turns):
            turn |= {"trace_id": f"{number + 1:032x}", "span_id": f"{number + 1:016x}"}
        mine.rows = [mine.rows[n] for n in shuffled]
        mine.save(shuffle=seed)
        found = unanswered(mine.store, mine.scope, DAY, NONE)
        told.append(found.model_dump_json().replace(mine.tenant, "TENANT"))
        assert sum(theme.turns for theme in found.items) + found.others == found.grouped
        assert found.grouped == sum(bool(message.strip()) for message in messages)
        assert all(sum(theme.trend) == theme.turns for theme in found.items)
    assert told[0] == told[1]
