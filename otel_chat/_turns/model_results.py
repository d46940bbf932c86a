"""What a model's result or its chunks say: somebody else's objects, read in bounded time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Final, TypeVar

from opentelemetry.util.types import AnyValue

from otel_chat import semconv as sc
from otel_chat._common.checks import Types, is_a, is_plain
from otel_chat._telemetry.runtime import Runtime, current, report_error
from otel_chat._telemetry.workers import reader
from otel_chat._usage import Usage
from otel_chat.extract import Extracted, Sender, StreamState, extract, is_data, text_of

R = TypeVar("R")

_BUFFERS: Final = Types((bytearray, memoryview))
_NUMBERS: Final = Types((int, float, bool, complex, type(None)))
SILENT: Final = Types((str, bytes, *_BUFFERS, *_NUMBERS))
"""Results that are not looked at."""


class Chunks:
    """The chunks of a stream, noted in the caller's thread and read in the delivery thread.

    A chunk is somebody else's object: to look into it may take any time.

    Args:
        keeps_text: Whether the reply is wanted, and not only what chunks say of usage.
    """

    __slots__ = ("_given_up", "_state", "_unread")

    def __init__(self, *, keeps_text: bool = False) -> None:
        self._unread: deque[object] = deque()
        self._state = StreamState(keeps_text=keeps_text)
        self._given_up = False

    def record_chunk(self, chunk: object) -> None:
        """Takes a chunk. A few at a time are read before the end, so that not all are kept."""
        kind = type(chunk)
        if kind in _NUMBERS or self._given_up:
            return
        # What a buffer holds may be another thing by then
        self._unread.append(bytes(chunk) if kind in _BUFFERS else chunk)  # type: ignore[call-overload]
        if len(self._unread) == MOST_UNREAD:
            current().delivery.put((self._read_some,))
        elif len(self._unread) > MOST_KEPT:
            self._unread.popleft()

    def result(self) -> Extracted | None:
        """What the chunks said; None where none is of a known shape."""
        self._read_some()
        return None if self._given_up else self._state.result()

    def known(self) -> Extracted | None:
        """The same without reading more."""
        return None if self._given_up else self._state.result(whole=False)

    def _read_some(self) -> None:
        if not self._unread or self._given_up:
            return
        try:
            foreign = (chunk for chunk in tuple(self._unread) if not is_plain(chunk))
            reader.read(next(foreign, None), self._digest)
        except Exception as error:  # noqa: BLE001 - somebody else's objects
            self._given_up = True
            self._unread.clear()
            report_error("results", error)

    def _digest(self, _: object) -> None:
        while self._unread and not self._given_up:
            self._state.record_chunk(self._unread.popleft())


MOST_UNREAD: Final = 64
MOST_KEPT: Final = 10_000


def read(state: Chunks | None, result: object, *, whole: bool = True) -> Extracted | None:
    """What the chunks said, where they said what was used; else what the whole result says.

    Args:
        state: The chunks.
        result: What the function returned, or was given.
        whole: Without it nothing is looked into that may take time: in the caller's thread.
    """
    streamed = None if state is None else state.result() if whole else state.known()
    if streamed is not None and usage_of(streamed):
        return streamed
    found = _said_by(result) if whole else None
    if found is None or streamed is None:
        return found or streamed
    return replace(found, text=streamed.text or found.text)


def _said_by(result: object) -> Extracted | None:
    """What a whole result says; to hand it to another thread costs more than to read it."""
    return extract(result) if is_data(result) else _looked_into(result, extract)


def _looked_into(result: object, function: Callable[[Any], R]) -> R | None:
    """What a function finds in somebody else's object, in bounded time."""
    if result is None:
        return None
    try:
        found: R = reader.read(result, function)
    except Exception as error:  # noqa: BLE001 - somebody else's object
        report_error("results", error)
        return None
    return found


def described(runtime: Runtime, found: Extracted) -> dict[str, AnyValue]:
    """The attributes of a span that a result speaks of, but for usage and intent."""
    clean = runtime.name
    names = {
        sc.RESPONSE_MODEL: found.model,
        sc.PROVIDER_NAME: found.provider,
        sc.RESPONSE_ID: found.response_id,
    }
    known: dict[str, AnyValue] = {k: clean(v) for k, v in names.items() if v is not None}
    if found.finish_reason is not None:
        known[sc.FINISH_REASONS] = [clean(found.finish_reason)]
    if found.tool_calls:
        known[sc.TOOL_CALLS] = [clean(call.name) for call in found.tool_calls]
    return known


def usage_of(found: Extracted) -> Usage:
    """Its tokens, and the cost where the provider says it."""
    return Usage(
        input_tokens=found.input_tokens,
        output_tokens=found.output_tokens,
        cache_read_tokens=found.cache_read_tokens,
        reasoning_tokens=found.reasoning_tokens,
        cache_write_tokens=found.cache_write_tokens,
        model=found.model,
        provider=found.provider,
        cost=found.cost,
        response_id=found.response_id,
        parts=tuple(usage_of(part) for part in found.parts),
    )


def usages_of(found: Extracted) -> list[Usage]:
    """The usage of each model call that a result tells of."""
    usage = usage_of(found)
    return list(usage.parts or (usage,))


def text_from(value: object, sender: Sender = "assistant") -> str | None:
    """The text that a user reads in a value of the caller's, in bounded time.

    Args:
        value: A text, a message made of parts, a model, or what may hold one.
        sender: Whose text it is.

    Example:
        >>> text_from({"reply": "Good evening."}), text_from(object())
        ('Good evening.', None)
    """
    if is_a(value, str):
        return str.__str__(value)
    return _looked_into(value, partial(text_of, sender=sender))


def reply_of(returned: object) -> str | None:
    """The reply in what a handler returned, in bounded time."""
    return _looked_into(returned, _text)


def _text(returned: object) -> str | None:
    answer = extract(returned)
    return text_of(returned) if answer is None else answer.text
