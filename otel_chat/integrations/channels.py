"""Django Channels: put `ChatMiddleware` around the WebSocket router, the mixin into consumers."""

from __future__ import annotations

from typing import Any

from opentelemetry import context as context_api

from otel_chat.middleware.asgi import ChatMiddleware
from otel_chat.middleware.websocket import SCOPE_KEY, Connection

__all__ = ["ChatMiddleware", "TurnsMixin"]


class TurnsMixin:
    """Runs a consumer's handlers inside the turn of the message that they handle.

    Channels receives in a task and handles in another, so what `current_turn()` gives would be
    missing there; and it routes in a copy of the scope, so the mixin also tells what the route was
    (without it, `path:/chat/{NAME}` finds an id in the path). Stands first of the bases:
    `class ChatConsumer(TurnsMixin, AsyncWebsocketConsumer)`.
    """

    scope: dict[str, Any]

    async def dispatch(self, message: dict[str, Any]) -> None:
        """Handles a message as the consumer does, inside its turn."""
        connection = self.scope.get(SCOPE_KEY)
        handle = super().dispatch  # type: ignore[misc] # the consumer's own
        if not isinstance(connection, Connection):
            await handle(message)
            return
        connection.request.native = self.scope
        if message["type"] != "websocket.receive":
            await handle(message)
            return
        token = context_api.attach(connection.step())
        try:
            await handle(message)
        finally:
            context_api.detach(token)
