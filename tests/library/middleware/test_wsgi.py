"""WSGI: the request as its turns see it, and nothing in its way."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest

from otel_chat import chat_handler, current_turn
from otel_chat import semconv as sc
from otel_chat.middleware.wsgi import WsgiChatMiddleware
from otel_chat.testing import Telemetry, assert_turn

BODY = json.dumps({"session_id": "s-1"}).encode()


def environ(**more: Any) -> dict[str, Any]:
    return {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/chat",
        "CONTENT_TYPE": "application/json; charset=utf-8",
        "CONTENT_LENGTH": str(len(BODY)),
        "wsgi.input": io.BytesIO(BODY),
        **more,
    }


def started(status: str, headers: Any, exc_info: Any = None) -> Any:
    return lambda data: None


@chat_handler(agent="support")
def answer() -> str:
    return "Hello"


def test_a_turn_takes_id_and_status_and_the_body_is_replayed(telemetry: Telemetry) -> None:
    """The application reads the body as if nobody had."""

    def app(environ: Any, start_response: Any) -> list[bytes]:
        assert environ["wsgi.input"].read() == BODY
        text = answer()
        start_response("201 Created", [])
        return [text.encode()]

    wrapped = WsgiChatMiddleware(app, conversation_id="json:session_id", channel="web")
    assert wrapped(environ(), started) == [b"Hello"]
    assert_turn(
        telemetry.only_turn(),
        status="ok",
        conversation_id="s-1",
        channel="web",
        attributes={sc.HTTP_STATUS_CODE: 201},
    )


def test_the_routing_arguments_of_wsgi_are_path_parameters(telemetry: Telemetry) -> None:
    """Any router that keeps to the convention serves `path:NAME`."""

    def app(environ: Any, start_response: Any) -> list[bytes]:
        environ["wsgiorg.routing_args"] = ((), {"session_id": "s-9"})
        answer()
        start_response("200 OK", [])
        return []

    WsgiChatMiddleware(app, conversation_id="path:session_id")(environ(), started)
    assert_turn(telemetry.only_turn(), conversation_id="s-9")


def test_a_generator_runs_inside_its_request_and_leaks_nothing(telemetry: Telemetry) -> None:
    """Each step sees the request; between the steps nothing of it is current."""

    @chat_handler(agent="support")
    def words() -> Iterator[bytes]:
        yield b"one "
        yield b"two"

    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        yield from words()

    body = WsgiChatMiddleware(app, conversation_id="json:session_id")(environ(), started)
    got = []
    for part in body:
        got.append(part)
        assert current_turn().trace_id is None
    body.close()  # type: ignore[attr-defined]
    assert got == [b"one ", b"two"]
    assert_turn(telemetry.only_turn(), status="ok", conversation_id="s-1")


def test_a_body_closed_early_cancels_the_turn(telemetry: Telemetry) -> None:
    """The server closes a body whose client is gone."""
    closed = []

    @chat_handler(agent="support")
    def words() -> Iterator[bytes]:
        try:
            yield b"one "
            yield b"two"
        finally:
            closed.append(True)

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return words()

    body = iter(WsgiChatMiddleware(app)(environ(), started))
    assert next(body) == b"one "
    body.close()  # type: ignore[attr-defined]
    assert closed == [True]
    assert_turn(telemetry.only_turn(), status="cancelled")


def test_an_exception_goes_on_as_it_was(telemetry: Telemetry) -> None:
    """The turn is an error and ends, though no answer was started."""
    problem = ValueError("bad")

    @chat_handler(agent="support")
    def broken() -> None:
        raise problem

    def app(environ: Any, start_response: Any) -> list[bytes]:
        broken()
        return []

    with pytest.raises(ValueError, match="bad") as caught:
        WsgiChatMiddleware(app)(environ(), started)
    assert caught.value is problem
    assert_turn(telemetry.only_turn(), status="error", error_type="ValueError")


def test_files_and_lists_are_handed_on_as_they_are(telemetry: Telemetry) -> None:
    """A server recognises its own file wrapper, and the length of a list."""

    class Wrapper:
        def __iter__(self) -> Iterator[bytes]:
            return iter([b"x"])

    made = Wrapper()

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return made

    given = environ(**{"wsgi.file_wrapper": Wrapper})
    assert WsgiChatMiddleware(app)(given, started) is made


def test_a_body_without_a_length_is_left_alone(telemetry: Telemetry) -> None:
    """Where its end is unknown, reading ahead could wait for ever."""
    source = io.BytesIO(BODY)

    def app(environ: Any, start_response: Any) -> list[bytes]:
        assert environ["wsgi.input"] is source
        answer()
        start_response("200 OK", [])
        return []

    given = environ(**{"wsgi.input": source})
    del given["CONTENT_LENGTH"]
    WsgiChatMiddleware(app, conversation_id="json:session_id")(given, started)
    assert source.tell() == 0
    assert_turn(telemetry.only_turn(), conversation_id=None)


def test_a_client_that_breaks_off_its_body_fails_in_the_application(telemetry: Telemetry) -> None:
    """The middleware swallows the error; the application meets it where it reads."""

    class Broken(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            raise ConnectionResetError

    def app(environ: Any, start_response: Any) -> list[bytes]:
        environ["wsgi.input"].read()
        return []

    with pytest.raises(ConnectionResetError):
        WsgiChatMiddleware(app, conversation_id="json:session_id")(
            environ(**{"wsgi.input": Broken()}), started
        )
