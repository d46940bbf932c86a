"""That a decorated handler still looks like itself, to people, type hints and frameworks."""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from otel_chat.testing.conformance.model import Case, Failure, Subject

FLAGS = (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction)


def plain(text: str, *, limit: int = 3) -> str:
    """Answers."""
    return text * limit


async def coroutine(text: str, *, limit: int = 3) -> str:
    """Answers."""
    return text * limit


def generator(text: str, *, limit: int = 3) -> Iterator[str]:
    """Answers."""
    for _ in range(limit):
        yield text


async def async_generator(text: str, *, limit: int = 3) -> AsyncIterator[str]:
    """Answers."""
    for _ in range(limit):
        yield text


class Bot:
    """A handler of each binding, one of them an object that is called."""

    def method(self, text: str, *, limit: int = 3) -> str:
        """Answers."""
        return text * limit

    async def async_method(self, text: str, *, limit: int = 3) -> str:
        """Answers."""
        return text * limit

    def __call__(self, text: str, *, limit: int = 3) -> str:
        """Answers."""
        return text * limit


HANDLERS: dict[str, Callable[..., Any]] = {
    "plain": plain,
    "coroutine": coroutine,
    "generator": generator,
    "async generator": async_generator,
    "method": Bot.method,
    "async method": Bot.async_method,
}


def _looks(original: Callable[..., Any], decorated: Callable[..., Any]) -> Iterator[Failure]:
    if inspect.signature(decorated) != inspect.signature(original):
        yield Failure("signature", f"{inspect.signature(decorated)}")
    for flag in FLAGS:
        if flag(decorated) != flag(original):
            yield Failure("inspect flags", f"{flag.__name__} gives {flag(decorated)}")


def _named(original: Callable[..., Any], decorated: Callable[..., Any]) -> Iterator[Failure]:
    for attribute in ("__name__", "__qualname__", "__doc__", "__module__"):
        if getattr(decorated, attribute, None) != getattr(original, attribute):
            yield Failure("name", f"{attribute} is {getattr(decorated, attribute, None)!r}")
    try:
        hints = typing.get_type_hints(decorated)
    except TypeError as error:
        hints = {"none": error}
    if hints != typing.get_type_hints(original):
        yield Failure("type hints", f"{hints}")


def _function_case(name: str) -> Case:
    def check(subject: Subject) -> Iterator[Failure]:
        original = HANDLERS[name]
        decorated = subject.decorate(original)
        yield from _looks(original, decorated)
        yield from _named(original, decorated)

    return Case("signature", name, check)


def _callable_object(subject: Subject) -> Iterator[Failure]:
    bot = Bot()
    yield from _looks(bot, subject.decorate(bot))


def _partial(subject: Subject) -> Iterator[Failure]:
    handler = functools.partial(plain, limit=2)
    yield from _looks(handler, subject.decorate(handler))


def _own_attributes(subject: Subject) -> Iterator[Failure]:
    def handler(text: str) -> str:
        return text

    handler.route = "/chat"  # type: ignore[attr-defined]
    if getattr(subject.decorate(handler), "route", None) != "/chat":
        yield Failure("name", "an attribute of the function is lost")


def signature_cases() -> tuple[Case, ...]:
    """The cases of the group `signature`."""
    return (
        *(_function_case(name) for name in HANDLERS),
        Case("signature", "callable object", _callable_object),
        Case("signature", "partial", _partial),
        Case("signature", "own attributes", _own_attributes),
    )
