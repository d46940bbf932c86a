"""Conversations, messages and feedback outside a turn."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from otel_chat import Config, ConfigurationError, conversation, feedback, message, turn
from otel_chat import semconv as sc
from otel_chat.testing import Telemetry


def names(telemetry: Telemetry) -> list[str]:
    return [event.name for event in telemetry.events()]


def test_turns_take_the_conversation_over(telemetry: Telemetry) -> None:
    """A turn inside has the conversation's id, agent and fields; its own win."""
    with conversation("c-1", agent="support", channel="web", user_type="client"):
        with turn():
            pass
        with turn("other", channel="voice"):
            pass
    one, two = telemetry.turns
    assert (one["conversation_id"], one["agent"], one["channel"]) == ("c-1", "support", "web")
    assert (two["conversation_id"], two["agent"], two["channel"]) == ("c-1", "other", "voice")
    assert two["user_type"] == "client"


def test_start_is_reported_once_and_end_when_said(telemetry: Telemetry) -> None:
    """The first block starts the conversation, the last ends it; leaving a block ends nothing."""
    with conversation("c-1", agent="a"), turn():
        pass
    with conversation("c-1", agent="a") as talk, turn():
        telemetry.clock.advance(seconds=60)
    assert names(telemetry) == [sc.EVENT_CONVERSATION_START]
    talk.end("resolved", reason="done")
    talk.end("failed")
    assert names(telemetry) == [sc.EVENT_CONVERSATION_START, sc.EVENT_CONVERSATION_END]
    end = telemetry.events(sc.EVENT_CONVERSATION_END)[0].attributes
    assert (end[sc.OUTCOME], end[sc.REASON], end[sc.CONVERSATION_ID]) == ("resolved", "done", "c-1")
    assert telemetry.metric(sc.METRIC_CONVERSATION_ENDED).total == 1
    assert telemetry.metric(sc.METRIC_CONVERSATION_ACTIVE).total == 0


def test_an_owned_conversation_has_duration_and_turns(telemetry: Telemetry) -> None:
    """Where one block holds the whole conversation its length in seconds and turns is recorded."""
    with conversation("c-1", agent="a", start=True) as talk:
        for _ in range(3):
            with turn():
                telemetry.clock.advance(seconds=10)
        talk.end("handed_off")
    duration = telemetry.metric(sc.METRIC_CONVERSATION_DURATION).points[0]
    assert duration.value == pytest.approx(30, abs=1)
    assert duration.attributes == {sc.AGENT_NAME: "a", sc.OUTCOME: "handed_off"}
    assert telemetry.metric(sc.METRIC_CONVERSATION_TURNS).points[0].value == 3


def test_an_idle_conversation_is_not_active(telemetry: Telemetry) -> None:
    """After the idle time it is not counted as open, and begins anew when it is opened again."""
    with conversation("c-1", agent="a"):
        pass
    assert telemetry.metric(sc.METRIC_CONVERSATION_ACTIVE).total == 1
    telemetry.clock.advance(seconds=1801)
    assert telemetry.metric(sc.METRIC_CONVERSATION_ACTIVE).total == 0
    with conversation("c-1", agent="a"):
        pass
    assert names(telemetry) == [sc.EVENT_CONVERSATION_START] * 2


def test_the_table_of_conversations_is_bounded() -> None:
    """Of more conversations than the limit the longest untouched are forgotten."""
    with Telemetry(Config(conversation_limit=10)) as telemetry:
        for number in range(1000):
            with conversation(f"c-{number}", agent="a"):
                pass
        assert telemetry.metric(sc.METRIC_CONVERSATION_ACTIVE).total == 10


async def test_a_conversation_is_an_async_block_too(telemetry: Telemetry) -> None:
    """`async with` works as `with` does."""
    async with conversation("c-1"), turn():
        pass
    assert telemetry.only_turn()["conversation_id"] == "c-1"


@pytest.mark.parametrize("telemetry", [Config(capture_content=True)], indirect=True)
def test_messages_carry_sender_time_and_redacted_text(telemetry: Telemetry) -> None:
    """A message outside a turn is an event with its sender and, with content on, its text."""
    when = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    message("Hello a@b.example", sender="human", conversation_id="c-1", agent="desk", time=when)
    event = telemetry.events(sc.EVENT_MESSAGE)[0]
    assert event.time_ns == int(when.timestamp()) * 10**9
    assert event.attributes[sc.MESSAGE_TEXT] == "Hello [email]"
    assert event.attributes[sc.MESSAGE_SENDER] == "human"
    assert event.attributes[sc.CONVERSATION_ID] == "c-1"


@pytest.mark.parametrize("telemetry", [Config(capture_content=True)], indirect=True)
def test_a_message_made_of_parts_is_its_text(telemetry: Telemetry) -> None:
    """What cannot be read leaves a message without a text, and never a `repr`."""
    parts: Any = [{"type": "text", "text": "Hello"}, {"type": "image_url", "image_url": {}}]
    message(parts, sender="user", conversation_id="c-1")
    message({"role": "assistant", "content": parts}, sender="assistant")  # type: ignore[arg-type]
    message(object(), sender="system")  # type: ignore[arg-type]
    found = [event.attributes.get(sc.MESSAGE_TEXT) for event in telemetry.events(sc.EVENT_MESSAGE)]
    assert found == ["Hello", "Hello", None]


def test_text_of_messages_and_comments_is_content(telemetry: Telemetry) -> None:
    """Without content capture neither a message's text nor a comment leaves."""
    with conversation("c-1") as talk:
        talk.message("secret", sender="assistant")
        talk.feedback(5, comment="secret")
    assert "secret" not in str(telemetry.events())


def test_feedback_keeps_value_and_scale(telemetry: Telemetry) -> None:
    """Feedback is an evaluation result with the score and what the user chose."""
    with turn(conversation_id="c-1") as now:
        trace_id, span_id = now.trace_id, now.span_id
    feedback(2, scale=(1, 3), trace_id=trace_id, span_id=span_id, conversation_id="c-1")
    event = telemetry.only_turn().events[0]
    assert event.name == sc.EVENT_EVALUATION
    assert event.attributes[sc.EVALUATION_SCORE] == 0.5
    assert event.attributes[sc.FEEDBACK_VALUE] == 2
    assert (event.attributes[sc.FEEDBACK_SCALE_MIN], event.attributes[sc.FEEDBACK_SCALE_MAX]) == (
        1,
        3,
    )


@pytest.mark.parametrize(
    ("value", "scale"), [(9, (1, 5)), (float("nan"), (1, 5)), (1, (5, 1)), ("x", (1, 5))]
)
def test_feedback_off_its_scale_is_counted_and_dropped(
    telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch, value: float, scale: tuple[float, float]
) -> None:
    """A value that the scale does not hold makes no event and no figure."""
    monkeypatch.delenv("OTEL_CHAT_RAISE")
    feedback(value, scale=scale, conversation_id="c-1")
    assert telemetry.events() == []
    assert not telemetry.metric(sc.METRIC_FEEDBACK_SCORE).points
    assert telemetry.metric(sc.METRIC_TELEMETRY_ERRORS).total == 1


def test_a_field_that_does_not_exist_is_refused() -> None:
    """A misspelt field raises where it is written."""
    with pytest.raises(ConfigurationError, match="usertype"):
        conversation("c", usertype="x")  # type: ignore[call-arg]
