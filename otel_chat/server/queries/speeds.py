"""How fast turns were: exact quantiles from the few values among which each must be.

The values of a kept day stand in bins of like ones. How many each holds tells in which of them the
value of a rank is; only what is in that one is read, and put in order.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from otel_chat.server.queries.answers import exact_mean
from otel_chat.server.queries.days import DAY
from otel_chat.server.queries.sql import total
from otel_chat.server.queries.sums import DAY_TIME, Grouping, Pieces, whole_pieces

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from otel_chat.server.queries.filters import Filters
    from otel_chat.server.queries.sql import Query
    from otel_chat.server.queries.window import Window

DURATION: Final = "duration"
FIRST_CHUNK: Final = "time_to_first_chunk"
MEASURES: Final = (DURATION, FIRST_CHUNK)
"""Columns of turns, in seconds."""
NAMES: Final = {DURATION: "duration", FIRST_CHUNK: "first_chunk"}
"""What columns of answers about them begin with."""

BINNED: Final = ("measure", "slot", "turns", "errors", "cancelled", "billionths", "seconds")
_COUNTED: Final = ("turns", "errors", "cancelled", "billionths")

# The buckets of the metric otel_chat.turn.duration, so that the two read alike.
BOUNDS: Final = (
    0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 7.5, 10.0, 15.0, 30.0, 60.0, 120.0,
)  # fmt: skip
QUARTERS: Final = 4
QUARTER: Final = DAY / QUARTERS
ROUTE_STATUS: Final = "concat(toString(route), ' ', ifNull(toString(http_status), ''))"
"""SQL for the route of a turn and the status code that it answered, if these are known."""
BINNED_BY: Final = {
    "quarter": f"toUInt8(intDiv(toHour(start, 'UTC'), {24 // QUARTERS}))",
    "route_status": ROUTE_STATUS,
}
"""By what kept bins are told apart: the quarter of a turn's day, its route and its status code."""

_QUARTER_TIME: Final = f"{DAY_TIME} + toIntervalHour({24 // QUARTERS} * quarter)"
_VALUE: Final = "assumeNotNull(pair.2)"
# Bits of positive numbers are in the order of the numbers. The highest of them say between which
# powers of two a number is, and in which 32nd of that way.
_BITS: Final = f"if({_VALUE} > 0, bitShiftRight(reinterpretAsUInt64({_VALUE}), 47), 0)"
_BINS: Final = 2**16
_SLOTS: Final = 2**21
_CODE: Final = f"(toInt64(%s) * 2 + (measure = '{FIRST_CHUNK}')) * {_SLOTS} + %s"
"""SQL for a whole number of each part, measure and slot, given that of the part and the slot."""


@dataclass(frozen=True, slots=True)
class Speed:
    """The values of a measure.

    Args:
        turns: How many turns have one.
        errors: How many of them failed.
        cancelled: How many of them were cancelled.
        billionths: The sum of the values, in billionths of a second.
        histogram: How many lie up to each of `BOUNDS`, and above the last.
        quantiles: Those that were asked for, in seconds.
    """

    turns: int
    errors: int
    cancelled: int
    billionths: int
    histogram: list[int]
    quantiles: list[float]

    @classmethod
    def of(cls, row: Mapping[str, Any], levels: Sequence[float], at: Mapping[int, float]) -> Speed:
        """From what was counted, and the values at the ranks that quantiles are made of."""
        histogram = [0] * (len(BOUNDS) + 1)
        for bucket, turns in zip(*row["buckets"], strict=True):
            histogram[bucket] = turns
        return cls(
            **{name: row[name] for name in _COUNTED},
            histogram=histogram,
            quantiles=[_quantile(level, row["turns"], at) for level in levels],
        )


def named(speeds: Mapping[str, Speed]) -> dict[str, Any]:
    """How many values there are, their mean and quantiles, called as `distribution_sql` does.

    Args:
        speeds: By measure.
    """
    return {
        f"{NAMES[measure]}_{end}": value
        for measure, speed in speeds.items()
        for end, value in (
            ("n", speed.turns),
            ("mean", exact_mean(speed.billionths, speed.turns)),
            ("q", speed.quantiles),
        )
    }


def binned(turns: str, measures: Sequence[str] = MEASURES, **by: str) -> str:
    """A SELECT of turns' values in bins; its columns after `by` are `BINNED`.

    A bin's slot says in which bucket of `BOUNDS` it lies, and where there; greater values have
    greater ones.

    Args:
        turns: The turns: what stands after FROM.
        measures: Which of their columns.
        by: What to tell bins apart by beside, first: SQL of each name.
    """
    pairs = ", ".join(f"('{name}', {name})" for name in measures)
    names = "".join(f"{name}, " for name in by)
    columns = "".join(f"{sql} AS {name}, " for name, sql in by.items())
    return f"""
        SELECT {names}pair.1 AS measure,
            toUInt32(arrayCount(bound -> bound < {_VALUE}, {list(BOUNDS)}) * {_BINS} + {_BITS})
                AS slot,
            toUInt32(count()) AS turns, toUInt32(countIf(status = 'error')) AS errors,
            toUInt32(countIf(status = 'cancelled')) AS cancelled,
            {total(_VALUE)} AS billionths, arraySort(groupArray({_VALUE})) AS seconds
        FROM (SELECT {columns}status, arrayJoin([{pairs}]) AS pair FROM {turns})
        WHERE isNotNull(pair.2)
        GROUP BY {names}measure, slot
    """  # noqa: S608


def _ranks(level: float, turns: int) -> tuple[int, int]:
    """The ranks of the two values between which a quantile lies, from 0."""
    rank = math.floor(level * (turns - 1))
    return rank, min(rank + 1, turns - 1)


def _quantile(level: float, turns: int, at: Mapping[int, float]) -> float:
    """As `quantilesExactInclusive` interpolates, to the last digit.

    Example:
        >>> _quantile(0.5, 4, {1: 2.0, 2: 3.0})
        2.5
    """
    low, high = _ranks(level, turns)
    place = level * (turns - 1) + 1
    return at[low] + (place - math.floor(place)) * (at[high] - at[low])


@dataclass(frozen=True, slots=True)
class _Bin:
    """A bin with values that quantiles are made of.

    Args:
        slot: Which it is.
        held: How many values it holds.
        below: How many of the same part and measure are smaller than all of these.
        ranks: Those of the values that are asked for.
    """

    slot: int
    held: int
    below: int
    ranks: list[int]


def _bins(row: Mapping[str, Any], levels: Sequence[float]) -> dict[int, _Bin]:
    """Those of a part and a measure, by their codes."""
    ranks = sorted({rank for level in levels for rank in _ranks(level, row["turns"])})
    return {
        row["code"] + slot: _Bin(
            slot, held, below, [rank for rank in ranks if below <= rank < below + held]
        )
        for slot, held, below in row["near"]
    }


@dataclass(frozen=True, slots=True)
class _Kept:
    """How fast the turns of a window were, some days of which are kept.

    Args:
        query: The SELECT under construction.
        grouping: The parts of the answer, whole numbers.
        measures: Columns of turns.
        pieces: The kept quarters of days.
    """

    query: Query
    grouping: Grouping
    measures: Sequence[str]
    pieces: Pieces

    def read(self, levels: Sequence[float]) -> dict[int, dict[str, Speed]] | None:
        """The values of each part, by measure; nothing if they changed while they were read.

        Args:
            levels: Which quantiles, 0 to 1.
        """
        rows = self._counted(levels)
        near = [_bins(row, levels) for row in rows]
        bins = {code: one for some in near for code, one in some.items()}
        values = self._values(bins)
        if any(len(values.get(code, ())) != len(one.ranks) for code, one in bins.items()):
            return None
        found: dict[int, dict[str, Speed]] = defaultdict(dict)
        for row, some in zip(rows, near, strict=True):
            at = {
                rank: value
                for code, one in some.items()
                for rank, value in zip(one.ranks, values[code], strict=True)
            }
            found[row["part"]][row["measure"]] = Speed.of(row, levels, at)
        return found

    def _rows(self, *columns: str, bins: Mapping[int, _Bin] | None = None) -> str:
        """All bins: `measure`, `slot`, columns, and `parts`, of which each is one.

        Args:
            columns: Others of `BINNED`.
            bins: Limits what is read of kept days to the slots of these, by their codes.
        """
        query, read = self.query, ("measure", "slot", *columns)
        together = self.grouping.together or "part"
        conditions = self.pieces.kept_conditions(query, _QUARTER_TIME)
        conditions.append(f"measure IN {query.bind(tuple(self.measures), 'Array(String)')}")
        if bins is not None:
            slots = sorted({one.slot for one in bins.values()})
            conditions.append(f"slot IN {query.bind(slots, 'Array(UInt32)')}")
        part = f"{self.grouping(query, _QUARTER_TIME)} AS part"
        table = query.table("turn_speeds", (part, *read), conditions, once=False)
        sources = [f"SELECT * FROM {table}"]  # noqa: S608
        if self.pieces.days.afresh:
            spans = self.pieces.days.afresh_condition(query, "start")
            columns = ("start", "status", *self.measures, *self.grouping.reads)
            turns = query.table("turns", columns, [spans])
            afresh = binned(turns, self.measures, part=self.grouping(query, "start"))
            sources.append(f"SELECT part, {', '.join(read)} FROM ({afresh})")  # noqa: S608
        parts = f"arrayDistinct([toInt64(part), toInt64({together})]) AS parts"
        return f"(SELECT {parts}, {', '.join(read)} FROM ({' UNION ALL '.join(sources)}))"  # noqa: S608

    def _counted(self, levels: Sequence[float]) -> list[dict[str, Any]]:
        """What each part and measure sums up to, and its bins near the ranks asked for."""
        rank = "floor(level * (turns - 1))"
        counts = ", ".join(f"sum({name}) AS of_{name}" for name in _COUNTED)
        sums = ", ".join(f"sum(of_{name}) AS {name}" for name in _COUNTED)
        return self.query.run(f"""
            SELECT part, measure, {_CODE % ("part", 0)} AS code, {sums},
                sumMap([intDiv(slot, {_BINS})], [of_turns]) AS buckets,
                arrayFilter(bin -> arrayExists(
                    level -> bin.3 <= {rank} + 1 AND bin.3 + bin.2 > {rank},
                    {self.query.bind(tuple(levels), "Array(Float64)")}
                ), arrayMap(
                    (bin, upto) -> (bin.1, bin.2, upto - bin.2),
                    arraySort(groupArray((slot, of_turns))) AS bins,
                    arrayCumSum(arrayMap(bin -> bin.2, bins))
                )) AS near
            FROM (
                SELECT part, measure, slot, {counts}
                FROM {self._rows(*_COUNTED)} ARRAY JOIN parts AS part
                GROUP BY part, measure, slot
            )
            GROUP BY part, measure
        """)  # noqa: S608

    def _values(self, bins: Mapping[int, _Bin]) -> dict[int, list[float]]:
        """The values of each bin that are asked for; none if it holds others by now."""
        if not bins:
            return {}
        bind = self.query.bind
        codes = bind(list(bins), "Array(Int64)")
        held = bind([one.held for one in bins.values()], "Array(UInt64)")
        places = [[rank - one.below + 1 for rank in one.ranks] for one in bins.values()]
        asked = bind(places, "Array(Array(UInt64))")
        rows = self.query.run(f"""
            SELECT code, indexOf({codes}, code) AS number,
                if(length(ordered) = {held}[number],
                    arrayMap(at -> ordered[at], {asked}[number]), []) AS found
            FROM (
                SELECT {_CODE % ("part", "slot")} AS code,
                    arraySort(groupArrayArray(seconds)) AS ordered
                FROM {self._rows("seconds", bins=bins)} ARRAY JOIN parts AS part
                WHERE code IN {codes}
                GROUP BY code
            )
        """)  # noqa: S608
        return {row["code"]: row["found"] for row in rows}


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
    pieces = _pieces(query, window, filters, grouping)
    return _Kept(query, grouping, measures, pieces).read(levels) if pieces else None


def _pieces(query: Query, window: Window, filters: Filters, grouping: Grouping) -> Pieces | None:
    """The kept quarters of a window's days; nothing where only the turns themselves can tell."""
    pieces = whole_pieces(query, window, grouping, QUARTER) if filters.empty else None
    return pieces if pieces and pieces.days.kept else None


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
    every = Grouping(lambda _query, _column: "1")
    pieces = _pieces(query, window, filters, every)
    if pieces is None:
        return None
    names = _route_statuses(query, pieces)
    numbers = query.bind(tuple(range(len(names))), "Array(Int64)")
    known = query.bind(tuple(names), "Array(String)")
    part = f"transform(toString(route_status), {known}, {numbers}, toInt64({len(names)}))"
    grouping = Grouping(lambda _query, _column: part, reads=(f"{ROUTE_STATUS} AS route_status",))
    found = _Kept(query, grouping, (DURATION,), pieces).read(levels) if names else {}
    if found is None:
        return None
    return {names[part]: by_measure[DURATION] for part, by_measure in found.items()}


def _route_statuses(query: Query, pieces: Pieces) -> list[str]:
    kept = [*pieces.kept_conditions(query, _QUARTER_TIME), f"measure = '{DURATION}'"]
    sources = [query.table("turn_speeds", ("route_status",), kept, once=False)]
    if pieces.days.afresh:
        columns = (f"{ROUTE_STATUS} AS route_status",)
        spans = [pieces.days.afresh_condition(query, "start")]
        sources.append(query.table("turns", columns, spans, once=False))
    rows = query.run(
        f"SELECT DISTINCT toString(route_status) AS name FROM ({' UNION ALL '.join(sources)})"  # noqa: S608
    )
    return [row["name"] for row in rows]
