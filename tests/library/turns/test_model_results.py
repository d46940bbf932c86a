"""What is taken from results: whole ones, streams, of handlers and of model calls."""

from __future__ import annotations

import asyncio
import gc
import json
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
from otel_chat.errors import ConfigurationError
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


def test_a_turn_has_the_prompt_of_its_first_model_call_that_names_one(
    telemetry: Telemetry,
) -> None:
    """Whoever made the span of that call, and within a nested agent too; others do not count."""
    start = telemetry.tracer_provider.get_tracer("framework").start_as_current_span
    told = {sc.OPERATION_NAME: "chat", "traceloop.prompt.key": "refund"}
    told["traceloop.prompt.version"] = "4"
    with turn("own"):
        with model_call("m"):
            pass
        with turn("inner"), model_call("m", prompt="greeting", prompt_version="7"):
            pass
        with model_call("m", prompt="other"):
            pass
    with turn("framework"), start("chat m", attributes=told):
        pass
    with turn("none"), model_call("m"):
        pass
    found = {
        one.attributes[sc.AGENT_NAME]: [
            one.attributes.get(key) for key in (sc.PROMPT_NAME, sc.PROMPT_VERSION)
        ]
        for one in telemetry.turns
    }
    assert found == {
        "own": ["greeting", "7"], "framework": ["refund", "4"], "none": [None, None],
    }  # fmt: skip


def test_a_call_names_its_prompt_and_a_tool_its_kind(telemetry: Telemetry) -> None:
    """With the conversation on each, and the version of the names on what sent them."""
    with turn("a", conversation_id="c-1"):
        with model_call("gpt-4o", prompt="greeting", prompt_version="7"):
            pass
        with tool("find_parcel"):
            pass
    call, used = sorted(telemetry.only_turn().inside, key=lambda span: span.name)
    told = dict(call.attributes or {})
    assert (told[sc.PROMPT_NAME], told[sc.PROMPT_VERSION]) == ("greeting", "7")
    assert dict(used.attributes or {})[sc.TOOL_TYPE] == "function"
    for span in (call, used):
        assert dict(span.attributes or {})[sc.CONVERSATION_ID] == "c-1"
        assert span.instrumentation_scope is not None
        assert span.instrumentation_scope.schema_url == sc.SCHEMA_URL
    with pytest.raises(ConfigurationError, match="prompt"):
        model_call("gpt-4o", prompt=object())(whole)  # type: ignore[call-overload]


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


WORDS = ["Your ", "parcel ", "is ", "on ", "its ", "way."]


def reply_of(found: Any) -> str | None:
    """The reply that a turn holds."""
    told = found[sc.OUTPUT_MESSAGES]
    return None if told is None else str(json.loads(told)[0]["parts"][0]["content"])


def streams(chunks: list[Any]) -> dict[str, Callable[[], Any]]:
    """Handlers that give the same chunks in each of their shapes."""

    def generated() -> Iterator[Any]:
        yield from chunks

    async def agenerated() -> AsyncIterator[Any]:
        for chunk in chunks:
            yield chunk

    async def areturned() -> AsyncIterator[Any]:
        return agenerated()

    return {
        "generator": generated,
        "async generator": agenerated,
        "iterator": lambda: iter(chunks),
        "awaited": areturned,
    }


@pytest.mark.parametrize("telemetry", [Config(capture_content=True)], indirect=True)
@pytest.mark.parametrize("shape", streams([]))
def test_an_own_reader_is_asked_for_each_chunk(telemetry: Telemetry, shape: str) -> None:
    """`reply=` of a stream takes chunk by chunk, and what it does not read is not the reply."""
    handler = streams([{"t": word} for word in WORDS] + [{"t": None}])[shape]
    use(chat_handler(agent="a", reply=lambda chunk: chunk["t"])(handler))
    whole = streams(WORDS)[shape]
    use(chat_handler(agent="b", reply=lambda chunk: "".join(chunk).upper())(whole))
    none = streams(WORDS)[shape]
    use(chat_handler(agent="c", reply=lambda _: None)(none))
    found = [reply_of(turn) for turn in telemetry.turns]
    assert found == ["".join(WORDS), "".join(WORDS).upper(), None]


def test_an_own_reader_is_not_asked_with_content_off(telemetry: Telemetry) -> None:
    """Nor does one that fails cost more than the chunk that it fails on."""
    asked: list[Any] = []
    use(chat_handler(agent="a", reply=asked.append)(streams(WORDS)["generator"]))
    assert asked == []
    assert telemetry.only_turn()["status"] == "ok"


def test_an_own_reader_that_fails_costs_its_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stream goes on as it was, and the other chunks are read."""
    monkeypatch.delenv("OTEL_CHAT_RAISE", raising=False)

    def reader(chunk: dict[str, str]) -> str:
        return chunk["t"]

    chunks: list[Any] = [{"t": "Hi"}, {"x": 1}, {"t": " there"}]
    with Telemetry(Config(capture_content=True)) as telemetry:
        handler = chat_handler(agent="a", reply=reader)(streams(chunks)["iterator"])
        assert list(handler()) == chunks
        found = telemetry.only_turn()
    assert reply_of(found) == "Hi there"
    assert found["status"] == "ok"


@pytest.mark.parametrize("telemetry", [Config(capture_content=True)], indirect=True)
@pytest.mark.parametrize("shape", streams([]))
@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        (WORDS, "".join(WORDS)),
        ([f"data: {word}\n\n" for word in WORDS], "".join(WORDS)),
        ([f"data: {word}\n\n".encode() for word in WORDS], "".join(WORDS)),
        ([json.dumps({"delta": word}) + "\n" for word in WORDS], "".join(WORDS)),
        ([f"0:{json.dumps(word)}\n" for word in WORDS], "".join(WORDS)),
        (["".join(WORDS[: n + 1]) for n in range(len(WORDS))], "".join(WORDS)),
        ([{"event": "token", "data": word} for word in WORDS], "".join(WORDS)),
        ([f"data: {json.dumps({'t': word})}\n\n" for word in WORDS], None),
        ([{"t": word} for word in WORDS], None),
        (["", ": ping\n\n", {"type": "status", "text": "wait"}, *chunks()], "Good day"),
    ],
)
def test_a_streamed_reply_is_what_the_user_reads(
    telemetry: Telemetry, shape: str, chunks: list[Any], expected: str | None
) -> None:
    """Not the frames that it travels in, and nothing where they cannot be read."""
    use(chat_handler(agent="a")(streams(chunks)[shape]))
    assert reply_of(telemetry.only_turn()) == expected


@pytest.mark.parametrize("telemetry", [Config(capture_content=True)], indirect=True)
def test_a_whole_reply_is_what_the_user_reads(telemetry: Telemetry) -> None:
    """Of a dictionary the text; of what says nothing none, and never a `repr`."""
    for value in ({"reply": "Hi"}, b"Hi", ({"answer": "Hi"}, 200), object(), {"t": "Hi"}, 7):
        chat_handler(agent="a")(lambda given: given)(value)
    assert [reply_of(turn) for turn in telemetry.turns] == ["Hi", "Hi", "Hi", None, None, None]


@pytest.mark.parametrize("telemetry", [Config(capture_content=True)], indirect=True)
def test_what_a_classifier_gave_is_no_reply(telemetry: Telemetry) -> None:
    """Only what the handler returns is; the text that was classified is the user's."""

    @chat_handler(agent="a")
    def answer() -> None:
        current_turn().result({"text": "what the user wrote", "label": "greet"})

    answer()
    chat_handler(agent="b")(
        lambda: {"text": "hi", "intent": {"name": "greet", "confidence": 0.9}, "entities": []}
    )()
    assert [reply_of(turn) for turn in telemetry.turns] == [None, None]


@pytest.mark.parametrize("telemetry", [Config(capture_content=True)], indirect=True)
def test_a_reply_that_the_handler_tells_wins(telemetry: Telemetry) -> None:
    """Over chunks, results and what a reader makes of them."""

    @chat_handler(agent="a", reply=lambda chunk: chunk)
    def answer() -> Iterator[str]:
        yield "x"
        current_turn().reply("Hi")
        yield "y"

    list(answer())
    assert reply_of(telemetry.only_turn()) == "Hi"


@pytest.mark.parametrize("telemetry", [Config(capture_content=True)], indirect=True)
def test_an_answer_that_was_given_is_kept_beside_what_is_returned(telemetry: Telemetry) -> None:
    """Usage of the model's answer, the reply of what the user gets."""

    @chat_handler(agent="a")
    def answer() -> Any:
        current_turn().result(completion())
        return {"reply": "Hi"}

    answer()
    found = telemetry.only_turn()
    assert_turn(found, input_tokens=1000, output_tokens=100)
    assert reply_of(found) == "Hi"


@pytest.mark.parametrize("telemetry", [Config(capture_content=True)], indirect=True)
def test_an_answer_given_in_a_stream_of_text_says_the_rest(telemetry: Telemetry) -> None:
    """The reply is what was streamed; usage and model are the answer's."""

    @chat_handler(agent="a")
    def answer() -> Iterator[str]:
        yield from WORDS
        current_turn().result(completion())

    list(answer())
    found = telemetry.only_turn()
    assert_turn(found, input_tokens=1000, response_model="gpt-4o-2024-08-06")
    assert reply_of(found) == "".join(WORDS)


PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBOR"}}
QUESTION = [{"type": "text", "text": "What is on this picture?"}, PICTURE]


@pytest.mark.parametrize("telemetry", [Config(capture_content=True)], indirect=True)
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (QUESTION, "What is on this picture?"),
        ([{"role": "user", "content": QUESTION}], "What is on this picture?"),
        ({"role": "user", "content": "hello"}, "hello"),
        ("hello", "hello"),
        (42, "42"),
        ([PICTURE], None),
        (object(), None),
    ],
)
def test_a_message_made_of_parts_is_its_text(
    telemetry: Telemetry, given: Any, expected: str | None
) -> None:
    """A picture is no text, and no `repr` of anything is kept."""
    handler = chat_handler(agent="a", message="messages")(_answer)
    handler(given)
    told = telemetry.turns[-1][sc.INPUT_MESSAGES]
    assert (told and json.loads(told)[0]["parts"][0]["content"]) == expected


def _answer(messages: Any) -> str:
    return "A cat."


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
