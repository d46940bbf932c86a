"""Functions of the owner's in threads of their own, so that one that hangs holds nobody up."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from itertools import islice
from queue import SimpleQueue
from typing import Any, Final

from otel_chat._common.checks import is_a, is_plain
from otel_chat.config import Config

TOPIC: Final = "topic_detector"
SENTIMENT: Final = "sentiment_analyser"
ESCALATION: Final = "escalation_advisor"
MOST_TOPICS: Final = 10


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

    @property
    def hangs(self) -> bool:
        """Whether the last call has not ended."""
        return self._process == os.getpid() and not (self._last is None or self._last.done.is_set())

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
        if self.hangs:
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
        value, call.value = call.value, None
        return value

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
        call.argument = None
        call.done.set()
        del call


class Reader:
    """Reads objects of somebody else's, which may hang, each for a bounded time.

    One that takes longer is left to itself in a thread of its own, and objects of its class are
    let be for a while. Where more than a few hang at once, nothing is read until one comes back.

    Args:
        seconds: How long one reading may take.
        rest: How long objects of a class that took longer are let be, in seconds.

    Example:
        >>> Reader().read({"a": 1}, len)
        1
    """

    def __init__(self, *, seconds: float = 1.0, rest: float = 60.0) -> None:
        self._seconds = seconds
        self._rest = rest
        self._reset()

    def _reset(self) -> None:
        self._process = os.getpid()
        self._worker = Worker(_read, READER)
        self._lost: list[Worker] = []
        self._resting: dict[str, float] = {}
        self._taken = threading.Lock()

    def read(self, value: object, function: Callable[..., Any], *more: object) -> Any:
        """What the function says of the value; asked here where the value is of plain types.

        Args:
            value: What is read.
            function: Called with the value and what else is given.
            more: What else it needs.

        Raises:
            TimeoutError: it took too long, now or a moment ago.
            Exception: whatever the function raised.
        """
        if is_plain(value):
            return function(value, *more)
        if self._process != os.getpid():
            self._reset()  # somebody in the other process may hold the lock
        kind = f"{type(value).__module__}.{type(value).__qualname__}"
        with self._taken:
            if self._resting.get(kind, 0.0) > time.monotonic():
                raise TimeoutError(f"{kind}: took too long a moment ago")
            if self._worker.hangs:
                self._replace()
            try:
                return self._worker.call((function, value, *more), seconds=self._seconds)
            except TimeoutError:
                if self._worker.hangs:
                    if len(self._resting) >= MOST_RESTING:
                        self._resting.clear()
                    self._resting[kind] = time.monotonic() + self._rest
                raise

    def _replace(self) -> None:
        self._lost = [worker for worker in self._lost if worker.hangs]
        if len(self._lost) < MOST_LOST:
            self._lost.append(self._worker)
            self._worker = Worker(_read, READER)


def _read(job: tuple[Callable[..., Any], Any]) -> Any:
    function, *arguments = job
    return function(*arguments)


READER: Final = "otel-chat-reader"
MOST_LOST: Final = 4
MOST_RESTING: Final = 256
reader: Final = Reader()
"""The process' own."""


def hook_workers(config: Config) -> Mapping[str, Worker]:
    """A worker for each hook that is set."""
    given: dict[str, Callable[[Any], object] | None] = {
        TOPIC: _answering(config.topic_detector, _topics),
        SENTIMENT: config.sentiment_analyser,
        ESCALATION: _answering(config.escalation_advisor, _advice),
    }
    return {
        name: Worker(function, f"otel-chat-{name}")
        for name, function in given.items()
        if function is not None
    }


def _answering(
    function: Callable[[Any], object] | None, read: Callable[[Any], object]
) -> Callable[[Any], object] | None:
    """The hook with its answer read where it may hang, too."""
    if function is None:
        return None

    def answer(argument: object) -> object:
        given = function(argument)
        return None if given is None else read(given)

    return answer


def _topics(answer: Any) -> object:
    return answer if is_a(answer, str, Future) else list(islice(answer, MOST_TOPICS))


def _advice(answer: Any) -> object:
    return getattr(answer, "reason", answer)
