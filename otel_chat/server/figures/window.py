"""The time that a question is about."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Final, Literal
from zoneinfo import ZoneInfo

from otel_chat.errors import QueryError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import tzinfo

WINDOWS: Final = {
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
    "90d": timedelta(days=90),
}
WindowName = Literal["24h", "7d", "30d", "90d"]
By = Literal["started", "active"]
DEFAULT_WINDOW: Final[WindowName] = "7d"
IDLE: Final = timedelta(minutes=30)
MARGIN: Final = timedelta(days=1)
EARLIEST: Final = datetime(1971, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(2261, 1, 1, tzinfo=UTC)

Bucket = Literal["15m", "1h", "6h", "1d", "1w"]
BUCKETS: Final[dict[Bucket, timedelta]] = {
    "15m": timedelta(minutes=15),
    "1h": timedelta(hours=1),
    "6h": timedelta(hours=6),
    "1d": timedelta(days=1),
    "1w": timedelta(weeks=1),
}
MAX_BUCKETS: Final = 1000
_MONDAY: Final = datetime(1970, 1, 5)  # noqa: DTZ001 - of any clock
_BY_THE_CLOCK: Final = BUCKETS["6h"]
"""Buckets from this length on follow the hands where clocks change; shorter ones go on as long."""


@dataclass(frozen=True, slots=True)
class Window:
    """The time that a question is about, and the moment at which it is asked.

    A conversation belongs to the window in which its first turn started; a turn asked about by
    itself to the window in which it started itself.

    Args:
        start: The first moment of the window.
        end: The first moment after it.
        now: When the question is asked: what has been idle since `idle` before then is settled.
        idle: How long a conversation without an explicit end is quiet before it is settled.
        by: Whether conversations belong to it that started in it, or all that had a turn in it.
        rules: The name of the rules that conversations are of, if they all are of the same.
        as_of: Up to when what was stored is sure to be told of conversations, if that is known.
        before: What it is compared with; the same length that ends where it starts without.
        gap: A time within it that does not belong to it.
        zone: Whose days, weeks and hours its buckets are; those of UTC without.

    Raises:
        QueryError: If the window is empty, or ends out of the range of times the store knows.
    """

    start: datetime
    end: datetime
    now: datetime
    idle: timedelta = IDLE
    by: By = "started"
    as_of: datetime | None = None
    rules: str | None = None
    before: tuple[datetime, datetime] | None = None
    gap: tuple[datetime, datetime] | None = None
    zone: ZoneInfo | None = None

    def __post_init__(self) -> None:
        if self.start.tzinfo is None or self.end.tzinfo is None:
            message = "Give times with their offset, as 2026-11-20T00:00:00Z."
            raise QueryError(message, field="from" if self.start.tzinfo is None else "to")
        if self.start >= self.end:
            raise QueryError("'from' must lie before 'to'.", field="from")
        if self.start < EARLIEST or self.end > LATEST:
            message = f"The window must lie between {EARLIEST:%Y} and {LATEST:%Y}."
            raise QueryError(message, field="from" if self.start < EARLIEST else "to")

    @classmethod
    def last(
        cls, name: str = DEFAULT_WINDOW, *, now: datetime | None = None, idle: timedelta = IDLE
    ) -> Window:
        """The window of a length that ends now.

        Args:
            name: One of 24h, 7d, 30d, 90d.
            now: The present time.
            idle: How long a conversation is quiet before it is settled.

        Raises:
            QueryError: If the name is none of these.

        Example:
            >>> noon = datetime(2026, 11, 20, 12, tzinfo=UTC)
            >>> Window.last("24h", now=noon).start
            datetime.datetime(2026, 11, 19, 12, 0, tzinfo=datetime.timezone.utc)
        """
        if name not in WINDOWS:
            raise QueryError(f"A window is one of {', '.join(WINDOWS)}.", field="window")
        if now is None:
            return cls.up_to_now(WINDOWS[name], idle=idle)
        return cls(now - WINDOWS[name], now, now, idle)

    @classmethod
    def up_to_now(cls, length: timedelta, *, idle: timedelta = IDLE) -> Window:
        """The window of so much time that ends with the present microsecond.

        Args:
            length: How long it is.
            idle: How long a conversation is quiet before it is settled.

        Raises:
            QueryError: If it begins before the store knows any time.
        """
        now = datetime.now(UTC)
        end = now + timedelta(microseconds=1)  # what happens right now lies within
        return cls(end - length, end, now, idle)

    def check_parted(self) -> None:
        """Refuses to part its conversations by time where they belong to several parts.

        Raises:
            QueryError: If they are those that were active in it.
        """
        if self.by == "active":
            message = "A conversation may be active in several parts of time: ask by=started."
            raise QueryError(message, field="by")

    @property
    def length(self) -> timedelta:
        """How long the window is."""
        return self.end - self.start

    def previous(self) -> Window:
        """The window that this one is compared with: of the same length, up to its start.

        Of a period of the calendar it is the period before, so far as this one has come.

        Example:
            >>> noon = datetime(2026, 11, 20, 12, tzinfo=UTC)
            >>> Window.last("24h", now=noon).previous().end
            datetime.datetime(2026, 11, 19, 12, 0, tzinfo=datetime.timezone.utc)
        """
        start, end = self.before or (max(self.start - self.length, EARLIEST), self.start)
        return replace(self, start=start, end=end, before=None)

    @property
    def compared(self) -> str:
        """What it is compared with, in words."""
        if self.before is None:
            return "the window of the same length before"
        goes_on = self.end >= self.now
        return f"the period before{' up to the same time' if goes_on else ''}"

    def with_previous(self) -> Window:
        """This window and the one before, as one; what lies between them is its gap."""
        before = self.previous()
        gap = (before.end, self.start) if before.end < self.start else None
        return replace(self, start=before.start, before=None, gap=gap)

    def bucket(self) -> Bucket:
        """A bucket that gives a chart of the window a sensible number of points."""
        if self.length <= timedelta(hours=3):
            return "15m"
        if self.length <= timedelta(days=3):
            return "1h"
        if self.length <= timedelta(days=14):
            return "6h"
        return "1d" if self.length <= timedelta(days=180) else "1w"

    def backwards(self, before: datetime | None = None) -> Iterator[Window]:
        """Its parts, the newest first, each four times as long as the one before; first a day.

        Args:
            before: Where the newest ends, if that is before the end of the window.

        Example:
            >>> noon = datetime(2026, 11, 20, 12, tzinfo=UTC)
            >>> [str(part.length) for part in Window.last("7d", now=noon).backwards()]
            ['1 day, 0:00:00', '4 days, 0:00:00', '2 days, 0:00:00']
        """
        end, length = min(self.end, before or self.end), timedelta(days=1)
        while end > self.start:
            part = replace(self, start=max(self.start, end - length), end=end)
            yield part
            end, length = part.start, length * 4

    def bucket_starts(self, bucket: Bucket) -> list[datetime]:
        """The starts of all buckets that the window touches, in order; weeks start on Monday.

        Raises:
            QueryError: If there would be more than `MAX_BUCKETS`.

        Example:
            >>> noon = datetime(2026, 11, 20, 12, tzinfo=UTC)
            >>> len(Window.last("7d", now=noon).bucket_starts("1d"))
            8
        """
        return self.bucket_edges(bucket)[:-1]

    def bucket_edges(self, bucket: Bucket) -> list[datetime]:
        """The starts of all buckets that the window touches, and the end of the last.

        They are by the clock of its time zone, whose offset and name each of them has. A day has
        23 or 25 hours where clocks change.

        Raises:
            QueryError: If there would be more than `MAX_BUCKETS`.

        Example:
            >>> start, end = (datetime(2026, 10, day, 11, tzinfo=UTC) for day in (25, 26))
            >>> window = Window(start, end, end, zone=ZoneInfo("Europe/Berlin"))
            >>> [one.isoformat() for one in window.bucket_edges("1d")]  # clocks went back
            ['2026-10-25T00:00:00+02:00', '2026-10-26T00:00:00+01:00', '2026-10-27T00:00:00+01:00']
        """
        width = BUCKETS[bucket]
        if self.length / width > MAX_BUCKETS:
            message = f"That makes more than {MAX_BUCKETS} points: take a longer bucket."
            raise QueryError(message, field="bucket")
        zone = self.zone or UTC
        local = self.start.astimezone(zone)
        by_the_clock = width >= _BY_THE_CLOCK
        wall = _MONDAY + (local.replace(tzinfo=None) - _MONDAY) // width * width
        first = wall.replace(tzinfo=zone, fold=0 if by_the_clock else local.fold)
        edges = [_at(first, zone)]
        while edges[-1] < self.end:
            wall += width
            following = _at(wall.replace(tzinfo=zone) if by_the_clock else edges[-1] + width, zone)
            if following > edges[-1]:  # a place may have left out a day
                edges.append(following)
        return edges


def _at(moment: datetime, zone: tzinfo) -> datetime:
    """A moment with the offset that its zone's clocks have then, and the zone's name.

    Unlike those of the zone itself such moments are as far apart as they say.
    """
    exact = moment.astimezone(UTC)
    if not isinstance(zone, ZoneInfo):
        return exact
    return exact.astimezone(timezone(exact.astimezone(zone).utcoffset() or timedelta(), zone.key))
