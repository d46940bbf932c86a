"""How figures are written for people: units, separators, and 'no data' where there is none."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from otel_chat.server.figures.intervals import wilson
from otel_chat.server.figures.writing import NO_DATA, THIN, count, duration, money, percent

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "NO_DATA",
    "THIN",
    "ago",
    "between",
    "bucket",
    "by_the_clock_of",
    "clock",
    "compact",
    "count",
    "duration",
    "field_time",
    "interval",
    "money",
    "percent",
    "plural",
    "score",
    "size",
    "when",
    "whole",
]

_ZONE: Final[ContextVar[tzinfo]] = ContextVar("the reader's time zone", default=UTC)
_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 86_400
_COMPACT_FROM: Final = 100_000
_JUST_NOW: Final = 5


def whole(value: float | None) -> str:
    """A figure that is told as a whole number.

    Example:
        >>> whole(1234.4), whole(None)
        ('1,234', 'no data')
    """
    return count(None if value is None else round(value))


def compact(value: int | None) -> str:
    """A whole number, shortened from 100,000 on, for the large figure of a card.

    Example:
        >>> [compact(n).replace("\u202f", " ") for n in (99_999, 123_456, 2_345_678, 5 * 10**9)]
        ['99,999', '123 k', '2.35 M', '5.00 G']
    """
    if value is None or value < _COMPACT_FROM:
        return count(value)
    scaled = float(value)
    for unit in ("k", "M", "G"):
        scaled /= 1000
        if scaled < 999.5 or unit == "G":  # noqa: PLR2004 - what rounds to 1 000 k is 1 M
            digits = 0 if scaled >= 100 else 1 if scaled >= 10 else 2  # noqa: PLR2004
            return f"{scaled:,.{digits}f}{THIN}{unit}"
    return count(value)


def size(amount: float | None) -> str:
    """Bytes, in the unit that leaves one to three digits before the point.

    Example:
        >>> [size(n).replace("\u202f", " ") for n in (0, 999, 84_500_000, 2.4e9)]
        ['0 B', '999 B', '84.5 MB', '2.40 GB']
    """
    if amount is None:
        return NO_DATA
    scaled, unit = float(amount), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if scaled < 999.5:  # noqa: PLR2004 - what rounds to 1 000 kB is 1 MB
            break
        scaled, unit = scaled / 1000, larger
    if unit == "B":
        return f"{scaled:.0f}{THIN}B"
    digits = 0 if scaled >= 100 else 1 if scaled >= 10 else 2  # noqa: PLR2004
    return f"{scaled:,.{digits}f}{THIN}{unit}"


def score(value: float | None) -> str:
    """A confidence or a score between 0 and 1, with two decimals.

    Example:
        >>> score(0.934), score(None)
        ('0.93', 'no data')
    """
    return NO_DATA if value is None else f"{value:.2f}"


@contextmanager
def by_the_clock_of(zone: ZoneInfo) -> Iterator[None]:
    """Times are written by the clock of a time zone for as long as the block lasts.

    Example:
        >>> with by_the_clock_of(ZoneInfo("Europe/Berlin")):
        ...     when(datetime(2026, 3, 4, 15, 6, 7, tzinfo=UTC))
        '4 Mar 2026, 16:06'
    """
    token = _ZONE.set(zone)
    try:
        yield
    finally:
        _ZONE.reset(token)


def when(moment: datetime | None, *, zone: bool = False) -> str:
    """A moment to the minute, by the clock of the reader's time zone; UTC where none is known.

    Args:
        moment: An aware moment.
        zone: Whether the time zone is named, for a time that stands by itself.

    Example:
        >>> when(datetime(2026, 3, 4, 15, 6, 7, tzinfo=UTC))
        '4 Mar 2026, 15:06'
        >>> when(datetime(2026, 3, 4, 15, 6, 7, tzinfo=UTC), zone=True)
        '4 Mar 2026, 15:06 UTC'
    """
    return _local(moment, "{0.day} {0:%b %Y, %H:%M}", zone=zone)


def _local(moment: datetime | None, form: str, *, zone: bool) -> str:
    if moment is None:
        return NO_DATA
    local = moment.astimezone(_ZONE.get())
    if not zone:
        return form.format(local)
    name = f"{local:%Z}"
    # Some zones have no letters of their own: their name is their offset.
    return f"{form.format(local)} {name if name[:1].isalpha() else f'UTC{name}'}"


def bucket(start: datetime, *, by_day: bool) -> str:
    """What a bucket of time is called, by the clock that its start is told by.

    Example:
        >>> noon = datetime(2026, 3, 4, 12, tzinfo=UTC)
        >>> bucket(noon, by_day=False), bucket(noon, by_day=True)
        ('4 Mar, 12:00', '4 Mar')
    """
    return f"{start.day} {start:%b}" if by_day else f"{start.day} {start:%b, %H:%M}"


def clock(moment: datetime | None, *, zone: bool = False) -> str:
    """The time of day to the second, by the clock of the reader's time zone.

    Example:
        >>> clock(datetime(2026, 3, 4, 15, 6, 7, tzinfo=UTC))
        '15:06:07'
        >>> with by_the_clock_of(ZoneInfo("America/Sao_Paulo")):
        ...     clock(datetime(2026, 3, 4, 15, 6, 7, tzinfo=UTC), zone=True)
        '12:06:07 UTC-03'
    """
    return _local(moment, "{:%H:%M:%S}", zone=zone)


def field_time(moment: datetime) -> str:
    """A moment as a field of a form holds it, to the minute, by the reader's clock.

    Example:
        >>> field_time(datetime(2026, 3, 4, 15, 6, 7, tzinfo=UTC))
        '2026-03-04T15:06'
    """
    return f"{moment.astimezone(_ZONE.get()):%Y-%m-%dT%H:%M}"


def ago(moment: datetime | None, now: datetime) -> str:
    """How long before `now` something was, in its largest unit.

    Example:
        >>> now = datetime(2026, 3, 4, 12, tzinfo=UTC)
        >>> ago(datetime(2026, 3, 4, 11, 48, tzinfo=UTC), now).replace("\u202f", " ")
        '12 min ago'
    """
    if moment is None:
        return NO_DATA
    seconds = (now - moment).total_seconds()
    if seconds < _JUST_NOW:
        return "just now"
    for size, unit in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min"), (1, "s")):
        if seconds >= size:
            return f"{int(seconds // size)}{THIN}{unit} ago"
    return "just now"


def plural(number: int, one: str, many: str | None = None) -> str:
    """A number with its noun.

    Example:
        >>> plural(1, "turn"), plural(2345, "turn"), plural(0, "reply", "replies")
        ('1 turn', '2,345 turns', '0 replies')
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def interval(part: int, of: int) -> str:
    """Between which bounds a share lies, 95 times in a hundred.

    Example:
        >>> interval(81, 92).replace("\u202f", " "), interval(0, 0)
        ('80 to 93 %', '')
    """
    return between(*(wilson(part, of) or (None, None)))


def between(low: float | None, high: float | None) -> str:
    """The bounds of a share; empty without them.

    Example:
        >>> between(0.584, 0.84).replace("\u202f", " "), between(None, None)
        ('58 to 84 %', '')
    """
    if low is None or high is None:
        return ""
    return f"{100 * low:.0f} to {100 * high:.0f}{THIN}%"
