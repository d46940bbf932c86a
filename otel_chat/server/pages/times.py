"""Where the time of turns went, as parts of a bar."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from otel_chat.server.figures.registry import FIGURES
from otel_chat.server.pages import formats
from otel_chat.server.questions.split import PARTS

if TYPE_CHECKING:
    from otel_chat.server.questions.split import TimeSplit

LABELS: Final = {"model": "models", "retrieval": "retrieval", "tool": "tools", "own": "own code"}


@dataclass(frozen=True, slots=True)
class Part:
    """What took a part of the time.

    Args:
        key: model, retrieval, tool or own.
        label: What it is called.
        written: How long it took.
        share: Its part of the whole, 0 to 1.
        offset: Where it begins in the whole, 0 to 1.
    """

    key: str
    label: str
    written: str
    share: float
    offset: float


def parts(splits: Iterable[TimeSplit]) -> Sequence[Part]:
    """The parts of all the time of some turns; none where there is no time to part.

    Example:
        >>> from otel_chat.server.questions.split import TimeSplit
        >>> whole = TimeSplit(span_id="a", duration=4, model=3, retrieval=0, tool=1, own=0)
        >>> [(part.key, part.share, part.offset) for part in parts([whole])]
        [('model', 0.75, 0.0), ('tool', 0.25, 0.75)]
    """
    sums = dict.fromkeys(PARTS, 0.0)
    for split in splits:
        for part in PARTS:
            sums[part] += getattr(split, part)
    whole = sum(sums.values())
    found: list[Part] = []
    offset = 0.0
    for part, seconds in sums.items():
        if seconds > 0:
            share = seconds / whole
            found.append(Part(part, LABELS[part], formats.duration(seconds), share, offset))
            offset += share
    return found


def meanings() -> list[tuple[str, str]]:
    """What each part means."""
    return [(LABELS[part].capitalize(), FIGURES[f"turn_{part}_time"].definition) for part in PARTS]
