"""Entity tags: an answer that the caller has already is not sent again."""

from __future__ import annotations

import hashlib
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from starlette.datastructures import Headers, MutableHeaders

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

OF_THE_BODY: Final = ("content-length", "content-type")
DIGEST_BYTES: Final = 16


def tag_of(body: bytes) -> str:
    """The tag of an answer: made of its content alone.

    It is a weak one, for the same answer may go out compressed or not.

    Example:
        >>> tag_of(b"{}") == tag_of(b"{}") != tag_of(b"[]")
        True
    """
    digest = hashlib.blake2b(body, digest_size=DIGEST_BYTES).hexdigest()
    return f'W/"{digest}"'


def known(tag: str, if_none_match: str) -> bool:
    """Whether a caller says that it has the answer of this tag.

    Args:
        tag: The answer's tag.
        if_none_match: The header of that name: tags, separated by commas, or `*`.

    Example:
        >>> known('W/"a"', 'W/"b", "a"'), known('W/"a"', "*"), known('W/"a"', 'W/"b"')
        (True, True, False)
    """
    opaque = tag.removeprefix("W/")
    told = [one.strip().removeprefix("W/") for one in if_none_match.split(",")]
    return opaque in told or told == ["*"]


class EntityTags:
    """Tags the JSON that the API answers to GET, and answers 304 where the caller has it.

    Every answer is worked out for the token at hand first, so a tag tells nobody anything that
    its own answer would not. Streams pass as they are.

    Args:
        app: The application to wrap.
        prefix: The start of the paths to tag.
    """

    def __init__(self, app: ASGIApp, *, prefix: str = "/api/") -> None:
        self._app = app
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        asked = scope["type"] == "http" and scope["method"] == "GET"
        if not asked or not scope["path"].startswith(self._prefix):
            await self._app(scope, receive, send)
            return
        had = ", ".join(Headers(scope=scope).getlist("if-none-match"))
        held: Message | None = None

        async def send_tagged(message: Message) -> None:
            nonlocal held
            if message["type"] == "http.response.start" and _whole(message):
                held = message
                return
            if held is not None:
                start, held = held, None
                if not message.get("more_body", False):
                    message = _tagged(start, message, had)
                await send(start)
            await send(message)

        await self._app(scope, receive, send_tagged)


def _whole(start: Message) -> bool:
    """Whether JSON follows in one piece."""
    headers = Headers(raw=start["headers"])
    json = headers.get("content-type", "").startswith("application/json")
    return start["status"] == HTTPStatus.OK and json and "content-length" in headers


def _tagged(start: Message, body: Message, had: str) -> Message:
    """Tags a response; gives the body to send, which is empty where the caller has it."""
    headers = MutableHeaders(scope=start)
    tag = tag_of(body.get("body", b""))
    headers["etag"] = tag
    headers.add_vary_header("Authorization, Cookie")
    if not known(tag, had):
        return body
    start["status"] = int(HTTPStatus.NOT_MODIFIED)
    for name in OF_THE_BODY:
        del headers[name]
    return {**body, "body": b""}
