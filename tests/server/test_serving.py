"""How the server is started: what that does for the time that answers take."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import fastapi.routing
import pytest
import uvicorn
from fastapi.testclient import TestClient

from otel_chat.errors import ConfigurationError
from otel_chat.server.app import create_app, serve
from otel_chat.server.sample import FILE, Sample, sample_of
from otel_chat.server.settings import ServerSettings

if TYPE_CHECKING:
    from otel_chat.server.store import Store
    from tests.server.given import Given


def test_no_part_of_an_answer_waits_for_an_acknowledgement(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Head and body are sent apart: with Nagle's algorithm the body came 40 ms later."""
    without_delay: list[int] = []

    def run(_: uvicorn.Server, sockets: list[socket.socket]) -> None:
        without_delay.extend(
            one.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) for one in sockets
        )

    monkeypatch.setattr(uvicorn.Server, "run", run)
    monkeypatch.setattr("otel_chat.server.app.open_store", lambda _: store)
    monkeypatch.setattr(type(store), "close", lambda _: None)
    serve(ServerSettings(port=0))
    assert len(without_delay) == 1
    assert all(without_delay)


def test_nothing_says_that_it_serves_where_it_does_not(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The port is taken: that is said, and no more."""
    said: list[str] = []
    monkeypatch.setattr("otel_chat.server.app.open_store", lambda _: store)
    monkeypatch.setattr(type(store), "close", lambda _: None)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"Cannot listen on 127.0.0.1:{port}"):
            serve(ServerSettings(port=port), serving=said.append)
    assert said == []


def test_the_settings_do_not_show_the_password_of_the_store() -> None:
    """Wherever they are printed or logged as they are."""
    assert "hunter2" not in repr(ServerSettings(store="clickhouse://me:hunter2@db/chat"))


def test_the_first_answer_does_not_wait_for_routes(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are built once in a process: neither again by an application, nor at a request."""
    built: list[str] = []
    build = fastapi.routing.get_dependant  # type: ignore[attr-defined]

    def counted(**kwargs: Any) -> object:
        built.append(str(kwargs["path"]))
        return build(**kwargs)

    monkeypatch.setattr(fastapi.routing, "get_dependant", counted)
    app = create_app(store, ServerSettings())
    with TestClient(app, base_url="http://127.0.0.1:8400") as client:
        assert client.get("/api/v1/definitions").status_code == 200
        assert client.get("/settings").status_code == 200
    assert not built


def test_the_mark_of_a_sample_follows_the_data(
    store: Store, given: Given, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that is told of none says what the one before was told, for as long as there is any.

    Real data that comes after the sample was erased is none.
    """
    if store.url.path is None:
        pytest.skip("a store in a folder keeps it")
    place, seen = store.url.path / FILE, []

    def run(server: uvicorn.Server, sockets: list[socket.socket]) -> None:
        seen.append(server.config.app.state.settings.sample)  # type: ignore[union-attr]

    monkeypatch.setattr(uvicorn.Server, "run", run)
    monkeypatch.setattr("otel_chat.server.app.open_store", lambda _: store)
    monkeypatch.setattr(type(store), "close", lambda _: None)
    sample = Sample(about="Made up.", removal="Stop the server, then:", command="rm -r x")
    given.turn()
    given.save()
    try:
        for told in (None, sample, None):
            serve(ServerSettings(port=0, sample=told))
        assert seen == [None, sample, sample]
        with monkeypatch.context() as empty:
            empty.setattr(type(store), "query", lambda *_: [])
            assert sample_of(store, None) is None
        assert sample_of(store, None) is None
        place.write_text("{no JSON")
        assert sample_of(store, None) is None
    finally:
        place.unlink(missing_ok=True)
