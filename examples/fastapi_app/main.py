"""A FastAPI chat: plain, streamed and over a WebSocket.

Run: uvicorn --app-dir examples fastapi_app.main:app
Then post {"session_id": "s-1", "text": "Where is my order?"} as JSON to /chat.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

from fastapi import FastAPI, WebSocket
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from shopbot import answer, classify, words

import otel_chat
from otel_chat.integrations.starlette import instrument

otel_chat.setup(
    service_name="fastapi-example",
    endpoint=os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:8400"),
)
app = FastAPI()
instrument(
    app,
    conversation_id=["path:session_id", "json:session_id"],
    channel="web",
    agent="shop",
    text=lambda frame: frame,
)


class Question(BaseModel):
    """What the client sends."""

    session_id: str
    text: str


@app.post("/chat")
@otel_chat.chat_handler(agent="shop", message="question.text", reply=lambda r: r["reply"])
async def chat(question: Question) -> dict[str, str]:
    """One question, one answer."""
    intent, confidence = classify(question.text)
    otel_chat.current_turn().intent(intent, confidence)
    return {"reply": answer(intent)}


@app.post("/chat/stream")
async def stream(question: Question) -> StreamingResponse:
    """The answer word by word."""
    return StreamingResponse(streamed(question), media_type="text/plain")


@otel_chat.chat_handler(agent="shop", message="question.text")
async def streamed(question: Question) -> AsyncIterator[str]:
    """Its turn ends with the last word."""
    intent, confidence = classify(question.text)
    otel_chat.current_turn().intent(intent, confidence)
    for word in words(answer(intent)):
        yield word


@app.websocket("/ws/{session_id}")
async def socket(websocket: WebSocket) -> None:
    """No decorator: each message up to the last frame of its reply is a turn."""
    await websocket.accept()
    await websocket.send_text("Good evening. How can I help?")
    async for text in websocket.iter_text():
        intent, confidence = classify(text)
        otel_chat.current_turn().intent(intent, confidence)
        await websocket.send_text(answer(intent))
