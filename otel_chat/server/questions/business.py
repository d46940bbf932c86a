"""What the bot is worth: containment, resolution, handoffs, cost and savings."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from pydantic import Field

from otel_chat.errors import QueryError
from otel_chat.server.figures.answers import Answer, Cost, Distribution, Money, TimeSpan
from otel_chat.server.figures.conversation_figures import CONTAINED, HANDED_OFF
from otel_chat.server.figures.conversation_rows import Selection, conversation_rows, members
from otel_chat.server.figures.figures import conversation_figures, distribution_sql, turn_sums
from otel_chat.server.figures.registry import figure, query
from otel_chat.server.figures.sql import Query
from otel_chat.server.figures.sums import added, whole
from otel_chat.server.figures.window import Window
from otel_chat.server.questions.headlines import Containment, Resolution, containment, resolution
from otel_chat.server.rules import HANDOFF_EVENTS

if TYPE_CHECKING:
    from otel_chat.server.access import Scope
    from otel_chat.server.figures.filters import Filters
    from otel_chat.server.store import Store

DEAREST: Final = Decimal(1_000_000)
MOST: Final = 100


class HandoffReason(Answer):
    """A reason for which a human was asked for."""

    reason: str = Field(description="As the application said; empty where it did not.")
    conversations: int = Field(description="Conversations with a handoff for this reason.")


class HandoffFigures(Answer):
    """Handoffs to a human: how many, why, and how long users waited."""

    conversations: int = Field(description="Settled conversations that were handed off.")
    rate: float | None = Field(
        description="Settled conversations that were handed off ÷ settled conversations."
    )
    reasons: list[HandoffReason] = Field(
        description="Of the conversations of the window, the most frequent first."
    )
    wait: Distribution = figure(
        "handoff_wait", "s", "Time from asking for a human to getting one, as reported."
    )


class Savings(Answer):
    """What the bot saved against humans doing the same, between two bounds."""

    cost_per_interaction: Money | None = Field(
        description="What a conversation with a human costs, USD: the caller's assumption. Without"
        " one, low, high and gross are null."
    )
    low: Money | None = figure(
        "savings_low",
        "USD",
        "Contained conversations whose resolution is confirmed × cost of a human interaction -"
        " model cost of settled conversations.",
    )
    high: Money | None = figure(
        "savings_high",
        "USD",
        "Contained conversations that are resolved, confirmed or assumed × cost of a human"
        " interaction - model cost of settled conversations.",
        version=2,
    )
    gross: Money | None = figure(
        "savings_gross",
        "USD",
        "Contained conversations × cost of a human interaction, model cost left out.",
    )
    model_cost: Money = figure(
        "settled_model_cost", "USD", "Exact sum of the costs of settled conversations' turns."
    )


class Business(Answer):
    """What the bot is worth."""

    window: TimeSpan
    conversations: int
    containment: Containment
    resolution: Resolution
    handoffs: HandoffFigures
    cost: Cost
    cost_per_conversation: Money | None = figure(
        "mean_conversation_cost",
        "USD",
        "Cost of settled conversations ÷ their number, rounded to a billionth.",
        version=2,
    )
    savings: Savings


def _reasons(statement: Query, window: Window, filters: Filters) -> list[HandoffReason]:
    source = conversation_rows(statement, Selection(window, filters), "handoff_reasons")
    rows = statement.run(f"""
        SELECT toString(reason) AS reason, count() AS conversations
        FROM {source} AS c
        ARRAY JOIN handoff_reasons AS reason
        GROUP BY reason
        ORDER BY conversations DESC, reason
        LIMIT {MOST}
    """)  # noqa: S608
    return [HandoffReason(**row) for row in rows]


def _events_in(statement: Query, window: Window, filters: Filters) -> list[str]:
    conditions = [statement.within("time", window)]
    if not filters.empty:
        conditions.append(members(statement, window, filters))
    return conditions


def _wait(statement: Query, window: Window, filters: Filters) -> Distribution:
    named = f"name IN {statement.bind(HANDOFF_EVENTS, 'Array(String)')} AND isNotNull(wait)"
    source = statement.table("events", ("wait",), [*_events_in(statement, window, filters), named])
    sql = f"SELECT {distribution_sql('wait', 'wait')} FROM {source} AS e"  # noqa: S608
    return Distribution.read(statement.one(sql), "wait")


def _cost(statement: Query, window: Window, filters: Filters) -> Cost:
    row = statement.one(f"""
        SELECT {added(("sum_cost", "priced_turns", "unpriced_turns"))}
        FROM {turn_sums(statement, window, filters, whole)} AS t
    """)  # noqa: S608
    return Cost.read(row)


def _savings(row: dict[str, Any], price: Decimal | None) -> Savings:
    spent = row.get("settled_cost") or Decimal(0)
    if price is None or not row.get("settled_n"):
        return Savings(
            cost_per_interaction=price, low=None, high=None, gross=None, model_cost=spent
        )
    return Savings(
        cost_per_interaction=price,
        low=row["contained_confirmed"] * price - spent,
        high=row["contained_resolved"] * price - spent,
        gross=row[CONTAINED.part] * price,
        model_cost=spent,
    )


@query()
def business(
    store: Store,
    scope: Scope,
    window: Window,
    filters: Filters,
    cost_per_interaction: Decimal | None = None,
) -> Business:
    """What the bot is worth in the window.

    Args:
        store: The store to ask.
        scope: What the caller may see.
        window: The conversations, turns and events to take, each by its own start.
        filters: What they are limited to.
        cost_per_interaction: What a conversation with a human costs, USD, 0 to a million; without
            one nothing is told of savings.

    Raises:
        QueryError: If the cost is out of range.
    """
    if cost_per_interaction is not None and not 0 <= cost_per_interaction <= DEAREST:
        message = f"The cost of a human interaction lies between 0 and {DEAREST}."
        raise QueryError(message, field="cost_per_interaction")
    statement = Query(store, scope)
    row = conversation_figures(statement, window, filters, whole).get(1, {})
    cost = _cost(statement, window, filters)
    return Business(
        window=TimeSpan.of(window),
        conversations=row.get("conversations", 0),
        containment=containment(row),
        resolution=resolution(row),
        handoffs=HandoffFigures(
            conversations=row.get(HANDED_OFF.part, 0),
            rate=HANDED_OFF.read(row),
            reasons=_reasons(statement, window, filters),
            wait=_wait(statement, window, filters),
        ),
        cost=cost,
        cost_per_conversation=_per_conversation(row.get("settled_cost"), row.get("settled_n", 0)),
        savings=_savings(row, cost_per_interaction),
    )


def _per_conversation(amount: Decimal | None, count: int) -> Decimal | None:
    if amount is None or not count:
        return None
    return (amount / count).quantize(Decimal("1e-9"))
