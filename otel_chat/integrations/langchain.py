"""LangChain and LangGraph: a callback handler, for bots whose turns no decorator makes."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Final, Unpack
from uuid import UUID

from otel_chat._telemetry.runtime import reporting
from otel_chat._turns.fields import TurnFields
from otel_chat._wrap.steps import model_call, tool
from otel_chat.integrations._package import needing
from otel_chat.integrations._runs import Runs

with needing("langchain-core"):
    from langchain_core.callbacks import BaseCallbackHandler
    from langchain_core.messages import BaseMessage, convert_to_messages
    from langchain_core.outputs import LLMResult

_reporting: Final = reporting("langchain")
_THREAD: Final = ("thread_id", "session_id", "conversation_id")
"""What LangGraph and LangSmith call a conversation's id, in a run's metadata."""


class ChatCallbackHandler(BaseCallbackHandler):
    """Makes every run of a graph, chain or model a turn, with its model calls and tools.

    The conversation is the `thread_id` of a graph's config; of a chain without LangGraph, that of
    its metadata. Inside a decorated handler the run is part of that handler's turn. In tools
    `current_turn()` is the turn; where nodes of a graph report more, decorate what runs it. One
    handler serves any number of runs, threads and tasks.

    Args:
        agent: The agent's name, else that of the agent (`create_agent(..., name=)`).
        **fields: channel, user_type and so on, see `TurnFields`.

    Raises:
        ConfigurationError: there is no such field.

    Example:
        >>> from langchain_core.language_models import FakeListChatModel
        >>> model = FakeListChatModel(responses=["Good evening."])
        >>> turns = ChatCallbackHandler("support", channel="web")
        >>> config = {"callbacks": [turns], "metadata": {"thread_id": "s-1"}}
        >>> model.invoke("Hello", config).content
        'Good evening.'
    """

    run_inline = True
    """In the task of the run, so that its code has the turn."""

    def __init__(self, agent: str | None = None, **fields: Unpack[TurnFields]) -> None:
        self._runs = Runs(agent, fields)

    @_reporting
    def on_chain_start(
        self,
        serialized: dict[str, Any],  # noqa: ARG002 - as it is called
        inputs: Any,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        metadata: dict[str, Any] | None = None,
        **_: Any,
    ) -> None:
        """A graph, a chain or a part of one begins."""
        told = metadata or {}
        if parent_run_id is None:
            self._begin(run_id, inputs, told)
        else:
            self._runs.part(run_id, parent_run_id)

    def _begin(self, key: Hashable, inputs: Any, metadata: dict[str, Any]) -> None:
        found = next((metadata[name] for name in _THREAD if metadata.get(name)), None)
        self._runs.turn(key, found, _asked(inputs), metadata.get("lc_agent_name"))

    @_reporting
    def on_chain_end(self, outputs: Any, *, run_id: UUID, inputs: Any = None, **_: Any) -> None:
        """It ends; what a streamed chain was given is known only now."""
        self._runs.asked(run_id, inputs)
        self._runs.end(run_id, outputs)

    @_reporting
    def on_chain_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        """It fails, or is cancelled."""
        self._runs.end(run_id, error=error)

    @_reporting
    def on_chat_model_start(
        self,
        serialized: dict[str, Any],  # noqa: ARG002 - as it is called
        messages: list[list[BaseMessage]],
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        metadata: dict[str, Any] | None = None,
        **_: Any,
    ) -> None:
        """A model is called; where nothing is around it, in a turn of its own."""
        told = metadata or {}
        above: Any = parent_run_id
        if parent_run_id is None:
            above = _alone(run_id)
            self._begin(above, messages[0], told)
        self._runs.step(run_id, above, model_call(told.get("ls_model_name")))

    @_reporting
    def on_llm_new_token(self, token: str | list[Any], *, run_id: UUID, **_: Any) -> None:
        """A piece of its answer comes."""
        if token:
            self._runs[run_id].first_chunk()

    @_reporting
    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **_: Any) -> None:
        """The model answered."""
        generation = response.generations[0][0] if response.generations else None
        message = getattr(generation, "message", None)
        self._runs.end(run_id, message)
        self._runs.end(_alone(run_id), message)

    @_reporting
    def on_llm_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        """The call failed."""
        self._runs.end(run_id, error=error)
        self._runs.end(_alone(run_id), error=error)

    @_reporting
    def on_tool_start(
        self,
        serialized: dict[str, Any],
        input_str: str,  # noqa: ARG002 - as it is called
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        **_: Any,
    ) -> None:
        """A tool is run."""
        name = (serialized or {}).get("name")
        # LangChain has a task or a call of its own for each tool, and for nothing else
        self._runs.step(run_id, parent_run_id, tool(name), attached=parent_run_id is not None)

    @_reporting
    def on_tool_end(self, output: Any, *, run_id: UUID, **_: Any) -> None:  # noqa: ARG002
        """It ends."""
        self._runs.end(run_id)

    @_reporting
    def on_tool_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        """It fails, unless it only hands the run over or waits for a person."""
        handed = any(kind.__name__ == "GraphBubbleUp" for kind in type(error).__mro__)
        self._runs.end(run_id, error=None if handed else error)

    @_reporting
    def on_retriever_start(
        self,
        serialized: dict[str, Any],
        query: str,  # noqa: ARG002 - as it is called
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        name: str | None = None,
        **_: Any,
    ) -> None:
        """A retriever is asked, which is a tool."""
        named = name or (serialized or {}).get("name")
        self._runs.step(run_id, parent_run_id, tool(named))

    @_reporting
    def on_retriever_end(self, documents: Any, *, run_id: UUID, **_: Any) -> None:  # noqa: ARG002
        """It answers."""
        self._runs.end(run_id)

    @_reporting
    def on_retriever_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        """It fails."""
        self._runs.end(run_id, error=error)


def _alone(run_id: UUID) -> Hashable:
    """The run around a model that nothing else is around."""
    return ("alone", run_id)


def _asked(inputs: Any) -> Any:
    """What a run was given, with messages as messages: LangGraph takes pairs, too."""
    messages = inputs.get("messages") if isinstance(inputs, dict) else inputs
    if isinstance(messages, tuple):
        messages = [messages]
    if isinstance(messages, list) and any(isinstance(one, tuple) for one in messages):
        return convert_to_messages(messages)
    return inputs
