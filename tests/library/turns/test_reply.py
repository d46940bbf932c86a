"""Whether a turn says that nothing was answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from otel_chat import chat_handler, conversation, current_turn, turn
from otel_chat import semconv as sc
from otel_chat.testing import Telemetry


def nothing() -> None:
    """Ends with nothing to say."""


def empty() -> str:
    """Ends with an empty text."""
    return ""


def no_chunk() -> Iterator[str]:
    """A stream that gives nothing."""
    yield from ()


async def later() -> None:
    """Ends with nothing to say, later."""


async def no_chunk_later() -> AsyncIterator[str]:
    """An asynchronous stream that gives nothing."""
    for piece in ():
        yield piece


def text() -> str:
    """Answers."""
    return "Good evening."


def zero() -> int:
    """Answers with something that is false."""
    return 0


def chunks() -> Iterator[str]:
    """Answers piece by piece."""
    yield "Good"


def said() -> None:
    """Answers otherwise than by its result."""
    current_turn().reply("Good evening.")


def answered() -> None:
    """Hands its model's answer over."""
    current_turn().result({"content": "Good evening."})


def broken() -> None:
    """Fails."""
    raise LookupError


async def _all(stream: AsyncIterator[str]) -> None:
    async for _ in stream:
        pass


def run(handler: Callable[[], object]) -> None:
    """Has a handler called, and its reply read to the end."""
    try:
        result = chat_handler(handler)()
        if isinstance(result, Iterator):
            list(result)
        elif isinstance(result, AsyncIterator):
            asyncio.run(_all(result))
        elif asyncio.iscoroutine(result):
            asyncio.run(result)
    except LookupError:
        pass


@pytest.mark.parametrize("handler", [nothing, empty, no_chunk, later, no_chunk_later])
def test_a_handler_that_ended_well_with_nothing_to_say_is_told(
    telemetry: Telemetry, handler: Callable[[], object]
) -> None:
    """By an attribute of the turn."""
    run(handler)
    assert telemetry.only_turn().attributes[sc.REPLY] is False


@pytest.mark.parametrize("handler", [text, zero, chunks, said, answered, broken])
def test_a_turn_that_was_answered_or_failed_says_nothing_of_it(
    telemetry: Telemetry, handler: Callable[[], object]
) -> None:
    """An absent attribute counts as answered."""
    run(handler)
    assert sc.REPLY not in telemetry.only_turn().attributes


def test_a_block_says_nothing_of_it(telemetry: Telemetry) -> None:
    """It has no result that could be looked at."""
    with turn("support"):
        pass
    assert sc.REPLY not in telemetry.only_turn().attributes


def test_a_synthetic_conversation_says_so_in_all_that_belongs_to_it(telemetry: Telemetry) -> None:
    """Its turns and its events."""
    with conversation("c-1", synthetic=True), turn("support") as now:
        now.topic("orders")
    assert telemetry.only_turn().attributes[sc.SYNTHETIC] is True
    events = telemetry.events()
    assert events
    assert all(event.attributes[sc.SYNTHETIC] is True for event in events)
