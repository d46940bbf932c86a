"""What is framed in text: server-sent events, JSON lines, the AI SDK's data stream.

All the text of a stream is read at once, so that it does not matter where it was split.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final, NamedTuple, TypeVar

_FIRST_FRAMES: Final = 10_000
_LAST_FRAMES: Final = 1_000
_MAX_FRAMES: Final = 100_000
_SSE_LINE: Final = re.compile(r"(?:(data|event|id|retry)(?::[ ]?(.*))?|:.*)$", re.DOTALL)
_SSE_FIELD: Final = re.compile(r"\s*(?:(?:data|event|id|retry)\b|:)")
_BEGINNING: Final = re.compile(
    r"\ufeff?\s*(?:(?:data|event|id|retry)\b|:|[{\x1e]|[0-9a-k]:[\"{\[])"
)
_ENDED: Final = re.compile(r"\n\n|\r\n\r\n|\r\r")
_WHOLE: Final = re.compile(r"(?:\n\n|\r\n\r\n|\r\r)\Z")
_JSON: Final = frozenset('{["')
_SDK_LINE: Final = re.compile(r"([0-9a-k]):(.+)")
_SDK_TEXT: Final = "0"
_SDK_FINISH: Final = "d"
_SDK_SHAPES: Final = {"0": str, "2": list, "3": str, "8": list, "g": str}
_DONE: Final = frozenset({"[DONE]", "[END]", "[done]"})
_SPACE: Final = re.compile(r"[ \t\r\n\x1e]*")
_DECODER: Final = json.JSONDecoder()


T = TypeVar("T")


class Frame(NamedTuple):
    """What one frame holds.

    Args:
        payload: Text, or what its JSON holds.
        event: The event's name, where the frame has one.
    """

    payload: Any
    event: str | None = None


def looks_framed(head: str) -> bool:
    """Whether text that begins like this may be frames.

    Example:
        >>> looks_framed("data: Hel"), looks_framed("Hello")
        (True, False)
    """
    return _BEGINNING.match(head) is not None


def frames(text: str) -> list[Frame] | None:
    r"""The frames that a text is made of; None where it is no frames but text.

    A frame that was cut off at the end is left out, unless it can be read.

    Args:
        text: All that was sent, in one piece.

    Example:
        >>> frames('data: Your \n\ndata: parcel\n\ndata: [DONE]\n\n')
        [Frame(payload='Your ', event=None), Frame(payload='parcel', event=None)]
        >>> frames('0:"Your "\n0:"parcel"\n')
        [Frame(payload='Your ', event=None), Frame(payload='parcel', event=None)]
        >>> frames('{"delta": "Hi"}\n')
        [Frame(payload={'delta': 'Hi'}, event=None)]
        >>> frames("Your parcel: on its way") is None
        True
    """
    text = text.removeprefix("\ufeff")
    if not looks_framed(text):
        return None
    for read in (_events, _sdk_parts, _json_values):
        found = read(text)
        if found is not None:
            return _bounded(found)
    return None


def _bounded(found: list[T]) -> list[T]:
    """The first of very many, which are the reply, and the last, in which the usage stands."""
    if len(found) <= _FIRST_FRAMES + _LAST_FRAMES:
        return found
    return found[:_FIRST_FRAMES] + found[-_LAST_FRAMES:]


def _lines(text: str) -> list[str]:
    """Lines as server-sent events have them: other separators of Python's are text."""
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _events(text: str) -> list[Frame] | None:
    """Server-sent events, by the grammar of the HTML standard: unknown lines are left out."""
    blocks: list[tuple[str, str | None]] = []
    data: list[str] = []
    event: str | None = None
    seen = {"data": 0, "comment": 0, "unknown": 0}
    if not _SSE_FIELD.match(text):
        return None
    for line in [*_lines(text), ""]:
        if not line:
            if data and len(blocks) < _MAX_FRAMES:
                blocks.append(("\n".join(data), event))
            data, event = [], None
            continue
        match = _SSE_LINE.match(line)
        field = "unknown" if match is None else match[1] or "comment"
        seen[field] = seen.get(field, 0) + 1
        if match is not None and field == "data":
            data.append(match[2] or "")
        elif match is not None and field == "event":
            event = match[2]
    if not _are_events(text, seen):
        return None
    if blocks and not _WHOLE.search(text) and _is_cut(blocks[-1][0]):
        blocks.pop()
    return _payloads(_bounded([block for block in blocks if block[0].strip() not in _DONE]))


def _are_events(text: str, seen: dict[str, int]) -> bool:
    """Whether its lines are those of events. Text may begin with a colon, as ":)" does."""
    ended = _ENDED.search(text) is not None
    if "data:" not in text and not (seen["comment"] and ended):
        return False
    last_is_cut = text[-1:] not in "\r\n"
    return seen["unknown"] <= (seen["data"] if ended else 0) + last_is_cut


def _is_cut(data: str) -> bool:
    """Whether it is the beginning of JSON."""
    return data.lstrip()[:1] in _JSON and _value(data) is None


def _payloads(blocks: list[tuple[str, str | None]]) -> list[Frame]:
    """What the data of events hold. JSON in some and text in others is how statuses are sent.

    A string in quotes is JSON only where each text is: words in quotes are words.
    """
    read = [(_value(data), data, event) for data, event in blocks]
    texts = [value for value, *_ in read if not isinstance(value, dict | list)]
    quoted = all(isinstance(value, str) for value in texts)
    return [
        Frame(value if isinstance(value, dict | list) or quoted else data, event)
        for value, data, event in read
    ]


def decoded(data: object) -> Any:
    """What bytes hold as JSON; None where they hold none."""
    return _value(data.decode(errors="replace")) if isinstance(data, bytes) else None


def _value(data: str) -> Any:
    """A JSON object, list or string; else None."""
    if data.lstrip()[:1] in _JSON:
        try:
            return json.loads(data)
        except (ValueError, RecursionError):
            return None
    return None


def _sdk_parts(text: str) -> list[Frame] | None:
    """The AI SDK's data stream of version 4: a code, a colon and JSON in each line."""
    found: list[Frame] = []
    lines = _lines(text)
    for place, line in enumerate(lines):
        if not line.strip():
            continue
        match = _SDK_LINE.match(line)
        try:
            value = None if match is None else json.loads(match[2])
        except (ValueError, RecursionError):
            value = None
        if match is None or not isinstance(value, _SDK_SHAPES.get(match[1], dict | list | str)):
            if place == len(lines) - 1 and place:
                break
            return None
        if match[1] in (_SDK_TEXT, _SDK_FINISH) and len(found) < _MAX_FRAMES:
            found.append(Frame(value))
        elif not found:
            found.append(Frame(None))
    return found or None


def _json_values(text: str) -> list[Frame] | None:
    """JSON objects, a line each or one right after the other.

    A single one without the end of its line is text: a model may well answer in JSON.
    """
    found: list[Frame] = []
    place = 0
    while len(found) < _MAX_FRAMES:
        start = _SPACE.match(text, place)
        place = start.end() if start is not None else place
        if not text.startswith("{", place):
            break
        try:
            value, place = _DECODER.raw_decode(text, place)
        except (ValueError, RecursionError):
            break
        found.append(Frame(value))
    rest = text[place : place + 1]
    if not found or rest not in ("", "{"):
        return None
    return found if rest or len(found) > 1 or text.endswith("\n") else None
