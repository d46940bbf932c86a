"""Telemetry in memory: providers of its own; only the runtime is global, while installed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    Gauge,
    HistogramDataPoint,
    InMemoryMetricReader,
    NumberDataPoint,
    Sum,
)
from opentelemetry.sdk.metrics.export import Metric as SdkMetric
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from otel_chat import semconv as sc
from otel_chat._telemetry import runtime
from otel_chat._telemetry.runtime import Runtime
from otel_chat.config import Config
from otel_chat.testing.determinism import CountingIds, SteppedClock
from otel_chat.testing.views import (
    EVENTS,
    METRICS,
    CollectedTurn,
    Event,
    Metric,
    Point,
    known,
)

Key = tuple[tuple[str, Any], ...]
DataPoint = HistogramDataPoint | NumberDataPoint


class Telemetry:
    """Collects what the library sends, for the time that it is entered.

    It installs a runtime on providers of its own and puts back the one before when it is left;
    the global OpenTelemetry providers stay as they are. Reading delivers what is queued, in the
    reading thread, so nothing has to be waited for.

    Args:
        config: The library's settings; the defaults, whatever the environment says, where none
            are given.
        clock: Where the times of turns come from; a `SteppedClock` where none is given.
        span_processors: Told of the spans too.

    Example:
        >>> from otel_chat import turn
        >>> with Telemetry() as telemetry:
        ...     with turn(agent="support", conversation_id="s-1"):
        ...         telemetry.clock.advance(seconds=3)
        >>> telemetry.only_turn()["conversation_id"], telemetry.only_turn().duration > 3
        ('s-1', True)
    """

    def __init__(
        self,
        config: Config | None = None,
        *,
        clock: SteppedClock | None = None,
        span_processors: Sequence[SpanProcessor] = (),
    ) -> None:
        # The suite is used where no exporter is installed; this module imports them
        from otel_chat._sdk.setup import UsageRollup

        self.ids = CountingIds()
        self.clock = clock or SteppedClock()
        self._spans = InMemorySpanExporter()
        self._logs = InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]
        self._metrics = InMemoryMetricReader()
        self._before: dict[tuple[str, Key], tuple[float, int]] = {}
        resource = Resource.create({"service.name": "otel-chat-test"})
        self.tracer_provider = TracerProvider(id_generator=self.ids, resource=resource)
        for processor in (UsageRollup(), SimpleSpanProcessor(self._spans), *span_processors):
            self.tracer_provider.add_span_processor(processor)
        self.meter_provider = MeterProvider([self._metrics], resource, shutdown_on_exit=False)
        self.logger_provider = LoggerProvider(resource, shutdown_on_exit=False)
        self.logger_provider.add_log_record_processor(SimpleLogRecordProcessor(self._logs))
        self.runtime = Runtime(
            config or Config(),
            clock=self.clock,
            ids=self.ids,
            tracer_provider=self.tracer_provider,
            meter_provider=self.meter_provider,
            logger_provider=self.logger_provider,
            background=False,
        )
        self._replaced: Runtime | None = None

    def __enter__(self) -> Self:
        self._replaced = runtime.install(self.runtime)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.runtime.flush()
        runtime.install(self._replaced)

    # -- spans and turns -----------------------------------------------------------------------

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        """Every finished span, oldest first."""
        self.runtime.flush()
        return self._spans.get_finished_spans()

    @property
    def turns(self) -> list[CollectedTurn]:
        """Every finished turn, in the order in which they ended."""
        spans = self.spans
        return [self._turn(s, spans) for s in spans if (s.attributes or {}).get(sc.TURN_ROOT)]

    def only_turn(self) -> CollectedTurn:
        """The one finished turn.

        Raises:
            AssertionError: there is none, or more than one; shows them.
        """
        turns = self.turns
        if len(turns) != 1:
            shown = "\n".join(map(str, turns)) or f"spans: {[s.name for s in self.spans]}"
            raise AssertionError(f"expected one turn, got {len(turns)}\n{shown}")
        return turns[0]

    def _turn(self, span: ReadableSpan, spans: Sequence[ReadableSpan]) -> CollectedTurn:
        below = {span.context.span_id}
        trace = [s for s in spans if s.context.trace_id == span.context.trace_id]
        for candidate in sorted(trace, key=lambda s: s.start_time or 0):
            if candidate.parent is not None and candidate.parent.span_id in below:
                below.add(candidate.context.span_id)
        inside = [s for s in trace if s.context.span_id in below and s is not span]
        events = [e for e in self.events() if e.span_id in below]
        return CollectedTurn(span, inside, events)

    # -- events --------------------------------------------------------------------------------

    def events(self, name: str | None = None) -> list[Event]:
        """The events, in the order in which they were emitted.

        Args:
            name: Only those of this name, such as `otel_chat.intent`.

        Raises:
            LookupError: there is no event of that name.
        """
        self.runtime.flush()
        events = []
        logs = self._logs.get_finished_logs()
        if name is not None:
            known(name, "event", EVENTS, {log.log_record.event_name or "" for log in logs})
        for log in logs:
            record = log.log_record
            if record.event_name and name in (None, record.event_name):
                events.append(
                    Event(
                        name=record.event_name,
                        attributes=dict(record.attributes or {}),
                        trace_id=record.trace_id or 0,
                        span_id=record.span_id or 0,
                        time_ns=record.timestamp or 0,
                        resource=dict(log.resource.attributes),
                    )
                )
        return events

    # -- metrics -------------------------------------------------------------------------------

    def metric(self, name: str) -> Metric:
        """A metric since the last `reset`; without points where nothing was recorded.

        Args:
            name: Such as `otel_chat.turn.duration`.

        Raises:
            LookupError: there is no metric of that name.
        """
        self.runtime.flush()
        collected = self._collect()
        known(name, "metric", METRICS, {metric.name for metric in collected})
        for metric in collected:
            if metric.name == name:
                points = [p for p in map(self._since(metric), metric.data.data_points) if p]
                return Metric(name, points, metric.unit or "")
        return Metric(name)

    def metrics(self) -> list[Metric]:
        """Every metric that has a point since the last `reset`, by name."""
        self.runtime.flush()
        found = [self.metric(name) for name in sorted({m.name for m in self._collect()})]
        return [metric for metric in found if metric.points]

    def sums(self, metric: str) -> Mapping[Key, float]:
        """Records (of a histogram) or value by attribute set, since the last `reset`.

        Raises:
            LookupError: there is no metric of that name.
        """
        points = self.metric(metric).points
        return {_key(p.attributes): p.value if p.count is None else p.count for p in points}

    def reset(self) -> None:
        """Forgets what was collected so far. The clock and the ids go on."""
        self.runtime.flush()
        self._spans.clear()
        self._logs.clear()
        self._before = {
            (metric.name, _key(point.attributes or {})): _value(point)
            for metric in self._collect()
            if _grows(metric)
            for point in metric.data.data_points
        }

    def _collect(self) -> list[SdkMetric]:
        data = self._metrics.get_metrics_data()
        scopes = [s for r in (data.resource_metrics if data else ()) for s in r.scope_metrics]
        return [metric for scope in scopes for metric in scope.metrics]

    def _since(self, metric: SdkMetric) -> Any:
        def point(data: DataPoint) -> Point | None:
            attributes = dict(data.attributes or {})
            value, count = _value(data)
            before, counted = self._before.get((metric.name, _key(attributes)), (0.0, 0))
            if _grows(metric):
                value, count = value - before, count - counted
            exemplars = [e.trace_id or 0 for e in data.exemplars]
            if isinstance(data, HistogramDataPoint):
                return Point(attributes, value, count, exemplars) if count else None
            return (
                Point(attributes, value, None, exemplars) if value or not _grows(metric) else None
            )

        return point


def _key(attributes: Mapping[str, Any]) -> Key:
    return tuple(sorted(attributes.items()))


def _value(point: Any) -> tuple[float, int]:
    if isinstance(point, HistogramDataPoint):
        return point.sum, point.count
    return point.value, 0


def _grows(metric: SdkMetric) -> bool:
    data = metric.data
    return not isinstance(data, Gauge) and (not isinstance(data, Sum) or data.is_monotonic)
