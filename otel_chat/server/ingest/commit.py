"""Group commit: what arrives together is inserted together, and acknowledged when it is on disk."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from otel_chat.errors import IngestError, OtelChatError, StoreUnavailableError
from otel_chat.server.ingest.wire import varint

if TYPE_CHECKING:
    from otel_chat.server.ingest.check import Batch
    from otel_chat.server.store import Store

GROUP_BYTES: Final = 8 * 1024**2
QUEUE_BYTES: Final = 64 * 1024**2
ENOUGH_BYTES: Final = 512 * 1024
"""So much is inserted at once. A smaller insert costs as much, so of less one is made at a time,
and what came meanwhile waits a moment for more to go with."""
MOMENT_SECONDS: Final = 0.05
WRITERS: Final = 2
BUSY: Final = 0.9
"""The share of their time that writers write who are said to be busy."""
_MESSAGES: Final = {"traces": "Traces", "logs": "Logs"}
# What says that the data cannot be taken: the engine, or its driver.
_AT_FAULT: Final = (OtelChatError, ValueError, TypeError, ArithmeticError, LookupError)
_REFUSED: Final = "The store cannot take what the body holds; the server's log says why."

_log = logging.getLogger("otel_chat.server")

Rows = Sequence[Mapping[str, object]]


@dataclass(slots=True)
class CommitStats:
    """What the committer has done since it started.

    Args:
        bodies: Request bodies that are on disk.
        items: Spans, log records and data points in them.
        inserts: Inserts that took them there.
        insert_seconds: The time that those took, in seconds.
        failed: Inserts that failed, retried ones included.
        queue_bytes: What waits now, in bytes.
    """

    bodies: int = 0
    items: int = 0
    inserts: int = 0
    insert_seconds: float = 0.0
    failed: int = 0
    queue_bytes: int = 0


@dataclass(slots=True)
class _Entry:
    signal: str
    bodies: tuple[bytes, ...]
    rows: Rows
    items: int
    loop: asyncio.AbstractEventLoop
    done: asyncio.Future[None] = field(repr=False)

    @property
    def size(self) -> int:
        return sum(map(len, self.bodies)) + 200 * len(self.rows)


class Committer:
    """Joins the bodies of concurrent requests into one insert.

    Args:
        store: The store, migrated.
        committed: Called after each insert, in the thread that made it.
    """

    def __init__(self, store: Store, committed: Callable[[], object] = lambda: None) -> None:
        self._store = store
        self._committed = committed
        self._queues: dict[str, deque[_Entry]] = {
            "traces": deque(),
            "logs": deque(),
            "metrics": deque(),
        }
        self._changed = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._open = False
        self.stats = CommitStats()
        self._asked = (time.monotonic(), 0.0)
        self._writing = 0
        self._not_before = 0.0

    def start(self) -> None:
        """Starts the writing threads."""
        self._open = True
        self._threads = [
            threading.Thread(target=self._run, name=f"otel-chat-writer-{n}", daemon=True)
            for n in range(WRITERS)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Refuses what comes from now on, writes what waits, and ends the threads."""
        with self._changed:
            self._open = False
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()
        self._threads = []

    def busy(self) -> bool:
        """Whether telemetry takes the machine: writers hardly paused since it was last asked."""
        before, self._asked = self._asked, (time.monotonic(), self.stats.insert_seconds)
        passed, written = (now - then for now, then in zip(self._asked, before, strict=True))
        return written > BUSY * WRITERS * passed

    async def commit(self, batch: Batch) -> None:
        """Returns when the batch is on disk.

        Args:
            batch: A body that was checked.

        Raises:
            StoreUnavailableError: If the store is away, behind, or stopping.
            IngestError: If the engine cannot read the body.
        """
        await self._enqueue(batch.signal, batch.bodies, (), batch.items)

    async def commit_metrics(self, rows: Rows) -> None:
        """Returns when the rows of the table `metrics` are on disk.

        Raises:
            StoreUnavailableError: If the store is away, behind, or stopping.
        """
        if rows:
            await self._enqueue("metrics", (), rows, len(rows))

    async def _enqueue(
        self, signal: str, bodies: tuple[bytes, ...], rows: Rows, items: int
    ) -> None:
        loop = asyncio.get_running_loop()
        entry = _Entry(signal, bodies, rows, items, loop, loop.create_future())
        with self._changed:
            if not self._open:
                raise StoreUnavailableError("The server is stopping.")
            if self.stats.queue_bytes > QUEUE_BYTES:
                raise StoreUnavailableError("The store is behind.", retry_after=1)
            self._queues[signal].append(entry)
            self.stats.queue_bytes += entry.size
            self._changed.notify()
        # A sender that leaves does not take back what it sent.
        await asyncio.shield(entry.done)

    def _run(self) -> None:
        while group := self._take():
            self._write(group)
            with self._changed:
                self._writing -= 1
                if any(self._queues.values()):
                    self._not_before = time.monotonic() + MOMENT_SECONDS
                self._changed.notify_all()

    def _take(self) -> list[_Entry]:
        """The next group; empty when there is nothing left to do."""
        with self._changed:
            while (left := self._left()) is None or left > 0:
                if left is None and not self._open:
                    return []
                self._changed.wait(left)
            self._writing += 1
            queue = max(self._queues.values(), key=len)
            group: list[_Entry] = []
            size = 0
            while queue and (not group or size + queue[0].size <= GROUP_BYTES):
                entry = queue.popleft()
                size += entry.size
                group.append(entry)
            self.stats.queue_bytes -= size
            return group

    def _left(self) -> float | None:
        """How long what waits still has to, in seconds; None where an event is waited for."""
        if not any(self._queues.values()):
            return None
        if not self._open or self.stats.queue_bytes >= ENOUGH_BYTES:
            return 0
        return None if self._writing else self._not_before - time.monotonic()

    def _write(self, group: list[_Entry], *, again: bool = True) -> None:
        """Inserts a group; where its data is at fault, halves of it, down to the body that is.

        What failed is inserted once more: a view may have left other tables without their part.
        """
        try:
            self._insert(group)
        except StoreUnavailableError as away:
            if again:
                self._write(group, again=False)
            else:
                self._answer(group, away)
        except _AT_FAULT as error:
            if len(group) > 1:
                half = len(group) // 2
                self._write(group[:half])
                self._write(group[half:])
            elif again:
                self._write(group, again=False)
            else:
                # The store is there and takes others; sent again, this would be refused again.
                _log.error("The store refused a body of %s: %s", group[0].signal, error)
                self._answer(group, IngestError(_REFUSED))
        except BaseException as error:  # noqa: BLE001 - whoever waits must get an answer
            _log.error("An insert failed", exc_info=error)
            self._answer(group, StoreUnavailableError(f"{error!r}", told="The store failed."))
        else:
            self._answer(group, None)

    def _insert(self, group: list[_Entry]) -> None:
        begun = time.monotonic()
        signal = group[0].signal
        try:
            if signal == "metrics":
                self._store.insert_rows("metrics", [row for entry in group for row in entry.rows])
            else:
                self._store.insert_otlp(
                    f"{signal}_in",
                    b"".join(varint(len(body)) + body for e in group for body in e.bodies),
                    message=_MESSAGES[signal],
                )
        except BaseException:
            self._count(failed=1)
            raise
        self._count(
            bodies=len(group),
            items=sum(entry.items for entry in group),
            inserts=1,
            insert_seconds=time.monotonic() - begun,
        )
        self._committed()

    def _count(self, **by: Any) -> None:
        with self._changed:
            for name, amount in by.items():
                setattr(self.stats, name, getattr(self.stats, name) + amount)

    def _answer(self, group: list[_Entry], error: OtelChatError | None) -> None:
        for loop in {entry.loop for entry in group}:
            waiting = [entry.done for entry in group if entry.loop is loop]
            try:
                loop.call_soon_threadsafe(_resolve, waiting, error)
            except RuntimeError:
                continue  # that loop is closed: nobody waits there any more


def _resolve(waiting: list[asyncio.Future[None]], error: OtelChatError | None) -> None:
    for done in waiting:
        if done.done():
            continue
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)
            done.exception()  # one that nobody awaits any more is no warning in the log
