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
    assert "gift card" in gift.label
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


def test_a_theme_names_its_conversations(given: Given) -> None:
    """Each once, by its last asking, the newest first; as many as are counted."""
    missed(given, "gift card balance", 0, "a")
    missed(given, "balance of my gift card", 60, "b")
    missed(given, "gift card balance please", 120, "a")
    missed(given, "parking", 180, "c")
    given.save()
    gift, _ = ask(given).items
    assert gift.keys == [(given.tenant, "a"), (given.tenant, "b")]
    assert gift.conversations == 2
    assert gift.asking in {one.trace_id for one in gift.examples}


def test_the_same_words_count_once_as_an_example(given: Given) -> None:
    """Case, numbers and blanks make no other question."""
    for number, text in enumerate(("Order 4711?", "order  4712?", "ORDER 1?")):
        missed(given, text, number)
    given.save()
    (theme,) = ask(given).items
    assert (theme.turns, len(theme.examples)) == (3, 1)


ONE_QUESTION = """
How do I cancel my subscription? | cancel subscription | I want to cancel my subscription
Can I cancel the subscription online? | please cancel my subscription | how do i cancel
how can I cancel my plan subscription | Where do I cancel the subscription
cancelling my subscription, how does it work? | How to cancel subscriptions
I'd like to cancel my yearly subscription | my subscription should be cancelled
subscription cancellation | what do I have to do to cancel my subscription
stop my subscription | I need to end my subscription | can you cancel my subscription now
is it possible to cancel a subscription early | cancel my subscription today please
I no longer want my subscription | How do I get out of my subscription?
help me cancel my subscription | tell me how to cancel a subscription
when can I cancel my subscription | cancel the monthly subscription
unsubscribe me / cancel subscription | how long until my cancelled subscription ends
i want to cancel the subscription i bought in may | cancel subscription premium
does cancelling my subscription cost anything | want to cancel my account subscription
could you please cancel my subscription | I would like my subscription cancelled
subscription: cancel it
"""
OTHER_QUESTIONS = """
Is there parking at the store? | do you deliver to Iceland | my parcel arrived broken
Can I pay with crypto | I forgot my password | I need an invoice for my order
What are your opening hours on Christmas | Tell something funny
"""


def lines(text: str) -> list[str]:
    return [part.strip() for line in text.strip().splitlines() for part in line.split("|")]


def test_one_question_is_one_theme_named_by_its_most_central_asking(given: Given) -> None:
    """34 askings of one question, in other words each, are one theme, and no other is in it."""
    asked = lines(ONE_QUESTION)
    assert len(asked) == 34
    for number, text in enumerate([*asked, *lines(OTHER_QUESTIONS)]):
        missed(given, text, 60 * number)
    given.save()
    first, *others = ask(given).items
    assert first.turns == 34
    assert "cancel" in first.label
    assert "subscription" in first.label
    assert first.label in asked
    assert [theme.turns for theme in others] == [1] * 8


def test_thanks_and_goodbyes_are_no_question(given: Given) -> None:
    """They are counted, and in no theme; a word of the matter makes a message one."""
    for number, text in enumerate(("Thank you, bye!", "No, that's all.", "ok", "thanks, refund?")):
        missed(given, text, number)
    given.save()
    found = ask(given)
    assert (found.turns, found.small_talk, found.grouped) == (4, 3, 1)
    assert [theme.label for theme in found.items] == ["thanks, refund?"]


def test_a_theme_says_whether_it_is_new_and_since_when(given: Given) -> None:
    """Parking was asked the day before, in other words; gift cards for the first time at noon."""
    missed(given, "Is there parking at the store?", -86_400)
    missed(given, "Where can I find parking near the store", 0)
    missed(given, "gift card balance", 60)
    missed(given, "balance of my gift card", 120)
    given.save()
    gift, parking = ask(given).items
    assert (gift.new, gift.previous, gift.first_at) == (True, 0, at(60))
    assert (parking.new, parking.previous, parking.first_at) == (False, 1, at(-86_400))


def test_a_question_of_last_month_is_not_new(given: Given) -> None:
    """It was not asked in the day before, but 40 days ago: it says so, and when."""
    missed(given, "Is there parking at the store?", -40 * 86_400)
    missed(given, "Where can I find parking near the store", 0)
    given.save()
    found = ask(given)
    assert found.looked_back_to == DAY.start - timedelta(days=90)
    (parking,) = found.items
    assert (parking.new, parking.previous, parking.first_at) == (False, 0, at(-40 * 86_400))


def test_nothing_is_new_where_nothing_is_known_of_before(given: Given) -> None:
    """The first day of a bot has no new questions, for all would be."""
    missed(given, "gift card balance")
    given.save()
    assert not ask(given).items[0].new


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
        worded = [message for message in messages if message.strip()]
        talk = sum(set(message.split()) <= {"where", "9", "!"} and "where" in message
                   for message in worded)  # fmt: skip
        assert (found.grouped, found.small_talk) == (len(worded) - talk, talk)
        assert all(sum(theme.trend) == theme.turns for theme in found.items)
    assert told[0] == told[1]
