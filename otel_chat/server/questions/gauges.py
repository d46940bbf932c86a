"""The counts behind the gauges for Prometheus, by tenant, agent and channel."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from otel_chat.server.access import METRICS_READ
from otel_chat.server.figures.conversation_figures import columns, sums, sums_sql
from otel_chat.server.figures.conversation_rows import Selection, conversation_rows
from otel_chat.server.figures.figures import conditions_on_turns, ratings
from otel_chat.server.figures.filters import Filters
from otel_chat.server.figures.registry import query
from otel_chat.server.figures.sql import Query
from otel_chat.server.figures.sums import classified

if TYPE_CHECKING:
    from collections.abc import Iterable

    from otel_chat.server.access import Scope
    from otel_chat.server.figures.window import Window
    from otel_chat.server.store import Store

Place = tuple[str, str, str]
"""Tenant, agent and channel."""

_OF_TURNS: Final = ("classified", "fallbacks", "priced", "ratings", "top_ratings")
NAMED: Final = ("dropped", "user_types", "hours", "sentiments", "topics", "leads")
"""Counts by name: conversations that were abandoned or failed by their last intent, those that
started by type of user and by hour of the day (UTC), turns by sentiment, conversations by topic,
leads by kind."""


@dataclass(slots=True)
class Counts:
    """What was counted in one place; counts add up.

    Args:
        numbers: Whole numbers: what conversations sum up to, by `conversation_figures.sums`, and
            classified turns, fallbacks, priced turns, ratings and those in the top boxes.
        cost: Of all turns, USD.
        settled_cost: Of the turns of settled conversations, USD.
        named: Those of `NAMED`.
    """

    numbers: Counter[str] = field(default_factory=Counter)
    cost: Decimal = Decimal(0)
    settled_cost: Decimal = Decimal(0)
    named: dict[str, Counter[str]] = field(default_factory=lambda: {n: Counter() for n in NAMED})

    def add(self, other: Counts) -> None:
        """Adds what was counted in another place."""
        self.numbers.update(other.numbers)
        for name, counter in other.named.items():
            self.named[name].update(counter)
        self.cost += other.cost
        self.settled_cost += other.settled_cost

    def __getitem__(self, name: str) -> int:
        return self.numbers[name]


def joined(counts: Iterable[Counts]) -> Counts:
    """All of them as one.

    Example:
        >>> joined([Counts(Counter(settled_n=1)), Counts(Counter(settled_n=2))])["settled_n"]
        3
    """
    whole = Counts()
    for one in counts:
        whole.add(one)
    return whole


def _by_name(names: str) -> str:
    """SQL for how often each name is in the arrays of some rows."""
    keys = f"arrayFilter(x -> x != '', arrayMap(x -> toString(x), {names}))"
    ones = f"arrayMap(x -> toUInt64(1), {keys})"
    return f"CAST(sumMap({keys}, {ones}), 'Map(String, UInt64)')"


def _of_conversations(statement: Query, window: Window, filters: Filters) -> list[dict[str, Any]]:
    rows = conversation_rows(
        statement, Selection(window, filters), "agent", "channel", "last_intent", "user_type",
        "topics", "leads", *columns(),
    )  # fmt: skip
    return statement.run(f"""
        SELECT toString(tenant) AS tenant, toString(agent) AS agent, toString(channel) AS channel,
            {sums_sql()}, {ratings("s.feedback")},
            sumMap(if(outcome IN ('abandoned', 'failed'), map(toString(last_intent), 1), map()))
                AS dropped,
            sumMap(if(s.user_type = '', map(), map(toString(s.user_type), 1))) AS user_types,
            sumMap(map(formatDateTime(s.started_at, '%H', 'UTC'), 1)) AS hours,
            {_by_name("arrayDistinct(s.topics)")} AS topics, {_by_name("s.leads")} AS leads
        FROM {rows} AS s
        GROUP BY tenant, agent, channel
    """)  # noqa: S608


def _of_turns(statement: Query, window: Window, filters: Filters) -> list[dict[str, Any]]:
    source = statement.table(
        "turns",
        (
            "tenant",
            "agent",
            "channel",
            "fallback",
            "cost",
            "sentiment",
            f"{classified(statement)} AS understood",
        ),
        conditions_on_turns(statement, window, filters),
    )
    return statement.run(f"""
        SELECT toString(tenant) AS tenant, toString(agent) AS agent, toString(channel) AS channel,
            countIf(understood) AS classified, countIf(ifNull(fallback, false)) AS fallbacks,
            sum(t.cost) AS cost, count(t.cost) AS priced,
            sumMap(if(t.sentiment = '', map(), map(toString(t.sentiment), 1))) AS sentiments
        FROM {source} AS t
        GROUP BY tenant, agent, channel
    """)  # noqa: S608


@query(METRICS_READ)
def counts(
    store: Store, scope: Scope, window: Window, filters: Filters | None = None
) -> dict[Place, Counts]:
    """What the gauges are made of.

    Args:
        store: The store to ask.
        scope: What the caller may see.
        window: The conversations that started, and the turns and feedback, to count.
        filters: What they are limited to; nothing without.
    """
    statement, limits = Query(store, scope), filters or Filters()
    rows = [
        *_of_conversations(statement, window, limits),
        *_of_turns(statement, window, limits),
    ]
    numbers = {*sums(), *_OF_TURNS} - {"settled_cost"}
    found: dict[Place, Counts] = {}
    for row in rows:
        place = (row["tenant"], row["agent"], row["channel"])
        found.setdefault(place, Counts()).add(
            Counts(
                Counter({name: int(row[name] or 0) for name in numbers & row.keys()}),
                row.get("cost") or Decimal(0),
                row.get("settled_cost") or Decimal(0),
                {
                    name: Counter({text: int(n) for text, n in row.get(name, {}).items()})
                    for name in NAMED
                },
            )
        )
    return found
