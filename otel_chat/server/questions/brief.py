"""What a manager reads first: what changed, which figures, why, what was said, what it cost."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

from pydantic import Field

from otel_chat.errors import ConfigurationError
from otel_chat.server.access import CONVERSATIONS_READ
from otel_chat.server.figures.answers import Answer, Money, TimeSpan
from otel_chat.server.figures.conversation_figures import CONTAINED, HANDED_OFF
from otel_chat.server.figures.registry import Better, Quotient, every, query
from otel_chat.server.questions.business import business
from otel_chat.server.questions.comparison import (
    Compared,
    Comparison,
    Estimate,
    Verdict,
    comparison,
)
from otel_chat.server.questions.dependencies import Dependency, dependencies
from otel_chat.server.questions.feedback import comments
from otel_chat.server.questions.leaders import leaders
from otel_chat.server.questions.unanswered import unanswered

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from otel_chat.server.access import Scope
    from otel_chat.server.figures.filters import Filters
    from otel_chat.server.figures.window import Window
    from otel_chat.server.questions.leaders import Mover
    from otel_chat.server.store import Store

MOST: Final = 10
_ORDER: Final = (
    CONTAINED.name, "resolution_ratio_high", "csat_top_ratio", "error_ratio", "response_time_p95",
    "fallback_ratio", "abandonment_ratio", "resolution_ratio_low", "time_to_first_chunk_p95",
    "response_time_p50", "low_confidence_ratio", "engagement_score", "cost_per_turn",
)  # fmt: skip
"""What is told first where several changed. What says the same of two sides is told once."""
_TIMES: Final = {
    "response_time_p50": "Response time (median)",
    "response_time_p95": "Response time (95 %)",
    "time_to_first_chunk_p50": "First words (median)",
    "time_to_first_chunk_p95": "First words (95 %)",
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
    causes: list[str] = Field(description="What it comes from, in words, as far as that is known.")
    intent: str = Field(description="An intent whose conversations show it; empty for none.")


class Quote(Answer):
    """What a user said."""

    text: str
    conversation_id: str
    tenant: str
    about: str = Field(description="What it was said about, in words.")


class Question(Answer):
    """What was asked and not understood."""

    label: str = Field(description="The words that tell it from other themes.")
    example: str
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
    changed: Told | None = Field(description="What is told first; null where nothing is clear.")
    figures: list[Told] = Field(description="Every figure that comparisons tell.")
    worse: list[Told] = Field(description="What is worse beyond chance, the weightiest first.")
    better: list[Told] = Field(description="What is better beyond chance.")
    quotes: list[Quote] | None = Field(description="Null for who may not read what was said.")
    questions: list[Question] | None = Field(
        description="Null for who may not read what was said, or without the extra `themes`."
    )
    money: Costs


def _told(one: Compared, causes: Callable[[Compared], tuple[list[str], str]]) -> Told:
    known = {q.name: (q.label, q.unit) for q in every(Quotient)}
    label, unit = known.get(one.figure) or (_TIMES.get(one.figure, one.figure), "s")
    why, intent = causes(one)
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
        causes=why,
        intent=intent,
    )


def _why(
    movers: Sequence[Mover], now: Sequence[Dependency], before: Sequence[Dependency]
) -> Callable[[Compared], tuple[list[str], str]]:
    """What moved a figure, in words; and an intent whose conversations show it."""
    failing = _failing(now, before)

    def of(one: Compared) -> tuple[list[str], str]:
        if one.verdict not in {"worse", "better"}:
            return [], ""
        bad = one.verdict == "worse"
        told, intent = [], ""
        if one.figure in {CONTAINED.name, HANDED_OFF.name} and movers:
            way = sorted(movers, key=lambda m: (m.contribution or 0) * (1 if bad else -1))
            first = way[0]
            if first.contribution and (first.contribution < 0) == bad:
                intent = first.intent
                name = f"intent {intent}" if intent else "conversations without an intent"
                told.append(f"{name} accounts for {abs(first.contribution) * 100:.1f} points")
        if bad and failing and one.figure in _BY_CALLS:
            told.append(failing)
        return told, intent

    return of


_BY_CALLS: Final = frozenset(
    {CONTAINED.name, HANDED_OFF.name, "error_ratio", "resolution_ratio_high", "abandonment_ratio"}
)
_RISEN: Final = 0.02
_CALLED: Final = 20


def _failing(now: Sequence[Dependency], before: Sequence[Dependency]) -> str:
    """The tool, API or model whose share of failed calls rose most, in words."""
    past = {(one.kind, one.name): one for one in before}

    def share(one: Dependency | None) -> float:
        return one.failures / one.calls if one and one.calls else 0.0

    risen = [(share(one) - share(past.get((one.kind, one.name))), one) for one in now]
    worst = max(
        (pair for pair in risen if pair[0] >= _RISEN and pair[1].calls >= _CALLED),
        key=lambda pair: pair[0] * pair[1].calls,
        default=None,
    )
    if worst is None:
        return ""
    one = worst[1]
    reason = f" ({', '.join(one.error_types[:2])})" if one.error_types else ""
    earlier = share(past.get((one.kind, one.name)))
    return (
        f"{one.kind} {one.name} failed{reason} in {one.failures:,} of {one.calls:,} calls"
        f" ({earlier * 100:.0f} % before)"
    )


def _changes(
    store: Store, scope: Scope, window: Window, filters: Filters
) -> tuple[Comparison, list[Told]]:
    """Every figure beside the period before, with what it comes from: those told first first."""
    found = comparison(store, scope, window, filters)
    movers = leaders(store, scope, window, filters).containment
    called = [dependencies(store, scope, one, filters).items for one in (window, window.previous())]
    why = _why(movers, *called)
    told = [_told(one, why) for one in (*found.rates, *found.quantiles, *found.means)]
    places = {name: place for place, name in enumerate(_ORDER)}
    return found, sorted(told, key=lambda one: places.get(one.figure, len(places)))


def _clear(told: Sequence[Told], verdict: Verdict) -> list[Told]:
    """Each once: that a human was asked for says the same as containment."""
    return [one for one in told if one.verdict == verdict and one.figure != HANDED_OFF.name][:MOST]


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
        found = unanswered(store, scope, window, filters).items
    except ConfigurationError:
        return None
    return [
        Question(
            label=one.label,
            example=one.examples[0].message,
            turns=one.turns,
            share=one.share,
            conversation_id=one.examples[0].conversation_id,
            tenant=one.examples[0].tenant,
        )
        for one in found[: MOST * 2]
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
    compared, told = _changes(store, scope, window, filters)
    worse, better = _clear(told, "worse"), _clear(told, "better")
    return Brief(
        window=TimeSpan.of(window),
        previous_window=TimeSpan.of(window.previous()),
        conversations=compared.a.conversations,
        previous_conversations=compared.b.conversations,
        changed=next((one for one in told if one in (*worse, *better)), None),
        figures=told,
        worse=worse,
        better=better,
        quotes=_quotes(store, scope, window, filters),
        questions=_questions(store, scope, window, filters),
        money=_costs(store, scope, window, filters, cost_per_interaction),
    )
