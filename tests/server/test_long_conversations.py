"""Conversations that are long: read page by page, and never more memory than for a short one."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING, Any

import pytest

from otel_chat.errors import QueryError
from otel_chat.server.questions.conversation import conversation
from otel_chat.server.questions.traces import conversation_traces
from otel_chat.server.store.limits import Limit
from tests.server.given import DAY, Given
from tests.server.pages.scenes import content
from tests.server.test_limits import limited

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi.testclient import TestClient

    from otel_chat.server.questions.conversation import Conversation
    from otel_chat.server.store import Store

TURNS = 100_000
ASKED = "from=2026-11-10&to=2026-11-12"
MEMORY = 300_000_000


def pages(given: Given, limit: int) -> Iterator[tuple[Conversation, dict[str, Any]]]:
    """The pages of the conversation `c`, each with its traces."""
    cursor = None
    while True:
        asked = (given.store, given.scope, DAY, "c", None, cursor, limit)
        page = conversation(*asked)
        yield page, conversation_traces(*asked)
        if page.next_cursor is None:
            return
        cursor = page.next_cursor


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 7, 1000])
def test_the_pages_of_a_conversation_are_the_whole_of_it(given: Given, limit: int) -> None:
    """Each turn, event and trace once and in order, with its number, intents and time.

    Turns and events share moments here; what is said of the whole is on each page.
    """
    turns = [given.turn(seconds=one, duration=0.5, page=f"/{one}") for one in (0, 0, 60, 120)]
    for one in turns:
        given.span(one["trace_id"], one["span_id"], 0.1)
        given.event(
            "intent.classified", trace_id=one["trace_id"], span_id=one["span_id"], intent="buy"
        )
    for seconds in (0, 30, 30, 60, 90, 500):
        given.event("action", seconds=seconds, action=f"at {seconds}", page="/end")
    given.save()
    (whole, traces), *more = pages(given, 1000)
    assert (more, len(whole.turns), len(whole.events), len(traces)) == ([], 4, 10, 4)
    found = list(pages(given, limit))
    assert len(found) >= min(14 / limit, 1)
    assert [one for page, _ in found for one in page.turns] == whole.turns
    assert [one for page, _ in found for one in page.events] == whole.events
    assert [one for page, _ in found for one in page.actions] == whole.actions
    assert [one for page, _ in found for one in page.times] == whole.times
    assert {key: one for _, some in found for key, one in some.items()} == traces
    assert [one.index for one in whole.turns] == [1, 2, 3, 4]
    assert all(page.summary == whole.summary for page, _ in found)
    assert all(page.pages_visited == ["/0", "/end", "/60", "/120"] for page, _ in found)


def test_a_page_ends_before_a_turn(given: Given) -> None:
    """What follows a turn is on its page, unless that alone is more than a page."""
    given.turn(seconds=0)
    given.event("action", seconds=1)
    given.turn(seconds=10)
    for seconds in range(11, 15):
        given.event("action", seconds=seconds)
    given.save()
    found = [(len(page.turns), len(page.events)) for page, _ in pages(given, 3)]
    assert found == [(1, 1), (1, 2), (0, 2)]


@pytest.mark.parametrize("cursor", ["x", "WzEsMiwzXQ"])
def test_a_cursor_from_elsewhere_is_refused(given: Given, cursor: str) -> None:
    """And so is a page of no size."""
    given.turn()
    given.save()
    with pytest.raises(QueryError):
        conversation(given.store, given.scope, DAY, "c", None, cursor)
    with pytest.raises(QueryError):
        conversation(given.store, given.scope, DAY, "c", limit=0)


def test_a_cursor_leads_through_its_own_conversation_alone(store: Store) -> None:
    """That of another one is refused, and so is that of another tenant's of the same id."""
    mine, others = Given(store), Given(store)
    for given, name in ((mine, "a"), (mine, "b"), (others, "a")):
        for seconds in (0, 10):
            given.turn(name, seconds)
    mine.save()
    others.save()

    def page(given: Given, name: str, cursor: str | None = None) -> Conversation:
        return conversation(store, given.scope, DAY, name, None, cursor, limit=1)

    cursor = page(mine, "a").next_cursor
    assert [turn.index for turn in page(mine, "a", cursor).turns] == [2]
    for given, name in ((mine, "b"), (others, "a")):
        with pytest.raises(QueryError) as refused:
            page(given, name, cursor)
        assert refused.value.field == "cursor"


FOUR_HUNDRED = 400
PAGE_BYTES = 200_000


def talk_of_400(given: Given) -> list[str]:
    """The spans of the turns of a conversation of which every fortieth fails."""
    spans = []
    for number in range(FOUR_HUNDRED):
        row = given.turn(
            seconds=40 * number,
            duration=4 if number == 250 else 1.5,
            status="error" if number % 40 == 7 else "ok",
            intent=("refund", "buy", "hours")[number % 3],
            confidence=0.9 if number % 9 else 0.2,
            response_model="gpt-4o-mini",
            cost="0.0042",
            input_tokens=300,
            output_tokens=40,
            input_messages=content("user", f"Where is my order {number}? I have waited for days."),
            output_messages=content(
                "assistant",
                f"Order {number} is on its way to you; it will come tomorrow before noon.\n\n"
                "- You can follow it on your page.\n- Is there **anything** else I can do?",
            ),
        )
        given.event("topic", seconds=40 * number + 1, trace_id=row["trace_id"], topic="orders")
        spans.append(row["span_id"])
    given.save()
    return spans


@pytest.mark.parametrize(("shown_as", "turns"), [("transcript", 100), ("trace", 50)])
def test_a_conversation_of_400_turns_opens_within_200_kb(
    client: TestClient, given: Given, shown_as: str, turns: int
) -> None:
    """A page of it; strip and counts are of the whole, and lead to turns of every page."""
    spans = talk_of_400(given)
    address = f"/conversations/c?view={shown_as}&tenant={given.tenant}"
    answer = client.get(address)
    assert len(answer.content) < PAGE_BYTES
    text = answer.text
    assert [span for span in spans if f'id="turn-{span}"' in text] == spans[:turns]
    assert "Where the time went in turns" in text
    assert re.search(r'data-jump="failed"[^>]*>.*?<b>10</b>', text)
    assert re.search(r'data-jump="slow"[^>]*>.*?<b>1</b>', text)
    failed = re.search(r'href="([^"]*)" data-jump="failed" data-later="([^"]*)"', text)
    assert failed is not None
    later = next(number for number in range(turns, FOUR_HUNDRED) if number % 40 == 7)
    assert failed[1] == f"#turn-{spans[7]}"
    assert failed[2].endswith(f"#turn-{spans[later]}")
    assert "Turns 249 to 252, slowest 4.0\u202fs, slow" in text
    slow = re.search(r'href="([^"]*)" data-jump="slow"', text)
    assert slow is not None
    there = client.get(html.unescape(slow[1])).text
    assert f'id="turn-{spans[250]}"' in there
    assert "From the beginning" in there


@pytest.fixture(scope="module")
def long(store: Store) -> Given:
    """A conversation of 100,000 turns, with half as many events of six kinds."""
    given = Given(store)
    bound = {"tenant": given.tenant, "turns": TURNS}
    store.command(
        """
        INSERT INTO turns (tenant, conversation_id, start, end, duration, trace_id, span_id, status,
            intent, confidence, handoff, page, input_messages, output_messages)
        SELECT {tenant:String}, 'long',
            toDateTime64('2026-11-10 00:00:00', 9, 'UTC') + number AS at, at + 1, 1,
            toFixedString(reverse(toString(number + 1e6)), 16),
            toFixedString(toString(number + 1e6), 8), 'ok',
            concat('intent-', toString(number % 90)),
            0.8, number % 50 = 0, concat('/', toString(number)),
            '[{"role":"user","parts":[{"type":"text","content":"where is my order?"}]}]',
            '[{"role":"assistant","parts":[{"type":"text","content":"On its way to you."}]}]'
        FROM numbers({turns:UInt64})
        """,
        bound,
    )
    store.command(
        """
        INSERT INTO events (tenant, conversation_id, time, uid, name, trace_id, action, topic,
            workflow, step, evaluation, score)
        SELECT {tenant:String}, 'long',
            toDateTime64('2026-11-10 00:00:00', 9, 'UTC') + number + 0.5, toString(number),
            ['otel_chat.action', 'otel_chat.topic', 'otel_chat.workflow.started',
             'otel_chat.workflow.completed', 'gen_ai.evaluation.result',
             'otel_chat.handoff.requested'][number % 6 + 1] AS named,
            toFixedString(reverse(toString(number + 1e6)), 16), 'buy', 'orders',
            if(named LIKE '%workflow%', 'w', ''), toString(number % 10), 'user_feedback',
            if(named LIKE 'gen%', 0.8, NULL)
        FROM numbers(intDiv({turns:UInt64}, 2))
        """,
        bound,
    )
    return given


STEPS = "step=turn&step=action:buy&step=topic"


@pytest.mark.parametrize(
    "path",
    [
        f"/api/v1/overview?{ASKED}",
        f"/api/v1/journeys/funnel?{ASKED}&{STEPS}",
        f"/api/v1/journeys/funnel?{ASKED}&{STEPS}&within=3600",
        f"/api/v1/journeys/paths?{ASKED}",
        f"/api/v1/journeys/drop-off?{ASKED}",
        f"/api/v1/workflows?{ASKED}",
        f"/api/v1/comparison?{ASKED}",
        f"/api/v1/exports/messages?{ASKED}",
        f"/api/v1/exports/analytics?{ASKED}",
        "/api/v1/conversations/long",
        "/api/v1/conversations/long/traces",
        "/conversations/long",
    ],
)
def test_a_conversation_of_100_000_turns_takes_300_mb_at_most(
    client: TestClient, long: Given, path: str
) -> None:
    """Any funnel, path, export or page over it, by the engine's own count of each question."""
    settling = long.store.question
    assert client.get(f"/api/v1/conversations?{ASKED}&conversation_id=long").status_code == 200
    with limited(long.store, Limit(MEMORY, settling.seconds * 10)):
        answer = client.get(path)
    assert answer.status_code == 200, answer.text
    assert len(answer.content) < 50_000_000


def test_links_to_a_turn_lead_to_its_page(client: TestClient, long: Given) -> None:
    """Wherever it is; from there on, further pages, and back to the beginning."""
    last = "31303939393939" + "00"  # the digits of 1099999
    page = client.get(f"/conversations/long?turn={last}&tenant={long.tenant}").text
    assert f'id="turn-{last}"' in page
    assert "From the beginning" in page
    assert "Later turns and events" not in page
    first = client.get(f"/conversations/long?tenant={long.tenant}").text
    assert "From the beginning" not in first
    assert "Later turns and events" in first
