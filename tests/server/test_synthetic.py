"""Synthetic turns, as `otel-chat doctor` sends them: stored, found by their id, in no figure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from otel_chat import semconv
from otel_chat.server.figures.filters import Filters
from otel_chat.server.questions.conversation import conversation
from otel_chat.server.questions.conversations import conversations
from otel_chat.server.questions.interactions import interaction, interactions
from otel_chat.server.questions.overview import overview
from otel_chat.server.questions.traces import trace
from tests.server.given import DAY

if TYPE_CHECKING:
    from tests.server.given import Given

MARKED = {"attributes": {semconv.SYNTHETIC: "true"}}


@pytest.fixture(name="doctor")
def _doctor(given: Given) -> str:
    """The trace of a synthetic turn, beside a real one of another conversation."""
    given.turn("real", 0)
    turn = given.turn("doctor-1", 10, **MARKED)
    given.event("message", "doctor-1", 10, sender="user", **MARKED)
    given.save()
    return str(turn["trace_id"])


def test_it_is_in_no_row_and_no_sum(given: Given, doctor: str) -> None:
    """Neither as a turn nor as a conversation, nor what it told."""
    page = conversations(given.store, given.scope, DAY, Filters())
    assert [one.conversation_id for one in page.items] == ["real"]
    figures = overview(given.store, given.scope, DAY, Filters())
    assert (figures.conversations, figures.turns, figures.messages) == (1, 1, 2)
    listed = interactions(given.store, given.scope, DAY, Filters()).items
    assert [one.conversation_id for one in listed] == ["real"]


def test_it_is_found_by_its_id(given: Given, doctor: str) -> None:
    """The conversation with its turn and event, the turn by itself, and the trace."""
    found = conversation(given.store, given.scope, DAY, "doctor-1")
    assert (found.summary.turns, len(found.turns), len(found.events)) == (1, 1, 1)
    assert interaction(given.store, given.scope, DAY, found.turns[0].id).trace_id == doctor
    assert [span.turn for span in trace(given.store, given.scope, DAY, doctor).spans] == [True]
