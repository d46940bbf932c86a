"""The HTTP status that turns are told is the one that the client saw, whoever answered."""

from __future__ import annotations

import asyncio
import contextlib
import io
from collections.abc import Callable, Iterator
from typing import Any
from wsgiref.handlers import SimpleHandler

import django
import flask
import httpx
import pytest
from django import conf, http, test, urls
from fastapi import FastAPI, HTTPException
from fastapi.responses import PlainTextResponse, StreamingResponse
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from otel_chat import Config, chat_handler
from otel_chat import semconv as sc
from otel_chat.errors import ConfigurationError
from otel_chat.integrations import flask as flask_integration
from otel_chat.integrations.starlette import instrument
from otel_chat.middleware.asgi import ChatMiddleware
from otel_chat.middleware.wsgi import WsgiChatMiddleware
from otel_chat.testing import Telemetry
from tests.examples import examples

WAYS = (
    "answers",  # the handler's result with a status
    "raises",  # nobody catches it
    "is caught",  # by what the application has for its errors
    "is refused",  # by the framework's own exception with a status
    "is cut off",  # the handler is cancelled, and somebody answers for it
    "changes",  # what is around the route answers otherwise
    "streams",  # and breaks off after the first part
    "streams nothing",  # and breaks off before it
)
STATUS = st.sampled_from([200, 201, 202, 400, 404, 409, 418, 429, 500, 502, 503, 504])


class BrokenError(Exception):
    """What a handler raises that an application has an answer for."""


@chat_handler(agent="support")
def handler(way: str) -> str:
    if way == "raises":
        raise ValueError("boom")
    if way == "is caught":
        raise BrokenError
    return "hello"


@chat_handler(agent="support")
async def async_handler(way: str) -> str:
    if way == "is cut off":
        await asyncio.Event().wait()
    return handler.__wrapped__(way)  # type: ignore[attr-defined,no-any-return]


def parts(way: str) -> Iterator[str]:
    if way == "streams":
        yield "hel"
    raise ValueError("boom")


async def _asked(way: str, status: int) -> str:
    if way == "is cut off":
        try:
            async with asyncio.timeout(0):
                return await async_handler(way)
        except TimeoutError:
            raise HTTPException(status) from None
    reply = await async_handler(way)
    if way == "is refused":
        raise HTTPException(status)
    return reply


async def _route(request: Request) -> Response:
    way, status = request.query_params["way"], int(request.query_params["status"])
    reply = await _asked(way, status)
    if way.startswith("streams"):
        return StreamingResponse(parts(way), status)
    return PlainTextResponse(reply, status)


async def _around(request: Request, go_on: Callable[[Request], Any]) -> Response:
    response: Response = await go_on(request)
    if request.query_params["way"] == "changes":
        return PlainTextResponse("changed", int(request.query_params["status"]))
    return response


def _caught(request: Request, _error: Exception) -> Response:
    return PlainTextResponse("caught", int(request.query_params["status"]))


def _starlette(*, every: bool = False) -> Starlette:
    handlers = {Exception if every else BrokenError: _caught, HTTPException: _refused}
    app = Starlette(routes=[Route("/chat", _route)], exception_handlers=handlers)  # type: ignore[arg-type]
    app.add_middleware(BaseHTTPMiddleware, dispatch=_around)
    instrument(app)
    return app


def _refused(_request: Request, error: Any) -> Response:
    return PlainTextResponse("refused", error.status_code)


def _fastapi() -> FastAPI:
    app = FastAPI()
    instrument(app)  # before what is added later, which is inside all the same
    app.add_middleware(BaseHTTPMiddleware, dispatch=_around)
    app.add_exception_handler(BrokenError, _caught)
    app.add_api_route("/chat", _route)
    return app


async def _bare(scope: Any, receive: Any, send: Any) -> None:
    request = Request(scope, receive)
    way, status = request.query_params["way"], int(request.query_params["status"])
    try:
        await _asked(way, status)
    except (BrokenError, HTTPException):
        await PlainTextResponse("caught", status)(scope, receive, send)
        return
    if way == "streams nothing":
        return  # without an answer
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": b"hel", "more_body": way == "streams"})
    if way == "streams":
        raise ValueError("boom")


def _over_asgi(app: Any) -> Callable[[str, int], int]:
    """Serves as uvicorn does: 500 for an application that ends before its answer has begun."""

    async def ask(way: str, status: int) -> int:
        seen = []
        bodies = [{"type": "http.request", "body": b"", "more_body": False}]

        async def receive() -> Any:
            return bodies.pop() if bodies else await asyncio.Future()  # the client stays

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                seen.append(message["status"])

        query = str(httpx.QueryParams({"way": way, "status": status})).encode()
        scope = {"type": "http", "method": "GET", "path": "/chat", "headers": []}
        with contextlib.suppress(Exception):
            await app({**scope, "query_string": query}, receive, send)
        return seen[0] if seen else 500

    return lambda way, status: asyncio.run(ask(way, status))


def _flask() -> flask.Flask:
    app = flask.Flask("bot")
    flask_integration.instrument(app)
    app.register_error_handler(BrokenError, lambda _: ("caught", int(flask.request.args["status"])))

    @app.get("/chat")
    def chat() -> Any:
        way, status = flask.request.args["way"], int(flask.request.args["status"])
        reply = handler(way)
        if way in {"is refused", "is cut off"}:
            return flask.abort(flask.Response("refused", status))
        if way.startswith("streams"):
            return flask.Response(parts(way), status)
        return reply, status

    @app.after_request
    def change(response: flask.Response) -> flask.Response:
        if flask.request.args["way"] == "changes":
            response.status_code = int(flask.request.args["status"])
        return response

    return app


def _wsgi(environ: dict[str, Any], start_response: Any) -> Any:
    asked = httpx.QueryParams(environ["QUERY_STRING"])
    way, line = asked["way"], f"{asked['status']} Said"
    try:
        reply = handler(way)
    except BrokenError:
        start_response(line, [])
        return [b"caught"]
    if way == "changes":
        start_response("200 OK", [])
        start_response(line, [], (BrokenError, BrokenError(), None))
        return (part for part in [b"changed"])
    write = start_response(line, [])
    if way == "is cut off":
        write(b"hel")
        raise ValueError("boom")
    if way.startswith("streams"):
        return (part.encode() for part in parts(way))
    return [reply.encode()]


def _over_wsgi(app: Any) -> Callable[[str, int], int]:
    def ask(way: str, status: int) -> int:
        sent = io.BytesIO()
        asked = str(httpx.QueryParams({"way": way, "status": status}))
        environ = {
            "REQUEST_METHOD": "GET",
            "PATH_INFO": "/chat",
            "QUERY_STRING": asked,
            "SERVER_NAME": "bot",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
        }
        SimpleHandler(io.BytesIO(), sent, io.StringIO(), environ).run(app)
        return int(sent.getvalue().split(b" ")[1])

    return ask


def _view(request: http.HttpRequest) -> http.HttpResponseBase:
    way, status = request.GET["way"], int(request.GET["status"])
    try:
        reply = handler(way)
    except BrokenError:
        return http.HttpResponse("caught", status=status)
    if way == "is refused":
        raise http.Http404
    if way.startswith("streams"):
        return http.StreamingHttpResponse(parts(way), status=status)
    return http.HttpResponse(reply, status=status)


async def _async_view(request: http.HttpRequest) -> http.HttpResponseBase:
    way, status = request.GET["way"], int(request.GET["status"])
    try:
        reply = await _asked(way, status)
    except (BrokenError, HTTPException):
        return http.HttpResponse("caught", status=status)
    return http.HttpResponse(reply, status=status)


urlpatterns = [urls.path("chat", _view), urls.path("async", _async_view)]


@pytest.fixture(scope="module")
def configured() -> None:
    """Django, set up for this module's own addresses."""
    if not conf.settings.configured:
        conf.settings.configure(
            ROOT_URLCONF=__name__,
            SECRET_KEY="none",
            ALLOWED_HOSTS=["*"],
            MIDDLEWARE=["otel_chat.integrations.django.ChatMiddleware"],
            LOGGING_CONFIG=None,
        )
        django.setup()


def _over_django(path: str) -> Callable[[str, int], int]:
    def ask(way: str, status: int) -> int:
        client = test.Client(raise_request_exception=False)
        answer = client.get(path, {"way": way, "status": status})
        try:
            b"".join(answer) if answer.streaming else None  # type: ignore[attr-defined]
        except ValueError:
            pass  # it broke off: the status had been sent
        finally:
            answer.close()
        return int(answer.status_code)

    return ask


ASKING = {
    "starlette": lambda: _over_asgi(_starlette()),
    "starlette, every error caught": lambda: _over_asgi(_starlette(every=True)),
    "fastapi": lambda: _over_asgi(_fastapi()),
    "asgi": lambda: _over_asgi(ChatMiddleware(_bare)),
    "flask": lambda: _over_wsgi(_flask()),
    "wsgi": lambda: _over_wsgi(WsgiChatMiddleware(_wsgi)),
    "django": lambda: _over_django("/chat"),
    "django, async": lambda: _over_django("/async"),
}


@pytest.mark.usefixtures("configured")
@pytest.mark.parametrize("framework", ASKING)
@examples(24, 300)
@given(asked=st.lists(st.tuples(st.sampled_from(WAYS), STATUS), min_size=1, max_size=4))
def test_turns_are_told_the_status_that_the_client_saw(
    framework: str, asked: list[tuple[str, int]]
) -> None:
    """Of answers, of errors that somebody catches or nobody, of what is cut off on its way."""
    with Telemetry(Config(keep_rate=0)) as telemetry:
        ask = ASKING[framework]()
        seen = [ask(way, status) for way, status in asked]
        told = [turn.attributes.get(sc.HTTP_STATUS_CODE) for turn in telemetry.turns]
    assert told == seen, asked


def test_a_handler_that_raises_is_a_500() -> None:
    """To its client, and so to its turn, which failed."""
    with Telemetry(Config(keep_rate=0)) as telemetry:
        assert _over_asgi(_fastapi())("raises", 200) == 500
    turn = telemetry.only_turn()
    assert (turn["status"], turn[sc.HTTP_STATUS_CODE]) == ("error", 500)


def test_who_has_begun_to_serve_is_instrumented_too_late() -> None:
    """It is said at once; nothing of it would be told."""
    app = _starlette()
    _over_asgi(app)("answers", 200)
    with pytest.raises(ConfigurationError, match="before its first request"):
        instrument(app)
