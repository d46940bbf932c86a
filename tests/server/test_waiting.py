"""Who waits for a human, worked out by hand, over HTTP and on the page Live."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from otel_chat.server.access import Scope
from otel_chat.server.figures.filters import Filters
from otel_chat.server.questions.waiting import WaitingList, waiting
from tests.server.given import DAY, Given, at

if TYPE_CHECKING:
    from collections.abc import Mapping

NOW = replace(DAY, end=at(3600), now=at(3600))


def said(text: str) -> str:
    return json.dumps([{"role": "user", "parts": [{"type": "text", "content": text}]}])


def asks(given: Given, name: str, seconds: float, **columns: Any) -> None:
    given.turn(
        name,
        seconds,
        handoff=True,
        handoff_reason="user_request",
        agent="support",
        channel="web",
        input_messages=said(f"{name}: a human, please"),
        **columns,
    )


def found(given: Given, scope: Scope | None = None, **filters: Any) -> WaitingList:
    return waiting(given.store, scope or given.scope, NOW, Filters(**filters))


def named(answer: WaitingList) -> Mapping[str, Any]:
    return {one.conversation_id: one.since for one in answer.items}


def test_who_asked_and_has_nobody_waits(given: Given) -> None:
    """The longest first. Accepted, answered by a human, ended and handed back wait no more."""
    asks(given, "late", 600)
    asks(given, "early", 0)
    given.turn("early", 120, input_messages=said("Is anybody there?"))
    human: dict[str, Any] = {"sender": "human", "text": "Hello"}
    for name in ("handoff.accepted", "message", "conversation.end", "handoff.ended"):
        asks(given, f"over-{name}", 0)
        given.event(name, f"over-{name}", 30, **(human if name == "message" else {}))
    given.event("message", "late", 700, sender="user", text="Hello?")
    given.event("handoff.requested", "told", 900, reason="low_confidence", target="billing")
    asks(given, "yesterday", -86_400)
    given.save()
    answer = found(given)
    assert named(answer) == {"early": at(0), "late": at(600), "told": at(900)}
    assert list(named(answer)) == ["early", "late", "told"]
    assert (answer.total, answer.answered) == (3, 2)
    early, _, told = answer.items
    assert (early.last_message, early.last_at) == ("Is anybody there?", at(120))
    assert (early.reason, early.agent, early.channel) == ("user_request", "support", "web")
    assert (told.reason, told.target, told.last_message) == ("low_confidence", "billing", None)


def test_who_asks_again_waits_from_then(given: Given) -> None:
    """Accepted at noon, and asked for again half an hour later, twice."""
    asks(given, "a", 0)
    given.event("handoff.accepted", "a", 60, wait=60.0)
    asks(given, "a", 1800)
    asks(given, "a", 1900)
    given.save()
    assert named(found(given)) == {"a": at(1800)}


def test_the_last_message_is_for_who_may_read_it(given: Given) -> None:
    """Who waits and how long is told to every viewer."""
    asks(given, "a", 0)
    given.save()
    viewer = Scope(frozenset({given.tenant}), frozenset({"analytics:view"}))
    (one,) = found(given, viewer).items
    assert (one.conversation_id, one.last_message) == ("a", None)


def test_filters_hold_for_turns_and_events(given: Given) -> None:
    """By agent: a request that is a turn's, and one that an event alone tells of."""
    asks(given, "a", 0)
    given.turn("b", 0, agent="other")
    given.event("handoff.requested", "b", 5, reason="x")
    given.turn("c", 0, agent="support")
    given.event("handoff.requested", "c", 6, reason="x")
    given.save()
    assert list(named(found(given, agent="support"))) == ["a", "c"]
    assert list(named(found(given, agent="other"))) == ["b"]
    assert named(found(given, agent="none")) == {}
