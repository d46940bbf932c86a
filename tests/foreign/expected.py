"""What the recorded conversations are expected to become, the same for every framework."""

from __future__ import annotations

from typing import Any, Final

from tests.foreign import provider
from tests.foreign.record import DECORATED, INSTRUMENTED

THANKS: Final = "Thanks!"
ASKED_MODEL: Final = "gpt-4o-mini"
NAMES_ASKED_MODEL: Final = frozenset({"llama_index"})
"""Whose spans name the model that was asked, and not the one that answered."""
PRICES: Final = {
    name: {"input": 1, "output": 10} for name in (ASKED_MODEL, provider.MODEL, provider.CLAUDE)
}
"""USD for a million tokens."""


WITHOUT_TOOL: Final = DECORATED.keys() | INSTRUMENTED.keys()
HELLO: Final = "Hello!"


def said_to(bot: str) -> tuple[str, str]:
    """What the user says to a bot: a chat page's has no tool."""
    return (HELLO if bot in WITHOUT_TOOL else provider.ASKED, THANKS)


def turns(bot: str) -> list[dict[str, Any]]:
    """The turns of a bot's conversation, with what is compared of them."""
    common = {"agent": "support", "model": _model(bot), "provider": _provider(bot), "status": "ok"}
    whole = [a + b for a, b in zip(provider.FIRST, provider.AFTER_TOOL, strict=True)]
    first, second = said_to(bot)
    greeted = (provider.FIRST, first, provider.THANKED)
    return [
        common | {"input": tokens[0], "output": tokens[1], "user_message": asked, "reply": reply}
        for tokens, asked, reply in (
            greeted if bot in WITHOUT_TOOL else (whole, first, provider.FOUND),
            (provider.FIRST, second, provider.THANKED),
        )
    ]


def _provider(bot: str) -> str:
    return "anthropic" if bot.startswith("anthropic") else "openai"


def _model(bot: str) -> str:
    if bot in NAMES_ASKED_MODEL:
        return ASKED_MODEL
    return provider.CLAUDE if _provider(bot) == "anthropic" else provider.MODEL


def model_calls(bot: str) -> int:
    """How many calls of models Dependencies counts, however many spans tell of each."""
    return 2 if bot in WITHOUT_TOOL else 3


def tools(bot: str) -> dict[str, int]:
    """Which tools Dependencies counts, and how often."""
    return {} if bot in WITHOUT_TOOL else {provider.TOOL: 1}
