"""Advice to hand a conversation over to a human, by a documented rule."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from otel_chat.errors import ConfigurationError

_STAFF: Final = r"human|agent|representative|operator|supervisor|manager"
_HUMAN: Final = rf"{_STAFF}|rep|person|people|advis[oe]r|somebody|someone|staff|employee"
_ASKS: Final = re.compile(
    r"\b(?:talk|speak|chat|escalate|(?:connect|transfer|forward|put|pass|hand)\s+me)\b"
    rf"[^.!?\n]{{0,40}}\b(?:{_HUMAN})\b"
    rf"|\b(?:get|want|need|give)\b[^.!?\n]{{0,20}}\b(?:{_STAFF})\b"
    r"|\b(?:real|live|actual)\s+(?:human|person|agent|people)\b|\bhuman\s+(?:agent|being|please)\b"
    rf"|^\W{{0,4}}(?:{_STAFF})\W{{0,4}}$",
    re.IGNORECASE | re.MULTILINE,
)
# "Tell the agent ...", "I want a travel agent": somebody else than a human in place of the bot
_OTHERS: Final = re.compile(
    r"\b(?:travel|estate|insurance|ticket|per|for|first|third|one|each|another)\s+"
    r"(?:agents?|person|people|someone|somebody)\b"
    r"|\b(?:\d+|two|three|four|five|six|seven|eight|nine|ten|of|more|other)\s+(?:people|persons?)\b",
    re.IGNORECASE,
)
_REFUSES: Final = re.compile(
    rf"\b(?:do\s+not|don'?t|don\u2019t|no)\s+(?:want|need)\b[^.!?\n]{{0,40}}\b(?:{_HUMAN})\b",
    re.IGNORECASE,
)
_MAX_TEXT: Final = 4_000


@dataclass(frozen=True, slots=True)
class Situation:
    """Where a conversation stands after a turn.

    Args:
        text: The user's message, redacted.
        sentiment: Of that message: `positive`, `neutral`, `negative`, or None.
        fallbacks: Turns in a row, this one included, in which no intent was recognised.
        negatives: Turns in a row, this one included, with negative sentiment.
        failed: Whether the turn ended in an error.
        confidence: Of the turn, 0-1, or None where nobody knows it.
        handed_off: Whether a handoff was triggered already.
    """

    text: str = ""
    sentiment: str | None = None
    fallbacks: int = 0
    negatives: int = 0
    failed: bool = False
    confidence: float | None = None
    handed_off: bool = False


@dataclass(frozen=True, slots=True)
class Advice:
    """An advised handoff.

    Args:
        reason: `user_request`, `repeated_fallback`, `error`, `negative_sentiment` or
            `low_confidence`.
    """

    reason: str


class EscalationAdvisor:
    """Advises a handoff to a human.

    The first rule that holds gives the reason:

    1. `user_request`: the message asks for a human (English phrases, such as "let me talk to a
       person" or "agent").
    2. `repeated_fallback`: no intent was recognised for `fallbacks` turns in a row.
    3. `error`: the turn failed and its message or the one before was negative, or it follows a
       fallback.
    4. `negative_sentiment`: `negatives` messages in a row were negative.
    5. `low_confidence`: the turn's confidence is below `confidence`, and the message negative.

    There is no advice where a handoff was triggered already.

    Args:
        fallbacks: Turns in a row without an intent, at least 1.
        negatives: Negative messages in a row, at least 1.
        confidence: 0-1.

    Raises:
        ConfigurationError: A number is out of its range.

    Example:
        >>> advisor = EscalationAdvisor()
        >>> advisor(Situation("Can I speak to a real person?"))
        Advice(reason='user_request')
        >>> advisor(Situation("Two tickets for one person each")) is None
        True
        >>> advisor(Situation("hm", fallbacks=2))
        Advice(reason='repeated_fallback')
    """

    __slots__ = ("_confidence", "_fallbacks", "_negatives")

    def __init__(self, *, fallbacks: int = 2, negatives: int = 2, confidence: float = 0.3) -> None:
        if fallbacks < 1 or negatives < 1 or not 0 <= confidence <= 1:
            raise ConfigurationError(
                "escalation: fallbacks and negatives are at least 1, confidence is from 0 to 1"
            )
        self._fallbacks = fallbacks
        self._negatives = negatives
        self._confidence = confidence

    def __call__(self, situation: Situation) -> Advice | None:
        """The advice, or None where the bot can go on."""
        if situation.handed_off:
            return None
        negative = situation.sentiment == "negative"
        sure = situation.confidence is None or situation.confidence >= self._confidence
        rules = (
            ("user_request", asks_for_human(situation.text)),
            ("repeated_fallback", situation.fallbacks >= self._fallbacks),
            ("error", situation.failed and (situation.negatives > 0 or situation.fallbacks > 0)),
            ("negative_sentiment", situation.negatives >= self._negatives),
            ("low_confidence", negative and not sure),
        )
        return next((Advice(reason) for reason, holds in rules if holds), None)


def asks_for_human(text: str) -> bool:
    """Whether an English message asks for a human in place of the bot.

    Example:
        >>> asks_for_human("connect me with an agent"), asks_for_human("I don't need a human")
        (True, False)
    """
    clean = _OTHERS.sub(" ", text[:_MAX_TEXT])
    return bool(_ASKS.search(clean)) and not _REFUSES.search(clean)
