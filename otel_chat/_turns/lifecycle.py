"""The life of a turn: one span, started unattached, attached step by step, ended exactly once."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from contextvars import Token
from typing import Final

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import SpanContext
from opentelemetry.util.types import AnyValue

from otel_chat import semconv as sc
from otel_chat._common.checks import Types, identifier, is_a
from otel_chat._telemetry.recent_conversations import Predecessor
from otel_chat._telemetry.runtime import NO_SPAN, Runtime, report_error
from otel_chat._telemetry.workers import Reader
from otel_chat._turns.finish.events import emit_event
from otel_chat._turns.finish.pipeline import finish_turn, finish_turn_quickly
from otel_chat._turns.request_context import RequestContext
from otel_chat._turns.state import TurnState
from otel_chat._usage import Children

TURN_KEY: Final = otel_context.create_key("otel_chat.turn")

# The API's own key, asked of the API: setting span and turn in one copy halves the cost
_SPAN_KEY: Final = next(iter(trace.set_span_in_context(trace.INVALID_SPAN, Context())))
_NESTED: Final[Mapping[str, AnyValue]] = {sc.OPERATION_NAME: sc.OPERATION_INVOKE_AGENT}
_TEXTS: Final = Types((str, bytes))
_TURN: Final[Mapping[str, AnyValue]] = {**_NESTED, sc.TURN_ROOT: True}


def conversation_id_of(value: object) -> str | None:
    """A conversation's id; None where it is none that can be used, which is reported."""
    try:
        return identifier(value)
    except Exception as error:  # noqa: BLE001 - never in the caller's way
        report_error("conversation", error)
        return None


class Lifecycle:
    """What a turn does from start to finish. `Turn` adds what can be reported of it.

    Args:
        runtime: Whose tracer, clock and delivery to use; None makes one that does nothing.
        agent: The agent's name.
        attributes: Attributes known at the start, clean.
        conversation_id: Given by the caller or its conversation, else None.
        request: The request in which it starts.
    """

    __slots__ = (
        "__weakref__", "_context", "_held", "_left", "_live", "_provisional", "_request",
        "_runtime", "state",
    )  # fmt: skip

    def __init__(
        self,
        runtime: Runtime | None,
        agent: str,
        attributes: dict[str, AnyValue],
        conversation_id: object = None,
        request: RequestContext | None = None,
    ) -> None:
        self.state: Final = TurnState(agent, attributes)
        self._runtime: Runtime = runtime  # type: ignore[assignment] # guarded by _live
        self._request = request
        self._live = self._provisional = self._held = False
        self._context: Context | None = None
        self._left: Context | None = None
        if runtime is not None and conversation_id is not None:
            found = conversation_id_of(conversation_id)
            if found is not None:
                attributes[sc.CONVERSATION_ID] = found

    # -- reading -------------------------------------------------------------------------------

    @property
    def trace_id(self) -> str | None:
        """The trace's id as 32 hexadecimal digits; None outside a turn."""
        span = self.state.span_context
        return f"{span.trace_id:032x}" if span.is_valid else None

    @property
    def span_id(self) -> str | None:
        """The span's id as 16 hexadecimal digits; None outside a turn."""
        span = self.state.span_context
        return f"{span.span_id:016x}" if span.is_valid else None

    @property
    def conversation_id(self) -> str | None:
        """The conversation's id; None where nobody gave one."""
        return self.state.text(sc.CONVERSATION_ID)

    @property
    def span_context(self) -> SpanContext:
        """The ids of the turn's span; invalid outside a turn."""
        return self.state.span_context

    @property
    def children(self) -> Children:
        """The spans inside."""
        return self.state.children

    @property
    def is_live(self) -> bool:
        """Whether the turn has started and is not over."""
        return self._live

    follows: Final = True
    """A stream that the handler returns is part of the turn."""

    @property
    def is_provisional(self) -> bool:
        """Whether it is open in expectation of a handler's turn."""
        return self._live and self._provisional

    @property
    def captures_content(self) -> bool:
        """Whether text is kept."""
        return self._live and self._runtime.config.capture_content

    @property
    def takes_message(self) -> bool:
        """Whether the user's message is looked at: it is kept, or hooks are run on it."""
        runtime = self._runtime
        return self._live and (runtime.config.capture_content or bool(runtime.hooks))

    @property
    def start_ns(self) -> int:
        """When it started, nanoseconds since 1970."""
        return self.state.start_ns

    def now_ns(self) -> int:
        """The time on this turn's own clock, which never goes back."""
        return self.state.start_ns + self._runtime.clock.monotonic_ns() - self.state.start_mono_ns

    def fix_time(self, now_ns: int) -> None:
        """Sets this turn's clock, for a turn that is reported afterwards."""
        self.state.start_mono_ns -= now_ns - self.now_ns()

    def finish_as(self, status: str, error_type: str | None, end_ns: int) -> None:
        """Ends a turn that is reported afterwards, as it was."""
        self.state.status = status
        if status == sc.STATUS_ERROR and self._live:
            kind = error_type if is_a(error_type, str) and error_type else sc.OTHER
            self.state.attributes[sc.ERROR_TYPE] = self._runtime.name(kind)
        self.finish(end_ns=end_ns)

    def said(self, reply: object = True) -> None:  # noqa: FBT002 - whatever came of it
        """Notes that there is a reply: anything but None and an empty text."""
        if reply is not None and not (type(reply) in _TEXTS and not reply):
            self.state.mute = False

    def first_chunk(self, at_ns: int | None = None) -> None:
        """Notes when the first chunk of a streamed reply came, now unless given; once."""
        self.said()
        state = self.state
        if sc.TIME_TO_FIRST_CHUNK not in state.attributes:
            when = self.now_ns() if at_ns is None else max(at_ns, state.start_ns)
            state.attributes[sc.TIME_TO_FIRST_CHUNK] = (when - state.start_ns) / 1e9

    # -- start ---------------------------------------------------------------------------------

    def start(
        self, start_ns: int | None = None, *, root: bool = False, provisional: bool = False
    ) -> None:
        """Starts the span without attaching it.

        Args:
            start_ns: When it started, if not now.
            root: Makes a trace of its own, whatever surrounds it.
            provisional: Opened in expectation of a handler's turn, which takes it over.
        """
        runtime, state = self._runtime, self.state
        self.state.start_mono_ns = runtime.clock.monotonic_ns()
        state.start_ns = runtime.clock.time_ns() if start_ns is None else start_ns
        self._provisional = provisional
        current = otel_context.get_current()
        parent = NO_SPAN if root else self._parent(current)
        state.attributes[sc.AGENT_NAME] = state.agent
        outer = state.outer
        if outer is None:
            self._enter_conversation()
        state.span = runtime.tracer.start_span(
            f"invoke_agent {state.agent}",
            context=parent,
            # What samplers may ask for; all else is set at once at the end
            attributes=_TURN if outer is None else _NESTED,
            start_time=state.start_ns,
            record_exception=False,
            set_status_on_exception=False,
        )
        state.span_context = state.span.get_span_context()
        self._context = Context({**current, _SPAN_KEY: state.span, TURN_KEY: self})
        runtime.delivery.ensure_started()
        self._live = True
        if outer is not None:
            above = trace.get_current_span(parent).get_span_context()
            outer.children.started(state.span_context.span_id, above.span_id)
            return
        runtime.active.add(state)
        if self._request is not None:
            self._request.started(self)

    def take_over(self, agent: str, attributes: dict[str, AnyValue], given_id: object) -> None:
        """Becomes the turn of a handler: what it says of itself holds from now on."""
        state = self.state
        self._provisional = False
        state.attributes.update(attributes)
        if agent != state.agent:
            state.agent = agent
            state.attributes[sc.AGENT_NAME] = agent
            state.span.update_name(f"invoke_agent {agent}")
        found = conversation_id_of(given_id)
        other = found is not None and found != self.conversation_id
        if other:
            state.attributes[sc.CONVERSATION_ID] = found
        if other or state.conversation is None:
            self._enter_conversation()

    def _parent(self, current: Context) -> Context:
        """The context to start in. A parent that is not sampled, or whose turn is over, would
        take this turn along: such a turn is a root, linked.
        """  # noqa: D205 - one thought
        state, outer = self.state, current.get(TURN_KEY)
        if isinstance(outer, Lifecycle) and outer.is_live:
            state.outer = outer.state
            return current
        linked = self._request.link() if self._request is not None else None
        if linked is not None:
            state.links.append(linked)
            return NO_SPAN
        span = trace.get_current_span(current).get_span_context()
        if span.is_valid and (outer is not None or not span.trace_flags.sampled):
            state.links.append(span)
            return NO_SPAN
        return current

    def _enter_conversation(self) -> None:
        state = self.state
        state.series = (state.agent, state.text(sc.CHANNEL) or "")
        conversation_id = self.conversation_id
        if conversation_id is None:
            return
        seen, _ = self._runtime.conversations.touch(conversation_id, self.state.start_mono_ns)
        seen.series = state.series
        seen.turns += 1
        state.previous = seen.previous
        state.conversation = seen

    # -- steps ---------------------------------------------------------------------------------

    def attach(self) -> Token[Context]:
        """Makes the turn the current one, for a step of the handler's."""
        context, self._left = self._left or self._context, None
        return otel_context.attach(otel_context.get_current() if context is None else context)

    def detach(self, token: Token[Context]) -> None:
        """Ends a step. Elsewhere than where it was attached there is nothing to take back.

        What the handler attached inside and holds across a `yield` is there again in its next
        step, and never the consumer's.
        """
        here = otel_context.get_current()
        if self._context is None or here is self._context:
            otel_context.detach(token)
        elif self._holds(here.get(TURN_KEY)):
            self._left = here
            otel_context.detach(token)

    def _holds(self, turn: object) -> bool:
        """Whether a turn is this one, or nested in it."""
        inner = turn.state if isinstance(turn, Lifecycle) else None
        while inner is not None and inner is not self.state:
            inner = inner.outer
        return inner is not None

    # -- finish --------------------------------------------------------------------------------

    def finish(
        self, error: BaseException | None = None, *, end_ns: int | None = None, later: bool = False
    ) -> None:
        """Ends the turn; only the first call counts.

        Its end is noted here; the delivery thread works out the rest and ends the span with the
        time noted. An `Exception` is a failure. What is no `Exception` (cancellation,
        GeneratorExit, KeyboardInterrupt) comes from outside the handler: cancelled.

        Args:
            error: What ended it, if anything did.
            end_ns: When it ended, if not now.
            later: Takes no lock, as a finaliser must not.
        """
        if not self._live:
            return
        self._live = False
        try:
            runtime, state = self._runtime, self.state
            state.end_ns = self.now_ns() if end_ns is None else max(end_ns, state.start_ns)
            runtime.active.discard(state)
            if state.conversation is not None:
                state.conversation.previous = state.as_previous = Predecessor(state.span_context)
            if error is not None:
                self._note_error(error)
            request = self._request
            if request is not None and not later and request.hold(self):
                self._held = True
                return
            self._hand_over(always=later)
        except Exception as problem:  # noqa: BLE001 - never in the handler's way
            report_error("turn", problem)

    def _note_error(self, error: BaseException) -> None:
        """Notes what ended the turn. The exception is not kept: it holds the handler's frames."""
        state = self.state
        if not isinstance(error, Exception):
            state.status = sc.STATUS_CANCELLED
            return
        state.status = sc.STATUS_ERROR
        try:
            kind = state.attributes[sc.ERROR_TYPE] = type(error).__qualname__
            told: dict[str, AnyValue] = {sc.EXCEPTION_TYPE: kind, sc.ERROR_TYPE: kind}
            if self._runtime.config.capture_content:
                told.update(_content_of(error))
            self.emit(sc.EVENT_EXCEPTION, told)
        except Exception as problem:  # noqa: BLE001 - the handler's exception may do anything
            report_error("turn", problem)

    def release(self, *, gone: bool = False) -> None:
        """Ends a turn that waited for its answer's status.

        Args:
            gone: The client left before the answer: where the turn was well, it is cancelled.
        """
        if self._held:
            self._held = False
            if gone and self.state.status == sc.STATUS_OK:
                self.state.status = sc.STATUS_CANCELLED
            self._hand_over(always=False)

    def answered(self, status: int) -> None:
        """Notes the HTTP status of the answer that the turn is part of."""
        self.state.attributes[sc.HTTP_STATUS_CODE] = status

    def _hand_over(self, *, always: bool) -> None:
        state, runtime = self.state, self._runtime
        if not runtime.delivery.put((finish_turn, state, runtime), always=always):
            finish_turn_quickly(state, runtime)

    # -- events --------------------------------------------------------------------------------

    def emit(self, name: str, attributes: Mapping[str, AnyValue], data: object = None) -> None:
        """Queues an event of this turn, at the time it is now."""
        time_ns, uid = self.event_stamp()
        self._runtime.delivery.put(
            (emit_event, self.state, self._runtime, name, attributes, data, time_ns, uid)
        )

    def event_stamp(self) -> tuple[int, str | None]:
        """Time and uid of an event whose rest may be found out later."""
        runtime = self._runtime
        # Random ids need not be made here; ids that follow from the call must
        return self.now_ns(), None if runtime.random_ids else runtime.ids.event_uid()


_exceptions: Final = Reader(seconds=0.25)
"""Reads them in the handler's way: kept until later, one would keep the handler's frames."""


def _content_of(error: BaseException) -> Mapping[str, AnyValue]:
    try:
        told: Mapping[str, AnyValue] = _exceptions.read(error, _message_and_stack)
    except Exception as problem:  # noqa: BLE001 - it says what it is in its own way
        report_error("turn", problem)
        return {}
    return told


def _message_and_stack(error: BaseException) -> dict[str, AnyValue]:
    return {
        sc.EXCEPTION_MESSAGE: str(error),
        sc.EXCEPTION_STACKTRACE: "".join(traceback.format_exception(error)),
    }
