"""One conversation: its summary, its turns as a transcript, its events in order."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from pydantic import Field

from otel_chat import semconv
from otel_chat.errors import AccessError
from otel_chat.server.episodes import RAW, Episode
from otel_chat.server.figures import content
from otel_chat.server.figures.answers import Answer
from otel_chat.server.figures.conversation_rows import row_now
from otel_chat.server.figures.lookup import Span, lookup_times
from otel_chat.server.figures.registry import query
from otel_chat.server.figures.sql import Query, moment, nanos
from otel_chat.server.figures.window import Window
from otel_chat.server.questions.conversations import (
    COLUMNS,
    ConversationSummary,
    summaries_sql,
    summary,
)
from otel_chat.server.questions.split import Interval, TimeSplit, split
from otel_chat.server.questions.timeline import ITEMS, Page, cursor_of, page_of
from otel_chat.server.questions.trace_spans import trace_intervals
from otel_chat.server.questions.turns import Turn, intents_of, transcript, turns_sql

if TYPE_CHECKING:
    from otel_chat.server.access import Scope
    from otel_chat.server.store import Store


MOST_PAGES: Final = 1000
NEAR: Final = 200
"""How many turns and events after the start of a turn are looked at for what happened in it."""


class Event(Answer):
    """An event of a conversation."""

    name: str
    time: datetime
    trace_id: str = Field(description="The trace that it happened in; empty outside of any.")
    span_id: str = Field(description="The span that it happened in; empty outside of any.")
    turn_span_id: str | None = Field(
        description="The turn that it happened in; null outside of any."
    )
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
    """One conversation with its turns and events in order, page by page where it is long."""

    summary: ConversationSummary
    pages_visited: list[str] = Field(
        description="The pages of all its turns and events, each once, in order of the first"
        f" visit; the first {MOST_PAGES}."
    )
    actions: list[Action] = Field(
        description="What was done for the user on this page of it, by time."
    )
    turns: list[Turn] = Field(description="The turns of the page by time.")
    events: list[Event] = Field(description="The events of the page by time.")
    times: list[TimeSplit] = Field(description="Where the time of each of the turns went.")
    previous_episode: str | None = Field(
        None, description="The conversation that the id was before a silence; null without."
    )
    next_episode: str | None = Field(
        None, description="The conversation that the id became after a silence; null without."
    )
    next_cursor: str | None = Field(
        description="Ask with it for the turns and events that follow; null at the end."
    )


DETAILS: Final = (
    "agent", "intent", "confidence", "fallback", "success", "source", "entity_type", "topic",
    "action", "workflow", "step", "api_name", "duration", "status", "reason", "target", "wait",
    "lead_kind", "outcome", "sender", "evaluation", "score", "value", "scale_min", "scale_max",
    "label", "event_name", "error_type", "page",
)  # fmt: skip
READABLE: Final = ("entity_value", "data")
TEXTS: Final = ("text", "comment")


def _event(scope: Scope, row: dict[str, Any], turn_span_id: str | None) -> Event:
    details = {name: row[name] for name in DETAILS if row[name] not in {None, ""}}
    if content.readable(scope):
        details.update({name: row[name] for name in READABLE if row[name]})
    details.update(content.attributes(scope, dict(row["attributes"])))
    return Event(
        name=row["name"],
        time=moment(row["time_ns"]),
        trace_id=row["trace_hex"],
        span_id=row["span_hex"],
        turn_span_id=turn_span_id,
        details={
            name: float(value) if isinstance(value, Decimal) else value
            for name, value in details.items()
        },
        text=content.said(scope, next((row[name] for name in TEXTS if row[name]), "")),
    )


def _event_rows(statement: Query, conditions: list[str]) -> list[dict[str, Any]]:
    """The events that fulfil the conditions."""
    columns = (
        *DETAILS,
        *READABLE,
        *TEXTS,
        "name",
        "uid",
        "attributes",
        f"{nanos('time')} AS time_ns",
        "lower(hex(trace_id)) AS trace_hex",
        "lower(hex(span_id)) AS span_hex",
    )
    return statement.run(statement.select("events", columns, conditions))


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

    def of_turns(self, statement: Query, page: Page | None = None) -> list[str]:
        """The conditions that turns belong to it, or to the time of those of a page."""
        return self._within(statement, "start", self.turns if page is None else page.span("0"))

    def of_events(self, statement: Query, page: Page | None = None) -> list[str]:
        """The conditions that events belong to it, or to the time of those of a page."""
        return self._within(statement, "time", self.events if page is None else page.span("1"))

    def about(self, window: Window) -> ConversationSummary:
        """Its summary, as things stand when `window` is asked about."""
        statement = self.statement.again()
        seen = (min(self.turns[0], (self.events or self.turns)[0]), self.last)
        return summary(
            statement.one(summaries_sql(row_now(statement, self.key, window, seen, *COLUMNS)))
        )

    def page(self, cursor: str | None, limit: int, turns_at_most: int | None = None) -> Page:
        """A page of its turns and events; see `page_of`."""
        statement = self.statement.again()
        turns, events = self.of_turns(statement), self.of_events(statement)
        return page_of(statement, self.key, turns, events, cursor, limit, turns_at_most)

    def _within(self, statement: Query, column: str, span: Span | None) -> list[str]:
        tenant, conversation_id = self.key
        return [
            f"conversation_id = {statement.bind(conversation_id, 'String')}",
            *statement.of_ids([conversation_id]),
            f"tenant = {statement.bind(tenant, 'String')}",
            statement.between(column, *(span or (self.turns[0], self.turns[0]))),
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
    named = [
        f"conversation_id = {statement.bind(conversation_id, 'String')}",
        *statement.of_ids([conversation_id]),
    ]
    events_asked = store.submit(lookup_times, statement.again(), "events", named)
    turns = lookup_times(statement, "turns", named)
    events = events_asked.result()
    owner = min(turns, default="") if tenant is None else tenant
    if owner not in turns:
        known = _first_left(statement.again(), conversation_id, tenant)
        if known is None:
            raise AccessError("There is no conversation of this id.", status=404)
        return find(store, scope, known, tenant)
    return Found(statement.again(), (owner, conversation_id), turns[owner], events.get(owner))


def _first_left(statement: Query, conversation_id: str, tenant: str | None) -> str | None:
    """The first episode of an id that is still there, where the very first was erased."""
    if statement.store.rules.gap is None:
        return None
    conditions = [
        f"{RAW} = {statement.bind(conversation_id, 'String')}",
        *([] if tenant is None else [f"tenant = {statement.bind(tenant, 'String')}"]),
        "episode != 0",
    ]
    rows = statement.select("conversations", ("conversation_id",), conditions)
    return statement.one(f"{rows} ORDER BY tenant, episode LIMIT 1").get("conversation_id")


def _neighbours(found: Found) -> dict[str, str | None]:
    """The episodes of its id before and after a conversation."""
    sides = ("previous_episode", "next_episode")
    statement, (tenant, conversation_id) = found.statement.again(), found.key
    if statement.store.rules.gap is None:
        return dict.fromkeys(sides)
    known = Episode.of(conversation_id)
    begun = statement.bind(known.begun, "Int64")
    rows = statement.table(
        "conversations",
        ("conversation_id", "episode"),
        [
            f"{RAW} = {statement.bind(known.raw, 'String')}",
            f"tenant = {statement.bind(tenant, 'String')}",
        ],
    )
    told = statement.one(f"""
        SELECT argMaxIf(conversation_id, episode, episode < {begun}) AS previous_episode,
            argMinIf(conversation_id, episode, episode > {begun}) AS next_episode
        FROM {rows} AS e
    """)  # noqa: S608
    return {side: told[side] or None for side in sides}


@query()
def conversation(
    store: Store,
    scope: Scope,
    window: Window,
    conversation_id: str,
    tenant: str | None = None,
    cursor: str | None = None,
    limit: int = ITEMS,
    turns_at_most: int | None = None,
) -> Conversation:
    """One conversation with its turns and events in order, a page of them.

    Args:
        store: The store to ask.
        scope: What the caller may see; text only with conversations:read.
        window: When it is asked about; a conversation of any time is found.
        conversation_id: Its id.
        tenant: Its tenant, where several of the scope's tenants have one of this id; the first
            by name without.
        cursor: Where the page begins, as the one before said; at its start without.
        limit: How many turns and events to a page at most, 1 to 1000.
        turns_at_most: How many turns of them at most; as many without.

    Raises:
        AccessError: With status 404, if the scope has no conversation of this id.
        QueryError: If the cursor or the limit is wrong.
    """
    found = find(store, scope, conversation_id, tenant)
    about = store.submit(found.about, window)
    visited = store.submit(_pages, found)
    neighbours = store.submit(_neighbours, found)
    page = found.page(cursor, limit, turns_at_most)
    statement = found.statement.again()
    events = page.events(_event_rows(statement, found.of_events(statement, page)))
    rows = page.turns(statement.run(turns_sql(statement, found.of_turns(statement, page))))
    inside = _inside(found, [*rows, *events])
    owners = _owners(inside)
    traces = statement.of_traces((row["trace_hex"] for row in rows), "events")
    intents = intents_of(statement, [*found.of_events(statement), traces]) if rows else {}
    return Conversation(
        summary=about.result(),
        pages_visited=visited.result(),
        actions=[_action(scope, row) for row in events if row["name"] == semconv.EVENT_ACTION],
        turns=transcript(scope, rows, intents, page.before),
        events=[
            _event(scope, row, owners.get((row["trace_hex"], row["span_hex"]))) for row in events
        ],
        times=[split(*inside[place]) for row in rows if (place := _place(row)) in inside],
        **neighbours.result(),
        next_cursor=page.next_cursor,
    )


@query()
def cursor_of_turn(
    store: Store,
    scope: Scope,
    window: Window,  # noqa: ARG001
    conversation_id: str,
    tenant: str | None,
    turn: str,
    limit: int = ITEMS,
    turns_at_most: int | None = None,
) -> str | None:
    """The cursor of a page on which a turn is; `None` for the first page, or without such a turn.

    Args:
        store: The store to ask.
        scope: What the caller may see.
        window: When it is asked about.
        conversation_id: The conversation's id.
        tenant: Its tenant; the first by name without.
        turn: The hexadecimal digits of the turn's span.
        limit: How many turns and events to a page at most, 1 to 1000.
        turns_at_most: How many turns of them at most; as many without.

    Raises:
        AccessError: With status 404, if the scope has no conversation of this id.
    """
    found = find(store, scope, conversation_id, tenant)
    if found.page(None, limit, turns_at_most).has_turn(turn):
        return None
    statement = found.statement.again()
    return cursor_of(statement, found.key, found.of_turns(statement), turn)


@query()
def one_turn(
    store: Store,
    scope: Scope,
    window: Window,
    conversation_id: str,
    tenant: str | None,
    turn: str,
) -> Conversation:
    """The part of a conversation that is one turn, with what happened in it.

    Args:
        store: The store to ask.
        scope: What the caller may see; text only with conversations:read.
        window: When it is asked about.
        conversation_id: The conversation's id.
        tenant: Its tenant; the first by name without.
        turn: The hexadecimal digits of the turn's span.

    Raises:
        AccessError: With status 404, if the scope has no conversation of this id, or it no such
            turn.
    """
    found = find(store, scope, conversation_id, tenant)
    statement = found.statement.again()
    begins = cursor_of(statement, found.key, found.of_turns(statement), turn)
    if begins is None:
        raise AccessError("There is no turn of this id.", status=404)
    read = conversation(store, scope, window, conversation_id, found.key[0], begins, NEAR)
    return read.model_copy(
        update={
            "turns": read.turns[:1],
            "events": [one for one in read.events if one.turn_span_id == turn.lower()],
        }
    )


def _pages(found: Found) -> list[str]:
    statement = found.statement.again()
    there = "page != ''"
    of_turns, of_events = found.of_turns(statement), found.of_events(statement)
    turns = statement.select("turns", ("page", "start AS at"), [*of_turns, there])
    events = statement.select("events", ("page", "time AS at"), [*of_events, there])
    rows = statement.run(
        f"SELECT page FROM ({turns} UNION ALL {events}) GROUP BY page"  # noqa: S608
        f" ORDER BY min(at), page LIMIT {MOST_PAGES}"
    )
    return [row["page"] for row in rows]


def _action(scope: Scope, row: dict[str, Any]) -> Action:
    data = content.said(scope, row["data"])
    return Action(time=moment(row["time_ns"]), type=row["action"], data=_read(data))


def _read(data: str | None) -> Any:
    """What was reported as JSON; the text where it was cut and is none any more."""
    try:
        return None if data is None else json.loads(data)
    except (ValueError, RecursionError):
        return data


Place = tuple[str, str]
"""The hexadecimal digits of a trace, and of a span in it."""


def _place(row: dict[str, Any]) -> Place:
    return row["trace_hex"], row["span_hex"]


def _inside(
    found: Found, rows: list[dict[str, Any]]
) -> dict[Place, tuple[Interval, list[Interval]]]:
    """The conversation's turns in the traces of some rows, each with all spans of its trace."""
    traces = {row["trace_hex"] for row in rows if row["trace_hex"]}
    if not traces:
        return {}
    statement = found.statement.again()
    conditions = [*found.of_turns(statement), statement.of_traces(traces, "turns")]
    names = ("lower(hex(trace_id)) AS trace_hex", "lower(hex(span_id)) AS span_hex")
    times = (f"{nanos('start')} AS start_ns", f"{nanos('end')} AS end_ns")
    turns = statement.run(statement.select("turns", (*names, *times), conditions))
    if not turns:
        return {}
    first = moment(min(row["start_ns"] for row in turns))
    last = moment(max(row["end_ns"] for row in turns)) + timedelta(microseconds=1)
    wanted = {_place(row) for row in turns}
    every = trace_intervals(found.statement.again(), traces, first, last).items()
    return {
        (trace, one.span_id): (one, spans)
        for (tenant, trace), spans in every
        if tenant == found.key[0]
        for one in spans
        if (trace, one.span_id) in wanted
    }


def _owners(inside: dict[Place, tuple[Interval, list[Interval]]]) -> dict[Place, str]:
    """The turn of each span: the nearest above it, else the only one of its trace."""
    owners: dict[Place, str] = {}
    turns = Counter(trace for trace, _ in inside)
    # A turn within another starts later, and takes what is beneath it.
    for (trace, span_id), (turn, spans) in sorted(inside.items(), key=lambda one: one[1][0].start):
        children: dict[str, list[str]] = {}
        for span in spans:
            children.setdefault(span.parent, []).append(span.span_id)
        waiting, seen = [turn.span_id], set[str]()
        while waiting:
            above = waiting.pop()
            if above not in seen:
                seen.add(above)
                owners[trace, above] = span_id
                waiting += children.get(above, ())
        if turns[trace] == 1:
            for span in spans:
                owners.setdefault((trace, span.span_id), span_id)
    return owners
