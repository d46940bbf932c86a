"""The page of cost and savings: what the models cost, and what the bot is worth."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from otel_chat.server.pages import formats, links
from otel_chat.server.pages.charts import Chart, Column, Course
from otel_chat.server.pages.links import LIST, TURN_LIST, View
from otel_chat.server.pages.overview import Card, Opening, Trend, meanings, opening, trend
from otel_chat.server.pages.sheets import Asking, Body, Sheet
from otel_chat.server.pages.tables import Cell, Head, Table, Tone, counted, furthest, table
from otel_chat.server.prices import ServerPrices
from otel_chat.server.questions import budgets, business, choices, costs, overview

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from decimal import Decimal

    from otel_chat.server.figures.answers import Cost
    from otel_chat.server.questions.budgets import Spending
    from otel_chat.server.questions.business import Business
    from otel_chat.server.questions.costs import CostPart
    from otel_chat.server.questions.overview import Series


DEAREST: Final = "the dearest"
DEAREST_FIRST: Final = "the dearest first"
_CONTAINED: Final = {"outcome": "resolved", "handoff": "false"}
"""Conversations that savings are worked out from."""
COST_SETTING: Final = "OTEL_CHAT_SERVER_COST_PER_INTERACTION"


def _cost(cost: Cost, view: View) -> Card:
    dearest = [Opening(DEAREST, view.narrowed(TURN_LIST, sort="-cost"))] if cost.amount else []
    unpriced = [opening(view, cost.unpriced_turns, "without a price", TURN_LIST, unpriced="true")]
    return Card(
        key="cost",
        label="Model cost",
        value=formats.money(cost.amount),
        note="" if cost.amount else "of all models",
        parts=[*dearest, *(unpriced if cost.unpriced_turns else [])],
        sample=f"{formats.plural(cost.priced_turns, 'turn')} priced",
        meanings=meanings("cost", "unpriced_turns"),
        alarm=cost.unpriced_turns > 0,
    )


def _saved(found: Business, view: View) -> Card:
    cost, savings, kept = found.cost, found.savings, found.containment.parts
    priced = cost.priced_turns + cost.unpriced_turns
    return Card(
        key="savings",
        label="Saved",
        value=formats.NO_DATA
        if savings.low is None
        else f"{formats.money(savings.low)} to {formats.money(savings.high)}",
        note=f"at {formats.money(savings.cost_per_interaction)} a human conversation"
        if savings.cost_per_interaction is not None
        else f"set {COST_SETTING}, what one with a human costs",
        parts=[
            opening(view, kept.confirmed, "confirmed", **_CONTAINED, confirmed="true"),
            opening(view, kept.assumed, "assumed", **_CONTAINED, confirmed="false"),
        ],
        sample=f"{formats.percent(cost.priced_turns / priced)} of {priced:,} turns have a price"
        if priced
        else "no turn used a model",
        meanings=meanings("savings_low", "savings_high", "savings_gross"),
    )


def _moved(mean: costs.CostMean) -> Trend | None:
    """How a mean moved, and whether that is more than chance."""
    if mean.value is None or not mean.previous:
        return None
    now, before = float(mean.value), float(mean.previous)
    change = overview.Change(
        value=now, previous=before, difference=now - before, relative=now / before - 1
    )
    return trend(change, formats.money, better="down", clear=mean.clear)


def _within(mean: costs.CostMean) -> str:
    if mean.low is None or mean.high is None:
        return ""
    return f"{formats.money(mean.low)} to {formats.money(mean.high)}"


def _cards(found: Business, spending: costs.Costs, view: View) -> list[Card]:
    cost = found.cost
    return [
        _cost(cost, view),
        Card(
            key="per-conversation",
            label="Per conversation",
            value=formats.money(found.cost_per_conversation),
            note="mean model cost",
            trend=_moved(spending.per_conversation),
            interval=_within(spending.per_conversation),
            sample=formats.plural(found.conversations, "conversation"),
            meanings=meanings("mean_conversation_cost"),
            parts=[Opening(DEAREST, view.narrowed(LIST, sort="-cost"))] if cost.amount else (),
        ),
        _saved(found, view),
        Card(
            key="resolved",
            label="A resolved one",
            value=formats.money(spending.resolved),
            note=f"{formats.money(spending.previous_resolved)} before",
            trend=_moved(spending.per_resolved),
            interval=_within(spending.per_resolved),
            sample=f"{formats.percent(spending.cached)} of input tokens cached",
            meanings=meanings("resolved_conversation_cost", "cached_input_ratio"),
            parts=[Opening(DEAREST, view.narrowed(LIST, outcome="resolved", sort="-cost"))]
            if spending.resolved is not None
            else (),
        ),
    ]


def _charts(series: Series, asking: Asking) -> list[Chart]:
    course = Course.of(asking.window, series.bucket)

    def hrefs(sort: str) -> list[str]:
        return course.hrefs(asking.view, TURN_LIST, sort=sort)

    rows = course.rows
    return [
        Chart(
            "cost",
            "Cost",
            "When is the money spent?",
            rows,
            [
                Column(
                    "Cost",
                    [
                        None if p.cost.amount is None else float(p.cost.amount)
                        for p in series.points
                    ],
                    formats.money,
                    kind="bar",
                    unit="USD",
                )
            ],
            how="turn.usage(input_tokens=120, output_tokens=40)",
            hrefs=hrefs("-cost"),
            furthest="the dearest first",
        ),
        Chart(
            "tokens",
            "Tokens",
            "Is it what goes in, or what comes out?",
            rows,
            [
                Column("Input", [p.tokens.input for p in series.points], formats.whole, kind="bar"),
                Column(
                    "Output",
                    [p.tokens.output for p in series.points],
                    formats.whole,
                    kind="bar",
                    colour="warn",
                ),
            ],
            how="turn.usage(input_tokens=120, output_tokens=40)",
            hrefs=hrefs("-tokens"),
            furthest="most tokens first",
        ),
    ]


_FILTERS: Final[Mapping[costs.By, str]] = {
    "model": "model",
    "intent": "intent",
    "agent": "agent",
    "version": "agent_version",
    "channel": "channel",
    "outcome": "outcome",
}
"""What cost is told by, and the filter of its rows."""


def _parts(by: costs.By, parts: Sequence[CostPart], asking: Asking) -> Table:
    view, earlier = asking.view, asking.window.previous()
    whole = by == "outcome"
    path = LIST if whole else TURN_LIST

    def name(part: CostPart) -> Cell:
        if not part.name:
            return Cell("(not said)")
        label = part.name.replace("_", " ").capitalize() if whole else part.name
        return Cell(label, view.narrowed(view.path, **{_FILTERS[by]: part.name}))

    def such(part: CostPart, **more: str) -> str:
        if not part.name:
            return ""
        return view.narrowed(path, **{_FILTERS[by]: part.name}, **more)

    def before(part: CostPart) -> Cell:
        if not part.previous or not part.name:
            return Cell(formats.money(part.previous))
        named = {_FILTERS[by]: part.name, "sort": "-cost"}
        href = view.within(path, earlier.start, earlier.end, **named)
        return furthest(formats.money(part.previous), href, DEAREST_FIRST)

    def count(part: CostPart) -> Cell:
        return counted((part.conversations or 0) if whole else part.turns, such(part))

    def dearest(amount: Decimal | None, part: CostPart, share: float | None = None) -> Cell:
        if not amount:
            return Cell(formats.money(amount), share=share)
        return furthest(formats.money(amount), such(part, sort="-cost"), DEAREST_FIRST, share)

    heads: list[Head[CostPart]] = [
        Head(by.capitalize(), name, number=False),
        Head("Cost", lambda p: dearest(p.cost, p, p.share), figure="cost"),
        Head("Before", before),
        Head("Change", _change),
        Head("Conversations" if whole else "Turns", count),
        Head("Each", lambda p: dearest(p.mean, p), figure="cost_of_one"),
        Head("Cached", lambda p: formats.percent(p.cached), figure="cached_input_ratio"),
    ]
    return table(
        f"cost-{by}",
        f"Cost by {by}",
        "What do conversations cost that end so, whole?"
        if whole
        else f"Which {by} costs what, and what has changed? A name narrows this page to it.",
        heads,
        parts,
        nothing="Nothing costs anything here.",
        wide=True,
    )


def _change(part: CostPart) -> Cell:
    if part.cost is None or not part.previous:
        return Cell(formats.NO_DATA)
    moved = float(part.cost / part.previous) - 1
    written = f"{moved * 100:+,.0f}{formats.THIN}%".replace("-", "\u2212")
    told = {True: "", False: "within chance", None: "too few to tell"}[part.clear]
    return Cell(written, sub=told)


def _dearest(found: Sequence[costs.Dear], *, several: bool) -> Table:
    heads: list[Head[costs.Dear]] = [
        Head(
            "Conversation",
            lambda d: Cell(
                d.conversation_id,
                links.conversation(d.conversation_id, tenant=d.tenant if several else None),
                sub=formats.when(d.started_at, zone=True),
            ),
            number=False,
        ),
        Head("Last intent", lambda d: d.last_intent or "(not said)", number=False),
        Head("Outcome", lambda d: d.outcome.replace("_", " ").capitalize(), number=False),
        Head("Turns", lambda d: formats.count(d.turns)),
        Head("Cost", lambda d: formats.money(d.cost)),
    ]
    return table(
        "dearest",
        "Dearest conversations",
        "Which ones cost most, and was it worth it?",
        heads,
        found,
        nothing="No conversation of this window has a price.",
        wide=True,
    )


def _same_turns(asking: Asking) -> Table:
    prices = asking.prices or ServerPrices(published=False)
    known = choices.choices(asking.store, asking.scope, asking.window).models
    named = [*(name for name in asking.view.values("at") if name), *known]
    asked = (asking.store, asking.scope, asking.window, asking.filters)
    found = costs.same_turns(*asked, prices, named)

    def apart(one: costs.AtModel) -> Cell:
        if one.difference is None:
            return Cell(formats.NO_DATA)
        tone: Tone = "good" if one.difference < 0 else "bad" if one.difference > 0 else ""
        sign = "+" if one.difference > 0 else ""
        return Cell(sign + formats.money(one.difference), tone=tone)

    heads: list[Head[costs.AtModel]] = [
        Head("Model", lambda one: one.model, number=False),
        Head("Would cost", lambda one: formats.money(one.cost), figure="cost_at_model"),
        Head("Against now", apart),
    ]
    made = table(
        "same-turns",
        "The same turns at another model",
        "What would their tokens cost elsewhere?",
        heads,
        found.items,
        nothing="No turn of this window has tokens.",
        wide=True,
    )
    told = f"{formats.plural(found.turns, 'turn')} with tokens cost {formats.money(found.cost)}"
    unpriced = found.turns - found.priced_turns
    if unpriced:
        told += f"; {formats.plural(unpriced, 'turn')} without a price, so nothing is compared"
    return replace(
        made, rest=f"{told}." if found.items else "", field=("at", "Another model, by its name")
    )


def _reasons(found: Business, view: View) -> Table:
    heads: list[Head[business.HandoffReason]] = [
        Head("Reason", lambda r: r.reason or "(not said)", number=False),
        Head(
            "Conversations",
            lambda r: counted(
                r.conversations,
                view.narrowed(LIST, state="settled", handoff_reason=r.reason) if r.reason else "",
            ),
        ),
    ]
    return table(
        "handoffs",
        "Handoffs",
        "Why do people end with a human, which is what the bot should save?",
        heads,
        found.handoffs.reasons,
        nothing="Nobody was handed off to a human.",
        how='turn.handoff("user_request")',
        wide=True,
    )


_PACE: Final = (
    "At this pace",
    "What the whole period will cost if it goes on as it did so far; after its first tenth.",
)


def _budgets(found: Sequence[Spending], now: datetime) -> Table:
    def spent(one: Spending) -> Cell:
        whose = View("/costs", (("agent", one.budget.agent),) if one.budget.agent else ())
        since = whose.within(TURN_LIST, one.start, now, sort="-cost")
        return furthest(formats.money(one.spent), since, DEAREST_FIRST, min(one.share, 1.0))

    def left(one: Spending) -> Cell:
        rest = one.budget.usd - one.spent
        if rest < 0:
            return Cell(f"{formats.money(-rest)} over", tone="bad")
        return Cell(formats.money(rest))

    def pace(one: Spending) -> Cell:
        if one.pace is None:
            return Cell(formats.NO_DATA)
        return Cell(formats.money(one.pace), tone="warn" if one.pace > one.budget.usd else "")

    heads: list[Head[Spending]] = [
        Head("Budget", lambda one: Cell(one.budget.name, sub=_whose(one)), number=False),
        Head("Since", lambda one: formats.when(one.start, zone=True), number=False),
        Head("May cost", lambda one: formats.money(one.budget.usd)),
        Head("Spent", spent),
        Head("Left", left),
        Head("At this pace", pace),
    ]
    return table(
        "budgets",
        "Budgets",
        "Is it still within what it may cost? The present day or month, whatever the window.",
        heads,
        found,
        nothing="",
        wide=True,
        more=[_PACE],
    )


def _whose(one: Spending) -> str:
    parts = (("agent", one.budget.agent), ("tenant", one.budget.tenant))
    named = [f"{word} {name}" for word, name in parts if name]
    whose = " of ".join(named) or "all agents"
    unpriced = one.unpriced_turns
    return f"{whose}; {formats.plural(unpriced, 'turn')} without a price" if unpriced else whose


def body(asking: Asking) -> Body:
    """What stands on the page of cost and savings."""
    asked = (asking.store, asking.scope, asking.window, asking.filters)
    elsewhere = asking.store.submit(_same_turns, asking)
    parted = asking.store.submit(costs.costs, *asked)
    course = asking.store.submit(overview.series, *asked)
    spent = budgets.spendings(asking.store, asking.scope, asking.window.now, asking.budgets)
    found = business.business(*asked, asking.human_cost)
    within = [_budgets(spent, asking.window.now)] if spent else []
    spending = parted.result()
    several = asking.scope.tenants is None or len(asking.scope.tenants) > 1
    return Body(
        cards=_cards(found, spending, asking.view),
        panels=[
            *_charts(course.result(), asking),
            *within,
            *(
                _parts(by, parts, asking)
                for by, parts in spending.by.items()
                if any(part.name for part in parts)
            ),
            elsewhere.result(),
            _dearest(spending.dearest, several=several),
            _reasons(found, asking.view),
        ],
        empty=not found.conversations and not found.cost.priced_turns and not spent,
    )


COSTS: Final = Sheet(
    "costs",
    "/costs",
    "Cost and savings",
    "money",
    "What do the models cost, and what is the bot worth?",
    body,
)
