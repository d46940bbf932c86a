"""Sends telemetry until it is acknowledged, or says clearly that it was not."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from threading import Event, Lock
from types import TracebackType
from typing import Final, Self, TypeVar

import httpx
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk._logs import LogRecordProcessor, ReadableLogRecord, ReadWriteLogRecord
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor

from otel_chat.errors import IngestError, StoreUnavailableError

T = TypeVar("T")

IN_FLIGHT: Final = 4
_RETRIED: Final = frozenset({408, 429, 500, 502, 503, 504})
_AT_FAULT: Final = frozenset({400, 413, 422})
"""The server refuses what was sent, or how much of it."""
_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 5.0


class Collector(SpanProcessor, LogRecordProcessor):
    """Gathers ended spans and events until they are taken."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []
        self.events: list[ReadableLogRecord] = []

    def on_end(self, span: ReadableSpan) -> None:
        """Keeps an ended span."""
        self.spans.append(span)

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        """Keeps an event."""
        self.events.append(
            ReadableLogRecord(
                log_record=log_record.log_record,
                resource=log_record.resource or Resource.get_empty(),
                instrumentation_scope=log_record.instrumentation_scope,
                limits=log_record.limits,
            )
        )

    def take(self) -> tuple[list[ReadableSpan], list[ReadableLogRecord]]:
        """Hands out what has been gathered."""
        taken = self.spans, self.events
        self.spans, self.events = [], []
        return taken

    def shutdown(self) -> None:
        """Nothing to close."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:  # noqa: ARG002 - the SDK's name
        """Nothing leaves from here by itself."""
        return True


class Sender:
    """Posts batches to an OTLP/HTTP server, a few at once, each until it is acknowledged.

    Args:
        server: Address of the server.
        token: An ingest token, where the server asks for one.
        patience: Seconds without any acknowledgement after which it gives up.
        check: Called before each new attempt; raises where waiting is of no use.

    Raises:
        StoreUnavailableError: nothing was acknowledged for `patience` seconds.
        IngestError: the server refuses telemetry; said when all else is sent, but for its token.
    """

    def __init__(
        self,
        server: str,
        *,
        token: str | None = None,
        patience: float = 120.0,
        check: Callable[[], None] | None = None,
    ) -> None:
        headers = {"content-type": "application/x-protobuf"}
        if token:
            headers["authorization"] = f"Bearer {token}"
        self._http = httpx.Client(
            base_url=server.rstrip("/"), headers=headers, timeout=60.0, trust_env=False
        )
        self._server = server
        self._patience = patience
        self._check = check
        self._pool = ThreadPoolExecutor(IN_FLIGHT, thread_name_prefix="otel-chat-replay")
        self._sent: set[Future[None]] = set()
        self._stopped = Event()
        self._last_success = time.monotonic()
        self._lock = Lock()
        self._refused: list[tuple[int, str]] = []
        self.retries = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopped.set()
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._http.close()

    def send(self, spans: list[ReadableSpan], events: list[ReadableLogRecord]) -> None:
        """Sends a batch; waits while `IN_FLIGHT` batches are on their way."""
        if spans:
            self._submit(self._send_spans, spans)
        if events:
            self._submit(self._send_events, events)

    def finish(self) -> None:
        """Waits until everything that was sent is acknowledged.

        Raises:
            IngestError: The server refused some of it; all else is stored.
        """
        while self._sent:
            self._collect()
        if self._refused:
            count = sum(records for records, _ in self._refused)
            raise IngestError(
                f"The server refused {count} of the records, all others are stored:"
                f" {self._refused[0][1]}"
            )

    def _submit(self, work: Callable[[list[T]], None], batch: list[T]) -> None:
        while len(self._sent) >= IN_FLIGHT:
            self._collect()
        self._sent.add(self._pool.submit(self._in_parts, work, batch))

    def _collect(self) -> None:
        done, self._sent = wait(self._sent, return_when=FIRST_COMPLETED)
        for future in done:
            future.result()

    def _send_spans(self, spans: list[ReadableSpan]) -> None:
        answer = self._post("/v1/traces", encode_spans(spans).SerializeToString())
        partial = ExportTraceServiceResponse.FromString(answer).partial_success
        self._refuse(partial.rejected_spans, partial.error_message)

    def _send_events(self, events: list[ReadableLogRecord]) -> None:
        answer = self._post("/v1/logs", encode_logs(events).SerializeToString())
        partial = ExportLogsServiceResponse.FromString(answer).partial_success
        self._refuse(partial.rejected_log_records, partial.error_message)

    def _in_parts(self, send: Callable[[list[T]], None], batch: list[T]) -> None:
        """Sends a batch; of one that is refused whatever is not at fault itself."""
        try:
            send(batch)
        except IngestError as error:
            if error.status not in _AT_FAULT:
                raise
            if len(batch) == 1:
                self._refuse(1, str(error))
                return
            middle = len(batch) // 2
            self._in_parts(send, batch[:middle])
            self._in_parts(send, batch[middle:])

    def _refuse(self, records: int, message: str) -> None:
        if records:
            with self._lock:
                self._refused.append((records, message))

    def _post(self, path: str, body: bytes) -> bytes:
        pause = _FIRST_PAUSE
        while True:
            try:
                answer = self._http.post(path, content=body)
            except httpx.TransportError as error:
                trouble, least = f"{error or type(error).__name__}", 0.0
            else:
                if answer.is_success:
                    self._last_success = time.monotonic()
                    return answer.content
                if answer.status_code not in _RETRIED:
                    raise IngestError(
                        f"{self._server}{path} refused a batch with {answer.status_code}:"
                        f" {_reason(answer)}",
                        status=answer.status_code,
                    )
                trouble, least = f"status {answer.status_code}", _retry_after(answer)
            self._wait(max(pause, least), trouble)
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _wait(self, pause: float, trouble: str) -> None:
        self.retries += 1
        if self._check:
            self._check()
        silent = time.monotonic() - self._last_success
        if silent > self._patience:
            raise StoreUnavailableError(
                f"{self._server} has acknowledged nothing for {silent:.0f} s ({trouble})."
                " What it acknowledged is stored; run the same command again for the rest."
            )
        if self._stopped.wait(min(pause, _LONGEST_PAUSE)):
            raise StoreUnavailableError("The replay was stopped before everything was sent.")


def _retry_after(answer: httpx.Response) -> float:
    raw = answer.headers.get("retry-after", "")
    return float(raw) if raw.isdecimal() else 0.0


def _reason(answer: httpx.Response) -> str:
    from google.rpc.status_pb2 import Status

    if answer.headers.get("content-type", "").startswith("application/x-protobuf"):
        return str(Status.FromString(answer.content).message)
    return answer.text[:500]
