"""Flask."""

from __future__ import annotations

from typing import Any

from flask import Flask

from otel_chat.middleware.wsgi import WsgiChatMiddleware


def instrument(app: Flask, **options: Any) -> None:
    """Puts `WsgiChatMiddleware` around an application.

    Args:
        app: The application.
        **options: Those of `WsgiChatMiddleware`.

    Raises:
        ConfigurationError: an option is wrong.

    Example:
        >>> app = Flask("shop")
        >>> instrument(app, conversation_id="json:session_id", channel="web")
    """
    app.wsgi_app = WsgiChatMiddleware(app.wsgi_app, **options)  # type: ignore[method-assign]
