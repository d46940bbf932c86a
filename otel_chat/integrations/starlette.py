"""Starlette and FastAPI, which is one."""

from __future__ import annotations

from typing import Any

from starlette.applications import Starlette

from otel_chat.middleware.asgi import ChatMiddleware


def instrument(app: Starlette, **options: Any) -> None:
    """Puts `ChatMiddleware` around an application.

    Args:
        app: The application, before its first request.
        **options: Those of `ChatMiddleware`.

    Raises:
        ConfigurationError: an option is wrong; at once, not at the first request.

    Example:
        >>> from fastapi import FastAPI
        >>> app = FastAPI()
        >>> instrument(app, conversation_id=["path:session_id", "header:x-session"], channel="web")
    """
    ChatMiddleware(app, **options)
    app.add_middleware(ChatMiddleware, **options)
