"""For applications that come from a tracker of their own: the same calls, the same telemetry."""

from __future__ import annotations

from otel_chat.trackers.analytics import AnalyticsTracker, Saving, engagement_score
from otel_chat.trackers.events import AnalyticsEvent, EventType
from otel_chat.trackers.tracker import EventTracker

__all__ = [
    "AnalyticsEvent",
    "AnalyticsTracker",
    "EventTracker",
    "EventType",
    "Saving",
    "engagement_score",
]
