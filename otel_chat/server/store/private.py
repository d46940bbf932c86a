"""What an embedded store writes is its owner's alone, and nothing of it is left elsewhere."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import stat
import tempfile
import threading
from pathlib import Path
from typing import Final

_log = logging.getLogger("otel_chat.server")

FOLDER_MODE: Final = 0o700
TEMPORARY: Final = "otel-chat.tmp"
_UMASK: Final = 0o077
_OTHERS: Final = 0o077
# The engine reads these in the name of a file as a pattern, and knows no way to quote them.
_PATTERN: Final = frozenset("*?{}")

_guard = threading.Lock()
_held: list[Path] = []
_before: tuple[int, str | None] = (0, None)


class PrivateFolder:
    """The folder of an embedded store, made if need be, closed to other users.

    While one is held, the process makes files that its user alone can read (the engine has no
    setting for it), and its temporary files lie in the folder: the client of the engine puts each
    body into one, which a killed process leaves behind, wherever it lies.

    Args:
        folder: The store's folder.

    Raises:
        OSError: It can be neither made nor used.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        self._folder = folder.resolve()
        self._temporary = self._folder / TEMPORARY
        self._outside = tempfile.gettempdir()
        close_to_others(self._folder)
        _change(take=self._temporary)

    def clean(self) -> None:
        """Removes what a process left that was killed; for whoever holds the store's lock."""
        shutil.rmtree(self._temporary, ignore_errors=True)
        self._temporary.mkdir(mode=FOLDER_MODE, exist_ok=True)

    def for_engine(self) -> str:
        """A folder for temporary files whose name the engine takes as it is."""
        return self._outside if _PATTERN & set(str(self._temporary)) else str(self._temporary)

    def release(self, *, clean: bool) -> None:
        """Ends it: the process makes files as it did before.

        Args:
            clean: Whether to remove the temporary files; for whoever holds the store's lock.
        """
        _change(give=self._temporary)
        if clean:
            shutil.rmtree(self._temporary, ignore_errors=True)


def _change(*, take: Path | None = None, give: Path | None = None) -> None:
    """Umask and folder of temporary files are the process': of several stores the last one's."""
    global _before  # noqa: PLW0603 - as they are
    with _guard:
        if take is not None:
            if not _held:
                _before = (os.umask(_UMASK), tempfile.tempdir)
            _held.append(take)
        if give is not None and give in _held:
            _held.remove(give)
            if not _held:
                os.umask(_before[0])
        tempfile.tempdir = str(_held[-1]) if _held else _before[1]


def close_to_others(folder: Path) -> None:
    """Takes from other users what they may do in a folder that was there before; says so."""
    mode = stat.S_IMODE(folder.stat().st_mode)
    if not mode & _OTHERS:
        return
    try:
        for place, folders, files in os.walk(folder):
            for name in (*folders, *files):
                with contextlib.suppress(FileNotFoundError):
                    _close(Path(place, name))
        folder.chmod(mode & ~_OTHERS)
    except PermissionError:
        _log.warning(
            "The store's folder %s is open to other users (mode %o), and this user may not"
            " change that. As its owner, run: chmod -R go= '%s'",
            folder, mode, folder,
        )  # fmt: skip
    else:
        _log.warning(
            "The store's folder %s was open to other users (mode %o): now it is its owner's alone.",
            folder, mode,
        )  # fmt: skip


def _close(path: Path) -> None:
    found = path.lstat()
    mode = stat.S_IMODE(found.st_mode)
    if mode & _OTHERS and not stat.S_ISLNK(found.st_mode):
        path.chmod(mode & ~_OTHERS)
