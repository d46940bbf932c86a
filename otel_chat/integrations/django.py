"""Django, under WSGI and ASGI. For WebSockets see `otel_chat.integrations.channels`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django import conf
from django.core.exceptions import ImproperlyConfigured, RequestDataTooBig
from django.http import HttpRequest, UnreadablePostError
from django.http.request import RawPostDataException
from opentelemetry import context as context_api
from opentelemetry.context import Context

from otel_chat.errors import ConfigurationError
from otel_chat.middleware.exchange import FAILED, Exchange
from otel_chat.middleware.request import Request, Rules


class ChatMiddleware:
    """Gives the turns inside a view the facts about its request; sync and async.

    In settings: `"otel_chat.integrations.django.ChatMiddleware"` in `MIDDLEWARE`, and its options
    in `OTEL_CHAT`: conversation_id, user_type, channel, page, referrer, body_limit, as in
    `otel_chat.middleware.asgi.ChatMiddleware`; `path:NAME` is the name in the URL pattern.

    Args:
        get_response: The next middleware or the view.

    Raises:
        ImproperlyConfigured: an option in `OTEL_CHAT` is wrong.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        try:
            self.rules = Rules(**getattr(conf.settings, "OTEL_CHAT", {}))
        except (ConfigurationError, TypeError) as error:
            raise ImproperlyConfigured(f"OTEL_CHAT: {error}") from error
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:
        """Serves a request, or returns the coroutine that does."""
        exchange = Exchange(self.rules, _request_of(request), _prepare(request, self.rules))
        if iscoroutinefunction(self):
            return _serve_async(self.get_response, request, exchange)
        context = exchange.context()
        token = context_api.attach(context)
        try:
            response = self.get_response(request)
        except BaseException as error:
            _failed(error, exchange)
            raise
        finally:
            context_api.detach(token)
        return _answered(response, exchange, context)


def _failed(error: BaseException, exchange: Exchange) -> None:
    """Nobody between the view and the server made a response of an error: the server does."""
    if isinstance(error, Exception):
        exchange.answered(FAILED)
    exchange.end(gone=not isinstance(error, Exception))


async def _serve_async(
    get_response: Callable[[HttpRequest], Awaitable[Any]], request: HttpRequest, exchange: Exchange
) -> Any:
    context = exchange.context()
    token = context_api.attach(context)
    try:
        response = await get_response(request)
    except BaseException as error:
        _failed(error, exchange)
        raise
    finally:
        context_api.detach(token)
    return _answered(response, exchange, context)


def _answered(response: Any, exchange: Exchange, context: Context) -> Any:
    exchange.answered(response.status_code)
    if not getattr(response, "streaming", False):
        exchange.end()
    elif response.is_async:
        response.streaming_content = _async_steps(response.streaming_content, exchange, context)
    else:
        response.streaming_content = _steps(response.streaming_content, exchange, context)
    return response


def _steps(content: Iterator[bytes], exchange: Exchange, context: Context) -> Iterator[bytes]:
    """The content, each step of it made inside the request's context."""
    complete = False
    try:
        while True:
            token = context_api.attach(context)
            try:
                step = next(content)
            except StopIteration:
                complete = True
                return
            finally:
                context_api.detach(token)
            yield step
    finally:
        exchange.end(gone=not complete)


async def _async_steps(
    content: AsyncIterator[bytes], exchange: Exchange, context: Context
) -> AsyncIterator[bytes]:
    complete = False
    try:
        while True:
            token = context_api.attach(context)
            try:
                step = await anext(content)
            except StopAsyncIteration:
                complete = True
                return
            finally:
                context_api.detach(token)
            yield step
    finally:
        exchange.end(gone=not complete)


def _request_of(request: HttpRequest) -> Request:
    headers: Mapping[str, str] = {name.lower(): value for name, value in request.headers.items()}
    return Request(
        request.method or "",
        request.path,
        request.META.get("QUERY_STRING", ""),
        headers,
        request.META,
    )


def _prepare(request: HttpRequest, rules: Rules) -> Callable[[Request], None]:
    """Fills in what is known when the view runs: the route, and the body where a rule reads it."""

    def prepare(ours: Request) -> None:
        match = request.resolver_match
        if match is not None:
            ours.route = match.route
            ours.path_params = match.kwargs
        if ours.body is None and rules.wants_body(ours):
            try:
                ours.body = request.body
            except (RawPostDataException, RequestDataTooBig, UnreadablePostError):
                ours.body = b""  # the view has read the stream itself, or the client is gone

    return prepare
