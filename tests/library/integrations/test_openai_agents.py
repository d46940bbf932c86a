"""The OpenAI Agents SDK, the real package with a model that is not."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from itertools import count
from typing import Any

import pytest
from agents import Agent, RunConfig, Runner, function_tool, set_trace_processors, trace
from agents.items import ModelResponse
from agents.models.interface import Model
from agents.tracing import generation_span, response_span
from agents.usage import Usage
from openai.types.responses import (
    Response,
    ResponseCompletedEvent,
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseOutputText,
    ResponseUsage,
)

import otel_chat
from otel_chat import semconv as sc
from otel_chat.integrations.openai_agents import ChatTracingProcessor
from otel_chat.testing import Telemetry, assert_turn
from tests.library.integrations.texts import texts

MODEL = "gpt-4o-mini-2024-07-18"
_numbers = count(1)


@pytest.fixture(name="telemetry")
def with_texts(keeping_texts: Telemetry) -> Telemetry:
    return keeping_texts


@pytest.fixture(autouse=True)
def processor() -> Iterator[None]:
    """In place of the SDK's own, which sends elsewhere."""
    set_trace_processors([ChatTracingProcessor(people={"colleague"})])
    yield
    set_trace_processors([])


def said(text: str) -> ResponseOutputMessage:
    part = ResponseOutputText(type="output_text", text=text, annotations=[])
    return ResponseOutputMessage(
        id="m", type="message", role="assistant", status="completed", content=[part]
    )


def called(name: str, arguments: str = "{}") -> ResponseFunctionToolCall:
    return ResponseFunctionToolCall(
        type="function_call", call_id=f"call-{next(_numbers)}", name=name, arguments=arguments
    )


def _asked(given: tuple[Any, ...], named: dict[str, Any]) -> Any:
    return named["input"] if "input" in named else given[1]


class Scripted(Model):
    """Says what it is given, one after the other, and tells of it as the SDK's own models do."""

    def __init__(self, *outputs: Any) -> None:
        self._outputs = iter(outputs)

    def _response(self) -> Response:
        output = next(self._outputs)
        if isinstance(output, Exception):
            raise output
        usage = {
            "input_tokens": 100, "output_tokens": 10, "total_tokens": 110,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens_details": {"reasoning_tokens": 0},
        }  # fmt: skip
        return Response(
            id=f"resp-{next(_numbers)}", created_at=1, model=MODEL, object="response",
            output=[output], tool_choice="auto", tools=[], parallel_tool_calls=True,
            usage=ResponseUsage.model_validate(usage),
        )  # fmt: skip

    async def get_response(self, *given: Any, **named: Any) -> Any:
        """As a whole."""
        with response_span() as span:
            response = self._response()
            span.span_data.response, span.span_data.input = response, _asked(given, named)
            return ModelResponse(response.output, usage=Usage(), response_id=response.id)

    async def stream_response(self, *given: Any, **named: Any) -> AsyncIterator[Any]:
        """As events."""
        with response_span() as span:
            response = self._response()
            span.span_data.response, span.span_data.input = response, _asked(given, named)
            yield ResponseCompletedEvent(
                type="response.completed", sequence_number=0, response=response
            )


@function_tool
async def find_parcel() -> str:
    """Says where a parcel is."""
    otel_chat.current_turn().topic("delivery")
    return "It is in Oslo."


def support(*outputs: Any, **options: Any) -> Agent[Any]:
    return Agent(name="support", model=Scripted(*outputs), tools=[find_parcel], **options)


CONFIG = RunConfig(group_id="s-1")
ASKED, FOUND = "Where is my parcel?", "It is in Oslo."
WHOLE: dict[str, Any] = {
    "agent": "support", "conversation_id": "s-1", "status": "ok", "provider": "openai",
    "response_model": MODEL, "input_tokens": 200, "output_tokens": 20,
}  # fmt: skip


def names(telemetry: Telemetry) -> list[str]:
    return sorted(span.name for span in telemetry.only_turn().inside)


async def test_a_run_is_a_turn(telemetry: Telemetry) -> None:
    """With its group as the conversation, its texts, each model call once, and the tool."""
    await Runner.run(support(called("find_parcel"), said(FOUND)), ASKED, run_config=CONFIG)
    turn = telemetry.only_turn()
    assert_turn(turn, **WHOLE, events=[sc.EVENT_TOPIC])
    assert names(telemetry) == ["chat", "chat", "execute_tool find_parcel"]
    assert texts(turn) == (ASKED, FOUND)
    assert otel_chat.current_turn().trace_id is None


async def test_a_streamed_run_is_a_turn(telemetry: Telemetry) -> None:
    """It lasts until its last event; none of it is current where the events are read."""
    agent = support(called("find_parcel"), said(FOUND))
    async for _ in Runner.run_streamed(agent, ASKED, run_config=CONFIG).stream_events():
        assert otel_chat.current_turn().trace_id is None
    turn = telemetry.only_turn()
    assert_turn(turn, **WHOLE)
    assert texts(turn) == (ASKED, FOUND)


async def test_a_streamed_run_in_a_handler_knows_its_first_chunk(telemetry: Telemetry) -> None:
    """The decorator makes the turn; the trace adds its calls, each once."""

    @otel_chat.chat_handler(agent="support", conversation_id="session")
    async def answer(session: str) -> AsyncIterator[Any]:
        run = Runner.run_streamed(support(called("find_parcel"), said(FOUND)), ASKED)
        async for event in run.stream_events():
            yield event

    async for _ in answer("s-1"):
        pass
    turn = telemetry.only_turn()
    assert_turn(turn, **WHOLE)
    assert names(telemetry) == ["chat", "chat", "execute_tool find_parcel"]
    assert turn["time_to_first_chunk"] is not None


async def test_to_hand_over_to_a_person_is_a_handoff(telemetry: Telemetry) -> None:
    """To another agent it is an event; the turn stays that of the first one."""
    colleague = Agent(name="colleague", model=Scripted(said("Hello, this is Ada.")))
    billing = Agent(
        name="billing", model=Scripted(called("transfer_to_colleague")), handoffs=[colleague]
    )
    agent = support(called("transfer_to_billing"), handoffs=[billing])
    await Runner.run(agent, "A human, please!", run_config=CONFIG)
    turn = telemetry.only_turn()
    assert_turn(turn, agent="support", handoff=True, handoff_target="colleague", input_tokens=300)
    assert [event.name for event in turn.events] == [sc.EVENT_CUSTOM, sc.EVENT_HANDOFF_REQUESTED]
    assert texts(turn) == ("A human, please!", "Hello, this is Ada.")


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_failed_call_fails_the_turn(telemetry: Telemetry, streamed: bool) -> None:
    """The error is the application's, and told at the call and at the turn."""

    async def run() -> None:
        agent = support(TimeoutError())
        if streamed:
            async for _ in Runner.run_streamed(agent, ASKED, run_config=CONFIG).stream_events():
                pass
        else:
            await Runner.run(agent, ASKED, run_config=CONFIG)

    with pytest.raises(TimeoutError):
        await run()
    turn = telemetry.only_turn()
    assert_turn(turn, status="error", error_type="TimeoutError")
    assert [dict(span.attributes or {})[sc.ERROR_TYPE] for span in turn.inside] == ["TimeoutError"]


async def test_an_error_that_was_there_before_is_not_the_runs(telemetry: Telemetry) -> None:
    """A run that says what went wrong elsewhere went well."""
    try:
        os.environ["OTEL_CHAT_NOTHING"]
    except KeyError:
        await Runner.run(support(said("Sorry.")), ASKED, run_config=CONFIG)
    assert_turn(telemetry.only_turn(), status="ok", error_type=None)


async def test_a_cancelled_run_is_a_cancelled_turn(telemetry: Telemetry) -> None:
    """The cancellation goes its way."""
    begun = asyncio.Event()

    @function_tool(name_override="find_parcel")
    async def waits() -> str:
        begun.set()
        await asyncio.Event().wait()
        return ""

    agent = Agent(name="support", model=Scripted(called("find_parcel")), tools=[waits])
    task = asyncio.create_task(Runner.run(agent, ASKED, run_config=CONFIG))
    async with asyncio.timeout(60):
        await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert_turn(telemetry.only_turn(), status="cancelled", input_tokens=100)


async def test_an_agent_that_is_a_tool_says_nothing_to_the_user(telemetry: Telemetry) -> None:
    """What it used counts; what was asked and said is the outer agent's."""
    inner = Agent(name="expert", model=Scripted(said("in Oslo")))
    expert = inner.as_tool(tool_name="ask_expert", tool_description="Knows.")
    model = Scripted(called("ask_expert", '{"input": "Where?"}'), said(FOUND))
    await Runner.run(Agent(name="support", model=model, tools=[expert]), ASKED, run_config=CONFIG)
    turn = telemetry.only_turn()
    assert_turn(turn, agent="support", input_tokens=300)
    assert texts(turn) == (ASKED, FOUND)


async def test_a_tool_that_fails_is_told_and_the_turn_goes_on(telemetry: Telemetry) -> None:
    """The SDK tells the model of it, and raises nothing."""

    @function_tool(name_override="find_parcel")
    async def fails() -> str:
        raise TimeoutError

    model = Scripted(called("find_parcel"), said("Sorry."))
    await Runner.run(Agent(name="support", model=model, tools=[fails]), ASKED, run_config=CONFIG)
    turn = telemetry.only_turn()
    assert_turn(turn, status="ok")
    (tool,) = [span for span in turn.inside if span.name == "execute_tool find_parcel"]
    assert dict(tool.attributes or {})[sc.ERROR_TYPE] == "ToolError"


async def test_several_runs_in_one_trace_are_one_turn(telemetry: Telemetry) -> None:
    """As the SDK puts together what belongs together."""
    with trace("Support", group_id="s-1"):
        await Runner.run(support(said("delivery")), ASKED)
        await Runner.run(support(said(FOUND)), ASKED)
    turn = telemetry.only_turn()
    assert_turn(turn, **WHOLE)
    assert texts(turn) == (ASKED, FOUND)


async def test_a_model_of_another_provider_tells_its_usage(telemetry: Telemetry) -> None:
    """Of chat completions the SDK's trace tells model and usage."""

    class Completions(Scripted):
        async def get_response(self, *given: Any, **named: Any) -> Any:
            with generation_span(model="mistral-large", input=[]) as span:
                response = self._response()
                usage: Any = response.usage
                span.span_data.usage = usage.model_dump()
                return ModelResponse(response.output, usage=Usage(), response_id=None)

    agent = Agent(name="support", model=Completions(said(FOUND)))
    await Runner.run(agent, ASKED, run_config=CONFIG)
    turn = telemetry.only_turn()
    assert_turn(turn, model="mistral-large", input_tokens=100, output_tokens=10)
    assert sc.REPLY not in turn.attributes


async def test_an_error_of_ours_stays_ours(
    telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run answers as without us, and what failed is counted."""
    monkeypatch.setenv("OTEL_CHAT_RAISE", "0")
    monkeypatch.setattr("otel_chat.integrations._runs.start_turn", lambda *_: 1 // 0)
    answer = await Runner.run(support(said(FOUND)), ASKED, run_config=CONFIG)
    assert answer.final_output == FOUND
    assert telemetry.metric("otel_chat.telemetry.errors").total >= 1
