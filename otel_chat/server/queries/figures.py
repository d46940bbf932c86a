"""The figures of turns, conversations and events, for whole windows and for parts of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from otel_chat import semconv
from otel_chat.server.queries.aggregation import KEY, Selection, conversation_rows
from otel_chat.server.queries.partials import POSITIVE, REPLIED, USER_FEEDBACK
from otel_chat.server.queries.sql import mean, quantiles, total
from otel_chat.server.queries.window import BUCKETS, MARGIN, Bucket, Window, nanoseconds

if TYPE_CHECKING:
    from otel_chat.server.queries.filters import Filters
    from otel_chat.server.queries.sql import Query

Rows = dict[Any, dict[str, Any]]
Grouping = Callable[["Query", str], str]
"""SQL that says which part of an answer a row belongs to, given the row's column of time."""

LEVELS: Final = (0.5, 0.95, 0.99)
TOKENS: Final = ("input_tokens", "output_tokens", "cache_read_tokens", "reasoning_tokens")
TOKENS_KNOWN: Final = "(" + " OR ".join(f"{name} IS NOT NULL" for name in TOKENS) + ")"
CLASSIFIED: Final = "(fallback IS NOT NULL OR intent != '')"
UNPRICED: Final = f"(cost IS NULL AND (cost_source = 'unpriced' OR {TOKENS_KNOWN}))"
LOW: Final = f"confidence < {semconv.LOW_CONFIDENCE_THRESHOLD}"

TURN_FIGURE_COLUMNS: Final = (
    "start",
    "duration",
    "time_to_first_chunk",
    "status",
    *TOKENS,
    "confidence",
    "fallback",
    "intent",
    "handoff",
    "cost",
    "cost_source",
)


def whole(_query: Query, _column: str) -> str:
    """All rows belong together."""
    return "1"


def by_period(window: Window) -> Grouping:
    """Rows of the window are 1, rows before it 0."""

    def grouping(query: Query, column: str) -> str:
        return f"toUInt8({column} >= {query.moment(window.start)})"

    return grouping


def by_bucket(window: Window, bucket: Bucket) -> Grouping:
    """Rows belong to the bucket of that number, the first being the window's first."""
    first = nanoseconds(window.bucket_starts(bucket)[0])
    width = BUCKETS[bucket].total_seconds() * 1_000_000_000

    def grouping(query: Query, column: str) -> str:
        since = f"toUnixTimestamp64Nano({column}) - {query.bind(first, 'Int64')}"
        return f"intDiv({since}, {query.bind(int(width), 'Int64')})"

    return grouping


def distribution_sql(name: str, value: str) -> str:
    """SQL for a `Distribution` of `value`."""
    return (
        f"count({value}) AS {name}_n, {mean(value)} AS {name}_mean,"
        f" {quantiles(value, LEVELS)} AS {name}_q"
    )


def members(query: Query, window: Window, filters: Filters) -> str:
    """The condition that a row belongs to a conversation that the filters let through."""
    if filters.whole_conversations:
        wider = replace(window, start=window.start - MARGIN)
        conversations = conversation_rows(query, Selection(wider, filters))
        return f"({KEY}) IN (SELECT {KEY} FROM {conversations})"  # noqa: S608
    within = query.between("start", window.start - MARGIN, window.end + MARGIN)
    matching = query.table(
        "turns", ["tenant", "conversation_id"], [within, *filters.of_turn(query)]
    )
    return f"({KEY}) IN {matching}"


def turn_conditions(query: Query, window: Window, filters: Filters) -> list[str]:
    """The conditions on turns that are asked about by themselves: a handoff is their own."""
    conditions = [query.between("start", window.start, window.end), *filters.of_turn(query)]
    if filters.handoff is not None:
        conditions.append("handoff" if filters.handoff else "NOT handoff")
    if filters.outcome is not None or filters.state is not None:
        conditions.append(members(query, window, replace(filters, handoff=None)))
    return conditions


def turns_source(query: Query, window: Window, filters: Filters, columns: tuple[str, ...]) -> str:
    """The turns that started in the window, as far as the filters let them through."""
    conditions = [query.between("start", window.start, window.end), *filters.of_turn(query)]
    if filters.whole_conversations:
        conditions.append(members(query, window, filters))
    return query.table("turns", columns, conditions)


def turn_figures(query: Query, window: Window, filters: Filters, grouping: Grouping) -> Rows:
    """Figures of the turns that started in the window.

    Returns:
        A row for each part that has any turn, by the value of the grouping.
    """
    source = turns_source(query, window, filters, TURN_FIGURE_COLUMNS)
    sums = ", ".join(f"sum({name}) AS sum_{name}" for name in TOKENS)
    rows = query.run(f"""
        SELECT {grouping(query, "start")} AS part, count() AS turns,
            countIf({REPLIED}) AS replies,
            {distribution_sql("duration", "duration")},
            {distribution_sql("first_chunk", "time_to_first_chunk")},
            count(confidence) AS confidence_n, {mean("confidence")} AS confidence_mean,
            countIf({LOW}) AS low_confidence,
            countIf({CLASSIFIED}) AS classified,
            countIf(ifNull(fallback, false)) AS fallbacks,
            countIf(handoff) AS handoff_turns,
            countIf(status = 'error') AS errors,
            {sums}, countIf({TOKENS_KNOWN}) AS token_turns,
            sum(cost) AS sum_cost, count(cost) AS priced_turns,
            countIf({UNPRICED}) AS unpriced_turns
        FROM {source} AS t
        GROUP BY part
    """)  # noqa: S608
    return {row["part"]: row for row in rows}


def event_figures(query: Query, window: Window, filters: Filters, grouping: Grouping) -> Rows:
    """Figures of the messages and feedback in the window, by their own time."""
    message = f"name = '{semconv.EVENT_MESSAGE}'"
    feedback = f"name = '{semconv.EVENT_EVALUATION}' AND evaluation = '{USER_FEEDBACK}'"
    conditions = [
        query.between("time", window.start, window.end),
        f"{message} OR ({feedback} AND isNotNull(score))",
    ]
    if not filters.empty:
        conditions.append(members(query, window, filters))
    columns = ("time", "name", "sender", "evaluation", "score", "value", "scale_min", "scale_max")
    senders = ", ".join(
        f"countIf({message} AND sender = '{sender}') AS {sender}_messages"
        for sender in semconv.SENDERS
    )
    rows = query.run(f"""
        SELECT {grouping(query, "time")} AS part, {senders},
            countIf({feedback}) AS ratings,
            {total("score", feedback)} AS score_sum,
            countIf({feedback} AND {POSITIVE}) AS top_ratings,
            {mean("value", feedback)} AS mean_value,
            uniqExactIf((scale_min, scale_max), {feedback}) AS scales
        FROM {query.table("events", columns, conditions)} AS e
        GROUP BY part
    """)  # noqa: S608
    return {row["part"]: row for row in rows}


CONVERSATION_TURN_COLUMNS: Final = ("replies", "cost")
CONVERSATION_EVENT_COLUMNS: Final = tuple(f"{sender}_messages" for sender in semconv.SENDERS)


def conversation_figures(
    query: Query,
    window: Window,
    filters: Filters,
    grouping: Grouping,
    extra: tuple[str, ...] = (),
) -> Rows:
    """Figures of the conversations that started in the window.

    Args:
        query: The SELECT under construction.
        window: The conversations to take.
        filters: What they are limited to.
        grouping: Which part a conversation belongs to.
        extra: More columns of a conversation's turns that the grouping needs.
    """
    source = conversation_rows(
        query,
        Selection(window, filters),
        (*CONVERSATION_TURN_COLUMNS, *extra),
        CONVERSATION_EVENT_COLUMNS,
    )
    outcomes = ", ".join(
        f"countIf(outcome = '{outcome}') AS outcome_{outcome}" for outcome in semconv.OUTCOMES
    )
    messages = " + ".join(("turns", "replies", *CONVERSATION_EVENT_COLUMNS))
    seconds = "toUnixTimestamp64Nano(last_at) - toUnixTimestamp64Nano(started_at)"
    rows = query.run(f"""
        SELECT {grouping(query, "started_at")} AS part, count() AS conversations,
            {outcomes},
            countIf(settled) AS settled_n,
            countIf(confirmed) AS confirmed_n,
            countIf(handed_off) AS handoffs,
            countIf(settled AND NOT handed_off) AS contained,
            countIf(confirmed AND NOT handed_off) AS contained_confirmed,
            countIf(settled AND NOT ended AND outcome != 'resolved') AS incomplete,
            sumIf(cost, settled) AS settled_cost,
            sum(engagement) AS engagement_sum,
            sum(turns) AS turns_sum,
            sum({messages}) AS messages_sum,
            sum({seconds}) AS duration_sum
        FROM {source} AS c
        GROUP BY part
    """)  # noqa: S608
    return {row["part"]: row for row in rows}
