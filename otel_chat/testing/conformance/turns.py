"""Cases that only a chat decorator can pass: what is a turn, and what is a part of one."""

from __future__ import annotations

from collections.abc import Iterator

from opentelemetry import context, trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from otel_chat import semconv as sc
from otel_chat.testing.conformance.model import Case, Failure, Level, Subject

GROUP = "chat turns"
REMOTE_TRACE = 0x1234567890ABCDEF1234567890ABCDEF
REMOTE_SPAN = 0x1234567890ABCDEF


def _turns(subject: Subject) -> list[ReadableSpan]:
    return [s for s in subject.handler_spans() if (s.attributes or {}).get(sc.TURN_ROOT) is True]


def _under_remote(subject: Subject, flags: int) -> ReadableSpan | None:
    def handler() -> None:
        return None

    remote = SpanContext(REMOTE_TRACE, REMOTE_SPAN, is_remote=True, trace_flags=TraceFlags(flags))
    token = context.attach(trace.set_span_in_context(NonRecordingSpan(remote)))
    try:
        subject.decorate(handler)()
    finally:
        context.detach(token)
    turns = _turns(subject)
    return turns[0] if len(turns) == 1 else None


def _unsampled_remote_parent(subject: Subject) -> Iterator[Failure]:
    turn = _under_remote(subject, TraceFlags.DEFAULT)
    if turn is None:
        yield Failure("one turn", "the turn under an unsampled remote parent is lost", Level.CHAT)
        return
    if turn.parent is not None:
        yield Failure("parents", "the turn is no root of its own", Level.CHAT)
    if [link.context.span_id for link in turn.links] != [REMOTE_SPAN]:
        yield Failure("parents", "the turn is not linked to the remote parent", Level.CHAT)


def _sampled_remote_parent(subject: Subject) -> Iterator[Failure]:
    turn = _under_remote(subject, TraceFlags.SAMPLED)
    if turn is None:
        yield Failure("one turn", "not one turn under a sampled remote parent", Level.CHAT)
    elif turn.context.trace_id != REMOTE_TRACE:
        yield Failure("parents", "the turn is not in the remote parent's trace", Level.CHAT)


def _agent_calls_agent(subject: Subject) -> Iterator[Failure]:
    def inner() -> None:
        return None

    decorated = subject.decorate(inner)

    def outer() -> None:
        decorated()

    subject.decorate(outer)()
    if len(_turns(subject)) != 1:
        yield Failure("one turn", f"{len(_turns(subject))} turns for one message", Level.CHAT)
    if subject.observer is not None:
        recorded = sum(subject.observer.sums(sc.METRIC_TURN_DURATION).values())
        if recorded != 1:
            yield Failure("metrics", f"{recorded:g} records for one turn", Level.CHAT)


def _two_streams(subject: Subject) -> Iterator[Failure]:
    def handler() -> Iterator[int]:
        yield from range(2)

    decorated = subject.decorate(handler)
    list(zip(decorated(), decorated(), strict=True))
    if len(_turns(subject)) != 2:  # noqa: PLR2004 - two messages
        yield Failure("one turn", f"{len(_turns(subject))} turns for two messages", Level.CHAT)


def turn_cases() -> tuple[Case, ...]:
    """The cases of the group `chat turns`."""
    return (
        Case(GROUP, "remote parent not sampled", _unsampled_remote_parent, Level.CHAT),
        Case(GROUP, "remote parent sampled", _sampled_remote_parent, Level.CHAT),
        Case(GROUP, "an agent that calls an agent", _agent_calls_agent, Level.CHAT),
        Case(GROUP, "two streams at once", _two_streams, Level.CHAT),
    )
