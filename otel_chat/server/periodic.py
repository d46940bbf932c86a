"""What a server does again and again, in a thread of its own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

_log = logging.getLogger("otel_chat.server")


class Periodic:
    """Calls something at once, and then every so often or when it is woken, until it is stopped.

    Args:
        name: The thread's name.
        seconds: How long to wait between two calls where nobody wakes it.
        act: What to do; an error that it does not handle is logged, and the next time comes.
    """

    def __init__(self, name: str, seconds: float, act: Callable[[], object]) -> None:
        self._name = name
        self._seconds = seconds
        self._act = act
        self._woken = threading.Event()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begins."""
        self._stopped.clear()
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Has the next call come at once."""
        self._woken.set()

    def stop(self) -> None:
        """Ends; waits for a call that runs."""
        self._stopped.set()
        self._woken.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._woken.clear()
            try:
                self._act()
            except Exception:  # noqa: BLE001 - the one place for what nobody foresaw
                _log.exception("%s failed; it is tried again in %g s", self._name, self._seconds)
            self._woken.wait(self._seconds)
