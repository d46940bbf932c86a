"""The shapes that are known, and which of them a value has."""

from __future__ import annotations

from collections.abc import Callable
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
from otel_chat.extract._draft import Draft


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
_SILENT: Final = frozenset(
    {str, bytes, bytearray, memoryview, int, float, bool, complex, type(None)}
)


def recognise(value: object, likely: Reader | None = None) -> Reader | None:
    """The reader of a value's shape; the `likely` one is asked first."""
    if type(value) in _SILENT:
        return None
    if likely is not None and likely.matches(value):
        return likely
    for reader in READERS:
        if reader is not likely and reader.matches(value):
            return reader
    return None
