"""python-socketio with aiohttp."""

import asyncio

import socketio
from aiohttp import web

from otel_chat import chat_handler
from tests.foreign.bots.model import reply_to

server = socketio.AsyncServer(async_mode="aiohttp")
app = web.Application()
server.attach(app)


@server.on("message")
@chat_handler(
    agent="support",
    conversation_id=lambda sid, data: data["session"],
    message="data.text",
    channel="web",
)
async def answer(sid: str, data: dict[str, str]) -> str:
    reply = await asyncio.to_thread(reply_to, data["text"])
    await server.emit("message", reply, to=sid)
    return reply
