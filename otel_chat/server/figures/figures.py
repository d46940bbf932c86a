"""The figures of turns, conversations and events, for whole windows and for parts of them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from otel_chat._common.moments import nanoseconds
from otel_chat.server.figures.answers import exact_mean
from otel_chat.server.figures.conversation_figures import columns, sums_sql
from otel_chat.server.figures.conversation_rows import (
    KEY,
    Selection,
    conversation_rows,
    members,
    of_turns,
)
from otel_chat.server.figures.registry import Quotient, register
from otel_chat.server.figures.sql import SCALE, billionths, mean, quantiles
from otel_chat.server.figures.sums import (
    COUNTED_EVENTS,
    EVENT_SUMS,
    TURN_SUMS,
    Grouping,
    added,
    sums,
    whole,
)
from otel_chat.server.figures.window import BUCKETS, Bucket, Window
from otel_chat.server.rules import POSITIVE, RESPONSE_TIME

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_chat.server.figures.filters import Filters
    from otel_chat.server.figures.sql import Query

Rows = dict[Any, dict[str, Any]]
LEVELS: Final = (0.5, 0.95, 0.99)


def by_period(window: Window) -> Grouping:
    """Rows of the window are 1, rows before it 0."""

    def sql(query: Query, column: str) -> str:
        return f"toUInt8({column} >= {query.moment(window.start)})"

    return Grouping(sql)


def by_bucket(window: Window, bucket: Bucket) -> Grouping:
    """Rows belong to the bucket of that number, the first being the window's first."""
    starts = [nanoseconds(start) for start in window.bucket_starts(bucket)]
    width = BUCKETS[bucket] // timedelta(microseconds=1) * 1000
    # Where clocks change a bucket is shorter or longer: those after it are counted from there.
    runs = [0, *(at for at in range(1, len(starts)) if starts[at] - starts[at - 1] != width)]

    def sql(query: Query, column: str) -> str:
        moment = f"toUnixTimestamp64Nano({column})"
        found = ""
        for place, first in enumerate(runs):
            since = query.bind(starts[first], "Int64")
            number = f"{first} + intDiv({moment} - {since}, {query.bind(width, 'Int64')})"
            if place + 1 < len(runs):
                number = f"least({number}, {runs[place + 1] - 1})"
            found = f"if({moment} >= {since}, {number}, {found})" if place else number
        return found

    return Grouping(sql)


BEFORE: Final = -1
WHOLE: Final = -2


def by_bucket_and_whole(window: Window, bucket: Bucket) -> Grouping:
    """As `by_bucket`, and `WHOLE` for all of the window; rows before it are `BEFORE`."""
    inside = by_bucket(window, bucket)

    def sql(query: Query, column: str) -> str:
        within = f"{column} >= {query.moment(window.start)}"
        return f"if({within}, toInt64({inside(query, column)}), {BEFORE})"

    return Grouping(sql, f"if(part = {BEFORE}, {BEFORE}, {WHOLE})")


def distribution_sql(name: str, value: str, levels: Sequence[float] = LEVELS) -> str:
    """SQL for a `Distribution` of `value`, or one with other quantiles."""
    return (
        f"count({value}) AS {name}_n, {mean(value)} AS {name}_mean,"
        f" {quantiles(value, levels)} AS {name}_q"
    )


def turns_source(query: Query, window: Window, filters: Filters, columns: tuple[str, ...]) -> str:
    """The turns that started in the window, as far as the filters let them through.

    Args:
        query: The SELECT under construction.
        window: They started in it.
        filters: What they are limited to.
        columns: The columns of turns to read.
    """
    return query.table("turns", columns, conditions_on_turns(query, window, filters))


def conditions_on_turns(query: Query, window: Window, filters: Filters) -> list[str]:
    """The conditions on the turns of `turns_source`."""
    within = query.within("start", window)
    return [within, *of_turns(query, window, filters)]


def turn_sums(
    query: Query, window: Window, filters: Filters, grouping: Grouping, beside: Sequence[str] = ()
) -> str:
    """A subquery with sums of the turns that started in the window; see `sums`."""
    conditions = conditions_on_turns(query, window, filters)
    return sums(query, "turns", conditions, grouping, TURN_SUMS, beside)


_QUANTILES: Final = {"response_q": RESPONSE_TIME, "first_chunk_q": "time_to_first_chunk"}


def turn_figures(query: Query, window: Window, filters: Filters, grouping: Grouping) -> Rows:
    """Figures of the turns that started in the window.

    Returns:
        A row for each part that has any turn, by the value of the grouping.
    """
    states = [f"{quantiles(of, LEVELS, 'State')} AS p_{name}" for name, of in _QUANTILES.items()]
    source = turn_sums(query, window, filters, grouping, states)
    merged = [f"{quantiles(f'p_{name}', LEVELS, 'Merge')} AS {name}" for name in _QUANTILES]
    found = _rows(query, grouping, ", ".join((added(TURN_SUMS), *merged)), source)
    for row in found.values():
        for name in ("response", "first_chunk", "confidence"):
            row[f"{name}_mean"] = exact_mean(row[f"{name}_sum"], row[f"{name}_n"])
    return found


def _rows(query: Query, grouping: Grouping, aggregates: str, source: str) -> Rows:
    return {row["key"]: row for row in query.run(grouping.grouped(aggregates, source))}


def conversations_with_turns(
    query: Query, window: Window, filters: Filters, grouping: Grouping
) -> dict[Any, int]:
    """How many conversations had a turn in each part of the window."""
    columns = (f"{grouping(query, 'start')} AS part", f"uniqExact({KEY}) AS conversations")
    conditions = [*conditions_on_turns(query, window, filters), "conversation_id != ''"]
    rows = query.run(f"{query.select('turns', columns, conditions)} GROUP BY part")
    return {row["part"]: row["conversations"] for row in rows}


def event_figures(query: Query, window: Window, filters: Filters, grouping: Grouping) -> Rows:
    """Figures of the messages and feedback in the window, by their own time."""
    conditions = [query.within("time", window), COUNTED_EVENTS]
    if not filters.empty:
        conditions.append(members(query, window, filters))
    source = sums(query, "events", conditions, grouping, EVENT_SUMS)
    return _rows(query, grouping, added(EVENT_SUMS), source)


SATISFIED: Final = register(
    Quotient(
        name="csat_top_ratio",
        unit="1",
        definition="Feedback in the top two boxes ÷ all feedback; of a scale of fewer than four or"
        " more than eleven boxes, in its top quarter.",
        version=2,
        label="CSAT",
        better="higher",
        part="top_ratings",
        whole="ratings",
        gauge="otel_chat_csat_ratio",
    )
)


def ratings(feedback: str) -> str:
    """SQL of sums of the user feedback of conversations.

    Args:
        feedback: SQL of the array of each.
    """
    scale = "value, scale_min, scale_max, score"
    columns = ", ".join(f"{feedback}.{name}" for name in scale.split(", "))
    return f"""
        sum(length({feedback})) AS ratings,
        sumArray(arrayMap(x -> {billionths("x.score")}, {feedback})) AS score_sum,
        sum(arrayCount(({scale}) -> {POSITIVE}, {columns})) AS top_ratings,
        sum(arrayCount(x -> isNotNull(x.value), {feedback})) AS rated_values,
        sumArray(arrayMap(x -> {billionths("x.value")}, {feedback}))
            / nullIf(rated_values, 0) / {SCALE} AS mean_value,
        length(groupUniqArrayArray(arrayMap(x -> (x.scale_min, x.scale_max), {feedback})))
            AS scales"""


def conversation_figures(
    query: Query,
    window: Window,
    filters: Filters,
    grouping: Grouping,
) -> Rows:
    """Figures of the conversations that started in the window.

    Args:
        query: The SELECT under construction.
        window: The conversations to take.
        filters: What they are limited to.
        grouping: Which part a conversation belongs to.

    Raises:
        QueryError: If parts of time are asked of conversations that were active in the window.
    """
    if grouping is not whole:
        window.check_parted()
    source = conversation_rows(query, Selection(window, filters), *columns())
    aggregates = f"{sums_sql()}, {ratings('s.feedback')}"
    parted = f"(SELECT *, {grouping(query, 'started_at')} AS part FROM {source} AS c)"  # noqa: S608
    return _rows(query, grouping, aggregates, parted)
