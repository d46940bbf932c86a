"""How fast turns were: exact quantiles from the few values among which each must be.

The values of a kept day stand in bins of like ones. How many each holds tells in which of them the
value of a rank is; only what is in that one is read, and put in order.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from otel_chat.server.queries.days import DAY, Days, days_of, midnight
from otel_chat.server.queries.sql import total
from otel_chat.server.queries.sums import DAY_TIME

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date, datetime

    from otel_chat.server.queries.sql import Query
    from otel_chat.server.queries.sums import Grouping
    from otel_chat.server.queries.window import Window

DURATION: Final = "duration"
FIRST_CHUNK: Final = "time_to_first_chunk"
MEASURES: Final = (DURATION, FIRST_CHUNK)
"""Columns of turns, in seconds."""

BINNED: Final = ("measure", "slot", "turns", "errors", "cancelled", "billionths", "seconds")

# The buckets of the metric otel_chat.turn.duration, so that the two read alike.
BOUNDS: Final = (
    0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 7.5, 10.0, 15.0, 30.0, 60.0, 120.0,
)  # fmt: skip
QUARTERS: Final = 4
QUARTER: Final = DAY / QUARTERS
QUARTER_OF: Final = f"toUInt8(intDiv(toHour(start, 'UTC'), {24 // QUARTERS}))"
"""SQL for the quarter of its day in which a turn started."""

_QUARTER_TIME: Final = f"{DAY_TIME} + toIntervalHour({24 // QUARTERS} * quarter)"
_VALUE: Final = "assumeNotNull(pair.2)"
# Bits of positive numbers are in the order of the numbers. The highest of them say between which
# powers of two a number is, and in which 32nd of that way.
_BITS: Final = f"if({_VALUE} > 0, bitShiftRight(reinterpretAsUInt64({_VALUE}), 47), 0)"
_BINS: Final = 2**16
_SLOTS: Final = 2**21
_CODE: Final = f"(toInt64(%s) * 2 + (measure = '{FIRST_CHUNK}')) * {_SLOTS} + slot"
"""SQL for a whole number of each part, measure and slot, given that of the part."""


_COUNTED: Final = ("turns", "errors", "cancelled", "billionths")


@dataclass(slots=True)
class Counts:
    """What values of a measure sum up to.

    Args:
        turns: How many turns have one.
        errors: How many of them failed.
        cancelled: How many of them were cancelled.
        billionths: The sum of the values, in billionths of a second.
        histogram: How many lie up to each of `BOUNDS`, and above the last.
    """

    turns: int = 0
    errors: int = 0
    cancelled: int = 0
    billionths: int = 0
    histogram: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))


def binned(turns: str, **by: str) -> str:
    """A SELECT of turns' values in bins; its columns after `by` are `BINNED`.

    A bin's slot says in which bucket of `BOUNDS` it lies, and where there; greater values have
    greater ones.

    Args:
        turns: The turns: what stands after FROM.
        by: What to tell bins apart by beside, first: SQL of each name.
    """
    pairs = ", ".join(f"('{name}', {name})" for name in MEASURES)
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


@dataclass(frozen=True, slots=True)
class _Bin:
    """A bin with values that are asked for.

    Args:
        part: The part of the answer.
        measure: What is measured.
        slot: Which bin it is.
        code: Which of all parts.
        below: How many values of its part are in bins of smaller ones.
        held: How many it holds.
        total: How many values its part has.
    """

    part: int
    measure: str
    slot: int
    code: int
    below: int
    held: int
    total: int

    def places(self, levels: Sequence[float]) -> list[int]:
        """The ranks in it that quantiles are made of, from 0 in all of its part."""
        ranks = {rank for level in levels for rank in _ranks(level, self.total)}
        return sorted(rank for rank in ranks if self.below <= rank < self.below + self.held)


def _ranks(level: float, total: int) -> tuple[int, int]:
    """The ranks of the two values between which a quantile lies."""
    rank = math.floor(level * (total - 1))
    return rank, min(rank + 1, total - 1)


def _quantile(level: float, total: int, values: dict[int, float]) -> float:
    """As `quantilesExactInclusive` interpolates, to the last digit.

    Example:
        >>> _quantile(0.5, 4, {1: 2.0, 2: 3.0})
        2.5
    """
    low, high = _ranks(level, total)
    place = level * (total - 1) + 1
    return values[low] + (place - math.floor(place)) * (values[high] - values[low])


@dataclass(frozen=True, slots=True)
class KeptSpeeds:
    """How fast the turns of a window were, some days of which are kept.

    Args:
        query: The SELECT under construction.
        grouping: The parts of the answer, whole numbers.
        days: How the days are read that have a kept quarter, and the spans beside such quarters.
        cut: The quarters of these days that are in no part whole.
    """

    query: Query
    grouping: Grouping
    days: Days
    cut: tuple[tuple[date, int], ...]

    @classmethod
    def of(cls, query: Query, window: Window, grouping: Grouping) -> KeptSpeeds | None:
        """Those of a window; nothing where no quarter of it is kept.

        Args:
            query: The SELECT under construction.
            window: The turns to take.
            grouping: The parts of the answer, whole numbers.
        """
        found = days_of(query, window.start.date(), window.end.date())
        ends = {_quarter_inside(end) for end in (*grouping.ends, window.start, window.end)}
        kept: dict[date, int] = {}
        cut: list[tuple[date, int]] = []
        spans, since = [], window.start
        for day, generation in sorted(found.kept.items()):
            for number in range(QUARTERS):
                begin = midnight(day) + number * QUARTER
                if begin in ends or begin < window.start or window.end <= begin:
                    cut.append((day, number))
                    continue
                kept[day] = generation
                if since < begin:
                    spans.append((since, begin))
                since = begin + QUARTER
        if since < window.end:
            spans.append((since, window.end))
        return cls(query, grouping, Days(kept, spans), tuple(cut)) if kept else None

    def quantiles(self, levels: Sequence[float]) -> dict[int, dict[str, list[float]]] | None:
        """The quantiles of each part's values, by measure; nothing if they changed meanwhile.

        Args:
            levels: Which quantiles, 0 to 1.
        """
        values: dict[tuple[int, str], dict[int, float]] = defaultdict(dict)
        totals: dict[tuple[int, str], int] = {}
        bins = self._bins(levels)
        picked = self._values(bins, levels)
        for one in bins:
            held, found = picked.get(one.code, (0, []))
            if held != one.held:
                return None
            values[one.part, one.measure].update(zip(one.places(levels), found, strict=True))
            totals[one.part, one.measure] = one.total
        quantiles: dict[int, dict[str, list[float]]] = defaultdict(dict)
        for (part, measure), count in totals.items():
            known = values[part, measure]
            quantiles[part][measure] = [_quantile(level, count, known) for level in levels]
        return quantiles

    def counts(self) -> dict[int, dict[str, Counts]]:
        """How many values each part has, by measure, and what they sum up to."""
        sums = ", ".join(f"sum({name}) AS in_{name}" for name in _COUNTED)
        rows = self.query.run(f"""
            SELECT part, measure, intDiv(slot, {_BINS}) AS bucket, {sums}
            FROM {self._rows(*_COUNTED)} ARRAY JOIN parts AS part
            GROUP BY part, measure, bucket
        """)  # noqa: S608
        found: dict[int, dict[str, Counts]] = defaultdict(lambda: defaultdict(Counts))
        for row in rows:
            counts = found[row["part"]][row["measure"]]
            counts.histogram[row["bucket"]] = row["in_turns"]
            for name in _COUNTED:
                setattr(counts, name, getattr(counts, name) + row[f"in_{name}"])
        return found

    def _rows(self, *columns: str, bins: Sequence[_Bin] = ()) -> str:
        """All bins: `measure`, `slot`, columns, and `parts`, of which each is one.

        Args:
            columns: Others of `BINNED`.
            bins: Limits what is read of kept days to these; without any, all are.
        """
        query, read = self.query, ("measure", "slot", *columns)
        together = self.grouping.together or "part"
        conditions = [*self.days.kept_conditions(query), *self._whole(), *self._among(bins)]
        part = f"{self.grouping(query, _QUARTER_TIME)} AS part"
        table = query.table("turn_speeds", (part, *read), conditions, once=False)
        sources = [f"SELECT * FROM {table}"]  # noqa: S608
        if self.days.afresh:
            spans = self.days.afresh_condition(query, "start")
            turns = query.table("turns", ("start", "status", *MEASURES), [spans])
            afresh = binned(turns, part=self.grouping(query, "start"))
            sources.append(f"SELECT part, {', '.join(read)} FROM ({afresh})")  # noqa: S608
        parts = f"arrayDistinct([toInt64(part), toInt64({together})]) AS parts"
        return f"(SELECT {parts}, {', '.join(read)} FROM ({' UNION ALL '.join(sources)}))"  # noqa: S608

    def _among(self, bins: Sequence[_Bin]) -> Iterator[str]:
        """The conditions that a row of a kept day is of one of the bins."""
        if bins:
            codes = self.query.bind([one.code for one in bins], "Array(Int64)")
            part = self.grouping(self.query, _QUARTER_TIME)
            together = self.grouping.together or "part"
            # By themselves as well, for the index.
            slots = self.query.bind(sorted({one.slot for one in bins}), "Array(UInt32)")
            yield f"slot IN {slots}"
            yield f"{_CODE % f'({part} AS part)'} IN {codes} OR {_CODE % together} IN {codes}"

    def _whole(self) -> Iterator[str]:
        """The condition that a quarter is in a part whole."""
        if self.cut:
            cut = [f"{day} {number}" for day, number in self.cut]
            names = self.query.bind(cut, "Array(String)")
            yield f"concat(toString(day), ' ', toString(quarter)) NOT IN {names}"

    def _bins(self, levels: Sequence[float]) -> list[_Bin]:
        """The bins in which the values are that quantiles are made of."""
        rank = "floor(level * (total - 1))"
        rows = self.query.run(f"""
            SELECT part, measure, slot, {_CODE % "part"} AS code, below, held, total FROM (
                SELECT part, measure, slot, held,
                    sum(held) OVER (PARTITION BY part, measure ORDER BY slot) - held AS below,
                    sum(held) OVER (PARTITION BY part, measure) AS total
                FROM (
                    SELECT part, measure, slot, sum(turns) AS held
                    FROM {self._rows("turns")} ARRAY JOIN parts AS part
                    GROUP BY part, measure, slot
                )
            )
            WHERE arrayExists(level -> below <= {rank} + 1 AND below + held > {rank},
                {self.query.bind(tuple(levels), "Array(Float64)")})
        """)  # noqa: S608
        return [_Bin(**row) for row in rows]

    def _values(
        self, bins: Sequence[_Bin], levels: Sequence[float]
    ) -> dict[int, tuple[int, list[float]]]:
        """How many values each bin has by now, and those that are asked for."""
        codes = self.query.bind([one.code for one in bins], "Array(Int64)")
        places = [[rank - one.below + 1 for rank in one.places(levels)] for one in bins]
        asked = f"{self.query.bind(places, 'Array(Array(UInt32))')}[indexOf({codes}, code)]"
        rows = self.query.run(f"""
            SELECT code, length(ordered) AS held, arrayMap(at -> ordered[at], {asked}) AS found
            FROM (
                SELECT {_CODE % "part"} AS code, arraySort(groupArrayArray(seconds)) AS ordered
                FROM {self._rows("seconds", bins=bins)} ARRAY JOIN parts AS part
                WHERE code IN {codes}
                GROUP BY code
            )
        """)  # noqa: S608
        return {row["code"]: (row["held"], row["found"]) for row in rows}


def _quarter_inside(moment: datetime) -> datetime | None:
    """The start of the quarter inside which a moment lies; nothing where that is the moment."""
    first = midnight(moment.date())
    begin = first + (moment - first) // QUARTER * QUARTER
    return None if begin == moment else begin
