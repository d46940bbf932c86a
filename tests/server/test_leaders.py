"""What leads a window, worked out by hand on two days."""

from __future__ import annotations

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from otel_chat.server.figures.filters import Filters
from otel_chat.server.questions.leaders import LISTED, Leaders, leaders
from otel_chat.server.questions.overview import overview
from tests.examples import examples
from tests.server.given import DAY, Given

YESTERDAY = -24 * 3600


def told(answer: Leaders, name: str) -> list[tuple[str, int, float | None, int]]:
    return [(one.name, one.count, one.share, one.previous) for one in getattr(answer, name)]


@pytest.fixture
def two_days(given: Given) -> Given:
    """Today three conversations, the day before two.

    Today: a and b of clients who pay, b handed off; c of nobody known, who greets. The day before:
    d of a client who paid, e of one who greeted.
    """
    given.turn("a", 0, intent="greet", user_type="client")
    given.turn("a", 10, intent="pay", user_type="client")
    given.turn("b", 20, intent="pay", user_type="client", handoff=True)
    given.turn("c", 30, intent="greet")
    given.turn("d", YESTERDAY, intent="pay", user_type="client")
    given.turn("e", YESTERDAY + 10, intent="greet", user_type="client")
    given.event("topic", "a", 1, topic="bills")
    given.event("topic", "a", 2, topic="bills")
    given.event("topic", "a", 3, topic="cards")
    given.event("topic", "b", 21, topic="bills")
    given.event("topic", "d", YESTERDAY + 1, topic="cards")
    given.event("action", "a", 4, action="click")
    given.event("action", "a", 5, action="click")
    given.event("action", "c", 31, action="download")
    given.event("action", "e", YESTERDAY + 12, action="download")
    given.save()
    return given


def test_each_list_counts_what_it_says(two_days: Given) -> None:
    """Topics and user types by conversation, actions each, intents by turn; with those before."""
    answer = leaders(two_days.store, two_days.scope, DAY, Filters())
    assert told(answer, "topics") == [("bills", 2, 2 / 2, 0), ("cards", 1, 1 / 2, 1)]
    assert told(answer, "user_types") == [("client", 2, 2 / 3, 2), ("", 1, 1 / 3, 0)]
    assert told(answer, "actions") == [("click", 2, 2 / 3, 0), ("download", 1, 1 / 3, 1)]
    assert told(answer, "intents") == [("greet", 2, 2 / 4, 1), ("pay", 2, 2 / 4, 1)]


def test_what_moved_containment_by_hand(two_days: Given) -> None:
    """From 2 of 2 to 2 of 3: the one handoff ends with `pay`, and that is the whole of it."""
    answer = leaders(two_days.store, two_days.scope, DAY, Filters())
    pay, greet = answer.containment
    assert (pay.intent, pay.settled, pay.handed_off) == ("pay", 2, 1)
    assert (pay.containment, pay.previous, pay.contribution) == (1 / 2, 1.0, -1 / 3)
    assert (greet.intent, greet.containment, greet.contribution) == ("greet", 1.0, 0.0)


def test_filters_hold_for_every_list(two_days: Given) -> None:
    """Of the conversations with a handoff there is b alone."""
    answer = leaders(two_days.store, two_days.scope, DAY, Filters(handoff=True))
    assert told(answer, "topics") == [("bills", 1, 1.0, 0)]
    assert told(answer, "user_types") == [("client", 1, 1.0, 0)]
    assert told(answer, "actions") == []
    assert told(answer, "intents") == [("pay", 1, 1.0, 0)]
    assert answer.containment[0].contribution is None  # nothing before to compare with


def test_nothing_leads_an_empty_window(given: Given) -> None:
    """No rows, no figures."""
    answer = leaders(given.store, given.scope, DAY, Filters())
    lists = (answer.topics, answer.user_types, answer.actions, answer.intents, answer.containment)
    assert lists == ([], [], [], [], [])


@examples(3, 40)
@for_all(
    st.lists(
        st.tuples(st.booleans(), st.sampled_from(["", "pay", "greet", "bye"]), st.booleans()),
        min_size=1,
        max_size=12,
    )
)
def test_the_parts_sum_to_the_change(
    store: object, conversations: list[tuple[bool, str, bool]]
) -> None:
    """Whatever the conversations, the contributions of all intents sum to containment's change."""
    given = Given(store)  # type: ignore[arg-type]
    for number, (today, intent, handed) in enumerate(conversations):
        start = number if today else YESTERDAY + number
        given.turn(f"c-{number}", start, intent=intent, handoff=handed)
    given.save()
    parts = leaders(given.store, given.scope, DAY, Filters()).containment
    change = overview(given.store, given.scope, DAY, Filters()).changes["containment"].difference
    assert len(parts) <= LISTED
    if change is None:
        assert {part.contribution for part in parts} == {None}
    else:
        assert sum(part.contribution or 0 for part in parts) == pytest.approx(change)
