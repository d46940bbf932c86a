"""What is taken from results: whole ones, streams, of handlers and of model calls."""

from __future__ import annotations

import asyncio
import gc
import math
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import anthropic
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_chat import Config, chat_handler, current_turn, model_call, tool, turn, workflow
from otel_chat import semconv as sc
from otel_chat.testing import SteppedClock, Telemetry, assert_turn
from tests.library.extract.wire import serving

PRICES = {"gpt-4o-2024-08-06": {"input": 1.0, "output": 10.0}}
PRICED = Config(keep_rate=0, price_table=PRICES)


def token(logprob: float) -> dict[str, Any]:
    return {"token": "x", "logprob": logprob}


def completion(text: str = "Card 4111 1111 1111 1111 is fine", **more: Any) -> dict[str, Any]:
    """A chat completion as OpenAI's REST interface gives it."""
    choice = {
        "finish_reason": "stop",
        "message": {"role": "assistant", "content": text},
        "logprobs": {"content": [token(-0.1), token(-0.3)]},
    }
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "gpt-4o-2024-08-06",
        "choices": [choice],
        "usage": {"prompt_tokens": 1000, "completion_tokens": 100},
        **more,
    }


def chunks() -> list[dict[str, Any]]:
    """The same as a stream: usage comes in the last chunk."""
    base = {"object": "chat.completion.chunk", "model": "gpt-4o-2024-08-06"}
    pieces = [{**base, "choices": [{"delta": {"content": word}}]} for word in ("Good ", "day")]
    usage = {"prompt_tokens": 1000, "completion_tokens": 100}
    return [*pieces, {**base, "choices": [], "usage": usage}]


def whole() -> Any:
    return completion()


async def awaited() -> Any:
    return completion()


def generated() -> Iterator[Any]:
    yield from chunks()


async def agenerated() -> AsyncIterator[Any]:
    for chunk in chunks():
        yield chunk


def returned() -> Iterator[Any]:
    return iter(chunks())


async def areturned() -> AsyncIterator[Any]:
    return agenerated()


SHAPES: list[Callable[..., Any]] = [whole, awaited, generated, agenerated, returned, areturned]


def use(function: Callable[..., Any]) -> None:
    """Calls a function of any shape and consumes what it gives."""

    async def consume(answer: Any) -> None:
        if hasattr(answer, "__await__"):
            answer = await answer
        if hasattr(answer, "__aiter__"):
            async for _ in answer:
                pass

    answer = function()
    if hasattr(answer, "__await__") or hasattr(answer, "__aiter__"):
        asyncio.run(consume(answer))
    elif not isinstance(answer, dict):
        for _ in answer:
            pass


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("telemetry", [PRICED], indirect=True)
def test_a_handlers_result_says_model_usage_and_cost(
    telemetry: Telemetry, shape: Callable[..., Any]
) -> None:
    """Whatever the handler's shape, the provider's answer it gives is read."""
    use(chat_handler(agent="a")(shape))
    assert_turn(
        telemetry.only_turn(),
        status="ok",
        response_model="gpt-4o-2024-08-06",
        model="gpt-4o-2024-08-06",
        provider="openai",
        input_tokens=1000,
        output_tokens=100,
        cost=pytest.approx(0.002),
        cost_source="local",
        inside=[],
    )
    assert telemetry.metric(sc.METRIC_TURN_TOKENS).where(model="gpt-4o-2024-08-06").total == 1100


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("telemetry", [PRICED], indirect=True)
def test_a_model_calls_result_says_what_its_span_and_the_turn_lack(
    telemetry: Telemetry, shape: Callable[..., Any]
) -> None:
    """`@model_call` reads its function's answer; the turn sums it up, once."""
    call = model_call("gpt-4o")(shape)
    with turn("a"):
        use(call)
    found = telemetry.only_turn()
    assert_turn(found, input_tokens=1000, output_tokens=100, inside=["chat gpt-4o"])
    attributes = dict(found.inside[0].attributes or {})
    assert attributes[sc.RESPONSE_MODEL] == "gpt-4o-2024-08-06"
    assert attributes[sc.GEN_AI_INPUT_TOKENS] == 1000
    assert found["cost"] == pytest.approx(0.002)
    (point,) = telemetry.metric(sc.METRIC_CLIENT_OPERATION_DURATION).points
    assert (point.count, point.attributes[sc.PROVIDER_NAME]) == (1, "openai")


def test_the_confidence_of_tokens_is_their_geometric_mean(telemetry: Telemetry) -> None:
    """Exp of the mean log-probability; from the handler's result, or the last model call inside."""
    chat_handler(whole)()
    with turn("a"):
        model_call("gpt-4o")(whole)()
    for found in telemetry.turns:
        assert found["confidence"] == pytest.approx(math.exp(-0.2))


def test_what_the_handler_said_wins_over_its_result(telemetry: Telemetry) -> None:
    """Model, usage, confidence and intent of its own stay as they are."""

    @chat_handler(agent="a", model="mine", provider="me")
    def answer() -> Any:
        current_turn().usage(input_tokens=1, output_tokens=2)
        current_turn().confidence(0.5)
        return completion()

    answer()
    assert_turn(
        telemetry.only_turn(),
        model="mine",
        provider="me",
        input_tokens=1,
        output_tokens=2,
        confidence=0.5,
        response_model="gpt-4o-2024-08-06",
    )


def test_usage_is_never_counted_twice(telemetry: Telemetry) -> None:
    """A handler that returns the answer of its model call has its usage once."""
    ask = model_call("gpt-4o")(whole)

    @chat_handler(agent="a")
    def answer() -> Any:
        ask()
        return ask()

    answer()
    found = telemetry.only_turn()
    assert_turn(found, input_tokens=2000, output_tokens=200)
    assert sc.GEN_AI_INPUT_TOKENS not in found.attributes


def test_a_nested_handlers_result_is_part_of_the_turn(telemetry: Telemetry) -> None:
    """The usage that a sub-agent's answer says counts in the turn around it."""
    inner = chat_handler(agent="inner")(whole)

    @chat_handler(agent="outer")
    def answer() -> str:
        inner()
        return "done"

    answer()
    assert_turn(telemetry.only_turn(), input_tokens=1000, inside=["invoke_agent inner"])


def test_a_blocks_answer_can_be_given(telemetry: Telemetry) -> None:
    """`result()` of a turn or a model call takes what a client returned."""
    with turn("a") as now:
        now.result(completion())
    with turn("b"), model_call("gpt-4o") as call:
        call.result(completion())
        call.usage(input_tokens=5)
    first, second = telemetry.turns
    assert_turn(first, input_tokens=1000)
    assert_turn(second, input_tokens=5)
    assert dict(second.inside[0].attributes or {})[sc.FINISH_REASONS] == ("stop",)


def test_a_dialogue_systems_answer_is_the_turns_intent(telemetry: Telemetry) -> None:
    """A Rasa parse that the handler returns: intent, confidence, event and count."""

    @chat_handler(agent="a")
    def answer(name: str) -> Any:
        return {"text": "hi", "intent": {"name": name, "confidence": 0.9}, "entities": []}

    answer("greet")
    answer("nlu_fallback")
    known, fallback = telemetry.turns
    assert_turn(known, intent="greet", confidence=0.9, fallback=False, events=[sc.EVENT_INTENT])
    assert_turn(fallback, intent=None, fallback=True)
    assert telemetry.metric(sc.METRIC_INTENTS).total == 2


@pytest.mark.parametrize(
    "telemetry", [Config(capture_content=True), Config(capture_content=False)], indirect=True
)
@pytest.mark.parametrize("shape", SHAPES)
def test_the_reply_is_taken_only_with_content_on(
    telemetry: Telemetry, shape: Callable[..., Any]
) -> None:
    """Text of the result is content: redacted, and off by default."""
    use(chat_handler(agent="a")(shape))
    found = telemetry.only_turn()
    assert "4111" not in str(found)
    captured = telemetry.runtime.config.capture_content
    assert ("Good day" in str(found) or "is fine" in str(found)) is captured


@pytest.mark.parametrize("telemetry", [Config(capture_content=True)], indirect=True)
def test_an_own_reader_of_the_reply_has_the_last_word(telemetry: Telemetry) -> None:
    """Where `reply=` gives nothing, no text is taken behind its back."""
    chat_handler(agent="a", reply=lambda _: None)(whole)()
    assert "is fine" not in str(telemetry.only_turn())


def test_an_abandoned_stream_says_what_it_had_said(telemetry: Telemetry) -> None:
    """A model's stream that is left early is cancelled and keeps its model."""
    with turn("a"):
        stream = model_call("gpt-4o")(generated)()
        next(stream)
        del stream
        gc.collect()
    (span,) = telemetry.only_turn().inside
    assert dict(span.attributes or {})[sc.RESPONSE_MODEL] == "gpt-4o-2024-08-06"


def test_the_result_is_let_go_when_it_is_read() -> None:
    """The object lives no longer than until the delivery thread has read it."""

    class Answer(dict[str, Any]):
        pass

    with Telemetry(PRICED) as telemetry:
        answer = Answer(completion())
        watch = weakref.ref(answer)
        chat_handler(agent="a")(lambda given: given)(answer)
        del answer
        assert watch() is not None
        assert telemetry.only_turn()["input_tokens"] == 1000
        gc.collect()
        assert watch() is None


def test_a_full_queue_reads_nothing_in_the_callers_thread() -> None:
    """Where the delivery thread cannot take it, the result stays unread and the turn ends."""

    class Telltale(dict[str, Any]):
        read = False

        def get(self, *args: Any) -> Any:
            type(self).read = True
            return super().get(*args)

    with Telemetry(Config(queue_size=1)) as telemetry:
        telemetry.runtime.delivery.put((len, ()))
        chat_handler(agent="a")(lambda: Telltale(completion()))()
        model_call("gpt-4o")(lambda: Telltale(completion()))()
        assert telemetry.only_turn()["status"] == "ok"
        assert not Telltale.read


class Hostile:
    """Answers every attribute with an exception."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)


VALUES = st.recursive(
    st.none() | st.integers() | st.floats() | st.text() | st.builds(Hostile),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.sampled_from(["choices", "usage", "intent", "model", "type"]), inner)
    ),
)


@given(value=VALUES)
def test_any_result_passes_through_untouched(value: Any) -> None:
    """The caller gets the very object that the handler gave, whatever it is."""
    with Telemetry(clock=SteppedClock()) as telemetry:
        assert chat_handler(agent="a")(lambda: value)() is value
        assert model_call("m")(lambda: value)() is value
        assert telemetry.only_turn()["status"] == "ok"


@pytest.mark.parametrize("step", [tool("t"), workflow("w"), model_call("m")])
async def test_a_generators_step_lasts_until_its_last_chunk(
    telemetry: Telemetry, step: Callable[[Any], Any]
) -> None:
    """The consumer never sees the step's span, the body always does."""
    inside: list[int] = []

    def here() -> int:
        from opentelemetry import trace

        return trace.get_current_span().get_span_context().span_id

    @step
    def pieces() -> Iterator[str]:
        for word in ("a", "b"):
            inside.append(here())
            yield word

    @step
    async def apieces() -> AsyncIterator[str]:
        for word in ("a", "b"):
            inside.append(here())
            yield word

    with turn("a") as now:
        own = int(str(now.span_id), 16)
        for _ in pieces():
            assert here() == own
            telemetry.clock.advance(seconds=1)
        async for _ in apieces():
            assert here() == own
    spans = telemetry.only_turn().inside
    assert [s.context.span_id for s in spans for _ in "ab"] == inside
    assert (spans[0].end_time or 0) - (spans[0].start_time or 0) >= 2e9


async def test_a_step_around_a_yield_stays_inside(telemetry: Telemetry) -> None:
    """A block around the chunks is current in every step of the handler, never in the consumer."""
    from opentelemetry import trace

    def here() -> str:
        return getattr(trace.get_current_span(), "name", "")

    seen: list[str] = []

    @chat_handler(agent="a")
    async def answer() -> AsyncIterator[str]:
        with model_call("m"):
            for word in ("a", "b"):
                seen.append(here())
                yield word
        seen.append(here())
        yield "c"

    async for _ in answer():
        assert here() == ""
    assert seen == ["chat m", "chat m", "invoke_agent a"]
    assert here() == ""
    assert_turn(telemetry.only_turn(), inside=["chat m"])


def test_a_tools_iterator_stays_what_it_is(telemetry: Telemetry) -> None:
    """Only a model call's stream is followed; what another step returns is the caller's."""
    numbers = iter([1, 2])
    with turn("a"):
        assert tool("t")(lambda: numbers)() is numbers
    assert len(telemetry.only_turn().inside) == 1


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving() as base:
        yield base


MESSAGES: Any = [{"role": "user", "content": "hi"}]


def test_a_real_clients_answers_and_streams_are_read(telemetry: Telemetry, url: str) -> None:
    """OpenAI's own objects, whole and streamed, of a handler and of a model call."""
    with openai.OpenAI(api_key="k", base_url=url) as client:
        create = client.chat.completions.create

        @chat_handler(agent="whole")
        def whole() -> Any:
            return create(model="gpt-4o", messages=MESSAGES)

        @chat_handler(agent="stream")
        def streamed() -> Any:
            return create(model="gpt-4o", messages=MESSAGES, stream=True)

        @chat_handler(agent="text")
        def text() -> Iterator[str]:
            ask = model_call("gpt-4o")(create)
            for chunk in ask(model="gpt-4o", messages=MESSAGES, stream=True):
                yield chunk.choices[0].delta.content or "" if chunk.choices else ""

        whole()
        with streamed() as stream:
            assert len(list(stream)) > 2
        assert "".join(text()) == "Hello there"
    assert [found["agent"] for found in telemetry.turns] == ["whole", "stream", "text"]
    for found in telemetry.turns:
        assert_turn(
            found,
            status="ok",
            input_tokens=120,
            output_tokens=40,
            cache_read_tokens=100,
            reasoning_tokens=16,
            confidence=pytest.approx(math.exp(-0.3)),
        )
    attributes = dict(telemetry.turns[2].inside[0].attributes or {})
    assert attributes[sc.FINISH_REASONS] == ("tool_calls",)
    assert attributes[sc.TOOL_CALLS] == ("book_table",)


async def test_a_real_async_clients_stream_is_read(telemetry: Telemetry, url: str) -> None:
    """Anthropic's stream, awaited and iterated."""
    async with anthropic.AsyncAnthropic(api_key="k", base_url=url) as client:

        @chat_handler(agent="a")
        async def answer() -> Any:
            return await client.messages.create(
                model="claude", max_tokens=9, messages=MESSAGES, stream=True
            )

        async for _ in await answer():
            pass
    assert_turn(
        telemetry.only_turn(),
        provider="anthropic",
        response_model="claude-sonnet-4-5-20250929",
        input_tokens=150,
        cache_read_tokens=100,
    )
