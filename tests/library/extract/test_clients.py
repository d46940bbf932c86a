"""What the providers' real clients return, against a server that speaks their wire format."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

import anthropic
import openai
import pytest
from google import genai
from google.genai import types as google_types

from otel_chat.extract import Extracted, StreamState, ToolCall, extract
from tests.library.extract.wire import serving

CONFIDENCE = math.exp((-0.1 + -0.5) / 2)
MESSAGES: Any = [{"role": "user", "content": "hi"}]

CHAT = Extracted(
    shape="openai.chat",
    model="gpt-4o-2024-08-06",
    provider="openai",
    input_tokens=120,
    output_tokens=40,
    cache_read_tokens=100,
    reasoning_tokens=16,
    finish_reason="tool_calls",
    response_id="chatcmpl-1",
    tool_calls=(ToolCall("book_table", "call_1"),),
    text="Hello there",
    confidence=pytest.approx(CONFIDENCE),  # type: ignore[arg-type]
)
RESPONSES = Extracted(
    shape="openai.responses",
    model="gpt-5-2025-08-07",
    provider="openai",
    input_tokens=120,
    output_tokens=40,
    cache_read_tokens=100,
    cache_write_tokens=0,
    reasoning_tokens=16,
    finish_reason="completed",
    response_id="resp_1",
    tool_calls=(ToolCall("book_table", "call_1"),),
    text="Hello there",
    confidence=pytest.approx(CONFIDENCE),  # type: ignore[arg-type]
)
ANTHROPIC = Extracted(
    shape="anthropic.messages",
    model="claude-sonnet-4-5-20250929",
    provider="anthropic",
    input_tokens=150,
    output_tokens=40,
    cache_read_tokens=100,
    cache_write_tokens=30,
    reasoning_tokens=16,
    finish_reason="tool_use",
    response_id="msg_01",
    tool_calls=(ToolCall("book_table", "toolu_1"),),
    text="Hello there",
)
GOOGLE = Extracted(
    shape="google.generate_content",
    model="gemini-2.5-flash",
    provider="gcp.gemini",
    input_tokens=120,
    output_tokens=40,
    cache_read_tokens=100,
    reasoning_tokens=16,
    finish_reason="STOP",
    response_id="r-1",
    tool_calls=(ToolCall("book_table", "call_1"),),
    text="Hello there",
    confidence=pytest.approx(CONFIDENCE),  # type: ignore[arg-type]
)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving() as base:
        yield base


def streamed(chunks: Iterable[object]) -> Extracted:
    """What a stream of chunks says when it has ended."""
    state = StreamState()
    for chunk in chunks:
        state.record_chunk(chunk)
    found = state.result()
    assert found is not None
    return found


async def collected(chunks: AsyncIterator[object]) -> list[object]:
    return [chunk async for chunk in chunks]


def test_openai_chat_completions(url: str) -> None:
    """Whole and streamed, the usage in a last chunk without choices."""
    with openai.OpenAI(api_key="k", base_url=url) as client:
        whole = client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
        stream = client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True)
        assert extract(whole) == CHAT
        assert streamed(stream) == CHAT
    assert extract(whole.model_dump()) == CHAT


async def test_openai_chat_completions_async(url: str) -> None:
    """The asynchronous client's objects are the same."""
    async with openai.AsyncOpenAI(api_key="k", base_url=url) as client:
        whole = await client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
        stream = await client.chat.completions.create(
            model="gpt-4o", messages=MESSAGES, stream=True
        )
        assert extract(whole) == CHAT
        assert streamed(await collected(stream)) == CHAT


def test_openai_responses(url: str) -> None:
    """Whole, and streamed as typed events of which the last holds the response."""
    with openai.OpenAI(api_key="k", base_url=url) as client:
        whole = client.responses.create(model="gpt-5", input="hi")
        stream = client.responses.create(model="gpt-5", input="hi", stream=True)
        assert extract(whole) == RESPONSES
        assert streamed(stream) == RESPONSES
    assert extract(whole.model_dump()) == RESPONSES


async def test_openai_responses_async(url: str) -> None:
    """The asynchronous client's objects are the same."""
    async with openai.AsyncOpenAI(api_key="k", base_url=url) as client:
        assert extract(await client.responses.create(model="gpt-5", input="hi")) == RESPONSES
        stream = await client.responses.create(model="gpt-5", input="hi", stream=True)
        assert streamed(await collected(stream)) == RESPONSES


def test_anthropic_messages(url: str) -> None:
    """Cached tokens stand beside `input_tokens` there: the three parts are summed."""
    with anthropic.Anthropic(api_key="k", base_url=url) as client:
        request: Any = {"model": "claude", "max_tokens": 9, "messages": MESSAGES}
        whole = client.messages.create(**request)
        assert extract(whole) == ANTHROPIC
        assert extract(whole.model_dump()) == ANTHROPIC
        assert streamed(client.messages.create(**request, stream=True)) == ANTHROPIC
        with client.messages.stream(**request) as helper:
            assert streamed(helper) == ANTHROPIC


async def test_anthropic_messages_async(url: str) -> None:
    """The asynchronous client's objects are the same."""
    async with anthropic.AsyncAnthropic(api_key="k", base_url=url) as client:
        request: Any = {"model": "claude", "max_tokens": 9, "messages": MESSAGES}
        assert extract(await client.messages.create(**request)) == ANTHROPIC
        stream = await client.messages.create(**request, stream=True)
        assert streamed(await collected(stream)) == ANTHROPIC


def google_client(url: str) -> genai.Client:
    return genai.Client(api_key="k", http_options=google_types.HttpOptions(base_url=url))


def test_google_generate_content(url: str) -> None:
    """Thoughts are output beside the candidates' tokens, and no part of the reply."""
    client = google_client(url)
    request: Any = {"model": "gemini-2.5-flash", "contents": "hi"}
    whole = client.models.generate_content(**request)
    assert extract(whole) == GOOGLE
    assert extract(whole.model_dump()) == GOOGLE
    assert extract(whole.model_dump(by_alias=True)) == GOOGLE
    assert streamed(client.models.generate_content_stream(**request)) == GOOGLE
    client.close()


async def test_google_generate_content_async(url: str) -> None:
    """The asynchronous client's objects are the same."""
    client = google_client(url)
    request: Any = {"model": "gemini-2.5-flash", "contents": "hi"}
    assert extract(await client.aio.models.generate_content(**request)) == GOOGLE
    stream = await client.aio.models.generate_content_stream(**request)
    assert streamed(await collected(stream)) == GOOGLE
    await client.aio.aclose()
    client.close()
    await asyncio.sleep(0)


def test_a_stream_that_was_left_early_says_what_it_had_said(url: str) -> None:
    """Text and model are known, the usage is not."""
    with openai.OpenAI(api_key="k", base_url=url) as client:
        stream = client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True)
        state = StreamState()
        for _, chunk in zip(range(2), stream, strict=False):
            state.record_chunk(chunk)
        stream.close()
    found = state.result()
    assert found is not None
    assert (found.text, found.model) == ("Hello", "gpt-4o-2024-08-06")
    assert found.input_tokens is None
