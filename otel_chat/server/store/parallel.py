"""Threads in which the store is asked while another thread asks it something else."""

from __future__ import annotations

import contextvars
import os
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")


class Parallel:
    """As many threads as there are processors; they begin when they are first needed."""

    def __init__(self) -> None:
        self._local = threading.local()
        self._pool = ThreadPoolExecutor(
            os.cpu_count() or 1, "otel-chat-asks", lambda: setattr(self._local, "inside", True)
        )

    def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Calls a function in one of the threads; called from one of them, right there.

        A thread that waited for another of the same few might wait for ever.

        Args:
            function: What to call.
            args: With what.
            kwargs: And with what by name.

        Returns:
            What it returns or raises; called right there, it raises at once.
        """
        if not getattr(self._local, "inside", False):
            try:
                # What the caller knows of its question, the other thread knows as well.
                known = contextvars.copy_context()
                return self._pool.submit(lambda: known.run(function, *args, **kwargs))
            except RuntimeError:
                # Closed: the function finds the store closed, and says so.
                pass
        done: Future[T] = Future()
        done.set_result(function(*args, **kwargs))
        return done

    def close(self) -> None:
        """Waits for what is asked, and ends the threads."""
        self._pool.shutdown()
