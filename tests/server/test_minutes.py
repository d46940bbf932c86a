"""The last hour by the minute."""

from __future__ import annotations

from dataclasses import replace

from otel_chat.server.figures.filters import Filters
from otel_chat.server.questions.minutes import SHOWN, minutes
from tests.server.given import DAY, Given, at


def test_turns_are_counted_by_the_minute_they_started_in(given: Given) -> None:
    """Sixty minutes in order, the one that is going on last; what is older is left out."""
    given.turn("now", 3)
    given.turn("now", 3, status="error")
    given.turn("before", -1, handoff=True)
    given.turn("first", -59 * 60)
    given.turn("older", -59 * 60 - 1)
    given.save()
    window = replace(DAY, end=at(10), now=at(10))
    found = minutes(given.store, given.scope, window, Filters()).items
    assert [(found[0].start, found[-1].start)] == [(at(-59 * 60), at(0))]
    assert len(found) == SHOWN
    counted = {
        number: (minute.turns, minute.errors, minute.handoffs)
        for number, minute in enumerate(found)
        if minute.turns
    }
    assert counted == {0: (1, 0, 0), 58: (1, 0, 1), 59: (2, 1, 0)}


def test_minutes_are_those_of_the_turns_that_match(given: Given) -> None:
    """A filter holds for them; without any turn there are sixty times none."""
    given.turn("a", 1, agent="one")
    given.turn("b", 1, agent="two")
    given.save()
    window = replace(DAY, end=at(10), now=at(10))
    one = minutes(given.store, given.scope, window, Filters(agent="one"))
    none = minutes(given.store, given.scope, window, Filters(agent="three"))
    assert sum(minute.turns for minute in one.items) == 1
    assert {minute.turns for minute in none.items} == {0}
    assert len(none.items) == SHOWN
