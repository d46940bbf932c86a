"""Conversations in another order than by time, or by what was noted: each by hand."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from otel_chat.errors import QueryError
from otel_chat.server.figures.filters import Filters
from otel_chat.server.figures.paging import Cursor
from otel_chat.server.marks import MarkChange, set_mark
from otel_chat.server.questions.ranked import NEWEST, Listing, ranked
from tests.examples import examples
from tests.server.given import DAY, Given
from tests.server.pages.scenes import content


@pytest.fixture
def three(given: Given) -> Given:
    """a: one turn of 3 s, priced; b: two turns of 1 s, one failed; c: one of 2 s with tokens."""
    given.turn("a", 0, 3.0, cost="0.5", intent="pay")
    given.turn("b", 10, 1.0, cost="0.2", input_tokens=5, intent="pay")
    given.turn("b", 100, 1.0, status="error", cost="0.2")
    given.turn(
        "c", 20, 2.0, input_tokens=100, input_messages=content("user", "Where is my kettle?")
    )
    given.save()
    return given


def order(given: Given, **asked: Any) -> list[str]:
    filters, cursor = asked.pop("filters", Filters()), asked.pop("cursor", None)
    answer = ranked(given.store, given.scope, DAY, filters, Listing(**asked), cursor=cursor)
    return [item.conversation_id for item in answer.items]


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("-started", "cba"),
        ("started", "abc"),
        ("-turns", "bca"),
        ("turns", "cab"),
        ("-response", "acb"),
        ("response", "bca"),
        ("-tokens", "cba"),
        ("tokens", "bca"),
        ("-cost", "abc"),
        ("cost", "bac"),
        ("-duration", "bac"),
        ("-errors", "bca"),
        ("-engagement", "cab"),
        ("engagement", "bca"),
    ],
)
def test_each_order_by_hand(three: Given, sort: Any, expected: str) -> None:
    """The greatest first with a hyphen; what has no value last; those alike newest first.

    Engagement: a and c have one turn and are resolved, b failed at the end.
    """
    assert order(three, sort=sort) == list(expected)


def test_filters_and_search_hold_in_every_order(three: Given) -> None:
    """As in the list by time."""
    assert order(three, sort="-cost", filters=Filters(intent="pay")) == ["a", "b"]
    answer = ranked(three.store, three.scope, DAY, Filters(), Listing("-cost", "KETTLE"))
    assert [item.conversation_id for item in answer.items] == ["c"]
    assert answer.items[0].match is not None
    assert answer.items[0].match.snippet == "Where is my kettle?"


def test_what_was_noted_limits_the_list(three: Given) -> None:
    """By tag, by what was reviewed, and by what is still to be."""
    for name, change in (
        ("a", MarkChange(tags=["x"], reviewed=True)),
        ("b", MarkChange(tags=["x"])),
    ):
        set_mark(three.store, three.scope, DAY, name, change)
    assert order(three, filters=Filters(tag="x")) == ["b", "a"]
    assert order(three, filters=Filters(tag="x"), sort="-cost") == ["a", "b"]
    assert order(three, filters=Filters(reviewed=True)) == ["a"]
    assert order(three, filters=Filters(reviewed=False)) == ["c", "b"]
    assert order(three, filters=Filters(tag="y")) == []


def test_an_unknown_order_or_anothers_cursor_is_refused(three: Given) -> None:
    """The field at fault is named."""
    with pytest.raises(QueryError) as raised:
        order(three, sort="-beauty")
    assert raised.value.field == "sort"
    first = ranked(three.store, three.scope, DAY, Filters(), Listing("-cost"), limit=1)
    with pytest.raises(QueryError) as raised:
        order(three, sort="-turns", cursor=first.next_cursor)
    assert raised.value.field == "cursor"
    with pytest.raises(QueryError):
        order(three, sort="-turns", cursor=Cursor(-1, "", "-turns").text())


@examples(3, 30)
@for_all(st.sampled_from([NEWEST, "started", "-turns", "cost", "-tokens"]), st.integers(1, 3))
def test_pages_hold_each_conversation_once(store: Any, sort: Any, limit: int) -> None:
    """Page by page comes the same as all at once, in every order."""
    given = Given(store)
    for number in range(7):
        cost = {} if number % 3 else {"cost": f"0.{number + 1}"}
        given.turn(f"c-{number}", number, **cost)
    given.save()
    every = order(given, sort=sort, filters=Filters(reviewed=False))
    found: list[str] = []
    cursor = None
    while True:
        page = ranked(
            store, given.scope, DAY, Filters(reviewed=False), Listing(sort), limit, cursor
        )
        found += [item.conversation_id for item in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert found == every
    assert len(set(found)) == 7
