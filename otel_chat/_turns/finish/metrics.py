"""The metrics of a finished turn."""

from __future__ import annotations

from opentelemetry.context import Context
from opentelemetry.util.types import AnyValue

from otel_chat import semconv as sc
from otel_chat._telemetry.instruments import Instruments
from otel_chat._telemetry.runtime import NO_SPAN, Runtime
from otel_chat._turns.state import ANNOTATION, TurnState


def record_metrics(state: TurnState, runtime: Runtime) -> None:
    """Records what a turn was, with an exemplar only where its trace is kept."""
    instruments = runtime.instruments
    tally, record = instruments.tally, instruments.record
    exemplar = runtime.context_of(state.span_context) if state.keep else None
    context = NO_SPAN if exemplar is None else exemplar
    _record_invocation(state, instruments, context)
    if state.outer is not None:
        return
    known = dict(state.attributes)
    record(sc.METRIC_TURN_DURATION, state.seconds, known, context)
    if state.status == sc.STATUS_ERROR:
        tally(sc.METRIC_TURN_ERRORS, known, exemplar)
    first = known.get(sc.TIME_TO_FIRST_CHUNK)
    if isinstance(first, float):
        record(sc.METRIC_TIME_TO_FIRST_CHUNK, first, known, context)
    if state.confidence is not None:
        record(sc.METRIC_TURN_CONFIDENCE, state.confidence, known, context)
        if state.confidence < runtime.config.low_confidence:
            tally(sc.METRIC_LOW_CONFIDENCE, known, exemplar)
    for metric, attributes in state.counts:
        tally(metric, {**known, **attributes}, exemplar)
    if state.cost is not None:
        record(sc.METRIC_TURN_COST, state.cost, known, context)
    elif known.get(sc.COST_SOURCE) == "unpriced":
        tally(sc.METRIC_TURN_UNPRICED, known, exemplar)
    _record_tokens(state, instruments, known, context)
    _count_intents(state, instruments, known, exemplar)


def _record_invocation(state: TurnState, instruments: Instruments, context: Context) -> None:
    """What the conventions measure of every agent, nested ones too."""
    record, known, children = instruments.record, state.attributes, state.children
    record(sc.METRIC_INVOKE_AGENT_DURATION, state.seconds, known, context)
    # Of calls that nobody makes spans of none are seen: to tell 0 would be a guess
    if calls := children.own("chat"):
        record(sc.METRIC_INVOKE_AGENT_INFERENCE_CALLS, calls, known, context)
    if calls := children.own("tool"):
        record(sc.METRIC_INVOKE_AGENT_TOOL_CALLS, calls, known, context)


def _count_intents(
    state: TurnState,
    instruments: Instruments,
    known: dict[str, AnyValue],
    exemplar: Context | None,
) -> None:
    for intent in state.intents:
        if intent.source != ANNOTATION:
            known[sc.INTENT_NAME] = intent.name
            known[sc.FALLBACK] = intent.fallback
            instruments.tally(sc.METRIC_INTENTS, known, exemplar)


def _record_tokens(
    state: TurnState, instruments: Instruments, known: dict[str, AnyValue], context: Context
) -> None:
    for kind in sc.TOKEN_TYPES:
        tokens = getattr(state.usage, f"{kind}_tokens", None)
        if tokens is not None:
            known[sc.TOKEN_TYPE] = kind
            instruments.record(sc.METRIC_TURN_TOKENS, tokens, known, context)
