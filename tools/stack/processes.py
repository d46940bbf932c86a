"""Child processes that belong together: started in order, awaited, logged, stopped in reverse."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, NoReturn, Self

HOST: Final = "127.0.0.1"
START_SECONDS: Final = 90.0
STOP_SECONDS: Final = 20.0
_PAUSE: Final = 0.05
_WATCH: Final = 0.5
_LAST_LINES: Final = 15


class StackError(Exception):
    """A server could not be started, or ended by itself; says what to do."""


@dataclass(frozen=True, slots=True)
class Part:
    """One server.

    Args:
        name: What it is called in logs and messages.
        command: How it is started.
        ports: The ports of 127.0.0.1 that it listens on, by the option that sets each.
        ready: The URL that answers 200 once it is ready.
        environment: Variables beside those of this process.
    """

    name: str
    command: Sequence[str]
    ports: Mapping[str, int]
    ready: str
    environment: Mapping[str, str] = field(default_factory=dict)

    def require_free_ports(self) -> None:
        """Sees that nobody listens where it will.

        Raises:
            StackError: a port is taken; names it and its option.
        """
        for option, port in self.ports.items():
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind((HOST, port))
                except OSError as error:
                    raise StackError(
                        f"Port {port}, for {self.name}, cannot be used ({error.strerror})."
                        f" Stop what listens there, or choose another with --{option}."
                    ) from error


class Process:
    """A part that runs, or ran.

    Args:
        part: What it is.
        logs: The folder for its log.
        say: Takes each line it writes; None keeps them in the log only.
    """

    def __init__(self, part: Part, logs: Path, say: Callable[[str, str], None] | None) -> None:
        self.part = part
        self._log = logs / f"{part.name}.log"
        self._say = say
        self._last: deque[str] = deque(maxlen=_LAST_LINES)
        self._child: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None

    @property
    def running(self) -> bool:
        """Whether it has been started and has not ended."""
        return self._child is not None and self._child.poll() is None

    @property
    def pid(self) -> int:
        """The id of the process.

        Raises:
            StackError: it was not started.
        """
        if self._child is None:
            raise StackError(f"{self.part.name} does not run.")
        return self._child.pid

    def start(self) -> None:
        """Starts it and waits until it is ready.

        Raises:
            StackError: a port is taken, the program cannot run, ended or was not ready in time.
        """
        self.part.require_free_ports()
        try:
            self._child = subprocess.Popen(
                self.part.command,
                env={**os.environ, **self.part.environment},
                stdin=subprocess.PIPE,  # the analytics server ends when it closes
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,  # Ctrl-C is for this process, which stops them in order
            )
        except OSError as error:
            raise StackError(f"{self.part.name} cannot be run: {error}") from error
        self._reader = threading.Thread(target=self._read, name=f"log-{self.part.name}")
        self._reader.start()
        try:
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise

    def check(self) -> None:
        """Sees that it still runs.

        Raises:
            StackError: it has ended; with its last lines.
        """
        if self._child is not None and (code := self._child.poll()) is not None:
            if self._reader is not None:
                self._reader.join(1)
            tail = "".join(f"\n  {line}" for line in self._last)
            raise StackError(
                f"{self.part.name} has ended (exit code {code}). Its last lines:{tail}"
            )

    def stop(self) -> None:
        """Asks it to end, insists after a while, and waits. May be called twice."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Ends it at once, as a crash would."""
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        if child.poll() is None:
            child.send_signal(how)
        try:
            child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        if child.stdin:
            child.stdin.close()
        if self._reader is not None:
            self._reader.join()
        if child.stdout:
            child.stdout.close()

    def _read(self) -> None:
        assert self._child is not None
        assert self._child.stdout is not None
        with self._log.open("a", encoding="utf-8") as log:
            for line in self._child.stdout:
                self._last.append(line.rstrip())
                log.write(line)
                log.flush()
                if self._say is not None:
                    self._say(self.part.name, line.rstrip())

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not answers(self.part.ready):
            self.check()
            if time.monotonic() > deadline:
                raise StackError(
                    f"{self.part.name} was not ready after {START_SECONDS:.0f} s;"
                    f" its log is {self._log}."
                )
            time.sleep(_PAUSE)


def answers(url: str) -> bool:
    """Whether a URL of this machine answers 200 now."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


class Stack:
    """Parts that run together: a context manager that leaves when all are ready.

    Args:
        parts: In the order to start them.
        logs: The folder for their logs.
        say: Takes the name of a part and a line that it wrote.
        started: Is told the name of each part once it is ready.

    Raises:
        StackError: (on entering) a part did not start; those before it are stopped again.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        logs: Path,
        *,
        say: Callable[[str, str], None] | None = None,
        started: Callable[[str], None] | None = None,
    ) -> None:
        logs.mkdir(parents=True, exist_ok=True)
        self._processes = {part.name: Process(part, logs, say) for part in parts}
        self._started = started

    def __getitem__(self, name: str) -> Process:
        return self._processes[name]

    def __enter__(self) -> Self:
        for process in self._processes.values():
            process.part.require_free_ports()
        try:
            for name, process in self._processes.items():
                process.start()
                if self._started is not None:
                    self._started(name)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def watch(self) -> NoReturn:
        """Looks after the parts until this process is interrupted.

        Raises:
            StackError: a part ended by itself.
        """
        while True:
            time.sleep(_WATCH)
            for process in self._processes.values():
                process.check()

    def stop(self) -> None:
        """Stops all parts, the last first, so that what is on its way arrives."""
        for process in reversed(self._processes.values()):
            process.stop()
