"""Group commit: what arrives together is inserted together, and acknowledged when it is on disk."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from otel_chat.errors import IngestError, OtelChatError, StoreError, StoreUnavailableError

if TYPE_CHECKING:
    from otel_chat.server.ingest.check import Batch
    from otel_chat.server.store import Store

GROUP_BYTES: Final = 8 * 1024**2
QUEUE_BYTES: Final = 64 * 1024**2
WRITERS: Final = 2
ATTEMPTS: Final = 2
_MESSAGES: Final = {"traces": "Traces", "logs": "Logs"}
_UNREADABLE: Final = ("PROTOBUF", "CANNOT_PARSE", "TOO_LARGE_STRING_SIZE", "INCORRECT_DATA")

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
    body: bytes
    rows: Rows
    items: int
    loop: asyncio.AbstractEventLoop
    done: asyncio.Future[None] = field(repr=False)

    @property
    def size(self) -> int:
        return len(self.body) + 200 * len(self.rows)


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number >> 7:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


class Committer:
    """Joins the bodies of concurrent requests into one insert.

    Args:
        store: The store, migrated.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._queues: dict[str, deque[_Entry]] = {
            "traces": deque(),
            "logs": deque(),
            "metrics": deque(),
        }
        self._changed = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._open = False
        self.stats = CommitStats()

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

    async def commit(self, batch: Batch) -> None:
        """Returns when the batch is on disk.

        Args:
            batch: A body that was checked.

        Raises:
            StoreUnavailableError: If the store is away, behind, or stopping.
            IngestError: If the engine cannot read the body.
        """
        await self._enqueue(batch.signal, batch.body, (), batch.items)

    async def commit_metrics(self, rows: Rows) -> None:
        """Returns when the rows of the table `metrics` are on disk.

        Raises:
            StoreUnavailableError: If the store is away, behind, or stopping.
        """
        if rows:
            await self._enqueue("metrics", b"", rows, len(rows))

    async def _enqueue(self, signal: str, body: bytes, rows: Rows, items: int) -> None:
        loop = asyncio.get_running_loop()
        entry = _Entry(signal, body, rows, items, loop, loop.create_future())
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

    def _take(self) -> list[_Entry]:
        """The next group; empty when there is nothing left to do."""
        with self._changed:
            while not any(self._queues.values()):
                if not self._open:
                    return []
                self._changed.wait()
            queue = max(self._queues.values(), key=len)
            group: list[_Entry] = []
            size = 0
            while queue and (not group or size + queue[0].size <= GROUP_BYTES):
                entry = queue.popleft()
                size += entry.size
                group.append(entry)
            self.stats.queue_bytes -= size
            return group

    def _write(self, group: list[_Entry]) -> None:
        try:
            self._insert(group)
        except OtelChatError as error:
            if len(group) == 1:
                self._answer(group, self._retry(group, error))
                return
            for entry in group:
                self._write([entry])
        except BaseException as error:  # noqa: BLE001 - whoever waits must get an answer
            self._answer(group, StoreUnavailableError(f"The insert failed: {error!r}"))
        else:
            self._answer(group, None)

    def _retry(self, group: list[_Entry], error: OtelChatError) -> OtelChatError | None:
        """Inserts again: a view that failed may have left other tables without their part."""
        for _ in range(ATTEMPTS - 1):
            try:
                self._insert(group)
            except OtelChatError as again:
                error = again
            else:
                return None
        if isinstance(error, StoreError) and any(word in str(error) for word in _UNREADABLE):
            return IngestError(f"The store cannot read the body: {str(error)[:300]}")
        if isinstance(error, StoreUnavailableError):
            return error
        return StoreUnavailableError(f"The store failed: {str(error)[:300]}")

    def _insert(self, group: list[_Entry]) -> None:
        begun = time.monotonic()
        signal = group[0].signal
        try:
            if signal == "metrics":
                self._store.insert_rows("metrics", [row for entry in group for row in entry.rows])
            else:
                self._store.insert_otlp(
                    f"{signal}_in",
                    b"".join(_varint(len(e.body)) + e.body for e in group),
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
