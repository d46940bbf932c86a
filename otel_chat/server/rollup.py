"""Days on which nothing arrives any more, worked out once and kept.

What is kept is found again by `queries/partial_rows.py`. A day is kept as rows of one generation;
a row of `rolled` says up to which moment of arrival that generation covers everything. What
arrives later writes a later moment into `touched`, by a view in the store itself, and from then on
the day is worked out afresh again, until it has been quiet and is kept anew.
"""

from __future__ import annotations

import logging
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final

from otel_chat.errors import OtelChatError
from otel_chat.server.queries.days import DAY, KEPT, TIMES, day_states, midnight
from otel_chat.server.queries.partials import (
    DIMENSIONS,
    IS_ACTIVITY,
    IS_FEEDBACK,
    KEPT_EVENTS,
    KEPT_TURNS,
)
from otel_chat.server.queries.window import nanoseconds

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_chat.server.queries.days import Source
    from otel_chat.server.store import Store

_log = logging.getLogger("otel_chat.server")

# Questions that began before a day was kept anew may still read the generation before.
OUTDATED_AFTER: Final = timedelta(minutes=10)
_PARTIALS: Final = {"turns": KEPT_TURNS, "events": KEPT_EVENTS}
_KEYS: Final = {
    "turns": ("tenant", "conversation_id", *DIMENSIONS),
    "events": ("tenant", "conversation_id", "feedback"),
}
_ROWS: Final = {
    "turns": "SELECT *, true AS counts FROM turns FINAL",
    "events": (
        f"SELECT *, ({IS_FEEDBACK}) AS feedback, feedback OR ({IS_ACTIVITY}) AS counts"  # noqa: S608
        " FROM events FINAL"
    ),
}
_OUTDATED: Final = """
SELECT toString(day) AS date, generation FROM rolled WHERE source = {source:String}
    AND generation < {before:Int64}
    AND (day, generation) NOT IN (
        SELECT day, max(generation) FROM rolled WHERE source = {source:String} AND covers > 0
        GROUP BY day
    )
GROUP BY day, generation
"""


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
            for source in KEPT:
                for day in self._due(source):
                    if self._stopped:
                        return kept
                    self.keep(source, day)
                    kept += 1
                self.forget_outdated(source)
        except OtelChatError as error:
            _log.warning("Days could not be worked out ahead; answers are slower: %s", error)
        return kept

    def stop(self) -> None:
        """Lets a `refresh` end after the day at which it is."""
        self._stopped = True

    def _due(self, source: Source) -> list[date]:
        now = self._clock()
        covers = nanoseconds(now - self._quiet)
        return [
            state.day
            for state in reversed(day_states(self._store, source, last=now.date() - DAY))
            if state.covered < state.arrived <= covers
        ]

    def keep(self, source: Source, day: date) -> None:
        """Keeps a day as it is now, whether it is due or not.

        Args:
            source: Whose day.
            day: The day.
        """
        now = self._clock()
        keys, partials = _KEYS[source], _PARTIALS[source]
        entry = {
            "source": source,
            "day": day.isoformat(),
            "generation": nanoseconds(now),
            "covers": nanoseconds(now - self._quiet),
            "start": nanoseconds(midnight(day)),
            "end": nanoseconds(midnight(day + DAY)),
        }
        # First that it begins: should it not end, its rows are known and removed some time.
        self._enter(entry, covers=0)
        moments = f"{TIMES[source]} >= fromUnixTimestamp64Nano({{start:Int64}}, 'UTC')"
        moments += f" AND {TIMES[source]} < fromUnixTimestamp64Nano({{end:Int64}}, 'UTC')"
        names, values = ", ".join(partials), ", ".join(one.sql for one in partials.values())
        grouped = ", ".join(keys)
        self._store.command(
            f"INSERT INTO {KEPT[source]} (day, generation, {grouped}, {names})"  # noqa: S608
            f" SELECT toDate32({{day:String}}), {{generation:Int64}}, {grouped}, {values}"
            f" FROM ({_ROWS[source]} WHERE {moments})"
            f" WHERE counts GROUP BY {grouped}",
            entry,
        )
        self._enter(entry, covers=entry["covers"])

    def _enter(self, entry: dict[str, object], *, covers: object) -> None:
        self._store.command(
            "INSERT INTO rolled (source, day, generation, covers) SELECT {source:String},"
            " toDate32({day:String}), {generation:Int64}, {covers:Int64}",
            {**entry, "covers": covers},
        )

    def forget_outdated(self, source: Source) -> None:
        """Removes what no question reads any more: what was kept before, or never ended.

        Args:
            source: Whose days.
        """
        before = nanoseconds(self._clock() - OUTDATED_AFTER)
        outdated = self._store.query(_OUTDATED, {"source": source, "before": before})
        if not outdated:
            return
        values = {
            "source": source,
            "days": [row["date"] for row in outdated],
            "generations": [int(row["generation"]) for row in outdated],
        }
        which = "(day, generation) IN arrayZip({days:Array(Date32)}, {generations:Array(Int64)})"
        for table, where in (
            (KEPT[source], which),
            ("rolled", f"source = {{source:String}} AND {which}"),
        ):
            self._store.command(
                f"ALTER TABLE {table} DELETE WHERE {where} SETTINGS mutations_sync = 2", values
            )
