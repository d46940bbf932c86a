"""How a conversation ended, should it be settled: by the rules that `aggregation` tells of."""

from __future__ import annotations

from typing import Final

EXPLICIT: Final = ("resolved", "handed_off", "abandoned", "failed")
"""The outcomes by number, from 1."""


def number(outcome: str) -> int:
    """The number of an outcome.

    Example:
        >>> number("abandoned")
        3
    """
    return EXPLICIT.index(outcome) + 1


def unfinished(prefix: str = "") -> str:
    """SQL for whether a workflow was started more often than it was completed or failed.

    Args:
        prefix: What stands before the names of the columns.
    """
    started, ended = f"{prefix}workflows_started", f"{prefix}workflows_ended"
    return (
        f"notEmpty({started}) AND arrayExists("
        f"w -> countEqual({started}, w) > countEqual({ended}, w), {started})"
    )


def ending_of(explicit: str, last_turn: str, prefix: str = "") -> str:
    """SQL for the number of a conversation's outcome.

    Args:
        explicit: SQL for the number of the outcome that its last end named; 0 for none.
        last_turn: SQL for how its last turn went: 0 well, 1 a fallback, 2 and 3 an error.
        prefix: What stands before the names of all other columns.

    Example:
        >>> ending_of("explicit_number", "last_turn").startswith("toUInt8(multiIf(")
        True
    """
    return f"""toUInt8(multiIf(
        {explicit} > 0, {explicit},
        {prefix}handoff_turns + {prefix}handoff_events > 0, {number("handed_off")},
        {last_turn} >= 2, {number("failed")},
        {prefix}positive > 0, {number("resolved")},
        {last_turn} = 1 OR {prefix}negative > 0 OR ({unfinished(prefix)}), {number("abandoned")},
        {number("resolved")}
    ))"""
