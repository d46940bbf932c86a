"""Where times and ids come from; replaceable, for tests and replays."""

from __future__ import annotations

import random
import time
from typing import Protocol


class Clock(Protocol):
    """Where times come from."""

    def time_ns(self) -> int:
        """Nanoseconds since 1970."""

    def monotonic_ns(self) -> int:
        """Nanoseconds that never go back."""


class Ids(Protocol):
    """Where the ids of events come from."""

    def event_uid(self) -> str:
        """A new `log.record.uid`; called in the thread that reports the event."""


class SystemClock:
    """The machine's clock."""

    time_ns = staticmethod(time.time_ns)
    monotonic_ns = staticmethod(time.monotonic_ns)


class RandomIds:
    """Random ids; the generator reseeds itself after a fork."""

    def event_uid(self) -> str:
        """128 random bits as hexadecimal digits."""
        return f"{random.getrandbits(128):032x}"
