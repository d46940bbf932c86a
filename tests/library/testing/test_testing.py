"""`otel_chat.testing`: what users' tests stand on, and every snippet of its page."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import metrics, trace
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser

from otel_chat import Config, chat_handler, current_turn, tool, turn
from otel_chat._telemetry import runtime
from otel_chat.testing import FACTS, SteppedClock, Telemetry, assert_turn

DOCS = Path(__file__).parents[3] / "docs"


@chat_handler(agent="support", conversation_id="session_id", channel="web")
def answer(session_id: str, *, intent: str = "greeting", confidence: float = 0.9) -> str:
    current_turn().intent(intent, confidence)
    current_turn().usage(input_tokens=10, output_tokens=5)
    with tool("lookup"):
        pass
    return "Good evening."


def run_page(name: str) -> dict[str, object]:
    document = Sybil(parsers=[PythonCodeBlockParser()], path=str(DOCS)).parse(DOCS / name)
    examples = list(document.examples())
    assert examples
    for example in examples:
        example.evaluate()
    return dict(document.namespace)


def test_the_page_on_testing_runs(telemetry: Telemetry) -> None:
    """Every snippet of docs/testing.md runs, and its test passes with the fixture."""
    namespace = run_page("testing.md")
    namespace["test_unsure_answers_are_handed_over"](telemetry)  # type: ignore[operator]


def test_the_page_on_conformance_runs() -> None:
    """Every snippet of docs/conformance.md runs, and prints what the page says."""
    assert str(run_page("conformance.md")["report"]) == "mine: 18 of 18 cases passed"


def test_a_turn_is_seen_with_all_that_belongs_to_it(telemetry: Telemetry) -> None:
    """A turn has its facts, the spans inside and its events; another turn's are not among them."""
    answer("s-1")
    answer("s-2", intent="refund")
    first, second = telemetry.turns
    assert_turn(
        first,
        status="ok",
        agent="support",
        channel="web",
        conversation_id="s-1",
        intent="greeting",
        confidence=pytest.approx(0.9),
        input_tokens=10,
        handoff=None,
        attributes={"otel_chat.turn.root": True},
        inside=["execute_tool lookup"],
    )
    assert "otel_chat.intent" in [event.name for event in first.events]
    assert second["intent"] == "refund"
    assert first.span.context.trace_id != second.span.context.trace_id


def test_another_library_s_model_call_is_rolled_up(telemetry: Telemetry) -> None:
    """Usage on a `chat` span that the application's own tracer made is the turn's."""
    tracer = telemetry.tracer_provider.get_tracer("provider")
    with turn(agent="support"), tracer.start_as_current_span("chat gpt") as span:
        span.set_attribute("gen_ai.operation.name", "chat")
        span.set_attribute("gen_ai.usage.input_tokens", 7)
    assert_turn(telemetry.only_turn(), input_tokens=7, inside=["chat gpt"])


def test_the_same_run_gives_the_same_telemetry() -> None:
    """Ids, times and events' uids are equal from run to run."""

    def run() -> list[object]:
        with Telemetry() as telemetry:
            answer("s-1")
        [found] = telemetry.turns
        return [found.span.context, found.span.start_time, found.span.end_time, found.events]

    assert run() == run()


def test_metrics_are_counted_since_the_last_reset(telemetry: Telemetry) -> None:
    """`reset` forgets spans, events, records and counts; ids go on."""
    answer("s-1")
    before = telemetry.only_turn().span.context.span_id
    telemetry.reset()
    assert telemetry.spans == ()
    assert telemetry.events() == []
    assert telemetry.metric("otel_chat.turn.duration").points == []
    answer("s-2")
    duration = telemetry.metric("otel_chat.turn.duration")
    assert (duration.count, duration.unit) == (1, "s")
    assert telemetry.metric("otel_chat.turn.tokens").where(agent="support").total == 15
    assert telemetry.metric("otel_chat.turn.tokens").where(agent="sales").total == 0
    assert telemetry.only_turn().span.context.span_id > before
    assert "otel_chat.intents" in [metric.name for metric in telemetry.metrics()]


def test_nothing_global_is_left_behind() -> None:
    """The global providers stay as they were, and the runtime before is put back."""
    providers = trace.get_tracer_provider(), metrics.get_meter_provider()
    before = runtime.install(None)
    try:
        with Telemetry() as outer:
            with Telemetry() as inner:
                answer("s-1")
            answer("s-2")
        assert [t["conversation_id"] for t in inner.turns] == ["s-1"]
        assert [t["conversation_id"] for t in outer.turns] == ["s-2"]
        assert runtime.install(None) is None
    finally:
        runtime.install(before)
    assert providers == (trace.get_tracer_provider(), metrics.get_meter_provider())


def test_the_environment_does_not_change_a_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """Content capture in the environment is not taken; settings given are."""
    monkeypatch.setenv("OTEL_CHAT_CAPTURE_CONTENT", "true")
    for config, kept in ((None, False), (Config(capture_content=True), True)):
        with Telemetry(config) as telemetry, turn(agent="support") as current:
            current.reply("Good evening.")
        assert ("gen_ai.output.messages" in telemetry.only_turn().attributes) is kept


def test_only_turn_shows_what_there_is(telemetry: Telemetry) -> None:
    """Without a turn and with two, the error says what was collected instead."""
    with pytest.raises(AssertionError, match="expected one turn, got 0"):
        telemetry.only_turn()
    answer("s-1")
    answer("s-2")
    with pytest.raises(AssertionError, match=r"got 2\n(.|\n)*s-1(.|\n)*s-2"):
        telemetry.only_turn()


def test_every_difference_is_named_at_once(telemetry: Telemetry) -> None:
    """`assert_turn` lists all differences, and then the turn."""
    answer("s-1")
    with pytest.raises(AssertionError) as caught:
        assert_turn(telemetry.only_turn(), status="error", intent="x", agent="support", inside=[])
    said = str(caught.value)
    assert "status: expected 'error', got 'ok'" in said
    assert "intent: expected 'x', got 'greeting'" in said
    assert "inside: expected [], got ['execute_tool lookup']" in said
    assert "agent: expected" not in said
    assert "turn 'invoke_agent support'" in said


def test_a_misspelt_fact_is_an_error(telemetry: Telemetry) -> None:
    """A name that no turn has cannot pass by being absent."""
    answer("s-1")
    with pytest.raises(TypeError, match="no fact of a turn is called inten"):
        assert_turn(telemetry.only_turn(), inten=None)
    assert "intent" in FACTS


def test_time_passes_by_the_clock_alone(
    telemetry: Telemetry, telemetry_clock: SteppedClock
) -> None:
    """A turn lasts as long as the clock was advanced, and a slow one is kept."""
    with turn(agent="support"):
        telemetry_clock.advance(seconds=60)
    slow = telemetry.only_turn()
    assert 60 < slow.duration < 61
    assert slow["keep"] is True


@given(st.lists(st.floats(0, 1e6), max_size=20))
def test_a_stepped_clock_never_goes_back(pauses: list[float]) -> None:
    """Whatever it is advanced by, each reading is later than the one before."""
    clock = SteppedClock()
    seen = [clock.time_ns()]
    for pause in pauses:
        clock.advance(pause)
        seen.append(clock.monotonic_ns())
    assert seen == sorted(set(seen))


@pytest.mark.parametrize(
    ("ask", "alike"),
    [
        (lambda t: t.metric("otel_chat.hand_offs"), "otel_chat.handoffs"),
        (lambda t: t.sums("otel_chat.turn.durations"), "otel_chat.turn.duration"),
        (lambda t: t.events("otel_chat.intnet"), "otel_chat.intent"),
        (lambda t: t.only_turn()["intnet"], "intent"),
        (lambda t: t.only_turn()["otel_chat.intnet.name"], "otel_chat.intent.name"),
        (lambda t: t.metric("otel_chat.turn.duration").where(chanel="web"), "channel"),
    ],
)
def test_a_misspelt_name_is_an_error(ask: Callable[[Telemetry], object], alike: str) -> None:
    """What does not exist would be 0 or None for ever, and a test of it would pass."""
    with Telemetry() as telemetry:
        with turn(agent="a", channel="web"):
            pass
        with pytest.raises(LookupError, match=re.escape(alike)):
            ask(telemetry)


def test_a_right_name_without_a_value_is_none() -> None:
    """Nothing was handed over: no points, no events, no fact; an own attribute may be asked for."""
    with Telemetry() as telemetry:
        with turn(agent="a"):
            pass
        assert telemetry.metric("otel_chat.handoffs").total == 0
        assert telemetry.events("otel_chat.handoff.requested") == []
        assert telemetry.only_turn()["handoff"] is None
        assert telemetry.only_turn()["gen_ai.response.id"] is None
        assert telemetry.metric("otel_chat.turn.duration").where(channel="web").count == 0
