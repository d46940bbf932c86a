"""For users' own tests: turns, events and metrics in memory, and assertions that say what differs.

Example:
    >>> from otel_chat import chat_handler, current_turn
    >>> @chat_handler(agent="support", conversation_id="session_id")
    ... def answer(session_id: str, text: str) -> str:
    ...     current_turn().intent("greeting", 0.97)
    ...     return "Good evening."
    >>> with Telemetry() as telemetry:
    ...     answer("s-1", "Hello")
    'Good evening.'
    >>> assert_turn(telemetry.only_turn(), status="ok", intent="greeting", conversation_id="s-1")
    >>> telemetry.metric("otel_chat.turn.duration").count
    1
"""

from __future__ import annotations

from otel_chat.errors import MissingExtraError

try:
    from otel_chat.testing.assertions import assert_turn
    from otel_chat.testing.determinism import CountingIds, SteppedClock
    from otel_chat.testing.memory import Telemetry
    from otel_chat.testing.views import FACTS, CollectedTurn, Event, Metric, Point
except ModuleNotFoundError as error:
    raise MissingExtraError(
        "otel_chat.testing needs the extra sdk, which is not installed."
        " Run: pip install 'otel-chat[sdk]'"
    ) from error

__all__ = [
    "FACTS",
    "CollectedTurn",
    "CountingIds",
    "Event",
    "Metric",
    "Point",
    "SteppedClock",
    "Telemetry",
    "assert_turn",
]
