"""The owner's hooks on a turn that is over: sentiment, topics, advice to hand over."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from otel_chat import semconv as sc
from otel_chat._common.checks import one_of
from otel_chat._telemetry.recent_conversations import Seen
from otel_chat._telemetry.runtime import report_error
from otel_chat._telemetry.workers import ESCALATION, SENTIMENT, TOPIC
from otel_chat.errors import ArgumentTypeError
from otel_chat.hooks import Situation

if TYPE_CHECKING:
    from otel_chat._turns.lifecycle import Lifecycle


def run_hooks(turn: Lifecycle) -> None:
    """Runs the hooks on what the user wrote, redacted; in the delivery thread.

    Each has `hook_seconds`. One that raises or hangs is counted, and the turn goes without it.
    """
    workers = turn._runtime.hooks
    text = turn._runtime.redact(turn._input) if turn._input else ""
    if text and SENTIMENT in workers and sc.SENTIMENT not in turn._late:
        _ask(turn, SENTIMENT, text, _note_sentiment)
    if text and TOPIC in workers:
        _ask(turn, TOPIC, text, _note_topics)
    situation = _situation(turn, text)
    if ESCALATION in workers:
        _ask(turn, ESCALATION, situation, _note_advice)


def _ask(
    turn: Lifecycle, hook: str, argument: object, note: Callable[[Lifecycle, Any], None]
) -> None:
    runtime = turn._runtime
    try:
        answer = runtime.hooks[hook].call(argument, seconds=runtime.config.hook_seconds)
        if answer is not None:
            note(turn, answer)
    except Exception as error:  # noqa: BLE001 - the owner's function may do anything
        report_error(hook, error)


def _note_sentiment(turn: Lifecycle, answer: object) -> None:
    turn._late[sc.SENTIMENT] = one_of(answer, "sentiment", sc.SENTIMENTS)


def _note_topics(turn: Lifecycle, answer: str | Iterable[object] | Future[Any]) -> None:
    if isinstance(answer, Future):
        put = turn._runtime.delivery.put
        answer.add_done_callback(lambda known: put((_note_late_topics, turn, known)) and None)
        return
    for topic in (answer,) if isinstance(answer, str) else answer:
        turn.emit_late(sc.EVENT_TOPIC, {sc.TOPIC_NAME: turn._runtime.name(topic)})


def _note_late_topics(turn: Lifecycle, known: Future[Any]) -> None:
    """Topics that were found out aside; in the delivery thread again."""
    try:
        answer = known.result(0)
        if answer is not None:
            _note_topics(turn, answer)
    except Exception as error:  # noqa: BLE001 - the owner's function may do anything
        report_error(TOPIC, error)


def _note_advice(turn: Lifecycle, answer: object) -> None:
    """Advice is an event of its own: no handoff is requested, counted or triggered by it."""
    if not isinstance(answer, str):
        raise ArgumentTypeError("advice", "a text or have one as its reason", answer)
    turn.emit_late(
        sc.EVENT_CUSTOM,
        {
            sc.EVENT_CUSTOM_NAME: sc.HANDOFF_ADVISED,
            sc.HANDOFF_REASON: turn._runtime.name(answer),
        },
    )


def _situation(turn: Lifecycle, text: str) -> Situation:
    """Where the conversation stands, as far as this process knows it."""
    late, seen = turn._late, turn._seen or Seen(0)
    sentiment = late.get(sc.SENTIMENT)
    seen.fallbacks = seen.fallbacks + 1 if late.get(sc.FALLBACK) else 0
    seen.negatives = seen.negatives + 1 if sentiment == "negative" else 0
    seen.handed_off = seen.handed_off or sc.HANDOFF_TRIGGERED in late
    return Situation(
        text=text,
        sentiment=sentiment if isinstance(sentiment, str) else None,
        fallbacks=seen.fallbacks,
        negatives=seen.negatives,
        failed=turn._status == sc.STATUS_ERROR,
        confidence=turn._confidence,
        handed_off=seen.handed_off,
    )
