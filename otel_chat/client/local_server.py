"""An analytics server in a child process, for as long as a command needs one."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Final, Self

from otel_chat.client import AnalyticsClient
from otel_chat.errors import ConfigurationError, StoreError

HOST: Final = "127.0.0.1"
_START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 20.0
_PAUSE: Final = 0.05
_LAST_LINES: Final = 12


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now.

    Example:
        >>> 1024 <= free_port() <= 65535
        True
    """
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def require_free(port: int, option: str) -> None:
    """Sees that nobody listens on a port.

    Args:
        port: The port, 1 to 65535.
        option: The option that sets it, for the message.

    Raises:
        ConfigurationError: when the port is taken or may not be used.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise ConfigurationError(
                f"Port {port} cannot be used ({error.strerror})."
                f" Stop what listens there, or choose another with {option}."
            ) from error


class LocalServer:
    """`otel-chat serve` as a child process: a context manager that leaves when it is ready.

    The child stops when this process ends, however it ends: it watches its standard input.

    Args:
        store: The store's URL, such as `chdb:./chat-store`.
        port: Where it listens; a free port by default.
        defaults: Variables of its environment, where this process has none of their names.

    Raises:
        StoreError: (on entering) the server ended or was not ready in time; with its last lines.
    """

    def __init__(
        self, store: str, *, port: int | None = None, defaults: Mapping[str, str] | None = None
    ) -> None:
        self.store = store
        self._defaults = dict(defaults or {})
        self.port = port or free_port()
        self.url = f"http://{HOST}:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the server

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "otel_chat.cli", "serve", "--while-stdin"]
        command += ["--host", HOST, "--port", str(self.port)]
        self._process = subprocess.Popen(  # noqa: S603 - our own command
            command,
            stdin=subprocess.PIPE,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            # A password in it stands not among the arguments, which everybody can list.
            env={**self._defaults, **os.environ, "OTEL_CHAT_SERVER_STORE": self.store},
            start_new_session=True,  # Ctrl-C is for this process, which has to flush first
        )
        try:
            self._wait_until_ready()
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

    def check(self) -> None:
        """Sees that the server still runs.

        Raises:
            StoreError: when it has ended; with its last lines.
        """
        if self._process is not None and self._process.poll() is not None:
            raise StoreError(
                f"The analytics server has ended (exit code {self._process.returncode})."
                f"{self._last_lines()}"
            )

    def stop(self) -> None:
        """Stops the server and waits for its end. May be called twice."""
        process = self._process
        if process is None:
            return
        self._process = None
        if process.stdin:
            process.stdin.close()
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._output.close()

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        with AnalyticsClient(self.url, timeout=5.0) as client:
            while not client.ready():
                self.check()
                if time.monotonic() > deadline:
                    raise StoreError(
                        f"The analytics server was not ready after {_START_SECONDS:.0f} s."
                        f"{self._last_lines()}"
                    )
                time.sleep(_PAUSE)

    def _last_lines(self) -> str:
        self._output.seek(0)
        lines = self._output.read().decode(errors="replace").strip().splitlines()
        if not lines:
            return ""
        return "\nIts last lines:\n" + "\n".join(f"  {line}" for line in lines[-_LAST_LINES:])
