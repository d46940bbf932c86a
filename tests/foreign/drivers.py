"""Say something to the bots of chat pages, and wait for the reply, as their users' clients do."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, contextmanager
from tempfile import mkdtemp
from types import ModuleType
from typing import Any, Final
from unittest import mock
from uuid import uuid4

Answer = Callable[[str, str], str]
Driver = Callable[[Callable[[], ModuleType]], AbstractContextManager[Answer]]
_SECONDS: Final = 60


@contextmanager
def served(app: Any, *, stopping: bool = True) -> Iterator[str]:
    """Serves an ASGI application; gives its address.

    Args:
        app: The application.
        stopping: Whether it may be stopped: Chainlit then ends the process.
    """
    import uvicorn

    from tests.waiting import until

    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until(lambda: server.started)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        if stopping:
            server.should_exit = True
            thread.join(_SECONDS)


@contextmanager
def _slack(load: Callable[[], ModuleType]) -> Iterator[Answer]:
    """Slack itself is not asked: what would go there is taken."""
    import slack_bolt
    from slack_bolt.authorization import AuthorizeResult
    from slack_sdk import WebClient

    said: list[str] = []
    told = threading.Event()

    def taken(_: WebClient, **given: Any) -> None:
        said.append(given["text"])
        told.set()

    class App(slack_bolt.App):
        def __init__(self, **_: Any) -> None:
            known = AuthorizeResult(enterprise_id=None, team_id="T1", bot_token="xoxb-1")
            super().__init__(authorize=lambda: known, signing_secret="none")

    def answer(text: str, conversation_id: str) -> str:
        told.clear()
        message = {"type": "message", "text": text, "user": "U1", "channel": "C1", "ts": "1.0"}
        event = message | {"thread_ts": conversation_id}
        body = {"type": "event_callback", "team_id": "T1", "event": event}
        bot.app.dispatch(slack_bolt.BoltRequest(body=body, mode="socket_mode"))
        assert told.wait(_SECONDS)
        return said[-1]

    with (
        mock.patch.object(slack_bolt, "App", App),
        mock.patch.object(WebClient, "chat_postMessage", taken),
    ):
        bot = load()
        yield answer
        bot.app.listener_runner.listener_executor.shutdown()


@contextmanager
def _sse(load: Callable[[], ModuleType]) -> Iterator[Answer]:
    import httpx

    with served(load().app) as url:

        def answer(text: str, conversation_id: str) -> str:
            asked = {"text": text, "session": conversation_id}
            with httpx.stream("GET", f"{url}/chat", params=asked, timeout=_SECONDS) as events:
                lines = [line.removeprefix("data: ") for line in events.iter_lines()]
            return "".join(lines)

        yield answer


@contextmanager
def _gradio(load: Callable[[], ModuleType]) -> Iterator[Answer]:
    from gradio_client import Client

    page = load().page
    _, url, _ = page.launch(prevent_thread_lock=True, quiet=True)
    client = Client(url, verbose=False)

    def answer(text: str, conversation_id: str) -> str:
        client.session_hash = conversation_id
        return str(client.predict(text, api_name="/answer"))

    yield answer
    page.close()


def _over_socketio(url: str, path: str, **connecting: Any) -> Any:
    import socketio

    client = socketio.Client()
    client.connect(url, socketio_path=path, wait_timeout=_SECONDS, **connecting)
    return client


@contextmanager
def _on_aiohttp(app: Any) -> Iterator[str]:
    """Serves an application of aiohttp; gives its address."""
    from aiohttp import web

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def done(work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, loop).result(_SECONDS)

    runner = web.AppRunner(app)
    done(runner.setup())
    done(web.TCPSite(runner, "127.0.0.1", 0).start())
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        done(runner.cleanup())
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_SECONDS)
        loop.close()


def _socketio(serving: Callable[[Any], AbstractContextManager[str]]) -> Driver:
    @contextmanager
    def driver(load: Callable[[], ModuleType]) -> Iterator[Answer]:
        with serving(load().app) as url:
            client = _over_socketio(url, "socket.io")
            replies: list[str] = []
            told = threading.Event()

            @client.on("message")
            def _(text: str) -> None:
                replies.append(text)
                told.set()

            def answer(text: str, conversation_id: str) -> str:
                told.clear()
                client.emit("message", {"session": conversation_id, "text": text})
                assert told.wait(_SECONDS)
                return replies[-1]

            yield answer
            client.disconnect()

    return driver


@contextmanager
def _chainlit(load: Callable[[], ModuleType]) -> Iterator[Answer]:
    os.environ.setdefault("CHAINLIT_APP_ROOT", mkdtemp())  # where it writes its settings
    from chainlit.server import app

    load()
    with served(app, stopping=False) as url:
        clients: dict[str, Any] = {}
        replies: list[str] = []
        told = threading.Event()

        def connected(conversation_id: str) -> Any:
            who = {"clientType": "webapp", "sessionId": conversation_id,
                   "threadId": conversation_id, "userEnv": "{}"}  # fmt: skip
            client = _over_socketio(url, "/ws/socket.io", auth=who)

            @client.on("new_message")
            def _(step: dict[str, Any]) -> None:
                if step["type"] == "assistant_message":
                    replies.append(step["output"])
                    told.set()

            client.emit("connection_successful")
            return client

        def answer(text: str, conversation_id: str) -> str:
            if conversation_id not in clients:
                clients[conversation_id] = connected(conversation_id)
            told.clear()
            message = {"id": str(uuid4()), "name": "user", "type": "user_message",
                       "output": text, "createdAt": "2026-01-01T00:00:00Z"}  # fmt: skip
            clients[conversation_id].emit("client_message", {"message": message})
            assert told.wait(_SECONDS)
            return replies[-1]

        yield answer
        for client in clients.values():
            client.disconnect()


DRIVERS: Final[dict[str, Driver]] = {
    "slack_bolt": _slack,
    "chainlit_chat": _chainlit,
    "gradio_chat": _gradio,
    "socketio_chat": _socketio(served),
    "socketio_aiohttp": _socketio(_on_aiohttp),
    "sse_starlette": _sse,
}
"""Who speaks to a bot that does not answer by itself."""
