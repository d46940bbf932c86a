"""The rules behind the figures, as the answers' own fields state them."""

from __future__ import annotations

from pydantic import Field

from otel_chat.server.queries.answers import Answer
from otel_chat.server.queries.packs import PackSummary, summaries
from otel_chat.server.queries.registry import FIGURES
from otel_chat.server.rules import Rules

RULES = """\
A conversation is what has at least one turn with its id in one tenant. It is one, however long it
lives, and belongs to the window in which its first turn ever started.

Activity is a turn, from its start to its end, or a message of the user, the assistant or a human
agent. An outcome, a rating or an end event is none.

A conversation is settled by an explicit end or a told outcome with no activity after it, or when
there was no activity for the idle time. Before, it is open.

The outcome of a settled conversation is the first of these that holds:

1. the outcome that was told, the latest of several;
2. handed_off: a turn or an event asked for a human, or anyone told that outcome;
3. failed: the last turn failed, or was cut off before any reply;
4. by its latest rating: resolved and confirmed in the top boxes, abandoned in the bottom boxes;
5. abandoned: the last turn was a fallback, unsure (its confidence lies below {low}) or of
   negative sentiment, or a workflow was started and not ended;
6. resolved, assumed.

The boxes of a scale of 4 to 11 are the two highest and the two lowest. Of any other, or a bare
score from 0 to 1, they are the top quarter and the bottom quarter.
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
    return Definitions(
        rules=rules.name,
        low_confidence=rules.low_confidence,
        conversations=RULES.format(low=f"{rules.low_confidence:g}"),
        items=[
            Definition(name=one.name, unit=one.unit, definition=one.definition, version=one.version)
            for _, one in sorted(FIGURES.items())
        ],
        packs=summaries(),
    )
