"""Pure ASGI middleware: turns know their request, and a WebSocket is a conversation of turns."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from opentelemetry import context as context_api

from otel_chat._telemetry.runtime import flush, report_error
from otel_chat.middleware.exchange import COMPONENT, FAILED, Exchange
from otel_chat.middleware.frames import Frame, is_control
from otel_chat.middleware.request import BODY_LIMIT, Request, Rules, Sources
from otel_chat.middleware.websocket import Connection, SocketRules

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
ASGIApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]


class ChatMiddleware:
    """Gives the turns inside an ASGI application the facts about their request or connection.

    In an HTTP request it opens no turns: the decorated handler inside does. In a WebSocket it
    opens one from each message of the user's to the last frame of the reply: the last one before
    the application calls `receive()` again, before the user's next message where the application
    was reading all along, or before the close. A decorated handler takes such a turn over.

    Args:
        app: The application.
        conversation_id: Where the conversation's id comes from: `header:NAME`, `cookie:NAME`,
            `query:NAME`, `path:NAME` (as the router named it) or `path:/chat/{NAME}`, `json:A.B`
            (of the body; in a WebSocket of the first frame that has it), a function of the
            `Request`, or several of them in order.
        user_type: Likewise; any other text stands for itself.
        channel: Like `user_type`.
        page: The page on which the chat stands; without it the path of the `Referer`.
        referrer: Where the user came from.
        body_limit: Bytes of a JSON body or frame that are read for `json:` at most, 0 and more.
            The application gets the body as it came.
        agent: Name of the agent in turns that the middleware opens.
        turns: Whether it opens any; without, only decorated handlers do.
        control: Says which frames are none of the user's messages, nor a reply.
        last_frame: Says which frame ends a reply, for applications that read all along.
        text: Takes the text out of a frame. It is kept where content is captured, redacted.
        outcome: The conversation's outcome by close code; None leaves it to the server's rules.

    Raises:
        ConfigurationError: a source is malformed.

    Example:
        >>> async def app(scope, receive, send): ...
        >>> app = ChatMiddleware(app, conversation_id=["cookie:session", "query:session"])
    """

    def __init__(  # noqa: PLR0913 - settings, all by name
        self,
        app: ASGIApp,
        *,
        conversation_id: Sources = None,
        user_type: Sources = None,
        channel: Sources = None,
        page: Sources = None,
        referrer: Sources = "header:referer",
        body_limit: int = BODY_LIMIT,
        agent: str | None = None,
        turns: bool = True,
        control: Callable[[Frame], bool] = is_control,
        last_frame: Callable[[Frame], bool] | None = None,
        text: Callable[[Frame], str | None] | None = None,
        outcome: Callable[[int], str | None] | None = None,
    ) -> None:
        self.app = app
        self.rules = Rules(
            conversation_id=conversation_id,
            user_type=user_type,
            channel=channel,
            page=page,
            referrer=referrer,
            body_limit=body_limit,
        )
        self.sockets = SocketRules(
            agent=agent,
            turns=turns,
            control=control,
            last_frame=last_frame,
            text=text,
            outcome=outcome,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves a request or a connection, and flushes at the end of the lifespan."""
        if scope["type"] == "http":
            await _Http(self.rules, scope, receive, send).run(self.app)
        elif scope["type"] == "websocket":
            request = request_of(scope)
            await Connection(self.rules, self.sockets, request, _route, receive, send).run(
                self.app, scope
            )
        elif scope["type"] == "lifespan":
            await _Lifespan(receive, send).run(self.app, scope)
        else:
            await self.app(scope, receive, send)


def request_of(scope: Scope) -> Request:
    """The request that an ASGI scope describes.

    Example:
        >>> request_of({"type": "http", "headers": [(b"X-Session", b"s-1")]}).headers
        {'x-session': 's-1'}
    """
    headers: dict[str, str] = {}
    for name, value in scope.get("headers", ()):
        headers.setdefault(name.decode("latin-1").lower(), value.decode("latin-1"))
    return Request(
        scope.get("method", scope["type"].upper()),
        scope.get("path", ""),
        scope.get("query_string", b"").decode("latin-1"),
        headers,
        scope,
    )


def _route(request: Request) -> None:
    """Reads what the router found: Starlette's, FastAPI's or Channels' keys of the scope."""
    scope = request.native
    path = getattr(scope.get("route"), "path", None)
    request.route = path if isinstance(path, str) else None
    params = scope.get("path_params")
    if params is None:
        params = scope.get("url_route", {}).get("kwargs", {})
    request.path_params = params


class _Lifespan:
    """The life of the application: telemetry is flushed before the server ends the process.

    It has to be here, for a server may end by the signal that it got, and then nothing that is
    registered for the exit runs. An application that does not know the protocol (it raises without
    asking for a message) is spoken for, so that its telemetry is flushed too.
    """

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._asked = False

    async def run(self, app: ASGIApp, scope: Scope) -> None:
        """Runs the application's own lifespan, or a plain one."""
        try:
            await app(scope, self.receive, self.send)
        except Exception:
            if self._asked:
                raise
            await self._plain()

    async def receive(self) -> Message:
        """The server's next message."""
        self._asked = True
        return await self._receive()

    async def send(self, message: Message) -> None:
        """Passes a message on; the last one after a flush."""
        if message["type"].startswith("lifespan.shutdown."):
            try:
                await asyncio.to_thread(flush)
            except Exception as error:  # noqa: BLE001 - the server ends either way
                report_error(COMPONENT, error)
        await self._send(message)

    async def _plain(self) -> None:
        while (message := await self._receive())["type"] != "lifespan.shutdown":
            await self._send({"type": f"{message['type']}.complete"})
        await self.send({"type": "lifespan.shutdown.complete"})


class _Http:
    """One HTTP request: what comes in is replayed as it came, what goes out passes through."""

    def __init__(self, rules: Rules, scope: Scope, receive: Receive, send: Send) -> None:
        self._rules = rules
        self._scope = scope
        self._receive = receive
        self._send = send
        self._request = request_of(scope)
        self._exchange = Exchange(rules, self._request, _route)
        self._ahead: deque[Message] = deque()
        self._receiving = 0
        self._body_read = False
        self._gone = False
        self._begun = False
        self._complete = False

    async def run(self, app: ASGIApp) -> None:
        """Runs the application inside the request's context."""
        if self._rules.wants_body(self._request):
            await self._read_ahead()
        token = context_api.attach(self._exchange.context())
        try:
            await app(self._scope, self.receive, self.send)
        except Exception:
            self._server_answers()
            raise
        except BaseException:  # cancelled, or the process ends
            self._gone = True
            raise
        else:
            self._server_answers()
        finally:
            self._exchange.end(gone=self._gone and not self._complete)
            context_api.detach(token)

    def _server_answers(self) -> None:
        """The application raised, or is done: where it began no answer, the server makes one."""
        if not self._begun and not self._gone:
            self._exchange.answered(FAILED)

    async def receive(self) -> Message:
        """The next message, one read ahead before any new one."""
        if self._ahead:
            return self._ahead.popleft()
        self._receiving += 1
        try:
            return await self._next()
        finally:
            self._receiving -= 1

    async def send(self, message: Message) -> None:
        """Passes a message on; the first one tells the status."""
        if message["type"] == "http.response.start":
            self._begun = True
            if self._exchange.waiting and not self._gone:
                await self._look_whether_gone()
            self._exchange.answered(message["status"], gone=self._gone)
        elif message["type"] == "http.response.body" and not message.get("more_body"):
            self._complete = True
        try:
            await self._send(message)
        except OSError:
            self._gone, self._complete = True, False
            raise

    async def _next(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self._gone = True
        elif not message.get("more_body"):
            self._body_read = True
        return message

    async def _read_ahead(self) -> None:
        parts: list[bytes] = []
        size = 0
        while size <= self._rules.body_limit and not self._body_read and not self._gone:
            message = await self._next()
            self._ahead.append(message)
            parts.append(message.get("body", b""))
            size += len(parts[-1])
        if self._body_read and size <= self._rules.body_limit:
            self._request.body = b"".join(parts)

    async def _look_whether_gone(self) -> None:
        """Asks the server whether the client left, without waiting.

        Only where the application does not ask itself and the body is read, or there is none to
        speak of: then nothing but `http.disconnect` can come. Whatever came is replayed.
        """
        if self._receiving or self._ahead:
            return
        if not self._body_read and self._request.method not in {"GET", "HEAD"}:
            return
        while not self._gone:
            asked = asyncio.ensure_future(self._next())
            try:
                await asyncio.sleep(0)
            finally:
                asked.cancel()
            (answer,) = await asyncio.gather(asked, return_exceptions=True)
            if isinstance(answer, BaseException):
                return
            self._ahead.append(answer)
            if not self._body_read:
                return
