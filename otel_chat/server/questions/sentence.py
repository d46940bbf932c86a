"""One exact sentence: what changed beyond chance, by how much, since when, and where."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_chat.server.figures.writing import MINUS, THIN, count, duration, money, percent

if TYPE_CHECKING:
    from datetime import datetime

    from otel_chat.server.questions.clear_changes import ChangedPart, ClearChange, ClearChanges


def written(value: float | None, unit: str) -> str:
    """A figure in its unit.

    Example:
        >>> [written(0.864, unit).replace("\u202f", " ") for unit in ("1", "s", "USD", "{turn}")]
        ['86 %', '864 ms', '$0.86', '0.9']
    """
    if unit == "1":
        return percent(value)
    if unit == "s":
        return duration(value)
    if unit == "USD":
        return money(value)
    if value is None or unit == "{conversation}":
        return count(None if value is None else round(value))
    return f"{value:,.1f}"


def moved(difference: float, relative: float | None, unit: str) -> str:
    """How far a figure moved, without a sign: shares in points, all others in per cent.

    Example:
        >>> moved(-0.0804, -0.09, "1"), moved(1.2, 0.34, "s").replace("\u202f", " ")
        ('8.0 points', '34 %')
    """
    if unit == "1":
        return f"{abs(difference) * 100:.1f} points"
    if relative is None:
        return f"from nothing by {written(abs(difference), unit)}"
    return percent(abs(relative)) if abs(relative) < 1 else f"{abs(relative) * 100:,.0f}{THIN}%"


def since(moment: datetime, *, hourly: bool) -> str:
    """When a change began.

    Example:
        >>> from datetime import UTC, datetime
        >>> since(datetime(2026, 11, 24, 9, tzinfo=UTC), hourly=False)
        'Tue 24 Nov'
        >>> since(datetime(2026, 11, 24, 9, tzinfo=UTC), hourly=True)
        'Tue 24 Nov 09:00 UTC'
    """
    day = f"{moment:%a} {moment.day} {moment:%b}"
    return f"{day} {moment:%H:%M %Z}" if hourly else day


def contributed(part: ChangedPart, unit: str) -> str:
    """What a part of the conversations did to a figure, with its sign."""
    sign = MINUS if part.contribution < 0 else "+"
    amount = abs(part.contribution)
    return sign + (f"{amount * 100:.1f} points" if unit == "1" else written(amount, unit))


def _parts(item: ClearChange) -> str:
    told = []
    tool = next((part for part in item.parts if part.kind == "tool"), None)
    other = next((part for part in item.parts if part.kind != "tool"), None)
    if other is not None:
        amount = contributed(other, item.unit).lstrip(f"{MINUS}+").removesuffix(" points")
        # What moved it further than it went was held back by others.
        more = abs(other.contribution) > abs(item.difference) * 1.005
        which = f"alone accounts for {amount}" if more else f"accounts for {amount} of it"
        told.append(f"{other.kind} {other.name} {which}")
    if tool is not None:
        reason = f" ({tool.reason})" if tool.reason else ""
        told.append(f"tool {tool.name} failed{reason} in {_conversations(tool.conversations)}")
    return f": {'; '.join(told)}" if told else ""


def _conversations(number: int) -> str:
    return f"{number:,} conversation{'' if number == 1 else 's'}"


def phrase(item: ClearChange, *, hourly: bool) -> str:
    """What changed, by how much, since when and where, without a full stop.

    Args:
        item: The change.
        hourly: Whether it is dated by the hour, not by the day.
    """
    direction = "fell" if item.difference < 0 else "rose"
    when = f" since {since(item.since, hourly=hourly)}" if item.since else ""
    return (
        f"{item.label} {direction} {moved(item.difference, item.relative, item.unit)}"
        f" to {written(item.value, item.unit)}{when}{_parts(item)}"
    )


def sentence(found: ClearChanges, *, hourly: bool) -> str:
    """The sentence that says what changed; or that nothing did, or that it cannot be told.

    Args:
        found: What was tested.
        hourly: Whether changes are dated by the hour, not by the day.
    """
    both = (
        f"{_conversations(found.conversations)} in this window and"
        f" {found.previous_conversations:,} in the one before"
    )
    if found.state == "not enough":
        return f"Not enough to tell a change from chance: {both}, {found.least} are needed in each."
    if found.state == "nothing changed":
        return f"Nothing changed beyond chance: {len(found.items)} figures compared over {both}."
    return f"{phrase(found.items[0], hourly=hourly)}."
