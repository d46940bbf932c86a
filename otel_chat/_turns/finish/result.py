"""What a turn's result says, where the handler did not say it itself."""

from __future__ import annotations

from otel_chat import semconv as sc
from otel_chat._telemetry.runtime import Runtime
from otel_chat._turns.finish.events import emit_event
from otel_chat._turns.finish.intents import event_attributes
from otel_chat._turns.model_results import described, read, reply_of
from otel_chat._turns.state import ANNOTATION, CLASSIFIER, Intent, TurnState
from otel_chat.extract import Extracted


def read_result(state: TurnState, runtime: Runtime) -> None:
    """Reads result and chunks: models, finish reason, tool calls, an intent, the reply."""
    if state.result is state.chunks is state.returned is None:
        return
    result, returned = state.result, state.returned
    found = read(state.chunks, result)
    if state.reply is None and runtime.config.capture_content:
        own = returned is not result or found is None
        state.reply = _reply(state, found, returned if own else None)
    _take(state, runtime, found)
    if found is not None and found.fallback is not None and not _is_classified(state):
        intent = _note_intent(state, runtime, found)
        emit_event(state, runtime, sc.EVENT_INTENT, event_attributes(intent))


def take_known_chunks(state: TurnState, runtime: Runtime) -> None:
    """The same of what has been read of the chunks; a whole result is let go unread."""
    found = read(state.chunks, None, whole=False)
    _take(state, runtime, found)
    if found is not None and found.fallback is not None and not _is_classified(state):
        _note_intent(state, runtime, found)


def _take(state: TurnState, runtime: Runtime, found: Extracted | None) -> None:
    state.chunks = state.result = state.returned = None
    if found is None:
        return
    state.extracted = found
    attributes = state.attributes
    state.provider_extracted = sc.PROVIDER_NAME not in attributes
    for key, value in described(runtime, found).items():
        attributes.setdefault(key, value)
    if found.model is not None:
        attributes.setdefault(sc.REQUEST_MODEL, attributes[sc.RESPONSE_MODEL])


def _reply(state: TurnState, found: Extracted | None, returned: object) -> str | None:
    """The reply as the user reads it: what `reply=` said of the chunks, else what is read."""
    if state.reply_reader is not None:
        return state.reply_pieces.text or None if state.reply_pieces is not None else None
    text = reply_of(returned)
    return found.text if text is None and found is not None else text


def _is_classified(state: TurnState) -> bool:
    return any(intent.source != ANNOTATION for intent in state.intents)


def _note_intent(state: TurnState, runtime: Runtime, found: Extracted) -> Intent:
    name = None if found.intent is None else runtime.name(found.intent)
    missed = name is None or bool(found.fallback)
    intent = Intent(name, found.confidence, missed, CLASSIFIER)
    state.intents.append(intent)
    return intent
