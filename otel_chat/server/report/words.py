"""What a report of one's own says in words: changes, intervals and targets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from otel_chat.server.figures.writing import MINUS
from otel_chat.server.questions import sentence

if TYPE_CHECKING:
    from otel_chat.server.questions.brief import Told
    from otel_chat.server.report.definition import Goal

_LABELS: Final = {
    "containment_ratio": "Containment",
    "handoff_ratio": "Handoffs",
    "resolution_ratio_high": "Resolution",
    "resolution_ratio_low": "Confirmed resolution",
    "csat_top_ratio": "CSAT",
    "error_ratio": "Failed turns",
    "fallback_ratio": "Fallbacks",
    "abandonment_ratio": "Abandonment",
    "low_confidence_ratio": "Unsure turns",
}
"""How a sentence begins, where the figure's own label is no noun."""


def label(one: Told) -> str:
    """What a sentence calls a figure."""
    return _LABELS.get(one.figure, one.label)


def written(value: float | None, unit: str) -> str:
    """A figure in its unit; a score of 1 to 100 is no share.

    Example:
        >>> [written(value, "1").replace("\u202f", " ") for value in (0.864, 38.2, None)]
        ['86 %', '38', 'no data']
    """
    if unit == "1" and value is not None and value > 1:
        return f"{value:.0f}"
    return sentence.written(value, unit)


def moved(one: Told) -> str:
    """How a figure moved, with its sign."""
    if one.difference is None:
        return "\u2013"
    if one.difference == 0:
        return "\u00b10"
    unit = one.unit if one.now.numerator is not None else ""
    return (MINUS if one.difference < 0 else "+") + sentence.moved(
        one.difference, one.relative, unit
    )


def interval(one: Told) -> str:
    """Between which values a figure lies, at 95 %; empty where there is too little."""
    if one.now.low is None or one.now.high is None:
        return ""
    return f"{written(one.now.low, one.unit)} to {written(one.now.high, one.unit)}"


@dataclass(frozen=True, slots=True)
class Shown:
    """A figure as it is told.

    Args:
        label: What it is called.
        value: What it is.
        before: What it was.
        moved: How it moved.
        tone: good or bad where the change is clear; else empty.
        interval: Between which values it lies.
        target: What it was to be; empty without.
        met: Whether that was met; None without a target or a value.
    """

    label: str
    value: str
    before: str
    moved: str
    tone: str
    interval: str
    target: str
    met: bool | None


def shown(one: Told, goal: Goal) -> Shown:
    """A figure with its target.

    Args:
        one: The figure.
        goal: Which target it has.
    """
    value, target = one.now.value, goal.target
    met = None
    if value is not None and target is not None:
        met = value <= target if one.better == "lower" else value >= target
    return Shown(
        label(one),
        written(value, one.unit),
        written(one.before.value, one.unit),
        moved(one),
        {"better": "good", "worse": "bad"}.get(one.verdict, ""),
        interval(one),
        "" if target is None else written(target, one.unit),
        met,
    )
