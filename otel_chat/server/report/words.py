"""What a report of one's own says in words: its first sentence, changes, intervals and targets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from otel_chat.server.pages import formats

if TYPE_CHECKING:
    from otel_chat.server.questions.brief import Brief, Told
    from otel_chat.server.report.definition import Goal

_MINUS: Final = "\u2212"
_LABELS: Final = {
    "containment_ratio": "Containment",
    "handoff_ratio": "Handoffs",
    "resolution_ratio_high": "Resolution",
    "resolution_ratio_low": "Confirmed resolution",
    "csat_top_ratio": "Satisfaction",
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
    """A figure in its unit.

    Example:
        >>> [written(0.864, unit).replace("\u202f", " ") for unit in ("1", "s", "USD", "{turn}")]
        ['86 %', '864 ms', '$0.86', '0.9']
    """
    if value is None:
        return formats.NO_DATA
    if unit == "1":
        # A score is no share.
        return formats.percent(value) if 0 <= value <= 1 else f"{value:.0f}"
    if unit == "s":
        return formats.duration(value)
    return formats.money(value) if unit == "USD" else f"{value:,.1f}"


def amount(one: Told) -> str:
    """How far a figure moved, without a sign: shares in points, all others in per cent."""
    if one.difference is None:
        return ""
    if one.unit == "1" and _share(one):
        return f"{abs(one.difference) * 100:.1f} points"
    if one.relative is None:
        return written(abs(one.difference), one.unit)
    return f"{abs(one.relative) * 100:,.0f}{formats.THIN}%"


def _share(one: Told) -> bool:
    return all(side.numerator is not None for side in (one.now, one.before))


def moved(one: Told) -> str:
    """How a figure moved, with its sign."""
    if one.difference is None:
        return "\u2013"
    if one.difference == 0:
        return "\u00b10"
    return f"{_MINUS if one.difference < 0 else '+'}{amount(one)}"


def interval(one: Told) -> str:
    """Between which values a figure lies, at 95 %; empty where there is too little."""
    if one.now.low is None or one.now.high is None:
        return ""
    return f"{written(one.now.low, one.unit)} to {written(one.now.high, one.unit)}"


def phrase(one: Told) -> str:
    """What became of a figure, and what from, without a full stop."""
    direction = "fell" if (one.difference or 0) < 0 else "rose"
    why = f": {'; '.join(one.causes)}" if one.causes else ""
    return f"{label(one)} {direction} {amount(one)} to {written(one.now.value, one.unit)}{why}"


def sentence(brief: Brief) -> str:
    """The one sentence that stands first."""
    if not brief.conversations:
        return "There was no conversation in this period."
    if brief.changed is not None:
        return f"{phrase(brief.changed)}."
    one = next(told for told in brief.figures if told.figure == "containment_ratio")
    settled = formats.plural(one.now.count, "settled conversation")
    known = (
        f"containment is {written(one.now.value, '1')} of {settled}"
        if one.now.count
        else f"{formats.plural(brief.conversations, 'conversation')}, none settled yet"
    )
    if not brief.previous_conversations:
        return f"There is no period before to compare with: {known}."
    return f"Nothing changed beyond chance: {known}."


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
