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
from opentelemetry.proto.common.v1.common_pb2 import KeyValue

from otel_chat.errors import IngestError

_IDS: Final = ("traceId", "spanId", "parentSpanId", "trace_id", "span_id", "parent_span_id")
_DEPTH: Final = 60
_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]")
# What is escaped already, a whole pair, half of one: the last alone is no text.
_ESCAPED: Final = re.compile(
    r"\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    r"|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)
# Each object or list costs a multiple of its text in memory.
_CONTAINERS: Final = 500_000

M = TypeVar("M", bound=Message)


def _objects(value: Any, path: str, depth: int = 0) -> Iterator[tuple[dict[str, Any], str]]:
    if depth > _DEPTH:
        raise IngestError(f"{path}: nested more than {_DEPTH} levels deep")
    if isinstance(value, dict):
        yield value, path
        for key, item in value.items():
            yield from _objects(item, f"{path}.{key}" if path else str(key), depth + 1)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _objects(item, f"{path}[{number}]", depth + 1)


def _as_base64(text: object, path: str) -> str:
    if not isinstance(text, str):
        raise IngestError(f"{path}: an id is a string of hexadecimal digits")
    try:
        return base64.b64encode(binascii.unhexlify(text)).decode()
    except (binascii.Error, ValueError) as error:
        raise IngestError(f"{path}: an id is a string of hexadecimal digits") from error


def read_document(body: bytes) -> dict[str, Any]:
    """A body as a JSON object; what is no text inside of its texts is replaced.

    Raises:
        IngestError: If it is none, or holds too much.
    """
    if not body:
        return {}
    if body.count(b"{") + body.count(b"[") > _CONTAINERS:
        message = f"The body has more than {_CONTAINERS} objects and lists: send fewer at once."
        raise IngestError(message, status=413)
    text = body.decode("utf-8-sig", "replace")
    if _SURROGATE.search(text):
        text = _ESCAPED.sub(lambda found: "\\ufffd" if found[1] else found[0], text)
    try:
        document = _loaded(text)
    except (ValueError, RecursionError) as error:
        raise IngestError(f"The body is no JSON: {error}.") from error
    if not isinstance(document, dict):
        raise IngestError("The body is no JSON object.")
    return document


def _loaded(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        raise
    except ValueError:  # a number of more digits than Python reads: whatever holds it will not fit
        return json.loads(text, parse_int=str)


def items(value: Any, *names: str, path: str) -> list[Any]:
    """The list that an object holds under one of two names.

    Raises:
        IngestError: If what is there is no list of objects, or this is no object; names it.
    """
    if not isinstance(value, dict):
        raise IngestError(f"{path or 'The body'} does not fit OTLP: an object is needed.")
    found: Any = next((value[name] for name in names if value.get(name) is not None), [])
    if not isinstance(found, list):
        place = f"{path}.{names[0]}" if path else names[0]
        raise IngestError(f"{place} does not fit OTLP: a list is needed.")
    return found


def _parsed(value: Any, message: M) -> M:
    try:
        ParseDict(value, message, ignore_unknown_fields=True, max_recursion_depth=_DEPTH)
    except (ParseError, ValueError, TypeError, OverflowError, AttributeError) as error:
        raise IngestError(f"it does not fit OTLP: {error}") from error
    except RecursionError as error:
        raise IngestError("it is nested too deeply") from error
    return message


def read_item(value: Any, message: M) -> tuple[M, int]:
    """Reads a span, record, metric, resource or scope of OTLP's JSON.

    Fields that it does not know are passed over; attributes that cannot be read are left out.

    Args:
        value: The object.
        message: The empty message to fill.

    Returns:
        The message, and how many attributes were left out.

    Raises:
        IngestError: If a field has the wrong form; names it, from the item on.
    """
    if not isinstance(value, dict):
        raise IngestError("it does not fit OTLP: an object is needed")
    rest = {name: held for name, held in value.items() if name != "attributes"}
    for found, place in _objects(rest, ""):
        for name in _IDS:
            if found.get(name):
                found[name] = _as_base64(found[name], f"{place}.{name}" if place else name)
    given = value.get("attributes")
    try:
        return _parsed({**rest, "attributes": given}, message), 0
    except IngestError:
        if not isinstance(given, list) or "attributes" not in message.DESCRIPTOR.fields_by_name:
            raise
    message.Clear()
    _parsed(rest, message)
    read = [one for one in map(_attribute, given) if one is not None]
    message.attributes.extend(read)  # type: ignore[attr-defined]  # it has some, as was seen
    return message, len(given) - len(read)


def _attribute(value: Any) -> KeyValue | None:
    try:
        return _parsed(value, KeyValue())
    except IngestError:
        return None
