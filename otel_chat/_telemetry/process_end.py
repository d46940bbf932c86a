"""Every way in which a process may end: what is queued is sent on each that leaves a chance.

`atexit` is one of several: children of multiprocessing and Celery's workers end by `os._exit`,
which runs nothing of it, and SIGTERM ends a process at once where nobody handles it.
"""

from __future__ import annotations

import _thread
import atexit
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import parent_process
from multiprocessing import util as processes
from types import FrameType
from typing import Any, Final, Protocol

FIRST: Final = 100
"""Priority of a finaliser of multiprocessing: before those that take managers and queues away."""


class LastWord:
    """Lets SIGTERM wait where it interrupts the very thread that says the last word.

    Its handler runs on top of what it interrupts, so what it waited for would wait for it.
    """

    def __init__(self) -> None:
        self._thread: int | None = None
        self._signal: int | None = None

    @contextmanager
    def said(self) -> Iterator[None]:
        """What is said within is said to its end."""
        before, self._thread = self._thread, threading.get_ident()
        try:
            yield
        finally:
            self._thread = before
            if before is None and self._signal is not None:
                _die(self._signal)

    def interrupted(self, number: int) -> bool:
        """Whether this thread is saying it; the signal then takes effect afterwards."""
        if self._thread != threading.get_ident():
            return False
        self._signal = number
        return True


class Ending(Protocol):
    """What has a last word to say."""

    @property
    def last_word(self) -> LastWord:
        """Tells whether it is being said."""

    def end(self) -> bool:
        """Says it; once, whoever calls it and how often."""


def watch(runtime: Ending, *, seconds: float, sigterm: bool) -> None:
    """Has `runtime.end` called however this process and its children end.

    Args:
        runtime: What has a last word to say.
        seconds: How long it may take where a signal ends the process.
        sigterm: Whether SIGTERM is handled, where the application does not.
    """
    atexit.register(runtime.end)
    if parent_process() is not None:
        _finalise(runtime)
    processes.register_after_fork(runtime, _finalise)
    billiard = sys.modules.get("billiard.util")  # Celery's multiprocessing
    if billiard is not None:
        billiard.register_after_fork(runtime, _finalise_billiard)
    _connect_celery(runtime)
    if hasattr(os, "register_at_fork"):
        # Celery may have been imported since; its signals come from within the worker's process
        os.register_at_fork(after_in_child=lambda: _connect_celery(runtime))
    if sigterm:
        _on_sigterm(runtime, seconds)


def _finalise(runtime: Ending) -> None:
    processes.Finalize(None, runtime.end, exitpriority=FIRST)


def _finalise_billiard(runtime: Ending) -> None:
    sys.modules["billiard.util"].Finalize(None, runtime.end, exitpriority=FIRST)


def _connect_celery(runtime: Ending) -> None:
    """Celery's worker processes end by `os._exit`, after `worker_process_shutdown`."""
    signals: Any = sys.modules.get("celery.signals")
    if signals is None:
        return

    def ended(**_: object) -> None:
        runtime.end()

    # The id keeps a second connection from being made
    signals.worker_process_shutdown.connect(ended, weak=False, dispatch_uid="otel_chat")


def _on_sigterm(runtime: Ending, seconds: float) -> None:
    """Where SIGTERM would end the process at once, it does so after the last word."""
    if threading.current_thread() is not threading.main_thread():
        return
    if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        return

    def terminate(number: int, _: FrameType | None) -> None:
        if runtime.last_word.interrupted(number):
            return
        _aside(runtime.end, seconds)
        _die(number)

    signal.signal(signal.SIGTERM, terminate)


def _die(number: int) -> None:
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _aside(work: Callable[[], object], seconds: float) -> None:
    """Runs `work` in a thread and waits, taking no lock that the interrupted code may hold."""
    done = _thread.allocate_lock()
    done.acquire()

    def run() -> None:
        try:
            work()
        finally:
            done.release()

    try:
        _thread.start_new_thread(run, ())
    except RuntimeError:  # no more threads
        return
    done.acquire(timeout=seconds)
