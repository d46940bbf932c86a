"""Rules about single turns and events, in SQL, one for summaries and questions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from otel_chat import semconv

if TYPE_CHECKING:
    from collections.abc import Sequence

VERSION: Final = 2
"""Counts up when a rule changes: then all conversations are worked out anew."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules that a server goes by, as far as they can be set.

    Args:
        low_confidence: A confidence below this is low, 0 to 1.
        gap_seconds: A longer silence begins a new episode of an id; none ever does without.
    """

    low_confidence: float = semconv.LOW_CONFIDENCE_THRESHOLD
    gap_seconds: float | None = None

    @property
    def name(self) -> str:
        """What tells these rules from others.

        Example:
            >>> Rules(0.6).name
            'version 2, low_confidence 0.6'
        """
        gap = "" if self.gap_seconds is None else f", conversation_gap {self.gap_seconds:g}"
        return f"version {VERSION}, low_confidence {self.low_confidence:g}{gap}"

    @property
    def gap(self) -> int | None:
        """The longest silence within an episode, nanoseconds; None where there are no episodes.

        Example:
            >>> Rules(gap_seconds=3600).gap
            3600000000000
        """
        return None if self.gap_seconds is None else round(self.gap_seconds * 1_000_000_000)

    @property
    def low(self) -> str:
        """SQL of the condition that a turn's confidence is low.

        Example:
            >>> Rules().low
            'confidence < 0.7'
        """
        return f"confidence < {self.low_confidence!r}"

    @property
    def unsure(self) -> str:
        """SQL of the condition that a turn is unsure; true or false of any.

        Example:
            >>> Rules().unsure
            '(ifNull(confidence < 0.7, false) OR ifNull(fallback, false))'
        """
        return f"(ifNull({self.low}, false) OR ifNull(fallback, false))"


SLOW_SECONDS: Final = 3.0
"""A turn that takes so long is slow."""
USER_FEEDBACK: Final = "user_feedback"
OUTCOMES: Final = ("resolved", "handed_off", "abandoned", "failed")
"""The outcomes by number, from 1; 0 is open."""
OUTCOME_TYPE: Final = "'Enum8({})'".format(
    ", ".join(f"\\'{outcome}\\' = {number}" for number, outcome in enumerate(("open", *OUTCOMES)))
)
"""The type of an outcome, by numbers, named: text of every conversation would take most time."""
TOKENS: Final = ("input_tokens", "output_tokens", "cache_read_tokens", "reasoning_tokens")

MODEL: Final = "if(response_model != '', response_model, request_model)"
"""The model of a turn: that which answered, else that which was asked for."""
WITHOUT_REPLY: Final = "(status = 'ok' AND without_reply)"
"""It ended well, with nothing to say."""
REPLIED: Final = "if(status = 'ok', NOT without_reply, time_to_first_chunk IS NOT NULL)"
ANSWERED: Final = f"(status != 'error' AND {REPLIED})"
RESPONSE_TIME: Final = f"if({ANSWERED}, duration, NULL)"
"""How long an answer took: ten quick failures are no speed-up."""
CLASSIFIED: Final = "(fallback IS NOT NULL OR intent != '')"
"""A classifier said what it was about; an annotation may say so of any other."""
TOKENS_KNOWN: Final = "(" + " OR ".join(f"{name} IS NOT NULL" for name in TOKENS) + ")"
UNPRICED: Final = f"(cost IS NULL AND (cost_source = 'unpriced' OR {TOKENS_KNOWN}))"

WORKFLOW_EVENTS: Final = (
    semconv.EVENT_WORKFLOW_STARTED,
    semconv.EVENT_WORKFLOW_FAILED,
    semconv.EVENT_WORKFLOW_COMPLETED,
)
"""In the order in which those of the very same moment are taken."""
HANDOFF_EVENTS: Final = (
    semconv.EVENT_HANDOFF_REQUESTED,
    semconv.EVENT_HANDOFF_ACCEPTED,
    semconv.EVENT_HANDOFF_ENDED,
)


def named(*names: str) -> str:
    """The condition that an event has one of some names.

    Example:
        >>> named("otel_chat.action")
        "name IN ('otel_chat.action')"
    """
    return f"name IN ({_quoted(names)})"


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names)


ANNOTATION: Final = f"(name = '{semconv.EVENT_INTENT}' AND source = 'annotation')"
OF_A_TURN: Final = "length(trace_id) = 16 AND length(span_id) = 8"
"""An event names the turn that it is of."""
IS_FEEDBACK: Final = f"(name = '{semconv.EVENT_EVALUATION}' AND evaluation = '{USER_FEEDBACK}')"
SCORE: Final = (
    "ifNull(score, (value - scale_min) / if(scale_max > scale_min, scale_max - scale_min, NULL))"
)
"""The score of an evaluation, 0 to 1: as told, else by its scale."""
_BOXES: Final = "(isNotNull(value) AND scale_max - scale_min >= 3 AND scale_max - scale_min <= 10)"
POSITIVE: Final = f"ifNull(if({_BOXES}, value >= scale_max - 1, {SCORE} >= 0.75), false)"
"""One of the top two boxes of a scale of 4 to 11; the top quarter of any other, or of a score."""
NEGATIVE: Final = f"ifNull(if({_BOXES}, value <= scale_min + 1, {SCORE} <= 0.25), false)"
"""The same at the other end."""
