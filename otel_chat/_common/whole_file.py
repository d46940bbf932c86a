"""Files that stand under their name when they are whole, or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from otel_chat.errors import ConfigurationError


@contextlib.contextmanager
def writing(target: Path) -> Iterator[Output]:
    """A file to write; it gets its name, and the place of what had it, at the end of the block.

    It grows beside under another name, which is gone after an error. What is no regular file, as
    /dev/stdout or a pipe, is written to as it is.

    Args:
        target: The file. Of a symbolic link what it leads to is written.

    Raises:
        ConfigurationError: It cannot be written: said before the block where that can be known.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with writing(Path(folder, "x")) as file:
        ...         file.write(b"all of it")
        ...     Path(folder, "x").read_bytes()
        b'all of it'
    """
    with _said(target):
        place = target.resolve()
        mode = _mode(place)
        folder = _mode(place.parent)
    if mode is not None and stat.S_ISDIR(mode):
        raise ConfigurationError(f"{target} cannot be written: it is a folder; name a file in it.")
    if mode is not None and not stat.S_ISREG(mode):
        with _said(target):
            file = place.open("wb")
        with contextlib.closing(file):
            yield Output(file, target)
            with _said(target):
                file.flush()
        return
    if mode is not None and not os.access(place, os.W_OK):
        raise ConfigurationError(f"{target} cannot be written: Permission denied.")
    if folder is None:
        raise ConfigurationError(
            f"{target} cannot be written: there is no folder {place.parent}; make it first."
        )
    # A short name of nobody else's, in the same folder: so that it can take the other's place.
    part = place.with_name(f".otel-chat-{secrets.token_hex(8)}.part")
    with _said(target):
        file = part.open("xb")
    try:
        yield Output(file, target)
        with _said(target):
            file.flush()
            os.fsync(file.fileno())
            if mode is not None:
                os.fchmod(file.fileno(), stat.S_IMODE(mode))
            file.close()
            part.replace(place)
    finally:
        with contextlib.suppress(OSError):  # what it would say of a full disk has been said
            file.close()
        part.unlink(missing_ok=True)


class Output:
    """A file that is written to; what goes wrong there is said with its name.

    Args:
        file: The file.
        target: Its name.
    """

    def __init__(self, file: BinaryIO, target: Path) -> None:
        self._file = file
        self._target = target
        self.size = 0

    def write(self, piece: bytes) -> None:
        """Writes a piece.

        Raises:
            ConfigurationError: It cannot be written, as on a full disk.
        """
        with _said(self._target):
            self._file.write(piece)
        self.size += len(piece)


def _mode(path: Path) -> int | None:
    """The mode of a file, None where there is none."""
    try:
        return path.stat().st_mode
    except FileNotFoundError:
        return None


@contextlib.contextmanager
def _said(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigurationError(f"{target} cannot be written: {error.strerror}.") from error
    except (RuntimeError, ValueError) as error:  # a loop of links; a NUL in the name
        raise ConfigurationError(f"{target} cannot be written: {error}.") from error
