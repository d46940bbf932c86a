"""What is too large for the servers behind is cut here, where a word can still say so.

A collector refuses a request by its size, Tempo cuts a value in the middle of its JSON: whoever
reads it then finds nothing, and no word of what was there.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from otel_chat._common import otlp_values

ITEM_BYTES: Final = 2 * 2**20
"""Bytes of a span or a log record: half of what an OTLP receiver takes by default over gRPC."""
_LEAST: Final = 64
"""Of a text that has less room nothing is kept: the notice alone takes half of it."""
_NOTICE: Final = 32
_VALUE: Final = 24
"""Bytes of a value beside its text: its marks, its length, or a number."""

_Weigh = Callable[[str], int]


def notice(characters: int) -> str:
    """What stands where a text was cut.

    Example:
        >>> notice(20)
        '…[cut 20 characters]'
    """
    return f"…[cut {characters} characters]"


def fit(groups: Sequence[Mapping[str, Any]], limit: int = ITEM_BYTES) -> list[Mapping[str, Any]]:
    """Attributes that take no more than a limit together; the longest are cut, to one length.

    Text that is JSON stays JSON: the texts in it are cut. Whatever is cut says so.

    Args:
        groups: The attributes of a span, of each of its events, ..., as OTLP can carry them.
        limit: Bytes; there must be some 100 for each value.

    Example:
        >>> (cut,) = fit([{"short": "a", "long": "é" * 500}], 200)
        >>> cut["short"], cut["long"]
        ('a', 'ééééééééééééééééééééééééééééééé…[cut 469 characters]')
    """
    sizes = [_size(value) + _size(key) for group in groups for key, value in group.items()]
    if sum(sizes) <= limit:
        return list(groups)
    level = _level(sizes, limit)
    return [{key: _cut(value, level - _size(key)) for key, value in g.items()} for g in groups]


def _size(value: Any) -> int:
    """Bytes of a value as it is sent, rather more than less."""
    if isinstance(value, str):
        return _VALUE + (len(value) if value.isascii() else len(value.encode()))
    if isinstance(value, bytes):
        return _VALUE + len(value)
    if isinstance(value, Mapping):
        return _VALUE + sum(_size(key) + _size(item) for key, item in value.items())
    if isinstance(value, list | tuple):
        return _VALUE + sum(map(_size, value))
    return _VALUE


def _level(sizes: Sequence[int], room: int) -> int:
    """The length to which the longest must be cut, so that all have room."""
    left = len(sizes)
    for size in sorted(sizes):
        if size * left > room:
            return room // left
        room, left = room - size, left - 1
    return room


def _cut(value: Any, room: int) -> Any:
    if _size(value) <= room:
        return value
    if isinstance(value, str):
        return _cut_json(value, room - _VALUE) or _cut_text(value, room - _VALUE, _bytes)
    if isinstance(value, bytes):
        return notice(len(value))
    return _shrink(value, room, _size, _bytes)


def _cut_json(text: str, room: int) -> str:
    """JSON with the texts in it cut; empty where the text is none."""
    if text[:1] not in ("[", "{"):
        return ""
    try:
        data = otlp_values.value(json.loads(text))
    except (ValueError, RecursionError):
        return ""
    return _written(_shrink(data, room, lambda data: _bytes(_written(data)), _bytes_in_json))


def _shrink(data: Any, room: int, size: Callable[[Any], int], weigh: _Weigh) -> Any:
    """Data with its longest texts cut; a notice instead where it is large without them."""
    weights = [weigh(text) for text in _texts(data)]
    level = _level(weights, room - size(data) + sum(weights))
    if level < _LEAST:
        return notice(sum(map(len, _texts(data))))
    return _each(data, lambda text: text if weigh(text) <= level else _cut_text(text, level, weigh))


def _texts(data: Any) -> Iterator[str]:
    if isinstance(data, str):
        yield data
    elif isinstance(data, Mapping):
        for item in data.values():
            yield from _texts(item)
    elif isinstance(data, list | tuple):
        for item in data:
            yield from _texts(item)


def _each(data: Any, change: Callable[[str], str]) -> Any:
    if isinstance(data, str):
        return change(data)
    if isinstance(data, Mapping):
        return {key: _each(item, change) for key, item in data.items()}
    if isinstance(data, list | tuple):
        return type(data)(_each(item, change) for item in data)
    return data


def _cut_text(text: str, room: int, weigh: _Weigh) -> str:
    lengths = range(1, len(text) + 1)
    kept = bisect_right(lengths, room - _NOTICE, key=lambda length: weigh(text[:length]))
    return text[:kept] + notice(len(text) - kept)


def _bytes(text: str) -> int:
    return len(text.encode())


def _bytes_in_json(text: str) -> int:
    return _bytes(_written(text)) - 2


def _written(data: Any) -> str:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))
