"""Exporters that see to it that nothing vanishes in silence.

The SDK's exporters log a failure and go on, so that a flush reads as success. These here stand
around them: they make each item one that OTLP can carry, keep contents at home, look at the
endpoint's answer, count what was not taken by its reason, and say it once.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from importlib import import_module
from typing import Any, Final

import requests
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics.export import (
    MetricExporter,
    MetricExportResult,
    MetricsData,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
from requests.adapters import HTTPAdapter

from otel_chat import semconv as sc
from otel_chat._sdk import verdicts
from otel_chat._sdk.otlp_items import metrics_of
from otel_chat._sdk.verdicts import Verdict
from otel_chat._telemetry.runtime import installed, say_once

# A fork while another thread imports leaves the child with a lock that nobody gives back: what a
# first request or refusal would import is imported here, in the thread that calls `setup`
for _late in ("encodings.idna", "google.rpc.status_pb2", "netrc"):
    with suppress(ImportError):
        import_module(_late)

_ours: ContextVar[bool] = ContextVar("otel_chat_export", default=False)
_QUIET: Final = (
    "opentelemetry.exporter.otlp.common.http",
    "opentelemetry.exporter.otlp.proto.common._internal",
    "opentelemetry.exporter.otlp.proto.http._log_exporter",
    "opentelemetry.exporter.otlp.proto.http.metric_exporter",
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",
)


def _not_ours(_: logging.LogRecord) -> bool:
    return not _ours.get()


@contextmanager
def _quiet() -> Iterator[None]:
    """The SDK's lines about each batch of ours are left out: ours says it once, with the fix."""
    for name in _QUIET:
        logging.getLogger(name).addFilter(_not_ours)  # once: a filter that is there stays single
    token = _ours.set(True)
    try:
        yield
    finally:
        _ours.reset(token)


class Ledger:
    """What became of the items of one signal.

    Args:
        signal: The signal, as the counters name it.

    Example:
        >>> ledger = Ledger("spans")
        >>> ledger.queued(3)
        3
        >>> ledger.took(2)
        >>> ledger.left
        1
        >>> ledger.overflown(3), ledger.left, ledger.clean(), ledger.clean()
        (1, 0, False, True)
    """

    def __init__(self, signal: str) -> None:
        self.signal = signal
        self.forget()

    def forget(self) -> None:
        """Starts anew, as the child of a fork must."""
        self._lock = threading.Lock()
        self._queued = self._taken = self._lost = self._told = 0

    def queued(self, amount: int = 1) -> int:
        """Notes what waits to be sent; gives the count so far."""
        with self._lock:
            self._queued += amount
            return self._queued

    def took(self, amount: int) -> None:
        """Notes what was accepted."""
        with self._lock:
            self._taken += amount

    def lose(self, amount: int) -> None:
        """Notes what was not, for good."""
        with self._lock:
            self._lost += amount

    def overflown(self, queued: int) -> int:
        """Notes as lost what was queued before and never reached the exporter; gives how much."""
        with self._lock:
            missing = max(queued - self._taken - self._lost, 0)
            self._lost += missing
            return missing

    @property
    def left(self) -> int:
        """Items that were neither accepted nor lost so far."""
        with self._lock:
            return max(self._queued - self._taken - self._lost, 0)

    @property
    def lost(self) -> int:
        """Items that are lost."""
        return self._lost

    def clean(self) -> bool:
        """Whether nothing was lost since this was asked last."""
        with self._lock:
            told, self._told = self._told, self._lost
            return told == self._lost


class Session(requests.Session):
    """Notes how each request of its thread ended.

    A redirect is never followed: a POST becomes a GET on the way, and the telemetry is gone. The
    child of a fork takes connections of its own, for its parent goes on using the others.
    """

    def __init__(self) -> None:
        super().__init__()
        self._here = threading.local()
        self._process = os.getpid()

    def request(self, method: Any, url: Any, *args: Any, **kwargs: Any) -> requests.Response:
        """Sends, and notes what the answer means."""
        if self._process != os.getpid():
            self._process = os.getpid()
            self.mount("https://", HTTPAdapter())
            self.mount("http://", HTTPAdapter())
        kwargs["allow_redirects"] = False
        try:
            answer = super().request(method, url, *args, **kwargs)
        except Exception as error:
            self._note(url, verdicts.of_error(str(url), error))
            raise
        head = answer.headers
        kind, location = head.get("content-type", ""), head.get("location", "")
        verdict = verdicts.of_answer(
            str(url), answer.status_code, kind.lower(), answer.content, location
        )
        self._note(url, verdict)
        return answer

    def _note(self, url: Any, verdict: Verdict) -> None:
        self._here.seen = (verdicts.address(str(url)), verdict)
        told = getattr(self._here, "told", None)
        if told is not None:
            told(*self._here.seen)

    def seen(self) -> tuple[str, Verdict] | None:
        """Address and outcome of this thread's last request since this was asked last."""
        found: tuple[str, Verdict] | None = getattr(self._here, "seen", None)
        self._here.seen = None
        return found

    @contextmanager
    def telling(self, told: Callable[[str, Verdict], None]) -> Iterator[None]:
        """Has `told` called with each outcome in this thread, as it comes."""
        self._here.told = told
        try:
            yield
        finally:
            self._here.told = None


class Watched:
    """An exporter of spans or log records that knows what became of them.

    Args:
        exporter: One of the SDK's.
        ledger: Where it is counted.
        session: The session that it was given; None where it speaks gRPC.
        address: Where it sends to, for what is said.
        prepare: Makes of an item what may and can leave.
    """

    def __init__(
        self,
        exporter: Any,
        ledger: Ledger,
        session: Session | None,
        address: str,
        prepare: Callable[[Any], Any],
    ) -> None:
        self._exporter = exporter
        self._ledger = ledger
        self._session = session
        self._address = address
        self._prepare = prepare
        self._closed = False

    def export(self, batch: Sequence[Any]) -> Any:
        """Sends a batch; what cannot be sent costs nothing else."""
        items = []
        for item in batch:
            try:
                items.append(self._prepare(item))
            except Exception as error:  # noqa: BLE001 - another library's item may be anything
                said = f"one cannot be read ({type(error).__name__})"
                self._lose(1, Verdict(verdicts.UNENCODABLE, said))
        whole = self._send(items) and len(items) == len(batch)
        return SpanExportResult.SUCCESS if whole else SpanExportResult.FAILURE

    def _send(self, items: list[Any]) -> bool:
        if not items:
            return True
        if self._closed:
            self._lose(len(items), Verdict(verdicts.LATE, "it came after the shutdown"))
            return False
        verdict, address = self._outcome(items)
        if verdict.reason in (verdicts.UNENCODABLE, verdicts.TOO_LARGE) and len(items) > 1:
            middle = len(items) // 2
            first, rest = self._send(items[:middle]), self._send(items[middle:])
            return first and rest
        lost = len(items) if verdict.reason else 0
        if verdict.rejected is not None:
            lost = min(verdict.rejected, lost)
        self._ledger.took(len(items) - lost)
        if lost:
            self._lose(lost, verdict, address)
        return not lost

    def _outcome(self, items: list[Any]) -> tuple[Verdict, str]:
        result: Any = None
        error: Exception | None = None
        if self._session is not None:
            self._session.seen()
        try:
            with _quiet():
                result = self._exporter.export(items)
        except Exception as raised:  # noqa: BLE001 - an encoder raises what it likes
            error = raised
        seen = None if self._session is None else self._session.seen()
        if seen is not None:
            return seen[1], seen[0]
        if getattr(result, "name", None) == "SUCCESS":
            return verdicts.ACCEPTED, self._address
        if error is None and self._session is None:
            return Verdict(
                verdicts.GRPC, "refused", "see the lines of opentelemetry"
            ), self._address
        why = "too large, or cannot be encoded" if error is None else type(error).__name__
        return Verdict(verdicts.UNENCODABLE, f"one cannot be sent ({why})"), self._address

    def _lose(self, amount: int, verdict: Verdict, address: str | None = None) -> None:
        self._ledger.lose(amount)
        failed(self._ledger.signal, address or self._address, verdict, amount)

    def probe(self) -> None:
        """Asks the endpoint with an empty request, and says what is wrong with the answer."""
        if self._session is None:
            return

        def tell(address: str, verdict: Verdict) -> None:
            if verdict.reason is not None:
                say(self._ledger.signal, address, verdict)

        with self._session.telling(tell), _quiet():
            self._exporter.export([])

    def shutdown(self) -> None:
        """Takes no more."""
        self._closed = True
        with _quiet():
            self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing waits in here."""
        return bool(self._exporter.force_flush(timeout_millis))


class WatchedMetrics(MetricExporter):
    """An exporter of metrics that knows whether the last export was accepted.

    What was refused comes again with the next export, as the sums go on; so nothing is lost.
    """

    def __init__(self, exporter: Any, session: Session | None, address: str) -> None:
        super().__init__(
            preferred_temporality=exporter._preferred_temporality,  # noqa: SLF001 - as the reader does
            preferred_aggregation=exporter._preferred_aggregation,  # noqa: SLF001
        )
        self._exporter = exporter
        self._session = session
        self._address = address
        self.accepted = True

    def export(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any
    ) -> MetricExportResult:
        """Sends what was collected."""
        if self._session is not None:
            self._session.seen()
        self.accepted = False
        with _quiet():
            data = metrics_of(metrics_data)
            result = self._exporter.export(data, timeout_millis=timeout_millis, **kwargs)
        seen = None if self._session is None else self._session.seen()
        verdict = Verdict(verdicts.REFUSED, "it could not be sent") if seen is None else seen[1]
        self.accepted = result is MetricExportResult.SUCCESS and (
            seen is None or verdict.reason is None
        )
        if not self.accepted:
            failed(sc.SIGNAL_METRICS, self._address if seen is None else seen[0], verdict, 0)
            return MetricExportResult.FAILURE
        return MetricExportResult.SUCCESS

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Takes no more."""
        with _quiet():
            self._exporter.shutdown(timeout_millis=timeout_millis, **kwargs)

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Nothing waits in here."""
        return bool(self._exporter.force_flush(timeout_millis))


class SpanQueue(BatchSpanProcessor):
    """The SDK's queue of spans, with what enters it counted."""

    def __init__(self, exporter: Watched, ledger: Ledger, size: int) -> None:
        self.ledger = ledger
        super().__init__(exporter, max_queue_size=size)  # type: ignore[arg-type] # of its shape

    def on_end(self, span: ReadableSpan) -> None:
        """Queues an ended span."""
        if span.context is not None and span.context.trace_flags.sampled:
            self.ledger.queued()
        super().on_end(span)


class LogQueue(BatchLogRecordProcessor):
    """The SDK's queue of log records, with what enters it counted.

    Only events enter it: the lines that an application logs stay where they went before.
    """

    def __init__(self, exporter: Watched, ledger: Ledger, size: int) -> None:
        self.ledger = ledger
        super().__init__(exporter, max_queue_size=size)  # type: ignore[arg-type] # of its shape

    def on_emit(self, log_record: Any) -> None:
        """Queues an event."""
        if getattr(log_record.log_record, "event_name", None):
            self.ledger.queued()
            super().on_emit(log_record)


class Reader(PeriodicExportingMetricReader):
    """The SDK's reader; the child of a fork does not inherit a lock that was held."""

    def _at_fork_reinit(self) -> None:
        self._export_lock = threading.Lock()
        super()._at_fork_reinit()  # type: ignore[no-untyped-call]


def failed(signal: str, address: str, verdict: Verdict, amount: int) -> None:
    """Counts what was not taken, and says once why.

    Args:
        signal: What was sent.
        address: Where to, without secrets.
        verdict: Why it was not taken.
        amount: How many items are lost.
    """
    runtime = installed()
    if runtime is not None:
        component = f"export_{verdict.reason}"
        runtime.count(sc.METRIC_TELEMETRY_ERRORS, sc.TELEMETRY_COMPONENT, component)
        if amount:
            runtime.dropped(signal, amount)
    say(signal, address, verdict)


def say(signal: str, address: str, verdict: Verdict) -> None:
    """Says once for an address and a reason what is wrong, and what to do."""
    host = "/".join(address.split("/")[:3])
    fix = f": {verdict.fix}" if verdict.fix else ""
    say_once(
        ("export", host, verdict.reason),
        f"{signal} are not taken at {address}: {verdict.said}{fix}",
    )
