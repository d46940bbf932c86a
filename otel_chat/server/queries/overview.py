"""The overview: every headline figure of a window, and its change against the window before."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from pydantic import Field

from otel_chat.semconv import OUTCOMES, SENDERS
from otel_chat.server.queries.answers import (
    Answer,
    Confidence,
    Cost,
    Distribution,
    Errors,
    Fallback,
    TimeSpan,
    Tokens,
    exact_mean,
)
from otel_chat.server.queries.figures import (
    Grouping,
    by_bucket,
    by_period,
    conversation_figures,
    event_figures,
    turn_figures,
)
from otel_chat.server.queries.registry import figure, query
from otel_chat.server.queries.sql import Query, ratio
from otel_chat.server.queries.window import Bucket, Window

if TYPE_CHECKING:
    from otel_chat.server.store import Store

    from otel_chat.server.access import Scope
    from otel_chat.server.queries.filters import Filters


class MessagesBySender(Answer):
    """Messages by who sent them."""

    user: int = figure(
        "user_messages", "{message}", "One for each turn, and message events whose sender is user."
    )
    assistant: int = figure(
        "assistant_messages",
        "{message}",
        "One for each turn that replied (it did not fail and was not cancelled, or had begun its"
        " reply), and message events whose sender is assistant.",
    )
    system: int = figure("system_messages", "{message}", "Message events whose sender is system.")
    human: int = figure(
        "human_messages", "{message}", "Message events whose sender is a human agent."
    )


class Outcomes(Answer):
    """Conversations by outcome; the parts sum to all conversations."""

    resolved: int = figure(
        "resolved_conversations",
        "{conversation}",
        "Settled conversations that ended resolved: as the application said, by positive"
        " feedback, or assumed where nothing speaks against it.",
    )
    handed_off: int = figure(
        "handed_off_conversations",
        "{conversation}",
        "Settled conversations without an explicit outcome in which a human was asked for.",
    )
    abandoned: int = figure(
        "abandoned_conversations",
        "{conversation}",
        "Settled conversations that ended on a fallback, with negative feedback, or in the middle"
        " of a workflow.",
    )
    failed: int = figure(
        "failed_conversations",
        "{conversation}",
        "Settled conversations whose last turn ended in an error.",
    )
    open: int = figure(
        "open_conversations",
        "{conversation}",
        "Conversations without an explicit end whose last activity is less than the idle time"
        " ago (30 minutes, a setting).",
    )


class Handoffs(Answer):
    """Handoffs to a human."""

    conversations: int = figure(
        "handoff_conversations",
        "{conversation}",
        "Conversations with at least one handoff, asked for or done.",
    )
    rate: float | None = figure(
        "handoff_ratio", "1", "Conversations with at least one handoff ÷ conversations."
    )
    turns: int = figure("handoff_turns", "{turn}", "Turns that asked for a human.")


class Containment(Answer):
    """Conversations that the bot kept to itself."""

    rate: float | None = figure(
        "containment_ratio",
        "1",
        "Settled conversations without a handoff to a human ÷ settled conversations. Abandoned"
        " ones count as contained. Also called automation rate.",
    )
    count: int = figure(
        "contained_conversations", "{conversation}", "Settled conversations without a handoff."
    )
    settled: int = figure(
        "settled_conversations",
        "{conversation}",
        "Conversations with an explicit end, or idle for the idle time (30 minutes, a setting).",
    )


class Resolution(Answer):
    """Conversations that came to what the user wanted, between two bounds."""

    low: float | None = figure(
        "resolution_ratio_low", "1", "Confirmed resolutions ÷ settled conversations."
    )
    high: float | None = figure(
        "resolution_ratio_high", "1", "Confirmed and assumed resolutions ÷ settled conversations."
    )
    confirmed: int = figure(
        "confirmed_resolutions",
        "{conversation}",
        "Resolved conversations, by the application's own word or by positive feedback.",
    )
    assumed: int = figure(
        "assumed_resolutions",
        "{conversation}",
        "Settled conversations that nothing speaks against: no explicit outcome, handoff, error"
        " or feedback, no fallback at the end and no workflow left open.",
    )
    settled: int = Field(description="Settled conversations.")


class Engagement(Answer):
    """How much there was to the conversations."""

    score: float | None = figure(
        "engagement_score",
        "1",
        "Mean over conversations of 0-100 = 40·min(turns ÷ 10, 1) + 20·min(actions ÷ 3, 1) +"
        " 40·o, with o = 1 for resolved, 0.5 for open or handed_off, 0 for abandoned or failed.",
    )
    turns: float | None = figure("mean_length_turns", "{turn}", "Turns ÷ conversations.")
    messages: float | None = figure(
        "mean_length_messages", "{message}", "Messages of all senders ÷ conversations."
    )
    duration: float | None = figure(
        "mean_conversation_duration",
        "s",
        "Mean time from a conversation's first turn to its last activity.",
    )


class Satisfaction(Answer):
    """User feedback, by the time at which it was given."""

    mean: float | None = figure(
        "csat_ratio", "1", "Mean of (value - min) ÷ (max - min) over all user feedback."
    )
    top_share: float | None = figure(
        "csat_top_ratio",
        "1",
        "Feedback in the top two boxes ÷ all feedback; the top box of a scale of fewer than four,"
        " the top quarter of a scale of more than eleven.",
    )
    original_mean: float | None = figure(
        "csat_original_mean",
        "1",
        "Mean on the original scale; null where feedback came on several scales.",
    )
    count: int = figure("ratings", "{rating}", "Feedback given.")


class Figures(Answer):
    """Every headline figure of a span of time."""

    conversations: int = figure(
        "conversations",
        "{conversation}",
        "Conversations whose first turn started in the window. A conversation is one id in one"
        " tenant with at least one turn.",
    )
    active_conversations: int = figure(
        "active_conversations",
        "{conversation}",
        "Conversations of the window that are open as of now.",
    )
    turns: int = figure(
        "turns",
        "{turn}",
        "User messages and the replies to them that started in the window; root spans of other"
        " instrumentations that carry a conversation id among them.",
    )
    messages: int = figure("messages", "{message}", "Messages of all senders in the window.")
    messages_by_sender: MessagesBySender
    response_time: Distribution = figure(
        "response_time", "s", "Time from the user's message to the end of the reply, of each turn."
    )
    time_to_first_chunk: Distribution = figure(
        "time_to_first_chunk",
        "s",
        "Time from the user's message to the first part of a streamed reply.",
    )
    tokens: Tokens
    confidence: Confidence
    fallback: Fallback
    handoffs: Handoffs
    errors: Errors
    cost: Cost
    outcomes: Outcomes
    containment: Containment
    resolution: Resolution
    engagement: Engagement
    satisfaction: Satisfaction


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


Row = dict[str, Any]


def _figures(turns: Row, conversations: Row, events: Row) -> dict[str, Any]:
    """The fields of `Figures` from the rows of its three sources."""
    senders = {sender: events.get(f"{sender}_messages", 0) for sender in SENDERS}
    senders["user"] += turns.get("turns", 0)
    senders["assistant"] += turns.get("replies", 0)
    count = conversations.get("conversations", 0)
    outcomes = {outcome: conversations.get(f"outcome_{outcome}", 0) for outcome in OUTCOMES}
    handoffs = conversations.get("handoffs", 0)
    return {
        "conversations": count,
        "active_conversations": outcomes["open"],
        "turns": turns.get("turns", 0),
        "messages": sum(senders.values()),
        "messages_by_sender": MessagesBySender(**senders),
        "response_time": Distribution.read(turns, "duration"),
        "time_to_first_chunk": Distribution.read(turns, "first_chunk"),
        "tokens": Tokens.read(turns),
        "confidence": Confidence.read(turns),
        "fallback": Fallback.read(turns),
        "handoffs": Handoffs(
            conversations=handoffs,
            rate=ratio(handoffs, count),
            turns=turns.get("handoff_turns", 0),
        ),
        "errors": Errors.read(turns),
        "cost": Cost.read(turns),
        "outcomes": Outcomes(**outcomes),
        "containment": containment(conversations),
        "resolution": resolution(conversations),
        "engagement": _engagement(conversations),
        "satisfaction": _satisfaction(events),
    }


def containment(row: Row) -> Containment:
    """The containment of a row of figures of conversations."""
    settled, contained = row.get("settled_n", 0), row.get("contained", 0)
    return Containment(rate=ratio(contained, settled), count=contained, settled=settled)


def resolution(row: Row) -> Resolution:
    """The resolution of a row of figures of conversations."""
    settled, resolved = row.get("settled_n", 0), row.get("outcome_resolved", 0)
    confirmed = row.get("confirmed_n", 0)
    return Resolution(
        low=ratio(confirmed, settled),
        high=ratio(resolved, settled),
        confirmed=confirmed,
        assumed=resolved - confirmed,
        settled=settled,
    )


def _engagement(row: Row) -> Engagement:
    count = row.get("conversations", 0)
    score = ratio(row.get("engagement_sum"), count)
    return Engagement(
        score=None if score is None else score / 3,
        turns=ratio(row.get("turns_sum"), count),
        messages=ratio(row.get("messages_sum"), count),
        duration=exact_mean(row.get("duration_sum"), count),
    )


def _satisfaction(row: Row) -> Satisfaction:
    count = row.get("ratings", 0)
    return Satisfaction(
        mean=exact_mean(row.get("score_sum"), count),
        top_share=ratio(row.get("top_ratings"), count),
        original_mean=row.get("mean_value") if row.get("scales") == 1 else None,
        count=count,
    )


def _parts(
    query: Query, window: Window, filters: Filters, grouping: Grouping
) -> dict[Any, dict[str, Any]]:
    turns = turn_figures(query, window, filters, grouping)
    conversations = conversation_figures(query, window, filters, grouping)
    events = event_figures(query, window, filters, grouping)
    return {
        part: _figures(turns.get(part, {}), conversations.get(part, {}), events.get(part, {}))
        for part in {*turns, *conversations, *events}
    }


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


@query()
def overview(store: Store, scope: Scope, window: Window, filters: Filters) -> Overview:
    """Every headline figure of the window, and its change against the window before.

    Args:
        store: The store to ask.
        scope: What the caller may see.
        window: The time that the figures cover.
        filters: What they are limited to.
    """
    both = _parts(Query(store, scope), window.with_previous(), filters, by_period(window))
    empty = _figures({}, {}, {})
    current, previous = Figures(**both.get(1, empty)), Figures(**both.get(0, empty))
    before = _headlines(previous)
    return Overview(
        **both.get(1, empty),
        window=TimeSpan.of(window),
        previous_window=TimeSpan.of(window.previous()),
        previous=previous,
        changes={name: _change(value, before[name]) for name, value in _headlines(current).items()},
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
    starts = window.bucket_starts(width)
    parts = _parts(Query(store, scope), window, filters, by_bucket(window, width))
    empty = _figures({}, {}, {})
    return Series(
        window=TimeSpan.of(window),
        bucket=width,
        points=[
            Point(start=start, **parts.get(index, empty)) for index, start in enumerate(starts)
        ],
    )
