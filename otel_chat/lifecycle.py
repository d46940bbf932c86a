"""The life of a turn: one span, started unattached, attached step by step, ended exactly once."""

from __future__ import annotations

import json
import traceback
from collections.abc import Mapping
from contextvars import Token
from typing import Any, Final

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanContext, StatusCode
from opentelemetry.util.types import AnyValue

from otel_chat import semconv as sc
from otel_chat import surroundings
from otel_chat.fields import EVENT_KEYS, identifier, number
from otel_chat.measure import record_turn_metrics
from otel_chat.runtime import NO_SPAN, Runtime, report_error
from otel_chat.table import Seen
from otel_chat.usage import GEN_AI_KEYS, TURN_KEYS, Children, Usage, priced, total

TURN_KEY: Final = otel_context.create_key("otel_chat.turn")

_HANDED_OVER: Final = (
    "_span",
    "_start_ns",
    "_start_mono",
    "_around",
    "_outer",
    "_seen",
    "_late",
    "children",
    "_usage",
    "_cost",
    "_confidence",
    "_intents",
    "_counted",
    "_input",
    "_metadata",
)
"""What a handler's turn keeps of the provisional one that it takes over."""


class Lifecycle:
    """What a turn is from start to finish. `Turn` adds what can be reported of it.

    Args:
        runtime: Whose tracer, clock and delivery to use; None makes one that does nothing.
        agent: The agent's name.
        attributes: Attributes known at the start, clean.
        conversation_id: Given by the caller or its conversation, else None.
    """

    __slots__ = (
        "__weakref__",
        "_agent",
        "_around",
        "_chunks",
        "_confidence",
        "_context",
        "_cost",
        "_counted",
        "_done",
        "_duration",
        "_early",
        "_end_ns",
        "_exception",
        "_input",
        "_intents",
        "_keep",
        "_late",
        "_live",
        "_metadata",
        "_outer",
        "_output",
        "_parts",
        "_provisional",
        "_runtime",
        "_seen",
        "_span",
        "_span_context",
        "_start_mono",
        "_start_ns",
        "_status",
        "_tokens",
        "_usage",
        "children",
        "series",
    )

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
        self._live = self._done = False
        self._outer: Lifecycle | None = None
        self._around: surroundings.Surroundings | None = None
        self._provisional = False
        self.children = Children()
        self._usage: Usage | None = None
        self._parts: list[Usage] = []
        self._tokens = Usage()
        self._cost: float | None = None
        self._confidence: float | None = None
        self._intents: list[tuple[str | None, float | None, bool, str]] = []
        self._counted: list[tuple[str, dict[str, Any]]] = []
        self._input: str | None = None
        self._output: str | None = None
        self._chunks: list[str] | None = None
        self._metadata: dict[str, object] | None = None
        self._exception: dict[str, AnyValue] | None = None
        self._keep = False
        self._seen: Seen | None = None
        self._status = sc.STATUS_OK
        self._duration = 0.0
        self._end_ns = 0
        self._context: Context | None = None
        self.series = ("", "")
        if runtime is not None and conversation_id is not None:
            found = identifier(conversation_id)
            if found is not None:
                attributes[sc.CONVERSATION_ID] = found

    # -- reading -------------------------------------------------------------------------------

    @property
    def trace_id(self) -> str | None:
        """The trace's id as 32 hexadecimal digits; None outside a turn."""
        valid = self._runtime is not None and self._span_context.is_valid
        return f"{self._span_context.trace_id:032x}" if valid else None

    @property
    def span_id(self) -> str | None:
        """The span's id as 16 hexadecimal digits; None outside a turn."""
        valid = self._runtime is not None and self._span_context.is_valid
        return f"{self._span_context.span_id:016x}" if valid else None

    @property
    def conversation_id(self) -> str | None:
        """The conversation's id; None where nobody gave one."""
        found = self._get(sc.CONVERSATION_ID)
        return found if isinstance(found, str) else None

    @property
    def is_live(self) -> bool:
        """Whether the turn has started and is not over."""
        return self._live

    @property
    def captures_content(self) -> bool:
        """Whether text is kept."""
        return self._live and self._runtime.config.capture_content

    def _get(self, key: str) -> AnyValue:
        found = self._late.get(key)
        return found if found is not None else self._early.get(key)

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
            self._late[sc.ERROR_TYPE] = self._runtime.name(error_type or sc.OTHER)
        self.finish(end_ns=end_ns)

    def first_chunk_after(self, seconds: float) -> None:
        """Sets the time to the first chunk, in seconds."""
        self._late[sc.TIME_TO_FIRST_CHUNK] = number(seconds, "time_to_first_chunk", 0)

    # -- start ---------------------------------------------------------------------------------

    def start(
        self, start_ns: int | None = None, *, root: bool = False, provisional: bool = False
    ) -> None:
        """Starts the span without attaching it.

        Args:
            start_ns: When it started, if not now.
            root: Makes a trace of its own, whatever surrounds it.
            provisional: Opened in expectation of a handler's turn, which takes the span over.
        """
        runtime = self._runtime
        self._start_mono = runtime.clock.monotonic_ns()
        self._start_ns = runtime.clock.time_ns() if start_ns is None else start_ns
        self._provisional = provisional
        current = otel_context.get_current()
        opened = current.get(TURN_KEY)
        around = surroundings.current(current)
        if opened is None and around is not None and not provisional:
            opened = around.claim()
        if isinstance(opened, Lifecycle) and opened._provisional and opened._live:
            self._take_over(opened)
        else:
            self._start_span(current, root=root)
        self._span_context: SpanContext = self._span.get_span_context()
        self._context = otel_context.set_value(
            TURN_KEY, self, trace.set_span_in_context(self._span, current)
        )
        runtime.delivery.ensure_started()
        if self._outer is None:
            runtime.active.add(self)
        self._live = True
        if self._around is not None:
            self._around.started(self)  # type: ignore[arg-type] # every Lifecycle made is a Turn

    def _start_span(self, current: Context, *, root: bool) -> None:
        links: list[Link] = []
        parent = NO_SPAN if root else self._parent(current, links)
        attributes = self._early
        attributes[sc.OPERATION_NAME] = sc.OPERATION_INVOKE_AGENT
        attributes[sc.AGENT_NAME] = self._agent
        if self._outer is None:
            attributes[sc.TURN_ROOT] = True
            channel = attributes.get(sc.CHANNEL)
            self.series = (self._agent, channel if isinstance(channel, str) else "")
            self._around = around = surroundings.current(current)
            link = None if around is None else around.link()
            if link is not None and link.is_valid:
                parent = NO_SPAN
                links[:] = [Link(link)]
            self._enter_conversation(links)
        self._span: Span = self._runtime.tracer.start_span(
            f"invoke_agent {self._agent}",
            context=parent,
            attributes=attributes,
            links=links,
            start_time=self._start_ns,
            record_exception=False,
            set_status_on_exception=False,
        )

    def _take_over(self, opened: Lifecycle) -> None:
        """Goes on with the span of a turn that was opened in expectation of this one."""
        opened._live, opened._done = False, True
        self._runtime.active.discard(opened)
        for name in _HANDED_OVER:
            setattr(self, name, getattr(opened, name))
        attributes = {**opened._early, **self._early, sc.AGENT_NAME: self._agent}
        self._early = attributes
        channel = attributes.get(sc.CHANNEL)
        self.series = (self._agent, channel if isinstance(channel, str) else "")
        if self.conversation_id != opened.conversation_id:
            self._enter_conversation([])
        elif self._seen is not None:
            self._seen.series = self.series
        self._span.update_name(f"invoke_agent {self._agent}")
        self._span.set_attributes(attributes)  # type: ignore[arg-type] # None is never stored

    def _parent(self, current: Context, links: list[Link]) -> Context:
        """The context to start in. A parent that is not sampled, or whose turn is over, would
        take this turn along: such a turn is a root, linked.
        """
        outer = current.get(TURN_KEY)
        if isinstance(outer, Lifecycle) and outer._live:
            self._outer = outer
            return current
        surrounding = trace.get_current_span(current).get_span_context()
        if surrounding.is_valid and (outer is not None or not surrounding.trace_flags.sampled):
            links.append(Link(surrounding))
            return NO_SPAN
        return current

    def _enter_conversation(self, links: list[Link]) -> None:
        conversation_id = self._early.get(sc.CONVERSATION_ID)
        if not isinstance(conversation_id, str):
            return
        seen, _ = self._runtime.conversations.touch(conversation_id, self._start_mono)
        seen.series = self.series
        seen.turns += 1
        if seen.previous is not None:
            links.append(Link(seen.previous))
        self._seen = seen

    # -- steps ---------------------------------------------------------------------------------

    def attach(self) -> Token[Context]:
        """Makes the turn the current one, for a step of the handler's."""
        context = self._context
        return otel_context.attach(otel_context.get_current() if context is None else context)

    def detach(self, token: Token[Context]) -> None:
        """Ends a step. Elsewhere than where it was attached there is nothing to take back."""
        if self._context is None or otel_context.get_current() is self._context:
            otel_context.detach(token)

    # -- finish --------------------------------------------------------------------------------

    def finish(
        self, error: BaseException | None = None, *, end_ns: int | None = None, later: bool = False
    ) -> None:
        """Ends the turn; only the first call counts.

        An `Exception` is a failure. What is no `Exception` (cancellation, GeneratorExit,
        KeyboardInterrupt) comes from outside the handler: cancelled.

        Args:
            error: What ended it, if anything did.
            end_ns: When it ended, if not now.
            later: Leaves all work to the delivery thread, as a finaliser must.
        """
        if self._done or not self._live:
            return
        self._done = True
        self._live = False
        runtime = self._runtime
        try:
            self._end_ns = self.now_ns() if end_ns is None else max(end_ns, self._start_ns)
            self._duration = (self._end_ns - self._start_ns) / 1e9
            runtime.active.discard(self)
            if self._seen is not None:
                self._seen.previous = self._span_context
            self._settle(error)
            # A finaliser must take no lock, so what it ends never waits for an answer
            if later or self._around is None or not self._around.hold(self):  # type: ignore[arg-type]
                self._leave(later=later)
        except Exception as problem:  # noqa: BLE001 - never in the handler's way
            report_error("turn", problem)

    def _leave(self, *, later: bool) -> None:
        delivery = self._runtime.delivery
        slow = later or self._must_wait()
        if not slow or not delivery.put((self._end_and_measure,)):
            self._end()
        if not slow and self._outer is None:
            delivery.put((record_turn_metrics, self))

    def answered(self, status: int) -> None:
        """Notes the HTTP status of the answer that the turn is part of."""
        self._late[sc.HTTP_STATUS_CODE] = status

    def first_chunk(self, at_ns: int) -> None:
        """Notes when a streamed reply began, on the turn's own clock."""
        self._late.setdefault(sc.TIME_TO_FIRST_CHUNK, (at_ns - self._start_ns) / 1e9)

    def release(self, *, gone: bool = False) -> None:
        """Ends a turn that was held back until its answer began.

        Args:
            gone: The user left before: nobody got the reply, so it counts as cancelled.
        """
        try:
            if gone and self._status == sc.STATUS_OK:
                self._status = self._late[sc.STATUS] = sc.STATUS_CANCELLED
            self._leave(later=False)
        except Exception as problem:  # noqa: BLE001 - never in the handler's way
            report_error("turn", problem)

    def _settle(self, error: BaseException | None) -> None:
        late = self._late
        if error is not None:
            if isinstance(error, Exception):
                self._status = sc.STATUS_ERROR
                late[sc.ERROR_TYPE] = type(error).__qualname__
                self._note_exception(error)
            else:
                self._status = sc.STATUS_CANCELLED
        late[sc.STATUS] = self._status
        self._settle_intents()
        self._settle_usage()
        if self._outer is not None:
            self._outer.children.take_over(self.children)
            return
        runtime = self._runtime
        config = runtime.config
        self._keep = (
            self._status == sc.STATUS_ERROR
            or self._duration >= config.slow_seconds
            or sc.HANDOFF_TRIGGERED in late
            or (self._confidence is not None and self._confidence < config.low_confidence)
            or runtime.keeps(self.conversation_id or f"{self._span_context.trace_id:032x}")
        )
        late[sc.KEEP] = self._keep

    def _settle_intents(self) -> None:
        """The turn's intent is the surest of the classifier's, else of the annotations."""
        if not self._intents:
            return
        late = self._late
        ours = [intent for intent in self._intents if intent[3] != "annotation"]
        name, confidence, fallback, _ = max(
            ours or self._intents, key=lambda intent: -1.0 if intent[1] is None else intent[1]
        )
        if name is not None:
            late[sc.INTENT_NAME] = name
        late.setdefault(sc.FALLBACK, fallback)
        if confidence is not None and self._confidence is None:
            self._confidence = late[sc.CONFIDENCE] = confidence

    def _settle_usage(self) -> None:
        inside = self.children.outermost()
        if self._usage:
            self._usage.model = self._usage.model or self._model()
            self._usage.provider = self._usage.provider or self._provider()
            self._parts = [self._usage]
        else:
            self._parts = inside
            for part in inside:
                part.model = part.model or self._model()
                part.provider = part.provider or self._provider()
            if inside and self._get(sc.REQUEST_MODEL) is None and inside[0].model:
                self._late[sc.REQUEST_MODEL] = inside[0].model
        self._tokens = self._parts[0] if len(self._parts) == 1 else total(self._parts)
        if not self._parts:
            return
        own_only = self._usage is not None and not inside
        if self._outer is None:
            self._late.update(self._tokens.attributes(TURN_KEYS))
        if own_only and self._usage is not None:
            self._late.update(self._usage.attributes(GEN_AI_KEYS))
        if self._outer is not None and own_only and self._usage is not None:
            self._outer.children.started(self._span_context.span_id, None)
            self._outer.children.used(self._span_context.span_id, self._usage)

    def _model(self) -> str | None:
        found = self._get(sc.RESPONSE_MODEL) or self._get(sc.REQUEST_MODEL)
        return found if isinstance(found, str) else None

    def _provider(self) -> str | None:
        found = self._get(sc.PROVIDER_NAME)
        return found if isinstance(found, str) else None

    def _must_wait(self) -> bool:
        """Whether the end needs what may be slow: redaction, or a price not looked up yet."""
        if self._metadata is not None or self._input is not None:
            return True
        if self._output is not None or self._chunks is not None:
            return True
        if self._cost is not None:
            return False
        knows = self._runtime.prices.knows
        return any(p.model is not None and not knows(p.model, p.provider) for p in self._parts)

    def _end_and_measure(self) -> None:
        self._end()
        if self._outer is None:
            record_turn_metrics(self)

    def _end(self) -> None:
        """Sets all attributes at once and ends the span."""
        late = self._late
        try:
            if self._outer is None:
                self._settle_cost()
            if self._metadata is not None:
                late[sc.METADATA] = self._runtime.redact_json(self._metadata)
            if self._runtime.config.capture_content:
                self._settle_content()
        finally:
            self._span.set_attributes(late)  # type: ignore[arg-type] # None is never stored
            if self._status == sc.STATUS_ERROR:
                self._span.set_status(StatusCode.ERROR)
            self._span.end(self._end_ns)

    def _settle_cost(self) -> None:
        late = self._late
        if self._cost is not None:
            late[sc.COST_AMOUNT] = self._cost
            late[sc.COST_SOURCE] = "provider"
        elif self._parts:
            prices = self._runtime.prices
            for part in self._parts:
                if part.model is not None:
                    prices.load(part.model, part.provider)
            self._cost, late[sc.COST_SOURCE] = priced(self._parts, prices, self._start_ns)
            if self._cost is not None:
                late[sc.COST_AMOUNT] = self._cost
        elif self._model() is not None and not self._get(sc.CACHED):
            late[sc.COST_SOURCE] = "unpriced"

    def _settle_content(self) -> None:
        redact = self._runtime.redact
        if self._input is not None:
            self._late[sc.INPUT_MESSAGES] = _messages("user", redact(self._input))
        output = "".join(self._chunks) if self._output is None and self._chunks else self._output
        if output is not None:
            self._late[sc.OUTPUT_MESSAGES] = _messages("assistant", redact(output))

    # -- events --------------------------------------------------------------------------------

    def emit(self, name: str, attributes: Mapping[str, AnyValue], data: object = None) -> None:
        """Queues an event of this turn, at the time it is now."""
        runtime = self._runtime
        uid = runtime.ids.event_uid()
        job = (self._deliver, name, attributes, data, self.now_ns(), uid)
        runtime.delivery.put(job)

    def _deliver(
        self, name: str, given: Mapping[str, AnyValue], data: object, time_ns: int, uid: str
    ) -> None:
        attributes = {k: v for k in EVENT_KEYS if (v := self._get(k)) is not None}
        attributes.update(given)
        if data is not None:
            attributes[sc.DATA] = self._runtime.redact_json(data)
        for key in (sc.EXCEPTION_MESSAGE, sc.EXCEPTION_STACKTRACE, sc.ENTITY_VALUE):
            text = attributes.get(key)
            if isinstance(text, str):
                attributes[key] = self._runtime.redact(text)
        self._runtime.emit(name, attributes, span=self._span_context, time_ns=time_ns, uid=uid)

    def _note_exception(self, error: Exception) -> None:
        attributes: dict[str, AnyValue] = {sc.EXCEPTION_TYPE: type(error).__qualname__}
        attributes[sc.ERROR_TYPE] = type(error).__qualname__
        if self._runtime.config.capture_content:
            attributes[sc.EXCEPTION_MESSAGE] = str(error)
            attributes[sc.EXCEPTION_STACKTRACE] = "".join(traceback.format_exception(error))
        self.emit(sc.EVENT_EXCEPTION, attributes)


def _messages(role: str, text: str) -> str:
    parts = [{"type": "text", "content": text}]
    return json.dumps([{"role": role, "parts": parts}], ensure_ascii=False, separators=(",", ":"))
