"""How figures are written in sentences, and everywhere else: units, separators, signs."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

NO_DATA: Final = "no data"
THIN: Final = "\u202f"  # narrow no-break space: a figure and its unit stay on one line
MINUS: Final = "\u2212"
_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 86_400
_PERCENT_WITH_DECIMAL: Final = 10
_CENTS_FROM: Final = Decimal("0.995")


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
