from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from otel_chat._telemetry import runtime as process
from otel_chat._telemetry.clock import Clock
from otel_chat.config import Config
from otel_chat.demo import content
from otel_chat.demo.composer import MODEL


class Telemetry:
    """What the bot has reported so far."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._spans, self._logs = InMemorySpanExporter(), InMemoryLogRecordExporter()
        spans, logs = TracerProvider(shutdown_on_exit=False), LoggerProvider(shutdown_on_exit=False)
        spans.add_span_processor(SimpleSpanProcessor(self._spans))
        logs.add_log_record_processor(SimpleLogRecordProcessor(self._logs))
        self.runtime = process.Runtime(
            Config(capture_content=True, price_table=content.prices(), models=(MODEL,)),
            clock=clock,
            tracer_provider=spans,
            meter_provider=NoOpMeterProvider(),
            logger_provider=logs,
            background=False,
        )

    def spans(self) -> list[ReadableSpan]:
        """The ended spans, by start."""
        assert self.runtime.flush()
        return sorted(self._spans.get_finished_spans(), key=lambda span: span.start_time or 0)

    def turns(self) -> list[dict[str, Any]]:
        """The attributes of the turns, in order."""
        found = [dict(span.attributes or {}) for span in self.spans()]
        return [attributes for attributes in found if attributes.get("otel_chat.turn.root")]

    def moments(self) -> list[int]:
        """When the events happened, in nanoseconds since 1970."""
        assert self.runtime.flush()
        return [found.log_record.timestamp or 0 for found in self._logs.get_finished_logs()]

    def events(self, *names: str) -> list[dict[str, Any]]:
        """The attributes of the events of these names, in order."""
        assert self.runtime.flush()
        records = [found.log_record for found in self._logs.get_finished_logs()]
        return [
            {"name": record.event_name, **(record.attributes or {})}
            for record in records
            if not names or record.event_name in names
        ]


@pytest.fixture
def telemetry() -> Iterator[Telemetry]:
    """A runtime of the test's own, whose telemetry can be read."""
    made = Telemetry()
    before = process.install(made.runtime)
    yield made
    process.install(before)
