"""Values that hold others: the store keeps them as text, in JSON.

The engine reads scalars and lists of them, so what goes deeper is written down before. Most bodies
hold no such value, and to look at every attribute would take as long as to read them all: the
bytes are searched for what begins one.
"""

from __future__ import annotations

import base64
import json
import math
import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

_LENGTH: Final = rb"[\x80-\xff]{0,4}[\x00-\x7f]"
# A map (field 6) of fields that begin with key or value; a list (5) that begins with a list.
# Two patterns: each begins with one byte, which is searched for many times as fast.
_MAP: Final = re.compile(rb"2" + _LENGTH + rb"\n" + _LENGTH + rb"[\n\x12]", re.DOTALL)
_LIST: Final = re.compile(rb"\*" + _LENGTH + rb"\n" + _LENGTH + rb"\*", re.DOTALL)
# Text of control characters alone would grow sixfold.
_GROWTH: Final = 3


def may_hold(written: bytes) -> bool:
    """Whether a message may hold such a value: any map, and any list that begins with a list.

    Args:
        written: It in protobuf.
    """
    return bool(_MAP.search(written) or _LIST.search(written))


def flatten(message: Any) -> None:
    """Writes the values of a span or log record that hold others as JSON, in place."""
    _flatten(message.attributes)
    for event in getattr(message, "events", ()):
        _flatten(event.attributes)
    if hasattr(message, "body"):
        _flatten_value(message.body)


def _flatten(attributes: Iterable[KeyValue]) -> None:
    for one in attributes:
        _flatten_value(one.value)


def _flatten_value(value: AnyValue) -> None:
    kind = value.WhichOneof("value")
    nested = kind == "kvlist_value" or (
        kind == "array_value"
        and any(
            one.WhichOneof("value") in ("kvlist_value", "array_value")
            for one in value.array_value.values
        )
    )
    if nested:
        text = json.dumps(_plain(value), ensure_ascii=False)
        if len(text) <= _GROWTH * value.ByteSize() + 64:
            value.string_value = text
        else:
            value.Clear()


def _plain(value: AnyValue) -> Any:
    """The value as JSON has it: bytes in base64, and what is no number as text."""
    kind = value.WhichOneof("value")
    if kind == "kvlist_value":
        return {one.key: _plain(one.value) for one in value.kvlist_value.values}
    if kind == "array_value":
        return [_plain(one) for one in value.array_value.values]
    if kind is None:
        return None
    scalar = getattr(value, kind)
    if isinstance(scalar, bytes):
        return base64.b64encode(scalar).decode()
    if isinstance(scalar, float) and not math.isfinite(scalar):
        return str(scalar)
    return scalar
