"""The one shape of every error that the server answers with."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.routing import Match

from otel_chat._common.wrong_input import in_words
from otel_chat.errors import (
    AccessError,
    ConfigurationError,
    IngestError,
    OtelChatError,
    QueryError,
    StoreError,
    StoreUnavailableError,
)
from otel_chat.server import patterns

_METHODS: Final = ("DELETE", "GET", "PATCH", "POST", "PUT")
_log = logging.getLogger("otel_chat.server")

CODES: Final = {
    400: "bad_request",
    401: "unauthenticated",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "unsupported_media_type",
    422: "invalid",
    500: "internal",
    503: "unavailable",
}


FAILED: Final = "The store failed; the server's log says how."


def told(error: Exception) -> str:
    """What an error tells a caller, who must not learn where the server keeps what.

    Example:
        >>> told(StoreError("Cannot open /srv/store/part.bin"))
        "The store failed; the server's log says how."
    """
    match error:
        case StoreUnavailableError():
            return error.told
        case StoreError():
            return FAILED
        case _:
            return str(error)


class ErrorDetail(BaseModel):
    """What went wrong."""

    code: str = Field(description="A fixed word for the kind of error.", examples=["invalid"])
    message: str = Field(
        description="What is wrong and how to mend it.",
        examples=["A window is one of 24h, 7d, 30d, 90d."],
    )
    field: str | None = Field(
        default=None, description="The parameter at fault, if one is.", examples=["window"]
    )


class ErrorAnswer(BaseModel):
    """The shape of every error."""

    error: ErrorDetail


RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    401: {"model": ErrorAnswer, "description": "No valid token."},
    403: {"model": ErrorAnswer, "description": "The token does not hold the scope."},
    422: {"model": ErrorAnswer, "description": "A parameter is wrong."},
    503: {"model": ErrorAnswer, "description": "The store is away for now."},
}
BODY_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    **RESPONSES,
    400: {"model": ErrorAnswer, "description": "The body is no text."},
    413: {"model": ErrorAnswer, "description": "The body is too large."},
}
FOUND_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    **RESPONSES,
    404: {"model": ErrorAnswer, "description": "There is none, or it is another tenant's."},
}


def answer(
    status: int,
    message: str,
    *,
    field: str | None = None,
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    """An error as an answer."""
    detail = ErrorDetail(code=CODES.get(status, "error"), message=message, field=field)
    body = ErrorAnswer(error=detail).model_dump()
    return JSONResponse(body, status_code=status, headers=headers)


def _of_ours(_request: Request, error: Exception) -> Response:
    message = str(error)
    match error:
        case AccessError():
            headers = {"WWW-Authenticate": "Bearer"} if error.status == 401 else None  # noqa: PLR2004
            return answer(error.status, message, headers=headers)
        case QueryError():
            return answer(422, message, field=error.field)
        case ConfigurationError():
            return answer(422, message)
        case IngestError():
            return answer(error.status, message)
        case StoreUnavailableError():
            return answer(503, told(error), headers={"Retry-After": str(error.retry_after)})
        case _:
            return _unexpected(_request, error)


def _of_validation(_request: Request, error: Exception) -> Response:
    problems = error.errors() if isinstance(error, RequestValidationError) else []
    first = problems[0] if problems else {"type": "", "msg": "the request is malformed", "loc": ()}
    place = [str(part) for part in first["loc"][1:]]
    words = in_words(first, patterns.WORDS)
    return answer(422, f"{words[:1].upper()}{words[1:]}.", field=".".join(place) or None)


def _methods(request: Request) -> str:
    """What the address takes, of all its routes: the first to match tells its own only."""
    return ", ".join(
        method
        for method in _METHODS
        if any(
            route.matches({**request.scope, "method": method})[0] is Match.FULL
            for route in request.app.routes
        )
    )


def _of_http(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    if status == HTTPStatus.METHOD_NOT_ALLOWED and (methods := _methods(request)):
        headers["Allow"] = methods
    detail = str(error.detail) if isinstance(error, HTTPException) else ""
    plain = HTTPStatus(status).phrase
    known = {404: "There is nothing at this address.", 405: "This address takes another method."}
    message = known.get(status, detail) if detail in {"", plain} else detail
    return answer(status, message or plain, headers=headers)


def _unexpected(request: Request, error: Exception) -> Response:
    _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return answer(500, "Something went wrong in the server; its log says what.")


def add_error_handlers(app: FastAPI) -> None:
    """Make every error of `app` answer in the one shape."""
    app.add_exception_handler(OtelChatError, _of_ours)
    app.add_exception_handler(RequestValidationError, _of_validation)
    app.add_exception_handler(HTTPException, _of_http)
    app.add_exception_handler(Exception, _unexpected)
