"""Paths between intents, switched intents and incomplete conversations, worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from fastapi.testclient import TestClient

from otel_chat.errors import QueryError
from otel_chat.server.app import create_app
from otel_chat.server.figures.filters import Filters
from otel_chat.server.questions.conversations import conversations
from otel_chat.server.questions.journeys import Paths, incomplete, paths
from otel_chat.server.questions.journeys import ways as ways_of
from otel_chat.server.questions.nlu import intents
from otel_chat.server.settings import ServerSettings
from tests.server.given import DAY, Given, at
from tests.server.served import FROM_TO

if TYPE_CHECKING:
    from otel_chat.server.store import Store


def ways(given: Given, limit: int = 50, filters: Filters | None = None) -> Paths:
    given.save()
    return paths(given.store, given.scope, DAY, filters or Filters(), limit)


def talk(given: Given, conversation: str, *named: str, **columns: object) -> None:
    """A conversation whose turns, ten seconds apart, have these intents."""
    for number, intent in enumerate(named):
        given.turn(conversation, 10 * number, intent=intent, **columns)


# Paths


def test_transitions_with_their_shares(given: Given) -> None:
    """Greet, buy, pay; greet, buy, buy; greet.

    From greet 2 of 3 go to buy, 1 ends. From buy 1 of 3 goes to pay, 1 stays, 1 ends.
    """
    talk(given, "a", "greet", "buy", "pay")
    talk(given, "b", "greet", "buy", "buy")
    talk(given, "c", "greet")
    found = ways(given)
    assert [(one.origin, one.target, one.count, one.share) for one in found.transitions] == [
        (None, "greet", 3, 1.0),
        ("greet", "buy", 2, 2 / 3),
        ("buy", None, 1, 1 / 3),
        ("buy", "buy", 1, 1 / 3),
        ("buy", "pay", 1, 1 / 3),
        ("greet", None, 1, 1 / 3),
        ("pay", None, 1, 1.0),
    ]
    assert (found.conversations, found.settled, found.transitions_not_listed) == (3, 3, 0)


def test_a_transition_counts_its_conversations_once_with_their_outcomes(given: Given) -> None:
    """Buy to pay twice in one conversation, which failed, and once in another."""
    talk(given, "a", "buy", "pay", "buy", "pay")
    given.turn("a", 90, status="error")
    talk(given, "b", "buy", "pay")
    (found,) = [
        one for one in ways(given).transitions if (one.origin, one.target) == ("buy", "pay")
    ]
    assert (found.count, found.conversations, found.share) == (3, 2, 1.0)
    assert (found.outcomes.failed, found.outcomes.resolved) == (1, 1)


def test_turns_without_an_intent_are_passed_over(given: Given) -> None:
    """Buy, a fallback, pay: from buy to pay. A conversation without any intent is in no path."""
    talk(given, "a", "buy", "", "pay")
    given.turn("b", 0)
    found = ways(given)
    assert [(one.origin, one.target) for one in found.transitions] == [
        (None, "buy"),
        ("buy", "pay"),
        ("pay", None),
    ]
    assert found.conversations == 1
    assert [one.intents for one in found.paths] == [["buy", "pay"]]


def test_paths_join_repeats_and_tell_the_outcomes(given: Given) -> None:
    """Two took greet, buy (one asked thrice and was handed over), one only greet."""
    talk(given, "a", "greet", "buy", "buy", "buy", handoff=True)
    talk(given, "b", "greet", "buy")
    talk(given, "c", "greet")
    found = ways(given).paths
    assert [(one.intents, one.longer, one.conversations, one.share) for one in found] == [
        (["greet", "buy"], False, 2, 2 / 3),
        (["greet"], False, 1, 1 / 3),
    ]
    outcomes = found[0].outcomes.model_dump()
    assert outcomes == {"resolved": 1, "handed_off": 1, "abandoned": 0, "failed": 0, "open": 0}


def test_small_talk_is_left_out_and_repeats_are_merged_where_that_is_asked(given: Given) -> None:
    """Greet, buy, buy, thanks, pay is buy, pay; what is small talk alone is in no path."""
    talk(given, "a", "greet", "buy", "buy", "Thank_You", "pay", "bye")
    talk(given, "b", "Small-Talk", "thanks")
    given.save()
    found = paths(given.store, given.scope, DAY, Filters(), merged=True)
    assert [(one.origin, one.target, one.count) for one in found.transitions] == [
        (None, "buy", 1),
        ("buy", "pay", 1),
        ("pay", None, 1),
    ]
    assert [(one.intents, one.conversations) for one in found.paths] == [(["buy", "pay"], 1)]
    assert (found.conversations, found.settled) == (1, 1)


def test_a_way_finds_its_conversations(given: Given) -> None:
    """By the number of the step: of five steps the fourth is the last that is told."""
    talk(given, "a", "hello", "buy", "pay")
    talk(given, "b", "look", "buy", "pay")
    talk(given, "c", "buy", "pay", "ship", "return", "buy")
    given.save()

    def named(way: str) -> list[str]:
        asked = conversations(given.store, given.scope, DAY, Filters(way=way)).items
        return sorted(item.conversation_id for item in asked)

    assert named("1 buy \u2192 pay") == ["a", "c"]
    assert named("2 pay \u2192 (end)") == ["a"]
    assert named("4 return \u2192 (end)") == ["c"]
    found = ways_of(given.store, given.scope, DAY, Filters())
    assert found.settled == 3
    assert {tuple(one.steps): one.conversations for one in found.items} == {
        ("buy", "pay"): 1,
        ("look", "buy", "pay"): 1,
        ("buy", "pay", "ship", "return"): 1,
    }


def test_long_paths_are_cut_and_say_so(given: Given) -> None:
    """Twelve intents and eleven share their first ten; exactly ten are not longer."""
    names = [f"i{number:02}" for number in range(12)]
    talk(given, "a", *names)
    talk(given, "b", *names[:11])
    talk(given, "c", *names[:10])
    found = ways(given).paths
    assert [(one.intents, one.longer, one.conversations) for one in found] == [
        (names[:10], True, 2),
        (names[:10], False, 1),
    ]


def test_an_open_conversation_has_no_end_yet(given: Given) -> None:
    """At 12:10 a conversation of 12:00 goes on: its start is known, neither end nor whole path."""
    talk(given, "a", "greet", "buy")
    given.save()
    found = paths(given.store, given.scope, replace(DAY, now=at(600)), Filters())
    assert [(one.origin, one.target) for one in found.transitions] == [
        (None, "greet"),
        ("greet", "buy"),
    ]
    assert [one.outcomes.open for one in found.transitions] == [1, 1]
    assert (found.paths, found.conversations, found.settled) == ([], 1, 0)


def test_a_limit_tells_how_many_are_left_out_and_keeps_the_shares(given: Given) -> None:
    """Of five transitions two are listed, of two paths both; shares are of all departures."""
    talk(given, "a", "greet", "buy")
    talk(given, "b", "greet")
    found = ways(given, limit=2)
    assert [(one.target, one.count, one.share) for one in found.transitions] == [
        ("greet", 2, 1.0),
        (None, 1, 1.0),
    ]
    assert (found.transitions_not_listed, found.paths_not_listed) == (2, 0)
    assert ways(given, limit=1).paths_not_listed == 1


def test_paths_are_those_of_the_conversations_that_filters_let_through(given: Given) -> None:
    """Agent shop has one conversation, of which a turn belongs to another agent: it is whole."""
    given.turn("a", 0, intent="buy", agent="shop")
    given.turn("a", 10, intent="pay", agent="till")
    given.turn("b", 0, intent="help", agent="help")
    assert [one.intents for one in ways(given, filters=Filters(agent="shop")).paths] == [
        ["buy", "pay"]
    ]


@pytest.mark.parametrize("limit", [0, 201])
def test_a_limit_out_of_range_is_refused(given: Given, limit: int) -> None:
    """The field is named."""
    with pytest.raises(QueryError) as raised:
        ways(given, limit)
    assert raised.value.field == "limit"


def test_every_one_of_very_many_intents_has_its_name(given: Given) -> None:
    """However many there are: 1,030 conversations of an intent each, and one that stays with it."""
    for number in range(1030):
        talk(given, f"c{number}", f"i{number:04}")
    talk(given, "d", "i1029", "i1029", "i1029")
    found = ways(given, limit=200)
    assert len(found.transitions) + found.transitions_not_listed == 2 * 1030 + 1
    ways_of = {(one.origin, one.target): one.count for one in found.transitions}
    assert ways_of["i1029", "i1029"] == ways_of[None, "i1029"] == ways_of["i1029", None] == 2


# Switched


def test_switched_counts_turns_that_another_intent_followed(given: Given) -> None:
    """Buy, buy, (none), pay, buy: of three buys one is followed by another intent, pay by buy.

    The last turn is followed by nothing; in another conversation buy stays buy.
    """
    talk(given, "a", "buy", "buy", "", "pay", "buy")
    talk(given, "b", "buy", "buy")
    given.save()
    found = intents(given.store, given.scope, DAY, Filters()).items
    assert [(one.name, one.turns, one.switched, one.switched_rate) for one in found] == [
        ("buy", 5, 1, 0.2),
        ("pay", 1, 1, 1.0),
    ]


def test_switched_takes_the_turns_that_match_and_what_follows_them(given: Given) -> None:
    """Only the shop's buy is asked about; pay, which follows it, is another agent's."""
    given.turn("a", 0, intent="buy", agent="shop")
    given.turn("a", 10, intent="pay", agent="till")
    given.turn("a", 20, intent="buy", agent="till")
    given.save()
    (found,) = intents(given.store, given.scope, DAY, Filters(agent="shop")).items
    assert (found.name, found.turns, found.switched) == ("buy", 1, 1)


# Incomplete


def test_incomplete_conversations_were_neither_ended_resolved_nor_handed_off(given: Given) -> None:
    """Abandoned, failed and handed off without an end; not the ended nor the resolved."""
    talk(given, "abandoned", "buy", "pay")
    given.turn("abandoned", 60, fallback=True)
    given.event("workflow.started", "abandoned", 70, workflow="shop", step="order")
    given.turn("failed", 100, status="error", agent="shop", channel="web")
    given.turn("handed", 200, handoff=True)
    given.turn("resolved", 300)
    given.turn("ended", 400, fallback=True)
    given.event("conversation.end", "ended", 401, outcome="abandoned")
    given.save()
    found = incomplete(given.store, given.scope, DAY, Filters())
    assert (found.total, found.next_cursor) == (2, None)
    assert [
        (one.conversation_id, one.outcome, one.last_intent, one.workflow, one.step, one.turns)
        for one in found.items
    ] == [
        ("failed", "failed", "", None, None, 1),
        ("abandoned", "abandoned", "pay", "shop", "order", 3),
    ]
    assert [one.last_at for one in found.items] == [at(101), at(61)]
    assert (found.items[0].agent, found.items[0].channel) == ("shop", "web")


def test_incomplete_conversations_come_in_pages(given: Given) -> None:
    """Five, two to a page, two of them of the same moment: each once, the total on every page."""
    for name, seconds in (("a", 0), ("b", 0), ("c", 5), ("d", 7), ("e", 9)):
        given.turn(name, seconds, fallback=True)
    given.save()
    pages, cursor = [], None
    while not pages or cursor:
        page = incomplete(given.store, given.scope, DAY, Filters(), 2, cursor)
        pages.append([one.conversation_id for one in page.items])
        assert page.total == 5
        cursor = page.next_cursor
    assert pages == [["e", "d"], ["c", "a"], ["b"]]


def test_without_data_there_are_empty_lists_and_nulls(given: Given) -> None:
    """Nowhere an error, nowhere a rate of 0."""
    found = ways(given)
    assert (found.transitions, found.paths, found.conversations) == ([], [], 0)
    page = incomplete(given.store, given.scope, DAY, Filters())
    assert (page.items, page.total, page.next_cursor) == ([], 0, None)


def test_journeys_by_their_addresses(store: Store, given: Given) -> None:
    """The names in JSON, parameters among them; errors name the field."""
    talk(given, "a", "buy", "pay", agent=given.tenant)
    given.turn("a", 90, fallback=True, agent=given.tenant)
    given.event("intent", "a", 0, intent="FindBus", source="annotation")
    given.save()
    client = TestClient(create_app(store, ServerSettings()), base_url="http://127.0.0.1:8400")
    mine = FROM_TO | {"agent": given.tenant}

    def get(path: str, **parameters: object) -> dict[str, Any]:
        answer: dict[str, Any] = client.get(f"/api/v1/{path}", params=mine | parameters).json()
        return answer

    first = get("journeys/paths", limit=1)["transitions"][0]
    assert (first["from"], first["to"], first["outcomes"]["abandoned"]) == (None, "buy", 1)
    assert [one["intent"] for one in get("journeys/drop-off")["intents"]] == ["pay", "buy"]
    annotated = get("journeys/drop-off", source="annotation")["intents"]
    assert [one["intent"] for one in annotated] == ["FindBus"]
    assert get("journeys/incomplete", limit=1)["items"][0]["last_intent"] == "pay"
    assert get("workflows")["items"] == []
    assert get("repeat-contact", hours=2)["hours"] == 2
    for path, wrong in (
        ("journeys/paths", {"limit": 0}),
        ("journeys/drop-off", {"source": "x"}),
        ("journeys/incomplete", {"cursor": "x"}),
        ("repeat-contact", {"hours": 0}),
    ):
        assert get(path, **wrong)["error"]["field"] == next(iter(wrong))
