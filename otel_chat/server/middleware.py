"""What holds for every answer: headers that bind browsers, and a limit on what is sent in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware

from otel_chat.server.api.errors import answer
from otel_chat.server.api.known import FEEDBACK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'self';"
    " frame-ancestors 'none'"
)
HEADERS: Final = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "private, no-store",
}
BODY_LIMIT: Final = 1_048_576


class SecurityHeaders:
    """Adds the headers that bind browsers to every answer that does not set its own.

    Args:
        app: The application to wrap.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_with_headers)


class BodyLimit:
    """Refuses a body over the limit with 413, whether its length was announced or not.

    Args:
        app: The application to wrap.
        exempt: The start of paths that have a limit of their own.
        limit: The most bytes of a body.
    """

    def __init__(self, app: ASGIApp, *, exempt: str = "/v1/", limit: int = BODY_LIMIT) -> None:
        self._app = app
        self._exempt = exempt
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["path"].startswith(self._exempt):
            await self._app(scope, receive, send)
            return
        received = 0

        async def receive_within_limit() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._limit:
                raise HTTPException(413, f"The body is larger than {self._limit} bytes.")
            return message

        await self._app(scope, receive_within_limit, send)


class OneLength:
    """Refuses a request that tells the length of its body in two ways.

    Who stands before the server may read the other one, and take the rest for a request of its own.

    Args:
        app: The application to wrap.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        names = [name for name, _ in scope.get("headers", ())]
        if b"transfer-encoding" in names and b"content-length" in names:
            told = "Give the length of the body in one way: Content-Length or Transfer-Encoding."
            await answer(400, told, headers={"Connection": "close"})(scope, receive, send)
            return
        await self._app(scope, receive, send)


class FeedbackOrigins:
    """Lets pages of other sites send feedback from the browser, and nothing else.

    Args:
        app: The application to wrap.
        origins: Their origins.
    """

    def __init__(self, app: ASGIApp, *, origins: Sequence[str]) -> None:
        self._app = app
        self._open = CORSMiddleware(
            app,
            allow_origins=origins,
            allow_methods=["POST"],
            allow_headers=["Authorization", "Content-Type"],
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        sends = scope["type"] == "http" and scope["path"] == FEEDBACK
        if sends and scope["method"] in ("POST", "OPTIONS"):
            await self._open(scope, receive, send)
            return
        await self._app(scope, receive, send)
