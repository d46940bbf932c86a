"""OTLP in JSON: protobuf's JSON mapping, but for ids, which are hexadecimal."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator
from typing import Any, Final, TypeVar

from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import Message

from otel_chat.errors import IngestError

_IDS: Final = ("traceId", "spanId", "parentSpanId", "trace_id", "span_id", "parent_span_id")
_DEPTH: Final = 60
_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]")

M = TypeVar("M", bound=Message)


def _objects(value: Any, path: str, depth: int = 0) -> Iterator[tuple[dict[str, Any], str]]:
    if depth > _DEPTH:
        raise IngestError(f"{path}: nested more than {_DEPTH} levels deep.")
    if isinstance(value, dict):
        yield value, path
        for key, item in value.items():
            yield from _objects(item, f"{path}.{key}" if path else str(key), depth + 1)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _objects(item, f"{path}[{number}]", depth + 1)


def _as_base64(text: object, path: str) -> str:
    if not isinstance(text, str):
        raise IngestError(f"{path}: an id is a string of hexadecimal digits.")
    try:
        return base64.b64encode(binascii.unhexlify(text)).decode()
    except (binascii.Error, ValueError) as error:
        raise IngestError(f"{path}: an id is a string of hexadecimal digits.") from error


def parse_json(body: bytes, message: M) -> M:
    """Reads OTLP's JSON into a protobuf message; fields that it does not know are passed over.

    Args:
        body: The JSON text, in UTF-8.
        message: The empty message to fill.

    Returns:
        The message.

    Raises:
        IngestError: If it is no JSON, or a field has the wrong form; names the field.
    """
    if not body:
        return message
    try:
        text = body.decode()
        document = json.loads(text)
        if _SURROGATE.search(text):
            # Half of a pair is valid in JSON's grammar but in no text; protobuf fails badly on it.
            json.dumps(document, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise IngestError(f"The body is no JSON: {error}.") from error
    if not isinstance(document, dict):
        raise IngestError("The body is no JSON object.")
    for found, path in _objects(document, ""):
        for name in _IDS:
            if found.get(name):
                found[name] = _as_base64(found[name], f"{path}.{name}")
    try:
        ParseDict(document, message, ignore_unknown_fields=True, max_recursion_depth=_DEPTH)
    except (ParseError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise IngestError(f"The body does not fit OTLP: {error}.") from error
    return message
