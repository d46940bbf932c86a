"""What users think: ratings, and what they write beside them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from pydantic import Field

from otel_chat import semconv
from otel_chat.server.access import CONVERSATIONS_READ
from otel_chat.server.figures.answers import Answer, TimeSpan, exact_mean
from otel_chat.server.figures.conversation_rows import Selection, conversation_rows, members
from otel_chat.server.figures.figures import by_bucket
from otel_chat.server.figures.paging import PAGE, Cursor, check_limit
from otel_chat.server.figures.registry import figure, query
from otel_chat.server.figures.sql import Query, mean, moment, nanos, ratio, total
from otel_chat.server.figures.sums import SCORED
from otel_chat.server.figures.window import Bucket, Window
from otel_chat.server.rules import NEGATIVE, POSITIVE

if TYPE_CHECKING:
    from collections.abc import Collection

    from otel_chat.server.access import Scope
    from otel_chat.server.figures.filters import Filters
    from otel_chat.server.store import Store

MOST: Final = 100


class Ratings(Answer):
    """So many ratings, and what they come to; null over none."""

    ratings: int = Field(description="How many there were.")
    score: float | None = Field(description="Mean of (value - min) ÷ (max - min).")
    top_share: float | None = Field(description="Those in the top two boxes ÷ all.")
    positive: int = figure(
        "positive_ratings", "{rating}", "User feedback in the top two boxes of its scale."
    )
    negative: int = figure(
        "negative_ratings", "{rating}", "User feedback in the bottom two boxes of its scale."
    )


class RatingValue(Answer):
    """How often a value was given."""

    value: float
    ratings: int
    share: float | None = Field(description="Of the ratings on this scale.")


class ScaleMean(Answer):
    """What the ratings on one scale come to."""

    lowest: float
    highest: float
    ratings: int
    mean: float | None = Field(description="On the scale itself.")


class RatingScale(ScaleMean):
    """The ratings on one scale."""

    values: list[RatingValue] = Field(description=f"From the lowest on; at most {MOST}.")


class RatingPoint(Answer):
    """One bucket of time, by when the feedback was given."""

    start: datetime
    ratings: int
    score: float | None
    top_share: float | None


class FeedbackFigures(Answer):
    """User feedback."""

    window: TimeSpan
    all: Ratings
    settled: int = Field(description="Settled conversations that started in the window.")
    rated: int = figure(
        "rated_conversations",
        "{conversation}",
        "Settled conversations with user feedback that counts, as with the ratings.",
        version=2,
    )
    response_rate: float | None = figure(
        "feedback_response_ratio", "1", "Settled conversations with user feedback ÷ settled."
    )
    scales: list[RatingScale] = Field(description="The most used first.")
    bucket: Bucket
    points: list[RatingPoint]


class Comment(Answer):
    """What somebody wrote beside a rating."""

    time: datetime
    conversation_id: str
    tenant: str
    trace_id: str
    evaluation: str
    value: float | None
    score: float | None
    label: str
    comment: str


class Comments(Answer):
    """A page of comments, newest first."""

    window: TimeSpan
    items: list[Comment]
    next_cursor: str | None = Field(description="Ask with it for the next page; null at the end.")


EVALUATED: Final = f"name = '{semconv.EVENT_EVALUATION}'"


def evaluation_events(
    statement: Query, window: Window, filters: Filters, columns: tuple[str, ...], *more: str
) -> str:
    """The events in the window, as far as the filters let their conversations through."""
    conditions = [_within(statement, window), *more]
    if not filters.empty:
        conditions.append(members(statement, window, filters))
    return statement.table("events", columns, conditions)


def _within(statement: Query, window: Window) -> str:
    return statement.within("time", window)


def _ratings(row: dict[str, Any]) -> Ratings:
    count = row.get("ratings", 0)
    return Ratings(
        ratings=count,
        score=exact_mean(row.get("score_sum"), count),
        top_share=ratio(row.get("positive", 0), count),
        positive=row.get("positive", 0),
        negative=row.get("negative", 0),
    )


_SUMS: Final = (
    f"count() AS ratings, {total('score')} AS score_sum, countIf({POSITIVE}) AS positive,"
    f" countIf({NEGATIVE}) AS negative"
)
_RATING: Final = ("time", "score", "value", "scale_min", "scale_max")


@query()
def feedback(
    store: Store, scope: Scope, window: Window, filters: Filters, bucket: Bucket | None = None
) -> FeedbackFigures:
    """The user feedback of the conversations that started in the window, whenever it was given.

    Args:
        store: The store to ask.
        scope: What the caller may see.
        window: The conversations whose feedback to take.
        filters: What it is limited to: feedback of a turn counts if the turn matches.
        bucket: The length of a bucket, by the starts of conversations; one that suits the window
            without.

    Raises:
        QueryError: If that makes too many buckets, or the window is of active conversations.
    """
    window.check_parted()
    width = bucket or window.bucket()
    starts = window.bucket_starts(width)
    response = store.submit(_response, Query(store, scope), window, filters)
    by_part, values = _given(Query(store, scope), window, filters, width)
    settled, rated = response.result()
    return FeedbackFigures(
        window=TimeSpan.of(window),
        all=_ratings(_sum(by_part.values())),
        settled=settled,
        rated=rated,
        response_rate=ratio(rated, settled),
        scales=_scales(values),
        bucket=width,
        points=[
            RatingPoint(start=start, **_shown(by_part.get(number, {}))) for number, start in
            enumerate(starts)
        ],
    )  # fmt: skip


_Rows = list[dict[str, Any]]


def _given(
    statement: Query, window: Window, filters: Filters, width: Bucket
) -> tuple[dict[int, dict[str, Any]], _Rows]:
    """Feedback by bucket, and by scale and value in order; the rows are read once for both."""
    source = conversation_rows(statement, Selection(window, filters), "started_at", "feedback")
    rows = statement.run(f"""
        SELECT grouping(part) = 0 AS by_time, part, scale_min, scale_max, value, {_SUMS}
        FROM (
            SELECT {by_bucket(window, width)(statement, "started_at")} AS part, x.score AS score,
                x.value AS value, x.scale_min AS scale_min, x.scale_max AS scale_max
            FROM {source} AS c
            ARRAY JOIN feedback AS x
        )
        GROUP BY GROUPING SETS ((part), (scale_min, scale_max, value))
        ORDER BY scale_min, scale_max, value
    """)  # noqa: S608
    scaled = [
        row
        for row in rows
        if not row["by_time"] and None not in {row["scale_min"], row["scale_max"], row["value"]}
    ]
    return {row["part"]: row for row in rows if row["by_time"]}, scaled


def means_by_scale(statement: Query, window: Window, filters: Filters) -> list[ScaleMean]:
    """What the feedback of the window comes to, on each scale that it was given on.

    Args:
        statement: The SELECT under construction.
        window: The feedback to take.
        filters: The conversations that it is limited to.

    Returns:
        The most used scale first.
    """
    source = evaluation_events(statement, window, filters, _RATING, SCORED)
    rows = statement.run(f"""
        SELECT scale_min AS lowest, scale_max AS highest, count() AS ratings,
            {mean("value")} AS mean
        FROM {source} AS e
        WHERE isNotNull(scale_min) AND isNotNull(scale_max) AND isNotNull(value)
        GROUP BY lowest, highest
        ORDER BY ratings DESC, lowest, highest
    """)  # noqa: S608
    return [ScaleMean(**row) for row in rows]


def _sum(rows: Collection[dict[str, Any]]) -> dict[str, Any]:
    scores = [row["score_sum"] for row in rows if row["score_sum"] is not None]
    counts = {name: sum(row[name] for row in rows) for name in ("ratings", "positive", "negative")}
    return {**counts, "score_sum": sum(scores) if scores else None}


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    return _ratings(row).model_dump(include={"ratings", "score", "top_share"})


def _response(statement: Query, window: Window, filters: Filters) -> tuple[int, int]:
    rows = conversation_rows(statement, Selection(window, filters), "settled", "feedback")
    found = statement.one(
        f"SELECT countIf(settled) AS every, countIf(settled AND notEmpty(feedback)) AS rated"  # noqa: S608
        f" FROM {rows} AS c"
    )
    return int(found.get("every", 0)), int(found.get("rated", 0))


def _scales(values: list[dict[str, Any]]) -> list[RatingScale]:
    by_scale: dict[tuple[float, float], list[dict[str, Any]]] = {}
    for row in values:
        by_scale.setdefault((row["scale_min"], row["scale_max"]), []).append(row)
    made = []
    for (lowest, highest), rows in by_scale.items():
        count = sum(row["ratings"] for row in rows)
        made.append(
            RatingScale(
                lowest=lowest,
                highest=highest,
                ratings=count,
                mean=sum(row["value"] * row["ratings"] for row in rows) / count,
                values=[
                    RatingValue(
                        value=row["value"],
                        ratings=row["ratings"],
                        share=ratio(row["ratings"], count),
                    )
                    for row in rows[:MOST]
                ],
            )
        )
    return sorted(made, key=lambda scale: (-scale.ratings, scale.lowest, scale.highest))


@query(CONVERSATIONS_READ)
def comments(
    store: Store,
    scope: Scope,
    window: Window,
    filters: Filters,
    limit: int = PAGE,
    cursor: str | None = None,
    evaluation: str | None = None,
) -> Comments:
    """What was written beside ratings, newest first; for who may read text.

    Args:
        store: The store to ask.
        scope: What the caller may see.
        window: The comments to take.
        filters: The conversations that they are limited to.
        limit: How many to a page, 1 to 200.
        cursor: Where the page before ended.
        evaluation: Only those of this evaluation, such as user_feedback.

    Raises:
        QueryError: If the limit or the cursor is wrong.
    """
    check_limit(limit)
    at = None if cursor is None else Cursor.read(cursor)
    statement = Query(store, scope)
    more = [EVALUATED, "comment != ''"]
    if evaluation is not None:
        more.append(f"evaluation = {statement.bind(evaluation, 'String')}")
    written = statement.table(
        "events", ("comment",), [_within(statement, window), *more], once=False
    )
    if not statement.any(written):
        return Comments(window=TimeSpan.of(window), items=[], next_cursor=None)
    columns = (
        "tenant", "conversation_id", "time", "uid", "trace_id", "evaluation", "value", "score",
        "label", "comment",
    )  # fmt: skip
    source = evaluation_events(statement, window, filters, columns, *more)
    after = ""
    if at is not None:
        after = (
            f"WHERE (-ns, tenant, key) > ({statement.bind(-at.at, 'Int64')},"
            f" {statement.bind(at.tenant, 'String')}, {statement.bind(at.key, 'String')})"
        )
    rows = statement.run(f"""
        SELECT toString(tenant) AS tenant, conversation_id, lower(hex(trace_id)) AS trace,
            toString(evaluation) AS evaluation, value, score, toString(label) AS label, comment,
            {nanos("time")} AS ns, concat(conversation_id, ' ', uid) AS key
        FROM {source} AS e
        {after}
        ORDER BY ns DESC, tenant, key
        LIMIT {statement.bind(limit + 1, "UInt32")}
    """)  # noqa: S608
    page = rows[:limit]
    last = page[-1] if len(rows) > limit else None
    return Comments(
        window=TimeSpan.of(window),
        items=[_comment(row) for row in page],
        next_cursor=Cursor(last["ns"], last["tenant"], last["key"]).text() if last else None,
    )


def _comment(row: dict[str, Any]) -> Comment:
    kept = ("conversation_id", "tenant", "evaluation", "value", "score", "label", "comment")
    return Comment(
        time=moment(row["ns"]), trace_id=row["trace"], **{name: row[name] for name in kept}
    )
