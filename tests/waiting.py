"""Bounded polling: what tests use in place of sleeping."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Event
from typing import TypeVar

T = TypeVar("T")


def until(probe: Callable[[], T], *, timeout: float = 120.0, every: float = 0.02) -> T:
    """Calls `probe` until it returns something true, and returns that.

    Raises:
        AssertionError: after `timeout` seconds, with the last answer.
    """
    deadline = time.monotonic() + timeout
    pause = Event()
    while True:
        answer = probe()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"still {answer!r} after {timeout} s")
        pause.wait(every)
