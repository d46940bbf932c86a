"""Who waits for a human: a handoff was requested, and nobody has taken over."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from pydantic import Field

from otel_chat import semconv
from otel_chat.server.figures import content
from otel_chat.server.figures.answers import Answer
from otel_chat.server.figures.conversation_rows import KEY, among, members
from otel_chat.server.figures.figures import conditions_on_turns
from otel_chat.server.figures.registry import figure, query
from otel_chat.server.figures.sql import Query, moment, nanos

if TYPE_CHECKING:
    from otel_chat.server.access import Scope
    from otel_chat.server.figures.filters import Filters
    from otel_chat.server.figures.window import Window
    from otel_chat.server.store import Store

MOST: Final = 50
BACK: Final = timedelta(days=1)
HUMAN: Final = "human"
_EVENTS: Final = ("tenant", "conversation_id", "time", "name", "reason", "target", "sender")
_TURNS: Final = (
    "tenant", "conversation_id", "start", "handoff", "handoff_reason", "handoff_target",
)  # fmt: skip
_KEY: Final = "toString(tenant) AS tenant, conversation_id"


class Waiting(Answer):
    """A conversation that waits for a human."""

    conversation_id: str
    tenant: str
    since: datetime = Field(description="When it asked for one, and nobody has come since; UTC.")
    reason: str = Field(description="Why, as it was reported; empty where it was not.")
    target: str = Field(description="Where to, likewise.")
    agent: str
    channel: str
    last_message: str | None = Field(
        description="What the user wrote last; null where it is not stored, or where the token"
        " lacks conversations:read."
    )
    last_at: datetime = Field(description="When the last turn started, UTC.")


class WaitingList(Answer):
    """Who waits for a human, the longest first."""

    total: int = figure(
        "waiting_conversations",
        "{conversation}",
        "Conversations of which a handoff was requested in the last day, that were not ended, and"
        " in which no handoff was accepted or ended and no human wrote since.",
    )
    answered: int = Field(
        description="Handoffs that were accepted, or messages of humans, in that day. Where there"
        " is none, nobody may have told: then all who ever asked seem to wait."
    )
    items: list[Waiting] = Field(description=f"At most {MOST}.")


@query()
def waiting(store: Store, scope: Scope, window: Window, filters: Filters) -> WaitingList:
    """Who waits for a human, the longest first.

    Args:
        store: The store to ask.
        scope: What the caller may see; the last message only with conversations:read.
        window: The handoff was requested in the day before its end.
        filters: What the conversations are limited to.
    """
    window = replace(window, start=window.end - BACK)
    statement = Query(store, scope)
    rows = statement.run(_waiting_sql(statement, window, filters))
    answered = _answered(Query(store, scope), window, filters)
    keys = [(row["tenant"], row["conversation_id"]) for row in rows]
    last = _last_turns(Query(store, scope), window, keys) if keys else {}
    items = []
    for row, key in zip(rows, keys, strict=True):
        turn = last.get(key, {})
        items.append(
            Waiting(
                conversation_id=key[1],
                tenant=key[0],
                since=moment(row["asked_ns"]),
                reason=row["why"],
                target=row["whom"],
                agent=turn.get("last_agent", ""),
                channel=turn.get("last_channel", ""),
                last_message=content.user_message(scope, turn.get("said", "")),
                last_at=moment(turn.get("last_ns", row["asked_ns"])),
            )
        )
    return WaitingList(total=rows[0]["total"] if rows else 0, answered=answered, items=items)


def _of_events(statement: Query, window: Window, filters: Filters, names: str) -> str:
    conditions = [statement.between("time", window.start, window.end), names]
    if not filters.empty:
        conditions.append(members(statement, window, filters))
    return statement.table("events", _EVENTS, conditions)


_TAKEN: Final = (
    f"name = '{semconv.EVENT_HANDOFF_ACCEPTED}' OR sender = '{HUMAN}'"
    f" AND name = '{semconv.EVENT_MESSAGE}'"
)


def _waiting_sql(statement: Query, window: Window, filters: Filters) -> str:
    """Those whose request is later than all that ends the waiting.

    Kinds: 1 a request, 2 what ends it. A request of the same moment as an acceptance has waited.
    """
    ending = (semconv.EVENT_CONVERSATION_END, semconv.EVENT_HANDOFF_ENDED)
    known = f"name IN {(semconv.EVENT_HANDOFF_REQUESTED, *ending)} OR {_TAKEN}"
    of_turns = statement.table(
        "turns", _TURNS, ["handoff", *conditions_on_turns(statement, window, filters)]
    )
    return f"""
        SELECT tenant, conversation_id,
            minIf(at, kind = 1 AND at > ends) AS asked_ns,
            argMinIf(reason, at, kind = 1 AND at > ends) AS why,
            argMinIf(target, at, kind = 1 AND at > ends) AS whom,
            count() OVER () AS total
        FROM (
            SELECT *, maxIf(at, kind = 2) OVER (PARTITION BY tenant, conversation_id) AS ends
            FROM (
                SELECT {_KEY}, {nanos("start")} AS at, 1 AS kind,
                    toString(handoff_reason) AS reason, toString(handoff_target) AS target
                FROM {of_turns} AS t
                UNION ALL
                SELECT {_KEY}, {nanos("time")} AS at,
                    if(name = '{semconv.EVENT_HANDOFF_REQUESTED}', 1, 2) AS kind,
                    toString(reason) AS reason, toString(target) AS target
                FROM {_of_events(statement, window, filters, known)} AS e
            )
        )
        WHERE conversation_id != ''
        GROUP BY tenant, conversation_id
        HAVING countIf(kind = 1 AND at > ends) > 0
        ORDER BY asked_ns, tenant, conversation_id
        LIMIT {MOST}
    """  # noqa: S608


def _answered(statement: Query, window: Window, filters: Filters) -> int:
    source = _of_events(statement, window, filters, _TAKEN)
    return int(statement.one(f"SELECT count() AS found FROM {source} AS e").get("found", 0))  # noqa: S608


def _last_turns(
    statement: Query, window: Window, keys: list[tuple[str, str]]
) -> dict[tuple[str, str], dict[str, Any]]:
    conditions = [
        statement.between("start", window.start, window.end),
        *among(statement, keys),
    ]
    columns = ("tenant", "conversation_id", "start", "agent", "channel", "input_messages")
    rows = statement.run(f"""
        SELECT {KEY}, max({nanos("start")}) AS last_ns,
            argMaxIf(toString(agent), start, agent != '') AS last_agent,
            argMaxIf(toString(channel), start, channel != '') AS last_channel,
            argMaxIf(input_messages, start, input_messages != '') AS said
        FROM {statement.table("turns", columns, conditions)} AS t GROUP BY {KEY}
    """)  # noqa: S608
    return {(row["tenant"], row["conversation_id"]): row for row in rows}
