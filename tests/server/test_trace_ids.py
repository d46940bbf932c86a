"""Ids are any bytes: one that ends in zeros is as good as another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from otel_chat.server.figures.filters import Filters
from otel_chat.server.questions.conversation import conversation
from otel_chat.server.questions.interactions import interaction, interactions
from otel_chat.server.questions.slow_turns import slowest
from otel_chat.server.questions.traces import conversation_traces, trace
from tests.server.given import DAY

if TYPE_CHECKING:
    from tests.server.given import Given

NONE = Filters()
IDS = ("a" * 30 + "00", "b" * 28 + "0000", "00" + "c" * 30, "d" * 30 + "20", "e" * 30 + "0d")


@pytest.mark.parametrize("trace_id", IDS)
def test_a_trace_is_found_whatever_its_id(given: Given, trace_id: str) -> None:
    """A turn with an intent and a span inside, found from every side."""
    span_id = f"{trace_id[-8:]}11111100"
    given.turn("c", 0, 2.0, trace_id=trace_id, span_id=span_id)
    given.turn("c", 10, 1.0)
    given.event("intent", "c", 1, intent="leave", trace_id=trace_id, span_id=span_id)
    given.event("intent", "c", 2, intent="elsewhere")
    given.event("intent", "c", 3, intent="odd", trace_id="ab" * 20)
    given.span(trace_id, span_id, 0.5, operation="chat")
    given.save()
    asked = (given.store, given.scope, DAY)
    listed = interactions(*asked, NONE).items
    assert [one.trace_id for one in listed][1:] == [trace_id]
    assert [[one.name for one in turn.intents] for turn in listed] == [[], ["leave"]]
    assert interaction(*asked, f"{trace_id}-{span_id}") == listed[1]
    assert [span.name for span in trace(*asked, trace_id).spans if not span.turn] == [""]
    traces = conversation_traces(*asked, "c")
    assert len(traces[trace_id].spans) == 2
    told = conversation(*asked, "c")
    assert [one.name for one in told.turns[0].intents] == ["leave"]
    assert told.times[0].model == 1.0
    (slow, _) = slowest(*asked, NONE).items
    assert (slow.trace_id, slow.split.model) == (trace_id, 1.0)
