"""Code of a turn that runs in another thread, by what Python itself carries over."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TYPE_CHECKING

import otel_chat
from otel_chat.testing import assert_turn

if TYPE_CHECKING:
    from otel_chat.testing import Telemetry


@otel_chat.tool
def find_parcel(number: str) -> str:
    otel_chat.current_turn().topic("delivery")
    return f"{number}: in Oslo"


def of_one_turn(telemetry: Telemetry, calls: int) -> None:
    turn = telemetry.only_turn()
    inside = ["execute_tool find_parcel"] * calls
    assert_turn(turn, conversation_id="s-1", inside=inside, events=["otel_chat.topic"] * calls)


async def test_to_thread_carries_the_turn(telemetry: Telemetry) -> None:
    """Nothing is to be written for it."""

    @otel_chat.chat_handler(conversation_id="session")
    async def answer(session: str) -> str:
        return await asyncio.to_thread(find_parcel, "17")

    assert await answer("s-1") == "17: in Oslo"
    of_one_turn(telemetry, 1)


def test_a_copy_of_the_context_carries_it_into_an_executor(telemetry: Telemetry) -> None:
    """One for each call: a context runs in one thread at a time."""

    @otel_chat.chat_handler(conversation_id="session")
    def answer(session: str) -> list[str]:
        with ThreadPoolExecutor(2) as pool:
            found = [pool.submit(copy_context().run, find_parcel, one) for one in ("17", "18")]
        return [one.result() for one in found]

    assert answer("s-1") == ["17: in Oslo", "18: in Oslo"]
    of_one_turn(telemetry, 2)


async def test_a_copy_of_the_context_carries_it_into_a_loops_executor(
    telemetry: Telemetry,
) -> None:
    """`run_in_executor` carries nothing by itself."""

    @otel_chat.chat_handler(conversation_id="session")
    async def answer(session: str) -> str:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(None, copy_context().run, find_parcel, "17")

    assert await answer("s-1") == "17: in Oslo"
    of_one_turn(telemetry, 1)


def test_a_copy_of_the_context_carries_it_into_a_thread(telemetry: Telemetry) -> None:
    """As into an executor."""

    @otel_chat.chat_handler(conversation_id="session")
    def answer(session: str) -> None:
        thread = threading.Thread(target=copy_context().run, args=(find_parcel, "17"))
        thread.start()
        thread.join()

    answer("s-1")
    of_one_turn(telemetry, 1)
