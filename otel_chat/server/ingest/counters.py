"""What the ingest says of itself at `/metrics`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.metrics_core import Metric

    from otel_chat.server.ingest.commit import Committer


class _CommitCollector:
    def __init__(self, committer: Committer) -> None:
        self._committer = committer

    def collect(self) -> Iterator[Metric]:
        stats = self._committer.stats
        for name, text, value in (
            ("bodies", "Request bodies that are on disk.", stats.bodies),
            ("items", "Spans, events and data points that are on disk.", stats.items),
            ("inserts", "Inserts that took them there.", stats.inserts),
            ("insert_seconds", "The time that those took.", stats.insert_seconds),
            ("failed_inserts", "Inserts that failed, retried ones included.", stats.failed),
        ):
            yield CounterMetricFamily(f"otel_chat_server_ingest_{name}", text, value=value)
        yield GaugeMetricFamily(
            "otel_chat_server_ingest_queue_bytes", "What waits for an insert.", stats.queue_bytes
        )


class IngestCounters:
    """Requests by signal and status, and what of them is not kept.

    Args:
        registry: Where they are shown.
        committer: Whose statistics are shown beside them.
    """

    def __init__(self, registry: CollectorRegistry, committer: Committer) -> None:
        self._requests = Counter(
            "otel_chat_server_ingest_requests",
            "Requests that brought telemetry.",
            ("signal", "status"),
            registry=registry,
        )
        self._rejected = Counter(
            "otel_chat_server_ingest_rejected_items",
            "Items of accepted requests that are not kept: faulty ones, and those of other kinds.",
            ("signal",),
            registry=registry,
        )
        registry.register(_CommitCollector(committer))

    def accepted(self, signal: str) -> None:
        """A request was answered with 200."""
        self._requests.labels(signal, "200").inc()

    def rejected(self, signal: str, items: int) -> None:
        """Items of an accepted request are not kept."""
        self._rejected.labels(signal).inc(items)

    def refused(self, signal: str, status: int) -> None:
        """A request was refused."""
        self._requests.labels(signal, str(status)).inc()
