"""A server that takes OTLP/HTTP and keeps what it was sent."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

KINDS: dict[str, Any] = {
    "/v1/traces": ExportTraceServiceRequest,
    "/v1/logs": ExportLogsServiceRequest,
    "/v1/metrics": ExportMetricsServiceRequest,
}


Answer = tuple[int, dict[str, str], bytes]


class Received:
    """What a sink was sent: path, headers and message of each request."""

    requests: list[tuple[str, dict[str, str], Any]]

    def spans(self) -> list[Any]:
        """Every span, in the order of arrival."""
        return [
            span
            for path, _, message in self.requests
            if path == "/v1/traces"
            for resource in message.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def events(self) -> list[str]:
        """The names of every event."""
        return [
            record.event_name
            for path, _, message in self.requests
            if path == "/v1/logs"
            for resource in message.resource_logs
            for scope in resource.scope_logs
            for record in scope.log_records
        ]

    def metrics(self) -> dict[str, Any]:
        """The last export of each metric."""
        return {
            metric.name: metric
            for path, _, message in self.requests
            if path == "/v1/metrics"
            for resource in message.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    def resources(self) -> list[dict[str, str]]:
        """The resource of everything that came."""
        found = []
        for path, _, message in self.requests:
            part = {"/v1/traces": "resource_spans", "/v1/logs": "resource_logs"}.get(
                path, "resource_metrics"
            )
            found += [
                {a.key: a.value.string_value for a in item.resource.attributes}
                for item in getattr(message, part)
            ]
        return found


class OtlpSink(Received):
    """Use as a context manager; `url` is where to send.

    Args:
        answer: What to answer to a request for a path; taken, unless given.
    """

    def __init__(self, answer: Callable[[str, Any], Answer] | None = None) -> None:
        self.requests: list[tuple[str, dict[str, str], Any]] = []
        self.answer = answer or (lambda path, message: (200, {}, b""))
        sink = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                kind = KINDS.get(self.path, ExportTraceServiceRequest)
                message = kind.FromString(body)
                headers = {key.lower(): value for key, value in self.headers.items()}
                sink.requests.append((self.path, headers, message))
                status, head, said = sink.answer(self.path, message)
                self.send_response(status)
                for name, value in {**head, "content-length": str(len(said))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(said)

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
