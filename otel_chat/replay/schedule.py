"""When each message of a transcript happened, and which ids its telemetry has.

Both follow from the transcript alone (and `start`), never from the day of the replay or the place
in the file, so that replaying a file again, or a part of it, stores the same turns once.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Final

from opentelemetry.sdk.trace.id_generator import IdGenerator

from otel_chat._common.moments import nanoseconds
from otel_chat.replay.transcripts import Transcript

DEFAULT_START: Final = datetime(2026, 11, 9, tzinfo=UTC)
"""The start of the days over which conversations without times are spread."""
DEFAULT_DAYS: Final = 7
GAP_NS: Final = 15 * 1_000_000_000
"""Between two messages without times: 15 s."""


def _digest(size: int, *parts: str) -> bytes:
    return blake2b("\0".join(parts).encode(), digest_size=size, person=b"otel-chat replay").digest()


@dataclass(frozen=True, slots=True)
class Schedule:
    """Gives every message a time.

    Args:
        start: Where the days begin over which conversations without times are spread.
        days: How many days, at least 1.

    Example:
        >>> lines = [{"speaker": "user", "text": "hi"}, {"speaker": "system", "text": "hello"}]
        >>> talk = Transcript.model_validate({"conversation_id": "c", "turns": lines})
        >>> first, second = Schedule().times(talk)
        >>> second - first == GAP_NS
        True
    """

    start: datetime = DEFAULT_START
    days: int = DEFAULT_DAYS

    def times(self, transcript: Transcript) -> list[int]:
        """The time of each message, nanoseconds since 1970; they never go back.

        A message without a time comes 15 s after the one before it, but never after the next one
        that has a time. A conversation without any begins at a second of the days that its id
        decides.

        Args:
            transcript: The conversation.
        """
        known = [nanoseconds(line.time) if line.time else None for line in transcript.turns]
        limits = _next_known(known)
        moment = self._first(transcript.conversation_id, known)
        times = []
        for at, own in enumerate(known):
            moment = own if own is not None else moment + (GAP_NS if at else 0)
            limit = limits[at]
            if limit is not None:
                moment = min(moment, limit)
            times.append(moment)
        return times

    def _first(self, conversation_id: str, known: Sequence[int | None]) -> int:
        for at, own in enumerate(known):
            if own is not None:
                return own - at * GAP_NS
        seconds = int.from_bytes(_digest(8, "start", conversation_id)) % (self.days * 86_400)
        return nanoseconds(self.start) + seconds * 1_000_000_000


def _next_known(known: Sequence[int | None]) -> list[int | None]:
    limits: list[int | None] = []
    following: int | None = None
    for own in reversed(known):
        following = own if own is not None else following
        limits.append(following)
    return limits[::-1]


class ReplayIds(IdGenerator):
    """Trace, span and event ids from conversation id and turn number.

    Example:
        >>> ids = ReplayIds()
        >>> ids.begin("c1", "turn 1"); first = ids.generate_trace_id(), ids.event_uid()
        >>> ids.begin("c1", "turn 1"); first == (ids.generate_trace_id(), ids.event_uid())
        True
    """

    def __init__(self) -> None:
        self._place = ("", "")
        self._spans = 0
        self._events = 0

    def begin(self, conversation_id: str, part: str) -> None:
        """From now on ids belong to this part of this conversation."""
        self._place = (conversation_id, part)
        self._spans = 0
        self._events = 0

    def generate_trace_id(self) -> int:
        """The trace id of the part."""
        return int.from_bytes(_digest(16, "trace", *self._place))

    def generate_span_id(self) -> int:
        """The next span id of the part."""
        self._spans += 1
        return int.from_bytes(_digest(8, "span", *self._place, str(self._spans)))

    def event_uid(self) -> str:
        """The next event uid of the part."""
        self._events += 1
        return _digest(16, "event", *self._place, str(self._events)).hex()


class ReplayClock:
    """A clock that can be set and that stands still until it is told to go on.

    So a turn and its events have the very same times in every replay, and only the turn's length
    is measured.

    Example:
        >>> clock = ReplayClock()
        >>> clock.set(10**18)
        >>> clock.time_ns() - 10**18
        0
        >>> clock.catch_up()
        >>> 0 < clock.time_ns() - 10**18 < 10**9
        True
    """

    def __init__(self) -> None:
        self._now = 0
        self._monotonic = 0
        self._real = 0

    def set(self, moment: int) -> None:
        """Sets the clock, in nanoseconds since 1970."""
        self._now = moment
        self._real = time.perf_counter_ns()

    def catch_up(self) -> None:
        """Goes on by the time that has really passed since the clock was set."""
        elapsed = time.perf_counter_ns() - self._real
        self._real += elapsed
        self._go(elapsed)

    def advance_to(self, moment: int) -> None:
        """Goes on to a moment; stays where it is if that has passed."""
        self._go(max(0, moment - self._now))

    def _go(self, nanoseconds: int) -> None:
        self._now += nanoseconds
        self._monotonic += nanoseconds

    def time_ns(self) -> int:
        """Nanoseconds since 1970."""
        return self._now

    def monotonic_ns(self) -> int:
        """Nanoseconds that never go back."""
        return self._monotonic
