"""What only a chat turn has: its mark, its own status, one record of its duration."""

from __future__ import annotations

from collections.abc import Iterator

from otel_chat import semconv as sc
from otel_chat.testing.conformance.model import Failure, Level
from otel_chat.testing.conformance.probe import Probe


def turn_failures(probe: Probe, *, streamed: bool) -> Iterator[Failure]:
    """The chat checks that a case of the matrix did not pass.

    Args:
        probe: What the handler saw.
        streamed: Whether the reply is a stream, so that it has a first chunk.
    """
    spans = probe.subject.handler_spans()
    expected = probe.ending.expected
    for span in spans:
        attributes = dict(span.attributes or {})
        status = attributes.get(sc.STATUS)
        if attributes.get(sc.TURN_ROOT) is not True:
            yield Failure("turn", f"no {sc.TURN_ROOT} on the span", Level.CHAT)
        if expected not in ("any", status):
            yield Failure("turn status", f"{status!r}, not {expected!r}", Level.CHAT)
        if expected == "error" and attributes.get(sc.ERROR_TYPE) != "HandlerError":
            yield Failure(
                "turn status", f"error.type {attributes.get(sc.ERROR_TYPE)!r}", Level.CHAT
            )
        gave_chunk = probe.ending.at > 0 or expected == "ok"
        if streamed and gave_chunk and sc.TIME_TO_FIRST_CHUNK not in attributes:
            yield Failure("first chunk", f"no {sc.TIME_TO_FIRST_CHUNK}", Level.CHAT)
    yield from _metric_failures(probe, turns=len(spans))


def _metric_failures(probe: Probe, *, turns: int) -> Iterator[Failure]:
    observer = probe.subject.observer
    if observer is None:
        return
    durations = observer.sums(sc.METRIC_TURN_DURATION)
    if sum(durations.values()) != turns:
        yield Failure("metrics", f"{durations} records for {turns} turns", Level.CHAT)
    expected = probe.ending.expected
    statuses = {dict(attributes).get(sc.STATUS) for attributes in durations}
    if turns and expected != "any" and statuses != {expected}:
        yield Failure("metrics", f"recorded as {statuses}, not {expected!r}", Level.CHAT)
    if running := sum(observer.sums(sc.METRIC_TURN_ACTIVE).values()):
        yield Failure("metrics", f"{running:g} turns still counted as running", Level.CHAT)
