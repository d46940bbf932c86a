"""The shapes of handlers: what is decorated, and how it gives its reply."""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from enum import Enum
from typing import Any

from otel_chat.testing.conformance.model import Subject
from otel_chat.testing.conformance.probe import Probe

Handler = Callable[..., Any]


class Kind(Enum):
    """How a reply is given, and so how it is consumed."""

    VALUE = "value"
    AWAITABLE = "awaitable"
    STREAM = "stream"
    ASYNC_STREAM = "async stream"
    RESPONSE = "response"
    BLOCKING_RESPONSE = "response from a sync iterator"
    OBJECT = "object with an iterator's methods"
    ASYNC_OBJECT = "object with an async iterator's methods"
    ITERABLE = "iterable"
    ASYNC_ITERABLE = "async iterable"
    BLOCK = "context manager"
    ASYNC_BLOCK = "async context manager"


@dataclass(frozen=True, slots=True)
class Shape:
    """A shape of handler.

    Args:
        group: The row of the table.
        name: Unique within its group.
        kind: How the reply is given.
        build: Makes the decorated handler around a probe; the result is called without arguments.
        awaited: Whether the call gives a coroutine whose result is the reply.
        native: Whether Python itself makes the reply (a coroutine function, a generator function).
    """

    group: str
    name: str
    kind: Kind
    build: Callable[[Subject, Probe], Callable[[], Any]]
    awaited: bool = False
    native: bool = True


def value_handler(probe: Probe) -> Handler:
    """A plain function."""

    def handler(*_: object) -> object:
        return probe.value()

    return handler


def coroutine_handler(probe: Probe) -> Handler:
    """A coroutine function."""

    async def handler(*_: object) -> object:
        return await probe.coroutine()

    return handler


def generator_handler(probe: Probe) -> Handler:
    """A generator function."""

    def handler(*_: object) -> Generator[bytes, None, None]:
        yield from probe.stream()

    return handler


def async_generator_handler(probe: Probe) -> Handler:
    """An async generator function."""

    async def handler(*_: object) -> AsyncGenerator[bytes, None]:
        async with aclosing(probe.astream()) as stream:
            async for chunk in stream:
                yield chunk

    return handler


def as_function(subject: Subject, handler: Handler) -> Handler:
    """The function itself."""
    return functools.partial(subject.decorate(handler), "hi")


def as_method(subject: Subject, handler: Handler) -> Handler:
    """A method of an instance."""
    bot: Any = type("Bot", (), {"handle": subject.decorate(handler)})()
    return functools.partial(bot.handle, "hi")


def as_classmethod(subject: Subject, handler: Handler) -> Handler:
    """A class method, decorated below `@classmethod`."""
    bot: Any = type("Bot", (), {"handle": classmethod(subject.decorate(handler))})
    return functools.partial(bot.handle, "hi")


def as_staticmethod(subject: Subject, handler: Handler) -> Handler:
    """A static method, decorated below `@staticmethod`."""
    bot: Any = type("Bot", (), {"handle": staticmethod(subject.decorate(handler))})
    return functools.partial(bot.handle, "hi")


def as_callable_object(subject: Subject, handler: Handler) -> Handler:
    """An object with `__call__`."""
    bot: Any = type("Bot", (), {"__call__": handler})()
    return functools.partial(subject.decorate(bot), "hi")


def as_partial(subject: Subject, handler: Handler) -> Handler:
    """A `functools.partial`."""
    decorated: Handler = subject.decorate(functools.partial(handler, "hi"))
    return decorated


CARRIERS = {
    "function": as_function,
    "method": as_method,
    "class method": as_classmethod,
    "static method": as_staticmethod,
    "callable object": as_callable_object,
    "partial": as_partial,
}
NATIVE = {
    "plain": (Kind.VALUE, value_handler),
    "coroutine": (Kind.AWAITABLE, coroutine_handler),
    "generator": (Kind.STREAM, generator_handler),
    "async generator": (Kind.ASYNC_STREAM, async_generator_handler),
}


def _native(group: str, carrier: str) -> Shape:
    kind, handler = NATIVE[group]

    def build(subject: Subject, probe: Probe) -> Callable[[], Any]:
        return CARRIERS[carrier](subject, handler(probe))

    return Shape(group, carrier, kind, build)


def _response(content: Any) -> Any:
    from starlette.responses import StreamingResponse

    return StreamingResponse(content)


class Both:
    """Iterated over with `for` and with `async for`, as the streams of LLM clients often are."""

    def __init__(self, probe: Probe) -> None:
        self._stream = probe.stream()
        self._astream = probe.astream()

    def __iter__(self) -> Both:
        return self

    def __next__(self) -> bytes:
        return next(self._stream)

    def close(self) -> None:
        """Closes what `for` reads."""
        self._stream.close()

    def __aiter__(self) -> Both:
        return self

    async def __anext__(self) -> bytes:
        return await anext(self._astream)

    async def aclose(self) -> None:
        """Closes what `async for` reads."""
        await self._astream.aclose()


class Lazy:
    """Makes its chunks once it is asked for an iterator, and has no `__next__`."""

    def __init__(self, probe: Probe) -> None:
        self._probe = probe

    def __iter__(self) -> Iterator[bytes]:
        yield from self._probe.stream()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async with aclosing(self._probe.astream()) as stream:
            async for chunk in stream:
                yield chunk


class Manager:
    """Gives a stream on entering, with and without `async`, and closes it on leaving."""

    def __init__(self, probe: Probe) -> None:
        self._stream = Both(probe)

    def __enter__(self) -> Both:
        return self._stream

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    async def __aenter__(self) -> Both:
        return self._stream

    async def __aexit__(self, *_: object) -> None:
        await self._stream.aclose()


OBJECTS: dict[str, tuple[Kind, Callable[[Probe], Any]]] = {
    "an object with both protocols by for": (Kind.OBJECT, Both),
    "an object with both protocols by async for": (Kind.ASYNC_OBJECT, Both),
    "an iterable by for": (Kind.ITERABLE, Lazy),
    "an iterable by async for": (Kind.ASYNC_ITERABLE, Lazy),
    "a manager by with": (Kind.BLOCK, Manager),
    "a manager by async with": (Kind.ASYNC_BLOCK, Manager),
}
GIVES: dict[str, tuple[Kind, Callable[[Probe], Any]]] = {
    "an iterator": (Kind.STREAM, Probe.stream),
    "an async iterator": (Kind.ASYNC_STREAM, Probe.astream),
    "an awaitable": (Kind.AWAITABLE, Probe.coroutine),
    "a StreamingResponse": (Kind.RESPONSE, lambda probe: _response(probe.astream())),
    "a StreamingResponse over an iterator": (
        Kind.BLOCKING_RESPONSE,
        lambda probe: _response(probe.stream()),
    ),
}


def _returned(
    group: str, what: str, given: tuple[Kind, Callable[[Probe], Any]], *, awaited: bool
) -> Shape:
    kind, give = given

    def build(subject: Subject, probe: Probe) -> Callable[[], Any]:
        def handler(*_: object) -> Any:
            return give(probe)

        async def coroutine(*_: object) -> Any:
            return give(probe)

        return as_function(subject, coroutine if awaited else handler)

    giver = "coroutine" if awaited else "function"
    return Shape(group, f"{giver} returning {what}", kind, build, awaited, native=False)


def shapes() -> tuple[Shape, ...]:
    """Every shape; those with a StreamingResponse only where Starlette is installed."""
    has_starlette = importlib.util.find_spec("starlette") is not None
    gives = {k: v for k, v in GIVES.items() if has_starlette or "StreamingResponse" not in k}
    again = {what: given for what, given in gives.items() if given[0] is not Kind.AWAITABLE}
    stream, thing = "returned stream", "returned object"
    return (
        *(_native(group, carrier) for group in NATIVE for carrier in CARRIERS),
        *(_returned(stream, what, given, awaited=False) for what, given in gives.items()),
        *(_returned(stream, what, given, awaited=True) for what, given in again.items()),
        *(
            _returned(thing, what, given, awaited=awaited)
            for awaited in (False, True)
            for what, given in OBJECTS.items()
        ),
    )
