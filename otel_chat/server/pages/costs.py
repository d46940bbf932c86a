"""The page of cost and savings: what the models cost, and what the bot is worth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otel_chat.server.figures.window import BUCKETS
from otel_chat.server.pages import formats
from otel_chat.server.pages.charts import Chart, Column, row_label
from otel_chat.server.pages.overview import Card, meanings
from otel_chat.server.pages.sheets import Asking, Body, Sheet
from otel_chat.server.pages.tables import Cell, Head, Table, table
from otel_chat.server.questions import budgets, business, interactions, overview

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_chat.server.questions.budgets import Spending
    from otel_chat.server.questions.business import Business
    from otel_chat.server.questions.overview import Series


COST_SETTING: Final = "OTEL_CHAT_SERVER_COST_PER_INTERACTION"


def _cards(found: Business) -> list[Card]:
    cost, savings = found.cost, found.savings
    contained = found.containment
    return [
        Card(
            key="cost",
            label="Model cost",
            value=formats.money(cost.amount),
            note=f"{formats.plural(cost.unpriced_turns, 'turn')} without a price"
            if cost.unpriced_turns
            else "of all models",
            sample=f"{formats.plural(cost.priced_turns, 'turn')} priced",
            meanings=meanings("cost", "unpriced_turns"),
            alarm=cost.unpriced_turns > 0,
        ),
        Card(
            key="per-conversation",
            label="Per conversation",
            value=formats.money(found.cost_per_conversation),
            note="mean model cost",
            sample=formats.plural(found.conversations, "conversation"),
            meanings=meanings("mean_conversation_cost"),
        ),
        Card(
            key="savings",
            label="Saved",
            value=formats.NO_DATA
            if savings.low is None
            else f"{formats.money(savings.low)} to {formats.money(savings.high)}",
            note=f"at {formats.money(savings.cost_per_interaction)} a human conversation"
            if savings.cost_per_interaction is not None
            else f"set {COST_SETTING}, what one with a human costs",
            sample=formats.plural(contained.count, "conversation") + " contained",
            meanings=meanings("savings_low", "savings_high", "savings_gross"),
        ),
        Card(
            key="containment",
            label="Contained",
            value=formats.percent(contained.rate),
            note=f"{formats.count(contained.count)} without a human",
            sample=f"of {formats.count(contained.settled)} settled",
            meanings=meanings("containment_ratio"),
        ),
    ]


def _charts(series: Series) -> list[Chart]:
    width = BUCKETS[series.bucket]
    rows = [(point.start, row_label(point.start, width)) for point in series.points]
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
        ),
        Chart(
            "tokens",
            "Tokens",
            "Is it what goes in, or what comes out?",
            rows,
            [
                Column("Input", [p.tokens.input for p in series.points], _whole, kind="bar"),
                Column(
                    "Output",
                    [p.tokens.output for p in series.points],
                    _whole,
                    kind="bar",
                    colour="warn",
                ),
            ],
        ),
    ]


def _whole(value: float | None) -> str:
    return formats.count(None if value is None else round(value))


def _models(asking: Asking) -> Table:
    found = interactions.interaction_statistics(
        asking.store, asking.scope, asking.window, asking.filters
    )
    heads: list[Head[interactions.Group]] = [
        Head(
            "Model",
            lambda g: (
                Cell(g.name, asking.view.narrowed("/conversations", model=g.name))
                if g.name
                else Cell("(no model)")
            ),
            number=False,
        ),
        Head("Turns", lambda g: Cell(formats.count(g.turns), share=g.share)),
        Head("Tokens", lambda g: formats.compact(g.tokens)),
        Head("Cost", lambda g: formats.money(g.cost)),
        Head(
            "Cost of a turn",
            lambda g: formats.money(None if g.cost is None or not g.turns else g.cost / g.turns),
        ),
        Head("Response", lambda g: formats.duration(g.mean_response_time)),
        Head("Failed", lambda g: formats.count(g.errors)),
    ]
    return table(
        "models",
        "Models",
        "Which model costs what, and what is it like?",
        heads,
        found.models,
        nothing="No turn of this window names a model.",
        wide=True,
    )


def _reasons(found: Business) -> Table:
    heads: list[Head[business.HandoffReason]] = [
        Head("Reason", lambda r: r.reason or "(not said)", number=False),
        Head("Conversations", lambda r: formats.count(r.conversations)),
    ]
    return table(
        "handoffs",
        "Handoffs",
        "Why do people end with a human, which is what the bot should save?",
        heads,
        found.handoffs.reasons,
        nothing="Nobody was handed over to a human.",
        wide=True,
    )


_PACE: Final = (
    "At this pace",
    "What the whole period will cost if it goes on as it did so far; after its first tenth.",
)


def _budgets(found: Sequence[Spending]) -> Table:
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
        Head("Since", lambda one: f"{formats.when(one.start)} UTC", number=False),
        Head("May cost", lambda one: formats.money(one.budget.usd)),
        Head("Spent", lambda one: Cell(formats.money(one.spent), share=min(one.share, 1.0))),
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
    models = asking.store.submit(_models, asking)
    course = asking.store.submit(overview.series, *asked)
    spent = budgets.spendings(asking.store, asking.scope, asking.window.now, asking.budgets)
    found = business.business(*asked, asking.human_cost)
    within = [_budgets(spent)] if spent else []
    return Body(
        cards=_cards(found),
        panels=[*_charts(course.result()), *within, models.result(), _reasons(found)],
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
