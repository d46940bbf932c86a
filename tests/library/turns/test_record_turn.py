"""Finished turns in one call."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from otel_chat import Config, ConfigurationError, record_turn, turn
from otel_chat import semconv as sc
from otel_chat.testing import Telemetry, assert_turn

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
START_NS = int(START.timestamp()) * 10**9


@pytest.mark.parametrize("telemetry", [Config(capture_content=True)], indirect=True)
def test_a_recorded_turn_has_its_own_times(telemetry: Telemetry) -> None:
    """Times, texts, usage, intents and handoff arrive as given; events lie within the turn."""
    trace_id = record_turn(
        conversation_id="c-1",
        agent="support",
        channel="web",
        start=START,
        duration=1.5,
        user_message="Where is it?",
        reply="On its way.",
        intents=[{"name": "order", "confidence": 0.6}, {"name": "other", "confidence": 0.3}],
        model="gpt-4o-mini",
        response_model="gpt-4o-mini-2024-07-18",
        input_tokens=100,
        output_tokens=10,
        handoff="unsure",
        handoff_target="desk",
        sentiment="negative",
        time_to_first_chunk=0.5,
        metadata={"a": 1},
    )
    found = telemetry.only_turn()
    assert f"{found.span.context.trace_id:032x}" == trace_id
    assert (found.span.start_time, found.span.end_time) == (START_NS, START_NS + 1_500_000_000)
    assert_turn(found, intent="order", confidence=0.6, input_tokens=100, sentiment="negative")
    assert found[sc.TIME_TO_FIRST_CHUNK] == 0.5
    assert found[sc.HANDOFF_REASON] == "unsure"
    assert "On its way." in found[sc.OUTPUT_MESSAGES]
    assert found[sc.COST_AMOUNT] > 0
    limits = (START_NS, START_NS + 2_000_000_000)
    assert all(limits[0] <= event.time_ns <= limits[1] for event in found.events)


@pytest.mark.parametrize("start", [START, START.timestamp(), START_NS])
def test_a_time_is_a_datetime_seconds_or_nanoseconds(
    telemetry: Telemetry, start: datetime | float
) -> None:
    """The three ways of giving a time mean the same."""
    record_turn(conversation_id="c", start=start, end=START_NS + 10**9)
    span = telemetry.only_turn().span
    assert (span.start_time, span.end_time) == (START_NS, START_NS + 10**9)


def test_a_failed_turn_has_its_error(telemetry: Telemetry) -> None:
    """A status of error arrives as such, with the type given."""
    record_turn(conversation_id="c", start=START, duration=1, status="error", error_type="Timeout")
    found = telemetry.only_turn()
    assert found.is_error
    assert_turn(found, status="error", error_type="Timeout")


def test_a_recorded_turn_is_a_trace_of_its_own(telemetry: Telemetry) -> None:
    """Inside a running turn a recorded one is no child of it."""
    with turn("outer"):
        record_turn(conversation_id="c", start=START, duration=1)
    assert len(telemetry.turns) == 2
    assert all(found.span.parent is None for found in telemetry.turns)


@pytest.mark.parametrize(
    "wrong",
    [{}, {"duration": -1}, {"end": START_NS - 1}, {"end": START_NS, "duration": 1.0},
     {"duration": 1, "status": "fine"}],
)  # fmt: skip
def test_a_turn_that_makes_no_sense_is_counted_and_dropped(
    telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch, wrong: dict[str, float]
) -> None:
    """Wrong values at run time never raise; there is no turn, but a count."""
    monkeypatch.delenv("OTEL_CHAT_RAISE")
    assert record_turn(conversation_id="c", start=START, **wrong) is None  # type: ignore[arg-type]
    assert telemetry.turns == []
    assert telemetry.metric(sc.METRIC_TELEMETRY_ERRORS).total == 1


def test_an_argument_that_does_not_exist_is_refused() -> None:
    """A misspelt argument raises by its name."""
    with pytest.raises(ConfigurationError, match="repply"):
        record_turn(conversation_id="c", start=START, duration=1, repply="x")  # type: ignore[call-arg]
