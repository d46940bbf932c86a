from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.trace import ReadableSpan

from otel_chat._common.moments import nanoseconds
from otel_chat.demo.classifier import intent_classifier
from otel_chat.demo.tokenizer import count_tokens
from otel_chat.replay.player import BATCH_TURNS, Player, Voice
from otel_chat.replay.schedule import Schedule
from otel_chat.replay.transcripts import Transcript

START = datetime(2026, 3, 2, 9, tzinfo=UTC)


@dataclass
class Kept:
    """Takes batches instead of a server."""

    spans: list[ReadableSpan] = field(default_factory=list)
    logs: list[ReadableLogRecord] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)

    def send(self, spans: list[ReadableSpan], events: list[ReadableLogRecord]) -> None:
        """Keeps a batch."""
        self.spans += spans
        self.logs += events
        self.batches.append(len(spans))

    def turns(self) -> list[dict[str, Any]]:
        """The attributes of the turns, by start."""
        spans = sorted(self.spans, key=lambda span: span.start_time or 0)
        return [dict(span.attributes or {}) for span in spans]

    def events(self, name: str) -> list[dict[str, Any]]:
        """The attributes of the events of that name."""
        records = [found.log_record for found in self.logs]
        return [dict(r.attributes or {}) for r in records if r.event_name == name]


def talk(*lines: dict[str, Any], **fields: Any) -> Transcript:
    turns = [{"speaker": "user", "text": "hello", **line} for line in lines]
    return Transcript.model_validate({"conversation_id": "c-1", **fields, "turns": turns})


def replayed(*transcripts: Transcript) -> Kept:
    kept = Kept()
    with Player(Voice("archive", "some-model", "voice"), Schedule(), kept) as player:  # type: ignore[arg-type]
        for transcript in transcripts:
            player.play(transcript)
        player.deliver()
    return kept


def system(text: str = "hi", **fields: Any) -> dict[str, Any]:
    return {"speaker": "system", "text": text, **fields}


def test_what_is_measured_is_the_classifiers_and_the_tokenizers() -> None:
    """Intent and confidence come from the classifier, tokens from the tokenizer, with context."""
    said, reply, more = "where is my parcel?", "On its way.", "thanks"
    kept = replayed(talk({"text": said}, system(reply), {"text": more}))
    first, second = kept.turns()
    found = intent_classifier().classify(said)
    assert first["otel_chat.intent.name"] == found.intent
    assert first["otel_chat.confidence"] == pytest.approx(found.confidence)
    asked, written = count_tokens(said), count_tokens(reply)
    assert first["otel_chat.usage.input_tokens"] == asked
    assert first["otel_chat.usage.output_tokens"] == written
    assert second["otel_chat.usage.input_tokens"] == asked + written + count_tokens(more)
    assert first["gen_ai.agent.name"] == "archive"
    assert first["gen_ai.request.model"] == "some-model"
    assert first["otel_chat.channel"] == "voice"
    assert json.loads(first["gen_ai.output.messages"])[0]["parts"][0]["content"] == reply
    assert "gen_ai.output.messages" not in second


def test_annotations_are_kept_beside_the_classifiers_own() -> None:
    """Intents, acts, service calls and services are events with source = annotation."""
    kept = replayed(
        talk(
            {"intents": ["FindBus", "BuyBusTicket"], "acts": ["INFORM"]},
            system(acts=["OFFER", "CONFIRM"], service_calls=["FindBus"]),
            services=["Buses_1"],
        )
    )
    intents = kept.events("otel_chat.intent")
    by_source = [(e["otel_chat.source"], e["otel_chat.intent.name"]) for e in intents]
    assert by_source[1:] == [("annotation", "FindBus"), ("annotation", "BuyBusTicket")]
    assert by_source[0][0] == "classifier"
    assert ["otel_chat.confidence" in e for e in intents] == [True, False, False]
    [topic] = kept.events("otel_chat.topic")
    assert (topic["otel_chat.topic.name"], topic["otel_chat.source"]) == ("Buses_1", "annotation")
    [action] = kept.events("otel_chat.action")
    assert (action["otel_chat.action.type"], action["otel_chat.source"]) == (
        "FindBus",
        "annotation",
    )
    [acts] = kept.events("otel_chat.custom")
    assert json.loads(acts["otel_chat.data"]) == {
        "user": ["INFORM"],
        "assistant": ["OFFER", "CONFIRM"],
    }


def test_a_turn_without_annotation_is_no_fallback() -> None:
    """A missing or empty list of intents says nothing about whether the turn was understood."""
    kept = replayed(talk({"text": "zxcv"}, system(), {"text": "qqq", "intents": []}, system()))
    assert [turn["otel_chat.fallback"] for turn in kept.turns()] == [False, False]


def test_messages_that_are_no_part_of_a_turn_are_kept() -> None:
    """A greeting, a second reply and a human's words are messages, with their annotations."""
    kept = replayed(
        talk(
            system("welcome", acts=["GREET"]),
            {"text": "one"},
            {"text": "two"},
            system("reply"),
            system("second", service_calls=["Book"]),
            {"speaker": "human", "text": "Noor here"},
            services=["Shop"],
        )
    )
    assert len(kept.turns()) == 2
    messages = kept.events("otel_chat.message")
    assert [(m["otel_chat.message.sender"], m["otel_chat.message.text"]) for m in messages] == [
        ("assistant", "welcome"),
        ("assistant", "second"),
        ("human", "Noor here"),
    ]
    assert {m["gen_ai.conversation.id"] for m in messages} == {"c-1"}
    [action] = kept.events("otel_chat.action")
    assert action["gen_ai.conversation.id"] == "c-1"
    assert len(kept.events("otel_chat.topic")) == 1
    assert len(kept.events("otel_chat.custom")) == 1
    assert len(kept.events("otel_chat.conversation.start")) == 1
    assert kept.events("otel_chat.conversation.end") == []


def test_times_of_the_file_are_the_turns_times() -> None:
    """A turn begins with the user's message and lasts until the reply's time; else the work's."""
    kept = replayed(
        talk(
            {"time": START},
            system(time=START + timedelta(seconds=2.5)),
            {"time": START + timedelta(seconds=60)},
            system(),
        )
    )
    first, second = kept.spans
    assert (first.start_time, first.end_time) == (
        nanoseconds(START),
        nanoseconds(START) + 2_500_000_000,
    )
    assert second.start_time == nanoseconds(START + timedelta(seconds=60))
    assert second.end_time is not None
    assert 0 < second.end_time - second.start_time < 10e9


def identities(kept: Kept) -> Counter[Any]:
    """What the store knows spans and events by, times included."""
    found: Counter[Any] = Counter()
    for span in kept.spans:
        assert span.context is not None
        found[span.context.trace_id, span.context.span_id, span.start_time] += 1
    for log in kept.logs:
        record = log.log_record
        assert record.attributes is not None
        found[record.event_name, record.attributes["log.record.uid"], record.timestamp] += 1
    return found


def test_a_replay_again_has_the_same_ids_and_times() -> None:
    """Spans and events of a second replay are those of the first, whatever else is in the file."""
    conversation = talk({}, system(), {}, {}, system(), system(), services=["A", "B"])
    other = talk({}, conversation_id="c-2")
    first = identities(replayed(conversation))
    assert set(first.values()) == {1}
    assert identities(replayed(other, conversation)) - identities(replayed(other)) == first


def test_a_long_conversation_leaves_in_bounded_batches() -> None:
    """What waits to be sent never grows beyond a batch, however long a conversation is."""
    count = BATCH_TURNS * 2 + 10
    kept = replayed(talk(*[{}] * count))
    assert kept.batches == [BATCH_TURNS, BATCH_TURNS, 10]
    assert len(kept.spans) == count
