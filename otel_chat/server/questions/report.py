"""The report: what a week was like, beside the week before."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import Field

from otel_chat._common.moments import UTC_NAME, zone_of
from otel_chat.server.figures.answers import Answer, TimeSpan
from otel_chat.server.figures.conversation_figures import (
    CONTAINED,
    DURATION,
    ENGAGEMENT,
    HANDED_OFF,
    LENGTH,
    LENGTH_IN_MESSAGES,
    RESOLVED_HIGH,
    RESOLVED_LOW,
    OfConversations,
)
from otel_chat.server.figures.registry import every, figure, query
from otel_chat.server.figures.sql import Query, ratio
from otel_chat.server.figures.window import Bucket, Window
from otel_chat.server.questions.hours import DAYS, HOURS, turns_by_hour
from otel_chat.server.questions.leaders import (
    TOPIC,
    USER_TYPE,
    conversations_by_name,
    now_and_before,
)
from otel_chat.server.questions.overview import Change, Overview, Point, overview_and_series

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_chat.server.access import Scope
    from otel_chat.server.figures.filters import Filters
    from otel_chat.server.questions.headlines import Figures
    from otel_chat.server.questions.leaders import Counted
    from otel_chat.server.store import Store

LISTED: Final = 10
PEAKS: Final = 3
SHORT: Final = timedelta(days=3)
Unit = Literal["count", "number", "s", "ratio", "score", "USD"]


class Line(Change):
    """A figure, and how it moved."""

    name: str = Field(description="The figure's name, unique in its section.")
    label: str = Field(description="What to call it for people.")
    unit: Unit


class Section(Answer):
    """Figures that belong together."""

    name: Literal["sessions", "messages", "performance", "satisfaction", "usage"]
    label: str
    lines: list[Line]


class Ranked(Answer):
    """Something that conversations have in common, and how often."""

    name: str
    conversations: int
    share: float | None
    previous: int = Field(description="Conversations in the period before.")


class Peak(Answer):
    """A busy hour of the day."""

    hour: int = Field(ge=0, le=23)
    turns: int
    share: float | None = Field(description="Of all turns.")


class Hours(Answer):
    """When the turns started."""

    timezone: str
    weekdays: list[list[int]] = figure(
        "turns_by_hour",
        "{turn}",
        "Turns by weekday, Monday first, and by hour, 0 to 23, of their start in the time zone.",
    )
    hours: list[int] = Field(description="Turns by hour of the day, over all weekdays.")
    peaks: list[Peak] = Field(description=f"The {PEAKS} busiest hours of the day.")


class Report(Answer):
    """What a span of time was like, beside the one of the same length before."""

    window: TimeSpan
    previous_window: TimeSpan
    sections: list[Section]
    top_topics: list[Ranked] = Field(description="By conversations; share of those with a topic.")
    common_issues: list[Ranked] = Field(
        description="Topics of settled conversations that did not end resolved; share of the"
        " conversations with the topic."
    )
    user_types: list[Ranked] = Field(description="By conversations; share of all of them.")
    hours: Hours
    over_time: list[Point] = Field(description="The figures by day; by hour up to three days.")


def _line(name: str, label: str, unit: Unit, value: float | None, previous: float | None) -> Line:
    difference = None if value is None or previous is None else value - previous
    return Line(
        name=name,
        label=label,
        unit=unit,
        value=value,
        previous=previous,
        difference=difference,
        relative=difference / previous if difference is not None and previous else None,
    )


_Named = list[tuple[str, str, Unit, float | None]]
_NAMED: Final = (
    RESOLVED_LOW, RESOLVED_HIGH, CONTAINED, HANDED_OFF, ENGAGEMENT, LENGTH, LENGTH_IN_MESSAGES,
    DURATION,
)  # fmt: skip
"""What has a line of another name."""
_UNITS: Final[dict[str, Unit]] = {"1": "ratio", "s": "s", "USD": "USD"}


def _sessions(found: Figures) -> _Named:
    return [
        ("total", "Conversations", "count", found.conversations),
        ("active", "Open", "count", found.active_conversations),
        ("closed", "Settled", "count", found.conversations - found.active_conversations),
        ("turns", "Turns per conversation", "number", found.engagement.turns),
        ("duration", "Mean duration", "s", found.engagement.duration),
    ]


def _messages(found: Figures) -> _Named:
    sent = found.messages_by_sender
    return [
        ("total", "Messages", "count", found.messages),
        ("user", "From users", "count", sent.user),
        ("assistant", "From the assistant", "count", sent.assistant),
        ("system", "From the system", "count", sent.system),
        ("human", "From human agents", "count", sent.human),
        ("per_conversation", "Messages per conversation", "number", found.engagement.messages),
    ]


def _performance(found: Figures) -> _Named:
    return [
        ("response_time", "Mean response time", "s", found.response_time.mean),
        ("response_time_p95", "Response time, 95 %", "s", found.response_time.p95),
        ("resolution_low", "Resolution, confirmed", "ratio", found.resolution.low),
        ("resolution_high", "Resolution, with assumed", "ratio", found.resolution.high),
        ("containment", "Containment", "ratio", found.containment.rate),
        ("handoff", "Handed off to a human", "ratio", found.handoffs.rate),
        ("fallback", "Fallbacks", "ratio", found.fallback.rate),
        ("errors", "Failed turns", "ratio", found.errors.rate),
        ("engagement", "Engagement score", "number", found.engagement.score),
        *(
            (one.name, one.label, _UNITS.get(one.unit, "number"), found.figures[one.name])
            for one in every(OfConversations)
            if one not in _NAMED
        ),
    ]


def _satisfaction(found: Figures) -> _Named:
    return [
        ("rating", "Mean rating, as given", "score", found.satisfaction.original_mean),
        ("mean", "Mean rating, of 1", "score", found.satisfaction.mean),
        ("top_share", "In the top two boxes", "ratio", found.satisfaction.top_share),
        ("count", "Ratings", "count", found.satisfaction.count),
    ]


def _usage(found: Figures) -> _Named:
    cost = found.cost.amount
    return [
        ("tokens", "Tokens", "count", found.tokens.total),
        ("cost", "Cost of models", "USD", None if cost is None else float(cost)),
        ("unpriced", "Turns without a known price", "count", found.cost.unpriced_turns),
    ]


def _sections(found: Overview) -> list[Section]:
    parts: list[Section] = []
    for name, label, read in (
        ("sessions", "Conversations", _sessions),
        ("messages", "Messages", _messages),
        ("performance", "Performance", _performance),
        ("satisfaction", "Ratings", _satisfaction),
        ("usage", "Tokens and cost", _usage),
    ):
        pairs = zip(read(found), read(found.previous), strict=True)
        lines = [
            _line(key, text, unit, value, before[-1]) for (key, text, unit, value), before in pairs
        ]
        parts.append(Section.model_validate({"name": name, "label": label, "lines": lines}))
    return parts


def _ranked(counts: Counted, share: Callable[[str, int], float | None]) -> list[Ranked]:
    worst = sorted(counts.items(), key=lambda one: (-one[1][0], one[0]))
    return [
        Ranked(name=name, conversations=now, share=share(name, now), previous=before)
        for name, (now, before) in worst[:LISTED]
        if now
    ]


def _top(rows: list[dict[str, Any]]) -> list[Ranked]:
    topics = now_and_before(rows)
    whole, _ = topics.pop("", (0, 0))
    return _ranked(topics, lambda _, count: ratio(count, whole))


def _issues(rows: list[dict[str, Any]]) -> list[Ranked]:
    topics = now_and_before(rows)
    unresolved = now_and_before(rows, "unresolved")
    unresolved.pop("", None)
    return _ranked(unresolved, lambda name, count: ratio(count, topics[name][0]))


def _user_types(rows: list[dict[str, Any]]) -> list[Ranked]:
    types = now_and_before(rows)
    whole = sum(now for now, _ in types.values())
    return _ranked(types, lambda _, count: ratio(count, whole))


def _hours(statement: Query, window: Window, filters: Filters, timezone: str) -> Hours:
    grid = turns_by_hour(statement, window, filters, timezone)
    weekdays = [
        [grid[day, hour]["turns"] if (day, hour) in grid else 0 for hour in range(HOURS)]
        for day in range(DAYS)
    ]
    hours = [sum(day[hour] for day in weekdays) for hour in range(HOURS)]
    busiest = sorted(range(HOURS), key=lambda hour: (-hours[hour], hour))[:PEAKS]
    return Hours(
        timezone=timezone,
        weekdays=weekdays,
        hours=hours,
        peaks=[
            Peak(hour=hour, turns=hours[hour], share=ratio(hours[hour], sum(hours)))
            for hour in busiest
            if hours[hour]
        ],
    )


@query()
def report(
    store: Store, scope: Scope, window: Window, filters: Filters, timezone: str = UTC_NAME
) -> Report:
    """What the window was like, beside the one before.

    Args:
        store: The store to ask.
        scope: What the caller may see.
        window: The time that the report covers.
        filters: What it is limited to.
        timezone: The time zone of the hours of the day, as Europe/Berlin.

    Raises:
        QueryError: If there is no such time zone.
    """
    zone_of(timezone)
    width: Bucket = (
        "1h" if window.length <= SHORT else "1d" if window.length <= SHORT * 120 else "1w"
    )
    hours = store.submit(_hours, Query(store, scope), window, filters, timezone)
    names_asked = store.submit(
        conversations_by_name, Query(store, scope), window, filters, {USER_TYPE: "user_type"}
    )
    found, course = overview_and_series(store, scope, window, filters, width)
    names = names_asked.result()
    return Report(
        window=TimeSpan.of(window),
        previous_window=TimeSpan.of(window.previous()),
        sections=_sections(found),
        top_topics=_top(names[TOPIC]),
        common_issues=_issues(names[TOPIC]),
        user_types=_user_types(names[USER_TYPE]),
        hours=hours.result(),
        over_time=course.points,
    )
