"""How the events of `EventTracker` become turns, events and metrics."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, Final

from opentelemetry.util.types import AnyValue

from otel_chat import semconv as sc
from otel_chat._common.checks import number
from otel_chat._telemetry import runtime as runtimes
from otel_chat._turns.conversation import nanoseconds
from otel_chat._turns.turn import Turn
from otel_chat.trackers._session import Session
from otel_chat.trackers.events import AnalyticsEvent, EventType

SESSIONS: Final = 10_000
WAITING: Final = 100
_INSIDE: Final = (
    EventType.INTENT_CLASSIFIED,
    EventType.ENTITY_EXTRACTED,
    EventType.API_CALL,
    EventType.ERROR,
)
_FALLBACKS: Final = frozenset({"fallback", "none", "unknown", "default_fallback"})


class _Open:
    """A session: its fields, and the user's message that waits for its answer."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.question: AnalyticsEvent | None = None
        self.inside: list[AnalyticsEvent] = []


class Mapper:
    """Turns events into telemetry, one at a time, in the order in which they are tracked.

    What happens between a user's message and the response to it belongs to the turn that both
    make. Remembers 10,000 sessions, the longest untouched first to go.
    """

    def __init__(self) -> None:
        self._open: OrderedDict[str, _Open] = OrderedDict()

    def take(self, event: AnalyticsEvent) -> None:
        """Reports one event."""
        state = self._state(event)
        if event.event_type is EventType.USER_MESSAGE:
            self._give_up(state)
            state.question = event
        elif event.event_type is EventType.BOT_RESPONSE:
            self._answer(state, event)
        elif event.event_type in _INSIDE and state.question and len(state.inside) < WAITING:
            state.inside.append(event)
        else:
            _report(state.session, event)
        if event.event_type is EventType.CONVERSATION_END:
            self._give_up(state)
            self._open.pop(event.session_id, None)

    def give_up(self) -> None:
        """Reports every user's message that is still without an answer."""
        while self._open:
            _, state = self._open.popitem(last=False)
            self._give_up(state)

    def _state(self, event: AnalyticsEvent) -> _Open:
        state = self._open.pop(event.session_id, None)
        if state is None:
            fields = {
                "channel": event.channel,
                "platform": event.platform,
                "location": event.location,
                "user_id": event.user_id,
            }
            state = _Open(Session(event.session_id, event.agent_id, fields))
            if len(self._open) >= SESSIONS:
                self._give_up(self._open.popitem(last=False)[1])
        self._open[event.session_id] = state
        return state

    def _give_up(self, state: _Open) -> None:
        question, inside = state.question, state.inside
        state.question, state.inside = None, []
        if question is not None:
            _report(state.session, question)
        for event in inside:
            _report(state.session, event)

    def _answer(self, state: _Open, event: AnalyticsEvent) -> None:
        question, inside = state.question, state.inside
        state.question, state.inside = None, []
        end = nanoseconds(event.timestamp)
        took = event.response_time_ms if event.response_time_ms is not None else event.duration_ms
        if question is None and took is None:
            _report(state.session, event)
            return
        start = (
            end - round(number(took, "response_time_ms", 0) * 1e6)
            if took is not None
            else (nanoseconds(question.timestamp) if question is not None else end)
        )
        errors = [e for e in inside if e.event_type is EventType.ERROR]

        def report(turn: Turn) -> None:
            _fill(turn, question, event)
            for part in inside:
                _inside(turn, part)

        error_type = _text(errors[-1].data, "error_type", "type") or sc.OTHER if errors else None
        state.session.turn(start, end, report, error_type=error_type)


def _fill(turn: Turn, question: AnalyticsEvent | None, answer: AnalyticsEvent) -> None:
    if question is not None and (text := _text(question.data, "text", "message")):
        turn.message(text)
    if text := _text(answer.data, "text", "message", "response"):
        turn.reply(text)
    if answer.confidence is not None:
        turn.confidence(answer.confidence)
    if sentiment := answer.sentiment or (question.sentiment if question else None):
        turn.sentiment(sentiment)
    if model := _text(answer.data, "model"):
        turn.model(model, provider=_text(answer.data, "provider"))
    tokens = {k: answer.data.get(k) for k in ("input_tokens", "output_tokens")}
    if any(v is not None for v in tokens.values()):
        turn.usage(**tokens)
    if answer.data.get("escalated_to_human"):
        turn.handoff(_text(answer.data, "reason") or "escalated_to_human")
    if intent := _text(answer.data, "intent"):
        turn.intent(_matched(intent), answer.confidence)


def _inside(turn: Turn, event: AnalyticsEvent) -> None:
    data = event.data
    if event.event_type is EventType.INTENT_CLASSIFIED:
        turn.intent(_matched(_text(data, "intent", "name")), event.confidence)
    elif event.event_type is EventType.ENTITY_EXTRACTED:
        turn.entity(_text(data, "entity", "type") or sc.OTHER, data.get("value"), event.confidence)
    elif event.event_type is EventType.API_CALL:
        turn.api_call(
            _text(data, "api", "name", "url") or sc.OTHER,
            duration=(event.duration_ms or 0) / 1000,
            status=data.get("status", sc.STATUS_OK),
        )


def _report(session: Session, event: AnalyticsEvent) -> None:
    """Reports an event that is no part of a turn."""
    name, attributes, count = _EVENTS[event.event_type](event)
    session.event(
        name,
        {k: v for k, v in attributes.items() if v is not None},
        time_ns=nanoseconds(event.timestamp),
        data=event.data or None,
        count=count,
    )


_Mapped = tuple[str, dict[str, AnyValue], str | None]


def _started(_event: AnalyticsEvent) -> _Mapped:
    return sc.EVENT_CONVERSATION_START, {}, None


def _ended(event: AnalyticsEvent) -> _Mapped:
    outcome = _text(event.data, "outcome")
    if outcome not in sc.OUTCOMES:
        outcome = None
        if event.data.get("escalated_to_human"):
            outcome = "handed_off"
        elif event.data.get("resolved"):
            outcome = "resolved"
    reason = _text(event.data, "reason")
    return sc.EVENT_CONVERSATION_END, {sc.OUTCOME: outcome, sc.REASON: _name(reason)}, None


def _message(event: AnalyticsEvent) -> _Mapped:
    sender = "user" if event.event_type is EventType.USER_MESSAGE else "assistant"
    text = _text(event.data, "text", "message", "response")
    return sc.EVENT_MESSAGE, {sc.MESSAGE_SENDER: sender, sc.MESSAGE_TEXT: text}, None


def _intent(event: AnalyticsEvent) -> _Mapped:
    name = _matched(_text(event.data, "intent", "name"))
    attributes: dict[str, AnyValue] = {
        sc.INTENT_NAME: _name(name),
        sc.CONFIDENCE: event.confidence,
        sc.FALLBACK: name is None,
        sc.SOURCE: "classifier",
    }
    return sc.EVENT_INTENT, attributes, sc.METRIC_INTENTS


def _entity(event: AnalyticsEvent) -> _Mapped:
    value = event.data.get("value")
    attributes: dict[str, AnyValue] = {
        sc.ENTITY_TYPE: _name(_text(event.data, "entity", "type")),
        sc.ENTITY_VALUE: None if value is None else str(value),
        sc.CONFIDENCE: event.confidence,
    }
    return sc.EVENT_ENTITY, attributes, None


def _workflow(event: AnalyticsEvent) -> _Mapped:
    status = event.event_type.value.partition("_")[2]
    attributes: dict[str, AnyValue] = {
        sc.WORKFLOW_NAME: _name(_text(event.data, "workflow", "workflow_name", "name")),
        sc.WORKFLOW_STEP: _name(_text(event.data, "step")),
        sc.WORKFLOW_STATUS: status,
    }
    return f"otel_chat.workflow.{status}", attributes, sc.METRIC_WORKFLOWS


def _api_call(event: AnalyticsEvent) -> _Mapped:
    status = event.data.get("status")
    attributes: dict[str, AnyValue] = {
        sc.API_NAME: _name(_text(event.data, "api", "name", "url")),
        sc.API_DURATION: None if event.duration_ms is None else event.duration_ms / 1000,
        sc.API_STATUS: None if status is None else str(status),
    }
    return sc.EVENT_API_CALL, attributes, None


def _error(event: AnalyticsEvent) -> _Mapped:
    kind = _name(_text(event.data, "error_type", "type")) or sc.OTHER
    attributes: dict[str, AnyValue] = {
        sc.ERROR_TYPE: kind,
        sc.EXCEPTION_TYPE: kind,
        sc.EXCEPTION_MESSAGE: _text(event.data, "message", "error"),
    }
    return sc.EVENT_EXCEPTION, attributes, None


def _feedback(event: AnalyticsEvent) -> _Mapped:
    low, high = event.data.get("scale", (1, 5))
    value = number(event.data.get("rating", event.data.get("score")), "rating", low, high)
    attributes: dict[str, AnyValue] = {
        sc.EVALUATION_NAME: sc.EVALUATION_USER_FEEDBACK,
        sc.EVALUATION_SCORE: (value - low) / (high - low),
        sc.FEEDBACK_VALUE: value,
        sc.FEEDBACK_SCALE_MIN: float(low),
        sc.FEEDBACK_SCALE_MAX: float(high),
        sc.EVALUATION_EXPLANATION: _text(event.data, "comment"),
    }
    return sc.EVENT_EVALUATION, attributes, None


def _custom(event: AnalyticsEvent) -> _Mapped:
    name = _name(_text(event.data, "name", "event")) or EventType.CUSTOM.value
    return sc.EVENT_CUSTOM, {sc.EVENT_CUSTOM_NAME: name}, None


_EVENTS: Final[Mapping[EventType, Callable[[AnalyticsEvent], _Mapped]]] = {
    EventType.CONVERSATION_START: _started,
    EventType.CONVERSATION_END: _ended,
    EventType.USER_MESSAGE: _message,
    EventType.BOT_RESPONSE: _message,
    EventType.INTENT_CLASSIFIED: _intent,
    EventType.ENTITY_EXTRACTED: _entity,
    EventType.WORKFLOW_STARTED: _workflow,
    EventType.WORKFLOW_COMPLETED: _workflow,
    EventType.WORKFLOW_FAILED: _workflow,
    EventType.API_CALL: _api_call,
    EventType.ERROR: _error,
    EventType.USER_FEEDBACK: _feedback,
    EventType.CUSTOM: _custom,
}


def _text(data: Mapping[str, Any], *keys: str) -> str | None:
    """The first of several names that holds a text."""
    for key in keys:
        if isinstance(value := data.get(key), str) and value:
            return value
    return None


def _matched(intent: str | None) -> str | None:
    """None for the names that stand for no intent at all."""
    return None if intent is None or intent.lower() in _FALLBACKS else intent


def _name(value: str | None) -> str | None:
    return None if value is None else runtimes.current().name(value)
