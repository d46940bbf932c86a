"""What the examples chat about: a shop's few questions, recognised by their words."""

from __future__ import annotations

import re
from collections.abc import Iterator

ANSWERS = {
    "order_status": ({"order", "parcel", "package", "where"}, "Your order leaves us today."),
    "returns": ({"return", "refund", "money", "back"}, "You may return it within 30 days."),
    "opening_hours": ({"open", "hours", "today", "close"}, "We are open from nine to six."),
}
FALLBACK = "I did not get that. Could you put it in other words?"


def classify(text: str) -> tuple[str | None, float]:
    """The intent whose words cover most of the message, and the share that they cover."""
    words = set(re.findall(r"[a-z]+", text.lower()))
    shares = {name: len(words & known) / len(known) for name, (known, _) in ANSWERS.items()}
    best = max(shares, key=lambda name: shares[name])
    return (best, shares[best]) if shares[best] else (None, 0.0)


def answer(intent: str | None) -> str:
    """The answer to an intent."""
    return FALLBACK if intent is None else ANSWERS[intent][1]


def words(text: str) -> Iterator[str]:
    """A text word by word, as a model streams it."""
    for word in text.split(" "):
        yield f"{word} "
