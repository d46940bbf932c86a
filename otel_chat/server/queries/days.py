"""Which days of turns and events are kept, worked out, and which are asked for afresh."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from otel_chat.server.store import Store

Source = Literal["turns", "events"]
Span = tuple[datetime, datetime]
_DAY: Final = timedelta(days=1)
# A day is kept by the rows of its newest generation, as long as nothing arrived after what that
# generation is sure to cover.
_STATE: Final = """
SELECT toString(day) AS date, max(at) AS at, argMaxIf(generation, generation, covers > 0) AS newest,
    argMaxIf(covers, generation, covers > 0) AS covered
FROM (
    SELECT day, at, 0 AS generation, 0 AS covers FROM touched
    WHERE source = {source:String} AND day BETWEEN {first:Date32} AND {last:Date32}
    UNION ALL
    SELECT day, 0, generation, covers FROM rolled
    WHERE source = {source:String} AND day BETWEEN {first:Date32} AND {last:Date32}
)
GROUP BY day
ORDER BY day
"""


@dataclass(frozen=True, slots=True)
class Days:
    """How the days of a span are to be read.

    Args:
        kept: The generation to read of each day that is kept.
        afresh: The spans of time to work out, in order.
    """

    kept: dict[date, int]
    afresh: list[Span]


def midnight(day: date) -> datetime:
    """The first moment of a day, UTC.

    Example:
        >>> midnight(date(2026, 11, 20))
        datetime.datetime(2026, 11, 20, 0, 0, tzinfo=datetime.timezone.utc)
    """
    return datetime.combine(day, time(), UTC)


def days_of(store: Store, source: Source, first: date, last: date) -> Days:
    """How to read the days from `first` to `last`, both among them.

    Args:
        store: The store to ask.
        source: Whose days.
        first: The first day.
        last: The last day.
    """
    values = {"source": source, "first": first.isoformat(), "last": last.isoformat()}
    kept: dict[date, int] = {}
    afresh: list[Span] = []
    previous_kept = True
    for row in store.query(_STATE, values):
        day = date.fromisoformat(row["date"])
        if row["newest"] and row["at"] <= row["covered"]:
            kept[day] = int(row["newest"])
            previous_kept = True
            continue
        # Days between two of these that hold nothing are read along: one span is faster than two.
        begun = midnight(day) if previous_kept else afresh.pop()[0]
        afresh.append((begun, midnight(day + _DAY)))
        previous_kept = False
    return Days(kept, afresh)
