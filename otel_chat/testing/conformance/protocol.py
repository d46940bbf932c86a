"""That a decorated generator is still driven as a generator: send, throw, its return value."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from otel_chat.testing.conformance.checks import listening
from otel_chat.testing.conformance.model import Case, Failure, Subject


class Nudge(Exception):  # noqa: N818 - no error: what the consumer throws and the handler takes
    """What the consumer throws into a stream."""


def _echo() -> Generator[Any, Any, str]:
    received = yield "first"
    try:
        received = yield received
    except Nudge:
        received = "nudged"
    yield received
    return "value"


async def _aecho() -> AsyncGenerator[Any, Any]:
    received = yield "first"
    try:
        received = yield received
    except Nudge:
        received = "nudged"
    yield received


def _one_clean_span(subject: Subject, heard: list[str]) -> Iterator[Failure]:
    spans = subject.handler_spans()
    if len(spans) != 1:
        yield Failure("one span", f"{len(spans)} spans")
    elif not spans[0].status.is_ok and not spans[0].status.is_unset:
        yield Failure("status", "ERROR for a handler that returned")
    if heard:
        yield Failure("nothing logged", heard[0])


def _same(got: object, wanted: object) -> Iterator[Failure]:
    if got != wanted:
        yield Failure("passes through", f"got {got!r}, not {wanted!r}")


def _sync(name: str, drive: Callable[[Generator[Any, Any, str]], object], wanted: object) -> Case:
    def check(subject: Subject) -> Iterator[Failure]:
        with listening() as heard:
            got = drive(subject.decorate(_echo)())
        yield from _same(got, wanted)
        yield from _one_clean_span(subject, heard)

    return Case("generator protocol", name, check)


def _send(stream: Generator[Any, Any, str]) -> object:
    got = [next(stream), stream.send("sent")]
    return got + list(stream)


def _throw(stream: Generator[Any, Any, str]) -> object:
    got = [next(stream), stream.send("sent"), stream.throw(Nudge())]
    return got + list(stream)


def _return_value(stream: Generator[Any, Any, str]) -> object:
    def delegating() -> Generator[Any, Any, str]:
        return (yield from stream)

    outer = delegating()
    try:
        while True:
            next(outer)
    except StopIteration as stop:
        return stop.value


def _async(name: str, drive: Callable[[AsyncGenerator[Any, Any]], Any], wanted: object) -> Case:
    def check(subject: Subject) -> Iterator[Failure]:
        async def scenario() -> object:
            return await drive(subject.decorate(_aecho)())

        with listening() as heard:
            got = asyncio.run(scenario())
        yield from _same(got, wanted)
        yield from _one_clean_span(subject, heard)

    return Case("generator protocol", name, check)


async def _asend(stream: AsyncGenerator[Any, Any]) -> object:
    got = [await anext(stream), await stream.asend("sent")]
    return got + [chunk async for chunk in stream]


async def _athrow(stream: AsyncGenerator[Any, Any]) -> object:
    got = [await anext(stream), await stream.asend("sent"), await stream.athrow(Nudge())]
    return got + [chunk async for chunk in stream]


def _exhausted(stream: Generator[Any, Any, str]) -> object:
    list(stream)
    got = next(stream, "nothing more")
    stream.close()
    return got


def _as_context_manager(subject: Subject) -> Iterator[Failure]:
    steps: list[str] = []

    def resource() -> Iterator[str]:
        steps.append("open")
        yield "resource"
        steps.append("close")

    with listening() as heard, contextmanager(subject.decorate(resource))() as got:
        steps.append(got)
    yield from _same(steps, ["open", "resource", "close"])
    yield from _one_clean_span(subject, heard)


def _as_async_context_manager(subject: Subject) -> Iterator[Failure]:
    steps: list[str] = []

    async def resource() -> AsyncIterator[str]:
        steps.append("open")
        yield "resource"
        steps.append("close")

    async def scenario() -> None:
        async with asynccontextmanager(subject.decorate(resource))() as got:
            steps.append(got)

    with listening() as heard:
        asyncio.run(scenario())
    yield from _same(steps, ["open", "resource", "close"])
    yield from _one_clean_span(subject, heard)


def protocol_cases() -> tuple[Case, ...]:
    """The cases of the group `generator protocol`."""
    return (
        _sync("send", _send, ["first", "sent", None]),
        _sync("throw, handled inside", _throw, ["first", "sent", "nudged"]),
        _sync("return value by yield from", _return_value, "value"),
        _sync("used after its end", _exhausted, "nothing more"),
        _async("asend", _asend, ["first", "sent", None]),
        _async("athrow, handled inside", _athrow, ["first", "sent", "nudged"]),
        Case("generator protocol", "under contextmanager", _as_context_manager),
        Case("generator protocol", "under asynccontextmanager", _as_async_context_manager),
    )
