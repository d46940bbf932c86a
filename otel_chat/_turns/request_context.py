"""What surrounds a turn: the HTTP request or the WebSocket connection in which it starts.

Middleware puts it into the context; a turn that starts inside reads it. So a handler needs no
parameters for what the request already says.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Protocol, cast

from opentelemetry import context as context_api
from opentelemetry.context import Context
from opentelemetry.trace import SpanContext

if TYPE_CHECKING:
    from otel_chat._turns.turn import Turn

_KEY: Final = context_api.create_key("otel-chat-surroundings")


class Surroundings(Protocol):
    """A request or a connection, as its turns see it. No method raises."""

    def facts(self) -> Mapping[str, object]:
        """Fields of a turn that starts inside; what handler and conversation say comes before."""

    def link(self) -> SpanContext | None:
        """The span to link a turn to that is a root of its own; None where it is a child."""

    def claim(self) -> Turn | None:
        """A turn opened in expectation of a handler's, for one that the context did not carry."""

    def started(self, turn: Turn) -> None:
        """Told of each turn that starts inside."""

    def hold(self, turn: Turn) -> bool:
        """Whether a turn that is over waits until the answer's status is known.

        Its end time stands. `turn.release` is called then, or when the request is over.
        """


def current(context: Context | None = None) -> Surroundings | None:
    """What surrounds the running code; None where no middleware is around it.

    Example:
        >>> current() is None
        True
    """
    return cast("Surroundings | None", context_api.get_value(_KEY, context))


def within(surroundings: Surroundings | None, context: Context | None = None) -> Context:
    """The context, the current one unless given, with `surroundings` in it."""
    return context_api.set_value(_KEY, surroundings, context)
