"""Assertions that say what differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from otel_chat.testing.views import FACTS, CollectedTurn


def assert_turn(
    turn: CollectedTurn,
    *,
    attributes: Mapping[str, Any] | None = None,
    events: Sequence[str] | None = None,
    inside: Sequence[str] | None = None,
    **facts: Any,
) -> None:
    """Asserts what a turn says; what is not named is not looked at.

    Args:
        turn: The turn.
        attributes: Attributes by their full names.
        events: The names of all its events, in their order.
        inside: The names of all spans inside, in the order in which they ended.
        **facts: By short names (`otel_chat.testing.FACTS`): status, intent, confidence, model,
            input_tokens and so on. None stands for "not said"; `pytest.approx` may be used.

    Raises:
        AssertionError: lists each difference, then the whole turn.
        TypeError: there is no fact of that name.

    Example:
        >>> from otel_chat.testing import Telemetry
        >>> from otel_chat import chat_handler
        >>> with Telemetry() as telemetry:
        ...     chat_handler(agent="support")(lambda: "Good evening.")()
        'Good evening.'
        >>> assert_turn(telemetry.only_turn(), status="ok", agent="support", intent=None)
        >>> assert_turn(telemetry.only_turn(), status="error")
        Traceback (most recent call last):
        ...
        AssertionError: the turn is not as expected:
          status: expected 'error', got 'ok'
        ...
    """
    if unknown := sorted(set(facts) - set(FACTS)):
        raise TypeError(f"no fact of a turn is called {', '.join(unknown)}; there are {[*FACTS]}")
    wanted: dict[str, Any] = {**facts, **(attributes or {})}
    wrong = [
        f"{name}: expected {value!r}, got {turn[name]!r}"
        for name, value in wanted.items()
        if turn[name] != value
    ]
    lists = (
        ("events", events, [event.name for event in turn.events]),
        ("inside", inside, [span.name for span in turn.inside]),
    )
    wrong += [
        f"{what}: expected {list(expected)}, got {got}"
        for what, expected, got in lists
        if expected is not None and list(expected) != got
    ]
    if wrong:
        raise AssertionError("\n  ".join(["the turn is not as expected:", *wrong]) + f"\n{turn}")
