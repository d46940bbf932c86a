"""The metrics of a finished turn, recorded by the delivery thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.context import Context
from opentelemetry.trace import SpanContext
from opentelemetry.util.types import AnyValue

from otel_chat import semconv as sc
from otel_chat._telemetry.runtime import NO_SPAN, Runtime

if TYPE_CHECKING:
    from otel_chat._turns.lifecycle import Lifecycle


def exemplar_context(
    runtime: Runtime, span: SpanContext | None, conversation_id: object = None
) -> Context:
    """The context to record something in that is known before its turn is over, or after it.

    It holds the span where the trace is among the share that is always kept; whether the turn is
    kept for what it was is not known here.

    Args:
        runtime: Whose rate it is.
        span: The ids of the span it belongs to, if any.
        conversation_id: The conversation's; the trace stands for it where nobody gave one.
    """
    if span is None or not span.is_valid:
        return NO_SPAN
    known = conversation_id if isinstance(conversation_id, str) else f"{span.trace_id:032x}"
    return runtime.context_of(span) if runtime.keeps(known) else NO_SPAN


def step_context(runtime: Runtime, span: SpanContext, turn: Lifecycle) -> Context:
    """The context to record a step of a turn in; see `exemplar_context`."""
    if not turn.span_context.is_valid:
        return NO_SPAN
    while turn._outer is not None:
        turn = turn._outer
    return exemplar_context(runtime, span, turn.conversation_id)


def record_turn_metrics(turn: Lifecycle) -> None:
    """Records what a turn was, with an exemplar only where its trace is kept."""
    instruments = turn._runtime.instruments
    tally, record = instruments.tally, instruments.record
    exemplar = turn._runtime.context_of(turn._span_context) if turn._keep else None
    context = NO_SPAN if exemplar is None else exemplar
    known = {**turn._early, **turn._late}
    record(sc.METRIC_TURN_DURATION, turn._duration, known, context)
    if turn._status == sc.STATUS_ERROR:
        tally(sc.METRIC_TURN_ERRORS, known, exemplar)
    first = turn._late.get(sc.TIME_TO_FIRST_CHUNK)
    if isinstance(first, float):
        record(sc.METRIC_TIME_TO_FIRST_CHUNK, first, known, context)
    confidence = turn._confidence
    if confidence is not None:
        record(sc.METRIC_TURN_CONFIDENCE, confidence, known, context)
        if confidence < turn._runtime.config.low_confidence:
            tally(sc.METRIC_LOW_CONFIDENCE, known, exemplar)
    for metric, attributes in turn._counted:
        tally(metric, {**known, **attributes}, exemplar)
    if turn._cost is not None:
        record(sc.METRIC_TURN_COST, turn._cost, known, context)
    elif known.get(sc.COST_SOURCE) == "unpriced":
        tally(sc.METRIC_TURN_UNPRICED, known, exemplar)
    _record_tokens(turn, known, context)
    _count_intents(turn, known, exemplar)


def _count_intents(turn: Lifecycle, known: dict[str, AnyValue], exemplar: Context | None) -> None:
    for name, _, fallback, source in turn._intents:
        if source != "annotation":
            known[sc.INTENT_NAME] = name
            known[sc.FALLBACK] = fallback
            turn._runtime.instruments.tally(sc.METRIC_INTENTS, known, exemplar)


def _record_tokens(turn: Lifecycle, known: dict[str, AnyValue], context: Context) -> None:
    record = turn._runtime.instruments.record
    for kind in sc.TOKEN_TYPES:
        tokens = getattr(turn._tokens, f"{kind}_tokens", None)
        if tokens is not None:
            known[sc.TOKEN_TYPE] = kind
            record(sc.METRIC_TURN_TOKENS, tokens, known, context)
