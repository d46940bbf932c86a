"""The parameters that the documents' addresses have in common."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Final

from fastapi import Depends, Query, Request

from otel_chat._common.moments import UTC_NAME
from otel_chat.server.api.parameters import (
    FIRST,
    LAST,
    TimezoneParameter,
    idle_of,
    span_of,
)
from otel_chat.server.figures.filters import Filters
from otel_chat.server.figures.window import EARLIEST, Window

MOST_DAYS: Final = 366
MILLISECONDS: Final = 1000
PER_CENT: Final = 100

StartDate = Annotated[str | None, Query(max_length=100, description=FIRST, examples=["2026-11-01"])]
EndDate = Annotated[
    str | None, Query(max_length=100, description=f"{LAST} Now without.", examples=["2026-11-07"])
]
DaysParameter = Annotated[
    int, Query(ge=1, le=MOST_DAYS, description="So many days up to now.", examples=[7])
]


def between_dates(length: timedelta | None) -> Callable[..., Window]:
    """A dependency: the window between `start_date` and `end_date`.

    Args:
        length: How long it is without a start date; None for all that there is.
    """

    def window_of(
        request: Request,
        start_date: StartDate = None,
        end_date: EndDate = None,
        timezone: TimezoneParameter = UTC_NAME,
    ) -> Window:
        first = start_date
        if first is None and length is None:
            first = EARLIEST.isoformat()
        return span_of(
            first,
            end_date,
            timezone,
            length=length or timedelta(days=1),
            idle=idle_of(request),
            names=("start_date", "end_date"),
        )

    return window_of


def last_days(request: Request, days: DaysParameter = 7) -> Window:
    """The window of so many days that ends now."""
    return Window.up_to_now(timedelta(days=days), idle=idle_of(request))


def of_agent(
    agent_id: Annotated[
        str | None, Query(max_length=1000, description="The agent; all of them without.")
    ] = None,
) -> Filters:
    """The turns and conversations of one agent."""
    return Filters(agent=agent_id)


LastDays = Annotated[Window, Depends(last_days)]
OfAgent = Annotated[Filters, Depends(of_agent)]


def milliseconds(seconds: float | None) -> float:
    """Seconds in milliseconds; 0 where there are none.

    Example:
        >>> milliseconds(1.5), milliseconds(None)
        (1500.0, 0)
    """
    return 0 if seconds is None else seconds * MILLISECONDS


def known_milliseconds(seconds: float | None) -> float | None:
    """Seconds in milliseconds; None where there are none.

    Example:
        >>> known_milliseconds(1.5), known_milliseconds(None)
        (1500.0, None)
    """
    return None if seconds is None else milliseconds(seconds)


def per_cent(share: float | None) -> float:
    """A share in per cent; 0 where there is none.

    Example:
        >>> per_cent(0.25), per_cent(None)
        (25.0, 0)
    """
    return 0 if share is None else share * PER_CENT
