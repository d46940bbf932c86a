"""Our decorator against the public suite, and the suite against decorators with known defects."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import suppress
from contextvars import Token
from dataclasses import replace
from typing import Any

import pytest
from opentelemetry import context, trace
from opentelemetry.sdk.trace import TracerProvider

from otel_chat import chat_handler, model_call, turn
from otel_chat.testing import Telemetry, conformance
from otel_chat.testing.conformance import CASES, GROUPS, PROBE_SCOPE, Case, Level, Subject, run

MAKER = "tests.library.testing.conformance_subject:make"


@pytest.fixture(name="subject")
def our_decorator() -> Iterator[Subject]:
    with Telemetry() as telemetry:
        yield Subject(
            name="otel-chat",
            decorate=chat_handler,
            spans=lambda: telemetry.spans,
            reset=telemetry.reset,
            tracer=telemetry.tracer_provider.get_tracer(PROBE_SCOPE),
            now=telemetry.clock.time_ns,
            maker=MAKER,
            observer=telemetry,
        )


@conformance.parametrize()
def test_our_decorator_passes(
    case: Case, subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`chat_handler` passes every check of every case, the chat checks included."""
    for signal in ("TRACES", "METRICS", "LOGS"):
        monkeypatch.setenv(f"OTEL_{signal}_EXPORTER", "none")
    assert case.applies_to(subject)
    failures = case.run(subject).failures
    assert failures == (), "\n".join(map(str, failures))


def test_a_model_call_follows_every_stream_too() -> None:
    """`model_call` keeps and follows what is returned inside it as `chat_handler` does."""
    with Telemetry() as telemetry:
        subject = Subject(
            name="model_call",
            decorate=model_call("m"),
            spans=lambda: telemetry.spans,
            reset=telemetry.reset,
            tracer=telemetry.tracer_provider.get_tracer(PROBE_SCOPE),
            now=telemetry.clock.time_ns,
        )
        cases = [case for case in CASES if case.group in ("returned object", "returned stream")]
        assert len(cases) > 100
        assert list(run(subject, cases).failures()) == []


def find(name: str) -> Case:
    return next(case for case in CASES if case.id == name)


class Spoilt:
    """A decorator for functions and coroutine functions that has one defect."""

    def __init__(self, provider: TracerProvider, defect: str) -> None:
        self.tracer = provider.get_tracer("spoilt")
        self.defect = defect

    def __call__(self, function: Any) -> Any:  # noqa: D102
        chosen = self._acall if inspect.iscoroutinefunction(function) else self._call

        def wrapper(*args: Any) -> Any:
            return chosen(function, *args)

        return wrapper if self.defect == "name" else functools.update_wrapper(wrapper, function)

    async def _acall(self, function: Any, *args: Any) -> Any:
        with self.tracer.start_as_current_span("handler") as span:
            try:
                return await function(*args)
            except BaseException:
                span.set_status(trace.StatusCode.ERROR)
                raise

    def _call(self, function: Any, *args: Any) -> Any:
        span = self.tracer.start_span("handler")
        around = context.Context() if self.defect == "inactive" else None
        token = context.attach(trace.set_span_in_context(span) if around is None else around)
        try:
            result = function(*args)
        except Exception as error:
            self._note(span, error)
            raise
        finally:
            self._leave(span, token)
        return "changed" if self.defect == "result" else result

    def _note(self, span: trace.Span, error: Exception) -> None:
        if self.defect != "status":
            span.set_status(trace.StatusCode.ERROR)
        if self.defect == "exception":
            raise RuntimeError("wrapped") from error

    def _leave(self, span: trace.Span, token: Token[context.Context]) -> None:
        if self.defect != "leak":
            context.detach(token)
        if self.defect != "no span":
            span.end(1 if self.defect == "times" else None)
        if self.defect == "two spans":
            self.tracer.start_span("again").end()


@pytest.mark.parametrize(
    ("defect", "case", "check"),
    [
        ("status", "plain: function, raise", "status"),
        ("exception", "plain: function, raise", "passes through"),
        ("result", "plain: function, return", "passes through"),
        ("leak", "plain: function, return", "no leak"),
        ("no span", "plain: function, return", "one span"),
        ("two spans", "plain: function, return", "one span"),
        ("times", "plain: function, return", "covers the work"),
        ("inactive", "plain: function, return", "active inside"),
        ("name", "signature: plain", "name"),
        ("name", "signature: plain", "signature"),
        ("name", "signature: plain", "type hints"),
        ("none", "signature: generator", "inspect flags"),
        ("none", "generator: function, return", "covers the work"),
        ("none", "async generator: function, cancel", "covers the work"),
        ("none", "coroutine: function, cancel", "cancelled is no error"),
        ("inactive", "concurrency and nesting: nested", "parents"),
    ],
)
def test_a_defect_fails_the_check_that_is_about_it(defect: str, case: str, check: str) -> None:
    """Each known defect of a decorator is found, under the name of the check that it breaks."""
    provider = TracerProvider()
    subject = Subject.on(provider, name=defect, decorate=Spoilt(provider, defect))
    assert check in {failure.check for failure in find(case).run(subject).failures}


def test_a_decorator_without_a_defect_passes_the_plain_cases() -> None:
    """The decorator that the defects are put into passes what it is made for."""
    provider = TracerProvider()
    subject = Subject.on(provider, name="sound", decorate=Spoilt(provider, "none"))
    report = run(subject, [find("plain: function, return"), find("plain: function, raise")])
    assert (report.passed(), report.tried) == (2, 2), str(report)


def test_a_leaking_generator_is_found_out() -> None:
    """The pitfall itself: a span that is current in a generator leaks to the consumer."""
    provider = TracerProvider()
    tracer = provider.get_tracer("leaky")

    def leaky(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(*args: Any) -> Iterator[Any]:
            with tracer.start_as_current_span("handler"):
                yield from function(*args)

        return call

    subject = Subject.on(provider, name="leaky", decorate=leaky)
    [failure, *_] = find("generator: function, return").run(subject).failures
    assert (failure.check, failure.level) == ("no leak", Level.LIFECYCLE)
    elsewhere = find("generator: function, each chunk in another thread").run(subject).failures
    assert "nothing logged" in {f.check for f in elsewhere}


@pytest.mark.parametrize(
    ("case", "checks"),
    [
        ("plain: function, raise", {"turn", "turn status", "metrics"}),
        ("generator: function, return", {"turn", "turn status", "first chunk", "metrics"}),
        ("chat turns: remote parent not sampled", {"one turn"}),
        ("chat turns: remote parent sampled", {"one turn"}),
        ("chat turns: an agent that calls an agent", {"one turn", "metrics"}),
        ("chat turns: two streams at once", {"one turn"}),
    ],
)
def test_a_span_that_is_no_turn_fails_the_chat_checks(case: str, checks: set[str]) -> None:
    """A decorator that makes a sound span, and no turn of it, is told so by the chat checks."""
    with Telemetry() as telemetry:
        provider = telemetry.tracer_provider
        sound = Subject.on(provider, name="sound", decorate=Spoilt(provider, "none"))
        failures = find(case).run(replace(sound, observer=telemetry)).failures
    assert {f.check for f in failures if f.level is Level.CHAT} == checks


def test_a_turn_that_is_told_twice_fails_the_chat_checks(subject: Subject) -> None:
    """A nested turn that is recorded as one more, or a status of another's, does not pass."""

    def doubled(function: Callable[..., Any]) -> Callable[..., Any]:
        decorated = chat_handler(function)

        def call(*args: Any) -> Any:
            with suppress(ValueError), turn(agent="again"):
                raise ValueError
            return decorated(*args)

        return call

    failures = find("plain: function, return").run(replace(subject, decorate=doubled)).failures
    assert {"one span", "turn status", "metrics"} <= {f.check for f in failures}


def test_a_leaking_case_does_not_spoil_the_next() -> None:
    """Cases run in contexts of their own: what one leaves behind is not another's failure."""
    provider = TracerProvider()
    subject = Subject.on(provider, name="leaky", decorate=Spoilt(provider, "leak"))
    first, second = (find("plain: function, return").run(subject) for _ in range(2))
    assert first.failures == second.failures
    assert not trace.get_current_span().get_span_context().is_valid


def test_a_decorator_that_raises_fails_the_case_and_not_the_suite() -> None:
    """An exception out of the decorator is a named failure; the other cases are still tried."""

    def refuses(function: object) -> object:
        raise TypeError(f"cannot decorate {type(function).__name__}")

    subject = Subject.on(TracerProvider(), name="refusing", decorate=refuses)
    report = run(subject, [case for case in CASES if not case.needs_maker])
    assert (report.passed(), report.tried) == (0, len(report.outcomes))
    assert "cannot decorate function" in str(report)


def test_chat_checks_are_not_made_without_metrics() -> None:
    """A subject without an observer is tried on the lifecycle only."""
    subject = Subject.on(TracerProvider(), name="plain", decorate=lambda function: function)
    tried = [case for case in CASES if case.applies_to(subject)]
    assert {case.level for case in tried} == {Level.LIFECYCLE}
    assert {case.group for case in tried} == set(GROUPS) - {"processes", "chat turns"}


def test_case_names_are_unique() -> None:
    """A failure can be found again by its name."""
    assert len({case.id for case in CASES}) == len(CASES)
