"""The FastAPI example on uvicorn."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.sync.client import connect

from otel_chat import semconv as sc
from tests import web
from tests.library.integrations.live import Sink, serving
from tests.waiting import until

QUESTION = {"session_id": "s-1", "text": "Where is my order?"}


@pytest.fixture
def host(sink: Sink, tmp_path: Path) -> Iterator[str]:
    command = ("uvicorn", "fastapi_app.main:app", "--port", "{port}", "--log-level", "warning")
    with serving(sink, *command, log=tmp_path / "log") as address:
        yield address


def test_a_decorated_route_is_a_turn_that_knows_its_request(sink: Sink, host: str) -> None:
    """Conversation id from the body, page and referrer from the headers, route and status."""
    headers = {"referer": "https://shop.example/help?token=secret", "user-agent": "browser/1"}
    answer = web.post(f"http://{host}/chat", json=QUESTION, headers=headers)
    assert answer.json() == {"reply": "Your order leaves us today."}
    (turn,) = sink.turns_when(1)
    assert turn["name"] == "invoke_agent shop"
    assert turn[sc.CONVERSATION_ID] == "s-1"
    assert turn[sc.HTTP_ROUTE] == "/chat"
    assert turn[sc.HTTP_STATUS_CODE] == 200
    assert turn[sc.USER_AGENT] == "browser/1"
    assert turn[sc.REFERRER] == "https://shop.example/help"
    assert turn[sc.PAGE] == "/help"
    assert turn[sc.INTENT_NAME] == "order_status"
    assert turn[sc.STATUS] == "ok"
    assert "Where is my order?" in turn[sc.INPUT_MESSAGES]


def test_a_streamed_answer_is_one_turn_to_its_last_word(sink: Sink, host: str) -> None:
    """The stream arrives whole, and the turn has a time to first chunk and the whole reply."""
    answer = web.post(f"http://{host}/chat/stream", json=QUESTION)
    assert answer.text == "Your order leaves us today. "
    (turn,) = sink.turns_when(1)
    assert turn[sc.TIME_TO_FIRST_CHUNK] <= turn["seconds"]
    assert turn[sc.CONVERSATION_ID] == "s-1"
    assert turn[sc.HTTP_STATUS_CODE] == 200
    assert "leaves us today" in turn[sc.OUTPUT_MESSAGES]


def test_a_socket_is_a_conversation_of_turns(sink: Sink, host: str) -> None:
    """Two questions make two linked turns; greeting, start and end (with the code) are events."""
    with connect(f"ws://{host}/ws/c-7") as socket:
        assert socket.recv() == "Good evening. How can I help?"
        for _ in range(2):
            socket.send("Where is my order?")
            assert socket.recv() == "Your order leaves us today."
        socket.close(4001)
    first, second = sink.turns_when(2)
    assert {first[sc.CONVERSATION_ID], second[sc.CONVERSATION_ID]} == {"c-7"}
    assert first[sc.HTTP_ROUTE] == "/ws/{session_id}"
    assert first[sc.INTENT_NAME] == "order_status"
    assert json.loads(first[sc.OUTPUT_MESSAGES])[0]["parts"][0]["content"].startswith("Your order")
    assert (first["links"], second["links"]) == (1, 2)
    assert sink.event_when(sc.EVENT_MESSAGE)[sc.MESSAGE_SENDER] == "assistant"
    assert sink.event_when(sc.EVENT_CONVERSATION_START)[sc.CONVERSATION_ID] == "c-7"
    assert sink.event_when(sc.EVENT_CONVERSATION_END)[sc.REASON] == "close 4001"
    assert until(lambda: [s for s in sink.spans if s.get(sc.CLOSE_CODE) == 4001])
    assert len(sink.turns) == 2
