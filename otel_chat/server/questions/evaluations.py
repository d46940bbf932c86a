"""Named evaluation scores: of users, of models that judge, of tests."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from pydantic import Field

from otel_chat.errors import QueryError
from otel_chat.server.figures.answers import Answer, TimeSpan
from otel_chat.server.figures.figures import by_bucket
from otel_chat.server.figures.registry import figure, query
from otel_chat.server.figures.sql import Query, mean, quantiles
from otel_chat.server.figures.window import Bucket, Window
from otel_chat.server.questions.feedback import EVALUATED, evaluation_events

if TYPE_CHECKING:
    from otel_chat.server.access import Scope
    from otel_chat.server.figures.filters import Filters
    from otel_chat.server.store import Store

MOST: Final = 100
LEVELS: Final = (0.25, 0.5, 0.75)


class LabelCount(Answer):
    """How often a label was given."""

    label: str
    count: int


class EvaluationPoint(Answer):
    """One bucket of time of one evaluation."""

    start: datetime
    count: int
    mean: float | None


class Evaluation(Answer):
    """The scores of one named evaluation, 0 to 1."""

    name: str
    count: int = figure("evaluations", "{evaluation}", "Results of this evaluation.")
    scored: int = Field(description="Those with a score.")
    mean: float | None = figure("evaluation_score", "1", "Mean score of this evaluation.")
    value_mean: float | None = figure(
        "evaluation_value", "1", "Mean value of this evaluation, on the scale that it was given on."
    )
    p25: float | None
    p50: float | None
    p75: float | None
    lowest: float | None
    highest: float | None
    labels: list[LabelCount] = Field(description="The most frequent first, at most ten.")
    points: list[EvaluationPoint]


class Evaluations(Answer):
    """Named evaluations, the most frequent first."""

    window: TimeSpan
    bucket: Bucket
    starts: list[datetime]
    items: list[Evaluation] = Field(description=f"At most {MOST}.")
    others: int


@query()
def evaluations(
    store: Store,
    scope: Scope,
    window: Window,
    filters: Filters,
    bucket: Bucket | None = None,
    name: str | None = None,
    score_min: float | None = None,
    score_max: float | None = None,
) -> Evaluations:
    """The evaluation scores of the window, by name and over time.

    Args:
        store: The store to ask.
        scope: What the caller may see.
        window: The results to take, by their time.
        filters: The conversations that they are limited to.
        bucket: The length of a bucket; one that suits the window without.
        name: Only this evaluation.
        score_min: The least score, 0 to 1.
        score_max: The greatest score, 0 to 1.

    Raises:
        QueryError: If a score lies outside 0 to 1, the least lies above the greatest, or there
            would be too many buckets.
    """
    _check(score_min, score_max)
    width = bucket or window.bucket()
    starts = window.bucket_starts(width)
    statement = Query(store, scope)
    more = _wanted(statement, name, score_min, score_max)
    columns = ("time", "evaluation", "score", "value", "label")
    source = evaluation_events(statement, window, filters, columns, *more)
    rows = statement.run(f"""
        SELECT toString(evaluation) AS called, count() AS every, count(score) AS scored,
            {mean("score")} AS score_mean, {mean("value")} AS value_mean,
            {quantiles("score", LEVELS)} AS score_q,
            min(score) AS lowest, max(score) AS highest,
            sumMap(if(label = '', map(), map(toString(label), 1))) AS labels
        FROM {source} AS e
        GROUP BY called
        ORDER BY every DESC, called
    """)  # noqa: S608
    parts = statement.run(f"""
        SELECT {by_bucket(window, width)(statement, "time")} AS part,
            toString(evaluation) AS called, count() AS every, {mean("score")} AS score_mean
        FROM {source} AS e
        GROUP BY part, called
    """)  # noqa: S608
    by_part = {(row["called"], row["part"]): row for row in parts}
    return Evaluations(
        window=TimeSpan.of(window),
        bucket=width,
        starts=starts,
        items=[_evaluation(row, starts, by_part) for row in rows[:MOST]],
        others=max(len(rows) - MOST, 0),
    )


def _wanted(statement: Query, name: str | None, low: float | None, high: float | None) -> list[str]:
    more = [EVALUATED]
    if name is not None:
        more.append(f"evaluation = {statement.bind(name, 'String')}")
    if low is not None:
        more.append(f"score >= {statement.bind(float(low), 'Float64')}")
    if high is not None:
        more.append(f"score <= {statement.bind(float(high), 'Float64')}")
    return more


def _check(low: float | None, high: float | None) -> None:
    for field, value in (("score_min", low), ("score_max", high)):
        if value is not None and not 0 <= value <= 1:
            raise QueryError("A score lies between 0 and 1.", field=field)
    if low is not None and high is not None and low > high:
        raise QueryError("score_min must not be above score_max.", field="score_min")


def _evaluation(
    row: dict[str, Any], starts: list[datetime], by_part: dict[tuple[str, int], dict[str, Any]]
) -> Evaluation:
    spread = row["score_q"] if row["scored"] else (None, None, None)
    labels = sorted(row["labels"].items(), key=lambda one: (-one[1], one[0]))[:10]
    parts = [by_part.get((row["called"], number), {}) for number in range(len(starts))]
    return Evaluation(
        name=row["called"],
        count=row["every"],
        scored=row["scored"],
        mean=row["score_mean"],
        value_mean=row["value_mean"],
        p25=spread[0],
        p50=spread[1],
        p75=spread[2],
        lowest=row["lowest"],
        highest=row["highest"],
        labels=[LabelCount(label=label, count=count) for label, count in labels],
        points=[
            EvaluationPoint(start=start, count=part.get("every", 0), mean=part.get("score_mean"))
            for start, part in zip(starts, parts, strict=True)
        ],
    )
