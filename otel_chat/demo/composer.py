"""The composer: turns a `Reply` into text and hands it out piece by piece.

It is no language model: it fills templates and quotes articles. It is measured like one, because
that is what an application's model call looks like to the library.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from otel_chat.demo import content
from otel_chat.demo.workflows import Reply

MODEL: Final = "otel-chat-demo-composer"
PROVIDER: Final = "otel-chat-demo"
_WORDS: Final = 3


def compose(reply: Reply) -> str:
    """The text of a reply.

    Example:
        >>> compose(Reply("unknown_order", {"number": "10999"}))
        'I cannot find an order 10999. Please check the number: it has five digits...'
    """
    return content.replies()[reply.template].format(**reply.values)


def pieces(text: str) -> list[str]:
    """The text cut into pieces of a few words; together they are the text.

    Example:
        >>> pieces("one two three four")
        ['one two three', ' four']
    """
    words = text.split(" ")
    groups = [" ".join(words[at : at + _WORDS]) for at in range(0, len(words), _WORDS)]
    return [group if at == 0 else f" {group}" for at, group in enumerate(groups)]


async def stream(text: str, *, pace: float) -> AsyncIterator[str]:
    """Hands a text out piece by piece.

    Args:
        text: The text.
        pace: Seconds between two pieces, 0 or more: how fast this composer writes.
    """
    for at, piece in enumerate(pieces(text)):
        if at and pace:
            await asyncio.sleep(pace)
        yield piece
