"""A clock that moves by being read, and ids that count: the same run gives the same telemetry."""

from __future__ import annotations

import itertools
import threading
from typing import Final

from opentelemetry.sdk.trace.id_generator import IdGenerator

START_NS: Final = 1_767_225_600_000_000_000
"""2026-01-01 00:00:00 UTC, where a stepped clock begins."""

STEP_NS: Final = 1_000_000


class SteppedClock:
    """A clock that goes on by a step each time it is read, and by `advance`.

    Args:
        start_ns: The first time that it tells, in nanoseconds since 1970.
        step_ns: How far each reading moves it, in nanoseconds; 0 makes it stand still.

    Example:
        >>> clock = SteppedClock(start_ns=0, step_ns=1)
        >>> clock.time_ns(), clock.monotonic_ns()
        (0, 1)
        >>> clock.advance(seconds=2)
        >>> clock.time_ns()
        2000000002
    """

    def __init__(self, start_ns: int = START_NS, step_ns: int = STEP_NS) -> None:
        self._now = start_ns
        self._step = step_ns
        self._lock = threading.Lock()

    def time_ns(self) -> int:
        """Nanoseconds since 1970."""
        with self._lock:
            now = self._now
            self._now += self._step
            return now

    monotonic_ns = time_ns

    def advance(self, seconds: float) -> None:
        """Lets time pass.

        Args:
            seconds: How much; not negative.
        """
        with self._lock:
            self._now += round(seconds * 1_000_000_000)


class CountingIds(IdGenerator):
    """Ids 1, 2, 3 ... for traces, spans and events, each by its own count.

    Example:
        >>> ids = CountingIds()
        >>> ids.generate_span_id(), ids.generate_span_id(), ids.generate_trace_id()
        (1, 2, 1)
        >>> ids.event_uid()
        '00000000000000000000000000000001'
    """

    def __init__(self) -> None:
        self._traces = itertools.count(1)
        self._spans = itertools.count(1)
        self._events = itertools.count(1)

    def generate_trace_id(self) -> int:
        """The next trace id."""
        return next(self._traces)

    def generate_span_id(self) -> int:
        """The next span id."""
        return next(self._spans)

    def event_uid(self) -> str:
        """The next `log.record.uid`."""
        return f"{next(self._events):032x}"
