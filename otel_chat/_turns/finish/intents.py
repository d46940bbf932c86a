"""The intent of a turn that reported several, and how sure the turn is."""

from __future__ import annotations

from opentelemetry.util.types import AnyValue

from otel_chat import semconv as sc
from otel_chat._telemetry.runtime import Runtime
from otel_chat._turns.state import ANNOTATION, Intent, TurnState


def choose_intent(state: TurnState, _: Runtime) -> None:
    """The turn's intent is the surest of the classifier's, else of the annotations."""
    if not state.intents:
        return
    ours = [intent for intent in state.intents if intent.source != ANNOTATION]
    best = max(ours or state.intents, key=_sureness)
    if best.name is not None:
        state.attributes[sc.INTENT_NAME] = best.name
    state.attributes[sc.FALLBACK] = best.fallback
    if state.confidence is None:
        state.confidence = best.confidence


def choose_confidence(state: TurnState, _: Runtime) -> None:
    """Where neither handler nor classifier said how sure they are, the model's tokens do."""
    if state.confidence is None and state.extracted is not None:
        state.confidence = state.extracted.confidence
    if state.confidence is None:
        state.confidence = state.children.confidence
    if state.confidence is not None:
        state.attributes[sc.CONFIDENCE] = state.confidence


def event_attributes(intent: Intent) -> dict[str, AnyValue]:
    """The attributes of the event that tells of an intent."""
    attributes: dict[str, AnyValue] = {sc.SOURCE: intent.source, sc.FALLBACK: intent.fallback}
    if intent.name is not None:
        attributes[sc.INTENT_NAME] = intent.name
    if intent.confidence is not None:
        attributes[sc.CONFIDENCE] = intent.confidence
    return attributes


def _sureness(intent: Intent) -> float:
    return -1.0 if intent.confidence is None else intent.confidence
