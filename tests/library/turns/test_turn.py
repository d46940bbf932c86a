"""What a turn reports: span, attributes, events, metrics, and what surrounds it."""

from __future__ import annotations

import threading
from contextvars import Context
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import SpanContext, StatusCode, TraceFlags

from otel_chat import (
    Config,
    ConfigurationError,
    chat_handler,
    current_turn,
    model_call,
    tool,
    turn,
    workflow,
)
from otel_chat import semconv as sc
from otel_chat.testing import Telemetry, assert_turn

CONTENT = pytest.mark.parametrize(
    "telemetry", [Config(capture_content=True, user_hash_key="k")], indirect=True
)


def test_a_turn_carries_what_was_reported(telemetry: Telemetry) -> None:
    """Every method of a turn arrives as the attribute or event that the contract names."""
    with turn("support", conversation_id="c-1", channel="web", user_type="client") as now:
        now.intent("order_status", 0.93, success=True, data={"slot": 1})
        now.model("gpt-4o-mini", provider="openai", response_model="gpt-4o-mini-2024-07-18")
        now.usage(input_tokens=1000, output_tokens=500, cache_read_tokens=0, reasoning_tokens=0)
        now.topic("orders")
        now.action("refund", {"amount": 3})
        now.entity("order", "1234", 0.8)
        now.sentiment("neutral")
        now.cached()
        now.context_size(900)
        now.message_type("voice")
        now.metadata({"shop": 7})
        now.api_call("orders", duration=0.25, status=200)
        now.lead("demo")
        now.event("checkout", {"step": 2})
        now.workflow("return", "started", step="label")
        telemetry.clock.advance(seconds=2)
    span = telemetry.only_turn()
    assert span.duration == pytest.approx(2, abs=0.1)
    assert_turn(
        span,
        attributes={
            sc.TURN_ROOT: True,
            sc.OPERATION_NAME: "invoke_agent",
            sc.AGENT_NAME: "support",
            sc.CONVERSATION_ID: "c-1",
            sc.CHANNEL: "web",
            sc.USER_TYPE: "client",
            sc.INTENT_NAME: "order_status",
            sc.CONFIDENCE: 0.93,
            sc.FALLBACK: False,
            sc.REQUEST_MODEL: "gpt-4o-mini",
            sc.RESPONSE_MODEL: "gpt-4o-mini-2024-07-18",
            sc.PROVIDER_NAME: "openai",
            sc.USAGE_INPUT_TOKENS: 1000,
            sc.USAGE_OUTPUT_TOKENS: 500,
            sc.GEN_AI_INPUT_TOKENS: 1000,
            sc.GEN_AI_OUTPUT_TOKENS: 500,
            sc.COST_SOURCE: "provider",
            sc.COST_AMOUNT: pytest.approx(0.00045),
            sc.SENTIMENT: "neutral",
            sc.CACHED: True,
            sc.CONTEXT_SIZE: 900,
            sc.MESSAGE_TYPE: "voice",
            sc.METADATA: '{"shop":7}',
            sc.STATUS: "ok",
            sc.KEEP: False,
        },
        events=[
            sc.EVENT_INTENT,
            sc.EVENT_TOPIC,
            sc.EVENT_ACTION,
            sc.EVENT_ENTITY,
            sc.EVENT_API_CALL,
            sc.EVENT_LEAD,
            sc.EVENT_CUSTOM,
            sc.EVENT_WORKFLOW_STARTED,
        ],
    )
    for event in span.events:
        assert event.attributes[sc.CONVERSATION_ID] == "c-1"
        assert event.attributes[sc.AGENT_NAME] == "support"
        assert event.attributes[sc.CHANNEL] == "web"
        assert event.attributes[sc.EVENT_UID]
        assert sc.ENTITY_VALUE not in event.attributes


def test_a_turn_takes_its_surest_intent(telemetry: Telemetry) -> None:
    """Of several classified intents the one with the highest confidence names the turn."""
    with turn() as now:
        now.intent("a", 0.5)
        now.intent("b", 0.8)
        now.intent("c")
        now.intent("said", 1.0, source="annotation")
    assert_turn(telemetry.only_turn(), intent="b", confidence=0.8, fallback=False)
    assert telemetry.metric(sc.METRIC_INTENTS).total == 3


def test_no_intent_is_a_fallback(telemetry: Telemetry) -> None:
    """An intent without a name counts as a fallback of the turn."""
    with turn() as now:
        now.intent(None, 0.2)
    assert_turn(telemetry.only_turn(), intent=None, fallback=True, confidence=0.2, keep=True)


def test_a_turn_without_a_classifier_says_nothing_of_intents(telemetry: Telemetry) -> None:
    """Neither intent, confidence nor fallback stand on a turn that nobody classified."""
    with turn():
        pass
    assert_turn(telemetry.only_turn(), intent=None, confidence=None, fallback=None)


def test_own_confidence_wins(telemetry: Telemetry) -> None:
    """What the handler says of its confidence goes before the intent's."""
    with turn() as now:
        now.intent("a", 0.9)
        now.confidence(0.4)
    assert_turn(telemetry.only_turn(), confidence=0.4, keep=True)
    assert telemetry.metric(sc.METRIC_LOW_CONFIDENCE).total == 1


def test_outside_a_turn_every_call_is_counted_and_does_nothing(telemetry: Telemetry) -> None:
    """Calls on the turn that is not there leave no trace but a count."""
    now = current_turn()
    now.intent("a", 0.9)
    now.handoff("tired")
    assert now.trace_id is None
    assert now.conversation_id is None
    assert telemetry.turns == []
    assert telemetry.events() == []
    point = telemetry.metric(sc.METRIC_TELEMETRY_DROPPED).points[0]
    assert (point.value, point.attributes) == (2, {sc.TELEMETRY_SIGNAL: "outside_turn"})


def test_a_call_after_the_end_is_counted(telemetry: Telemetry) -> None:
    """A turn that is over takes nothing more."""
    with turn() as now:
        pass
    now.topic("late")
    assert telemetry.events() == []
    assert telemetry.metric(sc.METRIC_TELEMETRY_DROPPED).total == 1


def test_own_usage_wins_over_the_model_calls_inside(telemetry: Telemetry) -> None:
    """Own tokens are not added to those of the spans inside, and `gen_ai.usage.*` stays there."""
    with turn() as now, model_call("gpt-4o-mini", "openai") as call:
        call.usage(input_tokens=7, output_tokens=3)
        now.usage(input_tokens=100)
    found = telemetry.only_turn()
    assert_turn(found, input_tokens=100, output_tokens=None)
    assert found[sc.GEN_AI_INPUT_TOKENS] is None


def test_usage_inside_is_summed_and_the_outermost_counts(telemetry: Telemetry) -> None:
    """Of nested spans that carry usage the outermost counts, whoever made the spans."""
    tracer = telemetry.tracer_provider.get_tracer("somebody else's")
    usage = {sc.OPERATION_NAME: "chat", sc.GEN_AI_INPUT_TOKENS: 10, sc.GEN_AI_OUTPUT_TOKENS: 1}
    with turn():
        with (
            tracer.start_as_current_span("chat m", attributes=usage),
            tracer.start_as_current_span("helper"),
            tracer.start_as_current_span("chat m", attributes=usage),
        ):
            pass
        with model_call("gpt-4o-mini", "openai") as call:
            call.usage(input_tokens=5, output_tokens=2)
        with tracer.start_as_current_span(
            "e", attributes={**usage, sc.OPERATION_NAME: "embeddings"}
        ):
            pass
    assert_turn(telemetry.only_turn(), input_tokens=15, output_tokens=3, model="gpt-4o-mini")


def test_a_cost_of_the_caller_wins(telemetry: Telemetry) -> None:
    """The cost that the provider reports is taken as it is, summed over the calls."""
    with turn(model="gpt-4o-mini") as now:
        now.usage(input_tokens=10, cost=Decimal("0.5"))
        now.usage(input_tokens=10, cost=0.25)
    found = telemetry.only_turn()
    assert_turn(
        found, attributes={sc.COST_AMOUNT: 0.75, sc.COST_SOURCE: "provider"}, input_tokens=20
    )


@pytest.mark.parametrize(
    "telemetry", [Config(price_table={"own": {"input": 2, "output": 4}})], indirect=True
)
def test_an_own_price_is_local_and_an_unknown_model_unpriced(telemetry: Telemetry) -> None:
    """An unpriced turn has no amount, is counted, and is never 0."""
    with turn(model="own") as now:
        now.usage(input_tokens=1_000_000, output_tokens=500_000)
    with turn(model="never heard of") as now:
        now.usage(input_tokens=1_000_000)
    priced, unpriced = telemetry.turns
    assert_turn(priced, attributes={sc.COST_AMOUNT: 4.0, sc.COST_SOURCE: "local"})
    assert_turn(unpriced, attributes={sc.COST_AMOUNT: None, sc.COST_SOURCE: "unpriced"})
    assert telemetry.metric(sc.METRIC_TURN_UNPRICED).total == 1
    assert telemetry.metric(sc.METRIC_TURN_COST).points[0].count == 1


def test_a_nested_turn_is_a_child_and_no_second_turn(telemetry: Telemetry) -> None:
    """An agent that calls an agent is one turn; usage and handoff inside count in it."""

    @chat_handler(agent="helper")
    def helper() -> None:
        current_turn().usage(input_tokens=4, output_tokens=2)
        current_turn().handoff("stuck", target="desk")

    with turn("front", conversation_id="c-1") as now:
        helper()
        assert current_turn() is now
    found = telemetry.only_turn()
    assert_turn(found, input_tokens=4, output_tokens=2, inside=["invoke_agent helper"])
    assert found[sc.HANDOFF_TRIGGERED] is True
    assert sc.TURN_ROOT not in (found.inside[0].attributes or {})
    assert (found.inside[0].attributes or {})[sc.CONVERSATION_ID] == "c-1"
    assert telemetry.metric(sc.METRIC_TURN_DURATION).points[0].count == 1
    assert telemetry.metric(sc.METRIC_HANDOFFS).points[0].attributes == {
        sc.AGENT_NAME: "front",
        sc.HANDOFF_REASON: "stuck",
        sc.HANDOFF_TARGET: "desk",
    }


@pytest.mark.parametrize("telemetry", [Config()], indirect=True)
def test_a_turn_links_to_the_one_before_in_its_conversation(telemetry: Telemetry) -> None:
    """The second turn of a conversation links to the first, another conversation's does not."""
    for conversation_id in ("a", "b", "a"):
        with turn(conversation_id=conversation_id):
            pass
    first, other, second = (t.span for t in telemetry.turns)
    assert [link.context.span_id for link in second.links] == [first.context.span_id]
    assert list(first.links) == list(other.links) == []


def test_a_turn_is_a_child_of_a_sampled_request(telemetry: Telemetry) -> None:
    """Inside a recorded request the turn belongs to the request's trace."""
    tracer = telemetry.tracer_provider.get_tracer("server")
    with tracer.start_as_current_span("GET /chat") as request, turn():
        pass
    span = telemetry.only_turn().span
    assert span.parent is not None
    assert span.parent.span_id == request.get_span_context().span_id


def test_a_parent_that_is_not_sampled_costs_no_turn(telemetry: Telemetry) -> None:
    """Under a remote parent that is not sampled the turn is a root, linked to it."""
    remote = SpanContext(7, 9, is_remote=True, trace_flags=TraceFlags(0))
    with trace.use_span(trace.NonRecordingSpan(remote)), turn():
        pass
    span = telemetry.only_turn().span
    assert span.parent is None
    assert [link.context.trace_id for link in span.links] == [7]


def test_a_turn_that_starts_after_its_parent_turn_ended_is_its_own(telemetry: Telemetry) -> None:
    """Work that outlives a turn and starts another makes a root linked to the first."""
    with turn("first") as first:
        context = first.attach()
        first.detach(context)
        inherited = first
    token = inherited.attach()
    try:
        with turn("second"):
            pass
    finally:
        inherited.detach(token)
    one, two = telemetry.turns
    assert two.span.parent is None
    assert [link.context.span_id for link in two.span.links] == [one.span.context.span_id]


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (ValueError("4111 1111 1111 1111"), "error", StatusCode.ERROR),
        (KeyboardInterrupt(), "cancelled", StatusCode.UNSET),
        (GeneratorExit(), "cancelled", StatusCode.UNSET),
    ],
)
def test_only_a_failure_is_an_error(
    telemetry: Telemetry, error: BaseException, status: str, code: StatusCode
) -> None:
    """An exception is an error; what comes from outside the handler is a cancellation."""
    with pytest.raises(type(error)), turn():
        raise error
    found = telemetry.only_turn()
    assert found["status"] == status
    assert found.span.status.status_code is code
    assert found.span.status.description is None
    assert found.span.events == ()
    assert "4111" not in str(found)
    assert found[sc.KEEP] is (status == "error")


@CONTENT
def test_content_is_redacted_and_only_there_when_asked_for(telemetry: Telemetry) -> None:
    """With content capture on texts arrive redacted, in the shape of the conventions."""

    @chat_handler(message="text")
    def answer(text: str) -> None:
        now = current_turn()
        now.reply(f"Hello {text}")
        now.entity("mail", text)
        now.metadata({"mail": text})
        raise ValueError(text)

    with pytest.raises(ValueError, match="bob"):
        answer("bob@example.org")
    found = telemetry.only_turn()
    assert found[sc.INPUT_MESSAGES] == (
        '[{"role":"user","parts":[{"type":"text","content":"[email]"}]}]'
    )
    assert found[sc.OUTPUT_MESSAGES] == (
        '[{"role":"assistant","parts":[{"type":"text","content":"Hello [email]"}]}]'
    )
    assert "[email]" in str(found)
    assert "bob@example.org" not in str(found)


def test_content_is_off_unless_asked_for(telemetry: Telemetry) -> None:
    """Without the setting no text of message, reply or entity leaves."""
    with turn(message="secret words") as now:
        now.reply("secret answer")
        now.entity("thing", "secret value")
    assert "secret" not in str(telemetry.only_turn())


@CONTENT
def test_users_are_hashed_with_a_key(telemetry: Telemetry) -> None:
    """A user's id arrives as a keyed hash; the same user has the same one."""
    for user in ("ada", "ada", "bob"):
        with turn(user_id=user):
            pass
    hashes = [found[sc.USER_HASH] for found in telemetry.turns]
    assert hashes[0] == hashes[1] != hashes[2]
    assert "ada" not in hashes[0]


def test_without_a_key_no_user_is_recorded(telemetry: Telemetry) -> None:
    """A user's id is dropped where no key is set."""
    with turn(user_id="ada"):
        pass
    assert telemetry.only_turn()[sc.USER_HASH] is None


@pytest.mark.parametrize("telemetry", [Config(keep_rate=0.0)], indirect=True)
def test_a_turn_links_to_one_that_is_kept_alone(telemetry: Telemetry) -> None:
    """The link to a turn that was left out would lead nowhere; that to a failed one leads there."""
    with turn(conversation_id="c"):
        pass
    with pytest.raises(ValueError, match="no"), turn(conversation_id="c"):
        raise ValueError("no")
    with turn(conversation_id="c"):
        pass
    dull, failed, last = (t.span for t in telemetry.turns)
    assert list(dull.links) == list(failed.links) == []
    assert [link.context.span_id for link in last.links] == [failed.context.span_id]


def test_every_conversation_is_kept_by_default() -> None:
    """Nobody has to set anything for a conversation to be traced whole."""
    with Telemetry(Config()) as telemetry:
        for _ in range(2):
            with turn(conversation_id="c"):
                pass
        assert [found[sc.KEEP] for found in telemetry.turns] == [True, True]


@pytest.mark.parametrize("telemetry", [Config(keep_rate=0.5)], indirect=True)
def test_whole_conversations_are_kept_alike(telemetry: Telemetry) -> None:
    """All turns of a conversation are kept or none; about the configured share of them."""
    for number in range(200):
        for _ in range(2):
            with turn(conversation_id=f"c-{number}"):
                pass
    kept: dict[str, set[bool]] = {}
    for found in telemetry.turns:
        kept.setdefault(found["conversation_id"], set()).add(found[sc.KEEP])
    assert all(len(values) == 1 for values in kept.values())
    share = sum(values == {True} for values in kept.values())
    assert 70 <= share <= 130


def test_exemplars_open_only_traces_that_are_kept(telemetry: Telemetry) -> None:
    """A turn that is not kept leaves no exemplar, one that is leaves its trace."""
    with turn("dull"):
        pass
    with turn("slow") as slow:
        telemetry.clock.advance(seconds=4)
    points = telemetry.metric(sc.METRIC_TURN_DURATION).points
    exemplars = {p.attributes[sc.AGENT_NAME]: p.exemplars for p in points}
    assert list(exemplars["dull"]) == []
    assert [f"{t:032x}" for t in exemplars["slow"]] == [slow.trace_id]


def test_a_turn_that_runs_is_active(telemetry: Telemetry) -> None:
    """The observable counter shows a turn that hangs, and 0 when it is over."""
    with turn("a", channel="web"):
        point = telemetry.metric(sc.METRIC_TURN_ACTIVE).points[0]
        assert (point.value, point.attributes) == (1, {sc.AGENT_NAME: "a", sc.CHANNEL: "web"})
    assert telemetry.metric(sc.METRIC_TURN_ACTIVE).total == 0


def test_the_age_of_the_oldest_running_turn_is_told(telemetry: Telemetry) -> None:
    """Of several turns of an agent that of the first; 0 when all are over."""

    def age() -> float:
        (point,) = telemetry.metric(sc.METRIC_TURN_OLDEST).points
        return float(point.value or 0)

    with turn("a", channel="web"):
        telemetry.clock.advance(seconds=60)
        assert telemetry.metric(sc.METRIC_TURN_ACTIVE).total == 1
        with turn("a", channel="web"):
            telemetry.clock.advance(seconds=5)
            assert age() == pytest.approx(65, abs=0.1)
    assert age() == 0


def test_the_oldest_of_agents_beyond_the_cap_is_not_their_sum(telemetry: Telemetry) -> None:
    """Folded into one series, it is still the age of one turn."""
    running = [(Context(), turn(f"agent {number}", channel="web")) for number in range(30)]
    for apart, one in running:
        apart.run(one.__enter__)
    telemetry.clock.advance(seconds=60)
    points = telemetry.metric(sc.METRIC_TURN_OLDEST).points
    assert sc.OTHER in {p.attributes[sc.AGENT_NAME] for p in points}
    assert {round(p.value or 0) for p in points} == {60}
    for apart, one in running:
        apart.run(one.__exit__, None, None, None)


def test_steps_are_child_spans_with_their_metrics(telemetry: Telemetry) -> None:
    """Model call, tool and workflow make spans by the conventions, as blocks and decorators."""

    @tool("lookup")
    def lookup() -> str:
        return "there"

    @workflow("return")
    def give_back() -> None:
        raise OSError("no paper")

    with turn("a", conversation_id="c"):
        assert lookup() == "there"
        with model_call("gpt-4o-mini", "openai") as call:
            call.usage(input_tokens=1, output_tokens=1, response_model="gpt-4o-mini-x")
        with pytest.raises(OSError, match="paper"):
            give_back()
    found = telemetry.only_turn()
    names = ["execute_tool lookup", "chat gpt-4o-mini", "invoke_workflow return"]
    assert_turn(
        found,
        inside=names,
        events=[sc.EVENT_WORKFLOW_STARTED, sc.EVENT_WORKFLOW_FAILED],
    )
    assert {(s.attributes or {})[sc.CONVERSATION_ID] for s in found.inside} == {"c"}
    assert found.inside[2].status.status_code is StatusCode.ERROR
    assert telemetry.metric(sc.METRIC_EXECUTE_TOOL_DURATION).points[0].count == 1
    assert telemetry.metric(sc.METRIC_CLIENT_OPERATION_DURATION).points[0].count == 1
    assert telemetry.metric(sc.METRIC_WORKFLOWS).total == 2


async def test_steps_and_turns_are_async_blocks_too(telemetry: Telemetry) -> None:
    """`async with` and coroutine functions work as their sync counterparts."""

    @tool("lookup")
    async def lookup() -> str:
        return "there"

    async with turn("a"), model_call("m"), workflow("w"):
        assert await lookup() == "there"
    assert len(telemetry.only_turn().inside) == 3


def test_turns_in_threads_are_apart(telemetry: Telemetry) -> None:
    """Concurrent turns in threads neither nest nor mix."""
    gate = threading.Barrier(4)

    def work(number: int) -> None:
        with turn(conversation_id=f"c-{number}") as now:
            gate.wait()
            now.intent(f"i-{number}", 0.9)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pairs = {(t["conversation_id"], t["intent"]) for t in telemetry.turns}
    assert pairs == {(f"c-{n}", f"i-{n}") for n in range(4)}


ANYTHING = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(),
    st.lists(st.integers()), st.dictionaries(st.text(), st.floats()), st.just(object()),
)  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(values=st.lists(ANYTHING, min_size=6, max_size=6))
def test_values_of_any_type_leave_the_handler_alone(
    monkeypatch: pytest.MonkeyPatch, values: list[object]
) -> None:
    """Whatever is reported, nothing is raised and the turn is sent."""
    monkeypatch.delenv("OTEL_CHAT_RAISE")
    a, b, c, d, e, f = values
    try:
        with Telemetry() as telemetry:
            with turn(a, conversation_id=b, message=c, channel=d, turn_index=e) as now:  # type: ignore[arg-type]
                now.intent(a, b, success=c, source=d, data=e)  # type: ignore[arg-type]
                now.usage(input_tokens=a, output_tokens=b, cost=c)  # type: ignore[arg-type]
                now.confidence(d)  # type: ignore[arg-type]
                now.model(e, provider=f)  # type: ignore[arg-type]
                now.handoff(a, target=b)  # type: ignore[arg-type]
                now.action(c, d)  # type: ignore[arg-type]
                now.entity(e, f, a)  # type: ignore[arg-type]
                now.metadata(b)  # type: ignore[arg-type]
                now.api_call(c, duration=d, status=e)  # type: ignore[arg-type]
                now.workflow(f, a, b)  # type: ignore[arg-type]
                now.sentiment(c)  # type: ignore[arg-type]
                now.reply(d)  # type: ignore[arg-type]
                now.context_size(e)  # type: ignore[arg-type]
            assert len(telemetry.spans) <= 1
    finally:
        monkeypatch.undo()


def test_an_error_of_ours_is_counted_and_logged_once(
    telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A wrong value never raises; it is counted each time and logged once, without its text."""
    monkeypatch.delenv("OTEL_CHAT_RAISE")
    monkeypatch.setattr("otel_chat._telemetry.runtime._logged", set())
    with turn() as now:
        now.confidence(4111111111111111)
        now.confidence(4111111111111111)
    point = telemetry.metric(sc.METRIC_TELEMETRY_ERRORS).points[0]
    assert (point.value, point.attributes) == (2, {sc.TELEMETRY_COMPONENT: "turn.confidence"})
    assert len(caplog.records) == 1
    assert "4111" not in caplog.text


def test_a_field_that_does_not_exist_is_refused_by_name() -> None:
    """A misspelt field raises where it is written, with the fields there are."""
    with pytest.raises(ConfigurationError, match=r"chanel.*channel"):
        turn(chanel="web")  # type: ignore[call-arg]


def test_without_the_sdk_a_turn_is_harmless() -> None:
    """On the API's own no-op providers everything works and nothing is sent."""
    with turn("a", conversation_id="c") as now:
        now.intent("x", 0.5)
    assert now.conversation_id == "c"


def test_a_provider_that_records_nothing_is_fine(telemetry: Telemetry) -> None:
    """A sampler that drops everything costs spans, not metrics."""
    from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

    telemetry.runtime.tracer = TracerProvider(sampler=ALWAYS_OFF).get_tracer("off")
    with turn("a"):
        pass
    assert telemetry.turns == []
    assert telemetry.metric(sc.METRIC_TURN_DURATION).points[0].count == 1
