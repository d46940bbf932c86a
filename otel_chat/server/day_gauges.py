"""The last whole day of each agent beside what is usual, as gauges for Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Final

from prometheus_client.core import GaugeMetricFamily

from otel_chat._common.moments import UTC_NAME
from otel_chat.server.figures.filters import Filters
from otel_chat.server.figures.usual import LEARNED
from otel_chat.server.figures.window import Window
from otel_chat.server.questions.day_changes import (
    RIPE,
    Judged,
    Sums,
    judged,
    level_of,
    sums_by_day,
)

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

    from otel_chat.server.access import Scope
    from otel_chat.server.store import Store

_DAY: Final = timedelta(days=1)
_AGAIN: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Day:
    """The last whole day, in UTC, and those before.

    Args:
        day: The day.
        sums: What its figures and those of the days before are made of.
    """

    day: date
    sums: Sums
    _found: dict[frozenset[str] | None, list[Judged]] = field(default_factory=dict)

    def found(self, tenants: frozenset[str] | None) -> list[Judged]:
        """Every figure of the day that could be told from what is usual.

        Args:
            tenants: Whose conversations count, together; all without.
        """
        if tenants not in self._found:
            self._found[tenants] = judged(self.sums, [self.day], tenants)
        return self._found[tenants]


@dataclass(slots=True)
class Days:
    """Reads each day once, six hours after it ended, so that what is told of it stays.

    Args:
        store: The store to ask.
        scope: What may be read.
        as_of: Up to when what was stored is in the conversations' rows; nothing while unknown.
            Without, it is taken to be.
    """

    store: Store
    scope: Scope
    as_of: Callable[[], datetime | None] | None = None
    last: Day | None = None
    _tried: datetime | None = None

    def refresh(self, moment: datetime, idle: timedelta) -> None:
        """Reads the last whole day if it is not the one that is known; after a failure, in an hour.

        Args:
            moment: The present time.
            idle: How long a conversation is quiet before it is settled.

        Raises:
            StoreError: If the store does not answer.
        """
        today = (moment - RIPE).astimezone(UTC).date()
        day = today - _DAY
        if self.last is not None and self.last.day == day:
            return
        end = datetime.combine(today, time(0), UTC)
        if self._tried is not None and moment < self._tried + _AGAIN:
            return
        if self.as_of is not None:
            known = self.as_of()
            if known is None or known < end + RIPE:
                return
        self._tried = moment
        window = Window(end - (LEARNED + 2) * _DAY, end, end + RIPE, idle)
        self.last = Day(day, sums_by_day(self.store, self.scope, window, Filters(), UTC_NAME))
        self._tried = None


def day_gauges(
    day: Day | None, tenants: frozenset[str] | None, agents: set[str], false_alarms: float
) -> Iterator[Metric]:
    """What Prometheus is told of a day.

    Args:
        day: The day; nothing is told of none.
        tenants: Whose conversations count.
        agents: The agents that are told of.
        false_alarms: How many changes a month are to be told by chance alone.
    """
    found = [] if day is None else day.found(tenants)
    changed = GaugeMetricFamily(
        "otel_chat_day_changed",
        "Whether the last whole day was unlike the eight weeks before, beyond chance: 1 or 0.",
        labels=("agent", "figure", "direction"),
    )
    moved = GaugeMetricFamily(
        "otel_chat_day_change_ratio",
        "How far a figure of the last whole day was from what is usual on its weekday, as a part of"
        " that.",
        labels=("agent", "figure"),
    )
    for one in found:
        if one.agent in agents:
            beyond = one.found.p_value <= level_of(false_alarms, len(found))
            name = one.told.name
            changed.add_metric((one.agent, name, one.direction), float(beyond))
            if one.relative is not None:
                moved.add_metric((one.agent, name), one.relative)
    yield changed
    yield moved
    if day is not None and found:
        yield GaugeMetricFamily(
            "otel_chat_day_timestamp_seconds",
            "When the last whole day that was looked at began, in seconds since 1970.",
            value=datetime.combine(day.day, time(0), UTC).timestamp(),
        )
