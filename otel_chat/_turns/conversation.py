"""A conversation as a block, and what is reported outside a turn."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final, Self, Unpack

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import SpanContext, TraceFlags
from opentelemetry.util.types import AnyValue

from otel_chat import semconv as sc
from otel_chat._common import checks
from otel_chat._common.checks import is_a, number, one_of
from otel_chat._telemetry.runtime import NO_SPAN, Runtime, current, report_error, reporting
from otel_chat._turns.fields import EVENT_KEYS, ConversationFields, check_names, span_attributes
from otel_chat._turns.lifecycle import conversation_id_of
from otel_chat._turns.model_results import text_from
from otel_chat._turns.turn import CONVERSATION_KEY, agent_name, current_turn
from otel_chat.errors import ArgumentTypeError, ArgumentValueError

Time = datetime | float | int


class Conversation:
    """What `conversation(...)` yields: turns inside belong to it.

    Args:
        conversation_id: As the application knows it.
        agent: The agent's name.
        fields: What its turns take over.
        start: Says that it starts here; None leaves it to whether this process has seen it.
    """

    def __init__(
        self,
        conversation_id: object,
        agent: str | None,
        fields: Mapping[str, object],
        *,
        start: bool | None = None,
    ) -> None:
        self._id = conversation_id
        self._fields = fields
        self._start = start
        self.agent = agent
        self.attributes: dict[str, AnyValue] = {}
        self._runtime: Runtime | None = None
        self._token: Any = None
        self._began_ns = 0
        self._turns_before = 0
        self._owned = False
        self._ended = False

    def __enter__(self) -> Self:
        self.begin()
        self._token = otel_context.attach(otel_context.set_value(CONVERSATION_KEY, self))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        otel_context.detach(self._token)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, trace)

    def begin(self) -> None:
        """Opens the conversation without making it the current one."""
        try:
            self._open(current())
        except Exception as error:  # noqa: BLE001 - never in the caller's way
            report_error("conversation", error)

    def _open(self, runtime: Runtime) -> None:
        self._runtime = runtime
        config = runtime.config
        attributes = span_attributes(runtime, self._fields)
        self.agent = agent_name(self.agent) or config.agent
        if self.agent:
            attributes[sc.AGENT_NAME] = self.agent
        if config.channel:
            attributes.setdefault(sc.CHANNEL, config.channel)
        if config.tenant:
            attributes.setdefault(sc.TENANT, config.tenant)
        found = conversation_id_of(self._id)
        self.attributes = attributes
        self._began_ns = runtime.clock.monotonic_ns()
        if found is None:
            return
        attributes[sc.CONVERSATION_ID] = found
        seen, new = runtime.conversations.touch(found, self._began_ns)
        seen.series = (self.agent or "", str(attributes.get(sc.CHANNEL) or ""))
        self._turns_before = seen.turns
        self._owned = new if self._start is None else self._start
        if self._owned:
            queue_event(runtime, sc.EVENT_CONVERSATION_START, attributes, {})

    @reporting("conversation")
    def end(self, outcome: str | None = None, reason: str | None = None) -> None:
        """Closes the conversation; only the first call counts.

        Args:
            outcome: resolved, handed_off, abandoned, failed or open; None leaves it to the rules of
                the server.
            reason: Why, as one of few words.
        """
        runtime = self._runtime
        if self._ended or runtime is None:
            return
        try:
            given: dict[str, AnyValue] = {}
            if outcome is not None:
                given[sc.OUTCOME] = one_of(outcome, "outcome", sc.OUTCOMES)
            if reason is not None:
                given[sc.REASON] = runtime.name(reason, "reason")
            self._ended = True
            queue_event(runtime, sc.EVENT_CONVERSATION_END, self.attributes, given)
            series = {**self.attributes, **given}
            add, record = runtime.instruments.add, runtime.instruments.record
            put = runtime.delivery.put
            found = self.attributes.get(sc.CONVERSATION_ID)
            if not isinstance(found, str):
                return
            now = runtime.clock.monotonic_ns()
            turns = runtime.conversations.touch(found, now)[0].turns - self._turns_before
            runtime.conversations.end(found)
            put((add, sc.METRIC_CONVERSATION_ENDED, 1, series, NO_SPAN))
            if self._owned:
                seconds = (now - self._began_ns) / 1e9
                put((record, sc.METRIC_CONVERSATION_DURATION, seconds, series, NO_SPAN))
                put((record, sc.METRIC_CONVERSATION_TURNS, turns, series, NO_SPAN))
        except Exception as error:  # noqa: BLE001 - never in the caller's way
            report_error("conversation", error)

    @reporting("message")
    def message(self, text: str | None = None, *, sender: str, time: Time | None = None) -> None:
        """Reports a message that is no part of a turn; see `otel_chat.message`."""
        _message(self.attributes, text, sender, time)

    @reporting("feedback")
    def feedback(
        self,
        value: float,
        *,
        scale: tuple[float, float] = (1, 5),
        name: str = sc.EVALUATION_USER_FEEDBACK,
        comment: str | None = None,
    ) -> None:
        """Reports feedback on the conversation; see `otel_chat.feedback`."""
        _feedback(self.attributes, value, scale, name, comment)


def conversation(
    conversation_id: object,
    *,
    agent: str | None = None,
    start: bool | None = None,
    **fields: Unpack[ConversationFields],
) -> Conversation:
    """A conversation as a block, sync and async: turns inside take its fields over.

    Over HTTP the same conversation is opened once a request: its start is reported where `start`
    says so, else where this process sees it for the first time. Its end is reported by `end()`
    alone; leaving the block ends nothing.

    Args:
        conversation_id: As the application knows it; never made up.
        agent: The agent's name.
        start: Whether it starts here; None lets the process' own table decide.
        **fields: channel, user_type, user_id, platform and so on, see `ConversationFields`.

    Raises:
        ConfigurationError: there is no such field.

    Example:
        >>> with conversation("c-1", agent="support", channel="web") as talk:
        ...     talk.message("Good evening", sender="assistant")
        ...     talk.end("resolved")
    """
    check_names(fields, "conversation()")
    return Conversation(conversation_id, agent, fields, start=start)


@reporting("message")
def message(
    text: str | None = None,
    *,
    sender: str,
    conversation_id: object = None,
    agent: str | None = None,
    time: Time | None = None,
) -> None:
    """Reports a message that is no part of a turn: a greeting, a notice, a human agent's words.

    Args:
        text: Kept only with content capture on, redacted.
        sender: user, assistant, system or human.
        conversation_id: Where no conversation or turn surrounds the call.
        agent: The same for the agent's name.
        time: When, if not now: aware datetime, seconds or nanoseconds (int) since 1970.

    Example:
        >>> message("An agent will be with you", sender="system", conversation_id="c-1")
    """
    _message(context_attributes(conversation_id, agent), text, sender, time)


@reporting("feedback")
def feedback(  # noqa: PLR0913 - what there is to say of feedback
    value: float,
    *,
    scale: tuple[float, float] = (1, 5),
    name: str = sc.EVALUATION_USER_FEEDBACK,
    conversation_id: object = None,
    comment: str | None = None,
    agent: str | None = None,
    time: Time | None = None,
    trace_id: str | None = None,
    span_id: str | None = None,
) -> None:
    """Reports a user's feedback, or any named evaluation score.

    Args:
        value: On the scale given.
        scale: Its lowest and highest value; the score is (value - lowest) / (highest - lowest).
        name: `user_feedback`, or what was evaluated.
        conversation_id: Where no conversation or turn surrounds the call.
        comment: The user's words, kept only with content capture on, redacted.
        agent: The agent's name.
        time: When, if not now.
        trace_id: The trace of the turn it is about, 32 hexadecimal digits.
        span_id: Its span, 16 hexadecimal digits.

    Example:
        >>> feedback(4, conversation_id="c-1")
    """
    attributes, span = context_attributes(conversation_id, agent), _span(trace_id, span_id)
    _feedback(attributes, value, scale, name, comment, time=time, span=span)


def context_attributes(conversation_id: object, agent: str | None) -> dict[str, AnyValue]:
    """What is known here of turn and conversation, and what the caller says."""
    attributes: dict[str, AnyValue] = {}
    around = otel_context.get_current().get(CONVERSATION_KEY)
    if isinstance(around, Conversation):
        attributes.update(around.attributes)
    of_turn = current_turn().state.attributes
    attributes.update({k: v for k in EVENT_KEYS if (v := of_turn.get(k)) is not None})
    found, name = conversation_id_of(conversation_id), agent_name(agent)
    if found is not None:
        attributes[sc.CONVERSATION_ID] = found
    if name:
        attributes[sc.AGENT_NAME] = name
    return attributes


def _message(
    attributes: Mapping[str, AnyValue], text: str | None, sender: str, time: Time | None
) -> None:
    try:
        runtime = current()
        given: dict[str, AnyValue] = {sc.MESSAGE_SENDER: one_of(sender, "sender", sc.SENDERS)}
        if text is not None and runtime.config.capture_content:
            told = text_from(text, "user" if sender == "user" else "assistant")
            if told is not None:
                given[sc.MESSAGE_TEXT] = told
        queue_event(runtime, sc.EVENT_MESSAGE, attributes, given, time=time)
    except Exception as error:  # noqa: BLE001 - never in the caller's way
        report_error("message", error)


def _feedback(
    attributes: Mapping[str, AnyValue],
    value: float,
    scale: tuple[float, float],
    name: str,
    comment: str | None,
    *,
    time: Time | None = None,
    span: SpanContext | None = None,
) -> None:
    try:
        runtime = current()
        low, high = _scale(scale)
        plain = number(value, "value", low, high)
        score = (plain - low) / (high - low)
        given: dict[str, AnyValue] = {
            sc.EVALUATION_NAME: runtime.name(name),
            sc.EVALUATION_SCORE: score,
            sc.FEEDBACK_VALUE: plain,
            sc.FEEDBACK_SCALE_MIN: low,
            sc.FEEDBACK_SCALE_MAX: high,
        }
        if comment is not None and runtime.config.capture_content:
            given[sc.EVALUATION_EXPLANATION] = checks.text(comment, "comment")
        queue_event(runtime, sc.EVENT_EVALUATION, attributes, given, time=time, span=span)
        series = {**attributes, **given}
        context = runtime.exemplar_context(span, attributes.get(sc.CONVERSATION_ID))
        record = runtime.instruments.record
        runtime.delivery.put((record, sc.METRIC_FEEDBACK_SCORE, score, series, context))
    except Exception as error:  # noqa: BLE001 - never in the caller's way
        report_error("feedback", error)


def _scale(scale: tuple[float, float]) -> tuple[float, float]:
    if not is_a(scale, tuple, list) or len(scale) != 2:  # noqa: PLR2004 - two ends
        raise ArgumentTypeError("scale", _SCALE, scale)
    low, high = (number(end, "scale") for end in scale)
    if low >= high:
        raise ArgumentValueError("scale", _SCALE, scale)
    return low, high


_SCALE: Final = "a pair of numbers, the lowest and the highest value"


def queue_event(
    runtime: Runtime,
    name: str,
    base: Mapping[str, AnyValue],
    given: Mapping[str, AnyValue],
    *,
    time: Time | None = None,
    span: SpanContext | None = None,
) -> None:
    """Queues an event, in the context of the current span unless another is given."""
    here: Context = otel_context.get_current()
    where = trace.get_current_span(here).get_span_context() if span is None else span
    attributes = {k: base[k] for k in EVENT_KEYS if base.get(k) is not None}
    attributes.update(given)
    when = runtime.clock.time_ns() if time is None else nanoseconds(time)
    uid = runtime.ids.event_uid()
    runtime.delivery.put((runtime.emit, name, attributes, None, where, when, uid))


def _span(trace_id: str | None, span_id: str | None) -> SpanContext | None:
    if trace_id is None or span_id is None:
        return None
    trace_number, span_number = _hex(trace_id, "trace_id", 32), _hex(span_id, "span_id", 16)
    return SpanContext(trace_number, span_number, is_remote=True, trace_flags=TraceFlags(1))


def _hex(value: object, name: str, digits: int) -> int:
    allowed = f"{digits} hexadecimal digits"
    if not is_a(value, str):
        raise ArgumentTypeError(name, allowed, value)
    try:
        return int(checks.text(value, name), 16)
    except ValueError:
        raise ArgumentValueError(name, allowed, value) from None


def nanoseconds(time: Time, name: str = "time") -> int:
    """Nanoseconds since 1970 of a datetime (naive: UTC), of seconds (float), of themselves (int).

    Raises:
        TypeError: it is none of these.

    Example:
        >>> nanoseconds(1.5), nanoseconds(datetime(1970, 1, 1, 0, 0, 2, tzinfo=UTC))
        (1500000000, 2000000000)
    """
    if is_a(time, bool) or not is_a(time, datetime, float, int):
        raise ArgumentTypeError(name, "a datetime, seconds (float) or nanoseconds (int)", time)
    if isinstance(time, datetime):
        aware = time if time.tzinfo else time.replace(tzinfo=UTC)
        delta = aware - datetime(1970, 1, 1, tzinfo=UTC)
        return (delta.days * 86_400 + delta.seconds) * 10**9 + delta.microseconds * 1000
    return int.__index__(time) if isinstance(time, int) else round(time * 1e9)
