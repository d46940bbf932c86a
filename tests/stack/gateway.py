"""A second collector beside the running stack, and a receiver before the analytics server."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import yaml

from tests import web
from tests.stack.running import Running
from tools.stack.parts import COLLECTOR, Ports, Settings, parts
from tools.stack.processes import HOST, Part, Process

Hold = Callable[[int], None]


@contextmanager
def gateway(
    running: Running, folder: Path, more: Mapping[str, Any] | None = None, **environment: str
) -> Iterator[Ports]:
    """A collector of its own that sends to the running Prometheus.

    Args:
        running: The stack.
        folder: For its queue and log.
        more: Configuration that is merged over the collector's.
        environment: What the configuration takes, such as OTEL_CHAT_ANALYTICS_URL.
    """
    ports = Ports.free()
    prometheus = {"OTEL_CHAT_PROMETHEUS_URL": running.settings.ports.url("prometheus")}
    settings = Settings(folder, ports, {**prometheus, **environment})
    (part,) = [each for each in parts(settings) if each.name == "collector"]
    (folder / "more.yaml").write_text(yaml.safe_dump(more or {"exporters": {}}))
    files = [COLLECTOR / "collector.yaml", folder / "more.yaml"]
    command = [part.command[0], *(f"--config={path}" for path in files)]
    process = Process(
        Part(part.name, command, part.ports, part.ready, part.environment), folder, None
    )
    process.start()
    try:
        yield ports
    finally:
        process.stop()


class Receiver:
    """Takes telemetry and hands it on: a context manager.

    Args:
        target: Where to hand it on to.
        port: Where to listen; any free one without.
        certificate: File of certificate and key, for TLS.
        hold: Called with the number of each request, from 1, once it was handed on and before it
            is answered.
    """

    def __init__(
        self,
        target: str,
        *,
        port: int = 0,
        certificate: Path | None = None,
        hold: Hold = lambda number: None,
    ) -> None:
        self.requests = 0
        receiver = self
        lock = threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                with lock:
                    receiver.requests += 1
                    number = receiver.requests
                body = self.rfile.read(int(self.headers["content-length"]))
                names = ("content-type", "content-encoding")
                kept = {name: self.headers[name] for name in names if self.headers[name]}
                answer = web.post(f"{target}{self.path}", content=body, headers=kept)
                hold(number)
                try:
                    self.send_response(answer.status_code)
                    self.send_header("content-length", "0")
                    self.end_headers()
                except ConnectionError:
                    """The collector waits no longer."""

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Quiet."""

        self._server = ThreadingHTTPServer((HOST, port), Handler)
        scheme = "http"
        if certificate is not None:
            scheme = "https"
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]  # handshakes
        self.url = f"{scheme}://{HOST}:{self._server.server_port}"
        self.port: int = self._server.server_port

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
