"""The demo's bot under traffic, in the state that each line of its input names."""

from __future__ import annotations

import asyncio
import sys
from typing import Final

import otel_chat
from otel_chat.config import Config
from otel_chat.demo.bot import SupportBot

SERVICE: Final = "alert-test"
STATES: Final = {
    "well": "where is my order 10446?",
    "slow": "where is my order 10446?",
    "failing": "where is my order 10302?",
    "handing over": "I want to speak to a human",
}
USERS: Final = 4
BETWEEN: Final = 0.3
SLOW_PACE: Final = 0.08


class Traffic:
    """Users who each say one thing to the bot, again and again."""

    def __init__(self) -> None:
        self._state = "well"
        self._quick, self._slow = SupportBot(pace=0), SupportBot(pace=SLOW_PACE)
        self._over = asyncio.Event()

    async def run(self) -> None:
        """Goes on until the input ends."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen())
            for _ in range(USERS):
                group.create_task(self._user())

    async def _listen(self) -> None:
        while line := await asyncio.to_thread(sys.stdin.readline):
            self._state = line.strip()
        self._over.set()

    async def _user(self) -> None:
        while not self._over.is_set():
            bot = self._slow if self._state == "slow" else self._quick
            session, _ = bot.open(channel="web", user_type="client")
            try:
                async for _ in bot.answer(session, STATES[self._state]):
                    pass
            except LookupError:
                pass  # the bot is failing
            try:
                await asyncio.wait_for(self._over.wait(), BETWEEN)
            except TimeoutError:
                continue


def main() -> None:
    """Runs it."""
    otel_chat.setup(
        service_name=SERVICE,
        environment="test",
        endpoint=sys.argv[1],
        config=Config(keep_rate=1.0),
    )
    asyncio.run(Traffic().run())
    otel_chat.shutdown()


if __name__ == "__main__":
    main()
