"""Sums over the turns and events of a span of time, by the parts of an answer.

Whole days that are kept give their sums, the rest is summed up from its source.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from otel_chat.server.queries.days import DAY, TIMES, Days, days_of, midnight
from otel_chat.server.queries.partial_rows import as_kept, read_by, worked_out
from otel_chat.server.queries.quarter_hours import COUNTED, PARTIALS, QUARTER_HOUR
from otel_chat.server.queries.sql import nanos
from otel_chat.server.queries.window import nanoseconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import date, datetime, timedelta

    from otel_chat.server.queries.days import Source as Name
    from otel_chat.server.queries.days import Span
    from otel_chat.server.queries.sql import Query, Table
    from otel_chat.server.queries.window import Window

DAY_TIME: Final = "toDateTime64(day, 9, 'UTC')"
"""SQL for the first moment of a kept day."""


@dataclass(frozen=True, slots=True)
class Grouping:
    """Which part of an answer a row belongs to.

    Args:
        sql: SQL for the part, given the row's column of time.
        ends: The moments inside a window at which one part ends and the next begins.
        together: SQL for a part that several parts make up, from `part`; nothing for none.
        reads: The columns that `sql` needs beside that of time.
    """

    sql: Callable[[Query, str], str]
    ends: tuple[datetime, ...] = ()
    together: str = ""
    reads: tuple[str, ...] = ()

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


@dataclass(frozen=True, slots=True)
class Pieces:
    """Pieces of kept days, of equal length, that lie in one part of an answer each.

    Args:
        days: The days that have any, and the spans of the window beside the pieces.
        cut: The starts of the other pieces of these days.
    """

    days: Days
    cut: tuple[datetime, ...]

    def kept_conditions(self, query: Query, column: str) -> list[str]:
        """The conditions that a row is one of such a piece.

        Args:
            query: The SELECT under construction.
            column: SQL for the start of a row's piece.
        """
        conditions = self.days.kept_conditions(query)
        if self.cut:
            cut = query.bind([nanoseconds(begin) for begin in self.cut], "Array(Int64)")
            conditions.append(f"{nanos(column)} NOT IN {cut}")
        return conditions


def whole_pieces(query: Query, window: Window, grouping: Grouping, length: timedelta) -> Pieces:
    """The pieces of kept days that lie in the window, and in one part each.

    Args:
        query: The SELECT under construction.
        window: The span of time.
        grouping: The parts of the answer.
        length: How long a piece is: a part of a day, or all of it.
    """
    broken = _broken((window.start, *grouping.ends, window.end), length)
    kept: dict[date, int] = {}
    cut: list[datetime] = []
    spans: list[Span] = []
    since = window.start
    found = days_of(query, window.start.date(), window.end.date())
    for day, generation in sorted(found.kept.items()):
        first = midnight(day)
        all_whole = window.start <= first and first + DAY <= window.end and day not in broken
        step = DAY if all_whole else length
        for number in range(DAY // step):
            begin = first + number * step
            outside = begin < window.start or window.end < begin + step
            if outside or begin in broken.get(day, ()):
                cut.append(begin)
                continue
            kept[day] = generation
            if since < begin:
                spans.append((since, begin))
            since = begin + step
    if since < window.end:
        spans.append((since, window.end))
    return Pieces(Days(kept, spans), tuple(begin for begin in cut if begin.date() in kept))


def _broken(moments: Iterable[datetime], length: timedelta) -> dict[date, set[datetime]]:
    """The starts of the pieces inside which a moment lies, by day."""
    found: dict[date, set[datetime]] = defaultdict(set)
    for moment in moments:
        first = midnight(moment.date())
        begin = first + (moment - first) // length * length
        if begin != moment:
            found[first.date()].add(begin)
    return found


def whole_days(query: Query, window: Window, grouping: Grouping) -> Days:
    """The kept days that lie in one part each, and the spans of the window beside them.

    Args:
        query: The SELECT under construction.
        window: The span of time.
        grouping: The parts of the answer.
    """
    return whole_pieces(query, window, grouping, DAY).days


def all_of(window: Window) -> Days:
    """No kept day: all of the window is read."""
    return Days({}, [(window.start, window.end)])


@dataclass(frozen=True, slots=True)
class Source:
    """Where sums are taken from.

    Args:
        name: Turns or events.
        days: How their days are read; without any, all rows of `conditions` are.
        conditions: What single rows must fulfil beside lying in a span.
        of_days: What kept rows must fulfil.
        table: Where kept rows are.
        time: SQL for the time of a kept row.
    """

    name: Name
    days: Days
    conditions: tuple[str, ...] = ()
    of_days: tuple[str, ...] = ()
    table: Table = "conversation_days"
    time: str = DAY_TIME


def by_quarter_hours(query: Query, name: Name, window: Window, grouping: Grouping) -> Source:
    """All turns or events of a window, from what is kept of quarters of an hour.

    Args:
        query: The SELECT under construction.
        name: Turns or events.
        window: The span of time.
        grouping: The parts of the answer.
    """
    pieces = whole_pieces(query, window, grouping, QUARTER_HOUR)
    kept = (*pieces.kept_conditions(query, "at"), f"source = '{name}'")
    return Source(name, pieces.days, (COUNTED[name],), kept, "quarter_hours", "at")


def sums(query: Query, source: Source, grouping: Grouping, names: Sequence[str]) -> str:
    """A subquery with the sums of each part: `part`, and each of the names after `p_`.

    What is a list in a day is a list of days' lists.

    Args:
        query: The SELECT that it becomes a part of.
        source: What to sum up.
        grouping: The parts.
        names: Out of `TURN_PARTIALS` or `EVENT_PARTIALS`.
    """
    column, partials = TIMES[source.name], PARTIALS[source.name]
    days, parts = source.days, []
    if days.kept:
        kept = [f"{grouping(query, source.time)} AS part", *as_kept(partials, names)]
        table = query.table(source.table, kept, source.of_days, once=False)
        columns = "".join(f", p_{name}" for name in names)
        parts.append(f"SELECT part{columns} FROM {table}")  # noqa: S608
    if days.afresh or not parts:
        conditions = [days.afresh_condition(query, column), *source.conditions]
        table = query.table(source.name, read_by(partials, names, column), conditions)
        parts.append(
            f"SELECT {grouping(query, column)} AS part{worked_out(partials, names)}"  # noqa: S608
            f" FROM {table} GROUP BY part"
        )
    return f"({' UNION ALL '.join(parts)})"
