"""The conversations that this process has seen lately."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from opentelemetry.trace import SpanContext


class Predecessor:
    """The turn before, as a turn links to it.

    Args:
        context: Its span.
    """

    __slots__ = ("context", "kept")

    def __init__(self, context: SpanContext) -> None:
        self.context = context
        self.kept = False  # known once its end is worked out


class Seen:
    """What the process remembers of a conversation."""

    __slots__ = (
        "ended",
        "fallbacks",
        "handed_off",
        "last_ns",
        "negatives",
        "previous",
        "series",
        "turns",
    )

    def __init__(self, now_ns: int) -> None:
        self.last_ns = now_ns
        self.previous: Predecessor | None = None
        self.series = ("", "")
        self.turns = self.fallbacks = self.negatives = 0
        self.handed_off = False
        self.ended = False


class ConversationTable:
    """A bounded table, the longest untouched first; an idle conversation is not active.

    Args:
        limit: Conversations remembered at most.
        idle: Seconds after which a conversation is idle.

    Example:
        >>> table = ConversationTable(limit=2, idle=60)
        >>> [table.touch(name, 0)[1] for name in ("a", "b", "c", "a")]
        [True, True, True, True]
    """

    def __init__(self, *, limit: int, idle: float) -> None:
        self._limit = limit
        self._idle_ns = int(idle * 1e9)
        self.clear()

    def clear(self) -> None:
        """Forgets everything; with a new lock, for the child of a fork."""
        self._lock = threading.Lock()
        self._seen: dict[str, Seen] = {}
        self._series: set[tuple[str, str]] = set()

    def touch(self, conversation_id: str, now_ns: int) -> tuple[Seen, bool]:
        """The conversation, and whether it is new to this process or was idle or ended."""
        with self._lock:
            seen = self._seen.pop(conversation_id, None)
            new = seen is None or seen.ended or now_ns - seen.last_ns > self._idle_ns
            if seen is None:
                seen = Seen(now_ns)
                if len(self._seen) >= self._limit:
                    del self._seen[next(iter(self._seen))]
            if new:
                seen.fallbacks = seen.negatives = 0
                seen.handed_off = False
            seen.last_ns = now_ns
            seen.ended = False
            self._seen[conversation_id] = seen
        return seen, new

    def end(self, conversation_id: str) -> None:
        """Notes an explicit end: not active from now on."""
        with self._lock:
            seen = self._seen.get(conversation_id)
            if seen is not None:
                seen.ended = True

    def active(self, now_ns: int, *, zero: bool = False) -> Mapping[tuple[str, ...], float]:
        """Active conversations by agent and channel; 0 for those that were seen before."""
        with self._lock:
            open_now = [
                seen.series
                for seen in self._seen.values()
                if not seen.ended and now_ns - seen.last_ns <= self._idle_ns
            ]
        self._series.update(open_now)
        counts: dict[tuple[str, ...], float] = dict.fromkeys(self._series, 0.0)
        if not zero:
            for series in open_now:
                counts[series] += 1
        return counts
