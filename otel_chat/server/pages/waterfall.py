"""The spans of a turn as bars, laid out in per cent so that they need neither script nor style."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from otel_chat import semconv

if TYPE_CHECKING:
    from otel_chat.server.questions.traces import Span, Trace

LEAST_WIDTH: Final = 0.6
DEEPEST: Final = 8
KINDS: Final = {
    semconv.OPERATION_INVOKE_AGENT: "agent",
    semconv.OPERATION_CHAT: "model",
    semconv.OPERATION_EXECUTE_TOOL: "tool",
    semconv.OPERATION_INVOKE_WORKFLOW: "workflow",
    semconv.OPERATION_RETRIEVAL: "retrieval",
}
KIND_LABELS: Final = {
    "agent": "agent",
    "model": "model call",
    "tool": "tool",
    "workflow": "workflow",
    "retrieval": "retrieval",
    "other": "other work",
}


@dataclass(frozen=True, slots=True)
class Bar:
    """A span as a bar.

    Args:
        span: What it shows.
        kind: agent, model, tool, workflow, retrieval or other.
        level: How far its name is indented, 0 to 8.
        x: Where it starts, in per cent of the waterfall.
        width: How long it is, in per cent of the waterfall; never so short that it is not seen.
        share: Its part of the waterfall's whole time, 0 to 1.
    """

    span: Span
    kind: str
    level: int
    x: float
    width: float
    share: float

    @property
    def failed(self) -> bool:
        """Whether it ended in an error."""
        return self.span.status == "error"


@dataclass(frozen=True, slots=True)
class Waterfall:
    """The spans of a turn.

    Args:
        bars: The spans, each after its parent.
        length: Seconds from the first start to the last end.
    """

    bars: Sequence[Bar]
    length: float

    @property
    def kinds(self) -> list[tuple[str, str]]:
        """Kinds that occur, with their labels, for the legend."""
        there = {bar.kind for bar in self.bars}
        return [(kind, label) for kind, label in KIND_LABELS.items() if kind in there]

    @property
    def slowest(self) -> Bar | None:
        """The step inside the turn that took longest, if there is any step."""
        steps = [bar for bar in self.bars if not bar.span.turn]
        return max(steps, key=lambda bar: bar.span.duration, default=None)


def of_turn(trace: Trace | None, span_id: str) -> Waterfall:
    """The waterfall of a turn.

    Args:
        trace: The trace that it is part of; `None` where it is not stored.
        span_id: The turn's span. Where its trace holds several turns, only what happened within
            this one is shown; else the whole trace, the request around the turn among it.
    """
    spans = _spans(trace, span_id)
    if not spans:
        return Waterfall((), 0.0)
    start = min(span.offset for span in spans)
    length = max(span.offset + span.duration for span in spans) - start
    shallowest = min(span.depth for span in spans)
    return Waterfall([_bar(span, start, length, shallowest) for span in spans], length)


def _spans(trace: Trace | None, span_id: str) -> list[Span]:
    if trace is None:
        return []
    if sum(span.turn for span in trace.spans) <= 1:
        return trace.spans
    at = next((i for i, span in enumerate(trace.spans) if span.span_id == span_id), None)
    if at is None:
        return []
    end = at + 1
    while end < len(trace.spans) and trace.spans[end].depth > trace.spans[at].depth:
        end += 1
    return trace.spans[at:end]


def _bar(span: Span, start: float, length: float, shallowest: int) -> Bar:
    x = 100 * (span.offset - start) / length if length else 0.0
    share = span.duration / length if length else 1.0
    width = max(100 * share, LEAST_WIDTH)
    return Bar(
        span=span,
        kind=KINDS.get(span.operation, "other"),
        level=min(span.depth - shallowest, DEEPEST),
        x=round(min(x, 100 - width) if width < 100 else 0.0, 3),  # noqa: PLR2004 - the whole
        width=round(min(width, 100.0), 3),
        share=share,
    )
