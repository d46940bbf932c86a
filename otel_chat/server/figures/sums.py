"""Sums over turns and over events, and the parts of an answer by which they are told apart.

What is summed up are whole numbers, so that the order in which rows come makes no difference, and
sums of parts add up to those of the whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from otel_chat import semconv
from otel_chat.server.figures.sql import total
from otel_chat.server.rules import (
    ANNOTATION,
    ANSWERED,
    CLASSIFIED,
    IS_FEEDBACK,
    OF_A_TURN,
    REPLIED,
    RESPONSE_TIME,
    SCORE,
    TOKENS,
    TOKENS_KNOWN,
    UNPRICED,
    WITHOUT_REPLY,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from otel_chat.server.figures.sql import Query

NO_FAILURE: Final = "status != 'error' AND NOT ifNull(fallback, false) AND NOT handoff"
"""Nothing went wrong in a turn; whether its intent was met, only a report can say."""
SCORED: Final = f"{IS_FEEDBACK} AND isNotNull({SCORE})"
COUNTED_EVENTS: Final = f"name = '{semconv.EVENT_MESSAGE}' OR ({SCORED})"
"""The condition on events that are summed up."""

_TURN_SUMS: Final[Mapping[str, str]] = {
    "turns": "count()",
    "replies": f"countIf({REPLIED})",
    "without_reply": f"countIf({WITHOUT_REPLY})",
    "errors": "countIf(status = 'error')",
    "cancelled": "countIf(status = 'cancelled')",
    "handoff_turns": "countIf(handoff)",
    "classified": "countIf({classified})",
    "fallbacks": "countIf(ifNull(fallback, false))",
    "no_failure": f"countIf({NO_FAILURE})",
    "response_n": f"countIf({ANSWERED})",
    "response_sum": total(RESPONSE_TIME),
    "first_chunk_n": "count(time_to_first_chunk)",
    "first_chunk_sum": total("time_to_first_chunk"),
    "confidence_n": "count(confidence)",
    "confidence_sum": total("confidence"),
    "low_confidence": "countIf({low})",
    "token_turns": f"countIf({TOKENS_KNOWN})",
    # As many bits as no number of tokens needs.
    **{f"sum_{name}": f"sum(toUInt128({name}))" for name in TOKENS},
    "sum_cost": "sum(cost)",
    "priced_turns": "count(cost)",
    "unpriced_turns": f"countIf({UNPRICED})",
}
"""SQL of what turns sum up to, with places for what depends on who asks."""
TURN_SUMS: Final = tuple(_TURN_SUMS)
"""What turns sum up to, by the names that answers are read from."""

_EVENT_SUMS: Final[Mapping[str, str]] = {
    **{
        f"{sender}_messages": f"countIf(name = '{semconv.EVENT_MESSAGE}' AND sender = '{sender}')"
        for sender in semconv.SENDERS
    },
    "ratings": f"countIf({SCORED})",
    "score_sum": total(SCORE, SCORED),
}
EVENT_SUMS: Final = tuple(_EVENT_SUMS)
"""What messages and feedback sum up to."""

Source = Literal["turns", "events"]
TIMES: Final[Mapping[Source, str]] = {"turns": "start", "events": "time"}


@dataclass(frozen=True, slots=True)
class Grouping:
    """Which part of an answer a row belongs to.

    Args:
        sql: SQL for the part, given the row's column of time.
        together: SQL for a part that several parts make up, from `part`; nothing for none.
    """

    sql: Callable[[Query, str], str]
    together: str = ""

    def __call__(self, query: Query, column: str) -> str:
        """SQL for the part of a row, given its column of time."""
        return self.sql(query, column)

    def grouped(self, aggregates: str, source: str) -> str:
        """A SELECT of aggregates for each part, which is called `key`.

        Args:
            aggregates: SQL of the columns.
            source: A subquery whose rows have their `part`.
        """
        if not self.together:
            return f"SELECT part AS key, {aggregates} FROM {source} AS s GROUP BY part"  # noqa: S608
        return (
            f"SELECT if(grouping(part) = 0, part, several) AS key, {aggregates}"  # noqa: S608
            f" FROM (SELECT *, {self.together} AS several FROM {source}) AS s"
            " GROUP BY GROUPING SETS ((part), (several))"
        )


whole: Final = Grouping(lambda _query, _column: "1")
"""All rows belong together."""


def classified(query: Query) -> str:
    """The condition on a turn that a classifier or an annotation said what it was about.

    An annotation is an event of its own, and may be told long after the turn.

    Args:
        query: The SELECT that it becomes a part of.
    """
    named = ("tenant", "toFixedString(trace_id, 16)", "toFixedString(span_id, 8)")
    annotated = query.table("events", named, [ANNOTATION, OF_A_TURN], once=False)
    # Most stores hold none, and the ids of turns take long to read.
    if not query.any(annotated):
        return CLASSIFIED
    return f"({CLASSIFIED} OR (tenant, trace_id, span_id) IN {annotated})"


def sql_of(query: Query, source: Source, name: str) -> str:
    """SQL of a sum over turns or events.

    Args:
        query: The SELECT that it becomes a part of.
        source: What to sum up.
        name: Out of `TURN_SUMS` or `EVENT_SUMS`.
    """
    sql = (_TURN_SUMS if source == "turns" else _EVENT_SUMS)[name]
    sql = sql.replace("{low}", query.store.rules.low)
    return sql.replace("{classified}", classified(query)) if "{classified}" in sql else sql


def summed(query: Query, source: Source, names: Iterable[str]) -> list[str]:
    """SQL of columns of sums, each after `p_`: no column of turns or events is called so.

    Args:
        query: The SELECT that they become a part of.
        source: What to sum up.
        names: Out of `TURN_SUMS` or `EVENT_SUMS`.
    """
    return [f"{sql_of(query, source, name)} AS p_{name}" for name in names]


def added(names: Iterable[str]) -> str:
    """SQL of columns that add up what `summed` made of parts, by its plain name.

    Example:
        >>> added(["turns", "errors"])
        'sum(p_turns) AS turns, sum(p_errors) AS errors'
    """
    return ", ".join(f"sum(p_{name}) AS {name}" for name in names)


def sums(
    query: Query,
    source: Source,
    conditions: Sequence[str],
    grouping: Grouping,
    names: Iterable[str],
    beside: Iterable[str] = (),
) -> str:
    """A subquery with the sums of each part: `part`, and each of the names after `p_`.

    Args:
        query: The SELECT that it becomes a part of.
        source: What to sum up.
        conditions: On its rows.
        grouping: The parts.
        names: Out of `TURN_SUMS` or `EVENT_SUMS`.
        beside: SQL of further columns.
    """
    part = f"{grouping(query, TIMES[source])} AS part"
    columns = [part, *summed(query, source, names), *beside]
    return f"({query.select(source, columns, conditions)} GROUP BY part)"
