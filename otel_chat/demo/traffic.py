"""Sends the sample conversations through the bot's own endpoint, as users would."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import httpx

AT_ONCE: Final = 6
SHOP: Final = "https://alder-reed.example"
PAGES: Final = {
    "web": ("/", "/orders", "/help/delivery", "/products/oak-table"),
    "mobile": ("/app/orders", "/app/help", "/app/basket"),
}
"""The pages of the shop on which the chat stands, by channel."""
_MOZILLA: Final = "Mozilla/5.0"
_WEBKIT: Final = "AppleWebKit/537.36 (KHTML, like Gecko)"
_SAFARI: Final = "AppleWebKit/605.1.15 (KHTML, like Gecko)"
BROWSERS: Final = {
    "web": (
        f"{_MOZILLA} (Windows NT 10.0; Win64; x64) {_WEBKIT} Chrome/142.0.0.0 Safari/537.36",
        f"{_MOZILLA} (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
        f"{_MOZILLA} (Macintosh; Intel Mac OS X 10_15_7) {_SAFARI} Version/26.1 Safari/605.1.15",
    ),
    "mobile": (
        f"{_MOZILLA} (Linux; Android 10; K) {_WEBKIT} Chrome/142.0.0.0 Mobile Safari/537.36",
        f"{_MOZILLA} (iPhone; CPU iPhone OS 18_7 like Mac OS X) {_SAFARI} Version/26.1 Mobile",
    ),
}
"""What browsers call themselves, by channel."""


@dataclass(slots=True)
class Sent:
    """What was sent, counted at the sending end.

    Args:
        conversations: The ids of the conversations and how many turns each had.
        handoffs: Conversations that the bot handed to the team.
        failed: Turns whose reply failed.
        to_team: User messages that went to the team and so are no turns of the bot.
    """

    conversations: dict[str, int]
    handoffs: int = 0
    failed: int = 0
    to_team: int = 0

    def __add__(self, other: Sent) -> Sent:
        """Both together."""
        return Sent(
            self.conversations | other.conversations,
            self.handoffs + other.handoffs,
            self.failed + other.failed,
            self.to_team + other.to_team,
        )

    @property
    def turns(self) -> int:
        """All turns."""
        return sum(self.conversations.values())


async def send_samples(
    bot: str, samples: Sequence[Mapping[str, Any]], *, done: Callable[[], None]
) -> Sent:
    """Plays the samples, a few conversations at once.

    Args:
        bot: Address of the bot.
        samples: The conversations, as `content.samples()` gives them.
        done: Called after each conversation.

    Raises:
        httpx.HTTPError: when the bot does not answer.

    Returns:
        What was sent.
    """
    sent = Sent({})
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(sample: Mapping[str, Any], at: int) -> None:
        async with gate, browser(sample, at, bot=bot) as http:
            await play(http, sample, sent)
        done()

    async with asyncio.TaskGroup() as group:
        for at, sample in enumerate(samples):
            group.create_task(one(sample, at))
    return sent


def browser(
    sample: Mapping[str, Any],
    at: int,
    *,
    bot: str = "http://bot.example",
    transport: httpx.AsyncBaseTransport | None = None,
) -> httpx.AsyncClient:
    """A client that says of itself what a user's browser says: its kind, and where the chat stands.

    Args:
        sample: The conversation.
        at: Its place among the samples; browsers and pages take turns.
        bot: Address of the bot.
        transport: How the bot is reached, where it is not over the network.
    """
    kinds, pages = BROWSERS[sample["channel"]], PAGES[sample["channel"]]
    headers = {
        "user-agent": kinds[at % len(kinds)],
        "referer": f"{SHOP}{pages[at % len(pages)]}",
    }
    return httpx.AsyncClient(
        base_url=bot, timeout=60.0, trust_env=False, headers=headers, transport=transport
    )


async def play(
    http: httpx.AsyncClient,
    sample: Mapping[str, Any],
    sent: Sent,
    *,
    before: Callable[[Mapping[str, Any]], None] = lambda _step: None,
) -> None:
    """Plays a conversation; one with `if_failed` goes on with that after a reply that failed.

    Args:
        http: The user's browser.
        sample: The conversation.
        sent: What is sent is added here.
        before: Called before each step, with it.

    Raises:
        httpx.HTTPError: when the bot does not answer.
    """
    opening = {"channel": sample["channel"], "user_type": sample["user_type"]}
    opened = (await http.post("/api/conversations", json=opening)).raise_for_status().json()
    talk = _Talk(http, opened["conversation_id"], sent)
    sent.conversations[talk.id] = 0
    for step in sample["steps"]:
        before(step)
        failed = await talk.step(step)
        if failed and "if_failed" in sample:
            break
    else:
        return
    for step in sample["if_failed"]:
        before(step)
        await talk.step(step)


@dataclass(slots=True)
class _Talk:
    """A conversation while it is played."""

    http: httpx.AsyncClient
    id: str
    sent: Sent
    handed_off: bool = False

    async def step(self, step: Mapping[str, Any]) -> bool:
        """Takes a step; whether the reply to it failed."""
        if "say" in step:
            return await self._say(step["say"])
        if "human" in step:
            await self._post("human", {"text": step["human"]})
        elif "rate" in step:
            await self._post("feedback", {"value": step["rate"], "comment": step.get("comment")})
        elif "thumb" in step:
            await self._post("feedback", {"value": step["thumb"], "scale": "thumb"})
        elif "end" in step:
            await self._post("end", {"outcome": step["end"]})
        return False

    async def _post(self, what: str, body: Mapping[str, Any]) -> None:
        path = f"/api/conversations/{self.id}/{what}"
        (await self.http.post(path, json=body)).raise_for_status()

    async def _say(self, text: str) -> bool:
        """Says something and reads the reply to its end; whether it failed."""
        was_handed_off, failed = self.handed_off, False
        path = f"/api/conversations/{self.id}/messages"
        async with self.http.stream("POST", path, json={"text": text}) as answer:
            answer.raise_for_status()
            async for name, data in _events(answer):
                failed |= name == "failed"
                if name == "done":
                    self.handed_off = bool(data["handed_off"])
        self.sent.failed += failed
        if was_handed_off:
            self.sent.to_team += 1
        else:
            self.sent.conversations[self.id] += 1
            self.sent.handoffs += self.handed_off
        return failed


async def _events(answer: httpx.Response) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    name = ""
    async for line in answer.aiter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))
