"""The events of a turn, emitted with what the turn knows of itself by then."""

from __future__ import annotations

from collections.abc import Mapping

from opentelemetry.util.types import AnyValue

from otel_chat._telemetry.runtime import Runtime
from otel_chat._turns.fields import EVENT_KEYS
from otel_chat._turns.state import TurnState


def emit_event(
    state: TurnState,
    runtime: Runtime,
    name: str,
    given: Mapping[str, AnyValue],
    data: object = None,
    time_ns: int | None = None,
    uid: str | None = None,
) -> None:
    """Emits an event of a turn.

    Args:
        state: The turn.
        runtime: Emits it.
        name: One of the names in `semconv`.
        given: What is known of it.
        data: Anything JSON can hold; redacted.
        time_ns: When; the turn's end without.
        uid: Its `log.record.uid`; a random one without.
    """
    known = state.attributes.get
    attributes: dict[str, AnyValue] = {k: v for k in EVENT_KEYS if (v := known(k)) is not None}
    attributes.update(given)
    when = state.end_ns if time_ns is None else time_ns
    runtime.emit(name, attributes, data, state.span_context, when, uid)
