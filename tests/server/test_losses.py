"""What to fix first: intents and failing tools by how much resolution they cost."""

from __future__ import annotations

from datetime import timedelta

import pytest
from fastapi.testclient import TestClient

from otel_chat.server.figures.filters import Filters
from otel_chat.server.figures.window import Window
from otel_chat.server.questions.losses import Losses, losses
from tests.server.given import NOON, Given

WINDOW = Window(NOON - timedelta(days=1), NOON + timedelta(days=1), NOON + timedelta(days=2))


def chats(
    given: Given,
    name: str,
    many: int,
    resolved: int,
    *,
    intent: str,
    tool: str = "",
    ok: bool = True,
) -> None:
    """So many conversations, of which some are resolved and the rest end in an error."""
    for number in range(many):
        row = given.turn(
            f"{name} {number}", number, intent=intent,
            status="ok" if number < resolved else "error",
        )  # fmt: skip
        if tool:
            given.span(
                row["trace_id"], row["span_id"], number, operation="execute_tool", tool=tool,
                status_code="" if ok else "error",
            )  # fmt: skip


def ask(given: Given) -> Losses:
    return losses(given.store, given.scope, WINDOW, Filters())


def test_a_failing_tool_costs_what_its_other_conversations_are_resolved_more(given: Given) -> None:
    """By hand: 20 of 50 where it failed, 90 of 100 where it did not: (0.9 - 0.4) × 50 = 25."""
    chats(given, "well", 100, 90, intent="refund", tool="track_return")
    chats(given, "failed", 50, 20, intent="refund", tool="track_return", ok=False)
    chats(given, "none", 50, 45, intent="refund")
    given.save()
    found = ask(given)
    (tool,) = found.items
    assert (tool.kind, tool.name, tool.conversations, tool.others) == (
        "tool", "track_return", 50, 100,
    )  # fmt: skip
    assert (tool.lost, tool.points) == pytest.approx((25, 25 / 200))
    assert tool.lost_low < 25 < tool.lost_high
    assert tool.said == (
        "20 of 50 conversations in which track_return failed were resolved (40 %), in which it did"
        " not 90 %: (90 % - 40 %) × 50 = 25 resolutions, 12.5 points of all 200."
    )
    assert [one.conversation_id for one in tool.read] == ["failed 49", "failed 48", "failed 47"]


def test_an_intent_costs_what_all_others_are_resolved_more(given: Given) -> None:
    """Of 190, the most costly first: invoices are fewer, and lose more."""
    chats(given, "bad", 60, 30, intent="cancel")
    chats(given, "worse", 30, 3, intent="invoice")
    chats(given, "good", 100, 95, intent="greet")
    given.save()
    found = ask(given)
    invoice, cancel = found.items
    assert (invoice.name, cancel.name) == ("invoice", "cancel")
    assert cancel.lost == pytest.approx((98 / 130 - 30 / 60) * 60)
    assert invoice.lost == pytest.approx((125 / 160 - 3 / 30) * 30)
    assert found.unclear == 1  # greet, with more than the others


def test_what_chance_may_have_done_is_counted_and_not_named(given: Given) -> None:
    """45 of 50 against 46 of 50 is no loss; 10 conversations are too few."""
    chats(given, "one", 50, 45, intent="a")
    chats(given, "other", 50, 46, intent="b")
    chats(given, "few", 10, 0, intent="c")
    given.save()
    found = ask(given)
    assert (found.items, found.unclear, found.too_few) == ([], 2, 1)


def test_over_no_conversation_there_is_no_loss(given: Given) -> None:
    """An empty window has nothing to fix, and is no error."""
    found = ask(given)
    assert (found.settled, found.items) == (0, [])


def test_the_address_answers(client: TestClient) -> None:
    """It answers for a window of whatever there is."""
    assert client.get("/api/v1/recommendations/fixes").status_code == 200
