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

    async def play(sample: Mapping[str, Any], at: int) -> None:
        async with gate, _browser(bot, sample, at) as http:
            await _play(http, sample, sent)
        done()

    async with asyncio.TaskGroup() as group:
        for at, sample in enumerate(samples):
            group.create_task(play(sample, at))
    return sent


def _browser(bot: str, sample: Mapping[str, Any], at: int) -> httpx.AsyncClient:
    """A client that says of itself what a user's browser says: its kind, and where the chat stands.

    Args:
        bot: Address of the bot.
        sample: The conversation.
        at: Its place among the samples; browsers and pages take turns.
    """
    kinds, pages = BROWSERS[sample["channel"]], PAGES[sample["channel"]]
    headers = {
        "user-agent": kinds[at % len(kinds)],
        "referer": f"{SHOP}{pages[at % len(pages)]}",
    }
    return httpx.AsyncClient(base_url=bot, timeout=60.0, trust_env=False, headers=headers)


async def _play(http: httpx.AsyncClient, sample: Mapping[str, Any], sent: Sent) -> None:
    opening = {"channel": sample["channel"], "user_type": sample["user_type"]}
    opened = (await http.post("/api/conversations", json=opening)).raise_for_status().json()
    conversation_id = opened["conversation_id"]
    path = f"/api/conversations/{conversation_id}"
    sent.conversations[conversation_id] = 0
    handed_off = False
    for step in sample["steps"]:
        if "say" in step:
            was_handed_off = handed_off
            handed_off = await _say(http, path, step["say"], sent)
            if was_handed_off:
                sent.to_team += 1
                continue
            sent.conversations[conversation_id] += 1
            sent.handoffs += handed_off
        elif "human" in step:
            await _post(http, f"{path}/human", {"text": step["human"]})
        elif "rate" in step:
            rating = {"value": step["rate"], "comment": step.get("comment")}
            await _post(http, f"{path}/feedback", rating)
        elif "thumb" in step:
            rating = {"value": step["thumb"], "scale": "thumb"}
            await _post(http, f"{path}/feedback", rating)
        elif "end" in step:
            await _post(http, f"{path}/end", {"outcome": step["end"]})


async def _post(http: httpx.AsyncClient, path: str, body: Mapping[str, Any]) -> None:
    (await http.post(path, json=body)).raise_for_status()


async def _say(http: httpx.AsyncClient, path: str, text: str, sent: Sent) -> bool:
    """Says something and reads the reply to its end; whether the team has taken over."""
    handed_off = False
    async with http.stream("POST", f"{path}/messages", json={"text": text}) as answer:
        answer.raise_for_status()
        async for name, data in _events(answer):
            sent.failed += name == "failed"
            if name == "done":
                handed_off = bool(data["handed_off"])
    return handed_off


async def _events(answer: httpx.Response) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    name = ""
    async for line in answer.aiter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))
