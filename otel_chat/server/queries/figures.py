"""The figures of turns, conversations and events, for whole windows and for parts of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from otel_chat import semconv
from otel_chat.server.queries.aggregation import Selection, conversation_rows
from otel_chat.server.queries.partials import HASH, KEY, TOKENS
from otel_chat.server.queries.quarter_hours import COUNTED, EVENT_SUMS, TURN_SUMS
from otel_chat.server.queries.speeds import FIRST_CHUNK, named, speeds
from otel_chat.server.queries.sql import SCALE, mean, quantiles
from otel_chat.server.queries.sums import (
    DAY_TIME,
    Grouping,
    Source,
    all_of,
    by_quarter_hours,
    sums,
    whole,
    whole_days,
)
from otel_chat.server.queries.window import BUCKETS, MARGIN, Bucket, Window, nanoseconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_chat.server.queries.days import Days
    from otel_chat.server.queries.filters import Filters
    from otel_chat.server.queries.sql import Query

Rows = dict[Any, dict[str, Any]]
LEVELS: Final = (0.5, 0.95, 0.99)


def by_period(window: Window) -> Grouping:
    """Rows of the window are 1, rows before it 0."""

    def sql(query: Query, column: str) -> str:
        return f"toUInt8({column} >= {query.moment(window.start)})"

    return Grouping(sql, (window.start,))


def by_bucket(window: Window, bucket: Bucket) -> Grouping:
    """Rows belong to the bucket of that number, the first being the window's first."""
    starts = window.bucket_starts(bucket)
    first, width = nanoseconds(starts[0]), BUCKETS[bucket] // timedelta(microseconds=1) * 1000

    def sql(query: Query, column: str) -> str:
        since = f"toUnixTimestamp64Nano({column}) - {query.bind(first, 'Int64')}"
        return f"intDiv({since}, {query.bind(width, 'Int64')})"

    return Grouping(sql, tuple(starts))


BEFORE: Final = -1
WHOLE: Final = -2


def by_bucket_and_whole(window: Window, bucket: Bucket) -> Grouping:
    """As `by_bucket`, and `WHOLE` for all of the window; rows before it are `BEFORE`."""
    inside = by_bucket(window, bucket)

    def sql(query: Query, column: str) -> str:
        within = f"{column} >= {query.moment(window.start)}"
        return f"if({within}, toInt64({inside(query, column)}), {BEFORE})"

    return Grouping(sql, (window.start, *inside.ends), f"if(part = {BEFORE}, {BEFORE}, {WHOLE})")


def distribution_sql(name: str, value: str, levels: Sequence[float] = LEVELS) -> str:
    """SQL for a `Distribution` of `value`, or one with other quantiles."""
    return (
        f"count({value}) AS {name}_n, {mean(value)} AS {name}_mean,"
        f" {quantiles(value, levels)} AS {name}_q"
    )


def members(query: Query, window: Window, filters: Filters) -> str:
    """The condition that a row belongs to a conversation that the filters let through."""
    if filters.whole_conversations:
        wider = replace(window, start=window.start - MARGIN)
        conversations = conversation_rows(
            query, Selection(wider, filters), told=("tenant", "conversation_id")
        )
        return f"({KEY}) IN (SELECT {KEY} FROM {conversations})"  # noqa: S608
    within = query.between("start", window.start - MARGIN, window.end + MARGIN)
    matching = query.table(
        "turns", ["tenant", "conversation_id"], [within, *filters.of_turn(query)]
    )
    return f"({KEY}) IN {matching}"


def turn_conditions(
    query: Query, window: Window, filters: Filters, part: Window | None = None
) -> list[str]:
    """The conditions on turns that are asked about by themselves: a handoff is their own.

    Args:
        query: The SELECT under construction.
        window: The span of time, by which conversations are let through.
        filters: What they are limited to.
        part: Only those that started in this part of it.
    """
    span = part or window
    return [query.between("start", span.start, span.end), *turn_limits(query, window, filters)]


def turn_limits(query: Query, window: Window, filters: Filters) -> list[str]:
    """The same without that on their time."""
    conditions = filters.of_turn(query)
    if filters.handoff is not None:
        conditions.append("handoff" if filters.handoff else "NOT handoff")
    if filters.outcome is not None or filters.state is not None:
        conditions.append(members(query, window, replace(filters, handoff=None)))
    return conditions


def turns_source(
    query: Query,
    window: Window,
    filters: Filters,
    columns: tuple[str, ...],
    part: Window | None = None,
) -> str:
    """The turns that started in the window, as far as the filters let them through.

    Args:
        query: The SELECT under construction.
        window: The span of time, by which conversations are let through.
        filters: What they are limited to.
        columns: The columns of turns to read.
        part: Only those that started in this part of it.
    """
    return query.table("turns", columns, conditions_on_turns(query, window, filters, part))


def conditions_on_turns(
    query: Query, window: Window, filters: Filters, part: Window | None = None
) -> list[str]:
    """The conditions on the turns of `turns_source`: a handoff is one of their conversation."""
    span = part or window
    return [query.between("start", span.start, span.end), *limits_on_turns(query, window, filters)]


def limits_on_turns(query: Query, window: Window, filters: Filters) -> list[str]:
    """The same without that on their time."""
    conditions = filters.of_turn(query)
    if filters.whole_conversations:
        conditions.append(members(query, window, filters))
    return conditions


def days_by_dimensions(query: Query, window: Window, filters: Filters, grouping: Grouping) -> Days:
    """The kept days whose rows tell what the filters ask for, and the spans beside them.

    Args:
        query: The SELECT under construction.
        window: The turns to take.
        filters: What they are limited to: by other than dimensions only turns can tell.
        grouping: The parts of the answer.
    """
    if filters.whole_conversations or not filters.by_dimensions:
        return all_of(window)
    return whole_days(query, window, grouping)


def _turns_of(query: Query, window: Window, filters: Filters, grouping: Grouping) -> Source:
    """The turns that started in the window, from kept days as far as the filters know those."""
    limits = tuple(limits_on_turns(query, window, filters))
    days = days_by_dimensions(query, window, filters, grouping)
    if not days.kept:
        return Source("turns", days, limits)
    kept = (*days.kept_conditions(query), "turns > 0", *limits)
    return Source("turns", days, limits, kept)


def turn_sums(query: Query, window: Window, filters: Filters, grouping: Grouping) -> str:
    """A subquery with sums of the turns that started in the window; see `sums`."""
    if filters.empty:
        source = by_quarter_hours(query, "turns", window, grouping)
    else:
        source = _turns_of(query, window, filters, grouping)
    return sums(query, source, grouping, TURN_SUMS)


def turn_figures(query: Query, window: Window, filters: Filters, grouping: Grouping) -> Rows:
    """Figures of the turns that started in the window.

    Returns:
        A row for each part that has any turn, by the value of the grouping.
    """
    tokens = ", ".join(f"sum(p_{name}) AS sum_{name}" for name in TOKENS)
    counts = ", ".join(
        f"sum(p_{name}) AS {name}"
        for name in (
            "replies", "low_confidence", "classified", "fallbacks", "handoff_turns", "errors",
            "token_turns", "priced_turns", "unpriced_turns",
        )
    )  # fmt: skip
    aggregates = f"""
        sum(p_turns) AS turns, {counts}, {tokens}, sum(p_cost) AS sum_cost,
        turns AS duration_n, sum(p_duration_sum) / nullIf(turns, 0) / {SCALE} AS duration_mean,
        sum(p_first_chunks) AS first_chunk_n,
        sum(p_first_chunk_sum) / nullIf(first_chunk_n, 0) / {SCALE} AS first_chunk_mean,
        sum(p_confidences) AS confidence_n,
        sum(p_confidence_sum) / nullIf(confidence_n, 0) / {SCALE} AS confidence_mean"""
    found = _rows(query, grouping, aggregates, turn_sums(query, window, filters, grouping))
    for part, row in _turn_quantiles(query, window, filters, grouping).items():
        # What arrived between the two questions is in the next answer.
        found.get(part, {}).update(row)
    return found


def _turn_quantiles(query: Query, window: Window, filters: Filters, grouping: Grouping) -> Rows:
    kept = speeds(query, window, filters, grouping, LEVELS)
    if kept is not None:
        return {part: named(found) for part, found in kept.items()}
    columns = (f"{grouping(query, 'start')} AS part", "duration", FIRST_CHUNK)
    aggregates = f"""{quantiles("duration", LEVELS)} AS duration_q,
        {quantiles(FIRST_CHUNK, LEVELS)} AS first_chunk_q"""
    source = turns_source(query, window, filters, columns)
    return _rows(query, grouping, aggregates, source)


def _rows(query: Query, grouping: Grouping, aggregates: str, source: str) -> Rows:
    return {row["key"]: row for row in query.run(grouping.grouped(aggregates, source))}


def conversations_with_turns(
    query: Query, window: Window, filters: Filters, grouping: Grouping
) -> dict[Any, int]:
    """How many conversations had a turn in each part of the window."""
    source = _turns_of(query, window, filters, whole)
    within = source.days.afresh_condition(query, "start")
    afresh = query.table("turns", (KEY, "start"), [within, *source.conditions])
    parts = [f"SELECT {grouping(query, 'start')} AS part, {HASH} AS hash FROM {afresh}"]  # noqa: S608
    if source.days.kept:
        part = f"{grouping(query, DAY_TIME)} AS part"
        if source.days.kept != whole_days(query, window, grouping).kept:
            # Some days are in several parts.
            at = grouping(query, "fromUnixTimestamp64Micro(toInt64(micros), 'UTC')")
            part = f"arrayJoin(arrayDistinct(arrayMap(micros -> {at}, turn_times))) AS part"
        kept = query.table(source.table, (part, "hash"), source.of_days, once=False)
        parts.append(f"SELECT part, hash FROM {kept}")  # noqa: S608
    rows = query.run(f"""
        SELECT part, uniqExact(hash) AS conversations
        FROM ({" UNION ALL ".join(parts)}) WHERE hash != 0 GROUP BY part
    """)  # noqa: S608
    return {row["part"]: row["conversations"] for row in rows}


def event_figures(query: Query, window: Window, filters: Filters, grouping: Grouping) -> Rows:
    """Figures of the messages and feedback in the window, by their own time."""
    if filters.empty:
        source = by_quarter_hours(query, "events", window, grouping)
    else:
        conditions = (COUNTED["events"], members(query, window, filters))
        source = Source("events", all_of(window), conditions)
    senders = ", ".join(
        f"sum(p_{sender}_messages) AS {sender}_messages" for sender in semconv.SENDERS
    )
    aggregates = f"""
        {senders}, sum(p_scores) AS ratings, sum(p_score_sum) AS score_sum,
        sum(p_top_scores) AS top_ratings,
        sum(p_scored_value_sum) / nullIf(sum(p_scored_values), 0) / {SCALE} AS mean_value,
        length(groupUniqArrayArray(p_scales)) AS scales"""
    return _rows(query, grouping, aggregates, sums(query, source, grouping, EVENT_SUMS))


CONVERSATION_TURN_COLUMNS: Final = ("replies", "cost")
CONVERSATION_EVENT_COLUMNS: Final = tuple(f"{sender}_messages" for sender in semconv.SENDERS)


_TOLD: Final = (
    "started_at", "last_at", "settled", "handed_off", "outcome", "confirmed", "ended", "turns",
    "engagement",
)  # fmt: skip


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
        told=_TOLD,
    )
    outcomes = ", ".join(
        f"countIf(outcome = '{outcome}') AS outcome_{outcome}" for outcome in semconv.OUTCOMES
    )
    messages = " + ".join(("turns", "replies", *CONVERSATION_EVENT_COLUMNS))
    seconds = "toUnixTimestamp64Nano(last_at) - toUnixTimestamp64Nano(started_at)"
    aggregates = f"""
        count() AS conversations,
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
        sum({seconds}) AS duration_sum"""
    parted = f"(SELECT *, {grouping(query, 'started_at')} AS part FROM {source} AS c)"  # noqa: S608
    return _rows(query, grouping, aggregates, parted)
