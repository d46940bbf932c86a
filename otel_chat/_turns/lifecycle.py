"""The life of a turn: one span, started unattached, attached step by step, ended exactly once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import Token
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanContext
from opentelemetry.util.types import AnyValue

from otel_chat import semconv as sc
from otel_chat._common.checks import Types, identifier, is_a
from otel_chat._telemetry.recent_conversations import Predecessor, Seen
from otel_chat._telemetry.runtime import NO_SPAN, Runtime, report_error
from otel_chat._turns.fields import EVENT_KEYS
from otel_chat._turns.finish.pipeline import complete, note_error
from otel_chat._turns.model_results import Chunks
from otel_chat._turns.request_context import Surroundings
from otel_chat._turns.usage import Children, Usage
from otel_chat.extract import Extracted, Texts

if TYPE_CHECKING:
    from otel_chat._turns.turn import Turn

TURN_KEY: Final = otel_context.create_key("otel_chat.turn")

# The API's own key, asked of the API: setting span and turn in one copy halves the cost
_SPAN_KEY: Final = next(iter(trace.set_span_in_context(trace.INVALID_SPAN, Context())))
_NESTED: Final[Mapping[str, AnyValue]] = {sc.OPERATION_NAME: sc.OPERATION_INVOKE_AGENT}
_TEXTS: Final = Types((str, bytes))
_TURN: Final[Mapping[str, AnyValue]] = {**_NESTED, sc.TURN_ROOT: True}


def identified(value: object) -> str | None:
    """A conversation's id; None where it is none that can be used, which is reported."""
    try:
        return identifier(value)
    except Exception as error:  # noqa: BLE001 - never in the caller's way
        report_error("conversation", error)
        return None


class Lifecycle:
    """What a turn is from start to finish. `Turn` adds what can be reported of it.

    Args:
        runtime: Whose tracer, clock and delivery to use; None makes one that does nothing.
        agent: The agent's name.
        attributes: Attributes known at the start, clean.
        conversation_id: Given by the caller or its conversation, else None.
    """

    __slots__ = (
        "__weakref__", "_agent", "_as_before", "_before", "_confidence", "_context", "_cost",
        "_counted", "_duration", "_early", "_end_ns", "_found", "_held", "_input", "_intents",
        "_keep", "_late", "_left", "_links", "_live", "_metadata", "_mute", "_outer", "_output",
        "_parts", "_provisional", "_reply_reader", "_result", "_returned", "_runtime", "_seen",
        "_span", "_span_context", "_start_mono", "_start_ns", "_status", "_stream",
        "_surroundings", "_tokens", "_told", "_usage", "children", "series",
    )  # fmt: skip

    def __init__(
        self,
        runtime: Runtime | None,
        agent: str,
        attributes: dict[str, AnyValue],
        conversation_id: object = None,
    ) -> None:
        self._runtime: Runtime = runtime  # type: ignore[assignment] # guarded by _live
        self._agent = agent
        self._early = attributes
        self._late: dict[str, AnyValue] = {}
        self._live = self._provisional = False
        self._held = False
        self._links: list[SpanContext] = []
        self._before: Predecessor | None = None
        self._as_before: Predecessor | None = None
        self._surroundings: Surroundings | None = None
        self._outer: Lifecycle | None = None
        self._span: Span = trace.INVALID_SPAN
        self._span_context: SpanContext = trace.INVALID_SPAN_CONTEXT
        self._start_mono = self._start_ns = 0
        self.children = Children()
        self._usage: Usage | None = None
        self._parts: list[Usage] = []
        self._tokens: Usage | None = None
        self._cost: float | None = None
        self._confidence: float | None = None
        self._mute = False
        self._intents: list[tuple[str | None, float | None, bool, str]] = []
        self._counted: list[tuple[str, dict[str, Any]]] = []
        self._input: str | None = None
        self._output: str | None = None
        self._reply_reader: Callable[[Any], object] | None = None
        self._told: Texts | None = None
        self._result: object = None
        self._returned: object = None
        self._stream: Chunks | None = None
        self._found: Extracted | None = None
        self._metadata: list[Mapping[str, object]] = []
        self._keep = False
        self._seen: Seen | None = None
        self._status = sc.STATUS_OK
        self._duration = 0.0
        self._end_ns = 0
        self._context: Context | None = None
        self._left: Context | None = None
        self.series = ("", "")
        if runtime is not None and conversation_id is not None:
            found = identified(conversation_id)
            if found is not None:
                attributes[sc.CONVERSATION_ID] = found

    def as_turn(self) -> Turn:
        """Itself: every object of this class is a `Turn`."""
        return self  # type: ignore[return-value] # made as a subclass only

    # -- reading -------------------------------------------------------------------------------

    @property
    def trace_id(self) -> str | None:
        """The trace's id as 32 hexadecimal digits; None outside a turn."""
        span = self._span_context
        return f"{span.trace_id:032x}" if span.is_valid else None

    @property
    def span_id(self) -> str | None:
        """The span's id as 16 hexadecimal digits; None outside a turn."""
        span = self._span_context
        return f"{span.span_id:016x}" if span.is_valid else None

    @property
    def conversation_id(self) -> str | None:
        """The conversation's id; None where nobody gave one."""
        found = self._get(sc.CONVERSATION_ID)
        return found if isinstance(found, str) else None

    @property
    def span_context(self) -> SpanContext:
        """The ids of the turn's span; invalid outside a turn."""
        return self._span_context

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

    def _get(self, key: str) -> AnyValue:
        found = self._late.get(key)
        return found if found is not None else self._early.get(key)

    @property
    def start_ns(self) -> int:
        """When it started, nanoseconds since 1970."""
        return self._start_ns

    def now_ns(self) -> int:
        """The time on this turn's own clock, which never goes back."""
        return self._start_ns + self._runtime.clock.monotonic_ns() - self._start_mono

    def fix_time(self, now_ns: int) -> None:
        """Sets this turn's clock, for a turn that is reported afterwards."""
        self._start_mono -= now_ns - self.now_ns()

    def finish_as(self, status: str, error_type: str | None, end_ns: int) -> None:
        """Ends a turn that is reported afterwards, as it was."""
        self._status = status
        if status == sc.STATUS_ERROR and self._live:
            kind = error_type if is_a(error_type, str) and error_type else sc.OTHER
            self._late[sc.ERROR_TYPE] = self._runtime.name(kind)
        self.finish(end_ns=end_ns)

    def said(self, reply: object = True) -> None:  # noqa: FBT002 - whatever came of it
        """Notes that there is a reply: anything but None and an empty text."""
        if reply is not None and not (type(reply) in _TEXTS and not reply):
            self._mute = False

    def first_chunk(self, at_ns: int | None = None) -> None:
        """Notes when the first chunk of a streamed reply came, now unless given; once."""
        self.said()
        if sc.TIME_TO_FIRST_CHUNK not in self._late:
            when = self.now_ns() if at_ns is None else max(at_ns, self._start_ns)
            self._late[sc.TIME_TO_FIRST_CHUNK] = (when - self._start_ns) / 1e9

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
        runtime = self._runtime
        self._start_mono = runtime.clock.monotonic_ns()
        self._start_ns = runtime.clock.time_ns() if start_ns is None else start_ns
        self._provisional = provisional
        current = otel_context.get_current()
        parent = NO_SPAN if root else self._parent(current)
        self._early[sc.AGENT_NAME] = self._agent
        outer = self._outer
        if outer is None:
            self._enter_conversation()
        self._span = runtime.tracer.start_span(
            f"invoke_agent {self._agent}",
            context=parent,
            # What samplers may ask for; all else is set at once at the end
            attributes=_TURN if outer is None else _NESTED,
            start_time=self._start_ns,
            record_exception=False,
            set_status_on_exception=False,
        )
        self._span_context = self._span.get_span_context()
        self._context = Context({**current, _SPAN_KEY: self._span, TURN_KEY: self})
        runtime.delivery.ensure_started()
        self._live = True
        if outer is not None:
            above = trace.get_current_span(parent).get_span_context()
            outer.children.started(self._span_context.span_id, above.span_id)
            return
        runtime.active.add(self)
        if self._surroundings is not None:
            self._surroundings.started(self.as_turn())

    def take_over(self, agent: str, attributes: dict[str, AnyValue], given_id: object) -> None:
        """Becomes the turn of a handler: what it says of itself holds from now on."""
        self._provisional = False
        self._late.update(attributes)
        if agent != self._agent:
            self._agent = agent
            self._late[sc.AGENT_NAME] = agent
            self._span.update_name(f"invoke_agent {agent}")
        found = identified(given_id)
        other = found is not None and found != self.conversation_id
        if other:
            self._late[sc.CONVERSATION_ID] = found
        if other or self._seen is None:
            self._enter_conversation()

    def _parent(self, current: Context) -> Context:
        """The context to start in. A parent that is not sampled, or whose turn is over, would
        take this turn along: such a turn is a root, linked.
        """  # noqa: D205 - one thought
        outer = current.get(TURN_KEY)
        if isinstance(outer, Lifecycle) and outer._live:
            self._outer = outer
            return current
        around = self._surroundings
        linked = around.link() if around is not None else None
        if linked is not None:
            self._links.append(linked)
            return NO_SPAN
        span = trace.get_current_span(current).get_span_context()
        if span.is_valid and (outer is not None or not span.trace_flags.sampled):
            self._links.append(span)
            return NO_SPAN
        return current

    def _enter_conversation(self) -> None:
        channel = self._get(sc.CHANNEL)
        self.series = (self._agent, channel if isinstance(channel, str) else "")
        conversation_id = self.conversation_id
        if conversation_id is None:
            return
        seen, _ = self._runtime.conversations.touch(conversation_id, self._start_mono)
        seen.series = self.series
        seen.turns += 1
        self._before = seen.previous
        self._seen = seen

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

    def _holds(self, inner: object) -> bool:
        while isinstance(inner, Lifecycle):
            if inner is self:
                return True
            inner = inner._outer
        return False

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
            runtime = self._runtime
            self._end_ns = self.now_ns() if end_ns is None else max(end_ns, self._start_ns)
            runtime.active.discard(self)
            if self._seen is not None:
                self._seen.previous = self._as_before = Predecessor(self._span_context)
            if error is not None:
                self._note(error)
            around = self._surroundings
            if around is not None and not later and around.hold(self.as_turn()):
                self._held = True
                return
            self._hand_over(always=later)
        except Exception as problem:  # noqa: BLE001 - never in the handler's way
            report_error("turn", problem)

    def _note(self, error: BaseException) -> None:
        try:
            note_error(self, error)
        except Exception as problem:  # noqa: BLE001 - the handler's exception may do anything
            report_error("turn", problem)

    def release(self, *, gone: bool = False) -> None:
        """Ends a turn that waited for its answer's status.

        Args:
            gone: The client left before the answer: where the turn was well, it is cancelled.
        """
        if self._held:
            self._held = False
            if gone and self._status == sc.STATUS_OK:
                self._status = sc.STATUS_CANCELLED
            self._hand_over(always=False)

    def answered(self, status: int) -> None:
        """Notes the HTTP status of the answer that the turn is part of."""
        self._late[sc.HTTP_STATUS_CODE] = status

    def _hand_over(self, *, always: bool) -> None:
        if not self._runtime.delivery.put((complete, self), always=always):
            complete(self, whole=False)

    # -- events --------------------------------------------------------------------------------

    def emit(self, name: str, attributes: Mapping[str, AnyValue], data: object = None) -> None:
        """Queues an event of this turn, at the time it is now."""
        runtime = self._runtime
        # Random ids need not be made here; ids that follow from the call must
        uid = None if runtime.random_ids else runtime.ids.event_uid()
        job = (self._deliver, name, attributes, data, self.now_ns(), uid)
        runtime.delivery.put(job)

    def emit_late(self, name: str, attributes: Mapping[str, AnyValue], data: object = None) -> None:
        """Emits an event of a turn that is over, at the time it ended; in the delivery thread."""
        self._deliver(name, attributes, data, self._end_ns, None)

    def _deliver(
        self, name: str, given: Mapping[str, AnyValue], data: object, time_ns: int, uid: str | None
    ) -> None:
        early, late = self._early.get, self._late.get
        attributes: dict[str, AnyValue] = {
            k: v for k in EVENT_KEYS if (v := late(k, early(k))) is not None
        }
        attributes.update(given)
        if data is not None:
            attributes[sc.DATA] = self._runtime.redact_json(data)
        for key in (sc.EXCEPTION_MESSAGE, sc.EXCEPTION_STACKTRACE, sc.ENTITY_VALUE):
            text = attributes.get(key)
            if isinstance(text, str):
                attributes[key] = self._runtime.redact(text)
        self._runtime.emit(name, attributes, span=self._span_context, time_ns=time_ns, uid=uid)
