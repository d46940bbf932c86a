"""Filters and columns that the feature map promises, each tried where the documents have it."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from otel_chat.server.figures.filters import Filters
from otel_chat.server.figures.window import Window
from otel_chat.server.questions import exports
from otel_chat.server.questions.engagement import segments
from otel_chat.server.questions.overview import series
from tests.server.given import DAY, Given, at

EXPORTS = {
    "sessions": exports.export_sessions,
    "messages": exports.export_messages,
    "analytics": exports.export_analytics,
}
NOW = Window(DAY.start, DAY.end, at(5400))


@pytest.fixture
def three(given: Given) -> Given:
    """A client's conversation, a provider's and, an hour later, an anonymous one still open."""
    given.turn(
        "c", 0, user_type="client", platform="ios", location="Porto", context_size=900, intent="buy"
    )
    given.turn("p", 60, user_type="provider", platform="web", location="Lyon", intent="pay")
    given.turn("a", 5000, user_type="anonymous", platform="web", location="Lyon", intent="buy")
    given.save()
    return given


def ids(given: Given, kind: str, window: Window = NOW, **filters: Any) -> list[str]:
    """The conversations of an export."""
    rows = EXPORTS[kind](given.store, given.scope, window, Filters(**filters), "jsonl")
    return [json.loads(row)["conversation_id"] for row in b"".join(rows).splitlines()]


@pytest.mark.parametrize("kind", EXPORTS)
def test_exports_are_limited_by_user_type_state_conversation_and_time(
    three: Given, kind: str
) -> None:
    """Each takes all of these; a message counts by its own time, here in the same hour."""
    each = 2 if kind == "messages" else 1  # the user's and the reply
    assert ids(three, kind) == ["c"] * each + ["p"] * each + ["a"] * each
    for user_type, name in (("client", "c"), ("provider", "p"), ("anonymous", "a")):
        assert ids(three, kind, user_type=user_type) == [name] * each
    assert ids(three, kind, state="open") == ["a"] * each
    assert ids(three, kind, state="settled") == ["c"] * each + ["p"] * each
    assert ids(three, kind, conversation_id="p") == ["p"] * each
    hour = timedelta(hours=1)
    assert ids(three, kind, Window(at(0), at(0) + hour, at(5400))) == ["c"] * each + ["p"] * each
    assert ids(three, kind, Window(at(0) + hour, DAY.end, at(5400))) == ["a"] * each


def test_platform_location_and_context_are_exported_and_counted(three: Given) -> None:
    """As columns of interactions, and conversations by place."""
    rows = exports.export_interactions(three.store, three.scope, NOW, Filters(), "jsonl")
    found = [json.loads(row) for row in b"".join(rows).splitlines()]
    assert [(row["platform"], row["location"]) for row in found] == [
        ("ios", "Porto"), ("web", "Lyon"), ("web", "Lyon"),
    ]  # fmt: skip
    assert [row["context_size"] for row in found] == [900, None, None]
    assert found[0]["started_at"].startswith("2026-11-10T12:00:00")
    for dimension, told in (
        ("location", [("Lyon", 2), ("Porto", 1)]),
        ("platform", [("web", 2), ("ios", 1)]),
    ):
        parts = segments(three.store, three.scope, NOW, Filters(), dimension)  # type: ignore[arg-type]
        assert [(one.name, one.conversations) for one in parts.items] == told


def test_an_intent_over_time_is_the_series_of_its_turns(three: Given) -> None:
    """Buy at noon and at 13:23."""
    found = series(three.store, three.scope, NOW, Filters(intent="buy"), "1h")
    assert {point.start: point.turns for point in found.points if point.turns} == {
        at(0): 1,
        at(3600): 1,
    }
