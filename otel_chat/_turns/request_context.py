"""The HTTP request or the WebSocket connection in which a turn starts.

Middleware puts it into the context; a turn that starts inside reads it. So a handler needs no
parameters for what the request already says.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol, cast

from opentelemetry import context as context_api
from opentelemetry.context import Context
from opentelemetry.trace import SpanContext

_KEY: Final = context_api.create_key("otel-chat-request")


class RequestTurn(Protocol):
    """A turn, as its request sees it."""

    def answered(self, status: int) -> None:
        """Notes the HTTP status of the answer that the turn is part of."""

    def finish(self, error: BaseException | None = None) -> None:
        """Ends the turn; only the first call counts."""

    def release(self, *, gone: bool = False) -> None:
        """Ends a turn that was held; `gone` where the client left before the answer."""


class RequestContext(Protocol):
    """A request or a connection, as its turns see it. No method raises."""

    def facts(self) -> Mapping[str, object]:
        """Fields of a turn that starts inside; what handler and conversation say comes before."""

    def link(self) -> SpanContext | None:
        """The span to link a turn to that is a root of its own; None where it is a child."""

    def claim(self) -> object:
        """A turn opened in expectation of a handler's, for one that the context did not carry."""

    def started(self, turn: RequestTurn) -> None:
        """Told of each turn that starts inside."""

    def hold(self, turn: RequestTurn) -> bool:
        """Whether a turn that is over waits until the answer's status is known.

        Its end time stands. `turn.release` is called then, or when the request is over.
        """


def current_request(context: Context | None = None) -> RequestContext | None:
    """The request around the running code; None where no middleware is around it.

    Example:
        >>> current_request() is None
        True
    """
    return cast("RequestContext | None", context_api.get_value(_KEY, context))


def within(request: RequestContext | None, context: Context | None = None) -> Context:
    """The context, the current one unless given, with `request` in it."""
    return context_api.set_value(_KEY, request, context)
