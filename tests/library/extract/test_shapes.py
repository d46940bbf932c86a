"""Results that come without a wire: frameworks' objects, dictionaries, dialogue systems."""

from __future__ import annotations

import copy
import enum
import math
from types import SimpleNamespace
from typing import Any

import pytest
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage
from pydantic_ai import Agent
from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.test import TestModel
from pydantic_ai.usage import RequestUsage

from otel_chat.extract import Extracted, StreamState, ToolCall, extract
from tests.library.extract.wire import CHAT, CHAT_CHUNKS


def streamed(chunks: list[Any]) -> Extracted:
    state = StreamState()
    for chunk in chunks:
        state.record_chunk(chunk)
    found = state.result()
    assert found is not None
    return found


def spaced(value: Any) -> Any:
    """Nested dictionaries as objects with attributes."""
    if isinstance(value, dict):
        return SimpleNamespace(**{key: spaced(item) for key, item in value.items()})
    return [spaced(item) for item in value] if isinstance(value, list) else value


# -- LiteLLM and servers that speak OpenAI's format ------------------------------------------------


def test_litellm_tells_provider_and_cost_in_hidden_parameters() -> None:
    """A ModelResponse is a chat completion with what the router knows beside it."""
    response = spaced({**CHAT, "model": "claude-sonnet-4-5"})
    response._hidden_params = {"custom_llm_provider": "bedrock", "response_cost": 0.0125}
    response.usage.cache_creation_input_tokens = 7
    found = extract(response)
    assert found is not None
    assert (found.provider, found.cost, found.cache_write_tokens) == ("aws.bedrock", 0.0125, 7)
    assert (found.model, found.input_tokens, found.text) == (
        "claude-sonnet-4-5",
        120,
        "Hello there",
    )


def test_azures_first_chunk_has_no_choices() -> None:
    """It has the prompt's filter results, which tell the provider."""
    first = {"choices": [], "id": "", "model": "", "object": "", "prompt_filter_results": []}
    found = streamed([first, *CHAT_CHUNKS])
    assert (found.provider, found.text, found.input_tokens) == (
        "azure.ai.openai",
        "Hello there",
        120,
    )


@pytest.mark.parametrize(
    ("change", "provider"),
    [
        ({}, "openai"),
        ({"model": "llama-3.3-70b"}, None),
        ({"model": "ft:gpt-4o-mini:acme"}, "openai"),
        ({"model": "llama-3.3-70b", "x_groq": {"id": "r"}}, "groq"),
        ({"model": "meta/llama", "id": "gen-1", "provider": "Together"}, "openrouter"),
    ],
)
def test_a_compatible_server_is_known_by_what_it_adds(
    change: dict[str, Any], provider: str | None
) -> None:
    """The format alone does not tell who speaks it, and nobody is guessed."""
    found = extract({**CHAT, **change})
    assert found is not None
    assert found.provider == provider


def test_a_routers_own_cost_and_deepseeks_cache_are_taken() -> None:
    """OpenRouter prices a request itself; DeepSeek names its cache hits in its own way."""
    usage = {
        "prompt_tokens": 9,
        "completion_tokens": 1,
        "cost": 0.002,
        "prompt_cache_hit_tokens": 4,
    }
    found = extract({**CHAT, "usage": usage})
    assert found is not None
    assert (found.cost, found.cache_read_tokens, found.reasoning_tokens) == (0.002, 4, None)


# -- Bedrock -----------------------------------------------------------------------------------

BEDROCK_USAGE = {
    "inputTokens": 20,
    "outputTokens": 40,
    "totalTokens": 190,
    "cacheReadInputTokens": 100,
    "cacheWriteInputTokens": 30,
}
BEDROCK = Extracted(
    shape="bedrock.converse",
    provider="aws.bedrock",
    input_tokens=150,
    output_tokens=40,
    cache_read_tokens=100,
    cache_write_tokens=30,
    finish_reason="tool_use",
    tool_calls=(ToolCall("book_table", "t-1"),),
    text="Hello there",
)


def test_bedrocks_converse() -> None:
    """As botocore returns it; the request's id is the response's."""
    call = {"toolUseId": "t-1", "name": "book_table", "input": {}}
    answer = {
        "ResponseMetadata": {"RequestId": "req-1", "HTTPStatusCode": 200},
        "output": {
            "message": {
                "role": "assistant",
                "content": [
                    {"reasoningContent": {"reasoningText": {"text": "hm"}}},
                    {"text": "Hello there"},
                    {"toolUse": call},
                ],
            }
        },
        "stopReason": "tool_use",
        "usage": BEDROCK_USAGE,
        "metrics": {"latencyMs": 7},
    }
    found = extract(answer)
    assert found is not None
    assert found.response_id == "req-1"
    assert extract({key: answer[key] for key in answer if key != "ResponseMetadata"}) == BEDROCK


def test_bedrocks_converse_stream() -> None:
    """The usage is in the last event."""
    call = {"toolUseId": "t-1", "name": "book_table"}
    events: list[dict[str, Any]] = [
        {"messageStart": {"role": "assistant"}},
        {"contentBlockDelta": {"delta": {"text": "Hello"}, "contentBlockIndex": 0}},
        {"contentBlockDelta": {"delta": {"text": " there"}, "contentBlockIndex": 0}},
        {"contentBlockStop": {"contentBlockIndex": 0}},
        {"contentBlockStart": {"start": {"toolUse": call}, "contentBlockIndex": 1}},
        {"contentBlockDelta": {"delta": {"toolUse": {"input": "{}"}}, "contentBlockIndex": 1}},
        {"messageStop": {"stopReason": "tool_use"}},
        {"metadata": {"usage": BEDROCK_USAGE, "metrics": {"latencyMs": 7}}},
    ]
    assert streamed(events) == BEDROCK


# -- LangChain ---------------------------------------------------------------------------------

USAGE: Any = {
    "input_tokens": 120,
    "output_tokens": 40,
    "total_tokens": 160,
    "input_token_details": {"cache_read": 100, "cache_creation": 5},
    "output_token_details": {"reasoning": 16},
}


def ai_message(**more: Any) -> AIMessage:
    return AIMessage(
        content="Hello there",
        id="run-1",
        usage_metadata=USAGE,
        response_metadata={
            "model_name": "gpt-4o",
            "model_provider": "openai",
            "finish_reason": "stop",
            "logprobs": {"content": [{"token": "Hello", "logprob": -0.25}]},
        },
        tool_calls=[{"name": "book_table", "args": {}, "id": "c-1"}],
        **more,
    )


LANGCHAIN = Extracted(
    shape="langchain.message",
    model="gpt-4o",
    provider="openai",
    input_tokens=120,
    output_tokens=40,
    cache_read_tokens=100,
    cache_write_tokens=5,
    reasoning_tokens=16,
    finish_reason="stop",
    response_id="run-1",
    tool_calls=(ToolCall("book_table", "c-1"),),
    text="Hello there",
    confidence=math.exp(-0.25),
)


def test_langchains_message() -> None:
    """Usage and metadata as its integrations fill them in."""
    assert extract(ai_message()) == LANGCHAIN
    assert extract(GenericFakeChatModel(messages=iter([ai_message()])).invoke("hi")) == LANGCHAIN


def test_langchains_message_as_its_provider_told_it() -> None:
    """Integrations that give no `usage_metadata` keep what the provider said; a refusal is said."""
    usage = {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}
    refused = [{"type": "refusal", "refusal": "No."}]
    found = extract(AIMessage(refused, response_metadata={"token_usage": usage}))
    assert found is not None
    assert (found.text, found.input_tokens, found.output_tokens) == ("No.", 12, 3)


def test_what_stands_beside_a_providers_answer_is_the_reply() -> None:
    """An application may cut or clean what the model said, and hand the whole answer on."""
    found = extract({"reply": "Your parcel.", "raw": CHAT})
    assert found is not None
    assert (found.text, found.input_tokens) == ("Your parcel.", 120)


def test_a_human_message_is_no_result() -> None:
    """Only the assistant's messages are."""
    assert extract(HumanMessage("hi")) is None


def test_langchains_chunks_add_up() -> None:
    """As adding the chunks themselves does; content in blocks counts by its text."""
    chunks: list[AIMessageChunk] = [
        AIMessageChunk(
            content="Hello",
            id="run-1",
            usage_metadata={"input_tokens": 120, "output_tokens": 1, "total_tokens": 121},
            response_metadata={"model_name": "claude"},
        ),
        AIMessageChunk(content=[{"type": "text", "text": " there"}, {"type": "thinking"}]),
        AIMessageChunk(
            content="",
            usage_metadata={"input_tokens": 0, "output_tokens": 39, "total_tokens": 39},
            response_metadata={"stop_reason": "end_turn"},
        ),
    ]
    found = streamed(chunks)
    assert (found.input_tokens, found.output_tokens, found.text) == (120, 40, "Hello there")
    assert (found.model, found.finish_reason) == ("claude", "end_turn")


def test_a_langgraph_state_counts_this_turns_messages_only() -> None:
    """The history before the user's last message was counted with its own turns."""
    state = {
        "messages": [
            HumanMessage("one"),
            ai_message(),
            HumanMessage("two"),
            ai_message(),
            ai_message(),
        ]
    }
    found = extract(state)
    assert found is not None
    assert (found.input_tokens, found.output_tokens, found.text) == (240, 80, "Hello there")
    assert extract({"messages": [ai_message(), HumanMessage("two")]}) is None


# -- Pydantic AI -------------------------------------------------------------------------------


def test_pydantic_ais_response() -> None:
    """A model's response with its parts, usage and provider."""
    response = ModelResponse(
        parts=[TextPart("Hello there"), ToolCallPart("book_table", {}, "c-1")],
        usage=RequestUsage(
            input_tokens=120,
            output_tokens=40,
            cache_read_tokens=100,
            cache_write_tokens=5,
            details={"reasoning_tokens": 16},
        ),
        model_name="gemini-2.5-flash",
        provider_name="google",
        provider_response_id="r-1",
        finish_reason="stop",
    )
    found = extract(response)
    assert found is not None
    assert (found.model, found.provider, found.response_id) == (
        "gemini-2.5-flash",
        "gcp.gemini",
        "r-1",
    )
    assert (found.input_tokens, found.output_tokens, found.cache_read_tokens) == (120, 40, 100)
    assert (found.cache_write_tokens, found.reasoning_tokens) == (5, 16)
    assert found.tool_calls == (ToolCall("book_table", "c-1"),)
    assert (found.text, found.finish_reason) == ("Hello there", "stop")


async def test_a_pydantic_ai_run() -> None:
    """The usage of all its requests, tools included; its output is the reply."""
    agent = Agent(TestModel(custom_output_text="Hello there"))

    @agent.tool_plain
    def book_table() -> str:
        return "booked"

    result = await agent.run("hi")
    found = extract(result)
    assert found is not None
    assert (found.shape, found.model, found.text) == ("pydantic_ai", "test", "Hello there")
    usage = result.usage
    assert usage.requests == 2
    assert (found.input_tokens, found.output_tokens) == (usage.input_tokens, usage.output_tokens)


async def test_a_streamed_pydantic_ai_run() -> None:
    """Through its events, the last of which is the result."""
    agent = Agent(TestModel(custom_output_text="Hello there"))
    async with agent.run_stream_events("hi") as events:
        found = streamed([event async for event in events])
    assert (found.model, found.text) == ("test", "Hello there")
    assert (found.input_tokens or 0) > 0


async def test_a_finished_pydantic_ai_stream() -> None:
    """`run_stream` yields text; the object that it gives knows the rest."""
    async with Agent(TestModel(custom_output_text="Hello there")).run_stream("hi") as result:
        assert [text async for text in result.stream_text()][-1] == "Hello there"
        found = extract(result)
    assert found is not None
    assert (found.model, found.text) == ("test", "Hello there")
    assert (found.output_tokens or 0) > 0


# -- Rasa and Dialogflow -----------------------------------------------------------------------

RASA = {
    "text": "book a table",
    "intent": {"name": "book_table", "confidence": 0.91},
    "entities": [],
    "intent_ranking": [{"name": "book_table", "confidence": 0.91}],
}


@pytest.mark.parametrize(
    ("intent", "expected"),
    [
        ({"name": "book_table", "confidence": 0.91}, ("book_table", 0.91, False)),
        ({"name": "nlu_fallback", "confidence": 0.3}, (None, 0.3, True)),
        ({"name": None, "confidence": 0.0}, (None, 0.0, True)),
        ({"name": "x", "confidence": 7}, ("x", None, False)),
    ],
)
def test_rasas_parse(
    intent: dict[str, object], expected: tuple[str | None, float | None, bool]
) -> None:
    """Its fallback classifier's intent is no intent."""
    found = extract({**RASA, "intent": intent})
    assert found is not None
    assert (found.intent, found.confidence, found.fallback) == expected


def test_rasas_rest_channel() -> None:
    """The bot's messages are the reply; what has no text is left out."""
    found = extract(
        [
            {"recipient_id": "u", "text": "Hello"},
            {"recipient_id": "u", "image": "https://example.org/x.png"},
            {"recipient_id": "u", "text": "there"},
        ]
    )
    assert found is not None
    assert (found.shape, found.text, found.intent) == ("rasa.rest", "Hello\nthere", None)


CX: dict[str, Any] = {
    "responseId": "r-1",
    "queryResult": {
        "text": "book a table",
        "languageCode": "en",
        "responseMessages": [
            {"text": {"text": ["Hello"]}},
            {"payload": {}},
            {"text": {"text": ["there"]}},
        ],
        "intentDetectionConfidence": 0.8,
        "match": {
            "intent": {"name": "projects/p/intents/1", "displayName": "book_table"},
            "resolvedInput": "book a table",
            "matchType": "INTENT",
            "confidence": 0.85,
        },
    },
}


class MatchType(enum.IntEnum):
    """As the generated client has it."""

    INTENT = 1
    NO_MATCH = 4


def test_dialogflow_cx() -> None:
    """`match` is what was matched, with its own confidence; without one, the detection's."""
    found = extract(CX)
    assert found == Extracted(
        shape="dialogflow",
        response_id="r-1",
        text="Hello\nthere",
        intent="book_table",
        confidence=0.85,
        fallback=False,
    )
    bare = copy.deepcopy(CX)
    del bare["queryResult"]["match"]["confidence"]
    found = extract(bare)
    assert found is not None
    assert found.confidence == 0.8


@pytest.mark.parametrize("kind", ["NO_MATCH", "NO_INPUT"])
def test_dialogflow_cx_without_a_match_is_a_fallback(kind: str) -> None:
    """Whatever event handler answered."""
    answer = copy.deepcopy(CX)
    answer["queryResult"]["match"] = {"matchType": kind, "confidence": 0.3}
    found = extract(answer)
    assert found is not None
    assert (found.intent, found.confidence, found.fallback) == (None, 0.3, True)


def test_dialogflow_cx_as_the_client_gives_it() -> None:
    """Attributes in snake case, enumerations for the kinds of match."""
    match = SimpleNamespace(
        intent=SimpleNamespace(display_name="book_table"),
        confidence=0.85,
        match_type=MatchType.INTENT,
    )
    result = SimpleNamespace(
        match=match, intent_detection_confidence=0.8, response_messages=[], query=None
    )
    found = extract(SimpleNamespace(response_id="r-1", query_result=result))
    assert found is not None
    assert (found.intent, found.confidence, found.fallback) == ("book_table", 0.85, False)
    match.match_type = MatchType.NO_MATCH
    found = extract(SimpleNamespace(response_id="r-1", query_result=result))
    assert found is not None
    assert (found.intent, found.fallback) == (None, True)


def test_dialogflow_es() -> None:
    """The older edition names the intent beside the result, and marks its fallback intent."""
    result = {
        "intent": {"displayName": "book_table"},
        "intentDetectionConfidence": 0.7,
        "fulfillmentText": "Hello",
        "action": "book",
    }
    found = extract({"responseId": "r", "queryResult": result})
    assert found is not None
    assert (found.intent, found.confidence, found.text) == ("book_table", 0.7, "Hello")
    intent = {"displayName": "Default Fallback Intent", "isFallback": True}
    found = extract({"responseId": "r", "queryResult": {**result, "intent": intent}})
    assert found is not None
    assert (found.intent, found.fallback) == (None, True)
