"""What a result says of itself, taken into the turn or the model call that it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opentelemetry.util.types import AnyValue

from otel_chat import semconv as sc
from otel_chat.checks import Types
from otel_chat.extract import Extracted, StreamState, extract
from otel_chat.usage import Usage

if TYPE_CHECKING:
    from otel_chat.lifecycle import Lifecycle
    from otel_chat.runtime import Runtime

TEXT: Final = Types((str, bytes, bytearray, memoryview))
"""The types of nearly every chunk; they say nothing of themselves."""
SILENT: Final = Types((*TEXT, int, float, bool, complex, type(None)))
"""Results that are not looked at."""


def read(state: StreamState | None, result: object) -> Extracted | None:
    """What the chunks said, else what the whole result says."""
    return extract(result) if state is None else state.result()


def described(runtime: Runtime, found: Extracted) -> dict[str, AnyValue]:
    """The attributes of a span that a result speaks of, but for usage and intent."""
    clean = runtime.name
    names = {
        sc.RESPONSE_MODEL: found.model,
        sc.PROVIDER_NAME: found.provider,
        sc.RESPONSE_ID: found.response_id,
    }
    known: dict[str, AnyValue] = {k: clean(v) for k, v in names.items() if v is not None}
    if found.finish_reason is not None:
        known[sc.FINISH_REASONS] = [clean(found.finish_reason)]
    if found.tool_calls:
        known[sc.TOOL_CALLS] = [clean(call.name) for call in found.tool_calls]
    return known


def usage_of(found: Extracted) -> Usage:
    """Its tokens, and the cost where the provider says it."""
    return Usage(
        input_tokens=found.input_tokens,
        output_tokens=found.output_tokens,
        cache_read_tokens=found.cache_read_tokens,
        reasoning_tokens=found.reasoning_tokens,
        cache_write_tokens=found.cache_write_tokens,
        model=found.model,
        provider=found.provider,
        cost=found.cost,
    )


def take(turn: Lifecycle, *, whole: bool) -> None:
    """Takes what a turn's result says, where the handler did not say it itself.

    Args:
        turn: A turn whose end was noted.
        whole: Without it a whole result is let go unread: this runs in the caller's thread.
    """
    state, result = turn._stream, turn._result
    turn._stream = turn._result = None
    found = read(state, result if whole else None)
    if found is None:
        return
    turn._found = found
    for key, value in described(turn._runtime, found).items():
        if turn._get(key) is None:
            turn._late[key] = value
    if found.model is not None and turn._get(sc.REQUEST_MODEL) is None:
        turn._late[sc.REQUEST_MODEL] = turn._late[sc.RESPONSE_MODEL]
    classified = any(source != "annotation" for *_, source in turn._intents)
    if found.fallback is not None and not classified:
        _take_intent(turn, found, report=whole)
    keeps_text = turn._runtime.config.capture_content and not turn._owns_reply
    if keeps_text and turn._output is None and not turn._chunks:
        turn._output = found.text


def _take_intent(turn: Lifecycle, found: Extracted, *, report: bool) -> None:
    name = None if found.intent is None else turn._runtime.name(found.intent)
    missed = name is None or bool(found.fallback)
    turn._intents.append((name, found.confidence, missed, "classifier"))
    attributes: dict[str, AnyValue] = {sc.SOURCE: "classifier", sc.FALLBACK: missed}
    if name is not None:
        attributes[sc.INTENT_NAME] = name
    if found.confidence is not None:
        attributes[sc.CONFIDENCE] = found.confidence
    if report:
        turn.emit_late(sc.EVENT_INTENT, attributes)


def settle_confidence(turn: Lifecycle) -> None:
    """Where neither handler nor classifier said how sure they are, the model's tokens do."""
    if turn._confidence is not None:
        return
    found = turn._found
    confidence = None if found is None else found.confidence
    if confidence is None:
        confidence = turn.children.confidence
    if confidence is not None:
        turn._confidence = turn._late[sc.CONFIDENCE] = confidence
