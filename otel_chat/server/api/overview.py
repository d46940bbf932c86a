"""`/api/v1/overview` and the figures over time."""

from __future__ import annotations

from fastapi import Request

from otel_chat._common.moments import UTC_NAME
from otel_chat.server.api import examples
from otel_chat.server.api.errors import RESPONSES
from otel_chat.server.api.parameters import (
    BucketParameter,
    FiltersParameter,
    StartedWindowParameter,
    StoreParameter,
    TimezoneParameter,
    Viewer,
    WindowParameter,
)
from otel_chat.server.api.security import own_router
from otel_chat.server.questions import choices as choices_queries
from otel_chat.server.questions import clear_changes as changes_queries
from otel_chat.server.questions import day_changes as days_queries
from otel_chat.server.questions import leaders as leaders_queries
from otel_chat.server.questions import overview as queries

router = own_router(tags=["overview"], responses=RESPONSES)


@router.get(
    "/overview",
    summary="Every headline figure, with its change",
    responses=examples.OVERVIEW_ANSWER,
)
def overview(
    store: StoreParameter, scope: Viewer, window: WindowParameter, filters: FiltersParameter
) -> queries.Overview:
    """Every headline figure of the window, beside those of the window before."""
    return queries.overview(store, scope, window, filters)


@router.get("/overview/series", summary="Every headline figure over time")
def series(
    store: StoreParameter,
    scope: Viewer,
    window: WindowParameter,
    filters: FiltersParameter,
    bucket: BucketParameter = None,
) -> queries.Series:
    """Every headline figure by bucket of time, the empty buckets among them."""
    return queries.series(store, scope, window, filters, bucket)


@router.get("/overview/changes", summary="What changed beyond chance")
def changes(
    store: StoreParameter, scope: Viewer, window: StartedWindowParameter, filters: FiltersParameter
) -> changes_queries.ClearChanges:
    """One sentence, and every figure that could be tested: clear or not, since when, and where."""
    return changes_queries.clear_changes(store, scope, window, filters)


@router.get("/overview/days", summary="Which days of which agents were unlike others")
def days(
    request: Request,
    store: StoreParameter,
    scope: Viewer,
    window: StartedWindowParameter,
    filters: FiltersParameter,
    timezone: TimezoneParameter = UTC_NAME,
) -> days_queries.DayChanges:
    """Each whole day of the window, at most 31, beside the eight weeks before it, by agent."""
    rate = request.app.state.settings.false_alarms
    return days_queries.day_changes(store, scope, window, filters, rate, timezone)


@router.get("/overview/leaders", summary="Top topics, user types, actions and intents")
def leaders(
    store: StoreParameter, scope: Viewer, window: WindowParameter, filters: FiltersParameter
) -> leaders_queries.Leaders:
    """What is most frequent in the window, beside the window before, and what moved containment."""
    return leaders_queries.leaders(store, scope, window, filters)


@router.get("/choices", summary="The values that can be filtered by")
def choices(
    store: StoreParameter, scope: Viewer, window: WindowParameter
) -> choices_queries.Choices:
    """The agents, channels, models and so on that occur in the window."""
    return choices_queries.choices(store, scope, window)
