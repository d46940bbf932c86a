"""One conversation: its summary, its turns as a transcript, its events in order."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from pydantic import Field

from otel_chat import semconv
from otel_chat.errors import AccessError
from otel_chat.server.queries import content
from otel_chat.server.queries.answers import Answer
from otel_chat.server.queries.conversation_rows import row_now
from otel_chat.server.queries.conversations import (
    COLUMNS,
    ConversationSummary,
    summaries_sql,
    summary,
)
from otel_chat.server.queries.found import Span, found_when
from otel_chat.server.queries.inside import intervals
from otel_chat.server.queries.registry import query
from otel_chat.server.queries.split import TimeSplit, split
from otel_chat.server.queries.sql import Query, moment, nanos
from otel_chat.server.queries.turns import Turn, transcript, turn_intents, turns_sql
from otel_chat.server.queries.window import Window

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


class Action(Answer):
    """Something that was done for the user."""

    time: datetime
    type: str = Field(description="As the application named it.")
    data: Any = Field(
        description="What belongs to it, as it was reported and redacted; null without, or where"
        " the token does not hold conversations:read."
    )


class Conversation(Answer):
    """One conversation with its turns and events in order."""

    summary: ConversationSummary
    pages_visited: list[str] = Field(
        description="The pages of its turns and events, each once, in order of the first visit."
    )
    actions: list[Action] = Field(description="What was done for the user, by time.")
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


def _event_rows(statement: Query, conditions: list[str]) -> list[dict[str, Any]]:
    """The events that fulfil the conditions, by time."""
    columns = (
        *DETAILS,
        *READABLE,
        *TEXTS,
        "name",
        "attributes",
        f"{nanos('time')} AS time_ns",
        "lower(hex(trace_id)) AS trace_hex",
        "lower(hex(span_id)) AS span_hex",
    )
    events = statement.select("events", columns, conditions)
    return statement.run(f"{events} ORDER BY time, name, uid")


@dataclass(frozen=True, slots=True)
class Found:
    """A conversation that was found.

    Args:
        statement: What to ask more of it with.
        key: Its tenant and its id.
        turns: When it has turns.
        events: When it has events; `None` if it has none.
    """

    statement: Query
    key: tuple[str, str]
    turns: Span
    events: Span | None

    @property
    def last(self) -> datetime:
        """The end of whatever belongs to it."""
        return max(self.turns[1], self.events[1]) if self.events else self.turns[1]

    def of_turns(self) -> list[str]:
        """The conditions that turns belong to it."""
        return [*self._named(), self.statement.between("start", *self.turns)]

    def of_events(self) -> list[str]:
        """The conditions that events belong to it."""
        start, end = self.events or (self.turns[0], self.turns[0])
        return [*self._named(), self.statement.between("time", start, end)]

    def about(self, window: Window) -> ConversationSummary:
        """Its summary, as things stand when `window` is asked about."""
        statement = self.statement.again()
        seen = (min(self.turns[0], (self.events or self.turns)[0]), self.last)
        return summary(
            statement.one(summaries_sql(row_now(statement, self.key, window, seen, *COLUMNS)))
        )

    def _named(self) -> list[str]:
        tenant, conversation_id = self.key
        return [
            f"conversation_id = {self.statement.bind(conversation_id, 'String')}",
            f"tenant = {self.statement.bind(tenant, 'String')}",
        ]


def find(store: Store, scope: Scope, conversation_id: str, tenant: str | None) -> Found:
    """A conversation, whenever it was.

    Args:
        store: The store to ask.
        scope: What the caller may see.
        conversation_id: Its id.
        tenant: Its tenant; the first by name without.

    Raises:
        AccessError: With status 404, if the scope has no conversation of this id.
    """
    statement = Query(store, scope, synthetic=True)
    named = [f"conversation_id = {statement.bind(conversation_id, 'String')}"]
    events_beside = store.beside(found_when, statement.again(), "events", named)
    turns = found_when(statement, "turns", named)
    events = events_beside.result()
    owner = min(turns, default="") if tenant is None else tenant
    if owner not in turns:
        raise AccessError("There is no conversation of this id.", status=404)
    return Found(statement.again(), (owner, conversation_id), turns[owner], events.get(owner))


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
    found = find(store, scope, conversation_id, tenant)
    statement = found.statement
    of_events = found.of_events()
    about = store.beside(found.about, window)
    events_beside = store.beside(_event_rows, statement.again(), of_events)
    rows = statement.run(
        f"{turns_sql(statement, found.of_turns())} ORDER BY start_ns, trace_hex, span_hex"
    )
    times = _times(found, rows)
    events = events_beside.result()
    intents = turn_intents(row for row in events if row["name"] == semconv.EVENT_INTENT)
    return Conversation(
        summary=about.result(),
        pages_visited=_pages(rows, events),
        actions=[_action(scope, row) for row in events if row["name"] == semconv.EVENT_ACTION],
        turns=transcript(scope, rows, intents),
        events=[_event(scope, row) for row in events],
        times=times,
    )


def _pages(turns: list[dict[str, Any]], events: list[dict[str, Any]]) -> list[str]:
    visits = [(row["start_ns"], row["page"]) for row in turns]
    visits += [(row["time_ns"], row["page"]) for row in events]
    return list(dict.fromkeys(page for _, page in sorted(visits) if page))


def _action(scope: Scope, row: dict[str, Any]) -> Action:
    data = content.said(scope, row["data"])
    return Action(time=moment(row["time_ns"]), type=row["action"], data=_read(data))


def _read(data: str | None) -> Any:
    """What was reported as JSON; the text where it was cut and is none any more."""
    try:
        return None if data is None else json.loads(data)
    except (ValueError, RecursionError):
        return data


def _times(found: Found, rows: list[dict[str, Any]]) -> list[TimeSplit]:
    traces = [row["trace_hex"] for row in rows]
    inside = {
        (trace, one.span_id): (one, spans)
        for (tenant, trace), spans in intervals(
            found.statement, traces, found.turns[0], found.last
        ).items()
        if tenant == found.key[0]
        for one in spans
    }
    return [
        split(*inside[row["trace_hex"], row["span_hex"]])
        for row in rows
        if (row["trace_hex"], row["span_hex"]) in inside
    ]
