"""Which frames of a WebSocket are messages: those of its transport and its heartbeats are none."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

Frame: TypeAlias = str | bytes

_SHORT: Final = 256
_BEATS: Final = frozenset(
    {
        "connection_ack", "connection_init", "heartbeat", "ka", "keep_alive", "keepalive",
        "ping", "pong",
    }
)  # fmt: skip
_KINDS: Final = ("type", "event", "action", "op")
_SIGNALR_END: Final = "\x1e"
_SIGNALR_PING: Final = 6
_PHOENIX: Final = 5
_ENGINE_MESSAGE: Final = "4"
_ENGINE_OTHERS: Final = frozenset("012356")
# Packet type, number of attachments, namespace, number of the acknowledgement, data
_SOCKET_IO: Final = re.compile(r'([0-6])(?:\d+-)?(?:/[^,\[{"]*,?)?\d*([\[{"].*)?', re.DOTALL)
_EVENTS: Final = frozenset("25")
_ANSWERS: Final = frozenset("36")


def is_control(frame: Frame) -> bool:
    """Whether a frame is a heartbeat or a greeting of the application's or transport's, or empty.

    Example:
        >>> is_control("ping"), is_control('{"type": "pong"}'), is_control("Where is my order?")
        (True, True, False)
    """
    if len(frame) > _SHORT:
        return False
    plain = frame if isinstance(frame, str) else frame.decode("utf-8", "replace")
    squeezed = plain.strip().rstrip(_SIGNALR_END)
    if squeezed.lower() in {"", "ping", "pong"}:
        return True
    return squeezed[:1] in "{[" and _is_beat(squeezed, signalr=plain.endswith(_SIGNALR_END))


def _is_beat(text: str, *, signalr: bool) -> bool:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return False
    if isinstance(data, list):  # Phoenix: [join, number, topic, event, payload]
        return len(data) == _PHOENIX and data[3] == "heartbeat"
    if signalr and (data.get("type") == _SIGNALR_PING or data == {} or "protocol" in data):
        return True
    return any(_lower(data, kind) in _BEATS for kind in _KINDS)


def _lower(data: Mapping[str, Any], key: str) -> str:
    found = data.get(key)
    return found.lower() if isinstance(found, str) else ""


def is_engine_io(query: Mapping[str, str]) -> bool:
    """Whether a handshake's query says that the connection speaks Engine.IO, as Socket.IO does.

    Example:
        >>> is_engine_io({"EIO": "4", "transport": "websocket"})
        True
    """
    return query.get("EIO", "").isdigit()


def is_engine_control(frame: Frame, *, sent: bool) -> bool:
    """Whether a frame of Engine.IO is none of a conversation's messages.

    A message is an event of Socket.IO's, or a message of Engine.IO's alone; an answer to one
    (acknowledgement) that holds something is a reply. Attachments belong to their event.

    Args:
        frame: As it came or went.
        sent: Whether the server sent it.

    Example:
        >>> [is_engine_control(f, sent=False) for f in ("2", "2probe", "40", '42["message","hi"]')]
        [True, True, True, False]
    """
    if not isinstance(frame, str):
        return True
    if not frame.startswith(_ENGINE_MESSAGE):
        return frame[:1] in _ENGINE_OTHERS
    packet = _SOCKET_IO.fullmatch(frame, 1)
    if packet is None:
        return is_control(frame[1:])
    kind, data = packet.groups()
    if kind in _ANSWERS:
        return not sent or data in (None, "[]")
    return kind not in _EVENTS or data is None or _is_event_beat(data)


def _is_event_beat(data: str) -> bool:
    return bool(re.match(r'\["(?:ping|pong|heartbeat)"[,\]]', data))
