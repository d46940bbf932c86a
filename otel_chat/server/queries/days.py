"""Which days are kept, worked out, and which are asked for afresh."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from threading import Lock
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from otel_chat.server.queries.sql import Query
    from otel_chat.server.store import Store

Source = Literal["turns", "events"]
Span = tuple[datetime, datetime]
DAY: Final = timedelta(days=1)
LAST: Final = date(2261, 12, 31)
TIMES: Final[Mapping[Source, str]] = {"turns": "start", "events": "time"}

_STATES: Final = """
SELECT toString(day) AS date, max(at) AS arrived,
    argMaxIf(generation, generation, covers > 0) AS newest,
    argMaxIf(covers, generation, covers > 0) AS covered
FROM (
    SELECT day, at, 0 AS generation, 0 AS covers FROM touched
    WHERE day <= {last:Date32}
    UNION ALL
    SELECT day, 0, generation, covers FROM rolled
    WHERE day <= {last:Date32}
)
GROUP BY day
ORDER BY day
"""


@dataclass(frozen=True, slots=True)
class State:
    """What is known of a day.

    Args:
        day: The day.
        arrived: When something last arrived for it, ns.
        newest: The newest generation of its rows that is complete; 0 for none.
        covered: Up to which moment of arrival that is sure to hold everything, ns.
    """

    day: date
    arrived: int
    newest: int
    covered: int

    @property
    def kept(self) -> bool:
        """Whether its newest generation holds all of it."""
        return bool(self.newest) and self.arrived <= self.covered


@dataclass(frozen=True, slots=True)
class Days:
    """How the days of a span are to be read.

    Args:
        kept: The generation to read of each day that is kept.
        afresh: The spans of time to work out, in order.
    """

    kept: dict[date, int]
    afresh: list[Span]

    def until(self, last: date) -> Days:
        """The days up to `last`, itself among them."""
        end = midnight(last + DAY)
        return Days(
            {day: generation for day, generation in self.kept.items() if day <= last},
            [(start, min(stop, end)) for start, stop in self.afresh if start < end],
        )

    def after(self, last: date) -> Days:
        """The days after `last`."""
        begin = midnight(last + DAY)
        return Days(
            {day: generation for day, generation in self.kept.items() if day > last},
            [(max(start, begin), stop) for start, stop in self.afresh if stop > begin],
        )

    def afresh_condition(self, query: Query, column: str) -> str:
        """The condition that a row lies in a span to work out, given its column of time."""
        spans = [f"({query.between(column, *span)})" for span in self.afresh]
        return " OR ".join(spans) or "false"

    def kept_days(self, query: Query) -> str:
        """The condition that a row's day is kept."""
        return f"day IN {query.bind([day.isoformat() for day in self.kept], 'Array(Date32)')}"

    def kept_conditions(self, query: Query) -> list[str]:
        """The conditions that a row is one of a kept day."""
        dates = query.bind([day.isoformat() for day in self.kept], "Array(Date32)")
        generations = query.bind(list(self.kept.values()), "Array(Int64)")
        # The days by themselves as well, for the index.
        return [self.kept_days(query), f"(day, generation) IN arrayZip({dates}, {generations})"]


def midnight(day: date) -> datetime:
    """The first moment of a day, UTC.

    Example:
        >>> midnight(date(2026, 11, 20))
        datetime.datetime(2026, 11, 20, 0, 0, tzinfo=datetime.timezone.utc)
    """
    return datetime.combine(day, time(), UTC)


def day_states(store: Store, last: date = LAST) -> list[State]:
    """The days for which anything arrived, in order.

    Args:
        store: The store to ask.
        last: The last of them.
    """
    return [
        State(date.fromisoformat(row["date"]), row["arrived"], row["newest"], row["covered"])
        for row in store.query(_STATES, {"last": last.isoformat()})
    ]


class States:
    """What is known of all days, read once: the same for every SELECT of a question.

    Args:
        store: The store to ask.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._read: list[State] | None = None
        self._reading = Lock()

    def between(self, first: date, last: date) -> list[State]:
        """The days from `first` to `last`, both among them, for which anything arrived."""
        with self._reading:
            if self._read is None:
                self._read = day_states(self._store)
        return [state for state in self._read if first <= state.day <= last]

    def of(self, store: Store) -> bool:
        """Whether they are this store's."""
        return self._store is store


_asked: ContextVar[States | None] = ContextVar("otel_chat_days", default=None)


@contextmanager
def question(store: Store) -> Iterator[None]:
    """Whatever is asked within is one question, unless it is a part of one already."""
    token = _asked.set(states_of(store))
    try:
        yield
    finally:
        _asked.reset(token)


def states_of(store: Store) -> States:
    """Those of the question that is being asked, or of one of its own."""
    known = _asked.get()
    return known if known is not None and known.of(store) else States(store)


def days_of(query: Query, first: date, last: date) -> Days:
    """How to read the days from `first` to `last`, both among them.

    Args:
        query: The SELECT under construction.
        first: The first day.
        last: The last day.
    """
    return _read(query.states.between(first, last))


def _read(states: list[State]) -> Days:
    kept: dict[date, int] = {}
    afresh: list[Span] = []
    previous_kept = True
    for state in states:
        if state.kept:
            kept[state.day] = state.newest
        else:
            # Days between two of these that hold nothing are read along: one span is faster.
            begun = midnight(state.day) if previous_kept else afresh.pop()[0]
            afresh.append((begun, midnight(state.day + DAY)))
        previous_kept = state.kept
    return Days(kept, afresh)
