"""LlamaIndex: its instrumentation as turns, for bots whose turns no decorator makes."""

from __future__ import annotations

import inspect
from collections.abc import Hashable
from typing import Any, Final, Unpack

from otel_chat._telemetry.runtime import reporting
from otel_chat._turns.fields import TurnFields
from otel_chat._wrap.steps import model_call, tool
from otel_chat.integrations._package import needing
from otel_chat.integrations._runs import Runs

with needing("llama-index-core"):
    from llama_index.core.base.base_query_engine import BaseQueryEngine
    from llama_index.core.base.base_retriever import BaseRetriever
    from llama_index.core.chat_engine.types import BaseChatEngine
    from llama_index.core.instrumentation import get_dispatcher
    from llama_index.core.instrumentation.dispatcher import active_instrument_tags
    from llama_index.core.instrumentation.event_handlers import BaseEventHandler
    from llama_index.core.instrumentation.events import BaseEvent
    from llama_index.core.instrumentation.events import exception as failures
    from llama_index.core.instrumentation.events import llm as models
    from llama_index.core.instrumentation.span import BaseSpan
    from llama_index.core.instrumentation.span_handlers import BaseSpanHandler
    from llama_index.core.tools import BaseTool
    from llama_index.core.workflow import Workflow

_reporting: Final = reporting("llama_index")
_SESSION: Final = ("session_id", "conversation_id", "thread_id")
"""What a conversation's id is called among the tags of LlamaIndex's instrumentation."""
_ASKED: Final = ("user_msg", "message", "str_or_query_bundle")
_STARTS: Final = (models.LLMChatStartEvent, models.LLMCompletionStartEvent)
_CHUNKS: Final = (models.LLMChatInProgressEvent, models.LLMCompletionInProgressEvent)
_ENDS: Final = (models.LLMChatEndEvent, models.LLMCompletionEndEvent)


def instrument(agent: str | None = None, **fields: Unpack[TurnFields]) -> None:
    """Makes every run of an agent, workflow, chat engine or query engine a turn.

    With its model calls, tools and retrievers. The conversation is the `session_id` of LlamaIndex's
    own `instrument_tags`. Inside a decorated handler the run is part of that handler's turn. In
    tools `current_turn()` is the turn. Called again it replaces what it did before. A query engine
    that streams asks its model when it has returned: decorate what reads its stream instead.

    Args:
        agent: The agent's name, else that of the agent (`FunctionAgent(name=)`).
        **fields: channel, user_type and so on, see `TurnFields`.

    Raises:
        ConfigurationError: there is no such field.
    """
    told = _Told(Runs(agent, fields))
    root = get_dispatcher()
    root.span_handlers = [one for one in root.span_handlers if not isinstance(one, _Spans)]
    root.event_handlers = [one for one in root.event_handlers if not isinstance(one, _Events)]
    root.add_span_handler(_Spans(told))
    root.add_event_handler(_Events(told))


class _Told:
    """What LlamaIndex has told of runs that are not over.

    Args:
        runs: Its turns, models and tools. Other spans are no runs, for what they begin may outlast
            them.
    """

    def __init__(self, runs: Runs) -> None:
        self._runs = runs
        self._around: dict[Hashable, Hashable] = {}
        self._turns: dict[Hashable, Hashable] = {}
        self._asking: dict[Hashable, set[Hashable]] = {}
        self._answers: dict[Hashable, Any] = {}
        self._over: dict[Hashable, Any] = {}

    @_reporting
    def enter(self, key: str, above: str | None, given: dict[str, Any], instance: Any) -> None:
        """A function begins."""
        around = self._around.get(above)
        method = key.partition("-")[0].rpartition(".")[2]
        if around is None and _answers_users(instance, method):
            tags = active_instrument_tags.get()  # a workflow's own span is told none
            conversation = next((tags[name] for name in _SESSION if tags.get(name)), None)
            named = getattr(instance, "name", None)
            self._asking[key] = set()
            self._turns[key] = key
            self._runs.turn(key, conversation, _asked(given), named)
            around = key
        elif isinstance(instance, BaseTool) and method in ("call", "acall"):
            around = self._step(key, around, instance.metadata.name)
        elif isinstance(instance, BaseRetriever) and method in ("retrieve", "aretrieve"):
            around = self._step(key, around, type(instance).__name__)
        if around is not None:
            self._around[key] = around

    def _step(self, key: str, around: Hashable, name: str | None) -> Hashable:
        self._runs.step(key, around, tool(name), attached=True)
        if around in self._turns:
            self._turns[key] = self._turns[around]
        return key

    @_reporting
    def leave(self, key: str, result: Any = None, error: BaseException | None = None) -> None:
        """It ends. What a model or a turn streams goes on."""
        self._around.pop(key, None)
        if key in self._asking:
            if error is not None:
                self._asking[key].clear()
            self._over[key] = getattr(result, "result", result)
            self._end(key, error)
        elif error is not None:
            self.answered(key, error=error)
        elif not inspect.isgenerator(result) and not inspect.isasyncgen(result):
            self._turns.pop(key, None)
            self._runs.end(key)

    @_reporting
    def ask(self, key: str, model: dict[str, Any], messages: Any) -> None:
        """A model is asked."""
        around = self._around.get(key)
        turn = self._turns.get(around)
        if turn is not None:
            self._turns[key] = turn
            self._asking[turn].add(key)
            self._runs.asked(turn, _last_of_user(messages))
        self._runs.step(key, around, model_call(model.get("model") or model.get("model_name")))

    @_reporting
    def first_chunk(self, key: str) -> None:
        """A piece of its answer comes."""
        turn = self._runs[key]
        if turn.is_live:
            turn.first_chunk()

    @_reporting
    def answered(self, key: str, response: Any = None, error: BaseException | None = None) -> None:
        """It answered, or did not."""
        turn = self._turns.pop(key, None)
        self._runs.end(key, response, error)
        if turn in self._asking:
            self._asking[turn].discard(key)
            self._answers[turn] = response
            self._end(turn, error)

    def _end(self, turn: Hashable, error: BaseException | None) -> None:
        """A turn is over when its function is, and what it streams."""
        if turn not in self._over or self._asking[turn]:
            return
        del self._asking[turn], self._turns[turn]
        answer, last = self._over.pop(turn), self._answers.pop(turn, None)
        streamed = hasattr(answer, "response_gen") or hasattr(answer, "async_response_gen")
        self._runs.end(turn, last if streamed else answer, error)


def _answers_users(instance: Any, method: str) -> bool:
    if isinstance(instance, Workflow):
        return method == "run"
    return isinstance(instance, BaseChatEngine | BaseQueryEngine)


def _asked(given: dict[str, Any]) -> Any:
    """What the user said, among the arguments of a run or in a workflow's first event."""
    event = given.get("start_event")
    found = (given.get(name) or getattr(event, name, None) for name in _ASKED)
    asked = next(filter(None, found), None)
    return getattr(asked, "query_str", None) or getattr(asked, "content", asked)


def _last_of_user(messages: Any) -> Any:
    if isinstance(messages, list):
        return next((one.content for one in reversed(messages) if one.role == "user"), None)
    return messages


class _Spans(BaseSpanHandler[BaseSpan]):
    _told: _Told

    def __init__(self, told: _Told) -> None:
        super().__init__()
        self._told = told

    def new_span(
        self,
        id_: str,
        bound_args: inspect.BoundArguments,
        instance: Any = None,
        parent_span_id: str | None = None,
        **_: Any,
    ) -> None:
        """A function begins."""
        self._told.enter(id_, parent_span_id, bound_args.arguments, instance)

    def prepare_to_exit_span(self, id_: str, *_: Any, result: Any = None, **__: Any) -> None:
        """It returns."""
        self._told.leave(id_, result)

    def prepare_to_drop_span(
        self, id_: str, *_: Any, err: BaseException | None = None, **__: Any
    ) -> None:
        """It raises."""
        self._told.leave(id_, error=err)


class _Events(BaseEventHandler):
    _told: _Told

    def __init__(self, told: _Told) -> None:
        super().__init__()
        self._told = told

    def handle(self, event: BaseEvent, **_: Any) -> None:
        """A model is asked or answers."""
        key = event.span_id
        if key is None:
            return
        if isinstance(event, _STARTS):
            said = getattr(event, "messages", None) or getattr(event, "prompt", None)
            self._told.ask(key, event.model_dict, said)
        elif isinstance(event, _CHUNKS):
            self._told.first_chunk(key)
        elif isinstance(event, _ENDS):
            self._told.answered(key, event.response)
        elif isinstance(event, failures.ExceptionEvent):
            self._told.answered(key, error=event.exception)
