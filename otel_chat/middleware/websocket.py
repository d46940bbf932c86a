"""One WebSocket connection: a conversation, and a turn for each message of the user's."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, Final, ParamSpec, TypeAlias

from opentelemetry import context as context_api
from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanContext, SpanKind

from otel_chat import semconv as sc
from otel_chat._telemetry import runtime
from otel_chat._turns.conversation import Conversation
from otel_chat._turns.conversation import message as report_message
from otel_chat._turns.request_context import RequestTurn, current_request, within
from otel_chat._turns.turn import Turn, new_turn
from otel_chat.middleware.exchange import COMPONENT
from otel_chat.middleware.frames import Frame, is_control, is_engine_control, is_engine_io
from otel_chat.middleware.request import Request, Rules

P = ParamSpec("P")
Message: TypeAlias = MutableMapping[str, Any]

SCOPE_KEY: Final = "otel_chat.connection"
NORMAL: Final = 1000
GOING_AWAY: Final = 1001
NO_CODE: Final = 1005
ABNORMAL: Final = 1006
SERVER_ERROR: Final = 1011
_SPAN_NAME: Final = "WEBSOCKET"


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketRules:
    """How the frames of a connection are read; the fields are those of `ChatMiddleware`."""

    agent: str | None = None
    turns: bool = True
    control: Callable[[Frame], bool] = is_control
    last_frame: Callable[[Frame], bool] | None = None
    text: Callable[[Frame], str | None] | None = None
    outcome: Callable[[int], str | None] | None = None


class _Reply:
    """What became of one message of the user's: its turn, and the frames sent since."""

    __slots__ = ("end_ns", "first_ns", "frames", "texts", "turn")

    def __init__(self, turn: Turn | None) -> None:
        self.turn = turn
        self.frames = 0
        self.texts: list[str] = []
        self.first_ns = 0
        self.end_ns: int | None = None

    def mark(self) -> None:
        """Notes that the reply, as far as one can tell now, ends here."""
        if self.turn is not None and self.turn.is_provisional:
            self.end_ns = self.turn.now_ns()

    def finish(self, error: BaseException | None = None) -> None:
        """Ends the turn, unless a handler has taken it over or it is over."""
        turn = self.turn
        if turn is None or not turn.is_provisional:
            return
        if self.texts:
            turn.reply("".join(self.texts))
        turn.finish(error, end_ns=self.end_ns)


class Connection:
    """The request of the turns in a WebSocket. One object per connection.

    It is also in the scope, as `otel_chat.connection`, for frameworks that hand messages to other
    tasks (`step()` gives the context in which to handle the latest message) or route in a copy of
    the scope (`request.native` is where the route is looked up).

    Args:
        rules: Where the facts come from.
        sockets: How frames are read.
        request: The handshake.
        prepare: Fills in what is known only after routing.
        receive: The server's.
        send: The server's.
    """

    def __init__(
        self,
        rules: Rules,
        sockets: SocketRules,
        request: Request,
        prepare: Callable[[Request], None],
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        self._rules = rules
        self._sockets = sockets
        self.request = request
        self._prepare = prepare
        self._receive = receive
        self._send = send
        self._engine_io = is_engine_io(request.query)
        self._reply: _Reply | None = None
        self._conversation: Conversation | None = None
        self._ended = False
        self._span: Span | None = None
        self._owns_span = False
        self._link = trace.INVALID_SPAN_CONTEXT
        self._outside = context_api.get_current()
        self._before: Context | None = None
        self._step_context: Context | None = None

    # -- as turns see it ----------------------------------------------------------------------

    def facts(self) -> dict[str, object]:
        """What handshake and frames say, read when a turn starts."""
        try:
            self._prepare(self.request)
            return {**self._rules.facts(self.request)}
        except Exception as error:  # noqa: BLE001 - a scope may be of any shape
            runtime.report_error(COMPONENT, error)
            return {}

    def link(self) -> SpanContext | None:
        """The connection's span: a turn is a trace of its own, linked to it."""
        return self._link if self._link.is_valid else None

    def claim(self) -> Turn | None:
        """The turn of the latest message, while it is open."""
        return None if self._reply is None else self._reply.turn

    def started(self, turn: RequestTurn) -> None:
        """Nothing: a turn in a connection ends by itself or with its reply."""

    def hold(self, turn: RequestTurn) -> bool:  # noqa: ARG002 - the protocol's
        """False: there is no status to wait for."""
        return False

    def step(self) -> Context:
        """The context in which to handle the latest message, in whichever task."""
        return self._step_context or context_api.get_current()

    # -- life ----------------------------------------------------------------------------------

    async def run(
        self,
        app: Callable[..., Awaitable[None]],
        scope: MutableMapping[str, Any],
    ) -> None:
        """Runs the application as this connection; ends the conversation once, however it ends."""
        scope[SCOPE_KEY] = self
        self._guard(self._begin_span)
        token = context_api.attach(within(self, self._outside))
        error: BaseException | None = None
        try:
            await app(scope, self.receive, self.send)
        except BaseException as raised:
            error = raised
            raise
        finally:
            code = NORMAL
            if error is not None:
                code = SERVER_ERROR if isinstance(error, Exception) else GOING_AWAY
            self._guard(lambda: self._end(code, error))
            context_api.detach(token)

    async def receive(self) -> Message:
        """The next message. Asking for it ends a reply of which something was sent."""
        self._guard(self._asked)
        message = await self._receive()
        self._guard(lambda: self._received(message))
        return message

    async def send(self, message: Message) -> None:
        """Passes a message on, then notes it."""
        try:
            await self._send(message)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            gone = GeneratorExit() if isinstance(error, OSError) else error
            self._guard(lambda: self._end(ABNORMAL, gone))
            raise
        self._guard(lambda: self._sent(message))

    # -- what comes and goes -------------------------------------------------------------------

    def _asked(self) -> None:
        reply = self._reply
        if reply is None:
            return
        if reply.frames:
            self._close_reply()
        elif reply.end_ns is None:
            reply.mark()
        if reply.turn is not None and self._step_context is context_api.get_current():
            # No detach: this may be another task than the one that was handed the message
            context_api.attach(self._before or within(self, self._outside))

    def _received(self, message: Message) -> None:
        if message["type"] == "websocket.disconnect":
            self._end(message.get("code") or NO_CODE, GeneratorExit())
        elif message["type"] == "websocket.receive":
            frame = _frame(message)
            if not self._is_control(frame, sent=False):
                self._user_message(frame)

    def _user_message(self, frame: Frame) -> None:
        self._close_reply()
        if self._rules.needs_body and len(frame) <= self._rules.body_limit:
            self._learn(frame)
        if not self._sockets.turns:
            self._reply = _Reply(None)
            return
        here = context_api.get_current()
        if current_request(here) is not self:
            here = within(self, self._outside)
        token = context_api.attach(here)
        try:
            turn = new_turn(runtime.current(), self._sockets.agent, {})
            turn.start(provisional=True)
        finally:
            context_api.detach(token)
        self._reply = _Reply(turn)
        self._before = context_api.get_current()
        turn.attach()
        self._step_context = context_api.get_current()
        text = self._text(frame) if turn.takes_message else None
        if text is not None:
            turn.message(text)

    def _sent(self, message: Message) -> None:
        kind = message["type"]
        if kind == "websocket.accept":
            self._begin_conversation()
        elif kind == "websocket.close":
            self._end(message.get("code", NORMAL), None)
        elif kind == "websocket.send":
            frame = _frame(message)
            if not self._is_control(frame, sent=True):
                self._assistant_frame(frame)

    def _is_control(self, frame: Frame, *, sent: bool) -> bool:
        if self._engine_io and is_engine_control(frame, sent=sent):
            return True
        return self._sockets.control(frame)

    def _assistant_frame(self, frame: Frame) -> None:
        reply = self._reply
        if reply is None:
            self._begin_conversation()
            self._outside_turns(self._greet, frame)
            return
        reply.frames += 1
        turn = reply.turn
        if turn is not None:
            turn.said()
        if turn is not None and turn.is_provisional:
            if reply.frames > 1 and reply.end_ns is not None:
                turn.first_chunk(reply.first_ns)
            reply.mark()
            if reply.frames == 1:
                reply.first_ns = reply.end_ns or 0
            if turn.captures_content and (text := self._text(frame)) is not None:
                reply.texts.append(text)
        last = self._sockets.last_frame
        if last is not None and last(frame):
            self._close_reply()

    def _close_reply(self, error: BaseException | None = None) -> None:
        reply, self._reply = self._reply, None
        if reply is not None:
            reply.finish(error)

    def _text(self, frame: Frame) -> str | None:
        return None if self._sockets.text is None else self._sockets.text(frame)

    # -- the conversation ----------------------------------------------------------------------

    def _learn(self, frame: Frame) -> None:
        """Reads a frame as a JSON body, where facts may stand in one."""
        if self._conversation is None or not self._rules.conversation_in_body:
            self.request.body = frame.encode() if isinstance(frame, str) else frame
            self._begin_conversation()

    def _begin_conversation(self) -> None:
        if self._conversation is not None or self._ended:
            return
        facts = self.facts()
        conversation_id = facts.pop("conversation_id", None)
        if conversation_id is None:
            return
        if self._span is not None:
            self._span.set_attribute(sc.CONVERSATION_ID, str(conversation_id))
        facts.pop("route", None)
        self._conversation = Conversation(conversation_id, self._sockets.agent, facts, start=True)
        self._outside_turns(self._conversation.begin)

    def _begin_span(self) -> None:
        """The connection's span: the server's or framework's where one has been started."""
        around = trace.get_current_span()
        if around.get_span_context().is_valid:
            self._span = around
        else:
            self._span = runtime.current().tracer.start_span(
                _SPAN_NAME,
                context=propagate.extract(self.request.headers),
                kind=SpanKind.SERVER,
                record_exception=False,
                set_status_on_exception=False,
            )
            self._owns_span = True
            self._outside = trace.set_span_in_context(self._span, self._outside)
        self._link = self._span.get_span_context()

    def _end_span(self, code: int) -> None:
        if self._span is None:
            return
        self._span.set_attribute(sc.CLOSE_CODE, code)
        if self._owns_span:
            if self.request.route:
                self._span.update_name(f"{_SPAN_NAME} {self.request.route}")
                self._span.set_attribute(sc.HTTP_ROUTE, self.request.route)
            self._span.end()

    def _end(self, code: int, error: BaseException | None) -> None:
        """Ends what is open; the first call of a connection counts."""
        if self._ended:
            return
        self._ended = True
        reply = self._reply
        if isinstance(error, GeneratorExit) and reply is not None and self._seems_whole(reply):
            error = None
        self._close_reply(error)
        if self._conversation is not None:
            self._outside_turns(self._end_conversation, self._conversation, code)
        self._end_span(code)

    def _end_conversation(self, conversation: Conversation, code: int) -> None:
        outcome = None if self._sockets.outcome is None else self._sockets.outcome(code)
        conversation.end(outcome, reason=f"close {code}")

    def _greet(self, frame: Frame) -> None:
        if self._conversation is not None:
            self._conversation.message(self._text(frame), sender="assistant")
        else:
            report_message(self._text(frame), sender="assistant", agent=self._sockets.agent)

    def _outside_turns(self, step: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
        """Reports something as the connection's own, whatever turn is current here."""
        token = context_api.attach(within(self, self._outside))
        try:
            step(*args, **kwargs)
        finally:
            context_api.detach(token)

    def _seems_whole(self, reply: _Reply) -> bool:
        """Whether the client had a reply when it left, as far as frames can tell."""
        return reply.frames > 0 and self._sockets.last_frame is None

    @staticmethod
    def _guard(step: Callable[[], None]) -> None:
        try:
            step()
        except Exception as error:  # noqa: BLE001 - telemetry stays out of the connection's way
            runtime.report_error(COMPONENT, error)


def _frame(message: Message) -> Frame:
    text = message.get("text")
    found = text if text is not None else message.get("bytes")
    return found if isinstance(found, str | bytes) else b""
