"""Errors of pages: told as a page that says what to do next, not as JSON."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlencode

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse

from otel_chat._common.moments import end_of, first_of, without_offset
from otel_chat._common.wrong_input import in_words
from otel_chat.errors import AccessError, QueryError, QuestionLimitError, StoreUnavailableError
from otel_chat.server import patterns
from otel_chat.server.here import address_of, path_of
from otel_chat.server.pages.formats import by_the_clock_of
from otel_chat.server.pages.periods import reader_zone
from otel_chat.server.pages.render import page

_log = logging.getLogger("otel_chat.server")

TITLES: Final = {
    401: "Sign in to see this page",
    403: "This page is not yours to see",
    404: "There is nothing here",
    422: "This address asks for something that does not exist",
    503: "The store is away for the moment",
}
TOO_MUCH: Final = "This page asks for too much at once"
UNEXPECTED: Final = "Something went wrong"
_TIMES: Final = {"from": first_of, "to": end_of, "from_b": first_of, "to_b": end_of}

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class PageRoute(APIRoute):
    """A route whose errors are pages, whose address is tidy, and whose times are the reader's."""

    def get_route_handler(self) -> Handler:
        """The handler, with errors turned into pages."""
        inner = super().get_route_handler()

        async def handle(request: Request) -> Response:
            if (tidy := tidied(request)) is not None:
                return RedirectResponse(tidy, status_code=303)
            with by_the_clock_of(reader_zone(request)):
                try:
                    return await inner(request)
                except Exception as error:  # noqa: BLE001 - the outermost place that can draw a page
                    return error_page(request, error)

        return handle


def tidied(request: Request) -> str | None:
    """The address as it is to be shared; `None` where it is so already.

    A form without a script sends `agent=` for 'all agents'. Days and times as they are typed become
    moments in UTC: they mean the same to every reader.
    """
    pairs = request.query_params.multi_items()
    zone = request.query_params.get("timezone") or reader_zone(request).key
    kept = [(name, _in_utc(name, value, zone)) for name, value in pairs if value or name == "id"]
    if request.method != "GET" or kept == pairs:
        return None
    return path_of(request) + (f"?{urlencode(kept)}" if kept else "")


def _in_utc(name: str, value: str, zone: str) -> str:
    if name not in _TIMES or not without_offset(value):
        return value
    try:
        moment = _TIMES[name](value, name, zone)
    except QueryError:
        return value  # the page itself says what is wrong
    return f"{moment.replace(tzinfo=None).isoformat()}Z"


def error_page(
    request: Request, error: Exception, address: str | None = None, *, typed: str = ""
) -> Response:
    """An error as a page.

    Args:
        request: What was asked for.
        error: What came of it.
        address: Where the reader wanted to go; where they are without.
        typed: The token that was typed, which the form keeps for its typing error to be mended.
    """
    status, message = _told(error)
    title = TITLES.get(status, UNEXPECTED)
    if isinstance(error, QuestionLimitError):
        title = TOO_MUCH
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    answer = page(
        request,
        "error.html",
        "",
        status=status,
        code=int(status),
        title=title,
        message=message,
        address=address or address_of(request),
        typed=typed,
        wrong=_wrong(typed) if typed else "",
    )
    if isinstance(error, StoreUnavailableError):
        answer.headers["Retry-After"] = str(error.retry_after)
    return answer


_TOKEN: Final = re.compile(r"otc_[0-9a-f]+_[A-Za-z0-9_-]+")


def _wrong(token: str) -> str:
    """What is wrong with a token that was not taken, without saying which tokens there are."""
    if not token.startswith("otc_"):
        return "That is no token: one begins with otc_."
    if not _TOKEN.fullmatch(token):
        return (
            "That is no whole token: one is otc_, an id, an underline and a secret, without spaces."
        )
    return "No token in force is written like that: look for a typing error, or ask for a new one."


def _told(error: Exception) -> tuple[int, str]:
    """The status and the words of an error."""
    match error:
        case AccessError():
            told = error.status, str(error)
        case QueryError():
            told = 422, f"{error.field}: {error}" if error.field else str(error)
        case RequestValidationError():
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"][1:])
            words = in_words(first, patterns.WORDS)
            told = 422, f"{place} {words}." if place else f"{words[:1].upper()}{words[1:]}."
        case QuestionLimitError():
            told = 503, error.told
        case StoreUnavailableError():
            told = 503, f"{error.told} The page works again as soon as the store does."
        case HTTPException(status_code=404):
            told = 404, "No page has this address."
        case HTTPException():
            told = error.status_code, str(error.detail)
        case _:
            told = 500, "The server's log says what. Trying again may help."
    return told
