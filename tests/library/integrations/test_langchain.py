"""LangChain and LangGraph, the real packages with a model that is not."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import count
from typing import Any, Self

import pytest
from langchain.agents import create_agent
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import Command, interrupt

import otel_chat
from otel_chat import ConfigurationError
from otel_chat import semconv as sc
from otel_chat.integrations.langchain import ChatCallbackHandler
from otel_chat.testing import Telemetry, assert_turn
from otel_chat.testing.views import CollectedTurn
from tests.library.integrations.texts import texts

MODEL = "gpt-4o-mini-2024-07-18"
CALLS_TOOL = [{"name": "find_parcel", "args": {"number": "17"}, "id": "call_1"}]
_numbers = count(1)


@pytest.fixture(name="telemetry")
def with_texts(keeping_texts: Telemetry) -> Telemetry:
    return keeping_texts


class Model(BaseChatModel):
    """Says what it is given, one after the other, whole or in pieces of a line."""

    answers: Any
    model_name: str = "gpt-4o-mini"
    _llm_type = "scripted"

    def bind_tools(self, *_: Any, **__: Any) -> Self:
        """It knows when to call."""
        return self

    def _next(self) -> AIMessage:
        answer = next(self.answers)
        if isinstance(answer, Exception):
            raise answer
        told: AIMessage = answer
        return told

    def _generate(self, *_: Any, **__: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=self._next())])

    def _stream(self, *_: Any, **__: Any) -> Iterator[ChatGenerationChunk]:
        whole = self._next()
        for word in str(whole.content).splitlines(keepends=True):
            yield ChatGenerationChunk(message=AIMessageChunk(content=word))
        told = {"usage_metadata": whole.usage_metadata, "tool_calls": whole.tool_calls}
        last = AIMessageChunk(content="", response_metadata=whole.response_metadata, **told)
        yield ChatGenerationChunk(message=last)


def said(text: str, used: tuple[int, int] = (100, 10), **more: Any) -> AIMessage:
    usage = {"input_tokens": used[0], "output_tokens": used[1], "total_tokens": sum(used)}
    metadata = {"model_name": MODEL, "model_provider": "openai", "id": f"c-{next(_numbers)}"}
    return AIMessage(text, usage_metadata=usage, response_metadata=metadata, **more)


def model(*messages: BaseMessage | Exception) -> Model:
    return Model(answers=iter(messages))


def config(thread: str, *handlers: ChatCallbackHandler) -> RunnableConfig:
    given: list[BaseCallbackHandler] = [*(handlers or (ChatCallbackHandler(),))]
    return {"callbacks": given, "configurable": {"thread_id": thread}}


def of_chain(thread: str, *handlers: ChatCallbackHandler) -> RunnableConfig:
    """LangChain alone tells a run nothing of what is configurable."""
    return config(thread, *handlers) | {"metadata": {"thread_id": thread}}


@tool
def find_parcel(number: str) -> str:
    """Says where a parcel is."""
    otel_chat.current_turn().topic("delivery")
    return "It is in Oslo."


def support(*messages: BaseMessage | Exception, **options: Any) -> Any:
    return create_agent(model(*messages), [find_parcel], name="support", **options)


def asked(text: str) -> dict[str, Any]:
    return {"messages": [("user", text)]}


PARCEL = (said("", tool_calls=CALLS_TOOL), said("It is in Oslo.", (120, 12)))
WHOLE: dict[str, Any] = {
    "agent": "support", "conversation_id": "s-1", "status": "ok", "provider": "openai",
    "response_model": MODEL, "input_tokens": 220, "output_tokens": 22,
}  # fmt: skip
INSIDE = ["chat gpt-4o-mini", "chat gpt-4o-mini", "execute_tool find_parcel"]


def names(turn: CollectedTurn) -> list[str]:
    return sorted(span.name for span in turn.inside)


def test_a_graph_is_a_turn(telemetry: Telemetry) -> None:
    """With its thread as the conversation, its texts, each model call once, and the tool."""
    support(*PARCEL).invoke(asked("Where is my parcel?"), config("s-1"))
    turn = telemetry.only_turn()
    assert_turn(turn, **WHOLE, events=[sc.EVENT_TOPIC])
    assert names(turn) == INSIDE
    assert texts(turn) == ("Where is my parcel?", "It is in Oslo.")


async def test_an_awaited_graph_is_a_turn(telemetry: Telemetry) -> None:
    """The same, and a tool has the turn here, too."""
    await support(*PARCEL).ainvoke(asked("Where is my parcel?"), config("s-1"))
    turn = telemetry.only_turn()
    assert_turn(turn, **WHOLE, events=[sc.EVENT_TOPIC])
    assert names(turn) == INSIDE
    assert otel_chat.current_turn().trace_id is None


def test_what_a_thread_remembers_counts_once(telemetry: Telemetry) -> None:
    """The second turn of a thread has its own tokens and texts, not those of the first again."""
    graph = support(*PARCEL, said("You are welcome.", (140, 5)), checkpointer=InMemorySaver())
    for text in ("Where is my parcel?", "Thanks!"):
        graph.invoke(asked(text), config("s-1"))
    first, second = telemetry.turns
    assert_turn(first, **WHOLE)
    assert_turn(second, conversation_id="s-1", input_tokens=140, output_tokens=5)
    assert texts(second) == ("Thanks!", "You are welcome.")


@pytest.mark.parametrize("mode", ["values", "updates", "messages", ["messages", "custom"]])
def test_a_streamed_graph_is_a_turn(telemetry: Telemetry, mode: Any) -> None:
    """It lasts until its last part; none of it is current where the parts are read."""
    for _ in support(*PARCEL).stream(asked("Where is my parcel?"), config("s-1"), stream_mode=mode):
        assert otel_chat.current_turn().trace_id is None
    turn = telemetry.only_turn()
    assert_turn(turn, **WHOLE)
    assert names(turn) == INSIDE
    assert texts(turn) == ("Where is my parcel?", "It is in Oslo.")
    assert (turn["time_to_first_chunk"] is not None) == ("messages" in mode)


async def test_graphs_that_run_at_once_are_apart(telemetry: Telemetry) -> None:
    """One handler, two streams read by turns in one task: each turn has its own calls."""
    handler = ChatCallbackHandler(agent="desk")
    graphs = [
        support(*PARCEL).astream(asked(text), config(text, handler), stream_mode="messages")
        for text in ("one", "two")
    ]
    ends = [False, False]
    while not all(ends):
        for place, graph in enumerate(graphs):
            ends[place] = await anext(graph, None) is None
    for turn in telemetry.turns:
        assert_turn(turn, **{**WHOLE, "agent": "desk", "conversation_id": texts(turn)[0]})
        assert names(turn) == INSIDE
    assert {texts(turn)[0] for turn in telemetry.turns} == {"one", "two"}


def test_a_chain_is_a_turn(telemetry: Telemetry) -> None:
    """Prompt, model and parser, streamed: what was asked, the text, and its first piece's time."""
    prompt = ChatPromptTemplate.from_messages([("system", "Be kind."), ("user", "{question}")])
    chain = prompt | model(said("Good evening.")) | StrOutputParser()
    pieces = []
    for piece in chain.stream({"question": "Hello"}, of_chain("s-1", ChatCallbackHandler("desk"))):
        assert otel_chat.current_turn().trace_id is None
        pieces.append(piece)
    turn = telemetry.only_turn()
    assert_turn(turn, agent="desk", conversation_id="s-1", input_tokens=100, status="ok")
    assert texts(turn) == ("Hello", "Good evening.") == ("Hello", "".join(pieces))
    assert turn["time_to_first_chunk"] is not None


def test_a_model_alone_is_a_turn(telemetry: Telemetry) -> None:
    """Called without a chain it has a turn around it."""
    model(said("Good evening.")).invoke([HumanMessage("Hello")], of_chain("s-1"))
    turn = telemetry.only_turn()
    assert_turn(turn, conversation_id="s-1", output_tokens=10, inside=["chat gpt-4o-mini"])
    assert texts(turn) == ("Hello", "Good evening.")


def test_a_graph_in_a_handler_is_part_of_its_turn(telemetry: Telemetry) -> None:
    """The decorator makes the turn; the run adds its calls, each once."""

    @otel_chat.chat_handler(agent="support", conversation_id="session")
    def answer(session: str) -> Any:
        return support(*PARCEL).invoke(asked("Where is my parcel?"), config("another"))

    answer("s-1")
    turn = telemetry.only_turn()
    assert_turn(turn, **WHOLE, events=[sc.EVENT_TOPIC])
    assert names(turn) == INSIDE


def test_a_failed_call_fails_the_turn(telemetry: Telemetry) -> None:
    """The error is the application's, and told at the call and at the turn."""
    with pytest.raises(TimeoutError):
        support(TimeoutError()).invoke(asked("Hello"), config("s-1"))
    turn = telemetry.only_turn()
    assert_turn(turn, status="error", error_type="TimeoutError")
    assert [dict(span.attributes or {})[sc.ERROR_TYPE] for span in turn.inside] == ["TimeoutError"]


async def test_a_cancelled_graph_is_a_cancelled_turn(telemetry: Telemetry) -> None:
    """The cancellation goes its way."""
    begun = asyncio.Event()

    @tool("find_parcel")
    async def waits(number: str) -> str:
        """Waits."""
        begun.set()
        return await asyncio.Future()

    graph: Any = create_agent(model(*PARCEL), [waits], name="support")
    task = asyncio.create_task(graph.ainvoke(asked("Where is my parcel?"), config("s-1")))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert_turn(telemetry.only_turn(), status="cancelled", input_tokens=100)


def test_a_stream_that_is_left_is_a_cancelled_turn(telemetry: Telemetry) -> None:
    """Its consumer closed it after the first part."""
    parts = support(*PARCEL).stream(asked("Where is my parcel?"), config("s-1"))
    next(parts)
    parts.close()
    assert_turn(telemetry.only_turn(), status="cancelled")


def test_to_wait_for_a_person_is_no_error(telemetry: Telemetry) -> None:
    """A graph that is interrupted ends its turn well; to resume it is the next one."""

    def confirm(state: MessagesState) -> dict[str, Any]:
        return {"messages": [said(f"You said {interrupt('Sure?')}.")]}

    building: Any = StateGraph(MessagesState).add_node("confirm", confirm)
    building.add_edge(START, "confirm").add_edge("confirm", END)
    graph = building.compile(checkpointer=InMemorySaver())
    graph.invoke(asked("Cancel it"), config("s-1"))
    graph.invoke(Command(resume="yes"), config("s-1"))
    statuses = [turn["status"] for turn in telemetry.turns]
    assert statuses == ["ok", "ok"]
    assert texts(telemetry.turns[1])[1] == "You said yes."


def test_a_batch_is_a_turn_for_each(telemetry: Telemetry) -> None:
    """Each with its own thread, whichever threads of the process they run in."""
    ids = [f"s-{number}" for number in range(4)]
    chain = model(*(said("Good evening.") for _ in ids)) | StrOutputParser()
    chain.batch(["Hello"] * len(ids), [of_chain(one) for one in ids])
    assert sorted(str(turn["conversation_id"]) for turn in telemetry.turns) == ids
    assert {turn["input_tokens"] for turn in telemetry.turns} == {100}


def test_an_error_of_ours_stays_ours(telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch) -> None:
    """The graph answers as without the handler, and what failed is counted."""
    monkeypatch.setenv("OTEL_CHAT_RAISE", "0")
    monkeypatch.setattr("otel_chat.integrations._runs.start_turn", lambda *_: 1 // 0)
    answer = support(*PARCEL).invoke(asked("Where is my parcel?"), config("s-1"))
    assert answer["messages"][-1].content == "It is in Oslo."
    assert telemetry.metric("otel_chat.telemetry.errors").total >= 1


def test_a_field_that_does_not_exist_is_refused() -> None:
    """When the handler is made, and not at its first turn."""
    with pytest.raises(ConfigurationError, match="chanel"):
        ChatCallbackHandler(chanel="web")  # type: ignore[call-arg]
