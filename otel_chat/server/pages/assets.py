"""Static files: read once, compressed once, and named after what they hold.

Their address holds a hash of all of them, so that a browser may keep them for good and a new
release is seen at once. A relative import within a script stays right under such an address.
"""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

ROOT: Final = Path(__file__).parent / "static"
TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".md": "text/plain; charset=utf-8",
    ".svg": "image/svg+xml",
    ".LICENSE": "text/plain; charset=utf-8",
}
FOR_GOOD: Final = "public, max-age=31536000, immutable"
ASK_AGAIN: Final = "no-cache"


@dataclass(frozen=True, slots=True)
class Asset:
    """A static file.

    Args:
        content: Its bytes.
        compressed: The same, compressed with gzip.
        media_type: Its type and character set.
    """

    content: bytes
    compressed: bytes
    media_type: str


@cache
def assets() -> dict[str, Asset]:
    """Every static file by its path below `static/`."""
    found = {}
    for path in sorted(ROOT.rglob("*")):
        if path.is_file():
            content = path.read_bytes()
            guessed = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
            found[path.relative_to(ROOT).as_posix()] = Asset(
                content,
                gzip.compress(content, 9, mtime=0),
                TYPES.get(path.suffix, guessed),
            )
    return found


@cache
def version() -> str:
    """A hash of all static files, of 12 hexadecimal digits."""
    digest = hashlib.sha256()
    for name, asset in assets().items():
        digest.update(f"{name}\0{len(asset.content)}\0".encode())
        digest.update(asset.content)
    return digest.hexdigest()[:12]


def address(name: str) -> str:
    """The address of a static file.

    Args:
        name: Its path below `static/`.

    Raises:
        KeyError: If there is none.

    Example:
        >>> address("css/base.css").startswith("/static/")
        True
    """
    if name not in assets():
        raise KeyError(name)
    return f"/static/{version()}/{name}"


def serve(request: Request, asked_version: str, name: str) -> Response:
    """A static file as an answer.

    Args:
        request: Says whether compressed content is welcome.
        asked_version: The version in the address; an outdated one is answered, but not kept.
        name: The file's path below `static/`.

    Raises:
        HTTPException: With status 404, if there is none.
    """
    asset = assets().get(name)
    if asset is None:
        raise HTTPException(404)
    headers = {
        "Cache-Control": FOR_GOOD if asked_version == version() else ASK_AGAIN,
        "Vary": "Accept-Encoding",
    }
    body = asset.content
    if "gzip" in request.headers.get("accept-encoding", "") and len(asset.compressed) < len(body):
        headers["Content-Encoding"] = "gzip"
        body = asset.compressed
    return Response(body, media_type=asset.media_type, headers=headers)
