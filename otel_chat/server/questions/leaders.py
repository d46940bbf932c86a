"""What leads the window: topics, user types, actions and intents, and what moved containment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pydantic import Field

from otel_chat import semconv
from otel_chat.server.figures.answers import Answer, TimeSpan
from otel_chat.server.figures.chance import Ratios, contribution
from otel_chat.server.figures.conversation_rows import Selection, conversation_rows, members
from otel_chat.server.figures.figures import by_period, conditions_on_turns
from otel_chat.server.figures.registry import figure, query
from otel_chat.server.figures.sql import Query, ratio
from otel_chat.server.figures.window import Window
from otel_chat.server.questions.subjects import NAMED_TOPICS, UNRESOLVED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from otel_chat.server.access import Scope
    from otel_chat.server.figures.filters import Filters
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
    previous_contained: int = Field(description="How many that were, then.")
    contribution: float | None = figure(
        "containment_contribution",
        "1",
        "How far the conversations that end with this intent moved containment: their share of all"
        " settled conversations × how far their own containment is from that of all before, now"
        " less before. The parts of all intents sum to the change.",
        version=2,
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


def now_and_before(rows: Sequence[dict[str, Any]], name: str = "counted") -> Counted:
    """What rows of a window and of the one before say of each name.

    Args:
        rows: Rows with `name`, and `part`: 1 for the window, 0 for the one before.
        name: The column to add up.
    """
    found: Counted = {}
    for row in rows:
        now, before = found.get(row["name"], (0, 0))
        part = row[name]
        found[row["name"]] = (now + part, before) if row["part"] else (now, before + part)
    return found


TOPIC, USER_TYPE, LAST_INTENT = 1, 2, 3


def conversations_by_name(
    statement: Query, window: Window, filters: Filters, columns: Mapping[int, str]
) -> dict[int, list[dict[str, Any]]]:
    """How many conversations there are of each topic, and of each value of some columns.

    Args:
        statement: The SELECT under construction.
        window: Conversations that started in it, and in the one before.
        filters: What they are limited to.
        columns: Of a conversation's row, by what to call them.

    Returns:
        By `TOPIC` and what the columns are called rows of `name` and `part` (1 for the window, 0
        for the one before), with how many were `counted`, and ended `unresolved`. A topic
        without a name stands for all conversations with any.
    """
    selection = Selection(window.with_previous(), filters)
    source = conversation_rows(
        statement, selection, "started_at", "settled", "handed_off", "outcome", "topics",
        *columns.values(),
    )  # fmt: skip
    values = ", ".join(f"toString({column})" for column in columns.values())
    # Alike ones are counted first, as each may come under many names.
    alike = f"part, settled, handed_off, outcome, topics, {', '.join(columns.values())}"
    rows = statement.run(f"""
        SELECT part, kind, name, sum(conversations) AS counted,
            sumIf(conversations, settled) AS settled_n,
            sumIf(conversations, settled AND handed_off) AS handed,
            sumIf(conversations, {UNRESOLVED}) AS unresolved
        FROM (
            SELECT {alike}, count() AS conversations,
                if(empty(topics), [], {NAMED_TOPICS}) AS named,
                arrayConcat([{values}], arrayMap(x -> toString(x), named)) AS names,
                arrayConcat({list(columns)}, arrayMap(x -> {TOPIC}, named)) AS kinds
            FROM (
                SELECT *, {by_period(window)(statement, "started_at")} AS part FROM {source} AS c
            )
            GROUP BY {alike}
        )
        ARRAY JOIN names AS name, kinds AS kind
        GROUP BY part, kind, name
    """)  # noqa: S608
    return {kind: [row for row in rows if row["kind"] == kind] for kind in (TOPIC, *columns)}


def _topics(rows: list[dict[str, Any]]) -> list[Leader]:
    counted = now_and_before(rows)
    whole, _ = counted.pop("", (0, 0))
    return _leaders(counted, whole)


def _user_types(rows: list[dict[str, Any]]) -> list[Leader]:
    counted = now_and_before(rows)
    return _leaders(counted, sum(now for now, _ in counted.values()))


def _actions(statement: Query, window: Window, filters: Filters) -> list[Leader]:
    both = window.with_previous()
    conditions = [
        statement.within("time", both),
        f"name = '{semconv.EVENT_ACTION}'",
    ]
    if not filters.empty:
        conditions.append(members(statement, both, filters))
    source = statement.table("events", ("time", "action"), conditions)
    rows = statement.run(f"""
        SELECT {by_period(window)(statement, "time")} AS part, action AS name, count() AS counted
        FROM {source} AS e GROUP BY part, name
    """)  # noqa: S608
    counted = now_and_before(rows)
    return _leaders(counted, sum(now for now, _ in counted.values()))


def _intents(statement: Query, window: Window, filters: Filters) -> list[Leader]:
    both = window.with_previous()
    columns = (
        f"{by_period(window)(statement, 'start')} AS part",
        "toString(intent) AS name",
        "count() AS counted",
    )
    conditions = [*conditions_on_turns(statement, both, filters), "intent != ''"]
    rows = statement.run(f"{statement.select('turns', columns, conditions)} GROUP BY part, name")
    counted = now_and_before(rows)
    return _leaders(counted, sum(now for now, _ in counted.values()))


def _movers(rows: list[dict[str, Any]]) -> list[Mover]:
    by_part: tuple[dict[str, dict[str, Any]], ...] = ({}, {})
    for row in rows:
        by_part[row["part"]][row["name"]] = row
    before, now = by_part
    whole, earlier = (
        sum((_contained(row) for row in part.values()), Ratios()) for part in (now, before)
    )
    movers = [
        _mover(
            name, _contained(now.get(name, {})), _contained(before.get(name, {})), whole, earlier
        )
        for name in {*now, *before}
    ]
    movers.sort(key=lambda one: (one.contribution or 0, -one.handed_off, one.intent))
    return movers[:LISTED]


def _contained(row: Mapping[str, Any]) -> Ratios:
    settled = row.get("settled_n", 0)
    return Ratios.share(settled - row.get("handed", 0), settled)


def _mover(intent: str, now: Ratios, before: Ratios, whole: Ratios, earlier: Ratios) -> Mover:
    return Mover(
        intent=intent,
        settled=now.y,
        handed_off=now.y - now.x,
        containment=now.value,
        previous=before.value,
        previous_contained=before.x,
        contribution=contribution(now, before, whole, earlier),
    )


@query()
def leaders(store: Store, scope: Scope, window: Window, filters: Filters) -> Leaders:
    """What leads the window: topics, user types, actions, intents, and what moved containment.

    Args:
        store: The store to ask.
        scope: What the caller may see.
        window: The time that the figures cover.
        filters: What they are limited to.

    Raises:
        QueryError: If the window is of active conversations.
    """
    window.check_parted()
    columns = {USER_TYPE: "user_type", LAST_INTENT: "last_intent"}
    actions = store.submit(_actions, Query(store, scope), window, filters)
    intents = store.submit(_intents, Query(store, scope), window, filters)
    conversations = conversations_by_name(Query(store, scope), window, filters, columns)
    return Leaders(
        window=TimeSpan.of(window),
        topics=_topics(conversations[TOPIC]),
        user_types=_user_types(conversations[USER_TYPE]),
        actions=actions.result(),
        intents=intents.result(),
        containment=_movers(conversations[LAST_INTENT]),
    )
