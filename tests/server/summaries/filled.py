"""Conversations of several days in which anything may happen."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tests.server.given import Given

HOUR: Final = 3600


def fill(given: Given, seed: int) -> None:
    """Conversations of several days, some over midnight, with whatever may happen in them."""
    rng = random.Random(seed)
    for number in range(12):
        name = f"c{number}"
        begin = rng.uniform(-4 * 24 * HOUR, 2 * 24 * HOUR)
        for turn in range(rng.randint(1, 5)):
            begin += rng.choice((20, 300, 5 * HOUR))
            given.turn(
                name,
                begin,
                rng.uniform(0.1, 9),
                agent=rng.choice(("support", "sales")),
                channel=rng.choice(("web", "voice", "")),
                user_type=rng.choice(("client", "")),
                user_hash=rng.choice(("ann", "bob", "")),
                page=rng.choice(("/a", "/b")),
                intent=rng.choice(("order", "refund", "")),
                confidence=rng.choice((0.2, 0.9, None)),
                fallback=rng.choice((True, False, None)),
                status=rng.choice(("ok", "ok", "ok", "error", "cancelled")),
                handoff=turn > 1 and rng.random() < 0.2,
                time_to_first_chunk=rng.choice((None, 0.0, 0.25, rng.uniform(0, 3))),
                input_tokens=rng.choice((None, 100, 2000)),
                cost=rng.choice((None, "0.001")),
                request_model=rng.choice(("small", "large")),
                foreign=rng.random() < 0.1,
            )
        for event in rng.sample(
            ("workflow.started", "workflow.completed", "action", "handoff.requested", "lead",
             "message", "conversation.end", "topic"), rng.randint(0, 5),
        ):  # fmt: skip
            given.event(
                event,
                name,
                begin + rng.uniform(-20, 8 * HOUR),
                workflow="order" if event.startswith("workflow") else "",
                action="buy" if event == "action" else "",
                topic="delivery" if event == "topic" else "",
                sender="human" if event == "message" else "",
                outcome=rng.choice(("resolved", "failed", "")) if "end" in event else "",
                reason="done" if "end" in event else "",
            )
        if rng.random() < 0.6:
            given.feedback(rng.randint(1, 5), name, begin + rng.uniform(0, 6 * 24 * HOUR))
