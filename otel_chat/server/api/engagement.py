"""`/api/v1/engagement`, `/peak-hours` and `/leads`: how people use the bot, and what it brings."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path

from otel_chat._common.moments import UTC_NAME
from otel_chat.server.api import engagement_examples as examples
from otel_chat.server.api.errors import RESPONSES
from otel_chat.server.api.parameters import (
    BucketParameter,
    FiltersParameter,
    StoreParameter,
    TimezoneParameter,
    Viewer,
    WindowParameter,
)
from otel_chat.server.api.security import own_router
from otel_chat.server.questions import engagement as queries
from otel_chat.server.questions import hours
from otel_chat.server.questions import leads as lead_queries

router = own_router(tags=["engagement"], responses=RESPONSES)


@router.get(
    "/engagement",
    summary="Length, duration, returning users",
    responses=examples.ENGAGEMENT_ANSWER,
)
def engagement(
    store: StoreParameter, scope: Viewer, window: WindowParameter, filters: FiltersParameter
) -> queries.ConversationEngagement:
    """How long conversations are, how engaged, and who comes back."""
    return queries.engagement(store, scope, window, filters)


@router.get(
    "/engagement/{dimension}",
    summary="Conversations by page, device, channel and so on",
    responses=examples.SEGMENTS_ANSWER,
)
def segments(
    store: StoreParameter,
    scope: Viewer,
    window: WindowParameter,
    filters: FiltersParameter,
    dimension: Annotated[
        queries.Dimension,
        Path(description="Of a conversation's first turn; pages of all its turns and events."),
    ],
) -> queries.Segments:
    """Conversations by one dimension, with how they ended."""
    return queries.segments(store, scope, window, filters, dimension)


@router.get("/peak-hours", summary="By weekday and hour", responses=examples.PEAK_HOURS_ANSWER)
def peak_hours(
    store: StoreParameter,
    scope: Viewer,
    window: WindowParameter,
    filters: FiltersParameter,
    timezone: TimezoneParameter = UTC_NAME,
) -> hours.PeakHours:
    """When people write, in a time zone."""
    return hours.peak_hours(store, scope, window, filters, timezone)


@router.get("/leads", summary="Leads and conversion", responses=examples.LEADS_ANSWER)
def leads(
    store: StoreParameter,
    scope: Viewer,
    window: WindowParameter,
    filters: FiltersParameter,
    bucket: BucketParameter = None,
) -> lead_queries.Leads:
    """How many conversations make a lead: of which kind, where, and over time."""
    return lead_queries.leads(store, scope, window, filters, bucket)
