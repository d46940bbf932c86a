"""One conversation: its summary, its turns as a transcript, its events in order."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from pydantic import Field

from otel_chat.errors import AccessError
from otel_chat.server.queries import content
from otel_chat.server.queries.aggregation import Selection
from otel_chat.server.queries.answers import Answer
from otel_chat.server.queries.conversations import ConversationSummary, summaries_sql, summary
from otel_chat.server.queries.filters import Filters
from otel_chat.server.queries.inside import intervals
from otel_chat.server.queries.registry import query
from otel_chat.server.queries.split import TimeSplit, split
from otel_chat.server.queries.sql import Query, moment, nanos
from otel_chat.server.queries.turns import Turn, intents_of, transcript, turns_sql
from otel_chat.server.queries.window import EARLIEST, LATEST, Window

if TYPE_CHECKING:
    from otel_chat.server.access import Scope
    from otel_chat.server.store import Store


class Event(Answer):
    """An event of a conversation."""

    name: str
    time: datetime
    trace_id: str = Field(description="The trace that it happened in; empty outside of any.")
    span_id: str = Field(description="The span that it happened in; empty outside of any.")
    details: dict[str, Any] = Field(description="What the event says, by name.")
    text: str | None = Field(
        description="A message's text or a comment; null where none is stored, or where the token"
        " does not hold conversations:read."
    )


class Conversation(Answer):
    """One conversation with its turns and events in order."""

    summary: ConversationSummary
    turns: list[Turn] = Field(description="The turns by time.")
    events: list[Event] = Field(description="The events by time.")
    times: list[TimeSplit] = Field(description="Where the time of each of the turns went.")


DETAILS: Final = (
    "agent", "intent", "confidence", "fallback", "success", "source", "entity_type", "topic",
    "action", "workflow", "step", "api_name", "duration", "status", "reason", "target", "wait",
    "lead_kind", "outcome", "sender", "evaluation", "score", "value", "scale_min", "scale_max",
    "label", "event_name", "error_type", "page",
)  # fmt: skip
READABLE: Final = ("entity_value", "data")
TEXTS: Final = ("text", "comment")


def _event(scope: Scope, row: dict[str, Any]) -> Event:
    details = {name: row[name] for name in DETAILS if row[name] not in {None, ""}}
    if content.readable(scope):
        details.update({name: row[name] for name in READABLE if row[name]})
    details.update(content.attributes(scope, dict(row["attributes"])))
    return Event(
        name=row["name"],
        time=moment(row["time_ns"]),
        trace_id=row["trace_hex"],
        span_id=row["span_hex"],
        details={
            name: float(value) if isinstance(value, Decimal) else value
            for name, value in details.items()
        },
        text=content.said(scope, next((row[name] for name in TEXTS if row[name]), "")),
    )


def events_of(statement: Query, scope: Scope, conditions: list[str]) -> list[Event]:
    """The events that fulfil the conditions, by time."""
    columns = (*DETAILS, *READABLE, *TEXTS, "name", "attributes")
    source = statement.table("events", (*columns, "time", "uid", "trace_id", "span_id"), conditions)
    rows = statement.run(f"""
        SELECT {", ".join(columns)}, {nanos("time")} AS time_ns,
            lower(hex(trace_id)) AS trace_hex, lower(hex(span_id)) AS span_hex
        FROM {source} AS e
        ORDER BY time, name, uid
    """)  # noqa: S608
    return [_event(scope, row) for row in rows]


def find(
    store: Store, scope: Scope, window: Window, conversation_id: str, tenant: str | None
) -> tuple[Query, ConversationSummary]:
    """A conversation's summary, whenever it was.

    Raises:
        AccessError: With status 404, if the scope has no conversation of this id.
    """
    statement = Query(store, scope)
    always = Window(EARLIEST, LATEST, window.now, window.idle)
    sql = summaries_sql(statement, Selection(always, Filters(conversation_id=conversation_id)))
    if tenant is not None:
        sql += f" WHERE tenant = {statement.bind(tenant, 'String')}"
    rows = statement.run(f"{sql} ORDER BY tenant LIMIT 1")
    if not rows:
        raise AccessError("There is no conversation of this id.", status=404)
    return statement, summary(rows[0])


def of_conversation(statement: Query, conversation_id: str, tenant: str) -> list[str]:
    """The conditions that rows belong to a conversation."""
    return [
        f"conversation_id = {statement.bind(conversation_id, 'String')}",
        f"tenant = {statement.bind(tenant, 'String')}",
    ]


@query()
def conversation(
    store: Store,
    scope: Scope,
    window: Window,
    conversation_id: str,
    tenant: str | None = None,
) -> Conversation:
    """One conversation with its turns and events in order.

    Args:
        store: The store to ask.
        scope: What the caller may see; text only with conversations:read.
        window: When it is asked about; a conversation of any time is found.
        conversation_id: Its id.
        tenant: Its tenant, where several of the scope's tenants have one of this id; the first
            by name without.

    Raises:
        AccessError: With status 404, if the scope has no conversation of this id.
    """
    statement, about = find(store, scope, window, conversation_id, tenant)
    conditions = of_conversation(statement, conversation_id, about.tenant)
    rows = statement.run(
        f"{turns_sql(statement, conditions)} ORDER BY start_ns, trace_hex, span_hex"
    )
    intents = intents_of(statement, conditions)
    return Conversation(
        summary=about,
        turns=transcript(scope, rows, intents),
        events=events_of(statement, scope, conditions),
        times=_times(statement, about, rows),
    )


def _times(
    statement: Query, about: ConversationSummary, rows: list[dict[str, Any]]
) -> list[TimeSplit]:
    inside = intervals(
        statement, [row["trace_hex"] for row in rows], about.started_at, about.last_at
    )
    found = {
        (trace, one.span_id): (one, spans)
        for (tenant, trace), spans in inside.items()
        if tenant == about.tenant
        for one in spans
    }
    return [
        split(*found[row["trace_hex"], row["span_hex"]])
        for row in rows
        if (row["trace_hex"], row["span_hex"]) in found
    ]
