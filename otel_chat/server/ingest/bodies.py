"""From a request to the bytes of a protobuf message, within limits."""

from __future__ import annotations

import asyncio
import contextlib
import zlib
from typing import TYPE_CHECKING, Final

from otel_chat.errors import IngestError, StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

PROTOBUF: Final = "application/x-protobuf"
JSON: Final = "application/json"
SENT_BYTES: Final = 16 * 1024**2
UNPACKED_BYTES: Final = 64 * 1024**2
# In JSON each value costs a multiple of its text in memory.
JSON_BYTES: Final = 16 * 1024**2
# Of all bodies that are being read and checked; further ones are to come again.
HELD_BYTES: Final = 128 * 1024**2
# Large ones at once: each takes a multiple of its size for as long as it is checked.
CHECKED_AT_ONCE: Final = 2
# Senders pack into one; each further one costs a copy of all that follows it.
GZIP_MEMBERS: Final = 64
PACKED: Final = ("gzip", "deflate")
"""The encodings that OpenTelemetry's own exporters can be told to send."""
# Which of them it is stands in its first bytes.
_EITHER: Final = 32 + zlib.MAX_WBITS


def content_type(request: Request) -> str:
    """The kind of body, of `PROTOBUF` and `JSON`.

    Raises:
        IngestError: With status 415 for any other.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in (PROTOBUF, JSON):
        raise IngestError(f"content-type: send {PROTOBUF} or {JSON}.", status=415)
    return kind


def unpack(packed: bytes, limit: int = UNPACKED_BYTES) -> bytes:
    """Unpacks gzip or deflate, no further than the limit.

    Args:
        packed: One or several members, at most `GZIP_MEMBERS`.
        limit: The most bytes that may come out.

    Raises:
        IngestError: With status 400 if it is neither or ends early or has too many members, 413 if
            more would come out.

    Example:
        >>> import gzip
        >>> unpack(gzip.compress(b"hello"))
        b'hello'
    """
    out = bytearray()
    members = 0
    try:
        while packed:
            members += 1
            if members > GZIP_MEMBERS:
                message = f"content-encoding: the data has more than {GZIP_MEMBERS} members."
                raise IngestError(message)
            inflate = zlib.decompressobj(_EITHER)
            out += inflate.decompress(packed, limit + 1 - len(out))
            if len(out) > limit:
                raise IngestError(f"The body unpacks to more than {limit} bytes.", status=413)
            if not inflate.eof:
                raise IngestError("content-encoding: the packed data ends early.")
            packed = inflate.unused_data
    except zlib.error as error:
        raise IngestError(
            f"content-encoding: this is neither gzip nor deflate ({error})."
        ) from error
    return bytes(out)


def limit_of(kind: str) -> int:
    """The most bytes of an unpacked body of a content type."""
    return JSON_BYTES if kind == JSON else UNPACKED_BYTES


class Intake:
    """What is being read and checked at one time, within limits.

    Attributes:
        checks: To be held while a large body is checked.
    """

    def __init__(self) -> None:
        self.checks = asyncio.Semaphore(CHECKED_AT_ONCE)
        self._held = 0

    @contextlib.asynccontextmanager
    async def take(self, request: Request, kind: str) -> AsyncIterator[tuple[bytes, bool]]:
        """The body of a request as it was sent, and whether it is packed, for as long as needed.

        Args:
            request: The request.
            kind: Its content type.

        Raises:
            IngestError: With status 413 or 415, saying what is wrong.
            StoreUnavailableError: If too much is being read already.
        """
        encoding = request.headers.get("content-encoding", "identity").strip().lower()
        if encoding not in (*PACKED, "identity", ""):
            raise IngestError("content-encoding: send gzip, deflate or none.", status=415)
        limit = min(SENT_BYTES, limit_of(kind))
        parts: list[bytes] = []
        size = 0
        try:
            async for part in request.stream():
                size += len(part)
                self._held += len(part)
                if size > limit:
                    raise IngestError(f"The body has more than {limit} bytes.", status=413)
                if self._held > HELD_BYTES:
                    message = "Too much telemetry arrives at once."
                    raise StoreUnavailableError(message, retry_after=1)
                parts.append(part)
            body = b"".join(parts)
            parts.clear()
            yield body, encoding in PACKED and bool(body)
        finally:
            self._held -= size
