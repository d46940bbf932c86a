"""`setup()`: the one module, besides `testing`, that imports the OpenTelemetry SDK."""

from __future__ import annotations

import atexit
import math
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeVar

from opentelemetry import context as otel_context
from opentelemetry import metrics, trace
from opentelemetry._logs import NoOpLoggerProvider, get_logger_provider, set_logger_provider
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import IdGenerator

from otel_chat import process
from otel_chat import semconv as sc
from otel_chat.config import Config, flag
from otel_chat.errors import ConfigurationError
from otel_chat.exporting import counting
from otel_chat.hooks import Advice, Situation
from otel_chat.lifecycle import TURN_KEY, Lifecycle
from otel_chat.runtime import Runtime, install, installed, report_error
from otel_chat.sources import Clock, Ids
from otel_chat.usage import Usage

METRIC_INTERVAL_SECONDS: Final = 15
EXIT_SECONDS: Final = 5.0
T = TypeVar("T")


class UsageRollup(SpanProcessor):
    """Notes the token usage of model calls inside turns, whoever makes their spans.

    Example:
        >>> provider = TracerProvider()
        >>> provider.add_span_processor(UsageRollup())
    """

    COUNTED: Final = frozenset(
        {None, sc.OPERATION_CHAT, sc.OPERATION_INVOKE_AGENT, "text_completion", "generate_content"}
    )

    def __init__(self) -> None:
        self._open: dict[int, Lifecycle] = {}

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Notes a span that starts inside a turn, and its parent."""
        turn = otel_context.get_value(TURN_KEY, parent_context)
        if isinstance(turn, Lifecycle) and span.context is not None:
            parent = None if span.parent is None else span.parent.span_id
            turn.children.started(span.context.span_id, parent)
            self._open[span.context.span_id] = turn

    def on_end(self, span: ReadableSpan) -> None:
        """Notes the usage of a span that ended inside a turn."""
        if span.context is None:
            return
        turn = self._open.pop(span.context.span_id, None)
        attributes = span.attributes
        if turn is None or not attributes:
            return
        try:
            if attributes.get(sc.OPERATION_NAME) in self.COUNTED:
                usage = _usage(attributes)
                if usage:
                    turn.children.used(span.context.span_id, usage)
        except Exception as error:  # noqa: BLE001 - another library's span may carry anything
            report_error("usage_rollup", error)

    def shutdown(self) -> None:
        """Ends the spans of turns that are over, while the provider still takes them."""
        self.force_flush(int(EXIT_SECONDS * 1000))

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Ends the spans of turns that are over, so that a provider's own flush sends them."""
        runtime = installed()
        return runtime is None or runtime.delivery.flush(timeout_millis / 1000)


def _usage(attributes: Mapping[str, Any]) -> Usage:
    def tokens(key: str) -> int | None:
        value = attributes.get(key)
        good = isinstance(value, int) and not isinstance(value, bool) and value >= 0
        return value if good else None

    model = attributes.get(sc.RESPONSE_MODEL) or attributes.get(sc.REQUEST_MODEL)
    provider = attributes.get(sc.PROVIDER_NAME)
    response_id = attributes.get(sc.RESPONSE_ID)
    return Usage(
        input_tokens=tokens(sc.GEN_AI_INPUT_TOKENS),
        output_tokens=tokens(sc.GEN_AI_OUTPUT_TOKENS),
        cache_read_tokens=tokens(sc.GEN_AI_CACHE_READ_TOKENS),
        reasoning_tokens=tokens(sc.GEN_AI_REASONING_TOKENS),
        cache_write_tokens=tokens(sc.GEN_AI_CACHE_WRITE_TOKENS),
        model=model if isinstance(model, str) else None,
        provider=provider if isinstance(provider, str) else None,
        response_id=(response_id or None) if isinstance(response_id, str) else None,
    )


@dataclass(frozen=True, slots=True)
class _Target:
    """Where telemetry goes."""

    endpoint: str | None
    headers: dict[str, str] | None
    background: bool

    def exporter(self, kind: Callable[..., T], path: str) -> T:
        """An exporter to the path; without an endpoint the OTEL_EXPORTER_OTLP_* variables rule."""
        given: dict[str, Any] = {}
        if self.endpoint is not None:
            given["endpoint"] = f"{self.endpoint.rstrip('/')}/v1/{path}"
        if self.headers is not None:
            given["headers"] = self.headers
        return kind(**given)

    def wanted(self, signal: str, *, installed: bool) -> bool:
        """Whether this signal gets an exporter of ours.

        To a provider that the application installed one is added only for an endpoint given here:
        the environment's is most likely where the application exports to already.
        """
        if installed and self.endpoint is None:
            return False
        return self.sends(signal)

    @staticmethod
    def sends(signal: str) -> bool:
        """Whether the environment leaves this signal on."""
        return os.environ.get(f"OTEL_{signal}_EXPORTER", "otlp").strip().lower() != "none"


_lock = threading.Lock()
_configured: Runtime | None = None


def setup(  # noqa: PLR0913 - one call sets everything up
    *,
    service_name: str | None = None,
    service_version: str | None = None,
    environment: str | None = None,
    endpoint: str | None = None,
    headers: Mapping[str, str] | None = None,
    capture_content: bool | None = None,
    config: Config | None = None,
    topic_detector: Callable[[str], str | Iterable[str] | None] | None = None,
    sentiment_analyser: Callable[[str], str | None] | None = None,
    escalation_advisor: Callable[[Situation], Advice | str | None] | None = None,
    clock: Clock | None = None,
    ids: Ids | None = None,
    id_generator: IdGenerator | None = None,
    export: Literal["background", "manual"] = "background",
) -> Runtime:
    """Sends this process' telemetry over OTLP/HTTP. A second call changes nothing.

    Honours the OTEL_* variables of the SDK (OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES,
    OTEL_EXPORTER_OTLP_*, OTEL_TRACES_SAMPLER, OTEL_SDK_DISABLED, ...); arguments win. A provider
    that the application installed is kept: with `endpoint` an exporter is added to it, without
    one it exports as it did.

    Args:
        service_name: Name of the service, else OTEL_SERVICE_NAME.
        service_version: Its version.
        environment: production, staging, ...: `deployment.environment.name`.
        endpoint: Base URL, e.g. `http://127.0.0.1:8400`; else OTEL_EXPORTER_OTLP_ENDPOINT.
        headers: Sent with every export, e.g. `{"authorization": "Bearer ..."}`.
        capture_content: Keep redacted texts; off unless asked for here or in the environment.
        config: All other settings; those of the environment where none are given.
        topic_detector: Runs on each redacted user message after the reply, see `otel_chat.hooks`.
        sentiment_analyser: The same, for its sentiment.
        escalation_advisor: Advises a handoff, which is recorded and never performed.
        clock: Where times come from.
        ids: Where the uids of events come from.
        id_generator: Makes trace and span ids, where no provider is installed.
        export: `manual` delivers events and metrics on `flush()` only.

    Returns:
        The runtime of this process.

    Raises:
        ConfigurationError: an argument or variable is wrong; names it.
    """
    _check(endpoint, export)
    settings = (config or Config.from_env()).replace(
        capture_content=capture_content,
        topic_detector=topic_detector,
        sentiment_analyser=sentiment_analyser,
        escalation_advisor=escalation_advisor,
    )
    target = _Target(endpoint, None if headers is None else dict(headers), export != "manual")
    resource = {
        "service.name": service_name,
        "service.version": service_version,
        "deployment.environment.name": environment,
    }
    return _set_up(settings, target, resource, (clock, ids, id_generator))


def _check(endpoint: str | None, export: str) -> None:
    if endpoint is not None and not endpoint.startswith(("http://", "https://")):
        raise ConfigurationError(f"endpoint must begin with http:// or https://, not {endpoint!r}.")
    if export not in ("background", "manual"):
        raise ConfigurationError(f"export must be 'background' or 'manual', not {export!r}.")


def _set_up(
    settings: Config,
    target: _Target,
    resource: Mapping[str, str | None],
    replaced: tuple[Clock | None, Ids | None, IdGenerator | None],
) -> Runtime:
    global _configured  # noqa: PLW0603 - set up once a process
    with _lock:
        if _configured is not None:
            return _configured
        known = {key: value for key, value in resource.items() if value is not None}
        runtime = _build(settings, target, known, replaced)
        install(runtime)
        runtime.delivery.drain_at_exit()
        atexit.register(runtime.stop, EXIT_SECONDS)
        _configured = runtime
        return runtime


def _build(
    settings: Config,
    target: _Target,
    known: dict[str, str],
    replaced: tuple[Clock | None, Ids | None, IdGenerator | None],
) -> Runtime:
    clock, ids, id_generator = replaced
    if flag(os.environ.get("OTEL_SDK_DISABLED", "")):
        off = Runtime(
            settings,
            clock=clock,
            ids=ids,
            tracer_provider=trace.NoOpTracerProvider(),
            meter_provider=metrics.NoOpMeterProvider(),
            logger_provider=NoOpLoggerProvider(),
        )
        off.expects_events = False
        return off
    flushers: list[Callable[[float], bool]] = []
    closers: list[Callable[[float], bool]] = []
    resource = Resource.create(known)
    meters = _metrics(target, resource, flushers, closers)
    logs = _logs(target, resource, flushers, closers)
    traces = _traces(target, resource, id_generator, flushers, closers)
    runtime = Runtime(
        settings,
        clock=clock,
        ids=ids,
        tracer_provider=traces,
        meter_provider=meters,
        logger_provider=logs,
        background=target.background,
    )
    process.observe(runtime.instruments)
    runtime.expects_events = target.sends("LOGS")
    runtime.flushers = flushers
    runtime.closers = closers
    return runtime


def _traces(
    target: _Target,
    resource: Resource,
    id_generator: IdGenerator | None,
    flushers: list[Callable[[float], bool]],
    closers: list[Callable[[float], bool]],
) -> trace.TracerProvider:
    installed = trace.get_tracer_provider()
    is_installed = not isinstance(installed, trace.ProxyTracerProvider)
    if is_installed:
        provider = installed
    else:
        own = TracerProvider(resource=resource, id_generator=id_generator, shutdown_on_exit=False)
        trace.set_tracer_provider(own)
        closers.append(_closer(own.shutdown))
        provider = own
    if not isinstance(provider, TracerProvider):
        return provider
    # The rollup first: the turn must know its children's usage before anything else sees their end
    provider.add_span_processor(UsageRollup())
    if target.wanted("TRACES", installed=is_installed):
        exporter = counting(target.exporter(OTLPSpanExporter, "traces"), sc.SIGNAL_SPANS)
        processor = BatchSpanProcessor(exporter)
        provider.add_span_processor(processor)
    flushers.append(lambda seconds: provider.force_flush(int(seconds * 1000)))
    return provider


def _logs(
    target: _Target,
    resource: Resource,
    flushers: list[Callable[[float], bool]],
    closers: list[Callable[[float], bool]],
) -> Any:
    installed = get_logger_provider()
    is_installed = isinstance(installed, LoggerProvider)
    if isinstance(installed, LoggerProvider):
        provider = installed
    else:
        provider = LoggerProvider(resource=resource, shutdown_on_exit=False)
        set_logger_provider(provider)
        closers.append(_closer(provider.shutdown))
    if target.wanted("LOGS", installed=is_installed):
        exporter = counting(target.exporter(OTLPLogExporter, "logs"), sc.SIGNAL_EVENTS)
        processor = BatchLogRecordProcessor(exporter)
        provider.add_log_record_processor(processor)
    flushers.append(lambda seconds: provider.force_flush(int(seconds * 1000)))
    return provider


def _metrics(
    target: _Target,
    resource: Resource,
    flushers: list[Callable[[float], bool]],
    closers: list[Callable[[float], bool]],
) -> metrics.MeterProvider:
    installed = metrics.get_meter_provider()
    is_installed = isinstance(installed, MeterProvider)
    provider = installed if is_installed else None
    reader = None
    if target.wanted("METRICS", installed=is_installed):
        reader = PeriodicExportingMetricReader(
            target.exporter(OTLPMetricExporter, "metrics"),
            export_interval_millis=_interval_ms(target),
        )
    if provider is None:
        readers = () if reader is None else (reader,)
        own = MeterProvider(readers, resource=resource, shutdown_on_exit=False)
        metrics.set_meter_provider(own)
        closers.append(lambda seconds: _closer(own.shutdown, seconds * 1000)(seconds))
        flushers.append(lambda seconds: own.force_flush(seconds * 1000))
        return own
    if isinstance(provider, MeterProvider):
        flushers.append(lambda seconds: provider.force_flush(seconds * 1000))
        if reader is not None:
            # The provider flushes and closes only the readers it was made with
            ours = reader
            provider.add_metric_reader(ours)
            flushers.append(lambda seconds: ours.force_flush(seconds * 1000))
            closers.append(lambda seconds: _closer(ours.shutdown, seconds * 1000)(seconds))
    return provider


def _closer(shutdown: Callable[..., object], *args: float) -> Callable[[float], bool]:
    """A shutdown that says it is done."""

    def close(_: float) -> bool:
        shutdown(*args)
        return True

    return close


def _interval_ms(target: _Target) -> float:
    if not target.background:
        return math.inf
    given = os.environ.get("OTEL_METRIC_EXPORT_INTERVAL", "").strip()
    try:
        return float(given) if given else METRIC_INTERVAL_SECONDS * 1000
    except ValueError as error:
        raise ConfigurationError(
            f"OTEL_METRIC_EXPORT_INTERVAL={given!r}: expected milliseconds."
        ) from error
