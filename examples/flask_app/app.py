"""A Flask chat: plain and streamed.

Run: gunicorn --chdir examples flask_app.app:app
Then post {"session_id": "s-1", "text": "Where is my order?"} as JSON to /chat.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from flask import Flask, Response, request
from shopbot import answer, classify, words

import otel_chat
from otel_chat.integrations.flask import instrument

otel_chat.setup(
    service_name="flask-example",
    endpoint=os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:8400"),
)
app = Flask(__name__)
instrument(app, conversation_id="json:session_id", channel="web")


@app.post("/chat")
@otel_chat.chat_handler(agent="shop", reply=lambda r: r["reply"])
def chat() -> dict[str, str]:
    """One question, one answer."""
    turn = otel_chat.current_turn()
    text = request.get_json()["text"]
    turn.message(text)
    intent, confidence = classify(text)
    turn.intent(intent, confidence)
    return {"reply": answer(intent)}


@app.post("/chat/stream")
def stream() -> Response:
    """The answer word by word."""
    return Response(streamed(request.get_json()["text"]), mimetype="text/plain")


@otel_chat.chat_handler(agent="shop", message="text")
def streamed(text: str) -> Iterator[str]:
    """Its turn ends with the last word."""
    intent, confidence = classify(text)
    otel_chat.current_turn().intent(intent, confidence)
    yield from words(answer(intent))
