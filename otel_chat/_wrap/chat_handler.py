"""`chat_handler`: every call of a handler is a turn, whatever shape the handler has."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast, overload

from opentelemetry.util.types import AnyValue

from otel_chat import semconv as sc
from otel_chat._common.checks import is_a
from otel_chat._telemetry.runtime import Runtime, current, declare, report_error
from otel_chat._turns.fields import check_names, span_attributes
from otel_chat._turns.model_results import SILENT, text_from
from otel_chat._turns.turn import NO_TURN, Turn, start_turn
from otel_chat._wrap.arguments import Getter, argument_getter, name_of
from otel_chat._wrap.shapes import wrapper_of
from otel_chat.errors import ConfigurationError

F = TypeVar("F", bound=Callable[..., Any])


class _Spec:
    """What a decorated handler's turns are made of, worked out when it is decorated."""

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        agent: str | Callable[..., str] | None,
        conversation_id: str | Callable[..., object] | None,
        message: str | Callable[..., object] | None,
        reply: Callable[[Any], str | None] | None,
        fields: Mapping[str, Any],
    ) -> None:
        check_names(fields, "chat_handler()")
        if reply is not None and not callable(reply):
            raise ConfigurationError(
                f"chat_handler: reply must be a function, not a {type(reply).__name__}."
            )
        if agent is not None and not (callable(agent) or isinstance(agent, str)):
            raise ConfigurationError(
                f"chat_handler: agent must be a name, not a {type(agent).__name__}."
            )
        self.agent: Getter | None = None
        if callable(agent):
            self.agent = argument_getter(function, "agent", agent)
        self.agent_name = agent if isinstance(agent, str) else None
        self.default_agent = name_of(function)
        self.reply = reply
        self.conversation_id = argument_getter(function, "conversation_id", conversation_id)
        self.message = argument_getter(function, "message", message)
        self.dynamic: list[tuple[str, Getter]] = []
        self.constant: dict[str, object] = {}
        for field, value in fields.items():
            if field == "user_id" or callable(value):
                getter = argument_getter(function, field, value)
                if getter is not None:
                    self.dynamic.append((field, getter))
            elif value is not None:
                self.constant[field] = value
        self._clean: tuple[Runtime | None, dict[str, AnyValue]] = (None, {})
        self._declare()

    def _declare(self) -> None:
        """Lets the handler's counters start at 0, where its names are constants."""
        known = {
            sc.AGENT_NAME: self.agent_name or self.default_agent,
            sc.CHANNEL: self.constant.get("channel"),
            sc.REQUEST_MODEL: self.constant.get("model"),
        }
        declare({key: value for key, value in known.items() if value is not None})

    def open(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Turn:
        """A started turn for a call with these arguments; never raises."""
        try:
            runtime = current()
            cached, constant = self._clean
            if cached is not runtime:
                constant = span_attributes(runtime, self.constant)
                self._clean = (runtime, constant)
            attributes = dict(constant)
            for field, getter in self.dynamic:
                value = _asked(getter, args, kwargs)
                attributes.update(span_attributes(runtime, {field: value}))
            agent = self.agent_name if self.agent is None else _asked(self.agent, args, kwargs)
            conversation_id = _asked(self.conversation_id, args, kwargs)
            turn = start_turn(runtime, agent, attributes, conversation_id, self.default_agent)
        except Exception as error:  # noqa: BLE001 - never in the handler's way
            report_error("chat_handler", error)
            return NO_TURN
        turn.state.reply_reader = self.reply
        turn.state.mute = True
        if self.message is not None and turn.takes_message:
            self._note_message(turn, args, kwargs)
        return turn

    def _note_message(self, turn: Turn, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        try:
            found = self.message(args, kwargs) if self.message is not None else None
            text = str(found) if is_a(found, int, float) else text_from(found, "user")
            if text is not None:
                turn.message(text)
        except Exception as error:  # noqa: BLE001 - never in the handler's way
            report_error("chat_handler", error)

    def closer(self, turn: Turn) -> Callable[[object], object]:
        """What notes the reply of a turn."""
        return functools.partial(self._note_reply, turn)

    def _note_reply(self, turn: Turn, result: object) -> None:
        if result is None or not turn.is_live:
            return
        turn.said(result)
        if type(result) not in SILENT and turn.state.result is None:
            turn.result(result)
        if not turn.captures_content:
            return
        if self.reply is None and not is_a(result, str):
            turn.state.returned = result  # read in the delivery thread
            return
        try:
            told = text_from(result if self.reply is None else self.reply(result))
            if told is not None:
                turn.reply(told)
        except Exception as error:  # noqa: BLE001 - never in the handler's way
            report_error("chat_handler", error)


def _asked(getter: Getter | None, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What is read from the arguments; None where that fails, which costs this alone."""
    try:
        return None if getter is None else getter(args, kwargs)
    except Exception as error:  # noqa: BLE001 - never in the handler's way
        report_error("chat_handler", error)
        return None


@overload
def chat_handler(function: F, /) -> F: ...


@overload
def chat_handler(
    *,
    agent: str | Callable[..., str] | None = None,
    conversation_id: str | Callable[..., object] | None = None,
    message: str | Callable[..., object] | None = None,
    reply: Callable[[Any], str | None] | None = None,
    **fields: Any,
) -> Callable[[F], F]: ...


def chat_handler(
    function: F | None = None,
    /,
    *,
    agent: str | Callable[..., str] | None = None,
    conversation_id: str | Callable[..., object] | None = None,
    message: str | Callable[..., object] | None = None,
    reply: Callable[[Any], str | None] | None = None,
    **fields: Any,
) -> F | Callable[[F], F]:
    """Makes every call of a handler a turn.

    The handler may be a function, coroutine function, generator or async generator function, a
    method, class or static method, a callable object or a partial, or return a stream; it keeps
    its shape, signature and name. A streamed turn ends when its last chunk was consumed.

    Args:
        function: The handler, where the decorator stands bare.
        agent: The agent's name, or a function of the handler's arguments; the handler's name
            where neither it nor the conversation names one.
        conversation_id: Name of the parameter that holds it (`"request.session_id"` for what lies
            inside), or a function of the handler's arguments.
        message: The same for the user's message, kept only with content capture on.
        reply: Gives the reply's text from the handler's result, of a streamed reply from each
            chunk. Without it the text is read where it can be: out of text, dictionaries, models,
            messages, frames of a stream. A handler that ends with None, an empty text or no chunk
            made no reply (`otel_chat.reply` = false), unless a WebSocket's frame was one.
        **fields: channel, model, user_type, variant and so on (`TurnFields`): a value, or a
            function of the handler's arguments. `user_id` is a parameter's name or a function.

    Raises:
        ConfigurationError: there is no such parameter or field; names it.

    Example:
        >>> @chat_handler(agent="support", conversation_id="session_id", message="text")
        ... def answer(session_id: str, text: str) -> str:
        ...     return "Good evening."
        >>> answer("s-1", "Hello")
        'Good evening.'
    """

    def decorate(target: F) -> F:
        if isinstance(target, classmethod | staticmethod):
            inner: Any = target.__func__
            return cast("F", type(target)(decorate(inner)))
        if not callable(target):
            raise ConfigurationError(
                f"chat_handler: a {type(target).__name__} cannot be called; decorate a function, "
                "and name its agent with agent=."
            )
        spec = _Spec(
            target,
            agent=agent,
            conversation_id=conversation_id,
            message=message,
            reply=reply,
            fields=fields,
        )
        return cast("F", wrapper_of(target, spec.open, spec.closer))

    return decorate if function is None else decorate(function)
