"""The owner's hooks on a turn that is over: sentiment, topics, advice to hand over."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import Any

from otel_chat import semconv as sc
from otel_chat._common.checks import one_of
from otel_chat._telemetry.recent_conversations import Seen
from otel_chat._telemetry.runtime import Runtime, report_error
from otel_chat._telemetry.workers import ESCALATION, SENTIMENT, TOPIC
from otel_chat._turns.finish.events import emit_event
from otel_chat._turns.state import TurnState
from otel_chat.errors import ArgumentTypeError
from otel_chat.hooks import Situation


def run_hooks(state: TurnState, runtime: Runtime) -> None:
    """Runs the hooks on what the user wrote, redacted.

    Each has `hook_seconds`. One that raises or hangs is counted, and the turn goes without it.
    """
    hooks = runtime.hooks
    if not hooks or state.outer is not None or runtime.delivery.ending:
        return
    text = runtime.redact(state.user_message) if state.user_message else ""
    if text and SENTIMENT in hooks and sc.SENTIMENT not in state.attributes:
        _ask(state, runtime, SENTIMENT, text, _note_sentiment)
    if text and TOPIC in hooks:
        _ask(state, runtime, TOPIC, text, _note_topics)
    situation = _situation(state, text)
    if ESCALATION in hooks:
        _ask(state, runtime, ESCALATION, situation, _note_advice)


Note = Callable[[TurnState, Runtime, Any], None]


def _ask(state: TurnState, runtime: Runtime, hook: str, argument: object, note: Note) -> None:
    try:
        answer = runtime.hooks[hook].call(argument, seconds=runtime.config.hook_seconds)
        if answer is not None:
            note(state, runtime, answer)
    except Exception as error:  # noqa: BLE001 - the owner's function may do anything
        report_error(hook, error)


def _note_sentiment(state: TurnState, _: Runtime, answer: object) -> None:
    state.attributes[sc.SENTIMENT] = one_of(answer, "sentiment", sc.SENTIMENTS)


def _note_topics(
    state: TurnState, runtime: Runtime, answer: str | Iterable[object] | Future[Any]
) -> None:
    if isinstance(answer, Future):
        job = (_note_late_topics, state, runtime)
        answer.add_done_callback(lambda known: runtime.delivery.put((*job, known)) and None)
        return
    for topic in (answer,) if isinstance(answer, str) else answer:
        emit_event(state, runtime, sc.EVENT_TOPIC, {sc.TOPIC_NAME: runtime.name(topic)})


def _note_late_topics(state: TurnState, runtime: Runtime, known: Future[Any]) -> None:
    """Topics that were found out aside; in the delivery thread again."""
    try:
        answer = known.result(0)
        if answer is not None:
            _note_topics(state, runtime, answer)
    except Exception as error:  # noqa: BLE001 - the owner's function may do anything
        report_error(TOPIC, error)


def _note_advice(state: TurnState, runtime: Runtime, answer: object) -> None:
    """Advice is an event of its own: no handoff is requested, counted or triggered by it."""
    if not isinstance(answer, str):
        raise ArgumentTypeError("advice", "a text or have one as its reason", answer)
    advised = {
        sc.EVENT_CUSTOM_NAME: sc.HANDOFF_ADVISED,
        sc.HANDOFF_REASON: runtime.name(answer),
    }
    emit_event(state, runtime, sc.EVENT_CUSTOM, advised)


def _situation(state: TurnState, text: str) -> Situation:
    """Where the conversation stands, as far as this process knows it."""
    attributes, seen = state.attributes, state.conversation or Seen(0)
    sentiment = state.text(sc.SENTIMENT)
    seen.fallbacks = seen.fallbacks + 1 if attributes.get(sc.FALLBACK) else 0
    seen.negatives = seen.negatives + 1 if sentiment == "negative" else 0
    seen.handed_off = seen.handed_off or sc.HANDOFF_TRIGGERED in attributes
    return Situation(
        text=text,
        sentiment=sentiment,
        fallbacks=seen.fallbacks,
        negatives=seen.negatives,
        failed=state.status == sc.STATUS_ERROR,
        confidence=state.confidence,
        handed_off=seen.handed_off,
    )
