"""Conversations: the list with its pages, one in detail, traces as trees."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from otel_chat.errors import AccessError, QueryError
from otel_chat.server.access import ANALYTICS_VIEW, Scope
from otel_chat.server.figures.filters import Filters
from otel_chat.server.questions.conversation import conversation
from otel_chat.server.questions.conversations import conversations
from otel_chat.server.questions.traces import conversation_traces, trace
from tests.server.given import DAY, Given, at


def listed(given: Given, window=DAY, **options) -> list[str]:
    page = conversations(given.store, given.scope, window, Filters(), **options)
    return [one.conversation_id for one in page.items]


def test_a_summary_says_what_there_was(given: Given) -> None:
    """Two turns of 2 and 4 s, the second failed, tokens and cost on one of them."""
    given.turn(
        "a", 0, 2, agent="shop", channel="web", user_type="client", intent="buy",
        input_tokens=10, output_tokens=5, cost="0.5", response_model="large",
    )  # fmt: skip
    given.turn("a", 10, 4, agent="shop", intent="pay", fallback=True, status="error")
    given.event("action", "a", 20, action="link")
    given.save()
    (found,) = conversations(given.store, given.scope, DAY, Filters()).items
    assert (found.agent, found.channel, found.user_type) == ("shop", "web", "client")
    assert (found.started_at, found.last_at, found.duration) == (at(0), at(14), 14)
    assert (found.turns, found.messages) == (2, 3)
    assert (found.intents, found.last_intent) == (["buy", "pay"], "pay")
    assert (found.models, found.mean_response_time) == (["large"], 2.0)
    assert found.tokens.model_dump() == {"input": 10, "output": 5, "total": 15}
    assert (found.cost, found.errors, found.fallbacks, found.actions) == (Decimal("0.5"), 1, 1, 1)


def test_without_tokens_or_price_a_summary_has_null(given: Given) -> None:
    """Nobody said what it cost: null and not 0."""
    given.turn()
    given.save()
    (found,) = conversations(given.store, given.scope, DAY, Filters()).items
    assert (found.tokens.total, found.cost) == (None, None)


def test_the_newest_come_first_and_ties_by_tenant_and_id(given: Given) -> None:
    """Two that start in the same moment stand by their names."""
    given.turn("late", 100)
    given.turn("tie-b", 50)
    given.turn("tie-a", 50)
    given.turn("early", 0)
    given.save()
    assert listed(given) == ["late", "tie-a", "tie-b", "early"]


def test_what_returns_after_days_is_listed_once_where_it_began(given: Given) -> None:
    """A conversation of eight days with a long pause is older than one of the day before."""
    given.turn("returning", -8 * 86400)
    given.turn("yesterday", -86400)
    given.turn("returning", 0)
    given.turn("today", 10)
    given.save()
    window = replace(DAY, start=DAY.end - timedelta(days=30))
    assert listed(given, window) == ["today", "yesterday", "returning"]
    pages = [listed(given, window, limit=1)]
    cursor = conversations(given.store, given.scope, window, Filters(), limit=1).next_cursor
    while cursor:
        page = conversations(given.store, given.scope, window, Filters(), 1, cursor)
        pages.append([one.conversation_id for one in page.items])
        cursor = page.next_cursor
    assert pages == [["today"], ["yesterday"], ["returning"]]
    (oldest,) = page.items
    assert (oldest.turns, oldest.started_at) == (2, at(-8 * 86400))


def test_a_page_has_fifty_and_at_most_two_hundred(given: Given) -> None:
    """Fifty without a word; 201 are refused; the cursor leads on to the rest."""
    for index in range(60):
        given.turn(f"c-{index:02}", index)
    given.save()
    first = conversations(given.store, given.scope, DAY, Filters())
    assert len(first.items) == 50
    rest = conversations(given.store, given.scope, DAY, Filters(), cursor=first.next_cursor)
    assert [one.conversation_id for one in rest.items] == [f"c-{i:02}" for i in range(9, -1, -1)]
    assert rest.next_cursor is None
    with pytest.raises(QueryError, match="1 to 200"):
        conversations(given.store, given.scope, DAY, Filters(), limit=201)


@pytest.mark.parametrize(
    "name", ["a/b", "é ü", "'; DROP TABLE turns; --", "a\tb\\n", '"{x:String}', "%"]
)
def test_any_id_is_found_again(given: Given, name: str) -> None:
    """Ids are data: quotes, slashes, tabs and braces go through unharmed."""
    given.turn(name)
    given.turn("other")
    given.save()
    assert conversation(given.store, given.scope, DAY, name).summary.conversation_id == name
    found = conversations(given.store, given.scope, DAY, Filters(conversation_id=name)).items
    assert [one.conversation_id for one in found] == [name]


def test_a_transcript_has_its_turns_and_events_in_order(given: Given) -> None:
    """By their own time, whatever order they came in; intents stand with their turn."""
    said = '[{"role": "user", "parts": [{"type": "text", "content": "%s"}]}]'
    reply = '[{"role": "assistant", "parts": [{"type": "text", "content": "%s"}]}]'
    second = given.turn("a", 60, input_messages=said % "Bye", output_messages=reply % "So long")
    first = given.turn("a", 0, input_messages=said % "Hi", output_messages=reply % "Hello")
    inside = {"trace_id": first["trace_id"], "span_id": first["span_id"]}
    given.event("intent", "a", 1, intent="greet", confidence=0.9, source="classifier", **inside)
    given.event("intent", "a", 2, intent="greeting", source="annotation", **inside)
    given.event("message", "a", 30, sender="system", text="One moment")
    given.save()
    found = conversation(given.store, given.scope, DAY, "a")
    assert [(one.index, one.user_message, one.reply) for one in found.turns] == [
        (1, "Hi", "Hello"),
        (2, "Bye", "So long"),
    ]
    assert [one.trace_id for one in found.turns] == [first["trace_id"], second["trace_id"]]
    assert [(one.name, one.confidence, one.source) for one in found.turns[0].intents] == [
        ("greet", 0.9, "classifier"),
        ("greeting", None, "annotation"),
    ]
    assert [one.text for one in found.events] == [None, None, "One moment"]
    assert found.events[2].details["sender"] == "system"


def test_a_conversation_tells_pages_and_actions(given: Given) -> None:
    """The pages of all turns and events as they were visited; what was done, with its data."""
    given.turn("a", 0, page="/cart")
    given.turn("a", 60, page="/help")
    given.turn("a", 120, page="/cart")
    given.event("custom", "a", 30, event_name="page_view", page="/pay")
    given.event("action", "a", 70, action="link_click", data='{"url": "https://shop.example"}')
    given.event("action", "a", 80, action="service_view")
    given.event("action", "a", 90, action="cut", data='{"url": "htt')
    given.save()
    found = conversation(given.store, given.scope, DAY, "a")
    assert found.pages_visited == ["/cart", "/pay", "/help"]
    assert [(one.time, one.type, one.data) for one in found.actions] == [
        (at(70), "link_click", {"url": "https://shop.example"}),
        (at(80), "service_view", None),
        (at(90), "cut", '{"url": "htt'),
    ]
    viewer = Scope(frozenset({given.tenant}), frozenset({ANALYTICS_VIEW}))
    kept_back = conversation(given.store, viewer, DAY, "a")
    assert [(one.type, one.data) for one in kept_back.actions] == [
        ("link_click", None), ("service_view", None), ("cut", None),
    ]  # fmt: skip


def test_a_history_of_messages_shows_the_last_of_the_user(given: Given) -> None:
    """Other instrumentations send the whole history along with every call."""
    history = (
        '[{"role": "system", "content": "Be kind"}, {"role": "user", "content": "One"},'
        ' {"role": "assistant", "content": "Yes"}, {"role": "user", "content": "Two"}]'
    )
    given.turn("a", input_messages=history, output_messages="not JSON", foreign=True)
    given.save()
    (found,) = conversation(given.store, given.scope, DAY, "a").turns
    assert (found.user_message, found.reply, found.foreign) == ("Two", None, True)


def test_a_conversation_is_found_whenever_it_was(given: Given) -> None:
    """The window says when it is asked about, not when it happened."""
    given.turn("old", -400 * 86400)
    given.save()
    assert conversation(given.store, given.scope, DAY, "old").summary.turns == 1


def test_a_conversation_that_is_not_there_is_404(given: Given) -> None:
    """And so is a trace."""
    with pytest.raises(AccessError) as raised:
        conversation(given.store, given.scope, DAY, "nothing")
    assert raised.value.status == 404
    with pytest.raises(AccessError) as raised:
        trace(given.store, given.scope, DAY, "f" * 32)
    assert raised.value.status == 404


def test_the_same_id_in_two_tenants_is_two_conversations(given: Given) -> None:
    """Whoever sees both names the tenant."""
    other = Given(given.store)
    given.turn("same", 0)
    other.turn("same", 10)
    other.turn("same", 20)
    given.save()
    other.save()
    both = Scope(frozenset({given.tenant, other.tenant}), given.scope.permissions)
    found = conversations(given.store, both, DAY, Filters()).items
    assert [(one.tenant, one.turns) for one in found] == [(other.tenant, 2), (given.tenant, 1)]
    one = conversation(given.store, both, DAY, "same", tenant=other.tenant)
    assert (one.summary.tenant, len(one.turns)) == (other.tenant, 2)


def test_a_trace_is_a_tree_with_children_after_their_parents(given: Given) -> None:
    """By time among siblings; depth and offset as they are; a lost parent makes a root."""
    turn = given.turn("a", 0, 5, agent="shop")
    ids = (turn["trace_id"], turn["span_id"])
    tool = given.span(*ids, 2, name="execute_tool stock", kind="internal", tool="stock")
    model = given.span(*ids, 1, name="chat large", kind="client", operation="chat")
    inner = given.span(ids[0], tool["span_id"], 2.5, name="GET", status_code="error")
    lost = given.span(ids[0], "f" * 16, 3, name="lost")
    given.save()
    found = trace(given.store, given.scope, DAY, ids[0].upper())
    assert [(one.span_id, one.depth, one.offset) for one in found.spans] == [
        (ids[1], 0, 0.0),
        (model["span_id"], 1, 1.0),
        (tool["span_id"], 1, 2.0),
        (inner["span_id"], 2, 2.5),
        (lost["span_id"], 0, 3.0),
    ]
    assert (found.conversation_id, found.turn_span_id) == ("a", ids[1])
    assert found.spans[0].turn
    assert found.spans[3].status == "error"
    assert found.spans[2].attributes["gen_ai.tool.name"] == "stock"


def test_spans_in_a_ring_are_all_shown_once(given: Given) -> None:
    """Two spans that name each other as parents have no root, and end nothing."""
    turn = given.turn("a")
    one = given.span(turn["trace_id"], "", 1)
    two = given.span(turn["trace_id"], one["span_id"], 2)
    one["parent_span_id"] = two["span_id"]
    given.save()
    found = trace(given.store, given.scope, DAY, turn["trace_id"])
    assert sorted(one.span_id for one in found.spans) == sorted(
        [turn["span_id"], one["span_id"], two["span_id"]]
    )


def test_the_traces_of_a_conversation_come_together(given: Given) -> None:
    """By trace id, each with its spans."""
    first, second = given.turn("a", 0), given.turn("a", 60)
    given.turn("b", 30)
    given.span(second["trace_id"], second["span_id"], 60.2, name="chat")
    given.save()
    found = conversation_traces(given.store, given.scope, DAY, "a")
    assert {key: len(one.spans) for key, one in found.items()} == {
        first["trace_id"]: 1,
        second["trace_id"]: 2,
    }


def test_without_the_right_to_read_attributes_of_unknown_meaning_stay_back(given: Given) -> None:
    """Technical names are shown to a viewer; whatever else a library wrote is not."""
    turn = given.turn("a")
    written = {"gen_ai.prompt.0.content": "my secret", "http.request.method": "GET"}
    given.span(turn["trace_id"], turn["span_id"], 0.1, name="chat", attributes=written)
    given.save()
    viewer = Scope(frozenset({given.tenant}), frozenset({ANALYTICS_VIEW}))
    seen = trace(given.store, viewer, DAY, turn["trace_id"]).spans[1].attributes
    assert seen == {"http.request.method": "GET"}
    read = trace(given.store, given.scope, DAY, turn["trace_id"]).spans[1].attributes
    assert read == written
