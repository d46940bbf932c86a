"""The overview: every headline figure of a window, and its change against the window before."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from pydantic import Field

from otel_chat.server.figures.answers import Answer, TimeSpan
from otel_chat.server.figures.figures import (
    BEFORE,
    WHOLE,
    by_bucket,
    by_bucket_and_whole,
    by_period,
    conversation_figures,
    event_figures,
    turn_figures,
)
from otel_chat.server.figures.registry import query
from otel_chat.server.figures.sql import Query
from otel_chat.server.figures.window import Bucket, Window
from otel_chat.server.questions.headlines import Figures, read_figures

if TYPE_CHECKING:
    from otel_chat.server.access import Scope
    from otel_chat.server.figures.filters import Filters
    from otel_chat.server.figures.sums import Grouping
    from otel_chat.server.store import Store


class Change(Answer):
    """How a figure moved against the window before."""

    value: float | None = Field(description="The figure in this window.")
    previous: float | None = Field(description="The figure in the window before.")
    difference: float | None = Field(description="This less the one before.")
    relative: float | None = Field(
        description="The difference ÷ the figure before; null where that is 0 or null."
    )


class Overview(Figures):
    """Every headline figure of a window, and of the window before."""

    window: TimeSpan
    previous_window: TimeSpan
    previous: Figures = Field(description="The same figures in the window before.")
    changes: dict[str, Change] = Field(
        description="The headline figures beside those of the window before."
    )


class Point(Figures):
    """The figures of one bucket of time."""

    start: datetime = Field(description="The start of the bucket, UTC.")


class Series(Answer):
    """Every headline figure over time."""

    window: TimeSpan
    bucket: Bucket = Field(description="The length of a bucket; the outer two may be cut off.")
    points: list[Point] = Field(description="All buckets in order, the empty ones among them.")


def _parts(
    store: Store, scope: Scope, window: Window, filters: Filters, grouping: Grouping
) -> dict[Any, dict[str, Any]]:
    asked = (window, filters, grouping)
    of_turns = store.submit(turn_figures, Query(store, scope), *asked)
    of_events = store.submit(event_figures, Query(store, scope), *asked)
    conversations = conversation_figures(Query(store, scope), *asked)
    turns, events = of_turns.result(), of_events.result()
    threshold = store.rules.low_confidence
    nothing = partial(read_figures, {}, {}, {}, threshold)
    found: defaultdict[Any, dict[str, Any]] = defaultdict(nothing)
    for part in {*turns, *conversations, *events}:
        found[part] = read_figures(
            turns.get(part, {}), conversations.get(part, {}), events.get(part, {}), threshold
        )
    return found


def _headlines(figures: Figures) -> dict[str, float | None]:
    cost = figures.cost.amount
    return {
        "conversations": figures.conversations,
        "active_conversations": figures.active_conversations,
        "turns": figures.turns,
        "messages": figures.messages,
        "response_time": figures.response_time.mean,
        "response_time_p95": figures.response_time.p95,
        "time_to_first_chunk": figures.time_to_first_chunk.mean,
        "tokens": figures.tokens.total,
        "cost": None if cost is None else float(cost),
        "confidence": figures.confidence.mean,
        "low_confidence": figures.confidence.low_rate,
        "fallback": figures.fallback.rate,
        "handoffs": figures.handoffs.rate,
        "errors": figures.errors.rate,
        "containment": figures.containment.rate,
        "resolution_low": figures.resolution.low,
        "resolution_high": figures.resolution.high,
        "engagement": figures.engagement.score,
        "satisfaction": figures.satisfaction.mean,
    }


def _change(value: float | None, previous: float | None) -> Change:
    difference = None if value is None or previous is None else value - previous
    relative = difference / previous if difference is not None and previous else None
    return Change(value=value, previous=previous, difference=difference, relative=relative)


def changes(current: Figures, previous: Figures) -> dict[str, Change]:
    """The headline figures beside those of the window before."""
    before = _headlines(previous)
    return {name: _change(value, before[name]) for name, value in _headlines(current).items()}


@query()
def overview(store: Store, scope: Scope, window: Window, filters: Filters) -> Overview:
    """Every headline figure of the window, and its change against the window before.

    Args:
        store: The store to ask.
        scope: What the caller may see.
        window: The time that the figures cover.
        filters: What they are limited to.
    """
    both = _parts(store, scope, window.with_previous(), filters, by_period(window))
    return _compared(window, both[1], both[0])


def _compared(window: Window, found: dict[str, Any], before: dict[str, Any]) -> Overview:
    current, previous = Figures(**found), Figures(**before)
    return Overview(
        **found,
        window=TimeSpan.of(window),
        previous_window=TimeSpan.of(window.previous()),
        previous=previous,
        changes=changes(current, previous),
    )


@query()
def series(
    store: Store, scope: Scope, window: Window, filters: Filters, bucket: Bucket | None = None
) -> Series:
    """Every headline figure over time.

    Args:
        store: The store to ask.
        scope: What the caller may see.
        window: The time that the figures cover.
        filters: What they are limited to.
        bucket: The length of a bucket; one that suits the window without.

    Raises:
        QueryError: If there would be more than a thousand points.
    """
    width = bucket or window.bucket()
    parts = _parts(store, scope, window, filters, by_bucket(window, width))
    return _course(window, width, parts)


def _course(window: Window, width: Bucket, parts: dict[Any, dict[str, Any]]) -> Series:
    return Series(
        window=TimeSpan.of(window),
        bucket=width,
        points=[
            Point(start=start, **parts[index])
            for index, start in enumerate(window.bucket_starts(width))
        ],
    )


@query()
def overview_and_series(
    store: Store, scope: Scope, window: Window, filters: Filters, bucket: Bucket | None = None
) -> tuple[Overview, Series]:
    """What `overview` and `series` say, asked at once, which takes less than one after the other.

    Args:
        store: The store to ask.
        scope: What the caller may see.
        window: The time that the figures cover.
        filters: What they are limited to.
        bucket: The length of a bucket; one that suits the window without.

    Raises:
        QueryError: If there would be more than a thousand points.
    """
    width = bucket or window.bucket()
    grouping = by_bucket_and_whole(window, width)
    parts = _parts(store, scope, window.with_previous(), filters, grouping)
    whole, before = (parts[part] for part in (WHOLE, BEFORE))
    return _compared(window, whole, before), _course(window, width, parts)
