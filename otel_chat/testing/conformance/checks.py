"""What is checked when a handler has ended. docs/conformance.md defines each check."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import StatusCode

from otel_chat.testing.conformance.consumers import Seen
from otel_chat.testing.conformance.model import Failure, Level
from otel_chat.testing.conformance.probe import Probe

TOLERANCE_NS = 1_000_000
"""How far a span's times may differ from the handler's marks: the jitter between two clocks."""

LOGGERS = ("opentelemetry.context", "asyncio")


class _Listener(logging.Handler):
    def __init__(self, heard: list[str]) -> None:
        super().__init__(logging.WARNING)
        self.heard = heard

    def emit(self, record: logging.LogRecord) -> None:
        self.heard.append(f"{record.name}: {record.getMessage()}".splitlines()[0][:160])


@contextmanager
def listening() -> Iterator[list[str]]:
    """Hears what OpenTelemetry's contexts and asyncio log, and exceptions that nobody took."""
    heard: list[str] = []
    listener = _Listener(heard)
    loggers = [logging.getLogger(name) for name in LOGGERS]
    kept = [(logger, logger.propagate) for logger in loggers]
    hook = sys.unraisablehook

    def unraisable(what: Any) -> None:
        heard.append(f"unraisable {type(what.exc_value).__name__}: {what.exc_value}")

    for logger in loggers:
        logger.addHandler(listener)
        logger.propagate = False
    sys.unraisablehook = unraisable
    try:
        yield heard
    finally:
        sys.unraisablehook = hook
        for logger, propagate in kept:
            logger.removeHandler(listener)
            logger.propagate = propagate


def evaluate(probe: Probe, seen: Seen, heard: list[str], *, whole: bool) -> Iterator[Failure]:
    """The checks that the case did not pass.

    Args:
        probe: What the handler saw.
        seen: What the consumer got.
        heard: What was logged.
        whole: Whether the consumer took the whole reply, so that it can be compared.
    """
    yield from _passes_through(probe, seen, whole=whole)
    spans = probe.subject.handler_spans()
    if not probe.ends:
        if len(spans) > 1:
            yield Failure("one span", f"{len(spans)} spans for a reply never taken")
    elif len(spans) != 1:
        yield Failure("one span", f"{len(spans)} spans: {[s.name for s in spans]}")
    else:
        yield from _status(spans[0], probe)
        yield from _covers(spans[0], probe)
        yield from _active(spans[0], probe)
    if probe.leaks:
        yield Failure("no leak", probe.leaks[0])
    if heard:
        yield Failure("nothing logged", heard[0])


def _passes_through(probe: Probe, seen: Seen, *, whole: bool) -> Iterator[Failure]:
    ending = probe.ending
    if (seen.error is not probe.error) if ending.raises else (whole and seen.error is not None):
        yield Failure("passes through", f"the caller got {seen.error!r}, not {probe.error!r}")
    if whole and not ending.raises:
        took_reply = seen.result is probe.reply
        took_chunks = tuple(seen.chunks) == probe.chunks
        if not took_reply and not took_chunks:
            yield Failure("passes through", f"the caller got {seen.result or seen.chunks!r}")
    ends = [None] if not ending.sees else list(ending.sees)
    if ending.name != "never started" and (len(probe.ends) != 1 or probe.ends[0] not in ends):
        met = [e.__name__ if e else "return" for e in probe.ends]
        yield Failure("passes through", f"the handler's body ended by {met or 'nothing'}")


def _status(span: ReadableSpan, probe: Probe) -> Iterator[Failure]:
    is_error = span.status.status_code is StatusCode.ERROR
    expected = probe.ending.expected
    if expected == "error" and not is_error:
        yield Failure("status", f"{span.status.status_code.name} for a handler that raised")
    if expected == "ok" and is_error:
        yield Failure("status", "ERROR for a handler that returned")
    if expected == "cancelled" and is_error:
        yield Failure("cancelled is no error", "ERROR", Level.CANCELLATION)


def _covers(span: ReadableSpan, probe: Probe) -> Iterator[Failure]:
    early = min(probe.marks) - (span.start_time or 0)
    late = (span.end_time or 0) - max(probe.marks)
    if early < -TOLERANCE_NS:
        yield Failure("covers the work", "the span began after the handler's work")
    if late < -TOLERANCE_NS:
        yield Failure("covers the work", "the span ended before the handler's work did")


def _active(span: ReadableSpan, probe: Probe) -> Iterator[Failure]:
    own = span.context.span_id
    if any(active != own for active in probe.active):
        yield Failure("active inside", "the span is not the current one in every step")
    parents = {
        s.context.span_id: s.parent.span_id if s.parent else None
        for s in probe.subject.probe_spans()
    }
    if any(parents.get(child) != own for child in probe.children):
        yield Failure("active inside", "a span opened inside is not a child of it")
