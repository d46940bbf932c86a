"""Conversations: the list, and what is said of one in a line."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from pydantic import Field

from otel_chat.semconv import SENDERS
from otel_chat.server.episodes import Episode
from otel_chat.server.figures.answers import Answer, Money, TimeSpan, exact_mean
from otel_chat.server.figures.conversation_rows import Selection, conversation_rows
from otel_chat.server.figures.devices import SEEN, seen
from otel_chat.server.figures.filters import Filters, Outcome
from otel_chat.server.figures.paging import PAGE, Cursor, check_limit
from otel_chat.server.figures.registry import query
from otel_chat.server.figures.sql import Query, moment, nanos
from otel_chat.server.figures.window import Window
from otel_chat.server.questions.headlines import MessagesBySender
from otel_chat.server.questions.search import Match, Search

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_chat.server.access import Scope
    from otel_chat.server.store import Store

COLUMNS: Final = (
    "started_at", "last_at", "settled", "handed_off", "outcome", "confirmed", "ended", "turns",
    "positive", "negative", "actions", "engagement", "replies", "agent", "channel", "user_type",
    "variant", "agent_version", "platform", "location", "intents", "last_intent", "models",
    "input_tokens", "output_tokens", "cost", "responses", "response_sum",
    "errors", "fallbacks", "foreign", "turns_erased",
    *(f"{sender}_messages" for sender in SENDERS), "end_reason", "user_agent", "referrer",
    "converted", "lead_kinds", "last_sentiment", "entities", "routes", "statuses",
)  # fmt: skip
"""What `summary` reads of a conversation's row."""


class ConversationTokens(Answer):
    """Tokens of a conversation; `null` where no turn reported any."""

    input: int | None
    output: int | None
    total: int | None


class ConversationSummary(Answer):
    """One conversation in a line."""

    conversation_id: str
    sent_id: str = Field(
        description="The id as it was sent, which messages and traces have too: that of all its"
        " episodes, where silences split it."
    )
    episode: str | None = Field(
        description="When this episode of it began; null for the first, and where nothing is split."
    )
    tenant: str
    agent: str = Field(description="The agent of the first turn; empty where none was named.")
    agent_version: str
    variant: str = Field(description="The arm of an experiment; empty outside of any.")
    channel: str
    user_type: str
    platform: str
    location: str
    device: str = Field(description="Phone, Tablet, Desktop, Bot or Other, by its first turn.")
    browser: str = Field(description="Its family, by the first turn.")
    os: str = Field(description="Its family, by the first turn.")
    referrer: str = Field(description="Where the user came from, by the first turn.")
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
    last_sentiment: str = Field(description="Of the last turn that has one; empty without.")
    entities: list[str] = Field(description="The types of entities that were seen, by name.")
    converted: bool = Field(description="Whether it made a lead.")
    lead_kinds: list[str] = Field(description="The kinds of its leads, by name.")
    routes: list[str] = Field(description="The routes that its turns came by, by name.")
    statuses: list[int] = Field(description="The HTTP statuses that its turns were answered with.")
    tokens: ConversationTokens
    cost: Money | None = Field(description="USD, exact; null if no turn is priced.")
    mean_response_time: float | None = Field(description="Of answered turns, seconds.")
    errors: int = Field(description="Turns that ended in an error.")
    fallbacks: int = Field(description="Turns with no matched intent.")
    actions: int
    engagement_score: float = Field(ge=0, le=100)
    feedback: str | None = Field(description="positive, negative, mixed, or null without either.")
    foreign: bool = Field(
        description="Whether all turns come from other instrumentations than this project's."
    )
    turns_erased: bool = Field(
        description="Whether its first turns were erased for their age: it keeps its start, and all"
        " else is of what is still stored."
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
    devices: dict[str, str] = {what: seen(what, row["user_agent"]) for what in SEEN}
    same = {name: row[name] for name in ConversationSummary.model_fields if name in row}
    return ConversationSummary(
        **{
            **same,
            "sent_id": (known := Episode.of(row["conversation_id"])).raw,
            "episode": known.start,
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
            "mean_response_time": exact_mean(row["response_sum"], row["responses"]),
            **devices,
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


def summaries_sql(source: str) -> str:
    """SQL for the rows that `summary` reads.

    Args:
        source: A subquery with `COLUMNS` of conversations.
    """
    times = f"{nanos('started_at')} AS started_ns, {nanos('last_at')} AS last_ns"
    return f"SELECT *, {times} FROM {source}"  # noqa: S608


def page_of(
    statement: Query,
    scope: Scope,
    selection: Selection,
    conditions: Sequence[str],
    order: str,
    limit: int,
    search: Search | None = None,
    offset: int = 0,
) -> tuple[list[ConversationSummary], Cursor | None]:
    """Conversations in an order, and the last of them by its start if there are more.

    Args:
        statement: The SELECT under construction.
        scope: What the caller may see.
        selection: The conversations to take.
        conditions: What else must hold of the rows that `summary` reads.
        order: SQL of what they are sorted by; of equal ones the newest come first.
        limit: How many at most.
        search: A text that must be said in them.
        offset: How many to pass over.
    """
    window = selection.window
    until = max(window.end, window.now)
    said = [] if search is None else [search.among(statement, window.start, until)]
    where = " AND ".join((*conditions, *said)) or "true"
    rows = statement.run(f"""
        {summaries_sql(conversation_rows(statement, selection, *COLUMNS))} AS c
        WHERE {where}
        ORDER BY {order}started_ns DESC, tenant, conversation_id
        LIMIT {statement.bind(limit + 1, "UInt32")} OFFSET {statement.bind(offset, "UInt64")}
    """)
    items = [summary(row) for row in rows[:limit]]
    if search is not None and items:
        # Far less is read between them than in all of the window.
        first = min(item.started_at for item in items)
        keys = [(item.tenant, item.conversation_id) for item in items]
        matches = search.matches(statement, scope, first, until, keys)
        items = [
            item.model_copy(update={"match": matches.get(key)})
            for item, key in zip(items, keys, strict=True)
        ]
    return items, Cursor.of(rows[limit - 1]) if len(rows) > limit else None


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
    """The conversations of the window, newest first.

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
    statement = Query(store, scope)
    after = [] if cursor is None else [Cursor.read(cursor).passed(statement)]
    selection = Selection(window, filters)
    items, last = page_of(statement, scope, selection, after, "", limit, wanted)
    return Conversations(
        window=TimeSpan.of(window),
        items=items,
        next_cursor=None if last is None else last.text(),
    )
