"""Interactions: turns listed, looked up and counted."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from otel_chat.errors import AccessError, QueryError
from otel_chat.server.figures.filters import Filters
from otel_chat.server.questions.interactions import (
    Listing,
    count_turns,
    interaction,
    interaction_statistics,
    interactions,
)
from tests.server.given import DAY, Given
from tests.server.pages.scenes import content


@pytest.fixture
def five(given: Given) -> Given:
    """Five turns in three conversations, with two models and two handoffs."""
    given.turn(
        "a", 0, 1.0, response_model="small", message_type="text", confidence=0.95,
        input_tokens=100, output_tokens=10, cost="0.10", fallback=False, intent="buy",
    )  # fmt: skip
    given.turn(
        "a", 10, 2.0, response_model="small", message_type="text", confidence=0.7,
        input_tokens=200, output_tokens=20, cost="0.20", handoff=True, handoff_reason="angry",
    )  # fmt: skip
    given.turn(
        "b", 20, 3.0, request_model="large", message_type="voice", confidence=0.05,
        cost="0.000000001", handoff=True, handoff_reason="angry", fallback=True,
    )  # fmt: skip
    given.turn("b", 30, 4.0, message_type="text", confidence=1.0, status="error")
    given.turn("c", 40, 5.0, request_model="large", input_tokens=1, cost_source="unpriced")
    given.save()
    return given


def seconds(given: Given, filters: Filters) -> list[float]:
    """The durations of the turns listed, which name them."""
    return [one.duration for one in interactions(given.store, given.scope, DAY, filters).items]


def test_turns_are_listed_newest_first(five: Given) -> None:
    """By their own start."""
    assert seconds(five, Filters()) == [5.0, 4.0, 3.0, 2.0, 1.0]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (Filters(conversation_id="a"), [2.0, 1.0]),
        (Filters(model="large"), [5.0, 3.0]),
        (Filters(confidence_min=0.7), [4.0, 2.0, 1.0]),
        (Filters(confidence_max=0.7), [3.0, 2.0]),
        (Filters(turn_handoff=True), [3.0, 2.0]),
        (Filters(turn_handoff=False), [5.0, 4.0, 1.0]),
        (Filters(message_type="voice"), [3.0]),
        (Filters(outcome="handed_off"), [4.0, 3.0, 2.0, 1.0]),
        (Filters(outcome="handed_off", turn_handoff=False), [4.0, 1.0]),
        (Filters(state="open"), []),
    ],
)
def test_turns_are_limited_by_filters(five: Given, filters: Filters, expected: list) -> None:
    """A handoff is the turn's own here; an outcome its conversation's."""
    assert seconds(five, filters) == expected


def test_turns_of_a_conversation_that_began_days_before_are_listed(given: Given) -> None:
    """Asked by its outcome, which its last turn of three decides."""
    for day in (-5, -3, 0):
        given.turn("long", day * 86400, 6.0 + day, status="error" if day == 0 else "ok")
    given.save()
    week = replace(DAY, start=DAY.end - timedelta(days=7))
    failed = Filters(outcome="failed")
    listed = interactions(given.store, given.scope, week, failed).items
    assert [one.duration for one in listed] == [6.0, 3.0, 1.0]
    assert interaction_statistics(given.store, given.scope, week, failed).turns == 3


def test_a_turn_is_looked_up_by_its_id(five: Given) -> None:
    """The id of the list leads to the same turn, with its intents."""
    listed = interactions(five.store, five.scope, DAY, Filters()).items[0]
    five.event("intent", "c", 41, intent="leave", trace_id=listed.trace_id, span_id=listed.span_id)
    five.save()
    found = interaction(five.store, five.scope, DAY, listed.id)
    assert found.duration == listed.duration
    assert [one.name for one in found.intents] == ["leave"]
    again = interactions(five.store, five.scope, DAY, Filters()).items[0]
    assert again == found


def test_what_is_said_of_an_intent_days_later_is_told_of_its_turn(five: Given) -> None:
    """A report three days after the turn."""
    turn = interactions(five.store, five.scope, DAY, Filters()).items[0]
    five.event(
        "intent", "c", 3 * 86400, intent="leave", success=True, source="annotation",
        trace_id=turn.trace_id, span_id=turn.span_id,
    )  # fmt: skip
    five.save()
    found = interaction(five.store, five.scope, DAY, turn.id)
    assert [(one.name, one.success) for one in found.intents] == [("leave", True)]


def test_an_id_that_is_none_is_told_from_one_that_is_not_there(five: Given) -> None:
    """An id of another form is answered with 422, an unknown one with 404."""
    with pytest.raises(QueryError):
        interaction(five.store, five.scope, DAY, "abc")
    with pytest.raises(AccessError) as raised:
        interaction(five.store, five.scope, DAY, f"{'0' * 32}-{'0' * 16}")
    assert raised.value.status == 404


def test_statistics_worked_out_by_hand(five: Given) -> None:
    """Five turns: four answered in 2.75 s, 0.300000001 USD over three priced, 2 of 5 handed off."""
    found = interaction_statistics(five.store, five.scope, DAY, Filters())
    assert (found.turns, found.response_time.mean, found.response_time.p50) == (5, 2.75, 2.5)
    assert found.cost.amount == Decimal("0.300000001")
    assert found.mean_cost == Decimal("0.100000000")
    assert (found.cost.priced_turns, found.cost.unpriced_turns) == (3, 1)
    assert (found.tokens.input, found.tokens.output, found.tokens.turns) == (301, 30, 3)
    assert (found.handoffs, found.handoff_rate) == (2, 0.4)
    assert [one.model_dump() for one in found.handoff_reasons] == [{"reason": "angry", "turns": 2}]
    assert (found.confidence.count, found.confidence.low, found.confidence.high) == (4, 1, 3)
    assert found.confidence.mean == pytest.approx(0.675)
    assert (found.fallback.count, found.fallback.classified, found.fallback.rate) == (1, 2, 0.5)
    assert (found.errors.turns, found.errors.rate) == (1, 0.2)


def test_confidence_falls_into_tenths_and_one_belongs_to_the_last(five: Given) -> None:
    """0.05, 0.7, 0.95 and 1."""
    found = interaction_statistics(five.store, five.scope, DAY, Filters())
    counts = [one.turns for one in found.confidence_distribution]
    assert counts == [1, 0, 0, 0, 0, 0, 0, 1, 0, 2]


def test_breakdowns_sum_to_the_whole(five: Given) -> None:
    """By model (asked for or answered) and by type of message, the largest first."""
    found = interaction_statistics(five.store, five.scope, DAY, Filters())
    models = {one.name: one for one in found.models}
    assert {name: one.turns for name, one in models.items()} == {"small": 2, "large": 2, "": 1}
    assert [one.name for one in found.models] == ["large", "small", ""]
    assert models["small"].cost == Decimal("0.30")
    assert (models["small"].tokens, models["small"].mean_response_time) == (330, 1.5)
    assert (models["large"].tokens, models["large"].handoffs) == (1, 1)
    assert (models[""].tokens, models[""].cost, models[""].errors) == (None, None, 1)
    assert {one.name: one.share for one in found.message_types} == {
        "text": 0.6, "voice": 0.2, "": 0.2,
    }  # fmt: skip
    assert sum(one.turns for one in found.message_types) == found.turns


def test_statistics_without_turns_are_null_with_their_sample_size(given: Given) -> None:
    """Nothing to divide by."""
    found = interaction_statistics(given.store, given.scope, DAY, Filters())
    assert (found.turns, found.handoff_rate, found.mean_cost) == (0, None, None)
    assert (found.response_time.mean, found.response_time.count) == (None, 0)
    assert (found.tokens.total, found.cost.amount, found.confidence.mean) == (None, None, None)
    assert (found.models, found.handoff_reasons) == ([], [])


def test_exact_sums_stay_exact_over_many_turns(given: Given) -> None:
    """A thousand times 0.000000001 is a millionth, and 0.1 seventy times is 7."""
    for index in range(1000):
        given.turn("m", index / 10, cost="0.000000001")
    given.save()
    found = interaction_statistics(given.store, given.scope, DAY, Filters())
    assert found.cost.amount == Decimal("0.000001")
    given.rows.clear()
    for index in range(70):
        given.turn("n", index / 10, cost="0.1")
    given.save()
    found = interaction_statistics(given.store, given.scope, DAY, Filters(conversation_id="n"))
    assert found.cost.amount == Decimal(7)


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("started", [1.0, 2.0, 3.0, 4.0, 5.0]),
        ("-duration", [5.0, 4.0, 3.0, 2.0, 1.0]),
        ("-response", [5.0, 3.0, 2.0, 1.0, 4.0]),
        ("response", [1.0, 2.0, 3.0, 5.0, 4.0]),
        ("-cost", [2.0, 1.0, 3.0, 5.0, 4.0]),
        ("cost", [3.0, 1.0, 2.0, 5.0, 4.0]),
        ("-tokens", [2.0, 1.0, 5.0, 4.0, 3.0]),
        ("confidence", [3.0, 2.0, 1.0, 4.0, 5.0]),
        ("-confidence", [4.0, 1.0, 2.0, 3.0, 5.0]),
    ],
)
def test_turns_are_listed_in_an_order(five: Given, sort: str, expected: list[float]) -> None:
    """Page by page, each once; what has no such value last, and the newest of those first."""
    found: list[float] = []
    cursor = None
    while True:
        page = interactions(
            five.store, five.scope, DAY, Filters(), 2, cursor, Listing(sort)  # type: ignore[arg-type]
        )  # fmt: skip
        found += [one.duration for one in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert found == expected


def test_a_cursor_belongs_to_its_order(five: Given) -> None:
    """One of the dearest says nothing of the slowest; an order that there is none of is refused."""
    asked = (five.store, five.scope, DAY, Filters())
    page = interactions(*asked, 2, None, Listing("-cost"))
    with pytest.raises(QueryError, match="another list"):
        interactions(*asked, 2, page.next_cursor, Listing("-response"))
    with pytest.raises(QueryError, match="order is one of"):
        interactions(*asked, 2, None, Listing("size"))  # type: ignore[arg-type]


def test_turns_are_found_by_what_was_said(given: Given) -> None:
    """In the message or in the reply, in whatever case, and no other turn of the conversation."""
    given.turn("a", 0, 1.0, input_messages=content("user", "My kettle leaks"))
    given.turn("a", 10, 2.0, output_messages=content("assistant", "A new KETTLE is on its way"))
    given.turn("a", 20, 3.0, input_messages=content("user", "Thanks"))
    given.save()
    asked = (given.store, given.scope, DAY, Filters())
    for sort, expected in (("-started", [2.0, 1.0]), ("duration", [1.0, 2.0])):
        wanted = Listing(sort, "kettle")  # type: ignore[arg-type]
        assert [one.duration for one in interactions(*asked, listing=wanted).items] == expected
    assert count_turns(*asked, "kettle") == 2
    blind = replace(given.scope, permissions=given.scope.permissions - {"conversations:read"})
    for ask in (
        lambda: interactions(given.store, blind, DAY, Filters(), listing=Listing(search="kettle")),
        lambda: count_turns(given.store, blind, DAY, Filters(), "kettle"),
    ):
        with pytest.raises(AccessError):
            ask()
