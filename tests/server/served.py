"""A store served over real HTTP, for what only a real connection shows."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from typing import TYPE_CHECKING, Any

import uvicorn
from fastapi.testclient import TestClient

from otel_chat.errors import StoreUnavailableError
from otel_chat.server.access import Access
from otel_chat.server.app import create_app
from otel_chat.server.settings import ServerSettings
from otel_chat.server.tokens import TokenStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fastapi import FastAPI

    from otel_chat.server.store import Store

    BreakOff = Callable[[int], None]

FROM_TO = {"from": "2026-11-10T00:00:00Z", "to": "2026-11-11T00:00:00Z"}


@contextlib.contextmanager
def as_new(client: TestClient, store: Store) -> Iterator[TestClient]:
    """A client of an application that serves many tests, without tokens and cookies.

    To make an application takes half a second.
    """
    store.command("TRUNCATE TABLE tokens")
    client.app.state.access = Access(TokenStore(store), loopback=True)  # type: ignore[attr-defined]
    client.cookies.clear()
    yield client
    store.command("TRUNCATE TABLE tokens")


@contextlib.contextmanager
def served(store: Any) -> Iterator[str]:
    """The address of a server over `store`, for as long as the block runs.

    To make one takes seconds: where nothing hangs on how it begins, `server` of the tests is there.
    """
    with over_http(create_app(store, ServerSettings(port=0))) as address:
        yield address


@contextlib.contextmanager
def over_http(app: FastAPI, *, alone: bool = False) -> Iterator[str]:
    """The address of an application, for as long as the block runs.

    Args:
        app: The application.
        alone: Whether it does nothing but answer: neither settles nor takes telemetry.
    """
    bound = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(app, log_level="critical", lifespan="off" if alone else "on")
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        bound.close()
        logging.getLogger("uvicorn.error").setLevel(logging.NOTSET)


class Breaking:
    """A store whose streams break off."""

    def __init__(self, store: Store, pieces: int) -> None:
        self._store = store
        self._pieces = pieces

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def stream(self, *_: Any, **__: Any) -> Iterator[bytes]:
        """So many pieces, and then an error."""
        for number in range(self._pieces):
            yield f'{{"row": {number}}}\n'.encode()
        raise StoreUnavailableError("The store went away.")
