"""The metrics of a finished turn, recorded by the delivery thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.context import Context
from opentelemetry.util.types import AnyValue

from otel_chat import semconv as sc
from otel_chat.runtime import NO_SPAN

if TYPE_CHECKING:
    from otel_chat.lifecycle import Lifecycle


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
