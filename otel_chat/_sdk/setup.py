"""`setup()`: the one module, besides `testing`, that imports the OpenTelemetry SDK."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Final, Literal

from opentelemetry import context as otel_context
from opentelemetry import metrics, trace
from opentelemetry._logs import NoOpLoggerProvider, get_logger_provider, set_logger_provider
from opentelemetry.context import Context
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import SERVICE_INSTANCE_ID, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator

from otel_chat import _dialects as dialects
from otel_chat import semconv as sc
from otel_chat._common.extras import require
from otel_chat._sdk import process_metrics, verdicts
from otel_chat._sdk.console import ConsoleTurns
from otel_chat._sdk.exporters import (
    Ledger,
    LogQueue,
    Reader,
    Session,
    SpanQueue,
    Watched,
    WatchedMetrics,
    failed,
)
from otel_chat._sdk.otlp_items import log_of, span_of
from otel_chat._telemetry import process_end
from otel_chat._telemetry.clock import Clock, Ids
from otel_chat._telemetry.flush import Send
from otel_chat._telemetry.runtime import Runtime, install, installed, report_error, say_once
from otel_chat._turns.lifecycle import TURN_KEY, Lifecycle
from otel_chat._usage import Children
from otel_chat.config import Config, flag
from otel_chat.errors import ConfigurationError
from otel_chat.hooks import Advice, Situation

METRIC_INTERVAL_SECONDS: Final = 15
DRAIN_SECONDS: Final = 5.0
QUEUE_SIZE: Final = 2048
FORK_SECONDS: Final = 1.0
PROTOCOLS: Final = {"http/protobuf": "http", "grpc": "grpc"}
EXPORTERS: Final = {
    "traces": ("trace_exporter", "OTLPSpanExporter"),
    "logs": ("_log_exporter", "OTLPLogExporter"),
    "metrics": ("metric_exporter", "OTLPMetricExporter"),
}
SETTINGS: Final = (
    "capture_content",
    "console",
    "prometheus_port",
    "topic_detector",
    "sentiment_analyser",
    "escalation_advisor",
)
"""Arguments of `setup` that are fields of `Config`."""
ENDPOINTS: Final = ("", "_TRACES", "_LOGS", "_METRICS")


_COUNTED: Final = ("chat", "tool", "agent")
"""What the spans stand for that are counted in a turn."""


class UsageRollup(SpanProcessor):
    """Notes model calls inside turns with tokens and prompt, tools, agents, whoever's they are.

    Example:
        >>> provider = TracerProvider()
        >>> provider.add_span_processor(UsageRollup())
    """

    def __init__(self) -> None:
        self._open: dict[int, Children] = {}

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Notes a span that starts inside a turn, and its parent."""
        turn = otel_context.get_value(TURN_KEY, parent_context)
        if isinstance(turn, Lifecycle) and span.context is not None:
            parent = None if span.parent is None else span.parent.span_id
            turn.children.started(span.context.span_id, parent)
            self._open[span.context.span_id] = turn.children

    def on_end(self, span: ReadableSpan) -> None:
        """Notes what a span was that ended inside a turn, and its usage."""
        if span.context is None:
            return
        children = self._open.pop(span.context.span_id, None)
        attributes = span.attributes
        if children is None or not attributes:
            return
        try:
            role = dialects.kind(span.name, attributes)
            if role in _COUNTED:
                children.roles[span.context.span_id] = role
            if role == "chat" and (named := dialects.text(attributes, dialects.PROMPTS)):
                version = dialects.text(attributes, dialects.PROMPT_VERSIONS)
                children.prompted(span.start_time or 0, named, version)
            if dialects.counts(role, attributes):
                usage = dialects.usage(attributes)
                if usage:
                    children.used(span.context.span_id, usage)
        except Exception as error:  # noqa: BLE001 - another library's span may carry anything
            report_error("usage_rollup", error)

    def shutdown(self) -> None:
        """Ends the spans of turns that are over, while the provider still takes them."""
        self.force_flush(int(DRAIN_SECONDS * 1000))

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Ends the spans of turns that are over, so that a provider's own flush sends them."""
        runtime = installed()
        return runtime is None or runtime.delivery.flush(timeout_millis / 1000)


@dataclass(frozen=True, slots=True)
class _Target:
    """Where telemetry goes."""

    endpoint: str | None
    headers: dict[str, str] | None
    background: bool
    config: Config

    def exporter(self, signal: str) -> tuple[Any, Session | None, str]:
        """An exporter of the SDK's, its session and its address without secrets.

        Without an endpoint the OTEL_EXPORTER_OTLP_* variables rule.
        """
        kind, protocol = _exporter_kind(signal)
        given: dict[str, Any] = {}
        if self.headers is not None:
            given["headers"] = self.headers
        if self.endpoint is not None:
            base = self.endpoint.rstrip("/")
            given["endpoint"] = base if protocol == "grpc" else f"{base}/v1/{signal}"
        session = None
        if protocol == "http" and not _has_credential_provider(signal):
            session = given["session"] = Session()
        where = given.get("endpoint") or _environ_endpoint(signal)
        return kind(**given), session, verdicts.address(where)

    def wanted(self, signal: str, *, installed: bool) -> bool:
        """Whether this signal gets an exporter of ours.

        To a provider that the application installed one is added only for an endpoint given here:
        the environment's is most likely where the application exports to already. The console
        and Prometheus need no endpoint.
        """
        elsewhere = self.config.console or self.config.prometheus_port is not None
        if self.endpoint is None and (installed or (elsewhere and not _has_endpoint())):
            return False
        return self.sends(signal)

    @staticmethod
    def sends(signal: str) -> bool:
        """Whether the environment leaves this signal on."""
        return os.environ.get(f"OTEL_{signal}_EXPORTER", "otlp").strip().lower() != "none"


def _has_endpoint() -> bool:
    return any(os.environ.get(f"OTEL_EXPORTER_OTLP{name}_ENDPOINT") for name in ENDPOINTS)


def _environ_endpoint(signal: str) -> str:
    own = os.environ.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT")
    base = os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or "http://localhost:4318"
    return own or f"{base.rstrip('/')}/v1/{signal}"


def _has_credential_provider(signal: str) -> bool:
    """Whether the session comes from a plug-in of the SDK's."""
    names = ("", f"{signal.upper()}_")
    return any(
        os.environ.get(f"OTEL_PYTHON_EXPORTER_OTLP_HTTP_{name}CREDENTIAL_PROVIDER")
        for name in names
    )


def _exporter_kind(signal: str) -> tuple[Callable[..., Any], str]:
    own, common = f"OTEL_EXPORTER_OTLP_{signal.upper()}_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"
    variable = own if os.environ.get(own) else common
    asked = (os.environ.get(variable) or "http/protobuf").strip().lower()
    if asked not in PROTOCOLS:
        raise ConfigurationError(f"{variable}={asked!r}: use {' or '.join(PROTOCOLS)}.")
    module, name = EXPORTERS[signal]
    protocol = PROTOCOLS[asked]
    try:
        found = import_module(f"opentelemetry.exporter.otlp.proto.{protocol}.{module}")
    except ModuleNotFoundError as error:
        extra = "grpc" if protocol == "grpc" else "sdk"
        raise ConfigurationError(
            f"{variable}={asked} needs {error.name}, which is not installed:"
            f" pip install 'otel-chat[{extra}]'."
        ) from error
    return getattr(found, name), protocol


_lock = threading.Lock()
_configured: Runtime | None = None
_given: dict[str, object] = {}


def setup(  # noqa: PLR0913 - one call sets everything up
    *,
    service_name: str | None = None,
    service_version: str | None = None,
    environment: str | None = None,
    endpoint: str | None = None,
    headers: Mapping[str, str] | None = None,
    capture_content: bool | None = None,
    console: bool | None = None,
    prometheus_port: int | None = None,
    config: Config | None = None,
    topic_detector: Callable[[str], str | Iterable[str] | None] | None = None,
    sentiment_analyser: Callable[[str], str | None] | None = None,
    escalation_advisor: Callable[[Situation], Advice | str | None] | None = None,
    clock: Clock | None = None,
    ids: Ids | None = None,
    id_generator: IdGenerator | None = None,
    export: Literal["background", "manual"] = "background",
) -> Runtime:
    """Sends this process' telemetry over OTLP. A second call changes nothing, and says so.

    Honours the OTEL_* variables of the SDK (OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES,
    OTEL_EXPORTER_OTLP_*, OTEL_TRACES_SAMPLER, OTEL_SDK_DISABLED, ...); arguments win. A provider
    that the application installed is kept: with `endpoint` an exporter is added to it, without
    one it exports as it did. The endpoint is asked once; what is wrong is said in one line.

    Args:
        service_name: Name of the service, else OTEL_SERVICE_NAME.
        service_version: Its version.
        environment: production, staging, ...: `deployment.environment.name`.
        endpoint: Base URL, e.g. `http://127.0.0.1:8400`; else OTEL_EXPORTER_OTLP_ENDPOINT.
        headers: Sent with each export, as `{"authorization": "Bearer ..."}`.
        capture_content: Keep redacted texts; off unless asked for.
        console: Write a line for each turn to standard error; without any endpoint that is all.
        prometheus_port: Has Prometheus fetch metrics here; without any endpoint that is all.
        config: All other settings; those of the environment where none are given.
        topic_detector: Runs on each redacted user message after the reply, see `otel_chat.hooks`.
        sentiment_analyser: The same, for its sentiment.
        escalation_advisor: Advises a handoff; only recorded.
        clock: Where times come from.
        ids: Where the uids of events come from.
        id_generator: Makes trace and span ids, where no provider is installed.
        export: `manual` delivers events and metrics on `flush()` only.

    Returns:
        The runtime of this process.

    Raises:
        ConfigurationError: an argument or variable is wrong; names it.
    """
    given = {k: v for k, v in locals().items() if v is not None}
    _check(endpoint, export)
    settings = (config or Config.from_env()).replace(**{k: given.get(k) for k in SETTINGS})
    sent = None if headers is None else dict(headers)
    target = _Target(endpoint, sent, export != "manual", settings)
    resource = {
        "service.name": service_name,
        "service.version": service_version,
        "deployment.environment.name": environment,
    }
    return _set_up(given, target, resource, (clock, ids, id_generator))


def _check(endpoint: str | None, export: str) -> None:
    if endpoint is not None and not endpoint.startswith(("http://", "https://")):
        raise ConfigurationError(f"endpoint must begin with http:// or https://, not {endpoint!r}.")
    if export not in ("background", "manual"):
        raise ConfigurationError(f"export must be 'background' or 'manual', not {export!r}.")


def _set_up(
    given: dict[str, object],
    target: _Target,
    resource: Mapping[str, str | None],
    replaced: tuple[Clock | None, Ids | None, IdGenerator | None],
) -> Runtime:
    global _configured  # noqa: PLW0603 - set up once a process
    with _lock:
        if _configured is not None:
            _say_ignored(given)
            return _configured
        known = {key: value for key, value in resource.items() if value is not None}
        runtime, probed = _build(target, known, replaced)
        install(runtime)
        runtime.delivery.drain_at_exit()
        seconds = 6 * target.config.exit_seconds
        process_end.watch(runtime, seconds=seconds, sigterm=target.config.handle_sigterm)
        _configured = runtime
        _given.update(given)
    if probed is not None and target.background:
        _ask(probed)
    return runtime


def _ask(exporter: Watched) -> None:
    asking = threading.Thread(target=_probe, args=(exporter,), name="otel-chat-probe", daemon=True)
    asking.start()
    if hasattr(os, "register_at_fork"):
        # What a first request imports and looks up holds locks that a child would inherit
        os.register_at_fork(before=lambda: asking.join(FORK_SECONDS))


def _probe(exporter: Watched) -> None:
    try:
        exporter.probe()
    except Exception as error:  # noqa: BLE001 - only a courtesy
        report_error("probe", error)


def _say_ignored(given: Mapping[str, object]) -> None:
    ignored = [name for name, value in given.items() if not _same(value, _given.get(name))]
    if ignored:
        say_once(
            ("setup", *ignored),
            f"setup() was called again and changes nothing; ignored: {', '.join(ignored)}."
            " Call it once, with all arguments",
        )


def _same(one: object, other: object) -> bool:
    try:
        return one is other or bool(one == other)
    except Exception:  # noqa: BLE001 - arguments compare as they like
        return False


@dataclass(slots=True)
class _Parts:
    """What `setup` puts together, in the order in which it is sent: spans, events, metrics."""

    flushers: list[Send] = field(default_factory=list)
    closers: list[Send] = field(default_factory=list)
    ledgers: list[Ledger] = field(default_factory=list)
    probed: Watched | None = None


def _build(
    target: _Target,
    known: dict[str, str],
    replaced: tuple[Clock | None, Ids | None, IdGenerator | None],
) -> tuple[Runtime, Watched | None]:
    clock, ids, id_generator = replaced
    if flag(os.environ.get("OTEL_SDK_DISABLED", "")):
        off = Runtime(
            target.config,
            clock=clock,
            ids=ids,
            tracer_provider=trace.NoOpTracerProvider(),
            meter_provider=metrics.NoOpMeterProvider(),
            logger_provider=NoOpLoggerProvider(),
        )
        off.expects_events = False
        return off, None
    parts = _Parts()
    resource = Resource.create(known).merge(_own_instance())
    traces = _traces(target, resource, id_generator, known, parts)
    logs = _logs(target, resource, parts)
    meters = _metrics(target, resource, parts)
    runtime = Runtime(
        target.config,
        clock=clock,
        ids=ids,
        tracer_provider=traces,
        meter_provider=meters,
        logger_provider=logs,
        background=target.background,
    )
    process_metrics.observe(runtime.instruments)
    runtime.expects_events = target.wanted("LOGS", installed=False)
    runtime.flushers = parts.flushers
    runtime.closers = parts.closers
    runtime.ledgers = list(parts.ledgers)
    return runtime, parts.probed


def _own_instance() -> Resource:
    """What tells this process from others to which the environment gives the same id.

    All workers of a pod have its name there; in Prometheus they would write the same series.
    """
    given = OTELResourceDetector().detect().attributes.get(SERVICE_INSTANCE_ID)
    own = {SERVICE_INSTANCE_ID: f"{given}-{os.getpid()}"} if given else {}
    return Resource(own)


def _is_unset(provider: object) -> bool:
    """Whether this stands in for a provider that nobody has installed."""
    kind = type(provider)
    return "Proxy" in kind.__name__ and kind.__module__.startswith("opentelemetry.")


def _traces(
    target: _Target,
    resource: Resource,
    id_generator: IdGenerator | None,
    known: Mapping[str, str],
    parts: _Parts,
) -> trace.TracerProvider:
    provider: Any = trace.get_tracer_provider()
    is_installed = not _is_unset(provider)
    if is_installed:
        _say_kept(provider, known, id_generator)
    else:
        provider = TracerProvider(
            resource=resource, id_generator=id_generator, shutdown_on_exit=False
        )
        trace.set_tracer_provider(provider)
        parts.closers.append(_closer(provider.shutdown))
    add = getattr(provider, "add_span_processor", None)
    if add is None:
        _say_closed(provider, target)
        parts.flushers.append(_flusher(provider, None))
        return provider  # type: ignore[no-any-return] # whatever the application installed
    # The rollup first: the turn must know its children's usage before anything else sees their end
    add(UsageRollup())
    if target.config.console:
        add(ConsoleTurns())
    queue = None
    if target.wanted("TRACES", installed=is_installed):
        ledger = Ledger(sc.SIGNAL_SPANS)
        exporter, session, address = target.exporter("traces")
        parts.probed = Watched(exporter, ledger, session, address, span_of)
        queue = SpanQueue(parts.probed, ledger, _queue_size("OTEL_BSP_MAX_QUEUE_SIZE", target))
        parts.ledgers.append(ledger)
        add(queue)
    parts.flushers.append(_flusher(provider, queue))
    return provider  # type: ignore[no-any-return]


def _logs(target: _Target, resource: Resource, parts: _Parts) -> Any:
    provider: Any = get_logger_provider()
    is_installed = not _is_unset(provider)
    wanted = target.wanted("LOGS", installed=is_installed)
    add = getattr(provider, "add_log_record_processor", None) if is_installed else None
    if add is None and (wanted or not is_installed):
        provider = LoggerProvider(resource=resource, shutdown_on_exit=False)
        add = provider.add_log_record_processor
        if not is_installed:
            set_logger_provider(provider)
        parts.closers.append(_closer(provider.shutdown))
    queue = None
    if wanted and add is not None:
        ledger = Ledger(sc.SIGNAL_EVENTS)
        exporter, session, address = target.exporter("logs")
        watched = Watched(exporter, ledger, session, address, log_of)
        queue = LogQueue(watched, ledger, _queue_size("OTEL_BLRP_MAX_QUEUE_SIZE", target))
        parts.ledgers.append(ledger)
        add(queue)
    parts.flushers.append(_flusher(provider, queue))
    return provider


def _metrics(target: _Target, resource: Resource, parts: _Parts) -> metrics.MeterProvider:
    provider: Any = metrics.get_meter_provider()
    is_installed = not _is_unset(provider)
    reader = exporter = None
    if target.wanted("METRICS", installed=is_installed):
        exporter = WatchedMetrics(*target.exporter("metrics"))
        reader = Reader(exporter, export_interval_millis=_interval_ms(target))
    scraped = _scraped(target.config, parts)
    readers: list[Any] = [each for each in (reader, scraped) if each is not None]
    add = getattr(provider, "add_metric_reader", None) if is_installed else None
    if add is None and (readers or not is_installed):
        provider = MeterProvider(readers, resource=resource, shutdown_on_exit=False)
        if not is_installed:
            metrics.set_meter_provider(provider)
        parts.closers.append(_timed_closer(provider.shutdown))
    elif add is not None:
        for ours in readers:
            # The provider flushes and closes only the readers it was made with
            add(ours)
            parts.closers.append(_timed_closer(ours.shutdown))
    parts.flushers.append(_metrics_flusher(provider, reader, exporter))
    return provider  # type: ignore[no-any-return]


def _scraped(config: Config, parts: _Parts) -> Any:
    """A reader that Prometheus asks, and the port that it asks on; None unless wanted."""
    if config.prometheus_port is None:
        return None
    require("prometheus_port", "prometheus")
    from otel_chat._sdk.prometheus_port import ScrapedReader, serve

    reader = ScrapedReader()
    close = serve(config.prometheus_host, config.prometheus_port)
    if close is not None:
        parts.closers.append(_closer(close))
    return reader


def _flusher(provider: Any, queue: SpanQueue | LogQueue | None) -> Send:
    """Has a provider send what it holds; True where all of it was accepted, as far as we know."""
    force = getattr(provider, "force_flush", None)

    def flush(seconds: float) -> bool:
        if queue is None:
            return force is None or force(int(seconds * 1000)) is not False
        ledger = queue.ledger
        queued = ledger.queued(0)
        done = force is None or force(int(seconds * 1000)) is not False
        queue.force_flush()  # another processor that fails keeps the provider from asking this one
        missing = ledger.overflown(queued)
        if missing:
            fix = "raise OTEL_CHAT_QUEUE_SIZE, or send less"
            verdict = verdicts.Verdict(verdicts.OVERFLOWN, "its queue was full", fix)
            failed(ledger.signal, "this process", verdict, missing)
        return ledger.clean() and done

    return flush


def _metrics_flusher(provider: Any, reader: Reader | None, exporter: WatchedMetrics | None) -> Send:
    force = getattr(provider, "force_flush", None)

    def flush(seconds: float) -> bool:
        runtime = installed()
        if runtime is not None:
            runtime.delivery.flush(seconds)  # with the counts of what was just refused
        if reader is None or exporter is None:
            return force is None or force(seconds * 1000) is not False
        done = reader.force_flush(timeout_millis=seconds * 1000)
        return exporter.accepted and done

    return flush


def _closer(shutdown: Callable[[], object]) -> Send:
    """A shutdown that says it is done."""
    return _timed_closer(lambda _: shutdown())


def _timed_closer(shutdown: Callable[[float], object]) -> Send:
    """The same of one that takes milliseconds."""

    def close(seconds: float) -> bool:
        shutdown(seconds * 1000)
        return True

    return close


def _say_kept(provider: Any, known: Mapping[str, str], id_generator: IdGenerator | None) -> None:
    """Says which arguments cannot count, because the application's provider is kept."""
    own = getattr(getattr(provider, "resource", None), "attributes", {})
    ignored = [key for key, value in known.items() if own.get(key) != value]
    ignored += ["id_generator"] if id_generator is not None else []
    if ignored:
        say_once(
            ("kept", *ignored),
            f"a tracer provider is installed already ({_kind(provider)}) and is kept; ignored for"
            f" spans: {', '.join(ignored)}. Set them there, or call setup() before",
        )


def _say_closed(provider: object, target: _Target) -> None:
    where = "" if target.endpoint is None else f", not to {verdicts.address(target.endpoint)}"
    say_once(
        ("closed",),
        f"the tracer provider ({_kind(provider)}) takes no span processor: turns go only where it"
        f" sends them{where}, and without the usage of model calls inside. Call setup() before"
        " it is configured",
    )


def _kind(provider: object) -> str:
    return f"{type(provider).__module__}.{type(provider).__qualname__}"


def _queue_size(variable: str, target: _Target) -> int:
    """A round of the delivery thread ends many spans at once: its queue must fit into this one."""
    given = os.environ.get(variable, "").strip()
    try:
        return int(given) if given else max(QUEUE_SIZE, target.config.queue_size)
    except ValueError as error:
        raise ConfigurationError(f"{variable}={given!r}: expected a number of items.") from error


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
