"""The metrics of a finished turn, recorded by the delivery thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.util.types import AnyValue

from otel_chat import semconv as sc
from otel_chat.runtime import NO_SPAN

if TYPE_CHECKING:
    from otel_chat.lifecycle import Lifecycle


def record_turn_metrics(turn: Lifecycle) -> None:
    """Records what a turn was, with an exemplar only where its trace is kept."""
    instruments = turn._runtime.instruments
    add, record = instruments.add, instruments.record
    context = trace.set_span_in_context(turn._span, NO_SPAN) if turn._keep else NO_SPAN
    known = {**turn._early, **turn._late}
    record(sc.METRIC_TURN_DURATION, turn._duration, known, context)
    if turn._status == sc.STATUS_ERROR:
        add(sc.METRIC_TURN_ERRORS, 1, known, context)
    first = turn._late.get(sc.TIME_TO_FIRST_CHUNK)
    if isinstance(first, float):
        record(sc.METRIC_TIME_TO_FIRST_CHUNK, first, known, context)
    _record_usage(turn, known, context)
    confidence = turn._confidence
    if confidence is not None:
        record(sc.METRIC_TURN_CONFIDENCE, confidence, known, context)
        if confidence < turn._runtime.config.low_confidence:
            add(sc.METRIC_LOW_CONFIDENCE, 1, known, context)
    for name, _, fallback, source in turn._intents:
        if source != "annotation":
            intent = {**known, sc.INTENT_NAME: name, sc.FALLBACK: fallback}
            add(sc.METRIC_INTENTS, 1, intent, context)
    for metric, attributes in turn._counted:
        add(metric, 1, {**known, **attributes}, context)


def _record_usage(turn: Lifecycle, known: dict[str, AnyValue], context: Context) -> None:
    instruments = turn._runtime.instruments
    for kind in sc.TOKEN_TYPES:
        tokens = getattr(turn._tokens, f"{kind}_tokens", None)
        if tokens is not None:
            series = {**known, sc.TOKEN_TYPE: kind}
            instruments.record(sc.METRIC_TURN_TOKENS, tokens, series, context)
    if turn._cost is not None:
        instruments.record(sc.METRIC_TURN_COST, turn._cost, known, context)
    elif turn._late.get(sc.COST_SOURCE) == "unpriced":
        instruments.add(sc.METRIC_TURN_UNPRICED, 1, known, context)
