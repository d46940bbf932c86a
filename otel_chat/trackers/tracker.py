"""`EventTracker`: typed events into telemetry at once, and into a store in batches."""

from __future__ import annotations

import asyncio
import atexit
import inspect
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import Any, Final, Protocol, Self

from otel_chat import semconv as sc
from otel_chat._telemetry import runtime as runtimes
from otel_chat._telemetry.runtime import report_error
from otel_chat.errors import ConfigurationError
from otel_chat.trackers._mapping import Mapper
from otel_chat.trackers.events import AnalyticsEvent

COMPONENT: Final = "event_tracker"
EXIT_SECONDS: Final = 5.0


class EventStore(Protocol):
    """Where batches of events go."""

    def batch_insert(self, events: list[AnalyticsEvent]) -> Awaitable[object] | object:
        """Keeps a batch; sync or async. Raises where it could not."""


class StreamProcessor(Protocol):
    """What sees each event at once."""

    def process(self, event: AnalyticsEvent) -> Awaitable[object] | object:
        """Takes one event; sync or async."""


class EventTracker:
    """Takes typed events: each becomes telemetry at once and is kept for the store in a buffer.

    The buffer is flushed when it holds `buffer_size` events, every interval of `start_auto_flush`,
    and at shutdown: by `stop_auto_flush`, on leaving `async with`, and at the end of the process,
    for 5 seconds at most. A full buffer loses nothing: `track` waits for the store, and what comes
    in the meantime is taken too. Where the store fails, the events stay in order and are tried
    again when as many more have come, or the interval is over; a store may so see a batch twice,
    and tells by `event_id`. Only above `limit` kept events the oldest are dropped, and counted in
    `otel_chat.telemetry.dropped`. Errors of store and processor are counted and logged once.

    Args:
        event_store: Has `batch_insert(events)`. Without one nothing is kept in the buffer.
        stream_processor: Has `process(event)`.
        buffer_size: Events that make a batch, 1 and more.
        limit: Events kept at most while the store fails, `buffer_size` and more.

    Raises:
        ConfigurationError: a size is out of range.

    Example:
        >>> import asyncio
        >>> from otel_chat.trackers import AnalyticsEvent, EventTracker
        >>> class Store(list):
        ...     async def batch_insert(self, events):
        ...         self.extend(events)
        >>> store = Store()
        >>> async def main():
        ...     async with EventTracker(store) as tracker:
        ...         await tracker.track(AnalyticsEvent(event_type="custom", session_id="s-1"))
        >>> asyncio.run(main())
        >>> len(store)
        1
    """

    def __init__(
        self,
        event_store: EventStore | None = None,
        stream_processor: StreamProcessor | None = None,
        buffer_size: int = 100,
        *,
        limit: int = 100_000,
    ) -> None:
        if buffer_size < 1 or limit < buffer_size:
            raise ConfigurationError(
                f"buffer_size must be 1 or more and limit not less, not {buffer_size} and {limit}."
            )
        self.event_store = event_store
        self.stream_processor = stream_processor
        self.buffer_size = buffer_size
        self.buffer: list[AnalyticsEvent] = []
        self.dropped = 0
        self._limit = limit
        self._due = buffer_size
        self._mapper = Mapper()
        self._writing: asyncio.Lock | None = None
        self._auto: asyncio.Task[None] | None = None
        self._at_exit = _AtExit(self._flush_at_exit)

    async def track(self, event: AnalyticsEvent) -> None:
        """Takes an event: telemetry, the stream processor, the buffer; flushes a full one."""
        self._observe(event)
        if self.event_store is not None:
            self._keep(event)
        if self.stream_processor is not None:
            try:
                await _settled(self.stream_processor.process(event))
            except Exception as error:  # noqa: BLE001 - the application's own processor
                report_error(COMPONENT, error)
        if len(self.buffer) >= self._due:
            await self.flush()

    async def flush(self) -> bool:
        """Writes what is in the buffer. False where the store failed; the events are kept then."""
        if self._writing is None:
            self._writing = asyncio.Lock()
        async with self._writing:
            return await self._write()

    async def start_auto_flush(self, interval: float = 60) -> None:
        """Flushes every `interval` seconds, more than 0, until `stop_auto_flush`.

        Raises:
            ConfigurationError: the interval is no such number.
        """
        if interval <= 0:
            raise ConfigurationError(f"interval must be more than 0 seconds, not {interval}.")
        if self._auto is None or self._auto.done():
            self._auto = asyncio.create_task(self._flush_every(interval))

    def stop_auto_flush(self) -> asyncio.Task[None] | None:
        """Stops flushing by time and flushes once more.

        Returns:
            The last flush, to be awaited or not; None where no event loop runs. What it cannot
            write is tried again at the end of the process.
        """
        auto, self._auto = self._auto, None
        if auto is not None:
            auto.cancel()
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return None
        self._last = loop.create_task(self._finish())
        return self._last

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        last = self.stop_auto_flush()
        if last is not None:
            await last

    # -- inside --------------------------------------------------------------------------------

    def _observe(self, event: AnalyticsEvent) -> None:
        try:
            self._mapper.take(event)
        except Exception as error:  # noqa: BLE001 - never in the way of the chat
            report_error(COMPONENT, error)

    def _keep(self, event: AnalyticsEvent) -> None:
        self.buffer.append(event)
        self._at_exit.arm()
        over = len(self.buffer) - self._limit
        if over > 0:
            del self.buffer[:over]
            self.dropped += over
            runtimes.current().dropped(sc.SIGNAL_EVENTS, over)

    async def _write(self) -> bool:
        while self.buffer and self.event_store is not None:
            batch = self.buffer[: self.buffer_size]
            del self.buffer[: len(batch)]
            try:
                await _settled(self.event_store.batch_insert(batch))
            except BaseException as error:
                self._take_back(batch)
                if not isinstance(error, Exception):
                    raise
                report_error(COMPONENT, error)
                return False
        self._due = self.buffer_size
        if not self.buffer:
            self._at_exit.disarm()
        return True

    def _take_back(self, batch: Sequence[AnalyticsEvent]) -> None:
        self.buffer[:0] = batch
        self._due = len(self.buffer) + self.buffer_size

    async def _flush_every(self, interval: float) -> None:
        while True:
            await asyncio.sleep(interval)
            try:
                await self.flush()
            except Exception as error:  # noqa: BLE001 - raised under test only; the task goes on
                report_error(COMPONENT, error)

    async def _finish(self) -> None:
        self._mapper.give_up()
        await self.flush()

    def _flush_at_exit(self) -> None:
        """Writes what no flush has written."""
        self._writing = None  # its event loop is over
        try:
            asyncio.run(asyncio.wait_for(self.flush(), EXIT_SECONDS))
        except Exception as error:  # noqa: BLE001 - the process ends either way
            report_error(COMPONENT, error)
        if left := len(self.buffer):
            runtimes.current().dropped(sc.SIGNAL_EVENTS, left)


class _AtExit:
    """Calls a function as the process ends, while it is armed; keeps its object until then."""

    def __init__(self, function: Callable[[], None]) -> None:
        self._function = function
        self._armed = False

    def arm(self) -> None:
        """There is something to write."""
        if not self._armed:
            self._armed = True
            atexit.register(self._function)

    def disarm(self) -> None:
        """There is nothing to write any more."""
        if self._armed:
            self._armed = False
            atexit.unregister(self._function)


async def _settled(result: Any) -> object:
    return await result if inspect.isawaitable(result) else result
