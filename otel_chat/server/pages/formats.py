"""How figures are written for people: units, separators, and 'no data' where there is none."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

NO_DATA: Final = "no data"
THIN: Final = "\u202f"  # narrow no-break space: a figure and its unit stay on one line
_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 86_400
_COMPACT_FROM: Final = 100_000
_PERCENT_WITH_DECIMAL: Final = 10
_CENTS_FROM: Final = Decimal("0.995")
_JUST_NOW: Final = 5


def duration(seconds: float | None) -> str:
    """A span of time, in seconds, with two or three significant digits and its unit.

    Example:
        >>> [duration(s).replace("\u202f", " ") for s in (0.0004, 0.0034, 0.42, 1.234)]
        ['0.40 ms', '3.4 ms', '420 ms', '1.2 s']
        >>> [duration(s).replace("\u202f", " ") for s in (75, 8000, 200_000)]
        ['1 min 15 s', '2 h 13 min', '2 d 7 h']
        >>> duration(None)
        'no data'
    """
    if seconds is None:
        return NO_DATA
    if seconds < 0:
        return "\u2212" + duration(-seconds)
    if seconds < 0.9995:  # noqa: PLR2004 - what rounds to 1 000 ms is a second
        return _milliseconds(seconds * 1000)
    if seconds < 59.95:  # noqa: PLR2004 - what rounds to 60.0 s is a minute
        return f"{seconds:.1f}{THIN}s"
    whole = round(seconds)
    for size, unit, smaller, smaller_unit in (
        (_DAY, "d", _HOUR, "h"),
        (_HOUR, "h", _MINUTE, "min"),
        (_MINUTE, "min", 1, "s"),
    ):
        if whole >= size:
            count, rest = divmod(whole, size)
            tail = f" {rest // smaller}{THIN}{smaller_unit}" if rest // smaller else ""
            return f"{count}{THIN}{unit}{tail}"
    return f"{whole}{THIN}s"


def _milliseconds(value: float) -> str:
    if value == 0:
        return f"0{THIN}ms"
    digits = 2 if value < 0.995 else 1 if value < 9.95 else 0  # noqa: PLR2004 - two digits, at least
    return f"{value:.{digits}f}{THIN}ms"


def count(value: int | None) -> str:
    """A whole number with separators.

    Example:
        >>> count(12345), count(0), count(None)
        ('12,345', '0', 'no data')
    """
    return NO_DATA if value is None else f"{value:,}"


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


def percent(ratio: float | None) -> str:
    """A share of 1 as a percentage. Only a whole is 100 %, only nothing is 0 %.

    Example:
        >>> [percent(r).replace("\u202f", " ") for r in (0, 0.0004, 0.038, 0.38, 0.9997, 1)]
        ['0 %', '<0.1 %', '3.8 %', '38 %', '>99 %', '100 %']
        >>> percent(None)
        'no data'
    """
    if ratio is None:
        return NO_DATA
    value = ratio * 100
    if 0 < value < 0.05:  # noqa: PLR2004 - what rounds to 0.0
        text = "<0.1"
    elif 99.5 <= value < 100:  # noqa: PLR2004 - what rounds to 100
        text = ">99"
    elif value and value < _PERCENT_WITH_DECIMAL - 0.05:
        text = f"{value:.1f}"
    else:
        text = f"{value:.0f}"
    return f"{text}{THIN}%"


def money(amount: Decimal | float | None) -> str:
    """US dollars: cents from a dollar on, two significant digits below.

    Example:
        >>> [money(Decimal(a)) for a in ("0", "0.0000126", "0.0042", "0.38", "1234.5")]
        ['$0', '$0.000013', '$0.0042', '$0.38', '$1,234.50']
        >>> money(None)
        'no data'
    """
    if amount is None:
        return NO_DATA
    exact = amount if isinstance(amount, Decimal) else Decimal(repr(amount))
    if exact == 0:
        return "$0"
    sign, exact = ("\u2212" if exact < 0 else ""), abs(exact)
    if exact >= _CENTS_FROM:
        return f"{sign}${exact:,.2f}"
    places = max(2, 1 - exact.adjusted())
    return f"{sign}${exact:.{places}f}"


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


def when(moment: datetime | None) -> str:
    """A moment in UTC, to the minute.

    Example:
        >>> when(datetime(2026, 3, 4, 15, 6, 7, tzinfo=UTC))
        '4 Mar 2026, 15:06'
    """
    if moment is None:
        return NO_DATA
    utc = moment.astimezone(UTC)
    return f"{utc.day} {utc:%b %Y, %H:%M}"


def clock(moment: datetime | None) -> str:
    """The time of day in UTC, to the second.

    Example:
        >>> clock(datetime(2026, 3, 4, 15, 6, 7, tzinfo=UTC))
        '15:06:07'
    """
    return NO_DATA if moment is None else f"{moment.astimezone(UTC):%H:%M:%S}"


def field_time(moment: datetime) -> str:
    """A moment in UTC as a field of a form holds it, to the minute.

    Example:
        >>> field_time(datetime(2026, 3, 4, 15, 6, 7, tzinfo=UTC))
        '2026-03-04T15:06'
    """
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M}"


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
