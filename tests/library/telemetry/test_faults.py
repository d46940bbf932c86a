"""Whatever breaks in the telemetry, the handler does not notice."""

from __future__ import annotations

import threading

import pytest
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.trace import Span

from otel_chat import Config, chat_handler, current_turn, turn
from otel_chat import semconv as sc
from otel_chat._telemetry.runtime import Runtime, install
from otel_chat.testing import SteppedClock, Telemetry


@pytest.fixture(autouse=True)
def in_production(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_CHAT_RAISE", raising=False)


@chat_handler(agent="a", conversation_id="c", message="text")
def answer(c: str, text: str) -> str:
    current_turn().intent("i", 0.9)
    return text.upper()


class Raising(SpanProcessor):
    """A processor of somebody else's that fails."""

    def on_start(self, span: Span, parent_context: object = None) -> None:
        """Fails."""
        raise OSError("start")

    def on_end(self, span: ReadableSpan) -> None:
        """Fails."""
        raise OSError("end")


def test_a_processor_that_raises_costs_no_answer() -> None:
    """A span that cannot be started leaves the handler's answer as it is, and a count."""
    with Telemetry(span_processors=[Raising()]) as telemetry:
        assert answer("c", "hi") == "HI"
        assert telemetry.metric(sc.METRIC_TELEMETRY_ERRORS).total >= 1


def test_a_redactor_that_raises_withholds_the_text() -> None:
    """No text leaves where its redactor fails; the turn does."""

    def broken(_: str) -> str:
        raise OSError

    with Telemetry(Config(capture_content=True, redactor=broken)) as telemetry:
        assert answer("c", "secret") == "SECRET"
        found = telemetry.only_turn()
        assert "secret" not in str(found).lower()
        assert found["intent"] == "i"
        assert telemetry.metric(sc.METRIC_TELEMETRY_ERRORS).total >= 1


def test_a_redactor_that_hangs_holds_no_handler() -> None:
    """Handlers go on while the redactor hangs; the queue stays bounded and what is lost counts."""
    release = threading.Event()

    def hanging(text: str) -> str:
        release.wait()
        return text

    config = Config(capture_content=True, redactor=hanging, queue_size=10, drain_seconds=0.01)
    runtime = Runtime(config)
    before = install(runtime)
    try:
        assert [answer("c", "hi") for _ in range(50)] == ["HI"] * 50
        assert runtime.delivery.waiting <= 10
        assert runtime.flush(0.05) is False
    finally:
        release.set()
        install(before)
        runtime.stop()
    assert runtime.delivery.dropped > 0


def test_a_clock_that_goes_back_makes_no_negative_turn() -> None:
    """The length of a turn comes from the monotonic clock, whatever the wall clock does."""

    class Back(SteppedClock):
        def time_ns(self) -> int:
            self.told = getattr(self, "told", 2 * 10**18) - 10**12
            return self.told

    with Telemetry(clock=Back()) as telemetry:
        with turn():
            telemetry.clock.advance(seconds=2)
            current_turn().topic("late")
        found = telemetry.only_turn()
        assert found.duration == pytest.approx(2, abs=0.1)
        assert found.span.start_time is not None
        assert found.span.start_time <= found.events[0].time_ns <= (found.span.end_time or 0)


def test_a_full_queue_loses_no_turn() -> None:
    """Where the queue is full the span ends in the caller's thread; events are counted as lost."""
    with Telemetry(Config(queue_size=5)) as telemetry:
        telemetry.runtime.flush()
        for _ in range(20):
            assert answer("c", "hi") == "HI"
        assert len(telemetry.turns) == 20
        telemetry.runtime.flush()
        assert telemetry.metric(sc.METRIC_TELEMETRY_DROPPED).total > 0


def test_no_logger_provider_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """Without anybody to take events they are dropped, counted and mentioned once."""
    with Telemetry() as telemetry, pytest.MonkeyPatch.context() as patch:
        patch.setattr("otel_chat._telemetry.runtime._logged", set())
        patch.setattr(telemetry.runtime.emitter, "emit", lambda *_, **__: False)
        answer("c", "hi")
        answer("c", "hi")
        assert telemetry.metric(sc.METRIC_TELEMETRY_DROPPED).total == 2
    assert caplog.text.count("no LoggerProvider") == 1
