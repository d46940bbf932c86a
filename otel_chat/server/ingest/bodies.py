"""From a request to the bytes of a protobuf message, within limits."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final

from otel_chat.errors import IngestError

if TYPE_CHECKING:
    from starlette.requests import Request

PROTOBUF: Final = "application/x-protobuf"
JSON: Final = "application/json"
SENT_BYTES: Final = 16 * 1024**2
UNPACKED_BYTES: Final = 64 * 1024**2
# Senders pack into one; each further one costs a copy of all that follows it.
GZIP_MEMBERS: Final = 64
_GZIP: Final = 16 + zlib.MAX_WBITS


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
    """Unpacks gzip, no further than the limit.

    Args:
        packed: One or several gzip members, at most `GZIP_MEMBERS`.
        limit: The most bytes that may come out.

    Raises:
        IngestError: With status 400 if it is no whole gzip or has too many members, 413 if more
            would come out.

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
                message = f"content-encoding: the gzip data has more than {GZIP_MEMBERS} members."
                raise IngestError(message)
            inflate = zlib.decompressobj(_GZIP)
            out += inflate.decompress(packed, limit + 1 - len(out))
            if len(out) > limit:
                raise IngestError(f"The body unpacks to more than {limit} bytes.", status=413)
            if not inflate.eof:
                raise IngestError("content-encoding: the gzip data ends early.")
            packed = inflate.unused_data
    except zlib.error as error:
        raise IngestError(f"content-encoding: this is no gzip data ({error}).") from error
    return bytes(out)


async def read_body(request: Request) -> tuple[bytes, bool]:
    """The body of a request as it was sent, and whether it is packed.

    Raises:
        IngestError: With status 413 or 415, saying what is wrong.
    """
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("gzip", "identity", ""):
        raise IngestError("content-encoding: send gzip, or none.", status=415)
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > SENT_BYTES:
            raise IngestError(f"The body has more than {SENT_BYTES} bytes.", status=413)
        parts.append(part)
    body = b"".join(parts)
    return body, encoding == "gzip" and bool(body)
