"""Which times may be: one rule for what a file holds and for what the server takes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

# 2000-01-01 and 2100-01-01 in nanoseconds: what lies outside is a fault of a clock or a unit.
EARLIEST: Final = 946_684_800_000_000_000
LATEST: Final = 4_102_444_800_000_000_000
ALLOWED: Final = "a time from 2000 to 2100"


def possible(nanoseconds: int) -> bool:
    """Whether a time may be.

    Args:
        nanoseconds: Since 1970.

    Example:
        >>> possible(1_764_000_000_000_000_000), possible(0)
        (True, False)
    """
    return EARLIEST <= nanoseconds <= LATEST


def told(nanoseconds: int) -> str:
    """A time as it is told to people, whatever it is.

    Args:
        nanoseconds: Since 1970.

    Example:
        >>> told(0), told(10**30)
        ('1970-01-01T00:00:00+00:00', '1000000000000000000000000000000 ns since 1970')
    """
    try:
        return datetime.fromtimestamp(nanoseconds // 10**9, UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        return f"{nanoseconds} ns since 1970"
