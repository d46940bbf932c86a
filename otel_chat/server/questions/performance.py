"""How fast replies come, and what fails: quantiles, histograms over time, routes, errors."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from pydantic import Field

from otel_chat.server.figures.answers import Answer, TimeSpan
from otel_chat.server.figures.figures import (
    WHOLE,
    by_bucket,
    by_bucket_and_whole,
    conditions_on_turns,
    conversations_with_turns,
    distribution_sql,
    turns_source,
)
from otel_chat.server.figures.registry import figure, query
from otel_chat.server.figures.sql import Query, moment, nanos, ratio
from otel_chat.server.figures.window import Bucket, Window
from otel_chat.server.rules import RESPONSE_TIME, WITHOUT_REPLY

if TYPE_CHECKING:
    from otel_chat.server.access import Scope
    from otel_chat.server.figures.figures import Rows
    from otel_chat.server.figures.filters import Filters
    from otel_chat.server.figures.sums import Grouping
    from otel_chat.server.store import Store

LEVELS: Final = (0.5, 0.75, 0.9, 0.95, 0.99)
# The buckets of the metric otel_chat.turn.duration, so that the two read alike.
BOUNDS: Final = (
    0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 7.5, 10.0, 15.0, 30.0, 60.0, 120.0,
)  # fmt: skip
MOST: Final = 100


class Quantiles(Answer):
    """A mean and exact quantiles, in seconds; null over none."""

    mean: float | None
    p50: float | None
    p75: float | None
    p90: float | None
    p95: float | None
    p99: float | None
    count: int = Field(description="Over how many turns.")


class PerformancePoint(Answer):
    """One bucket of time."""

    start: datetime = Field(description="The start of the bucket, UTC.")
    turns: int
    conversations: int = Field(description="Those that had a turn in it.")
    errors: int
    error_rate: float | None
    response_time_p50: float | None
    response_time_p95: float | None
    first_chunk_p50: float | None
    first_chunk_p95: float | None
    histogram: list[int] = Field(
        description="Answered turns by response time: up to the first bound, between each two,"
        " above the last."
    )


class Performance(Answer):
    """How fast replies come."""

    window: TimeSpan
    turns: int
    response_time: Quantiles
    time_to_first_chunk: Quantiles
    errors: int = Field(description="Turns that ended in an error.")
    error_rate: float | None = Field(description="Turns that ended in an error ÷ turns.")
    cancelled: int = figure("cancelled_turns", "{turn}", "Turns that were cut off, by whomever.")
    without_reply: int = Field(description="Turns that ended well with nothing to say.")
    throughput: float | None = figure(
        "turns_per_minute", "{turn}/min", "Turns ÷ minutes of the window."
    )
    bounds: list[float] = Field(description="Of the histograms, in seconds.")
    bucket: Bucket
    points: list[PerformancePoint]


class TurnError(Answer):
    """The turns that ended in an error of one type."""

    error_type: str
    turns: int = figure("error_type_turns", "{turn}", "Turns that ended in this type of error.")
    share: float | None = Field(description="Of all turns that ended in an error.")
    conversations: int
    first_seen: datetime
    last_seen: datetime
    trace_id: str = Field(description="The latest of them.")
    trend: list[int] = Field(description="Turns by bucket of time, as in `starts`.")


class TurnErrors(Answer):
    """Errors by type, the most frequent first."""

    window: TimeSpan
    turns: int = Field(description="Turns that ended in an error.")
    bucket: Bucket
    starts: list[datetime] = Field(description="The starts of the buckets of the trends, UTC.")
    items: list[TurnError] = Field(description=f"At most {MOST}.")


def _histogram(value: str) -> str:
    """SQL for how many values lie in each bucket."""
    counts = [*(f"countIf({value} <= {bound})" for bound in BOUNDS), f"count({value})"]
    return f"arrayPopFront(arrayDifference([0, {', '.join(counts)}]))"


def _quantiles(row: dict[str, Any], name: str) -> Quantiles:
    count = row.get(f"{name}_n", 0)
    found = row.get(f"{name}_q", ()) if count else (None,) * len(LEVELS)
    names = [f"p{round(level * 100)}" for level in LEVELS]
    return Quantiles(
        mean=row.get(f"{name}_mean") if count else None,
        count=count,
        **dict(zip(names, found, strict=True)),
    )


@query()
def performance(
    store: Store, scope: Scope, window: Window, filters: Filters, bucket: Bucket | None = None
) -> Performance:
    """How fast replies come in the window, and over time.

    Args:
        store: The store to ask.
        scope: What the caller may see.
        window: The turns to take.
        filters: What they are limited to.
        bucket: The length of a bucket; one that suits the window without.

    Raises:
        QueryError: If that makes too many buckets.
    """
    width = bucket or window.bucket()
    starts = window.bucket_starts(width)
    by = by_bucket_and_whole(window, width)
    with_turns = store.submit(
        conversations_with_turns, Query(store, scope), window, filters, by_bucket(window, width)
    )
    rows = _rows(Query(store, scope), window, filters, by)
    conversations = with_turns.result()
    whole = rows.get(WHOLE, {})
    turns = whole.get("turns", 0)
    minutes = window.length.total_seconds() / 60
    return Performance(
        window=TimeSpan.of(window),
        turns=turns,
        response_time=_quantiles(whole, "response"),
        time_to_first_chunk=_quantiles(whole, "first_chunk"),
        errors=whole.get("errors", 0),
        error_rate=ratio(whole.get("errors", 0), turns),
        cancelled=whole.get("cancelled", 0),
        without_reply=whole.get("without_reply", 0),
        throughput=turns / minutes if turns else None,
        bounds=list(BOUNDS),
        bucket=width,
        points=[
            _point(at, {"conversations": conversations.get(number, 0), **rows.get(number, {})})
            for number, at in enumerate(starts)
        ],
    )


def _rows(query: Query, window: Window, filters: Filters, by: Grouping) -> Rows:
    columns = (
        f"{by(query, 'start')} AS part",
        f"{RESPONSE_TIME} AS response_time",
        "time_to_first_chunk",
        "status",
        f"{WITHOUT_REPLY} AS mute",
    )
    aggregates = f"""
        count() AS turns, countIf(status = 'error') AS errors,
        countIf(status = 'cancelled') AS cancelled, countIf(mute) AS without_reply,
        {_histogram("response_time")} AS histogram,
        {distribution_sql("response", "response_time", LEVELS)},
        {distribution_sql("first_chunk", "time_to_first_chunk", LEVELS)}"""
    rows = query.run(by.grouped(aggregates, turns_source(query, window, filters, columns)))
    return {row["key"]: row for row in rows}


def _point(start: datetime, row: dict[str, Any]) -> PerformancePoint:
    response, chunk = _quantiles(row, "response"), _quantiles(row, "first_chunk")
    return PerformancePoint(
        start=start,
        turns=row.get("turns", 0),
        conversations=row.get("conversations", 0),
        errors=row.get("errors", 0),
        error_rate=ratio(row.get("errors"), row.get("turns")),
        response_time_p50=response.p50,
        response_time_p95=response.p95,
        first_chunk_p50=chunk.p50,
        first_chunk_p95=chunk.p95,
        histogram=row.get("histogram", [0] * (len(BOUNDS) + 1)),
    )


@query()
def errors(store: Store, scope: Scope, window: Window, filters: Filters) -> TurnErrors:
    """Turns that ended in an error, by its type.

    Args:
        store: The store to ask.
        scope: What the caller may see.
        window: The turns to take.
        filters: What they are limited to.
    """
    statement = Query(store, scope)
    starts = window.bucket_starts(window.bucket())
    columns = ("tenant", "conversation_id", "error_type", "start", "trace_id", "span_id")
    conditions = [*conditions_on_turns(statement, window, filters), "status = 'error'"]
    rows = statement.run(f"""
        SELECT toString(error_type) AS name, count() AS turns,
            uniqExactIf((tenant, conversation_id), conversation_id != '') AS conversations,
            {nanos("min(start)")} AS first_ns, {nanos("max(start)")} AS last_ns,
            lower(hex(argMax(trace_id, (start, trace_id)))) AS trace,
            sumMap(map({by_bucket(window, window.bucket())(statement, "start")}, 1)) AS trend
        FROM {statement.table("turns", columns, conditions)} AS t
        GROUP BY name
        ORDER BY turns DESC, name
    """)  # noqa: S608
    every = sum(row["turns"] for row in rows)
    return TurnErrors(
        window=TimeSpan.of(window),
        turns=every,
        bucket=window.bucket(),
        starts=starts,
        items=[
            TurnError(
                error_type=row["name"],
                turns=row["turns"],
                share=ratio(row["turns"], every),
                conversations=row["conversations"],
                first_seen=moment(row["first_ns"]),
                last_seen=moment(row["last_ns"]),
                trace_id=row["trace"],
                trend=[row["trend"].get(number, 0) for number in range(len(starts))],
            )
            for row in rows[:MOST]
        ],
    )
