"""The one process-wide object of the library, and the one way to report an error of ours."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial, wraps
from importlib.util import find_spec
from inspect import signature
from typing import Any, Final, ParamSpec, Protocol, TypeVar

from opentelemetry import metrics, trace
from opentelemetry._logs import LoggerProvider
from opentelemetry.context import Context
from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import SpanContext, TracerProvider
from opentelemetry.util.types import AnyValue

from otel_chat import privacy
from otel_chat import semconv as sc
from otel_chat._common import checks, otlp_values
from otel_chat._telemetry.clock import Clock, Ids, RandomIds, SystemClock
from otel_chat._telemetry.delivery import Delivery
from otel_chat._telemetry.events import Emitter
from otel_chat._telemetry.flush import Send, bounded, flush_globals
from otel_chat._telemetry.instruments import CAPS, CLOSED, DEFAULT_CAP, Instruments
from otel_chat._telemetry.process_end import LastWord
from otel_chat._telemetry.recent_conversations import ConversationTable
from otel_chat._telemetry.workers import Worker, hook_workers, reader
from otel_chat._version import __version__
from otel_chat.config import Config
from otel_chat.errors import (
    ArgumentError,
    ArgumentNameError,
    ConfigurationError,
    TelemetryError,
)
from otel_chat.pricing import Prices


class Running(Protocol):
    """A turn that runs, as far as it is counted."""

    @property
    def series(self) -> tuple[str, ...]:
        """Agent and channel."""

    start_mono_ns: int
    """When it started, by the runtime's monotonic clock."""


class Ledger(Protocol):
    """What became of the items of one signal."""

    signal: str

    @property
    def left(self) -> int:
        """Items that wait."""

    @property
    def lost(self) -> int:
        """Items that are lost."""

    def forget(self) -> None:
        """Starts anew."""


logger = logging.getLogger("otel_chat")

P = ParamSpec("P")
R = TypeVar("R")

NO_SPAN: Final = Context({"otel_chat.no_span": True})
"""A context without a span. Not empty: the SDK takes an empty one for "use the current one"."""

EVENT_TEXTS: Final = (
    sc.MESSAGE_TEXT,
    sc.ENTITY_VALUE,
    sc.EXCEPTION_MESSAGE,
    sc.EXCEPTION_STACKTRACE,
    sc.EVALUATION_EXPLANATION,
)
"""Attributes of events that hold what people and programs wrote."""
NAME_LIMIT: Final = 256
KNOWN_NAMES: Final = 4096
SHORT_SECONDS: Final = 1.0


class Runtime:
    """Configuration, tracer, instruments, events, delivery queue, clock and ids of a process.

    Args:
        config: Settings; those of the environment where none are given.
        clock: Where times come from.
        ids: Where the uids of events come from.
        tracer_provider: The global one where none is given; likewise the next two.
        meter_provider: Where instruments are made.
        logger_provider: Where events go.
        background: Without it telemetry is delivered by `flush` only, in the caller's thread.

    Example:
        >>> runtime = Runtime(Config(), background=False)
        >>> runtime.flush(timeout=1.0)
        True
    """

    def __init__(
        self,
        config: Config | None = None,
        *,
        clock: Clock | None = None,
        ids: Ids | None = None,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        logger_provider: LoggerProvider | None = None,
        background: bool = True,
    ) -> None:
        self.config = config or Config.from_env()
        self.clock: Clock = clock or SystemClock()
        self.ids: Ids = ids or RandomIds()
        self.random_ids = ids is None
        self.expects_events = True
        self._on_globals = tracer_provider is None
        provider = tracer_provider or trace.get_tracer_provider()
        self.tracer = provider.get_tracer("otel_chat", __version__, schema_url=sc.SCHEMA_URL)
        meter = (meter_provider or metrics.get_meter_provider()).get_meter("otel_chat", __version__)
        self.instruments = Instruments(meter, latest=self.config.latest_names)
        self.emitter = Emitter(logger_provider)
        self._around: tuple[SpanContext, Context] = (trace.INVALID_SPAN_CONTEXT, NO_SPAN)
        self.prices = Prices(self.config.price_table)
        self.hooks = hook_workers(self.config)
        self.conversations = ConversationTable(
            limit=self.config.conversation_limit, idle=self.config.conversation_idle_seconds
        )
        self.delivery = Delivery(
            on_error=partial(report_error, "delivery"),
            limit=self.config.queue_size,
            every=self.config.drain_seconds,
            background=background,
            on_round=self._count_round,
        )
        self.active: set[Running] = set()
        self._active_seen: dict[tuple[str, ...], float] = {}
        self._counts: dict[tuple[str, str, str], int] = {}
        self._counts_lock = threading.Lock()
        self._dropped = 0
        self._names: dict[str, str] = {}
        self._clean_name, self._redactor = _redactors(self.config)
        self._stopped = False
        self._stopping = threading.RLock()
        self.last_word = LastWord()
        self.flushers: list[Send] = [flush_globals]
        self.closers: list[Send] = []
        self.ledgers: list[Ledger] = []
        self.for_nobody = self._told_nobody = 0
        self._has_prices = False
        self._keep_key = hashlib.sha256(self.config.keep_key.encode()).digest()
        self._keep_below = int(self.config.keep_rate * 2**64)
        self.instruments.observe(sc.METRIC_TURN_ACTIVE, self._read_active)
        self.instruments.observe(sc.METRIC_TURN_OLDEST, self._read_oldest)
        self.instruments.observe(sc.METRIC_CONVERSATION_ACTIVE, self._read_conversations)
        for model in self.config.models:
            self.prices.load(model, None)
        if hasattr(os, "register_at_fork"):
            reset = weakref.WeakMethod(self._after_fork)
            os.register_at_fork(after_in_child=lambda: (method := reset()) and method())

    # -- times, names and hashes ---------------------------------------------------------------

    def keeps(self, conversation_id: str) -> bool:
        """Whether this conversation is among the share that is always kept."""
        if self._keep_below >= 2**64:
            return True
        digest = hashlib.blake2b(conversation_id.encode(), digest_size=8, key=self._keep_key)
        return int.from_bytes(digest.digest(), "big") < self._keep_below

    def user_hash(self, user_id: object) -> str | None:
        """The keyed hash of a user's id; None without a key."""
        key = self.config.user_hash_key
        return privacy.hash_user(checks.user(user_id), key) if key else None

    def name(self, value: object, argument: str = "name") -> str:
        """A name as it may leave the process: redacted, and cut to 256 characters.

        Args:
            value: A text or a number.
            argument: What its giver knows it by.

        Raises:
            ArgumentTypeError: it is neither; names the argument.
        """
        text = value if type(value) is str else checks.text(value, argument)
        known = self._names.get(text)
        if known is None:
            known = self._clean_name(otlp_values.text(text[: NAME_LIMIT * 2]))[:NAME_LIMIT]
            if len(self._names) < KNOWN_NAMES:
                self._names[text] = known
        return known

    def redact(self, text: str) -> str:
        """Free text as it may leave the process: redacted, cut at the limit with a word of it."""
        return self._redactor(otlp_values.text(text))

    def redact_data(self, data: object) -> object:
        """Data with every text in it redacted: fresh, of what JSON and OTLP both can carry."""
        return privacy.redact_value(otlp_values.value(data), self._redactor)

    def redact_json(
        self,
        data: object,
        redact: Callable[[Any, privacy.Redactor], object] = privacy.redact_value,
    ) -> str:
        """Data of the caller's as JSON, every text in it redacted; withheld where that hangs."""
        try:
            clean = otlp_values.value(reader.read(data, redact, self._redactor))
        except Exception as error:  # noqa: BLE001 - the caller's object may do anything
            report_error("redactor", error)
            clean = privacy.FAILED
        return json.dumps(clean, ensure_ascii=False, separators=(",", ":"))

    # -- counting ------------------------------------------------------------------------------

    def count(self, metric: str, attribute: str, value: str, amount: int = 1) -> None:
        """Counts something about the telemetry itself; sent with the next round."""
        key = (metric, attribute, value)
        with self._counts_lock:
            self._counts[key] = self._counts.get(key, 0) + amount

    def dropped(self, signal: str, amount: int = 1) -> None:
        """Counts telemetry that was not sent."""
        self.count(sc.METRIC_TELEMETRY_DROPPED, sc.TELEMETRY_SIGNAL, signal, amount)

    def _count_round(self) -> None:
        self.emitter.new_round()
        self.instruments.settle(NO_SPAN)
        lost, self._dropped = self.delivery.dropped - self._dropped, self.delivery.dropped
        if lost:
            self.dropped(sc.SIGNAL_RECORDS, lost)
        for attribute, amount in self.instruments.folding.take().items():
            self.count(sc.METRIC_CAPPED_ATTRIBUTES, sc.TELEMETRY_ATTRIBUTE, attribute, amount)
        with self._counts_lock:
            counts, self._counts = self._counts, {}
        for (metric, attribute, value), amount in counts.items():
            self.instruments.add(metric, amount, {attribute: value}, NO_SPAN)

    def seed(self, known: Mapping[str, Iterable[Any]]) -> None:
        """Queues the zeros that let the first count of a known series be seen."""
        values = {key: list(given) for key, given in self.config.known_values.items()}
        for key, given in known.items():
            values.setdefault(key, []).extend(given)
        for key, all_known in values.items():
            _say_too_many(key, list(dict.fromkeys(all_known)))
        self.delivery.put((self.instruments.seed, values, NO_SPAN))

    # -- events --------------------------------------------------------------------------------

    def context_of(self, span: SpanContext) -> Context:
        """A context that holds this span. What a turn tells comes in a row: the last one is kept.

        Args:
            span: The ids of a span, which may be over.
        """
        known, context = self._around
        if known is not span:
            context = NO_SPAN
            if span.is_valid:
                context = trace.set_span_in_context(trace.NonRecordingSpan(span), NO_SPAN)
            self._around = (span, context)
        return context

    def exemplar_context(self, span: SpanContext | None, conversation_id: object = None) -> Context:
        """The context to record something in that is known before its turn is over, or after it.

        It holds the span where the trace is among the share that is always kept; whether the turn
        is kept for what it was is not known here.

        Args:
            span: The ids of the span it belongs to, if any.
            conversation_id: The conversation's; the trace stands for it where nobody gave one.
        """
        if span is None or not span.is_valid:
            return NO_SPAN
        known = conversation_id if isinstance(conversation_id, str) else f"{span.trace_id:032x}"
        return self.context_of(span) if self.keeps(known) else NO_SPAN

    def emit(
        self,
        name: str,
        attributes: dict[str, AnyValue],
        data: object,
        span: SpanContext | None,
        time_ns: int,
        uid: str | None,
    ) -> None:
        """Emits an event, redacted; called by the delivery thread.

        Args:
            name: One of the names in `semconv`.
            attributes: What is known of it; becomes the event's own.
            data: Anything JSON can hold.
            span: The ids of the span that it belongs to.
            time_ns: When.
            uid: Its `log.record.uid`; a random one without.
        """
        if data is not None:
            attributes[sc.DATA] = self.redact_json(data)
        for key in EVENT_TEXTS:
            if key in attributes:
                text = attributes[key]
                attributes[key] = self.redact(text) if isinstance(text, str) else text
        context = NO_SPAN if span is None else self.context_of(span)
        if not self.emitter.emit(
            name, time_ns, attributes, context, uid=uid or self.ids.event_uid()
        ):
            self.dropped(sc.SIGNAL_EVENTS)
            if self.expects_events and not self._reaches_nobody:
                said = "no LoggerProvider takes events; they are dropped and counted"
                log_once("events", said, None)

    # -- what is open --------------------------------------------------------------------------

    def _read_active(self) -> Mapping[tuple[str, ...], float]:
        now: dict[tuple[str, ...], float] = dict.fromkeys(self._active_seen, 0.0)
        if not self._stopped:
            for turn in tuple(self.active):
                key = turn.series
                now[key] = now.get(key, 0.0) + 1
        self._active_seen = dict.fromkeys(now, 0.0)
        return now

    def _read_oldest(self) -> Mapping[tuple[str, ...], float]:
        ages: dict[tuple[str, ...], float] = dict.fromkeys(self._active_seen, 0.0)
        if not self._stopped:
            now = self.clock.monotonic_ns()
            for turn in tuple(self.active):
                age = (now - turn.start_mono_ns) / 1e9
                ages[turn.series] = max(ages.get(turn.series, 0.0), age)
        return ages

    def _read_conversations(self) -> Mapping[tuple[str, ...], float]:
        return self.conversations.active(self.clock.monotonic_ns(), zero=self._stopped)

    # -- life ----------------------------------------------------------------------------------

    def flush(self, timeout: float = 5.0) -> bool:
        """Delivers what is queued, then has the providers send it.

        Args:
            timeout: Seconds for all of it.

        Returns:
            True where everything since the last flush was accepted; False where some of it was
            refused or lost, where it took longer, or a provider said so.
        """
        deadline = time.monotonic() + timeout
        done = self.delivery.flush(timeout)
        done = bounded(self.flushers, deadline, _flush_failed) and done
        return self._reached_somebody() and done

    @property
    def _reaches_nobody(self) -> bool:
        return self._on_globals and isinstance(
            trace.get_tracer_provider(), trace.ProxyTracerProvider
        )

    def ended_a_turn(self) -> None:
        """Says once where nobody takes turns: neither `setup()` nor a provider is there."""
        if self._reaches_nobody:
            self.for_nobody += 1
            self.dropped(sc.SIGNAL_SPANS)
            say_once(
                ("nobody",),
                "a turn was recorded and nobody takes it: call otel_chat.setup(endpoint=...), or"
                " otel_chat.setup(console=True) to see it here",
            )

    def ended_unpriced(self) -> None:
        """Says once where no list of prices is installed."""
        if not self._has_prices and find_spec("genai_prices") is None:
            say_once(
                ("pricing",),
                "a turn has no price: pip install 'otel-chat[pricing]', or set Config(price_table)",
            )
        self._has_prices = True  # or told

    def _reached_somebody(self) -> bool:
        told, self._told_nobody = self._told_nobody, self.for_nobody
        return told == self.for_nobody

    def stop(self, timeout: float = 5.0) -> bool:
        """Flushes, takes no more, and shuts down the providers that `setup` made.

        What is open reads 0 in the last export: its series would stay at what they were.
        """
        deadline = time.monotonic() + timeout
        with self._ending(timeout) as first:
            if not first:
                return first is False
            done = self.delivery.close(timeout)
            done = bounded(self.flushers, deadline, _flush_failed) and done
            done = bounded(self.closers, deadline, _flush_failed) and done
            return self._reached_somebody() and done

    def end(self) -> bool:
        """The process' last word: like `stop`, with a bound for each step.

        The queue comes first, then spans, events and metrics, each with `exit_seconds`. Where one
        of them does not get through, the next have a second each. Hooks are left out, and what is
        left is said in one line.
        """
        bound = self.config.exit_seconds
        with self._ending(bound) as first:
            if not first:
                return first is False
            lost = [ledger.lost for ledger in self.ledgers]
            done = self.delivery.end(2 * bound)
            for send in (*self.flushers, *self.closers):
                start = time.monotonic()
                done = bounded([send], start + bound, _flush_failed) and done
                if time.monotonic() - start >= bound:
                    bound = min(bound, SHORT_SECONDS)
            self._say_left(lost)
            return done

    @contextmanager
    def _ending(self, seconds: float) -> Iterator[bool | None]:
        """Whether nobody ended it before; None where somebody still does after so many seconds."""
        with self.last_word.said():
            if not self._stopping.acquire(timeout=seconds):
                yield None
                return
            try:
                first, self._stopped = not self._stopped, True
                yield first
            finally:
                self._stopping.release()

    def _say_left(self, lost: Sequence[int]) -> None:
        counts = {
            ledger.signal: ledger.left + ledger.lost - before
            for ledger, before in zip(self.ledgers, lost, strict=True)
        }
        counts[sc.SIGNAL_RECORDS] = self.delivery.waiting
        left = ", ".join(f"{amount} {signal}" for signal, amount in counts.items() if amount)
        if left:
            logger.warning("otel_chat: the process ends, and these were not sent: %s", left)

    def _after_fork(self) -> None:
        self._counts_lock = threading.Lock()
        self._stopping = threading.RLock()
        self.last_word = LastWord()
        self._counts = {}
        self.for_nobody = self._told_nobody = 0
        for ledger in self.ledgers:
            ledger.forget()
        self.delivery.dropped = self._dropped = 0
        self.instruments.forget()
        self.active = set()
        self._active_seen = {}
        self.conversations.clear()
        self.seed(declared)


_current: Runtime | None = None
_lock = threading.Lock()
_logged: set[tuple[str, str]] = set()
_said: set[tuple[object, ...]] = set()
declared: dict[str, dict[Any, None]] = {}
"""Attribute values that handlers declare, in their order: metrics keep the first, from 0 on."""


def current() -> Runtime:
    """The runtime of this process; made on the global providers where there is none yet."""
    runtime = _current
    return runtime if runtime is not None else _make()


def _make() -> Runtime:
    global _current  # noqa: PLW0603 - the one process-wide object
    with _lock:
        if _current is None:
            _current = Runtime()
        return _current


def installed() -> Runtime | None:
    """The runtime of this process, where there is one."""
    return _current


def install(runtime: Runtime | None) -> Runtime | None:
    """Makes `runtime` the process' own and returns the one before; None puts it back to none."""
    global _current
    with _lock:
        before, _current = _current, runtime
    if runtime is not None:
        runtime.seed(declared)
    return before


def declare(known: Mapping[str, object]) -> None:
    """Notes attribute values that will occur, so that their counters start at 0."""
    new = {k: v for k, v in known.items() if v not in declared.get(k, ())}
    for attribute, value in new.items():
        declared.setdefault(attribute, {})[value] = None
    if new and _current is not None:
        _current.seed(declared)


def report_error(component: str, error: BaseException) -> None:
    """Counts an error of ours and logs it once; raises it under `OTEL_CHAT_RAISE=1`.

    Args:
        component: Where it happened; a metric's attribute, so one of few.
        error: What happened. Its text may hold content, so only its type is logged, unless it is of
            our own checks: those say which argument, its value's type and what is allowed.

    Raises:
        TelemetryError: only with `OTEL_CHAT_RAISE=1` in the environment, that is under test.
    """
    runtime = _current
    if runtime is not None:
        runtime.count(sc.METRIC_TELEMETRY_ERRORS, sc.TELEMETRY_COMPONENT, component)
    if os.environ.get("OTEL_CHAT_RAISE") == "1":
        raise TelemetryError(f"{component}: {error!r}") from error
    kind, said = type(error).__name__, ""
    if isinstance(error, ArgumentError):  # its text names types alone
        kind = "TypeError" if isinstance(error, TypeError) else "ValueError"
        said = f": {error}"
    log_once(component, f"telemetry failed with {kind}{said}; chat goes on", error)


def reporting(
    component: str,
) -> Callable[[Callable[P, R]], Callable[P, R | None]]:
    """Makes a function that reports something never raise: what is wrong is reported, and None.

    A wrong setting is still told: it is no matter of a single call.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R | None]:
        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R | None:
            try:
                return function(*args, **kwargs)
            except ConfigurationError:
                raise
            except TypeError as error:
                report_error(component, of_signature(function, args, kwargs) or error)
            except Exception as error:  # noqa: BLE001 - never in the caller's way
                report_error(component, error)
            return None

        return call

    return decorate


def of_signature(
    function: Callable[..., object], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Exception | None:
    """What is wrong with the names of the arguments, if anything is; holds no value."""
    try:
        signature(function).bind(*args, **kwargs)
    except TypeError as error:
        return ArgumentNameError(f"{function.__name__}(): {error}")
    return None


def log_once(component: str, message: str, error: BaseException | None) -> None:
    """Logs `message`, once for a component and kind of error, or argument that was wrong."""
    wrong = error.argument if isinstance(error, ArgumentError) else ""
    key = (component, wrong or type(error).__name__)
    if key not in _logged:
        _logged.add(key)
        logger.warning("otel_chat %s: %s (logged once)", component, message)


def say_once(key: tuple[object, ...], message: str) -> None:
    """Logs what the owner can mend, once for each key.

    Args:
        key: What the message is about.
        message: What is wrong and what to do, without secrets and contents.
    """
    if key not in _said:
        _said.add(key)
        logger.warning("otel_chat: %s (logged once)", message)


def _say_too_many(attribute: str, known: Sequence[object]) -> None:
    cap = CAPS.get(attribute, DEFAULT_CAP)
    if attribute not in CLOSED and len(known) > cap:
        say_once(
            ("known", attribute),
            f"metrics tell {cap} values of {attribute} by name, and {len(known)} are known:"
            f" from {known[cap]!r} on they count as {sc.OTHER}; put those that matter first into"
            " Config(known_values={...})",
        )


def flush(timeout: float = 5.0) -> bool:
    """Sends what is queued; for serverless functions, and before a process is killed.

    Args:
        timeout: Seconds for all of it.

    Returns:
        Whether all of it was accepted in time.

    Example:
        >>> everything_arrived = flush(timeout=1.0)
    """
    return current().flush(timeout)


def shutdown(timeout: float = 5.0) -> bool:
    """Sends what is queued and stops; the process' last word, said at exit by itself.

    Args:
        timeout: Seconds for all of it.

    Returns:
        Whether all of it was accepted in time.
    """
    return current().stop(timeout)


def _flush_failed(error: Exception) -> None:
    log_once("export", f"flush failed with {type(error).__name__}", error)


def _redactors(config: Config) -> tuple[privacy.Redactor, privacy.Redactor]:
    """What cleans names, and what redacts texts.

    Names are cleaned in the caller's thread, where a function of the owner's may not run. For
    texts it is the last step of the rules; where it raises the text is withheld.
    """
    limit, failed = config.content_limit, partial(report_error, "redactor")
    given = config.redactor
    if isinstance(given, privacy.Redactor):
        if given.function is None:
            return given, given
        return given.with_function(None), given.with_function(_bounded(given.function, config))
    built_in = privacy.Redactor(max_length=limit, on_error=failed)
    if given is None:
        return built_in, built_in
    return built_in, privacy.Redactor(
        function=_bounded(given, config), max_length=limit, on_error=failed
    )


def _bounded(function: Callable[[str], str], config: Config) -> Callable[[str], str]:
    """The owner's function in a thread of its own: it may hang, or end the thread."""
    worker = Worker(function, "otel-chat-redactor")
    return partial(worker.call, seconds=config.hook_seconds)
