"""What leads the window: topics, user types, actions and intents, and what moved containment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pydantic import Field

from otel_chat import semconv
from otel_chat.server.queries.aggregation import Selection, conversation_rows
from otel_chat.server.queries.answers import Answer, TimeSpan
from otel_chat.server.queries.figures import by_period, members, turns_source
from otel_chat.server.queries.registry import figure, query
from otel_chat.server.queries.sql import Query, ratio
from otel_chat.server.queries.subjects import NAMED_TOPICS
from otel_chat.server.queries.window import Window

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_chat.server.access import Scope
    from otel_chat.server.queries.filters import Filters
    from otel_chat.server.store import Store

LISTED: Final = 8
Counted = dict[str, tuple[int, int]]
"""How often each was in the window, and how often in the window before."""


class Leader(Answer):
    """Something that is frequent."""

    name: str
    count: int = Field(description="How often in the window; the list says of what.")
    share: float | None = Field(description="Its part of all that the list counts.")
    previous: int = Field(description="How often in the window before.")


class Mover(Answer):
    """What the conversations that end with an intent did to containment."""

    intent: str = Field(description="The last intent of the conversations; empty without any.")
    settled: int = Field(description="Settled conversations that end with it.")
    handed_off: int = Field(description="Those of them that a human was asked for in.")
    containment: float | None = Field(description="The share of them without a handoff.")
    previous: float | None = Field(description="The same in the window before.")
    contribution: float | None = figure(
        "containment_contribution",
        "1",
        "How far the conversations that end with this intent moved containment: their handoffs ÷"
        " all settled conversations, before less now. The parts of all intents sum to the change.",
    )


class Leaders(Answer):
    """What leads the window, the most frequent first, beside the window before."""

    window: TimeSpan
    topics: list[Leader] = figure(
        "leading_topics",
        "{conversation}",
        "Conversations of the window with the topic; the share is of those with any topic.",
    )
    user_types: list[Leader] = figure(
        "leading_user_types",
        "{conversation}",
        "Conversations of the window by type of user; empty where none was named.",
    )
    actions: list[Leader] = figure(
        "actions_by_type", "{action}", "Actions of the window by what was done, by their own time."
    )
    intents: list[Leader] = figure(
        "leading_intents",
        "{turn}",
        "Turns of the window by intent; the share is of the turns with any intent.",
    )
    containment: list[Mover] = Field(
        description="What moved containment against the window before, the greatest fall first."
    )


def _leaders(counted: Counted, whole: int) -> list[Leader]:
    ranked = sorted(counted.items(), key=lambda one: (-one[1][0], one[0]))
    return [
        Leader(name=name, count=now, share=ratio(now, whole), previous=before)
        for name, (now, before) in ranked[:LISTED]
        if now
    ]


def _counted(rows: Sequence[dict[str, Any]]) -> Counted:
    found: Counted = {}
    for row in rows:
        now, before = found.get(row["name"], (0, 0))
        part = row["counted"]
        found[row["name"]] = (now + part, before) if row["part"] else (now, before + part)
    return found


def _topics(statement: Query, window: Window, filters: Filters) -> list[Leader]:
    both = window.with_previous()
    conversations = conversation_rows(statement, Selection(both, filters), (), ("topics",))
    rows = statement.run(f"""
        SELECT {by_period(window)(statement, "started_at")} AS part, name, count() AS counted
        FROM {conversations} AS c
        ARRAY JOIN {NAMED_TOPICS} AS name
        WHERE notEmpty(topics)
        GROUP BY part, name
    """)  # noqa: S608
    counted = _counted(rows)
    whole, _ = counted.pop("", (0, 0))
    return _leaders(counted, whole)


def _user_types(statement: Query, window: Window, filters: Filters) -> list[Leader]:
    source = conversation_rows(
        statement, Selection(window.with_previous(), filters), ("user_type",)
    )
    rows = statement.run(f"""
        SELECT {by_period(window)(statement, "started_at")} AS part, user_type AS name,
            count() AS counted
        FROM {source} AS c GROUP BY part, name
    """)  # noqa: S608
    counted = _counted(rows)
    return _leaders(counted, sum(now for now, _ in counted.values()))


def _actions(statement: Query, window: Window, filters: Filters) -> list[Leader]:
    both = window.with_previous()
    conditions = [
        statement.between("time", both.start, both.end),
        f"name = '{semconv.EVENT_ACTION}'",
    ]
    if not filters.empty:
        conditions.append(members(statement, both, filters))
    source = statement.table("events", ("time", "action"), conditions)
    rows = statement.run(f"""
        SELECT {by_period(window)(statement, "time")} AS part, action AS name, count() AS counted
        FROM {source} AS e GROUP BY part, name
    """)  # noqa: S608
    counted = _counted(rows)
    return _leaders(counted, sum(now for now, _ in counted.values()))


def _intents(statement: Query, window: Window, filters: Filters) -> list[Leader]:
    source = turns_source(statement, window.with_previous(), filters, ("start", "intent"))
    rows = statement.run(f"""
        SELECT {by_period(window)(statement, "start")} AS part, intent AS name, count() AS counted
        FROM {source} AS t WHERE intent != '' GROUP BY part, name
    """)  # noqa: S608
    counted = _counted(rows)
    return _leaders(counted, sum(now for now, _ in counted.values()))


def _movers(statement: Query, window: Window, filters: Filters) -> list[Mover]:
    source = conversation_rows(
        statement, Selection(window.with_previous(), filters), ("last_intent",)
    )
    rows = statement.run(f"""
        SELECT {by_period(window)(statement, "started_at")} AS part, last_intent AS name,
            countIf(settled) AS settled_n, countIf(settled AND handed_off) AS handed
        FROM {source} AS c GROUP BY part, name
    """)  # noqa: S608
    by_part: tuple[dict[str, dict[str, Any]], ...] = ({}, {})
    for row in rows:
        by_part[row["part"]][row["name"]] = row
    before, now = by_part
    whole, earlier = (sum(row["settled_n"] for row in part.values()) for part in (now, before))
    movers = [
        _mover(name, now.get(name, {}), before.get(name, {}), whole, earlier)
        for name in {*now, *before}
    ]
    movers.sort(key=lambda one: (one.contribution or 0, -one.handed_off, one.intent))
    return movers[:LISTED]


def _mover(
    intent: str, now: dict[str, Any], before: dict[str, Any], whole: int, earlier: int
) -> Mover:
    settled, handed = now.get("settled_n", 0), now.get("handed", 0)
    past, present = ratio(before.get("handed", 0), earlier), ratio(handed, whole)
    return Mover(
        intent=intent,
        settled=settled,
        handed_off=handed,
        containment=ratio(settled - handed, settled),
        previous=ratio(
            before.get("settled_n", 0) - before.get("handed", 0), before.get("settled_n", 0)
        ),
        contribution=None if past is None or present is None else past - present,
    )


@query()
def leaders(store: Store, scope: Scope, window: Window, filters: Filters) -> Leaders:
    """What leads the window: topics, user types, actions, intents, and what moved containment.

    Args:
        store: The store to ask.
        scope: What the caller may see.
        window: The time that the figures cover.
        filters: What they are limited to.
    """
    return Leaders(
        window=TimeSpan.of(window),
        topics=_topics(Query(store, scope), window, filters),
        user_types=_user_types(Query(store, scope), window, filters),
        actions=_actions(Query(store, scope), window, filters),
        intents=_intents(Query(store, scope), window, filters),
        containment=_movers(Query(store, scope), window, filters),
    )
