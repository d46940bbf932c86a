"""Takes model, usage, cost, intent and confidence from what a handler or a client returns.

Results are recognised by their shape; no provider is ever imported. A reader for another shape is
one line in `READERS`: a test whether the shape is its own, and a function that takes what it finds
from a whole result or from a chunk of a stream.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, NamedTuple

from otel_chat.extract import (
    _anthropic,
    _bedrock,
    _dialogue,
    _google,
    _langchain,
    _openai,
    _pydantic_ai,
)
from otel_chat.extract._draft import Draft, Extracted, ToolCall

__all__ = ["READERS", "Extracted", "Reader", "StreamState", "ToolCall", "extract", "stream_state"]


class Reader(NamedTuple):
    """How one shape is recognised and read.

    Args:
        shape: Its name.
        matches: Whether a result, or the first chunk of a stream, has this shape.
        read: Takes what a result or a chunk says.
    """

    shape: str
    matches: Callable[[Any], bool]
    read: Callable[[Draft, Any], None]


READERS: Final = (
    Reader("openai.chat", _openai.is_chat, _openai.read_chat),
    Reader("openai.responses", _openai.is_response, _openai.read_response),
    Reader("anthropic.messages", _anthropic.is_message, _anthropic.read),
    Reader("google.generate_content", _google.is_answer, _google.read),
    Reader("bedrock.converse", _bedrock.is_answer, _bedrock.read),
    Reader("langchain.message", _langchain.is_message, _langchain.read),
    Reader("pydantic_ai", _pydantic_ai.is_result, _pydantic_ai.read),
    Reader("rasa.parse", _dialogue.is_rasa_parse, _dialogue.read_rasa_parse),
    Reader("rasa.rest", _dialogue.is_rasa_answer, _dialogue.read_rasa_answer),
    Reader("dialogflow", _dialogue.is_dialogflow, _dialogue.read_dialogflow),
)
_PLAIN: Final = frozenset({str, bytes, bytearray, int, float, bool, complex, type(None)})


class StreamState:
    """What the chunks of one stream have said so far. Made by `stream_state`."""

    __slots__ = ("_draft", "_reader")

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._draft = Draft()

    def record_chunk(self, chunk: object) -> None:
        """Takes what a chunk says; one of another shape says nothing. Never raises."""
        if type(chunk) in _PLAIN:
            return
        with suppress(Exception):  # somebody else's object; the stream goes on
            self._reader.read(self._draft, chunk)

    def result(self) -> Extracted:
        """What is known now; at any time, and again later."""
        return self._draft.finish(self._reader.shape)


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
        reader = _recognise(result)
        if reader is None:
            return None
        draft = Draft()
        reader.read(draft, result)
        return draft.finish(reader.shape)
    except Exception:  # noqa: BLE001 - somebody else's object
        return None


def stream_state(first_chunk: object) -> StreamState | None:
    """A state for a stream that begins with this chunk, which is not yet recorded. Never raises.

    Args:
        first_chunk: The first object that the stream yielded.

    Returns:
        None where the shape is not known, as for a stream of text.

    Example:
        >>> chunk = {"object": "chat.completion.chunk", "model": "gpt-5",
        ...          "choices": [{"delta": {"content": "Hello"}}]}
        >>> state = stream_state(chunk)
        >>> state.record_chunk(chunk)
        >>> state.result().text
        'Hello'
    """
    try:
        reader = _recognise(first_chunk)
    except Exception:  # noqa: BLE001 - somebody else's object
        return None
    return None if reader is None else StreamState(reader)


def _recognise(value: object) -> Reader | None:
    if type(value) in _PLAIN:
        return None
    for reader in READERS:
        if reader.matches(value):
            return reader
    return None
