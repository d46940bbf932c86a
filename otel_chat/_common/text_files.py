"""Text files as users have them: packed or not, and in the encoding that their first bytes tell."""

from __future__ import annotations

import codecs
import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, cast

from otel_chat.errors import ConfigurationError

UNREADABLE: Final = (OSError, EOFError, zlib.error, UnicodeError)
"""What reading such a file raises: it is away, no file, no whole gzip, or no text."""
_GZIP: Final = b"\x1f\x8b"
_HEAD: Final = 4


def lines(path: Path, limit: int) -> Iterator[bytes | None]:
    r"""The lines of a text file, as UTF-8 without a byte order mark.

    UTF-16 and UTF-32 are told by their byte order mark, or by the zeros about their first
    character. What is no text is passed on as it is: whoever reads the line can name it.

    Args:
        path: The file; as gzip where its content or its name (`.gz`, in any case) says so.
        limit: How long a line may be, in characters of UTF-16, else in bytes; at least 1.

    Yields:
        Each line with its end; None for one that is longer.

    Raises:
        OSError, EOFError, zlib.error, UnicodeError: See `UNREADABLE`.

    Example:
        >>> import tempfile
        >>> with tempfile.NamedTemporaryFile() as file:
        ...     _ = Path(file.name).write_bytes("a\nlong one\né".encode("utf-16"))
        ...     list(lines(Path(file.name), 4))
        [b'a\n', None, b'\xc3\xa9']
    """
    with _unpacked(path) as file:
        following = _reader(file, limit)
        while raw := following():
            if len(raw) < limit or raw.endswith(b"\n"):
                # Also within a file: several may have been put behind each other.
                yield raw.removeprefix(codecs.BOM_UTF8)
                continue
            while len(raw) >= limit and not raw.endswith(b"\n"):
                raw = following()
            yield None


def _reader(file: io.BufferedIOBase, limit: int) -> Callable[[], bytes]:
    """What gives the next line, or the first `limit` of it, in UTF-8."""
    encoding = json.detect_encoding(file.peek(_HEAD)[:_HEAD])  # type: ignore[attr-defined]
    if encoding.startswith("utf-8"):
        return lambda: file.readline(limit)
    text = io.TextIOWrapper(
        cast("io.BufferedReader", file), encoding, errors="surrogatepass", newline="\n"
    )
    return lambda: text.readline(limit).removeprefix("\ufeff").encode("utf-8", "surrogatepass")


def read(path: Path) -> str:
    """The text of a file.

    Args:
        path: The file, as for `lines`.

    Raises:
        OSError, EOFError, zlib.error, UnicodeError: See `UNREADABLE`.
    """
    with _unpacked(path) as file:
        raw = file.read()
    return raw.decode(json.detect_encoding(raw[:_HEAD])).removeprefix("\ufeff")


def data(path: Path, what: str) -> Any:
    """What a file of TOML holds, by its name, or else of JSON; fractions exactly.

    Args:
        path: The file, as for `lines`; its name may end in `.gz` beside.
        what: What messages call it.

    Raises:
        ConfigurationError: It cannot be read, or is neither.
    """
    import tomllib

    suffixes = [suffix.lower() for suffix in path.suffixes]
    loads = tomllib.loads if ".toml" in suffixes[-2:] else json.loads
    try:
        return loads(read(path), parse_float=Decimal)
    except (*UNREADABLE, ValueError, RecursionError) as error:
        raise ConfigurationError(f"{what} {path}: {error}") from error


def _unpacked(path: Path) -> io.BufferedIOBase:
    file = path.open("rb")
    try:
        if path.suffix.lower() == ".gz" or file.peek(2)[:2] == _GZIP:
            # In a buffer of its own, which can be looked into.
            return cast("io.BufferedIOBase", io.BufferedReader(cast("io.RawIOBase", _Gzip(file))))
    except BaseException:
        file.close()
        raise
    return file


class _Gzip(gzip.GzipFile):
    """A packed file that closes what it reads."""

    def __init__(self, packed: io.BufferedReader) -> None:
        super().__init__(fileobj=packed, mode="rb")
        self._packed = packed

    def close(self) -> None:
        """Closes both."""
        try:
            super().close()
        finally:
            self._packed.close()
