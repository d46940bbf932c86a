"""The Django example: HTTP on gunicorn and uvicorn, WebSockets through Channels."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.sync.client import connect

from otel_chat import semconv as sc
from tests import web
from tests.library.integrations.live import EXAMPLES, Sink, serving
from tests.waiting import until

UVICORN = ("uvicorn", "django_app.asgi:application", "--port", "{port}", "--log-level", "warning")
GUNICORN = ("gunicorn", "django_app.wsgi:application", "--bind", "127.0.0.1:{port}")
SETTINGS = {"DJANGO_SETTINGS_MODULE": "django_app.settings"}


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "chat.sqlite3"
    subprocess.run(
        [sys.executable, "-m", "django", "migrate", "--run-syncdb", "--verbosity", "0"],
        cwd=EXAMPLES,
        env={**os.environ, **SETTINGS, "DJANGO_DB": str(path)},
        check=True,
    )
    return path


@pytest.fixture(params=[UVICORN, GUNICORN], ids=["uvicorn", "gunicorn"])
def host(request: pytest.FixtureRequest, sink: Sink, tmp_path: Path) -> Iterator[str]:
    with serving(sink, *request.param, log=tmp_path / "log", **SETTINGS) as address:
        yield address


@pytest.fixture
def sockets(sink: Sink, tmp_path: Path, database: Path) -> Iterator[str]:
    log = tmp_path / "log"
    with serving(sink, *UVICORN, log=log, DJANGO_DB=str(database), **SETTINGS) as address:
        yield address


def records(database: Path) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(database)
    try:
        return connection.execute(
            "SELECT session_id, total_messages, user_messages, assistant_messages,"
            " topics_discussed FROM django_app_chatanalytics"
        ).fetchall()
    finally:
        connection.close()


def test_a_handler_inside_a_view_knows_its_request(sink: Sink, host: str) -> None:
    """The id comes from the URL pattern before the body; route and status are there."""
    question = {"session_id": "s-body", "text": "Where is my order?"}
    web.post(f"http://{host}/chat", json=question).raise_for_status()
    web.post(f"http://{host}/sessions/s-path/chat", json=question).raise_for_status()
    by_body, by_path = sink.turns_when(2)
    assert (by_body[sc.CONVERSATION_ID], by_body[sc.HTTP_ROUTE]) == ("s-body", "chat")
    assert by_path[sc.CONVERSATION_ID] == "s-path"
    assert by_path[sc.HTTP_ROUTE] == "sessions/<str:session_id>/chat"
    assert by_path[sc.HTTP_STATUS_CODE] == 200
    assert by_path[sc.INTENT_NAME] == "order_status"


def test_a_streamed_answer_is_one_turn_to_its_last_word(sink: Sink, host: str) -> None:
    """The generator runs after the view has returned, and still knows its request."""
    question = {"session_id": "s-1", "text": "Where is my order?"}
    answer = web.post(f"http://{host}/chat/stream", json=question)
    assert answer.text == "Your order leaves us today. "
    (turn,) = sink.turns_when(1)
    assert turn[sc.CONVERSATION_ID] == "s-1"
    assert turn[sc.TIME_TO_FIRST_CHUNK] <= turn["seconds"]


def test_a_consumer_with_a_tracker_makes_one_turn_a_message(
    sink: Sink, sockets: str, database: Path
) -> None:
    """Tracker and middleware together count each message once; the record is saved at the end."""
    with connect(f"ws://{sockets}/ws/s-9") as socket:
        for _ in range(2):
            socket.send(json.dumps({"text": "Where is my order?"}))
            assert json.loads(socket.recv()) == {"reply": "Your order leaves us today."}
    assert until(lambda: records(database)) == [("s-9", 4, 2, 2, '["order_status"]')]
    sink.event_when(sc.EVENT_CONVERSATION_END)
    turns = sink.turns_when(2)
    assert len(turns) == 2
    assert {t[sc.CONVERSATION_ID] for t in turns} == {"s-9"}
    assert {t[sc.INTENT_NAME] for t in turns} == {"order_status"}
    topic = sink.event_when(sc.EVENT_TOPIC)
    assert topic[sc.TOPIC_NAME] == "order_status"


def test_closing_and_disconnecting_save_once(sink: Sink, sockets: str, database: Path) -> None:
    """A session that is closed on request and then disconnects has one record, unchanged."""
    with connect(f"ws://{sockets}/ws/s-10") as socket:
        socket.send(json.dumps({"text": "Any refund?"}))
        socket.recv()
        socket.send(json.dumps({"type": "close"}))
        until(lambda: len(records(database)) == 1)
    sink.event_when(sc.EVENT_CONVERSATION_END)
    assert [row[:2] for row in records(database)] == [("s-10", 2)]
