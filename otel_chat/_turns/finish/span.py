"""The end of a turn's span, with all that is known of the turn."""

from __future__ import annotations

from opentelemetry.trace import StatusCode

from otel_chat import semconv as sc
from otel_chat._telemetry.runtime import Runtime
from otel_chat._turns.state import TurnState


def end_span(state: TurnState, _: Runtime) -> None:
    """Sets links, attributes and status, and ends the span at the time that was noted."""
    span = state.span
    for link in state.links:
        span.add_link(link)
    if state.previous is not None and state.previous.kept:
        span.add_link(state.previous.context)
    state.attributes[sc.STATUS] = state.status
    if state.mute and state.status == sc.STATUS_OK:
        state.attributes[sc.REPLY] = False
    span.set_attributes(state.attributes)
    if state.status == sc.STATUS_ERROR:
        span.set_status(StatusCode.ERROR)
    span.end(state.end_ns)


def note_receiver(state: TurnState, runtime: Runtime) -> None:
    """Says once where nobody takes spans."""
    if state.outer is None:
        runtime.ended_a_turn()
