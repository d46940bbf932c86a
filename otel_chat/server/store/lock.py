"""One process holds an embedded store; a second is told who."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import sys
from datetime import UTC, datetime
from pathlib import Path

from otel_chat.errors import StoreLockedError

LOCK_NAME = "otel-chat.lock"


class StoreLock:
    """Holds the lock file of an embedded store until `release`, or the end of the process.

    Args:
        folder: The store's folder, which exists.

    Raises:
        StoreLockedError: If another process holds it; names that process.
    """

    def __init__(self, folder: Path) -> None:
        self._file = (folder / LOCK_NAME).open("a+", encoding="utf-8")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = self._holder()
            self._file.close()
            message = (
                f"The store {folder} is in use by {holder}. Stop that process, or ask it with"
                " --server URL."
            )
            raise StoreLockedError(message) from error
        self._file.seek(0)
        self._file.truncate()
        json.dump(
            {
                "pid": os.getpid(),
                "host": socket.gethostname(),
                "command": " ".join(sys.argv[:2]) or sys.executable,
                "since": datetime.now(UTC).isoformat(timespec="seconds"),
            },
            self._file,
        )
        self._file.flush()

    def _holder(self) -> str:
        self._file.seek(0)
        try:
            written = json.load(self._file)
            return (
                f"process {written['pid']} on {written['host']} ({written['command']}, since"
                f" {written['since']})"
            )
        except (ValueError, KeyError, TypeError):
            return "another process"

    def release(self) -> None:
        """Gives the store free."""
        self._file.close()
