"""Functions of the owner's in threads of their own, so that one that hangs holds nobody up."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from queue import SimpleQueue
from typing import Any, Final

from otel_chat.config import Config

TOPIC: Final = "topic_detector"
SENTIMENT: Final = "sentiment_analyser"
ESCALATION: Final = "escalation_advisor"


class _Call:
    """One call: its argument, and how it ended."""

    def __init__(self, argument: object) -> None:
        self.argument = argument
        self.done = threading.Event()
        self.value: object = None
        self.error: BaseException | None = None


class Worker:
    """Calls one function in one thread, and waits for it no longer than it is told.

    A call that takes longer is left to itself; until it is over the function is not called again,
    so that no more than one thread is ever lost to it. The thread starts with the first call.

    Args:
        function: Called with one argument.
        name: The thread's name.

    Example:
        >>> Worker(str.upper, "upper").call("hello", seconds=5)
        'HELLO'
    """

    def __init__(self, function: Callable[[Any], object], name: str) -> None:
        self._function = function
        self._name = name
        self._reset()

    def _reset(self) -> None:
        self._process = os.getpid()
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._last: _Call | None = None
        self._started = False

    def call(self, argument: object, *, seconds: float) -> Any:
        """The function's result; one caller at a time.

        Args:
            argument: What it is called with.
            seconds: How long it may take.

        Raises:
            TimeoutError: it took longer, or the call before has not ended yet.
            Exception: whatever the function raised.
        """
        if self._process != os.getpid():
            self._reset()  # no thread survives a fork
        if self._last is not None and not self._last.done.is_set():
            raise TimeoutError(f"{self._name}: the call before has not ended")
        call = self._last = _Call(argument)
        if not self._started:
            self._started = True
            work = threading.Thread(
                target=_work, args=(self._calls, self._function), name=self._name, daemon=True
            )
            work.start()
        self._calls.put(call)
        if not call.done.wait(seconds):
            raise TimeoutError(f"{self._name}: no answer within {seconds} s")
        if isinstance(call.error, Exception):
            raise call.error
        if call.error is not None:
            raise RuntimeError(f"{self._name}: {type(call.error).__name__}") from call.error
        return call.value

    def __del__(self) -> None:
        # The thread knows only the queue, so it would wait for ever
        if "_calls" in self.__dict__:
            self._calls.put(None)


def _work(calls: SimpleQueue[_Call | None], function: Callable[[Any], object]) -> None:
    while (call := calls.get()) is not None:
        try:
            call.value = function(call.argument)
        except BaseException as error:  # noqa: BLE001 - handed to the caller
            call.error = error
        call.done.set()
        del call


def hook_workers(config: Config) -> Mapping[str, Worker]:
    """A worker for each hook that is set."""
    given: dict[str, Callable[[Any], object] | None] = {
        TOPIC: config.topic_detector,
        SENTIMENT: config.sentiment_analyser,
        ESCALATION: config.escalation_advisor,
    }
    return {
        name: Worker(function, f"otel-chat-{name}")
        for name, function in given.items()
        if function is not None
    }
