"""How fast turns were, from the bins that are kept of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

from otel_chat.server.queries.bins import (
    QUARTER_TIME,
    Bins,
    Speed,
    by_name,
    held,
    pieces_of,
    quarter_of,
    slot_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from otel_chat.server.queries.filters import Filters
    from otel_chat.server.queries.sql import Query
    from otel_chat.server.queries.sums import Grouping, Pieces
    from otel_chat.server.queries.window import Window

DURATION: Final = "duration"
FIRST_CHUNK: Final = "time_to_first_chunk"
MEASURES: Final = (DURATION, FIRST_CHUNK)
"""Columns of turns, in seconds."""
NAMES: Final = {DURATION: "duration", FIRST_CHUNK: "first_chunk"}
"""What columns of answers about them begin with."""

ROUTE_STATUS: Final = "concat(toString(route), ' ', ifNull(toString(http_status), ''))"
"""SQL for the route of a turn and the status code that it answered, if these are known."""
BINNED: Final = ("measure", "slot", "held", "billionths", "seconds", "errors", "cancelled")
BINNED_BY: Final = {"quarter": quarter_of("start"), "route_status": ROUTE_STATUS}
"""By what kept bins are told apart: the quarter of a turn's day, its route and its status code."""
MOST_NAMES: Final = 1000
"""Each is sent with the question: of more routes, as where none are templates, turns tell."""
_VALUE: Final = "assumeNotNull(pair.2)"


def named(speeds: Mapping[str, Speed]) -> dict[str, Any]:
    """How many values there are, their mean and quantiles, called as `distribution_sql` does.

    Args:
        speeds: By measure.
    """
    return {
        f"{NAMES[measure]}_{end}": value
        for measure, speed in speeds.items()
        for end, value in (
            ("n", speed.held),
            ("mean", speed.mean),
            ("q", speed.quantiles),
        )
    }


def binned(turns: str, measures: Sequence[str] = MEASURES, **by: str) -> str:
    """A SELECT of turns' values in bins; its columns after `by` are `BINNED`.

    Args:
        turns: The turns: what stands after FROM.
        measures: Which of their columns.
        by: What to tell bins apart by beside, first: SQL of each name.
    """
    pairs = ", ".join(f"('{name}', {name})" for name in measures)
    names = "".join(f"{name}, " for name in by)
    columns = "".join(f"{sql} AS {name}, " for name, sql in by.items())
    return f"""
        SELECT {names}pair.1 AS measure, {slot_of(_VALUE)} AS slot, {held(_VALUE)},
            toUInt32(countIf(status = 'error')) AS errors,
            toUInt32(countIf(status = 'cancelled')) AS cancelled
        FROM (SELECT {columns}status, arrayJoin([{pairs}]) AS pair FROM {turns})
        WHERE isNotNull(pair.2)
        GROUP BY {names}measure, slot
    """  # noqa: S608


@dataclass(frozen=True, slots=True)
class _TurnBins(Bins):
    """How fast the turns of a window were.

    Args:
        measures: Columns of turns.
    """

    measures: Sequence[str]

    COUNTED: ClassVar = (*Bins.COUNTED, "errors", "cancelled")
    SECOND_MEASURE: ClassVar = FIRST_CHUNK

    def kept(self, columns: Sequence[str], conditions: Sequence[str]) -> str:
        """Those of the measures."""
        measures = self.query.bind(tuple(self.measures), "Array(String)")
        wanted = (*conditions, f"measure IN {measures}")
        return self.query.table("turn_speeds", columns, wanted, once=False)

    def afresh(self) -> str:
        """From the turns themselves."""
        columns = ("start", "status", *self.measures, *self.grouping.reads)
        spans = self.pieces.days.afresh_condition(self.query, "start")
        turns = self.query.table("turns", columns, [spans])
        return binned(turns, self.measures, part=self.grouping(self.query, "start"))


def speeds(
    query: Query,
    window: Window,
    filters: Filters,
    grouping: Grouping,
    levels: Sequence[float],
    measures: Sequence[str] = MEASURES,
) -> dict[int, dict[str, Speed]] | None:
    """How fast the turns of a window were, by part and measure; nothing where only they can tell.

    Args:
        query: The SELECT under construction.
        window: The turns to take.
        filters: What they are limited to: with any, only the turns themselves can tell.
        grouping: The parts of the answer, whole numbers.
        levels: Which quantiles, 0 to 1.
        measures: Columns of turns, in seconds.
    """
    pieces = pieces_of(query, window, filters, grouping)
    return _TurnBins(query, grouping, pieces, measures).read(levels) if pieces else None


def speeds_by_route(
    query: Query, window: Window, filters: Filters, levels: Sequence[float]
) -> dict[str, Speed] | None:
    """How long turns took, by `ROUTE_STATUS`; nothing where only the turns themselves can tell.

    Args:
        query: The SELECT under construction.
        window: The turns to take.
        filters: What they are limited to: with any, only the turns themselves can tell.
        levels: Which quantiles, 0 to 1.
    """
    pieces = pieces_of(query, window, filters)
    if pieces is None:
        return None
    names = _route_statuses(query, pieces)
    if len(names) > MOST_NAMES:
        return None
    reads = (f"{ROUTE_STATUS} AS route_status",)
    grouping = by_name(query, names, "toString(route_status)", reads)
    found = _TurnBins(query, grouping, pieces, (DURATION,)).read(levels) if names else {}
    if found is None:
        return None
    # What arrived between the two questions is in the next answer.
    return {name: found[part][DURATION] for part, name in enumerate(names) if part in found}


def _route_statuses(query: Query, pieces: Pieces) -> list[str]:
    kept = [*pieces.kept_conditions(query, QUARTER_TIME), f"measure = '{DURATION}'"]
    sources = [query.table("turn_speeds", ("route_status",), kept, once=False)]
    if pieces.days.afresh:
        columns = (f"{ROUTE_STATUS} AS route_status",)
        spans = [pieces.days.afresh_condition(query, "start")]
        sources.append(query.table("turns", columns, spans, once=False))
    rows = query.run(
        f"SELECT DISTINCT toString(route_status) AS name FROM ({' UNION ALL '.join(sources)})"  # noqa: S608
        f" LIMIT {MOST_NAMES + 1}"
    )
    return [row["name"] for row in rows]
