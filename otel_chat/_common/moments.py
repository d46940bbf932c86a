"""Days and moments as people write them: one rule for the API, the pages and the command line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Final, Literal, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from otel_chat.errors import QueryError

UTC_NAME: Final = "UTC"
DAY_FORM: Final = "a day as 2026-11-01"
FORMS: Final = (
    f"{DAY_FORM}, or a moment as 2026-11-01T12:00:00Z or 2026-11-01T12:00:00+01:00"
    " (in an address + is written %2B)"
)
PeriodName = Literal["today", "yesterday", "this_week", "last_week", "this_month", "last_month"]
PERIODS: Final[tuple[PeriodName, ...]] = get_args(PeriodName)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_MOMENT: Final = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?(?P<offset>[Zz]|[+-]\d\d:\d\d)?", re.ASCII
)


def nanoseconds(moment: datetime) -> int:
    """Nanoseconds from 1970 to an aware moment, exactly.

    Example:
        >>> nanoseconds(datetime(1970, 1, 1, 0, 0, 1, 5, tzinfo=UTC))
        1000005000
    """
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000


def zone_of(name: str, field: str = "timezone") -> ZoneInfo:
    """A time zone by its name.

    Args:
        name: As Europe/Berlin or UTC.
        field: The parameter that it came in.

    Raises:
        QueryError: If there is none of this name.

    Example:
        >>> zone_of("Europe/Berlin").key
        'Europe/Berlin'
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        message = "A time zone is named as in Europe/Berlin or UTC."
        raise QueryError(message, field=field) from error


def is_day(text: str) -> bool:
    """Whether a text has the form of a day.

    Example:
        >>> is_day("2026-11-01"), is_day("2026-11-01T00:00:00Z")
        (True, False)
    """
    return _DAY.fullmatch(text) is not None


def without_offset(text: str) -> bool:
    """Whether it depends on a time zone which moment a text means: a day, or a time of the clock.

    Example:
        >>> without_offset("2026-11-01"), without_offset("2026-11-01T12:00Z")
        (True, False)
    """
    moment = _MOMENT.fullmatch(text)
    return is_day(text) or (moment is not None and moment["offset"] is None)


def day_of(text: str, field: str) -> date:
    """A day.

    Args:
        text: As 2026-11-01.
        field: The parameter that it came in.

    Raises:
        QueryError: If it is none; names the field and how a day is written.

    Example:
        >>> day_of("2026-11-01", "start")
        datetime.date(2026, 11, 1)
    """
    try:
        if is_day(text):
            return date.fromisoformat(text)
    except ValueError as error:
        raise _unreadable(text, field, DAY_FORM) from error
    raise _unreadable(text, field, DAY_FORM)


def first_of(text: str, field: str, zone: str = UTC_NAME) -> datetime:
    """The first moment of a day, or a moment itself.

    Args:
        text: A day as 2026-11-01, or a moment of RFC 3339; without an offset it is in `zone`.
        field: The parameter that it came in.
        zone: The time zone whose day it is.

    Returns:
        The moment, in UTC.

    Raises:
        QueryError: If it is neither; names the field and how it is written. Also for no zone.

    Example:
        >>> first_of("2026-11-01", "from", "Europe/Berlin").isoformat()
        '2026-10-31T23:00:00+00:00'
    """
    return _utc(text, field, zone, timedelta(0))


def end_of(text: str, field: str, zone: str = UTC_NAME) -> datetime:
    """The first moment after a day, so that the whole day counts; or a moment itself.

    Args:
        text: As for `first_of`.
        field: The parameter that it came in.
        zone: The time zone whose day it is.

    Returns:
        The moment, in UTC.

    Raises:
        QueryError: As `first_of` does.

    Example:
        >>> end_of("2026-11-01", "to").isoformat()
        '2026-11-02T00:00:00+00:00'
    """
    return _utc(text, field, zone, timedelta(days=1))


def period(name: PeriodName, zone: ZoneInfo, now: datetime) -> tuple[datetime, datetime]:
    """A day, a week from Monday on, or a month of the calendar.

    Args:
        name: Which one.
        zone: The time zone whose days they are.
        now: The present time.

    Returns:
        Its first moment, and the first after it, in UTC.

    Example:
        >>> now = datetime(2026, 3, 30, 7, tzinfo=UTC)  # clocks went forward on the 29th
        >>> [one.isoformat() for one in period("last_week", ZoneInfo("Europe/Berlin"), now)]
        ['2026-03-22T23:00:00+00:00', '2026-03-29T22:00:00+00:00']
    """
    today = now.astimezone(zone).date()
    day, week = timedelta(days=1), timedelta(weeks=1)
    monday, month = today - today.weekday() * day, today.replace(day=1)
    first, after = {
        "today": (today, today + day),
        "yesterday": (today - day, today),
        "this_week": (monday, monday + week),
        "last_week": (monday - week, monday),
        "this_month": (month, (month + 31 * day).replace(day=1)),
        "last_month": ((month - day).replace(day=1), month),
    }[name]
    return _midnight(first, zone), _midnight(after, zone)


_BEFORE: Final[Mapping[PeriodName, PeriodName]] = {
    "today": "yesterday",
    "this_week": "last_week",
    "this_month": "last_month",
}
"""The period before each that may go on still."""
_OVER: Final[Mapping[PeriodName, PeriodName]] = {
    "yesterday": "today",
    "last_week": "this_week",
    "last_month": "this_month",
}
"""What each that is over was while it went on."""


def period_before(
    first: datetime, end: datetime | None, zone: ZoneInfo, now: datetime
) -> tuple[datetime, datetime] | None:
    """What a period of the calendar is compared with: the period before it.

    Of a day, week or month that goes on still, as much as has gone by of it: yesterday until the
    same time, last week until the same day and time, last month likewise.

    Args:
        first: The first moment of a window.
        end: The first after it; none where it ends now.
        zone: The time zone of the periods.
        now: The present time.

    Returns:
        The first moment, and the first after it; None where the window is no such period.

    Example:
        >>> now = datetime(2026, 3, 30, 7, tzinfo=UTC)  # clocks went forward on the 29th
        >>> berlin = ZoneInfo("Europe/Berlin")
        >>> monday, _ = period("today", berlin, now)
        >>> [str(one) for one in period_before(monday, None, berlin, now) or ()]
        ['2026-03-28 23:00:00+00:00', '2026-03-29 07:00:00+00:00']
    """
    for name, earlier in _BEFORE.items():
        start, _ = period(name, zone, now)
        if first == start and end is None:
            begins, ends = period(earlier, zone, now)
            there = now.astimezone(zone)
            days = there.date() - start.astimezone(zone).date()
            day = begins.astimezone(zone).date() + days
            same = datetime.combine(day, there.time(), tzinfo=zone).astimezone(UTC)
            return begins, max(min(same, ends), begins + timedelta(microseconds=1))
    for name, was in _OVER.items():
        start, after = period(name, zone, now)
        if (first, end) == (start, after):
            return period(was, zone, start - timedelta(microseconds=1))
    return None


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    # Midnight comes twice, or not at all, where clocks change then: the first, or the moment of
    # the change, is what `fold=0` means.
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


def _utc(text: str, field: str, zone: str, later: timedelta) -> datetime:
    known = zone_of(zone)
    try:
        if is_day(text):
            return _midnight(date.fromisoformat(text) + later, known)
        if _MOMENT.fullmatch(text):
            moment = datetime.fromisoformat(text.upper())
            return (moment if moment.tzinfo else moment.replace(tzinfo=known)).astimezone(UTC)
    except OverflowError as error:
        raise QueryError(f"{field!r} is beyond the calendar ({text!r}).", field=field) from error
    except ValueError as error:
        raise _unreadable(text, field) from error
    raise _unreadable(text, field)


def _unreadable(text: str, field: str, forms: str = FORMS) -> QueryError:
    shown = text if len(text) <= len(FORMS) else f"{text[: len(FORMS)]}..."
    return QueryError(f"{field!r} cannot be read ({shown!r}): write {forms}.", field=field)
