"""The shapes that are known, and which of them a value has.

A reader for another shape is one line in `READERS`: a test whether the shape is its own, and a
function that takes what it finds from a whole result or from a chunk of a stream.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, Final, NamedTuple

from otel_chat.extract import (
    _ai_sdk,
    _anthropic,
    _bedrock,
    _cohere,
    _dialogue,
    _google,
    _huggingface,
    _langchain,
    _mistral,
    _ollama,
    _openai,
    _pydantic_ai,
)
from otel_chat.extract._draft import Draft
from otel_chat.extract._reading import makes_up


class Reader(NamedTuple):
    """How one shape is recognised and read.

    Args:
        shape: Its name.
        matches: Whether a result, or a chunk of a stream, has this shape.
        read: Takes what a result or a chunk says.
        marks: A value without any of these keys or attributes has another shape.
    """

    shape: str
    matches: Callable[[Any], bool]
    read: Callable[[Draft, Any], None]
    marks: frozenset[str]


def _reader(
    shape: str,
    matches: Callable[[Any], bool],
    read: Callable[[Draft, Any], None],
    marks: str,
) -> Reader:
    return Reader(shape, matches, read, frozenset(marks.split()))


READERS: Final = (
    _reader("openai.chat", _openai.is_chat, _openai.read_chat, "choices"),
    _reader("openai.responses", _openai.is_response, _openai.read_response, "object type"),
    _reader("openai.agents", _openai.is_run, _openai.read_run, "raw_responses"),
    _reader("anthropic.messages", _anthropic.is_message, _anthropic.read, "type"),
    _reader(
        "google.generate_content",
        _google.is_answer,
        _google.read,
        "candidates usage_metadata usageMetadata",
    ),
    _reader(
        "bedrock.converse",
        _bedrock.is_answer,
        _bedrock.read,
        "output messageStart contentBlockStart contentBlockDelta messageStop metadata",
    ),
    _reader("cohere.chat", _cohere.is_answer, _cohere.read, "message finish_reason type"),
    _reader("cohere.chat.v1", _cohere.is_former, _cohere.read_former, "generation_id event_type"),
    _reader("mistral.conversations", _mistral.is_answer, _mistral.read, "object type"),
    _reader("huggingface", _huggingface.is_answer, _huggingface.read, "token details"),
    _reader("ollama", _ollama.is_answer, _ollama.read, "done"),
    _reader("ai_sdk", _ai_sdk.is_finish, _ai_sdk.read, "finishReason"),
    _reader("langchain.message", _langchain.is_message, _langchain.read, "type messages"),
    _reader("pydantic_ai", _pydantic_ai.is_result, _pydantic_ai.read, "kind event_kind run_id"),
    _reader("rasa.parse", _dialogue.is_rasa_parse, _dialogue.read_rasa_parse, "intent"),
    _reader("rasa.rest", _dialogue.is_rasa_answer, _dialogue.read_rasa_answer, ""),
    _reader(
        "dialogflow",
        _dialogue.is_dialogflow,
        _dialogue.read_dialogflow,
        "query_result queryResult",
    ),
    _reader("azure.clu", _dialogue.is_clu, _dialogue.read_clu, "result"),
    _reader("amazon.lex", _dialogue.is_lex, _dialogue.read_lex, "interpretations intentName"),
)
_SILENT: Final = frozenset(
    {str, bytes, bytearray, memoryview, int, float, bool, complex, type(None)}
)


_FILLED: Final = (dict, list, tuple)
_MARKS: Final = frozenset().union(*(reader.marks for reader in READERS))


def recognise(value: object, likely: Reader | None = None) -> Reader | None:
    """The reader of a value's shape; the `likely` one is asked first."""
    kind = type(value)
    if kind in _SILENT:
        return None
    names: list[Iterable[str]] | None = None
    if kind is dict:
        names = [value]  # type: ignore[list-item] # a dictionary
    else:
        declared = _declared(kind)  # type: ignore[arg-type] # every class is hashable
        if declared is not None:
            names = [declared, getattr(value, "__dict__", ())]
    for reader in READERS if likely is None else (likely, *READERS):
        marked = names is None or not all(map(reader.marks.isdisjoint, names))
        if marked and reader.matches(value):
            return reader
    return None


@lru_cache(maxsize=4096)
def _declared(kind: type) -> frozenset[str] | None:
    """The marks that a class has; None where its objects may have any."""
    return None if makes_up(kind) or issubclass(kind, _FILLED) else _MARKS.intersection(dir(kind))
