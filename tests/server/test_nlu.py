"""Intents, topics, entities and sentiment, worked out by hand."""

from __future__ import annotations

from typing import Any

import pytest

from otel_chat.server.figures.filters import Filters
from otel_chat.server.questions.nlu import Intents, intents
from otel_chat.server.questions.subjects import entities, sentiments, topics
from tests.server.given import DAY, Given


def ask(given: Given, filters: Filters | None = None) -> Intents:
    given.save()
    return intents(given.store, given.scope, DAY, filters or Filters())


def test_intents_with_shares_confidence_and_times(given: Given) -> None:
    """Buy 3 times (0.9, 0.6, none), pay once, a fallback and a turn nobody looked at."""
    given.turn("a", 0, 1, intent="buy", confidence=0.9, fallback=False)
    given.turn("a", 10, 2, intent="buy", confidence=0.6, fallback=False)
    given.turn("b", 20, 6, intent="buy")
    given.turn("b", 30, 4, intent="pay", confidence=0.8)
    given.turn("c", 40, 1, fallback=True, confidence=0.1)
    given.turn("d", 50, 1)
    found = ask(given)
    assert [(one.name, one.turns, one.share) for one in found.items] == [
        ("buy", 3, 0.75),
        ("pay", 1, 0.25),
    ]
    buy = found.items[0]
    assert buy.mean_confidence == pytest.approx(0.75)
    assert (buy.low_confidence, buy.mean_response_time) == (1, 3.0)
    assert (found.turns, found.fallback.classified, found.fallback.count) == (6, 5, 1)
    assert (found.confidence.count, found.confidence.low_rate) == (4, 0.5)


@pytest.mark.parametrize("trouble", [{"status": "error"}, {"fallback": True}, {"handoff": True}])
def test_error_fallback_and_handoff_are_failures_and_tell_nothing_of_success(
    given: Given, trouble: dict
) -> None:
    """Of two turns one went wrong; of neither was success reported."""
    given.turn("a", 0, intent="buy")
    given.turn("b", 1, intent="buy", **trouble)
    (found,) = ask(given).items
    assert (found.no_failure, found.no_failure_rate) == (1, 0.5)
    assert (found.success, found.failure, found.reported, found.success_rate) == (0, 0, 0, None)


def test_success_is_what_was_reported(given: Given) -> None:
    """A turn that failed but was reported well, and one that went well but was reported badly.

    The last report of a turn counts. What nobody reported of is in neither.
    """
    given.turn("c", 2, intent="pay")
    first = given.turn("a", 0, intent="buy", status="error")
    second = given.turn("b", 1, intent="pay")
    for turn, seconds, success in ((first, 2, False), (first, 3, True), (second, 4, False)):
        given.event(
            "intent", turn["conversation_id"], seconds, success=success,
            intent=turn["intent"], trace_id=turn["trace_id"], span_id=turn["span_id"],
        )  # fmt: skip
    found = {one.name: one for one in ask(given).items}
    buy, pay = found["buy"], found["pay"]
    assert (buy.success, buy.failure, buy.reported, buy.success_rate) == (1, 0, 1, 1.0)
    assert (pay.success, pay.failure, pay.reported, pay.success_rate) == (0, 1, 1, 0.0)
    assert (buy.no_failure, pay.no_failure, pay.turns) == (0, 2, 2)


def test_reports_of_success_hold_whenever_they_come(given: Given) -> None:
    """Of six turns one was reported badly; ten days after, a second is, of another agent a third.

    A turn that failed and was never reported is in neither.
    """
    turns = [given.turn(f"c{number}", number, intent="buy", agent="a") for number in range(4)]
    given.turn("d", 5, intent="buy", agent="a", status="error")
    other = given.turn("e", 6, intent="buy", agent="b")

    def reported(turn: dict[str, Any], seconds: float) -> None:
        ids = {name: turn[name] for name in ("trace_id", "span_id", "intent")}
        given.event("intent", turn["conversation_id"], seconds, success=False, **ids)

    reported(turns[0], 2)
    (found,) = ask(given, Filters(agent="a")).items
    assert (found.turns, found.failure, found.reported, found.no_failure) == (5, 1, 1, 4)
    given.rows.clear()
    reported(turns[1], 240 * 3600)
    reported(other, 240 * 3600)
    (found,) = ask(given, Filters(agent="a")).items
    assert (found.turns, found.failure, found.reported, found.no_failure) == (5, 2, 2, 4)
    (found,) = intents(given.store, given.scope, DAY, Filters()).items
    assert (found.turns, found.failure, found.reported, found.no_failure) == (6, 3, 3, 5)


def test_annotations_of_turns_whose_ids_end_in_zeros_are_counted(given: Given) -> None:
    """One id in 256 does."""
    ids = {"trace_id": f"{7:030x}00", "span_id": f"{7:014x}00"}
    given.turn("a", 0, **ids)
    given.event("intent", "a", 0, intent="BuyTicket", source="annotation", **ids)
    given.save()
    assert intents(given.store, given.scope, DAY, Filters()).annotations == 1


def test_classifications_and_annotations_are_counted_apart(given: Given) -> None:
    """Several a turn; an intent that only an annotation names is listed too."""
    turn = given.turn("a", 0, intent="buy")
    inside = {"trace_id": turn["trace_id"], "span_id": turn["span_id"]}
    given.event("intent", "a", 0, intent="buy", source="classifier", **inside)
    given.event("intent", "a", 0, intent="pay", source="classifier", **inside)
    given.event("intent", "a", 0, intent="BuyTicket", source="annotation", **inside)
    given.event("intent", "a", 0, intent="", fallback=True, source="classifier", **inside)
    found = ask(given)
    assert (found.classifications, found.annotations) == (3, 1)
    counts = {one.name: (one.turns, one.classifications, one.annotations) for one in found.items}
    assert counts == {"buy": (1, 1, 0), "pay": (0, 1, 0), "BuyTicket": (0, 0, 1)}


def test_dropped_are_conversations_that_ended_badly_on_the_intent(given: Given) -> None:
    """Abandoned or failed, by the last turn that had an intent; resolved ones are not."""
    given.turn("a", 0, intent="buy")
    given.turn("a", 10, intent="pay")
    given.turn("a", 20, fallback=True)
    given.turn("b", 0, intent="pay", status="error")
    given.turn("c", 0, intent="pay")
    given.turn("d", 0, intent="buy", handoff=True)
    found = {one.name: one.dropped for one in ask(given).items}
    assert found == {"buy": 0, "pay": 2}


def test_intents_follow_their_conversations_through_filters(given: Given) -> None:
    """Of agent shop only: its turns and its events."""
    given.turn("a", 0, intent="buy", agent="shop")
    given.turn("b", 0, intent="pay", agent="help")
    given.event("intent", "a", 0, intent="buy")
    given.event("intent", "b", 0, intent="pay")
    (found,) = ask(given, Filters(agent="shop")).items
    assert (found.name, found.turns, found.classifications) == ("buy", 1, 1)


def test_topics_and_the_unresolved_among_them(given: Given) -> None:
    """Delivery in two conversations (thrice named), one of which was abandoned."""
    given.turn("a", 0)
    given.turn("b", 0, fallback=True)
    given.turn("c", 0)
    for conversation, topic in (
        ("a", "delivery"),
        ("a", "delivery"),
        ("b", "delivery"),
        ("c", "price"),
    ):
        given.event("topic", conversation, 1, topic=topic)
    given.save()
    found = topics(given.store, given.scope, DAY, Filters())
    assert found.conversations == 3
    assert [one.model_dump() for one in found.items] == [
        {"name": "delivery", "mentions": 3, "conversations": 2, "share": 2 / 3, "unresolved": 1},
        {"name": "price", "mentions": 1, "conversations": 1, "share": 1 / 3, "unresolved": 0},
    ]


def test_entities_by_type(given: Given) -> None:
    """Two dates in one conversation, a city in another."""
    given.event("entity", "a", 0, entity_type="date")
    given.event("entity", "a", 1, entity_type="date")
    given.event("entity", "b", 0, entity_type="city")
    given.save()
    found = entities(given.store, given.scope, DAY, Filters()).items
    assert [(one.type, one.count, one.conversations) for one in found] == [
        ("date", 2, 1),
        ("city", 1, 1),
    ]


def test_sentiment_shares_leave_out_turns_without_one(given: Given) -> None:
    """Two negative, one positive, one unknown."""
    for index, label in enumerate(["negative", "negative", "positive", ""]):
        given.turn("a", index, sentiment=label)
    given.save()
    found = sentiments(given.store, given.scope, DAY, Filters())
    assert found.turns == 3
    assert [(one.name, one.turns, one.share) for one in found.items] == [
        ("negative", 2, 2 / 3),
        ("positive", 1, 1 / 3),
    ]


def test_without_data_there_is_nothing_to_list(given: Given) -> None:
    """Empty lists, null rates."""
    found = ask(given)
    assert (found.items, found.turns, found.fallback.rate) == ([], 0, None)
    assert topics(given.store, given.scope, DAY, Filters()).items == []
    assert sentiments(given.store, given.scope, DAY, Filters()).turns == 0
