"""Sums over the turns and events of a span of time, by the parts of an answer.

Whole days that are kept give their sums, the rest is summed up from its source.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from otel_chat.server.queries.days import DAY, TIMES, Days, days_of, midnight
from otel_chat.server.queries.partial_rows import as_kept, read_by, worked_out
from otel_chat.server.queries.partials import EVENT_PARTIALS, TURN_PARTIALS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import date, datetime

    from otel_chat.server.queries.days import Source as Name
    from otel_chat.server.queries.days import Span
    from otel_chat.server.queries.partials import Partial
    from otel_chat.server.queries.sql import Query
    from otel_chat.server.queries.window import Window

_PARTIALS: Final[Mapping[Name, Mapping[str, Partial]]] = {
    "turns": TURN_PARTIALS,
    "events": EVENT_PARTIALS,
}


DAY_TIME: Final = "toDateTime64(day, 9, 'UTC')"
"""SQL for the first moment of a kept day."""


@dataclass(frozen=True, slots=True)
class Grouping:
    """Which part of an answer a row belongs to.

    Args:
        sql: SQL for the part, given the row's column of time.
        ends: The moments inside a window at which one part ends and the next begins.
        together: SQL for a part that several parts make up, from `part`; nothing for none.
    """

    sql: Callable[[Query, str], str]
    ends: tuple[datetime, ...] = ()
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


def whole_days(query: Query, window: Window, grouping: Grouping) -> Days:
    """The kept days that lie in one part each, and the spans of the window beside them.

    Args:
        query: The SELECT under construction.
        window: The span of time.
        grouping: The parts of the answer.
    """
    found = days_of(query, window.start.date(), window.end.date())
    kept = {
        day: generation
        for day, generation in found.kept.items()
        if window.start <= midnight(day) and midnight(day) + DAY <= window.end
        if not any(midnight(day) < end < midnight(day) + DAY for end in grouping.ends)
    }
    return Days(kept, _beside(window, sorted(kept)))


def all_of(window: Window) -> Days:
    """No kept day: all of the window is read."""
    return Days({}, [(window.start, window.end)])


def _beside(window: Window, days: Sequence[date]) -> list[Span]:
    """The spans of the window that are in none of the days."""
    spans, since = [], window.start
    for day in days:
        if since < midnight(day):
            spans.append((since, midnight(day)))
        since = midnight(day) + DAY
    return [*spans, (since, window.end)] if since < window.end else spans


@dataclass(frozen=True, slots=True)
class Source:
    """Where sums are taken from.

    Args:
        name: Turns or events.
        days: How their days are read; without any, all rows of `conditions` are.
        conditions: What single rows must fulfil beside lying in a span.
        of_days: What kept rows must fulfil beside being of a kept day.
    """

    name: Name
    days: Days
    conditions: tuple[str, ...] = ()
    of_days: tuple[str, ...] = ()


def sums(query: Query, source: Source, grouping: Grouping, names: Sequence[str]) -> str:
    """A subquery with the sums of each part: `part`, and each of the names after `p_`.

    What is a list in a day is a list of days' lists.

    Args:
        query: The SELECT that it becomes a part of.
        source: What to sum up.
        grouping: The parts.
        names: Out of `TURN_PARTIALS` or `EVENT_PARTIALS`.
    """
    column, partials = TIMES[source.name], _PARTIALS[source.name]
    days, parts = source.days, []
    if days.kept:
        kept = ["day", *as_kept(partials, names)]
        conditions = [*days.kept_conditions(query), *source.of_days]
        table = query.table("conversation_days", kept, conditions, once=False)
        columns = "".join(f", p_{name}" for name in names)
        parts.append(f"SELECT {grouping(query, DAY_TIME)} AS part{columns} FROM {table}")  # noqa: S608
    if days.afresh or not parts:
        conditions = [days.afresh_condition(query, column), *source.conditions]
        table = query.table(source.name, read_by(partials, names, column), conditions)
        parts.append(
            f"SELECT {grouping(query, column)} AS part{worked_out(partials, names)}"  # noqa: S608
            f" FROM {table} GROUP BY part"
        )
    return f"({' UNION ALL '.join(parts)})"
