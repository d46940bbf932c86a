"""Answers that flow out of the store piece by piece, and end as they should or not at all.

An answer without a length ends with an empty chunk. If the store fails on the way, that chunk is
never sent and the connection is cut: no client takes the part for the whole.
"""

from __future__ import annotations

import asyncio
import io
import logging
import zipfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, TypeVar

from starlette.responses import StreamingResponse

from otel_chat.errors import StoreError, StoreUnavailableError

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

T = TypeVar("T")
_log = logging.getLogger("otel_chat.server")

AT_ONCE: Final = 2
_FIRST_DAY: Final = (1980, 1, 1, 0, 0, 0)


class Lanes:
    """The threads that exports are read in: one for each, so that few run at once.

    A stream of the store is bound to the thread that began it.

    Args:
        count: How many exports may run at once.
    """

    def __init__(self, count: int = AT_ONCE) -> None:
        self._free = [
            ThreadPoolExecutor(max_workers=1, thread_name_prefix="otel-chat-export")
            for _ in range(count)
        ]

    def take(self) -> ThreadPoolExecutor:
        """A lane that nobody uses.

        Raises:
            StoreUnavailableError: If there is none.
        """
        if not self._free:
            raise StoreUnavailableError(
                "Other exports are running: try again when they have ended."
            )
        return self._free.pop()

    def give_back(self, lane: ThreadPoolExecutor) -> None:
        """A lane whose stream is closed."""
        self._free.append(lane)


class Flow:
    """A stream of the store that is read in a lane.

    Args:
        lanes: Where to take the lane from.
        start: What begins the stream.
    """

    def __init__(self, lanes: Lanes, start: Callable[[], Iterator[bytes]]) -> None:
        self._lanes = lanes
        self._lane = lanes.take()
        self._start = start
        self._pieces: Iterator[bytes] = iter(())
        self._first = b""

    async def begin(self) -> None:
        """Read the first piece, so that what is wrong from the start is said in full."""
        try:
            self._first = await self._in_lane(self._begin)
        except BaseException:
            self.close()
            raise

    def _begin(self) -> bytes:
        self._pieces = self._start()
        return next(self._pieces, b"")

    def _next(self) -> bytes | None:
        return next(self._pieces, None)

    async def _in_lane(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._lane, work)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """The pieces in order."""
        yield self._first
        while (piece := await self._in_lane(self._next)) is not None:
            yield piece

    def close(self) -> None:
        """Stop reading, and free the lane as soon as it is done with its piece."""

        def end() -> None:
            close: Callable[[], None] | None = getattr(self._pieces, "close", None)
            try:
                if close is not None:
                    close()
            finally:
                self._lanes.give_back(self._lane)

        self._lane.submit(end)


class FlowResponse(StreamingResponse):
    """An answer that is a `Flow`; the lane is freed however the answer ends."""

    def __init__(self, flow: Flow, *, media_type: str, headers: Mapping[str, str]) -> None:
        super().__init__(flow, media_type=media_type, headers=headers)
        self._flow = flow

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request."""
        try:
            await super().__call__(scope, receive, send)
        except StoreError as error:
            # It has begun: without its last chunk the server cuts the connection.
            _log.error("An export broke off: %s", error)
        finally:
            self._flow.close()


class _Outlet(io.RawIOBase):
    """A file to write to, whose content is taken out again as it comes."""

    def __init__(self) -> None:
        self._content = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: object, /) -> int:
        piece = bytes(data)  # type: ignore[call-overload]  # whatever has a buffer
        self._content += piece
        return len(piece)

    def take(self) -> bytes:
        """What was written since the last time."""
        content = bytes(self._content)
        self._content.clear()
        return content


def zipped(files: Mapping[str, Callable[[], Iterator[bytes]]]) -> Iterator[bytes]:
    """A zip archive as it grows, the same for the same content.

    Args:
        files: What starts each file's stream, by the file's name.

    Example:
        >>> whole = b"".join(zipped({"a.txt": lambda: iter([b"one", b"two"])}))
        >>> zipfile.ZipFile(io.BytesIO(whole)).read("a.txt")
        b'onetwo'
    """
    outlet = _Outlet()
    with zipfile.ZipFile(outlet, "w") as archive:
        for name, start in files.items():
            entry = zipfile.ZipInfo(name, _FIRST_DAY)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o600 << 16
            with archive.open(entry, "w", force_zip64=True) as file:
                for piece in start():
                    file.write(piece)
                    yield outlet.take()
        # The directory comes last: a cut archive does not open.
    yield outlet.take()
