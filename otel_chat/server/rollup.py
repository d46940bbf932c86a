"""Days on which nothing arrives any more, worked out once and kept.

What is kept is found again by `queries/partial_rows.py`. A day is kept as rows of one generation;
a row of `rolled` says up to which moment of arrival that generation covers everything. What
arrives later writes a later moment into `touched`, by a view in the store itself, and from then on
the day is worked out afresh again, until it has been quiet and is kept anew.

A conversation that is not in one such row alone is noted in `parted_conversations` when a day of it
is kept, with that day: of any two of its days the one that was kept later names it. All rows of
whatever is noted stand in `parted_days` as well, for they are few, and far apart in the other.
"""

from __future__ import annotations

import logging
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal

from otel_chat.errors import OtelChatError
from otel_chat.server.queries import calls, kept_turns
from otel_chat.server.queries.days import DAY, TIMES, day_states, midnight
from otel_chat.server.queries.partial_rows import worked_out
from otel_chat.server.queries.partials import (
    DIMENSIONS,
    HASH,
    IS_ACTIVITY,
    IS_FEEDBACK,
    IS_TOPIC,
    KEPT,
    KEPT_OF_BOTH,
    KEY,
)
from otel_chat.server.queries.quarter_hours import SUMS, quarter_hours
from otel_chat.server.queries.speeds import BINNED, BINNED_BY, binned
from otel_chat.server.queries.tallies import INTENTS, KINDS
from otel_chat.server.queries.window import nanoseconds

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from otel_chat.server.queries.days import Source
    from otel_chat.server.store import Store

_log = logging.getLogger("otel_chat.server")

# Questions that began before a day was kept anew may still read the generation before.
OUTDATED_AFTER: Final = timedelta(minutes=10)
_DIMENSIONS: Final = ", ".join(DIMENSIONS)
_BY: Final = {"turns": f"{KEY}, {_DIMENSIONS}", "events": KEY}
_COUNTS: Final = {"turns": "true", "events": f"({IS_FEEDBACK}) OR {IS_ACTIVITY} OR ({IS_TOPIC})"}
BY_DAY: Final = (
    "turn_days", "intent_days", "turn_speeds", "quarter_hours", "failed_turns", "slow_turns",
    "call_speeds",
)  # fmt: skip
"""Tables of what is kept of whole days: of a day of which anything is erased, nothing is left."""
_TABLES: Final = ("conversation_days", "parted_days", *BY_DAY, "rolled")
_OUTDATED: Final = """
SELECT toString(day) AS date, generation FROM rolled WHERE generation < {before:Int64}
    AND (day, generation) NOT IN (
        SELECT day, max(generation) FROM rolled WHERE covers > 0 GROUP BY day
    )
GROUP BY day, generation
"""


def _within(source: Source | Literal["spans"]) -> str:
    """The condition that a turn, an event or a span is of the day."""
    time = "start" if source == "spans" else TIMES[source]
    return (
        f"{time} >= fromUnixTimestamp64Nano({{start:Int64}}, 'UTC')"
        f" AND {time} < fromUnixTimestamp64Nano({{end:Int64}}, 'UTC')"
    )


def _partials(source: Source) -> str:
    """SQL of the partial rows of a day's turns or events, numbered within each conversation."""
    partials = KEPT[source]
    return f"""
        SELECT {_BY[source]},
            row_number() OVER (PARTITION BY {KEY} ORDER BY {_BY[source]}) AS nth
            {worked_out(partials, tuple(partials))}
        FROM {source} FINAL
        WHERE {_within(source)} AND ({_COUNTS[source]})
        GROUP BY {_BY[source]}
    """  # noqa: S608


_COLUMNS: Final = (*KEPT["turns"], *KEPT["events"])
_OF_BOTH: Final = "".join(f", {partial.sql}" for partial in KEPT_OF_BOTH.values())
# The events of a conversation stand beside the first of its rows, if it has several.
_KEEP: Final = f"""
INSERT INTO conversation_days (
    day, generation, {KEY}, {_DIMENSIONS}, hash, {", ".join((*_COLUMNS, *KEPT_OF_BOTH))}
)
SELECT toDate32({{day:String}}), {{generation:Int64}}, {KEY}, {_DIMENSIONS}, {HASH},
    {", ".join(f"p_{name}" for name in _COLUMNS)}{_OF_BOTH}
FROM ({_partials("turns")}) AS t
FULL JOIN ({_partials("events")}) AS e USING ({KEY}, nth)
"""  # noqa: S608


def _of_day(source: Source | Literal["spans"]) -> str:
    """What stands after FROM for the rows of a day."""
    return f"{source} FINAL WHERE {_within(source)}"


def _into(table: str, columns: Sequence[str], rows: str) -> str:
    """An INSERT of a day's rows, given a SELECT of these columns."""
    return (
        f"INSERT INTO {table} (day, generation, {', '.join(columns)})"  # noqa: S608
        f" SELECT toDate32({{day:String}}), {{generation:Int64}}, * FROM ({rows})"
    )


_CALLED: Final = calls.calls(
    f"{_of_day('spans')} AND {calls.IS_CALL['spans']}",
    f"{_of_day('events')} AND {calls.IS_CALL['events']}",
    "tenant",
)
_BESIDE: Final = (
    *(
        _into(
            tally.table,
            ("tenant", *tally.kept),
            tally.counted(_of_day("turns"), "tenant", *DIMENSIONS),
        )
        for tally in (KINDS, INTENTS)
    ),
    _into(
        "turn_speeds",
        ("tenant", *BINNED_BY, *BINNED),
        binned(_of_day("turns"), tenant="tenant", **BINNED_BY),
    ),
    *(
        _into(
            "quarter_hours",
            ("tenant", "source", "at", *SUMS[source]),
            quarter_hours(source, _of_day(source)),
        )
        for source in SUMS
    ),
    _into("failed_turns", kept_turns.FAILED, kept_turns.failed(_of_day("turns"))),
    _into("slow_turns", kept_turns.SLOW, kept_turns.slow(_of_day("turns"))),
    _into(
        "call_speeds",
        (*calls.BINNED_BY, *calls.BINNED),
        calls.binned_calls(_CALLED, **calls.BINNED_BY),
    ),
)
_NEW: Final = "day = toDate32({day:String}) AND generation = {generation:Int64} AND hash != 0"
# Kept so that questions need not count each conversation's rows: one too many here costs time only.
_PARTED: Final = f"""
    SELECT tenant, hash FROM conversation_days WHERE {_NEW}
    GROUP BY tenant, hash HAVING count() > 1
    UNION ALL
    SELECT DISTINCT tenant, hash FROM conversation_days
    WHERE day != toDate32({{day:String}})
        AND hash IN (SELECT hash FROM conversation_days WHERE {_NEW})
"""  # noqa: S608
# Before they are noted: from then on questions look for all of their rows there, of any day.
_COPY: Final = f"""
INSERT INTO parted_days SELECT * FROM conversation_days
WHERE hash IN (SELECT hash FROM ({_PARTED}))
    OR {_NEW} AND hash IN (SELECT hash FROM parted_conversations)
"""  # noqa: S608
_PART: Final = f"""
INSERT INTO parted_conversations (tenant, day, hash)
SELECT tenant, toDate32({{day:String}}), hash FROM ({_PARTED})
"""  # noqa: S608


class Rollup:
    """Keeps days that have been quiet for long enough.

    Args:
        store: The store.
        quiet: How long nothing must have arrived for a day: longer than any insert takes.
        clock: The present time.
    """

    def __init__(
        self,
        store: Store,
        quiet: timedelta,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._quiet = quiet
        self._clock = clock
        self._stopped = False

    def refresh(self) -> int:
        """Keeps every day that is due, the newest first.

        Returns:
            How many were kept. A failure is logged, and tried again the next time.
        """
        kept = 0
        try:
            for day in self._due():
                if self._stopped:
                    return kept
                self.keep(day)
                kept += 1
            self.forget_outdated()
        except OtelChatError as error:
            _log.warning("Days could not be worked out ahead; answers are slower: %s", error)
        return kept

    def stop(self) -> None:
        """Lets a `refresh` end after the day at which it is."""
        self._stopped = True

    def _due(self) -> list[date]:
        now = self._clock()
        covers = nanoseconds(now - self._quiet)
        return [
            state.day
            for state in reversed(day_states(self._store, last=now.date() - DAY))
            if state.covered < state.arrived <= covers
        ]

    def keep(self, day: date) -> None:
        """Keeps a day as it is now, whether it is due or not.

        Args:
            day: The day.
        """
        now = self._clock()
        entry = {
            "day": day.isoformat(),
            "generation": nanoseconds(now),
            "covers": nanoseconds(now - self._quiet),
            "start": nanoseconds(midnight(day)),
            "end": nanoseconds(midnight(day + DAY)),
        }
        # First that it begins: should it not end, its rows are known and removed some time.
        self._enter(entry, covers=0)
        for step in (_KEEP, *_BESIDE, _COPY, _PART):
            self._store.command(step, entry)
        self._enter(entry, covers=entry["covers"])

    def _enter(self, entry: dict[str, object], *, covers: object) -> None:
        self._store.command(
            "INSERT INTO rolled (day, generation, covers) SELECT"
            " toDate32({day:String}), {generation:Int64}, {covers:Int64}",
            {**entry, "covers": covers},
        )

    def forget_outdated(self) -> None:
        """Removes what no question reads any more: what was kept before, or never ended."""
        before = nanoseconds(self._clock() - OUTDATED_AFTER)
        outdated = self._store.query(_OUTDATED, {"before": before})
        if not outdated:
            return
        values = {
            "days": [row["date"] for row in outdated],
            "generations": [int(row["generation"]) for row in outdated],
        }
        which = "(day, generation) IN arrayZip({days:Array(Date32)}, {generations:Array(Int64)})"
        for table in _TABLES:
            self._store.command(
                f"ALTER TABLE {table} DELETE WHERE {which} SETTINGS mutations_sync = 2", values
            )
