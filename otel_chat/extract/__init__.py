"""Takes model, usage, cost, intent and confidence from what a handler or a client returns.

Results are recognised by their shape; no provider is ever imported. `extract` reads a whole
result, `StreamState` the chunks of a stream, `text_of` the text that a user reads in it.
"""

from __future__ import annotations

from dataclasses import replace

from otel_chat.extract._data import is_data
from otel_chat.extract._draft import Draft, Extracted, Tokens, ToolCall
from otel_chat.extract._langgraph import within
from otel_chat.extract._readers import READERS, Reader, recognise
from otel_chat.extract._reading import get
from otel_chat.extract._reply import Sender, Texts, text_of
from otel_chat.extract._stream import StreamState

__all__ = [
    "READERS",
    "Extracted",
    "Reader",
    "Sender",
    "StreamState",
    "Texts",
    "Tokens",
    "ToolCall",
    "extract",
    "is_data",
    "text_of",
]


def extract(result: object) -> Extracted | None:
    """What a result says of itself, whatever it is. Never raises.

    Args:
        result: What a handler, a classifier or a provider's client returned.

    Returns:
        None where the shape is not known.

    Example:
        >>> found = extract({"text": "hi", "intent": {"name": "greet", "confidence": 0.9},
        ...                  "entities": []})
        >>> found.shape, found.intent, found.confidence
        ('rasa.parse', 'greet', 0.9)
        >>> extract("hi") is None
        True
    """
    try:
        reader = recognise(result)
        inner = result if reader is not None else _inside(result)
        if reader is None:
            reader = recognise(inner)
        if reader is None:
            return None
        draft = Draft()
        reader.read(draft, inner)
        found = draft.finish(reader.shape)
        # What an application puts beside the provider's answer is what the user reads.
        own = inner is not result and (inner is get(result, "raw") or not found.text)
        said = text_of(result) if own else None
        return replace(found, text=said) if said else found
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 - somebody else's object
        return None


def _inside(result: object) -> object:
    """What a framework wraps: LlamaIndex the provider's answer, LangGraph messages and states.

    LlamaIndex keeps of an agent's answers the last alone, so those with tools are left.
    """
    raw = get(result, "raw")
    if raw is not None and not get(result, "tool_calls"):
        return raw
    value = get(result, "value")
    return within(result if value is None else value)
