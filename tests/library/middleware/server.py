"""Plays the server."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any

Message = MutableMapping[str, Any]


class Client:
    """Hands out messages, then waits until the client is gone; notes what is sent.

    Args:
        messages: What comes in, in this order.
    """

    def __init__(self, *messages: Message) -> None:
        self.waiting = [*messages]
        self.sent: list[Message] = []
        self.gone = asyncio.Event()
        self.asked = 0

    async def receive(self) -> Message:
        """The next message."""
        self.asked += 1
        if self.waiting:
            return self.waiting.pop(0)
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Notes a message."""
        self.sent.append(message)

    @property
    def body(self) -> bytes:
        """The body sent so far."""
        return b"".join(m.get("body", b"") for m in self.sent)
