"""The rules behind the figures, as the answers' own fields state them."""

from __future__ import annotations

from typing import Final

from pydantic import Field

from otel_chat.server.figures.answers import Answer
from otel_chat.server.figures.registry import FIGURES
from otel_chat.server.questions.packs import PackSummary, summaries
from otel_chat.server.rules import Rules

RULES = """\
A conversation is the turns and events with one id in one tenant, at least one turn among them.
{lives}

Activity is a turn, from its start to its end, or a message of the user, the assistant or a human
agent. Outcomes, ratings and end events are not activity.

A conversation is settled when its end or outcome was told and no activity came after that, or when
there was no activity for the idle time. Until then it is open.

The outcome of a settled conversation is the first of these that holds:

1. the outcome that was told, the latest of several;
2. handed_off: a turn or an event asked for a human, or that outcome was told at any time;
3. failed: the last turn failed, or was cut off before any reply;
4. by its latest rating: resolved and confirmed in the top boxes, abandoned in the bottom boxes;
5. abandoned: the last turn was a fallback, unsure (its confidence lies below {low}) or of
   negative sentiment, or a workflow was started and did not end;
6. resolved, assumed.

On a scale of 4 to 11 values the top boxes are the two highest and the bottom boxes the two lowest.
On any other scale, and for a bare score from 0 to 1, they are the top and the bottom quarter.
"""
_WHOLE: Final = """\
However long it lives it is one conversation, and it belongs to the window in which its first turn
started.\
"""
_SPLIT: Final = """\
A turn that starts after more than {gap:g} seconds without activity begins another conversation of
the same id, an episode; each belongs to the window in which its first turn started. Events belong
to the one that had begun when they happened.\
"""


class Definition(Answer):
    """What a figure means."""

    name: str
    unit: str = Field(description="s, 1 for a ratio, {turn} and the like for counts, USD.")
    definition: str
    version: int = Field(description="Counts up when the rule changes.")


class Definitions(Answer):
    """The rules behind each figure."""

    rules: str = Field(description="The version of the rules, and what is set of them.")
    low_confidence: float = Field(
        description="The threshold of all figures of confidence; below it a turn is unsure."
    )
    conversation_gap: float | None = Field(
        description="Seconds of silence after which an id is another conversation; null where it"
        " never is."
    )
    conversations: str = Field(description="How conversations and their outcomes are made out.")
    items: list[Definition] = Field(description="By name.")
    packs: list[PackSummary] = Field(
        description="Other products' rules that the same conversations can be scored by."
    )


def definitions(rules: Rules) -> Definitions:
    """The rules behind each figure; they are the same for everyone.

    Args:
        rules: Those that the server goes by.
    """
    gap = rules.gap_seconds
    return Definitions(
        rules=rules.name,
        low_confidence=rules.low_confidence,
        conversation_gap=gap,
        conversations=RULES.format(
            low=f"{rules.low_confidence:g}",
            lives=_WHOLE if gap is None else _SPLIT.format(gap=gap),
        ),
        items=[
            Definition(name=one.name, unit=one.unit, definition=one.definition, version=one.version)
            for _, one in sorted(FIGURES.items())
        ],
        packs=summaries(),
    )
