"""What the suite is given (a subject), what it tries (cases) and what it answers (a report)."""

from __future__ import annotations

import contextvars
import gc
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol

from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Tracer

PROBE_SCOPE = "otel_chat.conformance"


class Level(Enum):
    """Whom a check concerns.

    `LIFECYCLE` every tracing decorator; `CANCELLATION` whether a cancelled handler is spared the
    status ERROR, on which tracing decorators disagree; `CHAT` what only a chat turn has.
    """

    LIFECYCLE = "lifecycle"
    CANCELLATION = "cancellation"
    CHAT = "chat"


class Observer(Protocol):
    """What the chat checks read besides spans: metrics, after everything has been delivered."""

    def sums(self, metric: str) -> Mapping[tuple[tuple[str, Any], ...], float]:
        """The count (histogram) or value (counter, gauge) of each attribute set of `metric`."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A decorator under test, and the way to see what it recorded.

    Args:
        name: What the report calls it.
        decorate: Takes a handler and returns it decorated.
        spans: The spans finished so far, oldest first, with nothing left in a queue.
        reset: Forgets the spans (and metrics) recorded so far.
        tracer: Makes the spans that handlers under test open inside, on the decorator's provider;
            named `PROBE_SCOPE`.
        now: Nanoseconds on the clock by which the decorator's spans are timed.
        maker: `module:function`, which makes the subject in another process (see `Maker`);
            without it the cases of fork and exit are not tried.
        observer: Metrics; with it the chat checks are made too.

    Example:
        >>> from contextlib import ContextDecorator
        >>> from opentelemetry.sdk.trace import TracerProvider
        >>> provider = TracerProvider()
        >>> traced = provider.get_tracer("app").start_as_current_span("handler")
        >>> Subject.on(provider, name="plain", decorate=traced).name
        'plain'
    """

    name: str
    decorate: Callable[[Any], Any]
    spans: Callable[[], Sequence[ReadableSpan]]
    reset: Callable[[], None]
    tracer: Tracer
    now: Callable[[], int] = time.time_ns
    maker: str | None = None
    observer: Observer | None = None

    @classmethod
    def on(
        cls,
        provider: TracerProvider,
        *,
        name: str,
        decorate: Callable[[Any], Any],
        maker: str | None = None,
    ) -> Subject:
        """A subject whose spans are read from an SDK provider, synchronously and in memory."""
        exporter = InMemorySpanExporter()
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        tracer = provider.get_tracer(PROBE_SCOPE)
        return cls.reading(exporter, name=name, decorate=decorate, tracer=tracer, maker=maker)

    @classmethod
    def reading(
        cls,
        exporter: InMemorySpanExporter,
        *,
        name: str,
        decorate: Callable[[Any], Any],
        tracer: Tracer,
        maker: str | None = None,
    ) -> Subject:
        """A subject whose spans are read from an exporter that gets each as soon as it ends."""
        return cls(
            name=name,
            decorate=decorate,
            spans=exporter.get_finished_spans,
            reset=exporter.clear,
            tracer=tracer,
            maker=maker,
        )

    def handler_spans(self) -> list[ReadableSpan]:
        """The finished spans that the decorator made (not those that the suite's handlers made)."""
        return [s for s in self.spans() if scope_name(s) != PROBE_SCOPE]

    def probe_spans(self) -> list[ReadableSpan]:
        """The finished spans that the suite's handlers made."""
        return [s for s in self.spans() if scope_name(s) == PROBE_SCOPE]


class Maker(Protocol):
    """Makes a subject whose spans go to these span processors too."""

    def __call__(self, *processors: SpanProcessor) -> Subject:
        """Makes it."""


def scope_name(span: ReadableSpan) -> str:
    """The name of the tracer that made the span."""
    return span.instrumentation_scope.name if span.instrumentation_scope else ""


@contextmanager
def own_garbage() -> Iterator[None]:
    """Collects what the block leaves behind, and while it runs no older garbage.

    So a late finalisation is never another case's, and a collection costs next to nothing.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.collect()
        gc.unfreeze()


@dataclass(frozen=True, slots=True)
class Failure:
    """A check that a case did not pass.

    Args:
        check: The check's name; docs/conformance.md defines each.
        detail: What was seen.
        level: Whom the check concerns.
    """

    check: str
    detail: str
    level: Level = Level.LIFECYCLE

    def __str__(self) -> str:
        return f"{self.check}: {self.detail}"


@dataclass(frozen=True, slots=True)
class Case:
    """One thing to try: a shape with an ending, or a behaviour.

    Args:
        group: The row of the table that it belongs to.
        name: Unique within its group.
        check: Tries it and returns what failed.
        level: `CHAT` for a case that only a chat decorator can pass.
        needs_maker: Whether the subject must be made again in another process.
    """

    group: str
    name: str
    check: Callable[[Subject], Iterable[Failure]]
    level: Level = Level.LIFECYCLE
    needs_maker: bool = False

    @property
    def id(self) -> str:
        """`group: name`, unique in the suite."""
        return f"{self.group}: {self.name}"

    def applies_to(self, subject: Subject) -> bool:
        """Whether the case can be tried on this subject."""
        if self.needs_maker and subject.maker is None:
            return False
        return self.level is not Level.CHAT or subject.observer is not None

    def run(self, subject: Subject) -> Outcome:
        """Tries the case; an exception that escapes is a failure like any other."""
        subject.reset()
        try:
            with own_garbage():
                # A copied context: what a case leaves behind is not inherited by the next
                failures = contextvars.copy_context().run(lambda: tuple(self.check(subject)))
        except Exception as error:  # noqa: BLE001 - whatever a decorator raises is a result
            failures = (Failure("passes through", f"raised {type(error).__name__}: {error}"),)
        return Outcome(case=self, failures=failures)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What trying a case gave.

    Args:
        case: The case.
        failures: The checks not passed, of every level.
    """

    case: Case
    failures: tuple[Failure, ...] = ()

    def failed(self, *levels: Level) -> tuple[Failure, ...]:
        """The failures of these levels; of all where none is given."""
        return tuple(f for f in self.failures if not levels or f.level in levels)


@dataclass(frozen=True, slots=True)
class Report:
    """The outcomes of a run.

    Args:
        subject: The subject's name.
        outcomes: One for each case tried.
    """

    subject: str
    outcomes: tuple[Outcome, ...] = field(default=())

    def of(self, *groups: str) -> Report:
        """The part of the report that concerns these groups."""
        kept = tuple(o for o in self.outcomes if o.case.group in groups)
        return Report(self.subject, kept)

    def passed(self, *levels: Level) -> int:
        """How many cases passed every check of these levels (of all where none is given)."""
        return sum(not outcome.failed(*levels) for outcome in self.outcomes)

    @property
    def tried(self) -> int:
        """How many cases were tried."""
        return len(self.outcomes)

    def failures(self, *levels: Level) -> Iterator[tuple[Case, tuple[Failure, ...]]]:
        """Each case that failed, with the checks that it failed."""
        for outcome in self.outcomes:
            if failed := outcome.failed(*levels):
                yield outcome.case, failed

    def __str__(self) -> str:
        lines = [f"{self.subject}: {self.passed()} of {self.tried} cases passed"]
        for case, failed in self.failures():
            lines += [f"  {case.id}", *(f"    {failure}" for failure in failed)]
        return "\n".join(lines)
