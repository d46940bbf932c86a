"""Whether all of a turn's trace is to be kept, whatever a sampler behind us thinks of it."""

from __future__ import annotations

from otel_chat import semconv as sc
from otel_chat._telemetry.runtime import Runtime
from otel_chat._turns.state import TurnState


def decide_keep(state: TurnState, runtime: Runtime) -> None:
    """Keeps what failed, was slow, unsure or handed off, and a share of all conversations."""
    if state.outer is not None:
        return
    config, attributes = runtime.config, state.attributes
    conversation_id = state.text(sc.CONVERSATION_ID)
    attributes[sc.KEEP] = state.keep = (
        state.status == sc.STATUS_ERROR
        or state.seconds >= config.slow_seconds
        or sc.HANDOFF_TRIGGERED in attributes
        or (state.confidence is not None and state.confidence < config.low_confidence)
        or runtime.keeps(conversation_id or f"{state.span_context.trace_id:032x}")
    )
    if state.as_previous is not None:
        state.as_previous.kept = state.keep
