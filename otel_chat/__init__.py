"""OpenTelemetry observability for chat handlers.

Every turn of a conversation is a trace, every conversation a figure. Content is off unless asked
for; without `setup()` the library works on whatever OpenTelemetry providers there are.

Example:
    >>> import otel_chat
    >>> @otel_chat.chat_handler(agent="support", conversation_id="session_id")
    ... def answer(session_id: str, text: str) -> str:
    ...     otel_chat.current_turn().intent("greeting", 0.97)
    ...     return "Good evening."
    >>> answer("s-1", "Hello")
    'Good evening.'
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from otel_chat._telemetry.runtime import Runtime, flush, shutdown
from otel_chat._turns.block import turn
from otel_chat._turns.conversation import Conversation, conversation, feedback, message
from otel_chat._turns.experiments import variant
from otel_chat._turns.record_turn import record_turn
from otel_chat._turns.turn import Turn, current_turn
from otel_chat._version import __version__
from otel_chat._wrap.chat_handler import chat_handler
from otel_chat._wrap.classifiers import intent_classifier
from otel_chat._wrap.handoffs import handoff, handoff_ended
from otel_chat._wrap.steps import model_call, tool, workflow
from otel_chat.config import Config
from otel_chat.errors import ConfigurationError, OtelChatError

if TYPE_CHECKING:
    from otel_chat._sdk.setup import setup

__all__ = [
    "Config",
    "ConfigurationError",
    "Conversation",
    "OtelChatError",
    "Runtime",
    "Turn",
    "__version__",
    "chat_handler",
    "conversation",
    "current_turn",
    "feedback",
    "flush",
    "handoff",
    "handoff_ended",
    "intent_classifier",
    "message",
    "model_call",
    "record_turn",
    "setup",
    "shutdown",
    "tool",
    "turn",
    "variant",
    "workflow",
]


def __getattr__(name: str) -> Any:
    if name == "setup":  # it needs the SDK, which is an extra and slow to import
        from otel_chat._common.extras import absent

        # Found missing when it is called: to look for the name is no error.
        if (refuse := absent("otel_chat.setup()", "sdk")) is not None:
            return refuse
        from otel_chat._sdk.setup import setup

        return setup
    raise AttributeError(f"module 'otel_chat' has no attribute {name!r}")
