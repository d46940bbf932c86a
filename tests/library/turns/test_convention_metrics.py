"""The metrics that the GenAI conventions have for model calls, agents and workflows."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from otel_chat import Config, chat_handler, model_call, tool, turn, workflow
from otel_chat import semconv as sc
from otel_chat.testing import SteppedClock, Telemetry

CALL = {
    sc.OPERATION_NAME: "chat",
    sc.PROVIDER_NAME: "openai",
    sc.REQUEST_MODEL: "m",
}


def amounts(telemetry: Telemetry, name: str, *labels: str) -> dict[tuple[object, ...], float]:
    """What a metric says, by some of its attributes."""
    return {
        tuple(point.attributes.get(label) for label in labels): point.value
        for point in telemetry.metric(name).points
    }


def test_a_model_call_is_measured_by_its_present_and_its_former_name(telemetry: Telemetry) -> None:
    """For one release both metrics say the same of a call, so that dashboards of either work."""
    with pytest.raises(OSError, match="away"), model_call("m", "openai"):
        raise OSError("away")
    (present,) = telemetry.metric(sc.METRIC_INFERENCE_DURATION).points
    (former,) = telemetry.metric(sc.METRIC_CLIENT_OPERATION_DURATION).points
    assert present.attributes == former.attributes == {**CALL, sc.ERROR_TYPE: "OSError"}
    assert (present.count, present.value) == (former.count, former.value) == (1, former.value)


def test_the_latest_names_alone_are_written_where_they_are_opted_into() -> None:
    """`gen_ai_latest_experimental`, among what else is listed, leaves the former names out."""
    listed = {"OTEL_SEMCONV_STABILITY_OPT_IN": "http/dup, gen_ai_latest_experimental"}
    with Telemetry(Config.from_env(listed)) as telemetry:
        with model_call("m"):
            pass
        assert telemetry.metric(sc.METRIC_INFERENCE_DURATION).count == 1
        assert not telemetry.metric(sc.METRIC_CLIENT_OPERATION_DURATION).points
    assert not Config.from_env({"OTEL_SEMCONV_STABILITY_OPT_IN": "http"}).latest_names


def test_tokens_of_model_calls_add_up_and_those_of_each_call_are_spread(
    telemetry: Telemetry,
) -> None:
    """Counters sum up what all calls used; histograms hold calls that ended well."""
    with model_call("m", "openai") as call:
        call.usage(input_tokens=100, output_tokens=9, cache_read_tokens=60, reasoning_tokens=4)

    def fail() -> None:
        with model_call("m", "openai") as call:
            call.usage(input_tokens=7, output_tokens=0)
            raise OSError("away")

    with pytest.raises(OSError, match="away"):
        fail()
    with model_call("m", "openai"):
        pass
    spent = {
        name: [(point.attributes, point.value) for point in telemetry.metric(name).points]
        for name in (
            *(sc.METRIC_USAGE_INPUT, sc.METRIC_USAGE_OUTPUT, sc.METRIC_USAGE_CACHE_READ),
            *(sc.METRIC_USAGE_REASONING, sc.METRIC_USAGE_CACHE_WRITE),
        )
    }
    series = {**CALL, sc.TOKEN_MODALITY: "unknown"}
    assert spent == {
        sc.METRIC_USAGE_INPUT: [(series, 107)],
        sc.METRIC_USAGE_OUTPUT: [(series, 9)],
        sc.METRIC_USAGE_CACHE_READ: [(series, 60)],
        sc.METRIC_USAGE_REASONING: [(series, 4)],
        sc.METRIC_USAGE_CACHE_WRITE: [],
    }
    for name, tokens in (
        (sc.METRIC_INFERENCE_INPUT_TOKENS, 100),
        (sc.METRIC_INFERENCE_OUTPUT_TOKENS, 9),
    ):
        (point,) = telemetry.metric(name).points
        assert (point.attributes, point.count, point.value) == (CALL, 1, tokens)


def test_a_streamed_model_call_tells_when_its_first_chunk_came() -> None:
    """Metric and span say it of a stream, and of no other call."""
    with Telemetry(clock=SteppedClock()) as telemetry:

        @model_call("m")
        def stream() -> Iterator[str]:
            yield "Good "
            yield "day"

        @model_call("m")
        def whole() -> str:
            return "Good day"

        assert "".join(stream()) == whole()
        (point,) = telemetry.metric(sc.METRIC_INFERENCE_FIRST_CHUNK).points
        told = {(s.attributes or {}).get(sc.GEN_AI_TIME_TO_FIRST_CHUNK) for s in telemetry.spans}
        assert (point.count, told) == (1, {point.value, None})
        assert 0 < point.value < telemetry.metric(sc.METRIC_INFERENCE_DURATION).points[0].value


def test_every_agent_measures_its_own_duration_and_calls(telemetry: Telemetry) -> None:
    """An agent inside another one has its own; failures are told by their class."""

    @model_call("m")
    def fail() -> None:
        raise OSError("away")

    @chat_handler(agent="billing")
    def billing() -> None:
        with model_call("m"), tool("invoices"):
            pass
        fail()

    with turn("support"), model_call("m"), tool("find_agent"), pytest.raises(OSError, match="away"):
        billing()
    assert set(
        amounts(telemetry, sc.METRIC_INVOKE_AGENT_DURATION, sc.AGENT_NAME, sc.ERROR_TYPE)
    ) == {
        ("support", None),
        ("billing", "OSError"),
    }
    calls = amounts(telemetry, sc.METRIC_INVOKE_AGENT_INFERENCE_CALLS, sc.AGENT_NAME)
    assert calls == {("support",): 1, ("billing",): 2}
    tools = amounts(telemetry, sc.METRIC_INVOKE_AGENT_TOOL_CALLS, sc.AGENT_NAME)
    assert tools == {("support",): 1, ("billing",): 1}
    # Of turns there is one still: the user's message
    assert telemetry.metric(sc.METRIC_TURN_DURATION).count == 1


def test_calls_of_other_libraries_count_once_and_those_of_their_agents_are_theirs(
    telemetry: Telemetry,
) -> None:
    """A call that two libraries tell of is one, in another's span or beside it by the answer's id.

    An agent of a framework counts what it calls.
    """
    start = telemetry.tracer_provider.get_tracer("framework").start_as_current_span
    chat, agent, runs = (
        {sc.OPERATION_NAME: "chat"},
        {sc.OPERATION_NAME: "invoke_agent"},
        {"openinference.span.kind": "TOOL"},
    )
    with turn("support"):
        with model_call("m"), start("chat m", attributes=chat), start("POST"):
            pass
        for answer in ("r1", "r1", "r2"):
            used = {sc.GEN_AI_INPUT_TOKENS: 7, sc.RESPONSE_ID: answer}
            with start("chat m", attributes=chat | used):
                pass
        with (
            start("invoke_agent researcher", attributes=agent),
            start("chat m", attributes=chat),
            start("search", attributes=runs),
        ):
            pass
    calls = amounts(telemetry, sc.METRIC_INVOKE_AGENT_INFERENCE_CALLS, sc.AGENT_NAME)
    assert calls == {("support",): 3}
    assert not telemetry.metric(sc.METRIC_INVOKE_AGENT_TOOL_CALLS).points


def test_no_calls_are_told_where_none_were_seen(telemetry: Telemetry) -> None:
    """A handler whose model calls nobody makes spans of has not made 0 of them."""
    with turn("support") as now:
        now.usage(input_tokens=3, output_tokens=1)
    assert telemetry.metric(sc.METRIC_INVOKE_AGENT_DURATION).count == 1
    assert not telemetry.metric(sc.METRIC_INVOKE_AGENT_INFERENCE_CALLS).points


def test_a_workflow_is_measured(telemetry: Telemetry) -> None:
    """Its duration stands under its name, with the class of what failed it."""
    with pytest.raises(OSError, match="paper"), workflow("returns"):
        raise OSError("paper")
    (point,) = telemetry.metric(sc.METRIC_INVOKE_WORKFLOW_DURATION).points
    assert point.count == 1
    assert point.attributes == {sc.WORKFLOW_GEN_AI_NAME: "returns", sc.ERROR_TYPE: "OSError"}
