"""The counts behind the gauges for Prometheus, by tenant, agent and channel."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from otel_chat import semconv
from otel_chat.server.access import METRICS_READ
from otel_chat.server.queries.aggregation import Selection, conversation_rows
from otel_chat.server.queries.filters import Filters
from otel_chat.server.queries.partials import CLASSIFIED, USER_FEEDBACK
from otel_chat.server.queries.registry import query
from otel_chat.server.queries.sql import Query, total

if TYPE_CHECKING:
    from collections.abc import Iterable

    from otel_chat.server.access import Scope
    from otel_chat.server.queries.window import Window
    from otel_chat.server.store import Store

Place = tuple[str, str, str]
"""Tenant, agent and channel."""

NUMBERS: Final = (
    "conversations", "settled", "confirmed", "contained", "contained_confirmed", "handed_off",
    *(f"outcome_{name}" for name in semconv.OUTCOMES), "engagement", "classified", "fallbacks",
    "priced", "ratings", "score",
)  # fmt: skip
"""Whole numbers: `engagement` is the sum of scores times three, `score` a sum of billionths."""


@dataclass(slots=True)
class Counts:
    """What was counted in one place; counts add up.

    Args:
        numbers: Those of `NUMBERS`.
        cost: Of all turns, USD.
        settled_cost: Of the turns of settled conversations, USD.
        dropped: Abandoned and failed conversations by their last intent.
    """

    numbers: Counter[str] = field(default_factory=Counter)
    cost: Decimal = Decimal(0)
    settled_cost: Decimal = Decimal(0)
    dropped: Counter[str] = field(default_factory=Counter)

    def add(self, other: Counts) -> None:
        """Adds what was counted in another place."""
        self.numbers.update(other.numbers)
        self.dropped.update(other.dropped)
        self.cost += other.cost
        self.settled_cost += other.settled_cost

    def __getitem__(self, name: str) -> int:
        return self.numbers[name]


def joined(counts: Iterable[Counts]) -> Counts:
    """All of them as one.

    Example:
        >>> joined([Counts(Counter(settled=1)), Counts(Counter(settled=2))])["settled"]
        3
    """
    whole = Counts()
    for one in counts:
        whole.add(one)
    return whole


def _of_conversations(statement: Query, window: Window) -> list[dict[str, Any]]:
    rows = conversation_rows(
        statement,
        Selection(window, Filters()),
        ("agent", "channel", "cost", "last_intent"),
        told=("tenant", "settled", "confirmed", "handed_off", "outcome", "engagement"),
    )
    outcomes = ", ".join(
        f"countIf(c.outcome = '{name}') AS outcome_{name}" for name in semconv.OUTCOMES
    )
    return statement.run(f"""
        SELECT toString(tenant) AS tenant, toString(agent) AS agent, toString(channel) AS channel,
            count() AS conversations, countIf(c.settled) AS settled,
            countIf(c.confirmed) AS confirmed, countIf(c.settled AND NOT c.handed_off) AS contained,
            countIf(c.confirmed AND NOT c.handed_off) AS contained_confirmed,
            countIf(c.handed_off) AS handed_off, sum(c.engagement) AS engagement, {outcomes},
            sumIf(cost, c.settled) AS settled_cost,
            sumMap(if(outcome IN ('abandoned', 'failed'), map(toString(last_intent), 1), map()))
                AS dropped
        FROM {rows} AS c
        GROUP BY tenant, agent, channel
    """)  # noqa: S608


def _of_turns(statement: Query, window: Window) -> list[dict[str, Any]]:
    source = statement.table(
        "turns",
        ("tenant", "agent", "channel", "fallback", "intent", "cost"),
        [statement.between("start", window.start, window.end)],
    )
    return statement.run(f"""
        SELECT toString(tenant) AS tenant, toString(agent) AS agent, toString(channel) AS channel,
            countIf({CLASSIFIED}) AS classified, countIf(ifNull(fallback, false)) AS fallbacks,
            sum(t.cost) AS cost, count(t.cost) AS priced
        FROM {source} AS t
        GROUP BY tenant, agent, channel
    """)  # noqa: S608


def _of_feedback(statement: Query, window: Window) -> list[dict[str, Any]]:
    rated = (
        f"name = '{semconv.EVENT_EVALUATION}' AND evaluation = '{USER_FEEDBACK}'"
        " AND isNotNull(score)"
    )
    source = statement.table(
        "events",
        ("tenant", "agent", "channel", "score"),
        [statement.between("time", window.start, window.end), rated],
    )
    return statement.run(f"""
        SELECT toString(tenant) AS tenant, toString(agent) AS agent, toString(channel) AS channel,
            count() AS ratings, {total("e.score")} AS score
        FROM {source} AS e
        GROUP BY tenant, agent, channel
    """)  # noqa: S608


@query(METRICS_READ)
def counts(store: Store, scope: Scope, window: Window) -> dict[Place, Counts]:
    """What the gauges are made of.

    Args:
        store: The store to ask.
        scope: What the caller may see.
        window: The conversations that started, and the turns and feedback, to count.
    """
    statement = Query(store, scope)
    rows = [
        *_of_conversations(statement, window),
        *_of_turns(statement, window),
        *_of_feedback(statement, window),
    ]
    found: dict[Place, Counts] = {}
    for row in rows:
        place = (row["tenant"], row["agent"], row["channel"])
        found.setdefault(place, Counts()).add(
            Counts(
                Counter({name: int(row[name] or 0) for name in NUMBERS if name in row}),
                row.get("cost") or Decimal(0),
                row.get("settled_cost") or Decimal(0),
                Counter({intent: int(n) for intent, n in row.get("dropped", {}).items()}),
            )
        )
    return found
