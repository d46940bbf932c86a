"""sse-starlette."""

import asyncio
from collections.abc import AsyncIterator

from sse_starlette import EventSourceResponse
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

from otel_chat import chat_handler
from otel_chat.integrations.starlette import instrument
from tests.foreign.bots.model import reply_to


@chat_handler(agent="support", message="text")
async def words(text: str) -> AsyncIterator[dict[str, str]]:
    for word in (await asyncio.to_thread(reply_to, text)).splitlines(keepends=True):
        yield {"data": word}


async def chat(request: Request) -> EventSourceResponse:
    return EventSourceResponse(words(request.query_params["text"]))


app = Starlette(routes=[Route("/chat", chat)])
instrument(app, conversation_id="query:session", channel="web")
