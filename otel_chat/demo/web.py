"""The bot's chat page and the endpoints behind it.

Replies are streamed as server-sent events: `piece` (`text`), then `done` (`handed_off`, `ended`)
or `failed` (`message`).
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from fastapi import FastAPI, HTTPException, Request
from fastapi import Path as PathParameter
from fastapi.responses import HTMLResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles
from fastapi.templating import Jinja2Templates
from pydantic import BaseModel, Field, model_validator
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from otel_chat.demo.bot import STARS, THUMBS, SupportBot
from otel_chat.demo.dialogue import Session
from otel_chat.integrations.starlette import instrument

MESSAGE_LIMIT: Final = 2000
ConversationId = Annotated[str, PathParameter(max_length=64)]
_FAILED: Final = "Something went wrong on our side. Please try again."
_SCALES: Final = {"stars": STARS, "thumb": THUMBS}
_RATINGS: Final = ((1, "very bad"), (2, "bad"), (3, "middling"), (4, "good"), (5, "very good"))
_SUGGESTIONS: Final = (
    "Where is my order 10446?",
    "I want to return something",
    "Change my delivery address",
    "How much is shipping?",
    "I want to talk to a human",
)
_ORDERS: Final = ("10417 (delivered)", "10446 (on its way)", "10432 (being packed)")
_HEADERS: Final = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}


class Opening(BaseModel):
    """What a client says of itself when it opens a conversation."""

    channel: Literal["web", "mobile", "voice"] = "web"
    user_type: Literal["client", "provider", "anonymous"] = "anonymous"


class Opened(BaseModel):
    """A conversation that has been opened."""

    conversation_id: str
    welcome: str


class Said(BaseModel):
    """A message."""

    text: str = Field(min_length=1, max_length=MESSAGE_LIMIT)


class Rating(BaseModel):
    """Feedback: stars from 1 to 5, or a thumb, 0 (down) or 1 (up)."""

    value: int
    scale: Literal["stars", "thumb"] = "stars"
    comment: str | None = Field(default=None, max_length=MESSAGE_LIMIT)

    @model_validator(mode="after")
    def _on_the_scale(self) -> Self:
        low, high = _SCALES[self.scale]
        if not low <= self.value <= high:
            raise ValueError(f"value must lie between {low:g} and {high:g}.")
        return self


class Ending(BaseModel):
    """How the user or the team closes a conversation."""

    outcome: Literal["resolved", "handed_off", "abandoned"] = "resolved"


class _SecureHeaders:
    """Adds the security headers to every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
            await send(message)

        await self._app(scope, receive, send_with_headers)


def create_app(bot: SupportBot, *, analytics: str, http_spans: bool = True) -> FastAPI:
    """The bot as an application.

    Args:
        bot: The bot.
        analytics: Address of the analytics server, for the links of the page.
        http_spans: Whether FastAPI reports its own spans and metrics of requests, by its own clock.

    Example:
        >>> from otel_chat.demo.bot import SupportBot
        >>> create_app(SupportBot(), analytics="http://127.0.0.1:8400").title
        'Alder & Reed'
    """
    app = FastAPI(
        title="Alder & Reed",
        docs_url=None,
        redoc_url=None,
        # A FastAPI that has none of its own passes this over.
        telemetry={"tracing": http_spans, "metrics": http_spans},
    )
    app.add_middleware(_SecureHeaders)
    instrument(app, conversation_id="path:conversation_id")
    _add_page(app, analytics)
    _add_conversations(app, bot)
    return app


def _add_page(app: FastAPI, analytics: str) -> None:
    here = Path(str(files("otel_chat.demo")))
    templates = Jinja2Templates(directory=here / "templates")
    app.mount("/static", StaticFiles(directory=here / "static"), name="static")

    @app.get("/", response_class=HTMLResponse)
    async def page(request: Request) -> HTMLResponse:
        return templates.TemplateResponse(
            request,
            "chat.html",
            {
                "analytics": analytics,
                "limit": MESSAGE_LIMIT,
                "suggestions": _SUGGESTIONS,
                "ratings": _RATINGS,
                "orders": _ORDERS,
            },
        )

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}


def _add_conversations(app: FastAPI, bot: SupportBot) -> None:
    def session_of(conversation_id: str) -> Session:
        session = bot.find(conversation_id)
        if session is None:
            raise HTTPException(404, "There is no such conversation.")
        if session.ended:
            raise HTTPException(409, "This conversation has ended.")
        return session

    @app.post("/api/conversations", status_code=201)
    async def open_conversation(opening: Opening) -> Opened:
        session, welcome = bot.open(channel=opening.channel, user_type=opening.user_type)
        return Opened(conversation_id=session.conversation_id, welcome=welcome)

    @app.post("/api/conversations/{conversation_id}/messages")
    async def messages(conversation_id: ConversationId, said: Said) -> StreamingResponse:
        session = session_of(conversation_id)
        return StreamingResponse(_stream(bot, session, said.text), media_type="text/event-stream")

    @app.post("/api/conversations/{conversation_id}/human", status_code=204)
    async def human(conversation_id: ConversationId, said: Said) -> None:
        bot.human(session_of(conversation_id), said.text)

    @app.post("/api/conversations/{conversation_id}/feedback", status_code=204)
    async def feedback(conversation_id: ConversationId, rating: Rating) -> None:
        session = bot.find(conversation_id)
        if session is None:
            raise HTTPException(404, "There is no such conversation.")
        bot.rate(session, rating.value, rating.comment, _SCALES[rating.scale])

    @app.post("/api/conversations/{conversation_id}/end", status_code=204)
    async def end(conversation_id: ConversationId, ending: Ending) -> None:
        bot.end(session_of(conversation_id), ending.outcome, reason="closed")


async def _stream(bot: SupportBot, session: Session, text: str) -> AsyncIterator[str]:
    try:
        async for piece in bot.answer(session, text):
            yield _event("piece", {"text": piece})
    except Exception:  # noqa: BLE001 - whatever fails, the user is told; the turn has recorded it
        yield _event("failed", {"message": _FAILED})
    yield _event("done", {"handed_off": session.handed_off, "ended": session.ended})


def _event(name: str, data: Mapping[str, Any]) -> str:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"
