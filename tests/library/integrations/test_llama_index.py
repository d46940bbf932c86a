"""LlamaIndex, the real package where it is installed, with a server that is not."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

import otel_chat
from otel_chat import ConfigurationError
from otel_chat import semconv as sc
from otel_chat.testing import Telemetry, assert_turn
from tests.foreign import provider
from tests.library.integrations.texts import texts

pytest.importorskip("llama_index.llms.openai")

from llama_index.core import Document, SummaryIndex
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.instrumentation.dispatcher import instrument_tags
from llama_index.llms.openai import OpenAI

from otel_chat.integrations.llama_index import instrument

# It uses what pydantic has deprecated, and leaves connections of SQLite open.
pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
WHOLE: dict[str, Any] = {
    "agent": "support", "conversation_id": "s-1", "status": "ok", "provider": "openai",
    "input_tokens": 100, "output_tokens": 10,
}  # fmt: skip
STREAMED = {"stream_options": {"include_usage": True}}


@pytest.fixture(name="telemetry")
def with_texts(keeping_texts: Telemetry) -> Iterator[Telemetry]:
    instrument("support", channel="web")
    with instrument_tags({"session_id": "s-1"}):
        yield keeping_texts


@pytest.fixture(name="url")
def the_provider() -> Iterator[str]:
    with provider.serving() as url:
        yield url


def model(url: str, **options: Any) -> OpenAI:
    return OpenAI(model="gpt-4o-mini", api_base=url, api_key="none", max_retries=0, **options)


def inside(telemetry: Telemetry) -> list[str]:
    return sorted(span.name for span in telemetry.only_turn().inside)


@pytest.mark.parametrize("fails", [False, True])
async def test_a_run_of_an_agent_is_a_turn(telemetry: Telemetry, url: str, fails: bool) -> None:
    """With its texts, each model call once, and the tool, which has the turn and may fail."""

    def find_parcel(number: str) -> str:
        otel_chat.current_turn().topic("delivery")
        if fails:
            raise ValueError(number)
        return provider.FOUND

    agent = FunctionAgent(name="parcels", llm=model(url), tools=[find_parcel])
    await agent.run(provider.ASKED)
    turn = telemetry.only_turn()
    used = {"input_tokens": 220, "output_tokens": 22, "events": [sc.EVENT_TOPIC]}
    assert_turn(turn, **WHOLE | used)
    assert inside(telemetry) == ["chat gpt-4o-mini", "chat gpt-4o-mini", "execute_tool find_parcel"]
    assert texts(turn)[0] == provider.ASKED
    (tool,) = (span for span in turn.inside if span.name.startswith("execute_tool"))
    assert tool.attributes.get(sc.ERROR_TYPE) == ("ValueError" if fails else None)


def test_a_chat_engine_makes_turns(telemetry: Telemetry, url: str) -> None:
    """Whole, in pieces, and awaited: a stream's turn lasts until its last piece."""
    whole, pieces = SimpleChatEngine.from_defaults(llm=model(url)), model(url)
    pieces.additional_kwargs = STREAMED
    whole.chat("Hello!")
    list(SimpleChatEngine.from_defaults(llm=pieces).stream_chat("Hello!").response_gen)

    async def awaited() -> None:
        answer = await SimpleChatEngine.from_defaults(llm=pieces).astream_chat("Hello!")
        assert [piece async for piece in answer.async_response_gen()]

    asyncio.run(awaited())
    assert len(telemetry.turns) == 3
    for turn in telemetry.turns:
        assert_turn(turn, **WHOLE)
        assert texts(turn) == ("Hello!", provider.THANKED)
        assert [span.name for span in turn.inside] == ["chat gpt-4o-mini"]


def test_a_query_engine_makes_turns(telemetry: Telemetry, url: str) -> None:
    """With its retriever; what makes the index is none."""
    index = SummaryIndex.from_documents([Document(text="The parcel is in Oslo.")])
    index.as_query_engine(llm=model(url)).query("Where?")
    assert_turn(telemetry.only_turn(), **WHOLE)
    assert texts(telemetry.only_turn()) == ("Where?", provider.THANKED)
    assert inside(telemetry) == ["chat gpt-4o-mini", "execute_tool SummaryIndexRetriever"]


def test_a_failed_call_fails_its_turn(telemetry: Telemetry) -> None:
    """And the caller has the exception as ever."""
    with pytest.raises(Exception, match="Connection error"):
        SimpleChatEngine.from_defaults(llm=model("http://127.0.0.1:9/v1")).chat("Hello!")
    assert_turn(telemetry.only_turn(), status="error", error_type="APIConnectionError")


def test_inside_a_handler_its_turn_has_the_calls(telemetry: Telemetry, url: str) -> None:
    """One turn, the handler's, although the tags tell of another conversation."""

    @otel_chat.chat_handler(agent="shop", conversation_id=lambda _: "h-1", message="text")
    def answer(text: str) -> str:
        return str(SimpleChatEngine.from_defaults(llm=model(url)).chat(text))

    assert answer("Hello!") == provider.THANKED
    assert_turn(telemetry.only_turn(), **WHOLE | {"agent": "shop", "conversation_id": "h-1"})


def test_to_instrument_again_doubles_nothing(telemetry: Telemetry, url: str) -> None:
    """The last one holds; a field that there is not is told."""
    instrument("sales")
    SimpleChatEngine.from_defaults(llm=model(url)).chat("Hello!")
    assert_turn(telemetry.only_turn(), **WHOLE | {"agent": "sales"})
    with pytest.raises(ConfigurationError, match="chanel"):
        instrument(chanel="web")  # type: ignore[call-arg]
