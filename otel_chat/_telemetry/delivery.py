"""The bounded queue between the caller and everything that may take time."""

from __future__ import annotations

import atexit
import os
import sys
import threading
import weakref
from collections import deque
from collections.abc import Callable
from typing import Any, Final

FORK_SECONDS: Final = 1.0
EXIT_SECONDS: Final = 10.0
Job = tuple[Callable[..., object], *tuple[Any, ...]]


class Delivery:
    """Runs jobs off the caller's path: a deque append there, the work in a daemon thread.

    The thread starts with the first job, never at import. After a fork the child starts empty
    and with a thread of its own.

    Args:
        on_error: Told of what a job raised.
        limit: Jobs that wait at most; what comes on top is dropped and counted.
        every: Seconds between two rounds.
        background: Without it only `flush` runs jobs.
        on_round: Runs at the end of every round, in the thread that ran it.

    Example:
        >>> seen = []
        >>> delivery = Delivery(on_error=print, background=False)
        >>> delivery.put((seen.append, 1))
        True
        >>> delivery.flush(timeout=1.0), seen
        (True, [1])
    """

    def __init__(
        self,
        *,
        on_error: Callable[[BaseException], None],
        limit: int = 20_000,
        every: float = 0.2,
        background: bool = True,
        on_round: Callable[[], None] | None = None,
    ) -> None:
        self._on_error = on_error
        self._on_round = on_round
        self._limit = limit
        self._every = every
        self._background = background
        self.dropped = 0
        self._reset()
        self._forking = False
        if hasattr(os, "register_at_fork"):
            hold, go_on = weakref.WeakMethod(self._before_fork), weakref.WeakMethod(self._go_on)
            reset = weakref.WeakMethod(self._reset)
            os.register_at_fork(
                before=lambda: _call(hold),
                after_in_parent=lambda: _call(go_on),
                after_in_child=lambda: _call(reset),
            )

    def _reset(self) -> None:
        self._jobs: deque[Job] = deque()
        self._flushes: deque[threading.Event] = deque()
        self._running = threading.RLock()
        self._starting = threading.Lock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._closed = False
        self.ending = False

    def _before_fork(self) -> None:
        """Waits until no job runs: the child would inherit the locks that it holds, for ever."""
        self._forking = self._running.acquire(timeout=FORK_SECONDS)

    def _go_on(self) -> None:
        if self._forking:
            self._running.release()

    def put(self, job: Job, *, always: bool = False) -> bool:
        """Queues `job`, a function and its arguments; False where the queue is full or closed.

        Args:
            job: What to run.
            always: Whether it is queued even where the queue is full.
        """
        if self._closed or (len(self._jobs) >= self._limit and not always):
            self.dropped += 1
            return False
        self._jobs.append(job)
        if self._thread is None and self._background:
            self.start()
        return True

    def start(self) -> None:
        """Starts the thread where there is none and this delivery works in the background."""
        if not self._background or self._closed:
            return
        with self._starting:
            if self._thread is None:
                thread = threading.Thread(target=self._work, name="otel-chat-delivery", daemon=True)
                self.drain_at_exit()
                try:
                    thread.start()
                except RuntimeError:  # the interpreter is going down: `close` runs what waits
                    return
                self._thread = thread

    def ensure_started(self) -> None:
        """Starts the thread now, so that a finaliser need not."""
        if self._thread is None:
            self.start()

    def drain_at_exit(self) -> None:
        """Empties the queue at exit; called again, before what was registered in the meantime."""
        atexit.unregister(self.end)
        atexit.register(self.end)

    @property
    def waiting(self) -> int:
        """Jobs that wait now."""
        return len(self._jobs)

    def flush(self, timeout: float) -> bool:
        """Sees that everything queued so far is done. False where that took over `timeout` seconds.

        A job that hangs hangs the thread, never the caller of `flush`.
        """
        if self._thread is None and self._background and self._jobs:
            self.start()
        working = self._thread is not None and self._thread.is_alive()
        if not working or self._closed or self._thread is threading.current_thread():
            return self._drain()
        done = threading.Event()
        self._flushes.append(done)
        self._wake.set()
        return done.wait(timeout)

    def close(self, timeout: float = 5.0) -> bool:
        """Flushes, then takes no more. May be called twice."""
        done = self.flush(timeout)
        self._closed = True
        self._wake.set()
        atexit.unregister(self.end)
        return done

    def end(self, timeout: float = EXIT_SECONDS) -> bool:
        """Closes as the process ends: jobs leave out what may take long (`ending`)."""
        self.ending = True
        return self.close(timeout)

    def _work(self) -> None:
        wake = self._wake
        while not self._closed and wake is self._wake:
            wake.wait(self._every)
            wake.clear()
            try:
                self._drain()
            except BaseException:  # noqa: BLE001 - raised under test only; the thread goes on
                threading.excepthook(
                    threading.ExceptHookArgs((*sys.exc_info(), threading.current_thread()))
                )

    def _drain(self) -> bool:
        jobs, flushes = self._jobs, self._asked()
        try:
            for _ in range(len(jobs)):
                with self._running:
                    if jobs:
                        function, *arguments = jobs.popleft()
                        self._run(function, arguments)
            with self._running:  # also waits for the job that another thread may be at
                if self._on_round is not None:
                    self._run(self._on_round, ())
        finally:
            for done in flushes:
                done.set()
        return True

    def _asked(self) -> list[threading.Event]:
        """The flushes that wait; several threads may drain at once, so each takes its own."""
        asked = []
        while True:
            try:
                asked.append(self._flushes.popleft())
            except IndexError:
                return asked

    def _run(self, function: Callable[..., object], arguments: Any) -> None:
        try:
            function(*arguments)
        except Exception as error:  # noqa: BLE001 - one bad job must not cost the others
            self._on_error(error)
        except BaseException as error:
            # Of this thread's own making: what ends a process is raised in the main thread
            if threading.current_thread() is threading.main_thread():
                raise
            self._on_error(error)


def _call(reset: weakref.WeakMethod[Callable[[], None]]) -> None:
    method = reset()
    if method is not None:
        method()
