"""What a manager reads first: what changed, which figures, why, what was said, what it cost."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

from pydantic import Field

from otel_chat.errors import ConfigurationError
from otel_chat.server.access import CONVERSATIONS_READ
from otel_chat.server.figures.answers import Answer, Money, TimeSpan
from otel_chat.server.figures.registry import Better, Quotient, every, query
from otel_chat.server.questions.business import business
from otel_chat.server.questions.clear_changes import ClearChange, clear_changes
from otel_chat.server.questions.comparison import (
    Compared,
    Estimate,
    Verdict,
    comparison,
)
from otel_chat.server.questions.feedback import comments
from otel_chat.server.questions.unanswered import unanswered

if TYPE_CHECKING:
    from otel_chat.server.access import Scope
    from otel_chat.server.figures.filters import Filters
    from otel_chat.server.figures.window import Window
    from otel_chat.server.store import Store

MOST: Final = 10
CAUSES: Final = 3
"""Of so many that got worse it is told what they come from."""
_TIMES: Final = {
    "response_time_p50": "Response time (median)",
    "response_time_p95": "Response time, 95 % within",
    "time_to_first_chunk_p50": "First words (median)",
    "time_to_first_chunk_p95": "First words, 95 % within",
}


class Told(Answer):
    """A figure of the period, beside the one before."""

    figure: str
    label: str
    unit: str
    better: Better
    now: Estimate
    before: Estimate
    difference: float | None = Field(description="Now less before.")
    relative: float | None = Field(description="The difference ÷ before.")
    verdict: Verdict = Field(description="What now is against before.")


class Quote(Answer):
    """What a user said."""

    text: str
    conversation_id: str
    tenant: str
    about: str = Field(description="What it was said about, in words.")


class Question(Answer):
    """What was asked and not understood."""

    label: str = Field(description="The question that others are most like, as it was asked.")
    turns: int
    share: float | None = Field(description="Of all turns that were not understood.")
    conversation_id: str
    tenant: str


class Costs(Answer):
    """What the models cost, and what that saved."""

    cost: Money | None
    previous: Money | None = Field(description="What they cost in the period before.")
    unpriced_turns: int
    per_conversation: Money | None
    per_human: Money | None = Field(description="What a conversation with a human costs.")
    saved_low: Money | None
    saved_high: Money | None


class Brief(Answer):
    """What a manager reads of a period."""

    window: TimeSpan
    previous_window: TimeSpan
    conversations: int
    previous_conversations: int
    sentence: str = Field(description="What changed beyond chance, in words.")
    figures: list[Told] = Field(description="Every figure that comparisons tell.")
    worse: list[ClearChange] = Field(description="What is worse beyond chance, the surest first.")
    better: list[ClearChange] = Field(description="What is better beyond chance.")
    quotes: list[Quote] | None = Field(description="Null for who may not read what was said.")
    questions: list[Question] | None = Field(
        description="Null for who may not read what was said, or without the extra `themes`."
    )
    money: Costs


def _told(one: Compared) -> Told:
    known = {q.name: (q.label, q.unit) for q in every(Quotient)}
    label, unit = known.get(one.figure) or (_TIMES.get(one.figure, one.figure), "s")
    return Told(
        figure=one.figure,
        label=label,
        unit=unit,
        better=one.better,
        now=one.a,
        before=one.b,
        difference=one.difference,
        relative=one.difference / one.b.value if one.difference and one.b.value else None,
        verdict=one.verdict,
    )


def _quotes(store: Store, scope: Scope, window: Window, filters: Filters) -> list[Quote] | None:
    """Comments beside ratings, the worst rated first."""
    if not scope.allows(CONVERSATIONS_READ):
        return None
    found = comments(store, scope, window, filters, 200).items
    rated = sorted(found, key=lambda one: 1.0 if one.score is None else one.score)
    return [
        Quote(
            text=one.comment,
            conversation_id=one.conversation_id,
            tenant=one.tenant,
            about="" if one.value is None else f"rated {one.value:g}",
        )
        for one in rated[:MOST]
    ]


def _questions(
    store: Store, scope: Scope, window: Window, filters: Filters
) -> list[Question] | None:
    if not scope.allows(CONVERSATIONS_READ):
        return None
    try:
        found = unanswered(store, scope, window, filters, ("open", "answered")).items
    except ConfigurationError:
        return None
    return [
        Question(
            label=one.label,
            turns=one.turns,
            share=one.share,
            conversation_id=one.examples[0].conversation_id,
            tenant=one.examples[0].tenant,
        )
        for one in found[: MOST * 2]
        if one.examples
    ]


def _costs(
    store: Store, scope: Scope, window: Window, filters: Filters, per_human: Decimal | None
) -> Costs:
    now, before = (
        business(store, scope, one, filters, per_human) for one in (window, window.previous())
    )
    return Costs(
        cost=now.cost.amount,
        previous=before.cost.amount,
        unpriced_turns=now.cost.unpriced_turns,
        per_conversation=now.cost_per_conversation,
        per_human=per_human,
        saved_low=now.savings.low,
        saved_high=now.savings.high,
    )


@query()
def brief(
    store: Store,
    scope: Scope,
    window: Window,
    filters: Filters,
    cost_per_interaction: Decimal | None = None,
) -> Brief:
    """What a manager reads of a period, beside the one of the same length before.

    Args:
        store: The store to ask.
        scope: What the caller may see; what was said only with conversations:read.
        window: The period.
        filters: What it is limited to.
        cost_per_interaction: What a conversation with a human costs, USD.
    """
    compared = comparison(store, scope, window, filters)
    changed = clear_changes(store, scope, window, filters, CAUSES)
    return Brief(
        window=TimeSpan.of(window),
        previous_window=TimeSpan.of(window.previous()),
        conversations=changed.conversations,
        previous_conversations=changed.previous_conversations,
        sentence=changed.sentence,
        figures=[_told(one) for one in (*compared.rates, *compared.quantiles, *compared.means)],
        worse=[one for one in changed.clear if one.good is False][:MOST],
        better=[one for one in changed.clear if one.good][:MOST],
        quotes=_quotes(store, scope, window, filters),
        questions=_questions(store, scope, window, filters),
        money=_costs(store, scope, window, filters, cost_per_interaction),
    )
