"""Streams: what an application sends between a provider's chunks, and several answers in one."""

from __future__ import annotations

import copy
import json
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage
from pydantic_ai.messages import ModelResponse, TextPart
from pydantic_ai.usage import RequestUsage

from otel_chat.extract import Extracted, StreamState, extract
from tests.library.extract.wire import (
    ANTHROPIC_EVENTS,
    CHAT,
    CHAT_CHUNKS,
    GOOGLE_CHUNKS,
    RESPONSE_EVENTS,
)

BEDROCK_EVENTS: list[dict[str, Any]] = [
    {"messageStart": {"role": "assistant"}},
    {"contentBlockDelta": {"delta": {"text": "Hello there"}, "contentBlockIndex": 0}},
    {"messageStop": {"stopReason": "end_turn"}},
    {"metadata": {"usage": {"inputTokens": 120, "outputTokens": 40, "totalTokens": 160}}},
]
COHERE_EVENTS: list[dict[str, Any]] = [
    {"type": "message-start", "id": "c-1", "delta": {"message": {"role": "assistant"}}},
    {"type": "content-start", "delta": {"message": {"content": {"type": "text", "text": ""}}}},
    {"type": "content-delta", "delta": {"message": {"content": {"text": "Hello"}}}},
    {"type": "content-delta", "delta": {"message": {"content": {"text": " there"}}}},
    {
        "type": "message-end",
        "delta": {
            "finish_reason": "COMPLETE",
            "usage": {
                "billed_units": {"input_tokens": 100.0, "output_tokens": 40.0},
                "tokens": {"input_tokens": 120.0, "output_tokens": 40.0},
            },
        },
    },
]
OLLAMA_CHUNKS: list[dict[str, Any]] = [
    {"model": "llama3.2", "message": {"role": "assistant", "content": "Hello"}, "done": False},
    {"model": "llama3.2", "message": {"role": "assistant", "content": " there"}, "done": False},
    {
        "model": "llama3.2",
        "message": {"role": "assistant", "content": ""},
        "done": True,
        "done_reason": "stop",
        "prompt_eval_count": 120,
        "eval_count": 40,
    },
]
STREAMS = {
    "openai": CHAT_CHUNKS,
    "responses": RESPONSE_EVENTS,
    "anthropic": ANTHROPIC_EVENTS,
    "google": GOOGLE_CHUNKS,
    "bedrock": BEDROCK_EVENTS,
    "cohere": COHERE_EVENTS,
    "ollama": OLLAMA_CHUNKS,
}
FOREIGN: list[Any] = [
    "thinking...",
    "",
    ": ping\n\n",
    b"\n",
    None,
    0,
    {"type": "status", "text": "thinking"},
    {"data": None},
    {"event": "ping"},
    {"type": "message_delta"},
    {"output": "x"},
    {"metadata": {"usage": 3}},
    SimpleNamespace(kind="event", data=SimpleNamespace(step=1)),
    ["x"],
    ("x", {"langgraph_node": "agent"}),
    object(),
]


def read(chunks: list[Any], *, keeps_text: bool = False) -> Extracted | None:
    state = StreamState(keeps_text=keeps_text)
    for chunk in chunks:
        state.record_chunk(chunk)
    return state.result()


def again(chunks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same stream of another response: its ids are other ones."""
    written = json.dumps(chunks)
    for own in ("chatcmpl-1", "resp_1", "msg_1", "msg_01", "r-1", "c-1", "resp-1"):
        written = written.replace(json.dumps(own), json.dumps(f"{own}-again"))
    return json.loads(written)  # type: ignore[no-any-return]


@pytest.mark.parametrize("first", FOREIGN, ids=lambda chunk: type(chunk).__name__)
@pytest.mark.parametrize("provider", STREAMS)
def test_whatever_comes_first_the_providers_chunks_are_read(provider: str, first: Any) -> None:
    """A status, a comment, an empty text or an object of the application's own hides nothing."""
    assert read([first, *STREAMS[provider]]) == read(STREAMS[provider])
    found = read([first, *STREAMS[provider]], keeps_text=True)
    assert found is not None
    assert (found.text or "").endswith("Hello there")


@settings(max_examples=100, deadline=None)
@given(
    provider=st.sampled_from(sorted(STREAMS)),
    foreign=st.lists(st.tuples(st.integers(0, 10), st.sampled_from(FOREIGN)), max_size=6),
)
def test_foreign_chunks_anywhere_change_no_usage(
    provider: str, foreign: list[tuple[int, Any]]
) -> None:
    """Any interleaving with what is not the provider's says the same of the provider's."""
    chunks: list[Any] = list(STREAMS[provider])
    for place, chunk in foreign:
        chunks.insert(min(place, len(chunks)), chunk)
    assert read(chunks) == read(STREAMS[provider])


@pytest.mark.parametrize("first", STREAMS)
@pytest.mark.parametrize("second", STREAMS)
def test_two_answers_in_one_stream_add_up(first: str, second: str) -> None:
    """A new response is a new sum, of one provider's or of two's."""
    one, two = read(STREAMS[first]), read(again(STREAMS[second]))
    both = read([*STREAMS[first], *again(STREAMS[second])])
    assert one is not None
    assert two is not None
    assert both is not None
    for name in ("input_tokens", "output_tokens"):
        assert getattr(both, name) == getattr(one, name) + getattr(two, name)
    assert (both.model, both.provider) == (two.model or one.model, two.provider)
    assert both.text == f"{one.text}{two.text}"
    assert [part.provider for part in both.parts] == [one.provider, two.provider]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.booleans(), max_size=20))
def test_answers_side_by_side_are_told_apart(turns: list[bool]) -> None:
    """Chunks of two calls that run at the same time belong each to its own, by their ids."""
    queues = [list(again(CHAT_CHUNKS)), list(CHAT_CHUNKS)]
    mixed = [queues[which].pop(0) for which in turns if queues[which]]
    found = read([*mixed, *queues[0], *queues[1]])
    assert found is not None
    assert (found.input_tokens, found.output_tokens) == (240, 80)


@pytest.mark.parametrize("late", [{"prompt_tokens": 0, "completion_tokens": 0}, {}, None])
def test_zeros_after_the_true_usage_say_nothing(late: Any) -> None:
    """Routers end their streams with an empty usage."""
    last = {**CHAT_CHUNKS[-1], "usage": late}
    assert read([*CHAT_CHUNKS, last]) == read(CHAT_CHUNKS)
    assert read([*CHAT_CHUNKS[:-1], last, CHAT_CHUNKS[-1]]) == read(CHAT_CHUNKS)


def test_zeros_after_anthropics_true_usage_say_nothing() -> None:
    """Its usage has three parts, and what a later event leaves out stays as it was."""
    zeros = {
        "type": "message_delta",
        "delta": {"stop_reason": None},
        "usage": {
            "input_tokens": 0,
            "cache_read_input_tokens": 0,
            "cache_creation_input_tokens": 0,
            "output_tokens": 0,
        },
    }
    assert read([*ANTHROPIC_EVENTS, zeros]) == read(ANTHROPIC_EVENTS)


def test_a_server_without_ids_begins_anew_after_the_end() -> None:
    """After a finish reason a chunk with a role is the next answer's."""
    chunks = [
        {**{k: v for k, v in chunk.items() if k != "id"}, "created": 1} for chunk in CHAT_CHUNKS
    ]
    found = read([*chunks, *chunks])
    assert found is not None
    assert (found.input_tokens, found.output_tokens) == (240, 80)
    assert found.text == "Hello thereHello there"


def langchain_chunks(run: str) -> list[Any]:
    """A call's chunks; their usage adds up, as adding them does."""
    usage = [(120, 1), (0, 39)]
    return [
        AIMessageChunk(
            content=word,
            id=run,
            usage_metadata={"input_tokens": i, "output_tokens": o, "total_tokens": i + o},
            response_metadata={"model_name": "gpt-4o"},
        )
        for word, (i, o) in zip(("Hello", " there"), usage, strict=True)
    ]


def test_langchains_calls_in_one_stream_add_up() -> None:
    """Each run by its id, one after the other and side by side."""
    one, two = langchain_chunks("run-1"), langchain_chunks("run-2")
    for chunks in ([*one, *two], [one[0], two[0], one[1], two[1]]):
        found = read(chunks)
        assert found is not None
        assert (found.input_tokens, found.output_tokens) == (240, 80)
        assert found.text == "Hello thereHello there"


def test_a_state_that_is_streamed_again_and_again_counts_once() -> None:
    """Each repeats the messages of the one before; the reply is the last message's text."""
    messages = [
        AIMessage(
            content=text,
            id=f"run-{number}",
            usage_metadata={"input_tokens": 120, "output_tokens": 40, "total_tokens": 160},
        )
        for number, text in enumerate(["", "Hello there"])
    ]
    asked = HumanMessage("hello")
    states: list[Any] = [
        {"messages": [asked]},
        {"messages": [asked, messages[0]]},
        {"messages": [asked, *messages]},
        {"messages": [asked, *messages]},
    ]
    found = read(states)
    assert found is not None
    assert (found.input_tokens, found.output_tokens, found.text) == (240, 80, "Hello there")


def test_a_whole_message_that_is_repeated_counts_once() -> None:
    """As updates of a graph repeat it; without an id each is another."""
    usage: Any = {"input_tokens": 120, "output_tokens": 40, "total_tokens": 160}
    known = AIMessage("Hello there", id="run-1", usage_metadata=usage)
    unknown = AIMessage("Hello there", usage_metadata=usage)
    for chunks, expected in (([known, known], 120), ([unknown, unknown], 240)):
        found = read(chunks)
        assert found is not None
        assert found.input_tokens == expected


def test_pydantic_ais_runs_in_one_stream_add_up() -> None:
    """Responses by the provider's id."""
    responses = [
        ModelResponse(
            parts=[TextPart("Hello there")],
            usage=RequestUsage(input_tokens=120, output_tokens=40),
            provider_response_id=f"r-{number}",
        )
        for number in (1, 1, 2)
    ]
    found = read(responses)
    assert found is not None
    assert (found.input_tokens, found.output_tokens) == (240, 80)


def test_pydantic_ais_reasoning_beside_the_output_is_output() -> None:
    """It hands xAI's counts on as they are: more than the whole lies beside it."""
    usage = RequestUsage(input_tokens=10120, output_tokens=1499, details={"reasoning_tokens": 2809})
    assert counted(extract(ModelResponse(parts=[TextPart("x")], usage=usage)))[1] == 4308


@pytest.mark.parametrize(
    "envelope",
    [
        lambda chunk: SimpleNamespace(data=chunk),
        lambda chunk: SimpleNamespace(type="chunk", chunk=chunk, snapshot=CHAT),
        lambda chunk: {"event": "on_chat_model_stream", "data": {"chunk": chunk}},
    ],
)
def test_an_envelope_is_opened(envelope: Any) -> None:
    """Mistral's client, OpenAI's helper and LangChain's events have the chunk inside."""
    found = read([envelope(chunk) for chunk in CHAT_CHUNKS])
    assert found == read(CHAT_CHUNKS)


def test_bedrocks_events_hold_the_models_own_in_bytes() -> None:
    """What `invoke_model_with_response_stream` gives, of Anthropic's and of Amazon's own models."""
    for events in (ANTHROPIC_EVENTS, BEDROCK_EVENTS):
        sent = [{"chunk": {"bytes": json.dumps(event).encode()}} for event in events]
        assert read(sent, keeps_text=True) == read(events, keeps_text=True)


@pytest.mark.parametrize("provider", ["openai", "google"])
def test_of_several_choices_the_first_is_the_reply(provider: str) -> None:
    """Chunks of several come interleaved, whatever is first; the tokens are those of all."""
    chunks = {"openai": CHAT_CHUNKS, "google": GOOGLE_CHUNKS}[provider]
    held = {"openai": "choices", "google": "candidates"}[provider]
    mixed: list[Any] = []
    for chunk in chunks:
        others = [{**choice, "index": 1} for choice in chunk.get(held, ())]
        mixed += [{**chunk, held: others}, chunk] if others else [chunk]
    assert read(mixed, keeps_text=True) == read(chunks, keeps_text=True)


def test_an_event_may_be_a_pair_of_its_name_and_what_it_holds() -> None:
    """Of a provider's or of the application's own."""
    chunks = [("chunk", chunk) for chunk in CHAT_CHUNKS]
    told = [("status", "searching"), *chunks, ("sources", ["a.pdf"]), ("done", {})]
    assert read(told, keeps_text=True) == read(CHAT_CHUNKS, keeps_text=True)


def test_what_a_helper_repeats_of_its_chunks_is_read_once() -> None:
    """OpenAI's tells each text again with all of it so far, LangChain all of it at the end."""
    chunks: list[Any] = []
    for chunk in CHAT_CHUNKS:
        chunks.append(SimpleNamespace(type="chunk", chunk=chunk, snapshot=CHAT))
        text = chunk["choices"][0]["delta"].get("content") if chunk["choices"] else None
        if text:
            chunks.append(SimpleNamespace(type="content.delta", delta=text, snapshot="Hello there"))
    chunks.append(SimpleNamespace(type="content.done", content="Hello there", parsed=None))
    chunks.append({"event": "on_chat_model_end", "data": {"output": {"content": "Hello there"}}})
    found = read(chunks, keeps_text=True)
    assert found is not None
    assert (found.text, found.input_tokens) == ("Hello there", 120)


def test_a_stream_that_never_ends_is_bounded() -> None:
    """New ids without end are no reason to remember them all."""
    state = StreamState(keeps_text=True)
    for number in range(1_000):
        state.record_chunk({**CHAT_CHUNKS[1], "id": f"c{number}"})
        state.record_chunk(f"text {number}")
    found = state.result()
    assert found is not None
    assert len(found.text or "") <= 200_000
    assert len(state._draft._answers) <= 256


def test_a_class_that_takes_its_time_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """An attribute that takes seconds is waited for once, by the clock of the reader."""
    from otel_chat.extract import _reading

    now = [0.0]
    monkeypatch.setattr(_reading, "monotonic", lambda: now[0])

    class Slow:
        def __getattr__(self, name: str) -> Any:
            now[0] += 2.0
            raise AttributeError(name)

    assert read([Slow() for _ in range(10)]) is None
    assert extract(Slow()) is None
    assert now[0] <= 2.0


# -- how providers count ---------------------------------------------------------------------------


def chat(**usage: Any) -> Any:
    return extract({**copy.deepcopy(CHAT), "usage": usage})


def counted(found: Any) -> tuple[int | None, ...]:
    assert found is not None
    return (
        found.input_tokens,
        found.output_tokens,
        found.cache_read_tokens,
        found.cache_write_tokens,
        found.reasoning_tokens,
    )


THOUGHT = {"completion_tokens_details": {"reasoning_tokens": 2809}}


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        pytest.param(
            {
                "prompt_tokens": 10120,
                "completion_tokens": 1499,
                "total_tokens": 14428,
                "prompt_tokens_details": {"cached_tokens": 128},
                **THOUGHT,
            },
            (10120, 4308, 128, None, 2809),
            id="xAI counts reasoning beside the completion",
        ),
        pytest.param(
            {
                "prompt_tokens": 10120,
                "completion_tokens": 4308,
                "total_tokens": 14428,
                "prompt_tokens_details": {"cached_tokens": 128},
                **THOUGHT,
            },
            (10120, 4308, 128, None, 2809),
            id="OpenAI within",
        ),
        pytest.param(
            {"prompt_tokens": 10120, "completion_tokens": 1499, **THOUGHT},
            (10120, 4308, None, None, 2809),
            id="more than the whole lies beside it",
        ),
        pytest.param(
            {"prompt_tokens": 21, "completion_tokens": 0, "total_tokens": 81,
             "completion_tokens_details": {"reasoning_tokens": 60}},
            (21, 60, None, None, 60),
            id="nothing but thoughts",
        ),
        pytest.param(
            {"prompt_tokens": 20, "completion_tokens": 198, "total_tokens": 623},
            (20, 603, None, None, 405),
            id="Gemini by way of OpenAI's format: thoughts in the total alone",
        ),
        pytest.param(
            {"prompt_tokens": 20, "completion_tokens": 198, "total_tokens": 0},
            (20, 198, None, None, None),
            id="a total of zero says nothing",
        ),
        pytest.param(
            {"prompt_tokens": 90, "completion_tokens": 10, "total_tokens": 100,
             "prompt_cache_hit_tokens": 64, "prompt_cache_miss_tokens": 26,
             "completion_tokens_details": {"reasoning_tokens": 7}},
            (90, 10, 64, None, 7),
            id="DeepSeek",
        ),
        pytest.param(
            {"prompt_tokens": 90, "completion_tokens": 10, "total_tokens": 100,
             "cached_tokens": 64},
            (90, 10, 64, None, None),
            id="Moonshot",
        ),
        pytest.param(
            {"prompt_tokens": 90, "completion_tokens": 10, "total_tokens": 100,
             "num_cached_tokens": 64},
            (90, 10, 64, None, None),
            id="Mistral",
        ),
        pytest.param(
            {"prompt_tokens": 33, "completion_tokens": 7163, "total_tokens": 7196,
             "citation_tokens": 20016, "reasoning_tokens": 73997},
            (33, 81160, None, None, 73997),
            id="Perplexity counts reasoning nowhere else",
        ),
        pytest.param(
            {"prompt_tokens": 150, "completion_tokens": 40, "total_tokens": 190,
             "cache_read_input_tokens": 100, "cache_creation_input_tokens": 30},
            (150, 40, 100, 30, None),
            id="LiteLLM counts Anthropic's cache within the prompt",
        ),
        pytest.param(
            {"prompt_tokens": 20, "completion_tokens": 40, "total_tokens": 190,
             "cache_read_input_tokens": 100, "cache_creation_input_tokens": 30},
            (150, 40, 100, 30, None),
            id="and routers that count it beside",
        ),
    ],
)  # fmt: skip
def test_the_total_says_which_way_a_provider_counts(
    usage: dict[str, Any], expected: tuple[int | None, ...]
) -> None:
    """Input includes what was cached, output what was thought, whoever counts."""
    assert counted(chat(**usage)) == expected


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (
            {"promptTokenCount": 20, "candidatesTokenCount": 198, "thoughtsTokenCount": 405,
             "totalTokenCount": 623},
            (20, 603, None, None, 405),
        ),
        (
            {"promptTokenCount": 20, "candidatesTokenCount": 603, "thoughtsTokenCount": 405,
             "totalTokenCount": 623},
            (20, 603, None, None, 405),
        ),
        (
            {"promptTokenCount": 21, "thoughtsTokenCount": 60, "totalTokenCount": 81},
            (21, 60, None, None, 60),
        ),
        (
            {"promptTokenCount": 20, "candidatesTokenCount": 5, "toolUsePromptTokenCount": 7,
             "cachedContentTokenCount": 16, "totalTokenCount": 32},
            (27, 5, 16, None, None),
        ),
        (
            {"promptTokenCount": 20, "responseTokenCount": 5, "totalTokenCount": 25},
            (20, 5, None, None, None),
        ),
    ],
)  # fmt: skip
def test_geminis_thoughts_are_output(
    usage: dict[str, Any], expected: tuple[int | None, ...]
) -> None:
    """They are counted beside the candidates, unless the total says otherwise."""
    assert counted(extract({"candidates": [], "usageMetadata": usage})) == expected


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"input_tokens": 20, "output_tokens": 40, "cache_read_input_tokens": 100,
          "cache_creation_input_tokens": 30}, (150, 40, 100, 30, None)),
        ({"input_tokens": 20, "output_tokens": 40,
          "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20}},
         (50, 40, None, 30, None)),
        ({"input_tokens": 0, "output_tokens": 40, "cache_read_input_tokens": 100},
         (100, 40, 100, None, None)),
    ],
)  # fmt: skip
def test_anthropics_parts_are_summed(
    usage: dict[str, Any], expected: tuple[int | None, ...]
) -> None:
    """What was read from a cache and written to one was put in as well."""
    message = {"type": "message", "role": "assistant", "content": [], "usage": usage}
    assert counted(extract(message)) == expected


@pytest.mark.parametrize(
    ("total", "expected"), [(190, (150, 40, 100, 30, None)), (60, (20, 40, 100, 30, None))]
)
def test_bedrocks_total_says_whether_the_cache_is_counted(
    total: int, expected: tuple[int | None, ...]
) -> None:
    """Its models differ in it."""
    answer = {
        "output": {"message": {"role": "assistant", "content": [{"text": "x"}]}},
        "usage": {
            "inputTokens": 20,
            "outputTokens": 40,
            "totalTokens": total,
            "cacheReadInputTokens": 100,
            "cacheWriteInputTokens": 30,
        },
    }
    assert counted(extract(answer)) == expected


def test_coheres_answer_is_read_whole() -> None:
    """Tokens that were read and written, not those that are charged for."""
    found = extract(
        {
            "id": "c-1",
            "finish_reason": "COMPLETE",
            "message": {"role": "assistant", "content": [{"type": "text", "text": "Hello"}]},
            "usage": {
                "billed_units": {"input_tokens": 5, "output_tokens": 2},
                "tokens": {"input_tokens": 71, "output_tokens": 2},
                "cached_tokens": 64,
            },
        }
    )
    assert counted(found) == (71, 2, 64, None, None)
    assert found is not None
    assert (found.provider, found.text, found.response_id) == ("cohere", "Hello", "c-1")


def test_ollamas_answers_are_read_whole() -> None:
    """Of both of its ways to be asked; a prompt that it held may be left uncounted."""
    generated = {"model": "llama3.2", "response": "Hello", "done": True, "eval_count": 3}
    found = extract(generated)
    assert counted(found) == (None, 3, None, None, None)
    assert found is not None
    assert (found.provider, found.text, found.model) == ("ollama", "Hello", "llama3.2")


def test_perplexitys_own_cost_is_taken() -> None:
    """It stands in an object, by kind."""
    found = chat(prompt_tokens=1, completion_tokens=2, cost={"total_cost": 0.25})
    assert found.cost == 0.25
