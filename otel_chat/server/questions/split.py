"""Where the time of a turn went: models, tools, retrievals, and the application's own code.

At every moment of the turn the time belongs to what the innermost running span does; where two
equally deep ones run side by side, models go before retrievals, and retrievals before tools. A
span that is none of these belongs to the nearest one around it that is. So each moment is counted
once, however much runs at the same time, and the parts sum to the turn.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal

from pydantic import Field

from otel_chat import semconv
from otel_chat.server.figures.answers import Answer
from otel_chat.server.figures.registry import figure

Part = Literal["model", "retrieval", "tool", "own"]
PARTS: Final[tuple[Part, ...]] = ("model", "retrieval", "tool", "own")
KINDS: Final[Mapping[str, Part]] = {
    semconv.OPERATION_CHAT: "model",
    "text_completion": "model",
    "generate_content": "model",
    "embeddings": "model",
    semconv.OPERATION_RETRIEVAL: "retrieval",
    semconv.OPERATION_EXECUTE_TOOL: "tool",
}
"""What the operations of spans are, by `gen_ai.operation.name`."""
NANOSECONDS: Final = 1_000_000_000


class TimeSplit(Answer):
    """Where the time of a turn went; the parts sum to its duration."""

    span_id: str = Field(description="The turn.")
    duration: float = Field(description="Seconds.")
    model: float = figure(
        "turn_model_time", "s", "Time of the turn in which the innermost running work was a model."
    )
    retrieval: float = figure("turn_retrieval_time", "s", "The same of retrievals.")
    tool: float = figure("turn_tool_time", "s", "The same of tools.")
    own: float = figure(
        "turn_own_time",
        "s",
        "The rest: the application's own code, and waiting for what no span tells of.",
    )


@dataclass(frozen=True, slots=True)
class Interval:
    """A span as far as its time goes.

    Args:
        span_id: Its id.
        parent: Its parent's id.
        start: Nanoseconds since 1970.
        end: The same.
        operation: What it did.
    """

    span_id: str
    parent: str
    start: int
    end: int
    operation: str


def split_ns(turn: Interval, spans: Iterable[Interval]) -> dict[Part, int]:
    """The nanoseconds of each part of a turn.

    Args:
        turn: The turn.
        spans: The spans of its trace; those that do not descend from it are left out.

    Example:
        >>> turn = Interval("t", "", 0, 100, "invoke_agent")
        >>> tool = Interval("a", "t", 10, 60, "execute_tool")
        >>> model = Interval("b", "a", 20, 50, "chat")
        >>> split_ns(turn, [tool, model])
        {'model': 30, 'retrieval': 0, 'tool': 20, 'own': 50}
    """
    ranked = _ranked(turn, list(spans))
    parts: dict[Part, int] = dict.fromkeys(PARTS, 0)
    cuts = sorted({turn.start, turn.end, *(edge for r in ranked for edge in (r.start, r.end))})
    for since, until in pairwise(cuts):
        running = [r for r in ranked if r.start <= since and r.end >= until]
        best = max(running, key=lambda r: (r.depth, -PARTS.index(r.part)), default=None)
        parts["own" if best is None else best.part] += until - since
    return parts


def split(turn: Interval, spans: Iterable[Interval]) -> TimeSplit:
    """The seconds of each part of a turn; see `split_ns`."""
    parts = split_ns(turn, spans)
    return TimeSplit(
        span_id=turn.span_id,
        duration=(turn.end - turn.start) / NANOSECONDS,
        **{part: parts[part] / NANOSECONDS for part in PARTS},
    )


@dataclass(frozen=True, slots=True)
class _Ranked:
    part: Part
    depth: int
    start: int
    end: int


def _ranked(turn: Interval, spans: Sequence[Interval]) -> list[_Ranked]:
    """The spans below a turn, cut to it, each with the part that it belongs to."""
    children: dict[str, list[Interval]] = {}
    for span in spans:
        children.setdefault(span.parent, []).append(span)
    found: list[_Ranked] = []
    seen = {turn.span_id}
    waiting: list[tuple[Interval, int, Part]] = [(turn, 0, "own")]
    while waiting:
        above, depth, part = waiting.pop()
        for span in children.get(above.span_id, ()):
            if span.span_id in seen:
                continue
            seen.add(span.span_id)
            its = KINDS.get(span.operation, part)
            start, end = max(span.start, turn.start), min(span.end, turn.end)
            if its != "own" and start < end:
                found.append(_Ranked(its, depth + 1, start, end))
            waiting.append((span, depth + 1, its))
    return found
