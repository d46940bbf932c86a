"""A real server under an example, and what it sends over OTLP."""

from __future__ import annotations

import gzip
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.waiting import until

EXAMPLES = Path(__file__).parents[3] / "examples"


@dataclass
class Sink:
    """What came in over OTLP, flattened."""

    endpoint: str = ""
    spans: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    metrics: list[tuple[dict[str, Any], Any]] = field(default_factory=list)

    @property
    def turns(self) -> list[dict[str, Any]]:
        """The spans that are turns."""
        return [s for s in self.spans if s.get("otel_chat.turn.root")]

    def turns_when(self, count: int) -> list[dict[str, Any]]:
        """The turns, once there are at least `count`."""
        until(lambda: len(self.turns) >= count)
        return self.turns

    def event_when(self, name: str) -> dict[str, Any]:
        """The first event of that name, once it is there."""
        found = until(lambda: [e for e in self.events if e["name"] == name])
        return found[0]

    def take(self, path: str, body: bytes) -> None:
        """Takes the body of a request."""
        if path == "/v1/traces":
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                self.spans += [
                    _span(span) for scope in resource.scope_spans for span in scope.spans
                ]
        elif path == "/v1/metrics":
            for metrics in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                of = _plain(metrics.resource.attributes)
                self.metrics += [(of, m) for scope in metrics.scope_metrics for m in scope.metrics]
        elif path == "/v1/logs":
            for logs in ExportLogsServiceRequest.FromString(body).resource_logs:
                records = [record for scope in logs.scope_logs for record in scope.log_records]
                self.events += [{**_plain(r.attributes), "name": r.event_name} for r in records]


def _span(span: Any) -> dict[str, Any]:
    seconds = (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9
    known = {"name": span.name, "links": len(span.links), "seconds": seconds}
    return {**known, **_plain(span.attributes)}


def _plain(attributes: Any) -> dict[str, Any]:
    return {
        a.key: getattr(a.value, a.value.WhichOneof("value") or "string_value") for a in attributes
    }


@contextmanager
def otlp_sink() -> Iterator[Sink]:
    """Takes OTLP/HTTP on a free port."""
    sink = Sink()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            sink.take(self.path, body)
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    sink.endpoint = f"http://127.0.0.1:{server.server_port}"
    try:
        yield sink
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def serving(sink: Sink, *command: str, log: Path, **environment: str) -> Iterator[str]:
    """Runs `python -m COMMAND` in examples/, with {port} filled in; gives its host and port."""
    port = free_port()
    env = {
        **os.environ,
        "OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint,
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        "OTEL_BLRP_SCHEDULE_DELAY": "100",
        "OTEL_CHAT_CAPTURE_CONTENT": "1",
        "PYTHONPATH": str(EXAMPLES),
        **environment,
    }
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *(part.format(port=port) for part in command)],
            cwd=EXAMPLES,
            env=env,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            until(lambda: _answers(port) or _dead(process, log))
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(20)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _dead(process: subprocess.Popen[bytes], log: Path) -> bool:
    if process.poll() is not None:
        raise AssertionError(f"the server ended with {process.returncode}:\n{log.read_text()}")
    return False
