"""What is going on right now, worked out once for all who watch."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Hashable, Iterator
from typing import Final

import anyio.to_thread

from otel_chat.errors import StoreUnavailableError
from otel_chat.server.questions.realtime import Realtime

EVERY_SECONDS: Final = 5.0
WATCHERS: Final = 200


class Live:
    """The streams that are open, and the answers that they share.

    Args:
        watchers: How many streams may be open at once.
        every: How often each gets an answer, in seconds.
    """

    def __init__(self, watchers: int = WATCHERS, every: float = EVERY_SECONDS) -> None:
        self.every = every
        self._free = watchers
        self._answers: dict[Hashable, tuple[float, asyncio.Task[Realtime]]] = {}
        self._closing: list[asyncio.Event] = []
        self._closed = False

    @contextlib.contextmanager
    def watch(self) -> Iterator[asyncio.Event]:
        """A place among the watchers.

        Yields:
            What is set when the server stops.

        Raises:
            StoreUnavailableError: If too many watch.
        """
        if not self._free or self._closed:
            raise StoreUnavailableError("Too many watch already: ask for /realtime now and then.")
        self._free -= 1
        closing = asyncio.Event()
        self._closing.append(closing)
        try:
            yield closing
        finally:
            self._closing.remove(closing)
            self._free += 1

    async def answer(self, key: Hashable, compute: Callable[[], Realtime]) -> Realtime:
        """The answer for `key`, which all who ask for it at about the same time share.

        Args:
            key: What the answer depends on.
            compute: Works it out; called in a thread.
        """
        now = time.monotonic()
        known = self._answers.get(key)
        if known is None or now - known[0] > self.every / 2:
            self._answers = {
                other: entry
                for other, entry in self._answers.items()
                if now - entry[0] <= self.every or not entry[1].done()
            }
            known = self._answers[key] = (now, asyncio.create_task(self._run(compute)))
        return await asyncio.shield(known[1])

    @staticmethod
    async def _run(compute: Callable[[], Realtime]) -> Realtime:
        # Among the threads of the queries: those of the checks of tokens stay free.
        return await anyio.to_thread.run_sync(compute)

    def close(self) -> None:
        """Ends all streams. Call it in the event loop."""
        self._closed = True
        for closing in self._closing:
            closing.set()
