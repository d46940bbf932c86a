"""Conversations: the list, and what is said of one in a line."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from pydantic import Field

from otel_chat.semconv import SENDERS
from otel_chat.server.queries.aggregation import (
    Selection,
    among,
    conversation_rows,
    turns_by_conversation,
)
from otel_chat.server.queries.answers import Answer, Money, TimeSpan, exact_mean
from otel_chat.server.queries.filters import Filters, Outcome
from otel_chat.server.queries.headlines import MessagesBySender
from otel_chat.server.queries.paging import PAGE, Cursor, check_limit
from otel_chat.server.queries.registry import query
from otel_chat.server.queries.search import Match, Search
from otel_chat.server.queries.sql import Query, moment, nanos
from otel_chat.server.queries.window import MARGIN, Window

if TYPE_CHECKING:
    from otel_chat.server.access import Scope
    from otel_chat.server.store import Store

TURN_COLUMNS: Final = (
    "replies",
    "agent",
    "channel",
    "user_type",
    "variant",
    "agent_version",
    "platform",
    "location",
    "intents",
    "last_intent",
    "models",
    "input_tokens",
    "output_tokens",
    "cost",
    "duration_sum",
    "errors",
    "fallbacks",
    "foreign",
)
EVENT_COLUMNS: Final = (*(f"{sender}_messages" for sender in SENDERS), "end_reason")


class ConversationTokens(Answer):
    """Tokens of a conversation; `null` where no turn reported any."""

    input: int | None
    output: int | None
    total: int | None


class ConversationSummary(Answer):
    """One conversation in a line."""

    conversation_id: str
    tenant: str
    agent: str = Field(description="The agent of the first turn; empty where none was named.")
    agent_version: str
    variant: str = Field(description="The arm of an experiment; empty outside of any.")
    channel: str
    user_type: str
    platform: str
    location: str
    started_at: datetime = Field(description="When the first turn started, UTC.")
    last_at: datetime = Field(description="The last activity: a turn's end or an event, UTC.")
    duration: float = Field(description="Seconds from the first turn to the last activity.")
    turns: int
    messages: int = Field(description="Messages of all senders.")
    messages_by_sender: MessagesBySender
    outcome: Outcome
    confirmed: bool = Field(description="Whether it is a confirmed resolution.")
    open: bool
    settled: bool
    ended: bool = Field(description="Whether it was ended explicitly.")
    end_reason: str = Field(description="The reason given with the explicit end; empty without.")
    handoff: bool = Field(description="Whether a human was asked for.")
    intents: list[str] = Field(description="The intents of its turns, by name.")
    last_intent: str
    models: list[str]
    tokens: ConversationTokens
    cost: Money | None = Field(description="USD, exact; null if no turn is priced.")
    mean_response_time: float | None = Field(description="Seconds.")
    errors: int = Field(description="Turns that ended in an error.")
    fallbacks: int = Field(description="Turns with no matched intent.")
    actions: int
    engagement_score: float = Field(ge=0, le=100)
    feedback: str | None = Field(description="positive, negative, mixed, or null without either.")
    foreign: bool = Field(
        description="Whether all turns come from other instrumentations than this project's."
    )
    match: Match | None = Field(
        None, description="Where the text that was searched for stands; null without a search."
    )


class Conversations(Answer):
    """A page of conversations, newest first."""

    window: TimeSpan
    items: list[ConversationSummary]
    next_cursor: str | None = Field(description="Ask with it for the next page; null at the end.")


def summary(row: dict[str, Any]) -> ConversationSummary:
    """The summary of a row of the conversation aggregation."""
    senders = {sender: row[f"{sender}_messages"] for sender in SENDERS}
    senders["user"] += row["turns"]
    senders["assistant"] += row["replies"]
    tokens = [row[side] for side in ("input_tokens", "output_tokens") if row[side] is not None]
    same = {name: row[name] for name in ConversationSummary.model_fields if name in row}
    return ConversationSummary(
        **{
            **same,
            "started_at": moment(row["started_ns"]),
            "last_at": moment(row["last_ns"]),
            "duration": (row["last_ns"] - row["started_ns"]) / 1_000_000_000,
            "messages": sum(senders.values()),
            "messages_by_sender": MessagesBySender(**senders),
            "open": not row["settled"],
            "handoff": row["handed_off"],
            "tokens": ConversationTokens(
                input=row["input_tokens"],
                output=row["output_tokens"],
                total=sum(tokens) if tokens else None,
            ),
            "mean_response_time": exact_mean(row["duration_sum"], row["turns"]),
            "engagement_score": row["engagement"] / 3,
            "feedback": _feedback(row["positive"], row["negative"]),
        }
    )


def _feedback(positive: int, negative: int) -> str | None:
    if positive and negative:
        return "mixed"
    if positive:
        return "positive"
    return "negative" if negative else None


def summaries_sql(statement: Query, selection: Selection) -> str:
    """SQL for the rows that `summary` reads."""
    times = (f"{nanos('started_at')} AS started_ns", f"{nanos('last_at')} AS last_ns")
    return conversation_rows(statement, selection, TURN_COLUMNS, EVENT_COLUMNS, times)


def _after(statement: Query, cursor: Cursor) -> str:
    return (
        "(-started_ns, tenant, conversation_id) >"
        f" (-{statement.bind(cursor.at, 'Int64')}, {statement.bind(cursor.tenant, 'String')},"
        f" {statement.bind(cursor.key, 'String')})"
    )


Found = tuple[int, str, str]
"""A conversation by its start in nanoseconds, its tenant and its id."""


def _newest(
    statement: Query,
    window: Window,
    filters: Filters,
    search: Search | None,
    after: Cursor | None,
    limit: int,
) -> list[Found]:
    """The next conversations, newest first.

    The newest lie at the end of the window: it looks back in growing steps, until it has enough.
    What comes up in a step may have begun before it, long ago; then it waits for its turn.
    """
    end = window.end if after is None else min(window.end, moment(after.at + 1000))
    keys = None if search is None else search.few(statement, window)
    span = timedelta(days=1) if keys is None else window.length
    selection = Selection(
        window, filters, None if filters.empty and search is None else window.end, keys
    )
    found: list[Found] = []
    while len(found) < limit and end > window.start:
        part = replace(window, start=max(window.start, end - span), end=end)
        wanted = limit - len(found)
        candidates = _candidates(statement, replace(selection, window=part), search, after, wanted)
        earlier = _begun_before(statement, window, part, candidates)
        found += [one for one in candidates if one[1:] not in earlier]
        if len(candidates) == wanted:
            after = Cursor(*candidates[-1])
        else:
            end, span = part.start, span * 4
    return found


def _candidates(
    statement: Query,
    selection: Selection,
    search: Search | None,
    after: Cursor | None,
    limit: int,
) -> list[Found]:
    source = (
        conversation_rows(statement, selection, told=("tenant", "conversation_id", "started_at"))
        if selection.filters.whole_conversations
        else turns_by_conversation(statement, selection)
    )
    conditions = [] if after is None else [_after(statement, after)]
    if search is not None and selection.keys is None:
        conditions.append(search.among(statement, selection.window.start, selection.end))
    rows = statement.run(f"""
        SELECT {nanos("started_at")} AS started_ns, tenant, conversation_id
        FROM {source} AS c
        {"WHERE " + " AND ".join(conditions) if conditions else ""}
        ORDER BY started_ns DESC, tenant, conversation_id
        LIMIT {statement.bind(limit, "UInt32")}
    """)  # noqa: S608
    return [(row["started_ns"], row["tenant"], row["conversation_id"]) for row in rows]


def _begun_before(
    statement: Query, window: Window, part: Window, found: list[Found]
) -> set[tuple[str, str]]:
    """Those that have turns before what was read for a part of the window."""
    first, last = window.start - MARGIN, part.start - MARGIN
    if not found or last <= first:
        return set()
    conditions = among(statement, [(tenant, key) for _, tenant, key in found])
    source = statement.table(
        "turns",
        ["tenant", "conversation_id"],
        [statement.between("start", first, last), *conditions],
    )
    rows = statement.run(f"SELECT DISTINCT tenant, conversation_id FROM {source} AS t")  # noqa: S608
    return {(row["tenant"], row["conversation_id"]) for row in rows}


@query()
def conversations(
    store: Store,
    scope: Scope,
    window: Window,
    filters: Filters,
    limit: int = PAGE,
    cursor: str | None = None,
    search: str | None = None,
) -> Conversations:
    """The conversations that started in the window, newest first.

    Args:
        store: The store to ask.
        scope: What the caller may see.
        window: The conversations to take.
        filters: What they are limited to.
        limit: How many to a page, 1 to 200.
        cursor: Where the page before ended.
        search: A text that was said in them, in whatever case; asks for conversations:read.

    Raises:
        AccessError: If there is a text to search for, and the scope may not read any.
        QueryError: If the limit, the cursor or the text is wrong.
    """
    check_limit(limit)
    wanted = None if search is None else Search.of(scope, search)
    after = None if cursor is None else Cursor.read(cursor)
    found = _newest(Query(store, scope), window, filters, wanted, after, limit + 1)
    page = found[:limit]
    last = page[-1] if len(found) > limit else None
    return Conversations(
        window=TimeSpan.of(window),
        items=items_of(Query(store, scope), scope, window, page, wanted),
        next_cursor=None if last is None else Cursor(*last).text(),
    )


def items_of(
    statement: Query, scope: Scope, window: Window, page: list[Found], search: Search | None
) -> list[ConversationSummary]:
    """The summaries of a page of conversations, in its order, with what was searched for in them.

    Args:
        statement: The SELECT under construction.
        scope: What the caller may see.
        window: The window in which they started.
        page: When each started, ns, its tenant and its id.
        search: What was searched for.
    """
    items = _summaries(statement, window, page)
    if search is None or not items:
        return items
    # Far less is read between them than in all of the window.
    first = min(item.started_at for item in items)
    end = max(item.last_at for item in items) + timedelta(microseconds=1)
    keys = [(item.tenant, item.conversation_id) for item in items]
    matches = search.matches(statement, scope, first, min(end, window.end + MARGIN), keys)
    return [
        item.model_copy(update={"match": matches.get(key)})
        for item, key in zip(items, keys, strict=True)
    ]


def _summaries(statement: Query, window: Window, page: list[Found]) -> list[ConversationSummary]:
    if not page:
        return []
    earliest = moment(min(started for started, _, _ in page))
    selection = Selection(
        replace(window, start=earliest),
        Filters(),
        keys=tuple((tenant, key) for _, tenant, key in page),
    )
    rows = statement.run(summaries_sql(statement, selection))
    by_key = {(row["tenant"], row["conversation_id"]): row for row in rows}
    return [summary(by_key[tenant, key]) for _, tenant, key in page if (tenant, key) in by_key]
