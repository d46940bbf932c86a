"""WSGI middleware: turns inside a request know what the request says."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from opentelemetry import context as context_api
from opentelemetry.context import Context

from otel_chat.middleware.exchange import FAILED, Exchange
from otel_chat.middleware.request import BODY_LIMIT, Request, Rules, Sources

if TYPE_CHECKING:
    from types import TracebackType

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    ExcInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]


class WsgiChatMiddleware:
    """Gives the turns inside a WSGI application the facts about their request.

    Args:
        app: The application.
        conversation_id: Where the conversation's id comes from: `header:NAME`, `cookie:NAME`,
            `query:NAME`, `path:NAME` (as the framework named it) or `path:/chat/{NAME}`,
            `json:A.B`, a function of the `Request`, or several of them in order.
        user_type: Likewise; any other text stands for itself.
        channel: Like `user_type`.
        page: The page on which the chat stands; without it the path of the `Referer`.
        referrer: Where the user came from.
        body_limit: Bytes of a JSON body that are read for `json:` at most; 0 and more. The
            application reads the body as if nobody had.

    Raises:
        ConfigurationError: a source is malformed.

    Example:
        >>> def app(environ, start_response):
        ...     start_response("200 OK", [])
        ...     return [b"hello"]
        >>> wrapped = WsgiChatMiddleware(app, conversation_id="cookie:session", channel="web")
        >>> list(wrapped({"REQUEST_METHOD": "GET"}, lambda status, headers: print(status)))
        200 OK
        [b'hello']
    """

    def __init__(
        self,
        app: WSGIApplication,
        *,
        conversation_id: Sources = None,
        user_type: Sources = None,
        channel: Sources = None,
        page: Sources = None,
        referrer: Sources = "header:referer",
        body_limit: int = BODY_LIMIT,
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

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Serves a request."""
        request = request_of(environ)
        _keep_body(self.rules, request, environ)
        exchange = Exchange(self.rules, request, _route)
        context = exchange.context()

        answer = _Answer(exchange, start_response)
        token = context_api.attach(context)
        try:
            body = self.app(environ, answer.start)
        except BaseException as error:
            answer.failed(error)
            exchange.end()
            raise
        finally:
            context_api.detach(token)
        if isinstance(body, list | tuple) or _is_file(body, environ):
            answer.begins()
            exchange.end()
            return body
        return _Body(body, answer, exchange, context)


class _Answer:
    """The status of an answer, which an application may change until the first of its body."""

    def __init__(self, exchange: Exchange, start_response: StartResponse) -> None:
        self._exchange = exchange
        self._start_response = start_response
        self._status: int | None = None

    def start(
        self, status: str, headers: list[tuple[str, str]], exc_info: Any = None, /
    ) -> Callable[[bytes], object]:
        """What the application calls to start its answer, or to start it anew."""
        write = self._start_response(status, headers, *(() if exc_info is None else (exc_info,)))
        self._status = _code(status)

        def writing(data: bytes) -> object:
            self.begins()
            return write(data)

        return writing

    def begins(self) -> None:
        """The first of the body goes out, and the status before it."""
        self._exchange.answered(self._status)

    def failed(self, error: BaseException) -> None:
        """The application raised: where nothing has gone out yet, the server answers for it."""
        if isinstance(error, Exception):
            self._exchange.answered(FAILED)


class _Body:
    """An answer's body, each step of it made inside the request's context."""

    def __init__(
        self, body: Iterable[bytes], answer: _Answer, exchange: Exchange, context: Context
    ) -> None:
        self._body = body
        self._answer = answer
        self._steps: Iterator[bytes] | None = None
        self._exchange = exchange
        self._context = context
        self._complete = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        step: bytes = self._inside(self._step)
        return step

    def close(self) -> None:
        """Closes the body; without its end read, the client was gone."""
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                self._inside(close)
        finally:
            self._exchange.end(gone=not self._complete)

    def _step(self) -> bytes:
        if self._steps is None:
            self._steps = iter(self._body)
        try:
            step = next(self._steps)
        except StopIteration:
            self._complete = True
            self._answer.begins()
            raise
        except BaseException as error:
            self._answer.failed(error)
            raise
        self._answer.begins()
        return step

    def _inside(self, step: Callable[[], Any]) -> Any:
        token = context_api.attach(self._context)
        try:
            return step()
        finally:
            context_api.detach(token)


def request_of(environ: WSGIEnvironment) -> Request:
    """The request that a WSGI environ describes.

    Example:
        >>> request = request_of({"REQUEST_METHOD": "GET", "HTTP_X_SESSION": "s-1"})
        >>> request.headers
        {'x-session': 's-1'}
    """
    headers = {
        name[5:].replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_") and isinstance(value, str)
    }
    for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if value := environ.get(name):
            headers[name.replace("_", "-").lower()] = value
    return Request(
        environ.get("REQUEST_METHOD", ""),
        (environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", ""))
        .encode("latin-1", "replace")
        .decode("utf-8", "replace"),
        environ.get("QUERY_STRING", ""),
        headers,
        environ,
    )


def _keep_body(rules: Rules, request: Request, environ: WSGIEnvironment) -> None:
    length = request.headers.get("content-length", "")
    # Without a length the end of the body is unknown, and reading on could wait for ever
    if not rules.wants_body(request) or not length.isdecimal():
        return
    source = environ.get("wsgi.input")
    if source is None:
        return
    try:
        request.body = source.read(int(length))
    except OSError:
        return  # the client is gone; the application reads on and is told so
    environ["wsgi.input"] = io.BytesIO(request.body)


def _route(request: Request) -> None:
    """Reads what the router found: werkzeug's request, or the routing arguments of WSGI.org."""
    found: Any = request.native.get("werkzeug.request")
    rule = getattr(found, "url_rule", None)
    if rule is not None:
        request.route = rule.rule
        request.path_params = found.view_args or {}
        return
    _, named = request.native.get("wsgiorg.routing_args", ((), {}))
    request.path_params = named


def _code(status: object) -> int | None:
    digits = str(status)[:3]
    return int(digits) if digits.isdecimal() else None


def _is_file(body: object, environ: WSGIEnvironment) -> bool:
    wrapper = environ.get("wsgi.file_wrapper")
    return isinstance(wrapper, type) and isinstance(body, wrapper)
