"""ASGI over HTTP: the request as its turns see it, and nothing in its way."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from otel_chat import chat_handler
from otel_chat import semconv as sc
from otel_chat.middleware.asgi import ChatMiddleware
from otel_chat.testing import Telemetry, assert_turn
from tests.library.middleware.server import Client, Message

BODY = json.dumps({"session": {"id": "s-1"}, "text": "Hello"}).encode()


def scope(path: str = "/chat", *, json_body: bool = True, **more: Any) -> dict[str, Any]:
    headers = [(b"content-type", b"application/json")] if json_body else []
    return {
        "type": "http",
        "method": "POST",
        "path": path,
        "query_string": b"",
        "headers": headers,
        **more,
    }


def whole(body: bytes = BODY) -> Message:
    return {"type": "http.request", "body": body, "more_body": False}


def app(*routes: Route, **options: Any) -> ChatMiddleware:
    options.setdefault("conversation_id", ["path:session_id", "json:session.id"])
    return ChatMiddleware(Starlette(routes=routes), **options)


@chat_handler(agent="support")
async def answer(text: str) -> str:
    return text.upper()


async def chat(request: Request) -> Response:
    data = await request.json()
    return PlainTextResponse(await answer(data["text"]), 201)


async def test_a_turn_takes_id_route_and_status(telemetry: Telemetry) -> None:
    """The turn is over before the answer has a status, and still carries it."""
    client = Client(whole())
    wrapped = app(Route("/chat", chat, methods=["POST"]), channel="web", user_type="client")
    await wrapped(scope(), client.receive, client.send)
    assert client.body == b"HELLO"
    assert_turn(
        telemetry.only_turn(),
        status="ok",
        conversation_id="s-1",
        channel="web",
        user_type="client",
        attributes={sc.HTTP_ROUTE: "/chat", sc.HTTP_STATUS_CODE: 201},
    )


async def test_the_turn_lasts_as_long_as_the_handler(telemetry: Telemetry) -> None:
    """Time that the framework takes to answer is not the handler's."""

    async def slow(request: Request) -> Response:
        text = await answer("x")
        telemetry.clock.advance(seconds=30)
        return PlainTextResponse(text)

    client = Client(whole(b""))
    await app(Route("/chat", slow, methods=["POST"]))(scope(), client.receive, client.send)
    assert telemetry.only_turn().duration < 1


async def test_a_body_in_pieces_is_replayed_piece_by_piece(telemetry: Telemetry) -> None:
    """What was read ahead reaches the application as it came: the same messages."""
    pieces: list[Message] = [
        {"type": "http.request", "body": BODY[:5], "more_body": True},
        {"type": "http.request", "body": BODY[5:9], "more_body": True},
        {"type": "http.request", "body": BODY[9:], "more_body": False},
    ]
    seen: list[Message] = []

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        while not seen or seen[-1]["more_body"]:
            seen.append(await receive())
        await answer("x")

    client = Client(*pieces)
    wrapped = ChatMiddleware(inner, conversation_id="json:session.id")
    await wrapped(scope(), client.receive, client.send)
    assert seen == pieces
    assert_turn(telemetry.only_turn(), conversation_id="s-1")


async def test_a_body_above_the_limit_passes_through_unread(telemetry: Telemetry) -> None:
    """Without a length it is read ahead to the limit only, and arrives whole."""
    parts: list[Message] = [
        {"type": "http.request", "body": b"x" * 40, "more_body": n < 9} for n in range(10)
    ]
    asked_before: list[int] = []
    received = []

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        asked_before.append(client.asked)
        while not received or received[-1]["more_body"]:
            received.append(await receive())
        await answer("x")

    client = Client(*parts)
    wrapped = ChatMiddleware(inner, conversation_id="json:session.id", body_limit=100)
    await wrapped(scope(), client.receive, client.send)
    assert asked_before == [3]
    assert received == parts
    assert_turn(telemetry.only_turn(), conversation_id=None)


async def test_a_body_is_not_touched_where_no_rule_reads_it(telemetry: Telemetry) -> None:
    """Nothing is read ahead for `header:` sources."""

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        assert client.asked == 0
        await answer("x")

    client = Client(whole())
    await ChatMiddleware(inner, conversation_id="header:x")(scope(), client.receive, client.send)


async def test_a_stream_goes_out_chunk_by_chunk(telemetry: Telemetry) -> None:
    """Each chunk is sent before the next is made, and the turn ends with the last."""

    @chat_handler(agent="support")
    async def stream() -> AsyncIterator[str]:
        for n in range(3):
            assert len([m for m in client.sent if m["type"] == "http.response.body"]) == n
            telemetry.clock.advance(seconds=1)
            yield f"{n} "

    async def streamed(request: Request) -> Response:
        return StreamingResponse(stream())

    client = Client(whole())
    await app(Route("/chat", streamed, methods=["POST"]))(scope(), client.receive, client.send)
    assert client.body == b"0 1 2 "
    turn = telemetry.only_turn()
    assert_turn(turn, status="ok", conversation_id="s-1", attributes={sc.HTTP_STATUS_CODE: 200})
    assert 3 <= turn.duration < 4
    assert 1 <= turn["time_to_first_chunk"] < 2


async def test_a_client_that_leaves_a_stream_cancels_the_turn(telemetry: Telemetry) -> None:
    """The framework cancels the stream on disconnect; the turn ends as cancelled, once."""

    @chat_handler(agent="support")
    async def stream() -> AsyncIterator[str]:
        yield "one "
        client.gone.set()
        await asyncio.Event().wait()

    async def streamed(request: Request) -> Response:
        return StreamingResponse(stream())

    client = Client(whole())
    await app(Route("/chat", streamed, methods=["POST"]))(scope(), client.receive, client.send)
    assert_turn(telemetry.only_turn(), status="cancelled")


async def test_a_client_that_left_before_the_answer_cancels_the_turn(telemetry: Telemetry) -> None:
    """A plain handler runs to its end, but nobody got the reply; the answer is sent anyway."""

    async def late(request: Request) -> Response:
        text = await answer((await request.json())["text"])
        client.gone.set()
        return PlainTextResponse(text)

    client = Client(whole())
    await app(Route("/chat", late, methods=["POST"]))(scope(), client.receive, client.send)
    assert client.body == b"HELLO"
    assert_turn(telemetry.only_turn(), status="cancelled", attributes={sc.HTTP_STATUS_CODE: 200})


async def test_a_send_that_fails_cancels_and_raises_on(telemetry: Telemetry) -> None:
    """A server that raises when the client is gone is not kept from doing so."""

    @chat_handler(agent="support")
    async def stream() -> AsyncIterator[bytes]:
        yield b"one"
        yield b"two"

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        chunks = stream()
        async for chunk in chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})

    async def broken(message: Message) -> None:
        if message["type"] == "http.response.body":
            raise OSError("client gone")

    with pytest.raises(OSError, match="client gone"):
        await ChatMiddleware(inner)(scope(), Client().receive, broken)
    assert_turn(telemetry.only_turn(), status="cancelled")


async def test_cancelling_the_request_cancels_the_turn(telemetry: Telemetry) -> None:
    """A server that cancels the request's task finds it cancelled."""
    started = asyncio.Event()

    @chat_handler(agent="support")
    async def hang() -> None:
        started.set()
        await asyncio.Event().wait()

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        await hang()

    task = asyncio.create_task(ChatMiddleware(inner)(scope(), Client().receive, Client().send))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert_turn(telemetry.only_turn(), status="cancelled")


async def test_an_exception_goes_on_as_it_was(telemetry: Telemetry) -> None:
    """The same exception object reaches the server, and the turn is an error."""
    problem = ValueError("bad")

    @chat_handler(agent="support")
    async def broken() -> None:
        raise problem

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        await broken()

    with pytest.raises(ValueError, match="bad") as caught:
        await ChatMiddleware(inner)(scope(), Client().receive, Client().send)
    assert caught.value is problem
    assert_turn(telemetry.only_turn(), status="error", error_type="ValueError")


async def test_a_turn_after_the_answer_ends_by_itself(telemetry: Telemetry) -> None:
    """A background task's turn knows the request and its status, and waits for nothing."""

    async def background(request: Request) -> Response:
        return JSONResponse({}, 202, background=BackgroundTask(answer, "later"))

    client = Client(whole())
    await app(Route("/chat", background, methods=["POST"]))(scope(), client.receive, client.send)
    assert_turn(telemetry.only_turn(), conversation_id="s-1", attributes={sc.HTTP_STATUS_CODE: 202})


async def test_requests_at_once_keep_their_facts_apart(telemetry: Telemetry) -> None:
    """State belongs to the request: a hundred at once have a hundred ids."""

    async def slow(request: Request) -> Response:
        await asyncio.sleep(0)
        return PlainTextResponse(await answer(request.path_params["session_id"]))

    wrapped = app(Route("/chat/{session_id}", slow, methods=["POST"]))
    clients = [Client(whole(b"")) for _ in range(100)]
    await asyncio.gather(
        *(wrapped(scope(f"/chat/s-{n}"), c.receive, c.send) for n, c in enumerate(clients))
    )
    assert [c.body.decode() for c in clients] == [f"S-{n}" for n in range(100)]
    assert {t["conversation_id"] for t in telemetry.turns} == {f"s-{n}" for n in range(100)}


async def test_unknown_protocols_pass_untouched(telemetry: Telemetry) -> None:
    """The very receive and send of the server reach the application."""
    got: list[object] = []

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        got.extend([scope, receive, send])

    client = Client()
    asked = {"type": "webtransport"}
    receive, send = client.receive, client.send
    await ChatMiddleware(inner)(asked, receive, send)
    assert got == [asked, receive, send]
    assert asked == {"type": "webtransport"}


LIFE: list[Message] = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]


async def test_telemetry_is_flushed_before_the_lifespan_is_over(
    telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The application starts and stops as it does; the server hears of the end after the flush."""
    steps: list[str] = []
    monkeypatch.setattr("otel_chat.middleware.asgi.flush", lambda: steps.append("flush"))

    @asynccontextmanager
    async def life(app: Starlette) -> AsyncIterator[None]:
        steps.append("start")
        yield
        steps.append("stop")

    async def send(message: Message) -> None:
        steps.append(str(message["type"]))

    wrapped = ChatMiddleware(Starlette(lifespan=life))
    await wrapped({"type": "lifespan", "state": {}}, Client(*LIFE).receive, send)
    done = ["lifespan.startup.complete", "stop", "flush", "lifespan.shutdown.complete"]
    assert steps == ["start", *done]


async def test_an_application_without_a_lifespan_is_flushed_too(
    telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It raises on the unknown scope, as Django does; the server hears a plain lifespan."""
    flushed: list[bool] = []
    monkeypatch.setattr("otel_chat.middleware.asgi.flush", lambda: flushed.append(True))

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        raise ValueError("no lifespan here")

    client = Client(*LIFE)
    await ChatMiddleware(inner)({"type": "lifespan"}, client.receive, client.send)
    sent = [m["type"] for m in client.sent]
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert flushed == [True]


async def test_a_start_that_fails_still_fails(telemetry: Telemetry) -> None:
    """An application that knows the protocol and cannot start says so itself."""

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        raise RuntimeError("no database")

    client = Client(*LIFE)
    with pytest.raises(RuntimeError, match="no database"):
        await ChatMiddleware(inner)({"type": "lifespan"}, client.receive, client.send)
    assert client.sent == []


async def test_what_the_handler_says_comes_before_what_the_request_says(
    telemetry: Telemetry,
) -> None:
    """A handler's own conversation id and channel win."""

    @chat_handler(agent="support", conversation_id="own", channel="voice")
    async def own(own: str) -> None: ...

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        await own("mine")

    client = Client(whole())
    wrapped = ChatMiddleware(inner, conversation_id="json:session.id", channel="web")
    await wrapped(scope(), client.receive, client.send)
    assert_turn(telemetry.only_turn(), conversation_id="mine", channel="voice")
