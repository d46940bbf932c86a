"""Starlette and FastAPI, which is one."""

from __future__ import annotations

from typing import Any

from starlette.applications import Starlette

from otel_chat.errors import ConfigurationError
from otel_chat.middleware.asgi import ASGIApp, ChatMiddleware


def instrument(app: Starlette, **options: Any) -> None:
    """Puts `ChatMiddleware` around an application, its answers to errors included.

    Args:
        app: The application, before its first request.
        **options: Those of `ChatMiddleware`.

    Raises:
        ConfigurationError: an option is wrong, or the application has begun to serve; at once,
            not at the first request.

    Example:
        >>> from fastapi import FastAPI
        >>> app = FastAPI()
        >>> instrument(app, conversation_id=["path:session_id", "header:x-session"], channel="web")
    """
    ChatMiddleware(app, **options)
    if app.middleware_stack is not None:
        raise ConfigurationError("Instrument the application before its first request.")
    build = app.build_middleware_stack

    def around() -> ASGIApp:
        # `add_middleware` would put it inside of what answers for a handler that raises
        return ChatMiddleware(build(), **options)

    app.build_middleware_stack = around  # type: ignore[method-assign]
