"""What the recorded conversations are expected to become, the same for every framework."""

from __future__ import annotations

from typing import Any, Final

from tests.foreign import provider

THANKS: Final = "Thanks!"
ASKED_MODEL: Final = "gpt-4o-mini"
NAMES_ASKED_MODEL: Final = frozenset({"llama_index"})
"""Whose spans name the model that was asked, and not the one that answered."""
PRICES: Final = {name: {"input": 1, "output": 10} for name in (ASKED_MODEL, provider.MODEL)}
"""USD for a million tokens."""
PREPARES: Final = frozenset({"llama_index"})
"""Whose instrumentation has a span of a model for preparing each call, too."""


def turns(bot: str) -> list[dict[str, Any]]:
    """The turns of a bot's conversation, with what is compared of them."""
    common = {
        "agent": "support",
        "model": ASKED_MODEL if bot in NAMES_ASKED_MODEL else provider.MODEL,
        "provider": "openai",
        "status": "ok",
    }
    whole = [a + b for a, b in zip(provider.FIRST, provider.AFTER_TOOL, strict=True)]
    return [
        common | {"input": tokens[0], "output": tokens[1], "user_message": asked, "reply": reply}
        for tokens, asked, reply in (
            (whole, provider.ASKED, provider.FOUND),
            (provider.FIRST, THANKS, provider.THANKED),
        )
    ]


def model_spans(bot: str) -> int:
    """How many calls of models Dependencies counts."""
    return 6 if bot in PREPARES else 3
