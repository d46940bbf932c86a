"""Exports: every row of a kind in a window, as it flows out of the store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final, Literal

from otel_chat import semconv
from otel_chat.server.access import EXPORT_CREATE
from otel_chat.server.figures.content import readable
from otel_chat.server.figures.conversation_figures import OfConversations
from otel_chat.server.figures.conversation_figures import columns as figures_read
from otel_chat.server.figures.conversation_rows import KEY, Selection, conversation_rows, members
from otel_chat.server.figures.devices import SEEN, seen
from otel_chat.server.figures.figures import conditions_on_turns, turns_source
from otel_chat.server.figures.filters import Filters
from otel_chat.server.figures.registry import every, query
from otel_chat.server.figures.rows import Column, Format, in_turn, plain, stream, texts
from otel_chat.server.figures.sql import SCALE, Query
from otel_chat.server.figures.window import Window
from otel_chat.server.rules import MODEL, REPLIED

if TYPE_CHECKING:
    from otel_chat.server.access import Scope
    from otel_chat.server.store import Store

Sender = Literal["user", "assistant", "system", "human"]

_SENDERS: Final = tuple(f"{sender}_messages" for sender in semconv.SENDERS)
_TOLD: Final = (
    "started_at", "last_at", "settled", "outcome", "confirmed", "handed_off", "turns",
    "engagement", "duration", "messages", "agent", "agent_version", "variant", "channel",
    "platform", "location", "user_type", "user_hash", "replies", "intents", "models",
    "input_tokens", "output_tokens", "cost", "responses", "response_sum",
    "errors", "fallbacks", *_SENDERS,
    "end_reason", "satisfaction", "rating", "topics", "action_names", "user_agent", "referrer",
    "page", "pages", "last_sentiment", "entities", "converted", "lead_kinds", "routes", "statuses",
)  # fmt: skip

_COUNTS: Final = (
    *plain("messages"),
    Column("user_messages", "turns + user_messages"),
    Column("assistant_messages", "replies + assistant_messages"),
    *plain("system_messages", "human_messages"),
    Column("mean_response_time", f"response_sum / nullIf(responses, 0) / {SCALE}"),
)
_RESOLVED: Final = "if(settled, outcome = 'resolved', CAST(NULL AS Nullable(Bool)))"
# By its name: of numbers that are named Parquet has bytes.
_OUTCOME: Final = Column("outcome", "toString(outcome)")
_ENGAGEMENT: Final = Column("engagement_score", "engagement / 3")
_TOPICS: Final = Column("topics", "arraySort(arrayDistinct(topics))", kind="list")
_DEVICES: Final = texts(*SEEN)
"""What user agents say, which are known to `_with_devices`."""
_AROUND: Final = (
    *_DEVICES,
    *texts("referrer", "page"),
    Column("pages", kind="list"),
    Column("converted", kind="flag"),
    Column("lead_kinds", kind="list"),
    *texts("last_sentiment"),
    Column("entities", kind="list"),
    Column("routes", kind="list"),
    Column("statuses", kind="list"),
)
"""What there was around a conversation."""

SESSIONS: Final = (
    *texts("conversation_id", "tenant", "user_hash", "user_type", "agent", "agent_version"),
    *texts("variant", "channel", "platform", "location"),
    Column("state", "if(settled, 'settled', 'open')"),
    *plain("started_at", "last_at"),
    Column("closed_at", "if(settled, last_at, CAST(NULL AS Nullable(DateTime64(9, 'UTC'))))"),
    Column("duration", f"duration / {SCALE}"),
    *plain("turns"),
    *_COUNTS,
    *plain("satisfaction", "rating"),
    _OUTCOME,
    Column("confirmed", kind="flag"),
    Column("resolved", _RESOLVED, kind="flag"),
    Column("handoff", "handed_off", kind="flag"),
    *texts("end_reason"),
    _TOPICS,
    Column("intents", kind="list"),
    Column("models", kind="list"),
    Column("input_tokens", kind="large"),
    Column("output_tokens", kind="large"),
    *plain("cost", "errors", "fallbacks"),
    _ENGAGEMENT,
    *_AROUND,
)
ANALYTICS: Final = (
    *texts("conversation_id", "tenant", "user_hash", "user_type"),
    *plain("started_at"),
    *_COUNTS,
    Column("resolved", _RESOLVED, kind="flag"),
    Column("confirmed", kind="flag"),
    _OUTCOME,
    Column("handoff", "handed_off", kind="flag"),
    _TOPICS,
    Column("actions", "action_names", kind="list"),
    Column("actions_taken", kind="said"),
    _ENGAGEMENT,
    Column("duration", f"duration / {SCALE}"),
    Column("intents", kind="list"),
    *_AROUND,
)
MESSAGES: Final = (
    *texts("message_id", "conversation_id", "tenant", "user_hash", "sender"),
    Column("content", kind="said"),
    *plain("created_at", "processing_time", "cached"),
    Column("metadata", kind="said"),
)
_IDS: Final = (Column("trace_id", "lower(hex(trace_id))"), Column("span_id", "lower(hex(span_id))"))


def _last_of(role: str, stored: str) -> str:
    """SQL for the last message of a role, or of all roles, out of a JSON list of messages."""
    found = f"JSONExtractArrayRaw({stored})"
    return f"arrayLast(m -> JSONExtractString(m, 'role') = '{role}', {found})"


def _text(message: str) -> str:
    """SQL for what a message says: the texts of its parts, or its content."""
    parts = (
        f"arrayFilter(p -> JSONExtractString(p, 'type') IN ('', 'text')"
        f" AND JSONType(p, 'content') = 'String', JSONExtractArrayRaw({message}, 'parts'))"
    )
    joined = f"arrayStringConcat(arrayMap(p -> JSONExtractString(p, 'content'), {parts}), '\\n')"
    content = f"JSONExtractString({message}, 'content')"
    plainly = f"if(JSONType({message}, 'content') = 'String', {content}, '')"
    return f"if(JSONType({message}, 'parts') = 'Array', {joined}, {plainly})"


USER_TEXT: Final = _text(_last_of("user", "input_messages"))
REPLY_TEXT: Final = (
    "arrayStringConcat(arrayFilter(x -> x != '',"
    f" arrayMap(m -> {_text('m')}, JSONExtractArrayRaw(output_messages))), '\\n')"
)

INTERACTIONS: Final = (
    Column("interaction_id", "concat(lower(hex(trace_id)), '-', lower(hex(span_id)))"),
    *texts("conversation_id", "tenant", "user_hash", "user_type", "agent", "agent_version"),
    *texts("variant", "channel", "platform", "location"),
    Column("started_at", "start"),
    *plain("duration", "time_to_first_chunk"),
    *texts("status", "error_type", "message_type"),
    Column("user_message", USER_TEXT, kind="said"),
    Column("reply", REPLY_TEXT, kind="said"),
    *texts("intent"),
    *plain("confidence", "fallback"),
    *texts("sentiment"),
    Column("model", MODEL, kind="text"),
    *texts("provider"),
    *plain("input_tokens", "output_tokens", "cache_read_tokens", "reasoning_tokens"),
    *plain("cost"),
    *texts("cost_source"),
    *plain("context_size", "cached", "handoff"),
    *texts("handoff_reason", "handoff_target"),
    Column("metadata", kind="said"),
    *plain("foreign"),
    *_DEVICES,
    *texts("referrer", "page", "route"),
    *plain("http_status"),
    *texts("prompt", "prompt_version"),
    *_IDS,
)
_READ: Final = (
    "trace_id", "span_id", "conversation_id", "tenant", "user_hash", "user_type", "agent",
    "agent_version", "variant", "channel", "platform", "location", "start", "duration",
    "time_to_first_chunk", "status", "error_type", "message_type", "input_messages",
    "output_messages", "intent", "confidence", "fallback", "sentiment", "request_model",
    "response_model", "provider", "input_tokens", "output_tokens", "cache_read_tokens",
    "reasoning_tokens", "cost", "cost_source", "context_size", "cached", "handoff",
    "handoff_reason", "handoff_target", "metadata", "foreign", "user_agent", "referrer", "page",
    "route", "http_status", "prompt", "prompt_version",
)  # fmt: skip

_EVENT_TEXTS: Final = (
    "uid", "name", "conversation_id", "tenant", "agent", "agent_version", "variant", "channel",
    "platform", "location", "user_type", "user_hash", "intent", "source", "entity_type", "topic",
    "action", "workflow", "step", "api_name", "status", "reason", "target", "lead_kind",
    "outcome", "sender", "evaluation", "label", "event_name", "error_type",
)  # fmt: skip
_EVENT_NUMBERS: Final = (
    "time", "confidence", "fallback", "success", "duration", "wait", "score", "value",
    "scale_min", "scale_max",
)  # fmt: skip
_EVENT_SAID: Final = ("entity_value", "text", "comment", "data")
EVENTS: Final = (
    *texts(*_EVENT_TEXTS),
    *plain(*_EVENT_NUMBERS),
    *_IDS,
    *(Column(name, kind="said") for name in _EVENT_SAID),
    Column("attributes", "if(empty(attributes), '', toJSONString(attributes))", kind="said"),
)
REVIEWS: Final = (
    *texts("conversation_id", "tenant"),
    *plain("started_at"),
    _OUTCOME,
    Column("confirmed", kind="flag"),
    *texts("reviewer"),
    *plain("reviewed_at"),
    Column("verdicts", kind="list"),
    Column("labels", kind="list"),
    Column("comment", kind="said"),
    Column("samples", kind="list"),
)

Export = Literal["sessions", "messages", "analytics", "interactions", "events", "reviews"]
_COLUMNS: Final[dict[Export, tuple[Column, ...]]] = {
    "sessions": SESSIONS,
    "messages": MESSAGES,
    "analytics": ANALYTICS,
    "interactions": INTERACTIONS,
    "events": EVENTS,
    "reviews": REVIEWS,
}
_BY_START: Final = ("started_at", "tenant", "conversation_id")
CONVERSATIONS_OF_PIECE: Final = 100_000


def _conversations(
    store: Store,
    scope: Scope,
    asked: tuple[Window, Filters, Format],
    columns: Sequence[Column],
    where: str = "",
) -> Iterator[bytes]:
    """The conversations of a window, so many at a time that memory stays flat."""
    window, filters, form = asked
    read = figures_read() if _figures() else ()

    def ask(part: Window) -> Iterator[bytes]:
        statement = Query(store, scope)
        rows = conversation_rows(statement, Selection(part, filters), *_TOLD, *read)
        if {one.name for one in _DEVICES} & {one.name for one in columns}:
            rows = _with_devices(statement, rows)
        if readable(scope) and any("actions_taken" in {one.name, one.sql} for one in columns):
            taken = _actions_taken(statement, part)
            rows = f"(SELECT * FROM {rows} AS r LEFT JOIN {taken} AS a USING ({KEY}))"  # noqa: S608
        return stream(statement, scope, f"{rows} AS s{where}", columns, _BY_START, form)

    if form == "parquet" or window.by == "active":
        # That has a footer; and one may be active in several parts.
        return ask(window)
    statement = Query(store, scope)
    begun = conversation_rows(statement, Selection(window, filters))
    (row,) = statement.run(f"SELECT count() AS conversations FROM {begun} AS c")  # noqa: S608
    return in_turn(window, row["conversations"] // CONVERSATIONS_OF_PIECE + 1, form, ask)


def _figures() -> tuple[Column, ...]:
    """What the figures over conversations that have a column tell of one."""
    return tuple(one.column for one in every(OfConversations) if one.column)


def columns_of(kind: Export) -> tuple[Column, ...]:
    """The columns of an export, in their order.

    Args:
        kind: What is exported.

    Example:
        >>> [column.name for column in columns_of("messages")][:2]
        ['message_id', 'conversation_id']
    """
    return (*_COLUMNS[kind], *(_figures() if kind in {"sessions", "analytics"} else ()))


def _with_devices(statement: Query, source: str) -> str:
    """A subquery with what the user agents of a source say, for the columns of `_DEVICES`.

    As part of the statement: there may be more of them than a parameter holds.
    """
    agents = _user_agents(statement, source) or {0: ""}
    said = {one: tuple(seen(what, agent) for what in SEEN) for one, agent in agents.items()}
    kinds = sorted(set(said.values()))
    places = {kind: number for number, kind in enumerate(kinds, 1)}
    codes = [places[one] for one in said.values()]
    named = ", ".join(
        f"{_words(words)}[agent_kind] AS {what}"
        for what, words in zip(SEEN, zip(*kinds, strict=True), strict=True)
    )
    kind = f"transform(sipHash64(user_agent), {list(said)}, {codes}, 0) AS agent_kind"
    return f"(SELECT *, {kind}, {named} FROM {source} AS d)"  # noqa: S608


def _words(words: Sequence[str]) -> str:
    """SQL of a list of words that anybody may have written."""
    packed = "\0".join(word.replace("\0", "") for word in words).encode().hex()
    return f"splitByChar('\\0', unhex('{packed}'))"


def _user_agents(statement: Query, source: str) -> dict[int, str]:
    """The user agents of a source by their hash, read within the limits of an export."""
    rows = statement.store.query(
        f"SELECT sipHash64(user_agent) AS hash, any(user_agent) AS agent FROM {source} AS u"  # noqa: S608
        f" GROUP BY hash SETTINGS {statement.store.export.sql()}",
        statement.parameters,
    )
    return {row["hash"]: row["agent"] for row in rows}


def _actions_taken(statement: Query, part: Window) -> str:
    """A subquery with the key of each conversation and its actions, by time, as a JSON text."""
    events = statement.table(
        "events",
        (KEY, "time", "uid", "action", "data"),
        [
            f"name = '{semconv.EVENT_ACTION}'",
            members(statement, part, Filters()),
        ],
    )
    told = (
        "concat('{\"type\":', toJSONString(toString(action)), ',\"data\":',"
        " if(isValidJSON(data), data, if(data = '', 'null', toJSONString(data))),"
        " ',\"timestamp\":\"', formatDateTime(time, '%Y-%m-%dT%H:%i:%S.%fZ', 'UTC'), '\"}')"
    )
    return f"""(
        SELECT {KEY},
            concat('[', arrayStringConcat(
                arrayMap(x -> x.3, arraySort(groupArray((time, uid, {told})))), ','), ']')
                AS actions_taken
        FROM {events}
        GROUP BY {KEY}
    )"""  # noqa: S608


@query(EXPORT_CREATE)
def export_sessions(
    store: Store,
    scope: Scope,
    window: Window,
    filters: Filters,
    form: Format = "jsonl",
    *,
    columns: Sequence[Column] | None = None,
) -> Iterator[bytes]:
    """The conversations that started in the window, by their start.

    Args:
        store: The store to ask.
        scope: What the caller may see.
        window: The conversations to take.
        filters: What they are limited to.
        form: How they are written.
        columns: What is told of each, out of what `SESSIONS` tells; all without.
    """
    wanted = columns or columns_of("sessions")
    return _conversations(store, scope, (window, filters, form), wanted)


@query(EXPORT_CREATE)
def export_analytics(
    store: Store,
    scope: Scope,
    window: Window,
    filters: Filters,
    form: Format = "jsonl",
    *,
    resolved: bool | None = None,
    columns: Sequence[Column] | None = None,
) -> Iterator[bytes]:
    """The figures of each conversation that started in the window, by its start.

    Args:
        store: The store to ask.
        scope: What the caller may see.
        window: The conversations to take.
        filters: What they are limited to.
        form: How they are written.
        resolved: Only settled conversations that ended resolved, or only those that did not.
        columns: What is told of each, out of what `ANALYTICS` tells; all without.
    """
    where = ""
    if resolved is not None:
        where = f" WHERE settled AND outcome {'=' if resolved else '!='} 'resolved'"
    wanted = columns or columns_of("analytics")
    return _conversations(store, scope, (window, filters, form), wanted, where)


@query(EXPORT_CREATE)
def export_messages(
    store: Store,
    scope: Scope,
    window: Window,
    filters: Filters,
    form: Format = "jsonl",
    *,
    sender: Sender | None = None,
    columns: Sequence[Column] | None = None,
) -> Iterator[bytes]:
    """The messages of all senders, by time, each reply right behind what it replies to.

    A turn is the user's message, and the reply where there was one; it counts by its start.

    Args:
        store: The store to ask.
        scope: What the caller may see; the content only with conversations:read.
        window: The turns and messages to take.
        filters: What they are limited to.
        form: How they are written.
        sender: The messages of one sender.
        columns: What is told of each, out of what `MESSAGES` tells; all without.
    """

    def ask(part: Window) -> Iterator[bytes]:
        statement = Query(store, scope)
        source = _messages(statement, part, filters, sender)
        return stream(statement, scope, source, columns or MESSAGES, _MESSAGE_ORDER, form)

    if form == "parquet" or not filters.empty:
        # That has a footer; and which conversations are let through is worked out once.
        return ask(window)
    counting = Query(store, scope)
    within = [counting.within("start", window)]
    turns = counting.table("turns", ["start"], within, once=False)
    (row,) = counting.run(f"SELECT count() AS turns FROM {turns}")  # noqa: S608
    return in_turn(window, row["turns"] // TURNS_OF_PIECE + 1, form, ask)


TURNS_OF_PIECE: Final = 50_000
_MESSAGE_ORDER: Final = ("at", "tenant", "message", "sender != 'user'")


def _messages(statement: Query, window: Window, filters: Filters, sender: Sender | None) -> str:
    read = (
        "tenant", "conversation_id", "trace_id", "span_id", "user_hash", "start", "end",
        "duration", "cached", "status", "without_reply", "time_to_first_chunk", "metadata",
        "input_messages",
        "output_messages",
    )  # fmt: skip
    turns = turns_source(statement, window, filters, read)
    conditions = [
        statement.within("time", window),
        f"name = '{semconv.EVENT_MESSAGE}'",
    ]
    if not filters.empty:
        conditions.append(members(statement, window, filters))
    columns = ("tenant", "conversation_id", "uid", "user_hash", "sender", "text", "time", "data")
    events = statement.table("events", columns, conditions)
    one = "" if sender is None else f" WHERE sender = {statement.bind(sender, 'String')}"
    return f"""(
        SELECT * FROM (
            SELECT start AS at, concat(lower(hex(trace_id)), '-', lower(hex(span_id))) AS message,
                concat(message, '-', side) AS message_id,
                tenant, conversation_id, user_hash, side AS sender,
                if(side = 'user', {USER_TEXT}, {REPLY_TEXT}) AS content,
                if(side = 'user', start, end) AS created_at,
                if(side = 'user', NULL, duration) AS processing_time,
                if(side = 'user', NULL, cached) AS cached,
                if(side = 'user', metadata, '') AS metadata
            FROM {turns} AS t
            ARRAY JOIN if({REPLIED}, ['user', 'assistant'], ['user']) AS side
            UNION ALL
            SELECT time AS at, uid AS message, uid AS message_id, tenant, conversation_id,
                user_hash, toString(sender) AS sender, text AS content, time AS created_at,
                CAST(NULL AS Nullable(Float64)) AS processing_time,
                CAST(NULL AS Nullable(Bool)) AS cached, data AS metadata
            FROM {events} AS e
        ) AS u{one}
    ) AS m"""  # noqa: S608


@query(EXPORT_CREATE)
def export_interactions(
    store: Store, scope: Scope, window: Window, filters: Filters, form: Format = "jsonl"
) -> Iterator[bytes]:
    """The turns that started in the window, by hour, and within an hour by conversation.

    Args:
        store: The store to ask.
        scope: What the caller may see; texts only with conversations:read.
        window: The turns to take.
        filters: What they are limited to; `handoff` is the turn's own.
        form: How they are written.
    """
    statement = Query(store, scope)
    source = statement.table(
        "turns", _READ, conditions_on_turns(statement, window, filters.of_turns_themselves)
    )
    source = _with_devices(statement, source)
    # In the order in which they lie in the store nothing is sorted: memory stays flat.
    order = ("tenant", "toStartOfHour(start)", "conversation_id", "trace_id", "span_id")
    return stream(statement, scope, f"{source} AS t", INTERACTIONS, order, form)


@query(EXPORT_CREATE)
def export_events(
    store: Store,
    scope: Scope,
    window: Window,
    filters: Filters,
    form: Format = "jsonl",
    *,
    name: str | None = None,
) -> Iterator[bytes]:
    """The events in the window, by hour, and within an hour by conversation.

    Args:
        store: The store to ask.
        scope: What the caller may see; texts only with conversations:read.
        window: The events to take.
        filters: What their conversations are limited to.
        form: How they are written.
        name: The events of one name.
    """
    statement = Query(store, scope)
    conditions = [statement.within("time", window)]
    if name is not None:
        conditions.append(f"name = {statement.bind(name, 'String')}")
    if not filters.empty:
        conditions.append(members(statement, window, filters))
    columns = (*_EVENT_TEXTS, *_EVENT_NUMBERS, *_EVENT_SAID, "trace_id", "span_id", "attributes")
    source = statement.table("events", columns, conditions)
    order = ("tenant", "toStartOfHour(time)", "conversation_id", "name", "uid")
    return stream(statement, scope, f"{source} AS e", EVENTS, order, form)


@query(EXPORT_CREATE)
def export_reviews(
    store: Store, scope: Scope, window: Window, filters: Filters, form: Format = "jsonl"
) -> Iterator[bytes]:
    """What each reviewer says of the conversations of the window, by their start.

    Args:
        store: The store to ask.
        scope: What the caller may see; comments only with conversations:read.
        window: The conversations to take.
        filters: What they are limited to.
        form: How they are written.
    """
    statement = Query(store, scope)
    rows = conversation_rows(
        statement, Selection(window, filters), "started_at", "outcome", "confirmed"
    )
    read = (
        "tenant", "conversation_id", "reviewer", "reviewed_at", "verdicts", "labels", "comment",
    )  # fmt: skip
    said = statement.table("reviews", read, ["NOT dropped"])
    members = statement.table("sampled", ("tenant", "conversation_id", "sample"), ["NOT dropped"])
    source = f"""(
        SELECT * FROM {said} AS r
        JOIN {rows} AS c USING ({KEY})
        LEFT JOIN (
            SELECT {KEY}, arraySort(groupArray(sample)) AS samples FROM {members} AS m
            GROUP BY {KEY}
        ) AS d USING ({KEY})
    ) AS e"""  # noqa: S608
    return stream(statement, scope, source, REVIEWS, (*_BY_START, "reviewer"), form)
