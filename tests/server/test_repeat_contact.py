"""Users who came back, worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from otel_chat.errors import QueryError
from otel_chat.server.figures.filters import Filters
from otel_chat.server.figures.window import LATEST
from otel_chat.server.questions.repeat_contact import RepeatContact, repeat_contact
from tests.server.given import DAY, Given, at

HOUR = 3600


def back(given: Given, hours: float = 24, filters: Filters | None = None) -> RepeatContact:
    given.save()
    return repeat_contact(given.store, given.scope, DAY, filters or Filters(), hours)


def test_who_comes_back_within_a_day(given: Given) -> None:
    """User u comes back after 2 h, and never after that; v after 30 h; w not at all.

    Observed are u's two, v's and w's: 1 of 4. v's second conversation lies outside the window.
    """
    given.turn("u1", 0, user_hash="u")
    given.turn("u2", 2 * HOUR, user_hash="u")
    given.turn("v1", 0, user_hash="v")
    given.turn("v2", 30 * HOUR, user_hash="v")
    given.turn("w", 0, user_hash="w", handoff=True)
    given.turn("nobody", 0)
    given.save()
    later = replace(DAY, now=at(72 * HOUR))
    found = repeat_contact(given.store, given.scope, later, Filters())
    assert (found.settled, found.with_user, found.pending) == (5, 4, 0)
    assert found.all.model_dump() == {"rate": 0.25, "returned": 1, "observed": 4}
    assert found.contained.model_dump() == {"rate": 1 / 3, "returned": 1, "observed": 3}
    assert found.lasting_containment == 2 / 4
    longer = repeat_contact(given.store, given.scope, later, Filters(), 40)
    assert (longer.all.returned, longer.contained.returned) == (2, 2)


def test_conversations_whose_time_is_not_over_are_pending(given: Given) -> None:
    """Asked 36 h after noon: that of noon is observed, that of 13 h later is not, though settled.

    The day's window ends 12 h after noon: the later one is taken by a longer window.
    """
    given.turn("early", 0, user_hash="u")
    given.turn("late", 13 * HOUR, user_hash="u")
    given.save()
    window = replace(DAY, end=at(24 * HOUR), now=at(36 * HOUR))
    found = repeat_contact(given.store, given.scope, window, Filters())
    assert (found.with_user, found.pending) == (2, 1)
    assert found.all.model_dump() == {"rate": 1.0, "returned": 1, "observed": 1}


def test_a_conversation_may_last_beyond_the_window_or_have_begun_before_it(given: Given) -> None:
    """One goes on three days later; its user comes back after that, or began another between."""
    given.turn("long", 0, user_hash="u")
    given.turn("long", 72 * HOUR, user_hash="u")
    given.turn("again", 73 * HOUR, user_hash="u")
    given.turn("old", -72 * HOUR, user_hash="v")
    given.turn("old", 0, user_hash="v")
    given.turn("between", -48 * HOUR, user_hash="v")
    given.save()
    window = replace(DAY, now=at(200 * HOUR))
    started = repeat_contact(given.store, given.scope, window, Filters())
    assert (started.all.observed, started.all.returned) == (1, 1)
    active = repeat_contact(given.store, given.scope, replace(window, by="active"), Filters())
    assert (active.all.observed, active.all.returned) == (2, 2)


def test_the_hours_begin_with_the_last_activity(given: Given) -> None:
    """A conversation of 3 h; coming back 1 h after its end is 4 h after its start."""
    given.turn("a", 0, user_hash="u")
    given.turn("a", 3 * HOUR, 0, user_hash="u")
    given.turn("b", 4 * HOUR, user_hash="u")
    assert back(given, 1).all.returned == 1
    assert back(given, 0.9).all.returned == 0


def test_whoever_comes_back_through_another_channel_comes_back(given: Given) -> None:
    """Asked about the web only: the return on the telephone counts."""
    given.turn("a", 0, user_hash="u", channel="web")
    given.turn("b", HOUR, user_hash="u", channel="voice")
    found = back(given, 10, Filters(channel="web"))
    assert (found.with_user, found.all.returned) == (1, 1)


def test_without_hashed_users_repeat_contact_is_null(given: Given) -> None:
    """Null with its sample size."""
    given.turn("a", 0)
    found = back(given)
    assert (found.settled, found.with_user) == (1, 0)
    assert found.all.model_dump() == {"rate": None, "returned": 0, "observed": 0}
    assert found.lasting_containment is None


def test_the_last_window_there_is_can_be_asked_about(given: Given) -> None:
    """Whoever came back after its end is beyond all time; that is no error."""
    window = replace(DAY, end=LATEST)
    assert repeat_contact(given.store, given.scope, window, Filters(), 720).settled == 0


@pytest.mark.parametrize("hours", [0, -1, 721, float("nan")])
def test_hours_out_of_range_are_refused(given: Given, hours: float) -> None:
    """The field is named."""
    with pytest.raises(QueryError) as raised:
        back(given, hours)
    assert raised.value.field == "hours"
