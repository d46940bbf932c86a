"""Exact quantiles from the few values among which each must be.

The values of a kept day stand in bins of like ones. How many each holds tells in which of them the
value of a rank is; only what is in that one is read, and put in order.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

from otel_chat.server.queries.answers import exact_mean
from otel_chat.server.queries.days import DAY
from otel_chat.server.queries.sql import total
from otel_chat.server.queries.sums import DAY_TIME, Grouping, whole, whole_pieces

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from otel_chat.server.queries.filters import Filters
    from otel_chat.server.queries.sql import Query
    from otel_chat.server.queries.sums import Pieces
    from otel_chat.server.queries.window import Window

# The buckets of the metric otel_chat.turn.duration, so that the two read alike.
BOUNDS: Final = (
    0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 7.5, 10.0, 15.0, 30.0, 60.0, 120.0,
)  # fmt: skip
QUARTERS: Final = 4
QUARTER: Final = DAY / QUARTERS
QUARTER_TIME: Final = f"{DAY_TIME} + toIntervalHour({24 // QUARTERS} * quarter)"
"""SQL for the first moment of a kept quarter of a day."""

# Bits of positive numbers are in the order of the numbers. The highest of them say between which
# powers of two a number is, and in which 32nd of that way.
_BITS: Final = "if(%s > 0, bitShiftRight(reinterpretAsUInt64(%s), 47), 0)"
_BINS: Final = 2**16
_SLOTS: Final = 2**21


def quarter_of(column: str) -> str:
    """SQL for the quarter of its day in which a time lies."""
    return f"toUInt8(intDiv(toHour({column}, 'UTC'), {24 // QUARTERS}))"


def slot_of(value: str) -> str:
    """SQL for a bin's slot: in which bucket of `BOUNDS` it lies, and where there.

    Greater values have greater ones.

    Args:
        value: SQL for a number that is no null.
    """
    bucket = f"arrayCount(bound -> bound < {value}, {list(BOUNDS)})"
    return f"toUInt32({bucket} * {_BINS} + {_BITS % (value, value)})"


def held(value: str) -> str:
    """SQL for what a bin is of values: how many it holds, their sum, and themselves."""
    return (
        f"toUInt32(count({value})) AS held, ifNull({total(value)}, 0) AS billionths,"
        f" arraySort(groupArray({value})) AS seconds"
    )


@dataclass(frozen=True, slots=True)
class Speed:
    """The values of a measure.

    Args:
        held: How many there are.
        billionths: Their sum, in billionths of a second.
        histogram: How many lie up to each of `BOUNDS`, and above the last.
        quantiles: Those that were asked for, in seconds.
        errors: How many are of turns that failed.
        cancelled: How many are of turns that were cancelled.
    """

    held: int
    billionths: int
    histogram: list[int]
    quantiles: list[float]
    errors: int = 0
    cancelled: int = 0

    @property
    def mean(self) -> float | None:
        """The mean, in seconds."""
        return exact_mean(self.billionths, self.held)


def _ranks(level: float, held: int) -> tuple[int, int]:
    """The ranks of the two values between which a quantile lies, from 0."""
    rank = math.floor(level * (held - 1))
    return rank, min(rank + 1, held - 1)


def _quantile(level: float, held: int, at: Mapping[int, float]) -> float:
    """As `quantilesExactInclusive` interpolates, to the last digit.

    Example:
        >>> _quantile(0.5, 4, {1: 2.0, 2: 3.0})
        2.5
    """
    low, high = _ranks(level, held)
    place = level * (held - 1) + 1
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
    ranks = sorted({rank for level in levels for rank in _ranks(level, row["held"])})
    return {
        row["code"] + slot: _Bin(
            slot, held, below, [rank for rank in ranks if below <= rank < below + held]
        )
        for slot, held, below in row["near"]
    }


@dataclass(frozen=True, slots=True)
class Bins(ABC):
    """What there is of a window, some days of which are kept.

    Args:
        query: The SELECT under construction.
        grouping: The parts of the answer, whole numbers.
        pieces: The kept quarters of days.
    """

    query: Query
    grouping: Grouping
    pieces: Pieces

    COUNTED: ClassVar[tuple[str, ...]] = ("held", "billionths")
    MEASURE: ClassVar[str] = "measure"
    SECOND_MEASURE: ClassVar[str] = ""

    @abstractmethod
    def kept(self, columns: Sequence[str], conditions: Sequence[str]) -> str:
        """A subquery with the bins of kept days.

        Args:
            columns: SQL of what to read of them.
            conditions: What they must fulfil.
        """

    @abstractmethod
    def afresh(self) -> str:
        """A SELECT of the bins of what is not kept: part, measure, slot and the other columns."""

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
            found[row["part"]][row["measure"]] = self._speed(row, levels, at)
        return found

    def _speed(
        self, row: Mapping[str, Any], levels: Sequence[float], at: Mapping[int, float]
    ) -> Speed:
        """From what was counted, and the values at the ranks that quantiles are made of."""
        histogram = [0] * (len(BOUNDS) + 1)
        for bucket, values in zip(*row["buckets"], strict=True):
            histogram[bucket] = values
        return Speed(
            **{name: row[name] for name in self.COUNTED},
            histogram=histogram,
            quantiles=[_quantile(level, row["held"], at) for level in levels],
        )

    def _rows(self, *columns: str, bins: Mapping[int, _Bin] | None = None) -> str:
        """All bins: `measure`, `slot`, columns, and `parts`, of which each is one.

        Args:
            columns: Others of a bin.
            bins: Limits what is read of kept days to the slots of these, by their codes.
        """
        read = ("measure", "slot", *columns)
        together = self.grouping.together or "part"
        conditions = self.pieces.kept_conditions(self.query, QUARTER_TIME)
        if bins is not None:
            slots = sorted({one.slot for one in bins.values()})
            conditions.append(f"slot IN {self.query.bind(slots, 'Array(UInt32)')}")
        part = f"{self.grouping(self.query, QUARTER_TIME)} AS part"
        kept = self.kept((part, self.MEASURE, "slot", *columns), conditions)
        sources = [f"SELECT * FROM {kept}"]  # noqa: S608
        if self.pieces.days.afresh:
            sources.append(f"SELECT part, {', '.join(read)} FROM ({self.afresh()})")  # noqa: S608
        parts = f"arrayDistinct([toInt64(part), toInt64({together})]) AS parts"
        return f"(SELECT {parts}, {', '.join(read)} FROM ({' UNION ALL '.join(sources)}))"  # noqa: S608

    def _code(self, part: str, slot: str) -> str:
        """SQL for a whole number of each part, measure and slot."""
        measure = f"(measure = '{self.SECOND_MEASURE}')"
        return f"(toInt64({part}) * 2 + {measure}) * {_SLOTS} + {slot}"

    def _counted(self, levels: Sequence[float]) -> list[dict[str, Any]]:
        """What each part and measure sums up to, and its bins near the ranks asked for."""
        rank = "floor(level * (held - 1))"
        counts = ", ".join(f"sum({name}) AS of_{name}" for name in self.COUNTED)
        sums = ", ".join(f"sum(of_{name}) AS {name}" for name in self.COUNTED)
        return self.query.run(f"""
            SELECT part, measure, {self._code("part", "0")} AS code, {sums},
                sumMap([intDiv(slot, {_BINS})], [of_held]) AS buckets,
                arrayFilter(bin -> arrayExists(
                    level -> bin.3 <= {rank} + 1 AND bin.3 + bin.2 > {rank},
                    {self.query.bind(tuple(levels), "Array(Float64)")}
                ), arrayMap(
                    (bin, upto) -> (bin.1, bin.2, upto - bin.2),
                    arraySort(groupArray((slot, of_held))) AS bins,
                    arrayCumSum(arrayMap(bin -> bin.2, bins))
                )) AS near
            FROM (
                SELECT part, measure, slot, {counts}
                FROM {self._rows(*self.COUNTED)} ARRAY JOIN parts AS part
                GROUP BY part, measure, slot
            )
            GROUP BY part, measure
            HAVING held > 0
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
                SELECT {self._code("part", "slot")} AS code,
                    arraySort(groupArrayArray(seconds)) AS ordered
                FROM {self._rows("seconds", bins=bins)} ARRAY JOIN parts AS part
                WHERE code IN {codes}
                GROUP BY code
            )
        """)  # noqa: S608
        return {row["code"]: row["found"] for row in rows}


def by_name(query: Query, names: Sequence[str], name: str, reads: tuple[str, ...] = ()) -> Grouping:
    """Rows belong to the number of their name, from 0; those of any other to the next number.

    Args:
        query: The SELECT under construction.
        names: All names.
        name: SQL for the name of a row.
        reads: The columns that it needs.
    """
    numbers = query.bind(tuple(range(len(names))), "Array(Int64)")
    known = query.bind(tuple(names), "Array(String)")
    # By a hash: `indexOf` would compare with one name after the other.
    part = f"transform({name}, {known}, {numbers}, toInt64({len(names)}))"
    return Grouping(lambda _query, _column: part, reads=reads)


def pieces_of(
    query: Query, window: Window, filters: Filters, grouping: Grouping = whole
) -> Pieces | None:
    """The kept quarters of a window's days; nothing where only single turns and calls can tell.

    Args:
        query: The SELECT under construction.
        window: The span of time.
        filters: What is asked about is limited to: with any, what is kept cannot tell.
        grouping: The parts of the answer.
    """
    pieces = whole_pieces(query, window, grouping, QUARTER) if filters.empty else None
    return pieces if pieces and pieces.days.kept else None
