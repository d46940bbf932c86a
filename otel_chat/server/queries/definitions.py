"""The rules behind the figures, as the answers' own fields state them."""

from __future__ import annotations

from pydantic import Field

from otel_chat.server.queries import aggregation
from otel_chat.server.queries.answers import Answer
from otel_chat.server.queries.packs import PackSummary, summaries
from otel_chat.server.queries.registry import FIGURES


class Definition(Answer):
    """What a figure means."""

    name: str
    unit: str = Field(description="s, 1 for a ratio, {turn} and the like for counts, USD.")
    definition: str


class Definitions(Answer):
    """The rules behind each figure."""

    conversations: str = Field(description="How conversations and their outcomes are made out.")
    items: list[Definition] = Field(description="By name.")
    packs: list[PackSummary] = Field(
        description="Other products' rules that the same conversations can be scored by."
    )


def definitions() -> Definitions:
    """The rules behind each figure; they are the same for everyone."""
    return Definitions(
        conversations=(aggregation.__doc__ or "").strip(),
        items=[
            Definition(name=one.name, unit=one.unit, definition=one.definition)
            for _, one in sorted(FIGURES.items())
        ],
        packs=summaries(),
    )
