"""`/api/v1/forecasts`: what the next week is likely to bring."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated, Final

from fastapi import Query, Request

from otel_chat._common.moments import UTC_NAME
from otel_chat.server.api.errors import RESPONSES
from otel_chat.server.api.examples import WINDOW, shown
from otel_chat.server.api.parameters import (
    FiltersParameter,
    StartedWindowParameter,
    StoreParameter,
    TimezoneParameter,
    Viewer,
)
from otel_chat.server.api.security import own_router
from otel_chat.server.questions import forecasts as queries

router = own_router(tags=["ahead"], responses=RESPONSES)

_DAY: Final = date(2026, 11, 21)
ANSWER: Final = shown(
    queries.Forecasts(
        timezone="Europe/Berlin",
        learned_from=date(2026, 8, 29),
        learned_to=date(2026, 11, 20),
        days_known=84,
        hours_missing=0,
        enough=True,
        said="Learned from the 84 whole days up to 20 November.",
        measures=[
            queries.Foretold(
                measure="conversations", unit="{conversation}", method="level and season",
                error=0.062, naive_error=0.084, hour_error=0.21, judged_days=28,
                said="Level and season was off by 6.2 % on average over 28 days;"
                " the same days a week before by 8.4 %.",
                days=[queries.DayAhead(day=_DAY, value=212.4, low=190.1, high=234.7)],
                hours=[
                    queries.HourAhead(start=WINDOW.end, value=12.1, low=7.9, high=16.3)
                ],
                known=[queries.DayKnown(day=date(2026, 11, 20), value=205)],
            )
        ],
        agents=[
            queries.AgentAhead(
                agent="support", conversations=1280.0, low=1120.5, high=1440.2, error=0.07,
                days_known=84,
            )
        ],
        budgets=[
            queries.BudgetEnd(
                name="support", agent="support", tenant=None, usd=Decimal(500),
                spent=Decimal("431.2"), total=616.3, total_low=580.0, total_high=652.9,
                ends=date(2026, 11, 24), earliest=date(2026, 11, 23), latest=date(2026, 11, 25),
                said="The budget support ends on the 24th (23rd to 25th).",
            )
        ],
    )
)  # fmt: skip


@router.get("/forecasts", summary="The next week, with its error", responses=ANSWER)
def forecasts(
    request: Request,
    store: StoreParameter,
    scope: Viewer,
    window: StartedWindowParameter,
    filters: FiltersParameter,
    timezone: TimezoneParameter = UTC_NAME,
    hours: Annotated[bool, Query(description="Whether each hour is told, too.")] = False,
) -> queries.Forecasts:
    """The next seven days, learned from the last 84 whole ones, whatever the window."""
    budgets = request.app.state.settings.budgets
    asked = (store, scope, window, filters, timezone)
    return queries.forecasts(*asked, hours=hours, budgets=budgets)
