"""The headline figures: what they are called, what they mean, how rows become them."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from otel_chat.semconv import OUTCOMES, SENDERS
from otel_chat.server.figures.answers import (
    Answer,
    Confidence,
    Cost,
    Distribution,
    Errors,
    Fallback,
    Tokens,
    exact_mean,
)
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
from otel_chat.server.figures.figures import SATISFIED
from otel_chat.server.figures.registry import every, figure


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
        "Settled conversations that ended resolved: as the application said, by a latest rating in"
        " the top boxes, or assumed where there is no sign either way.",
        version=2,
    )
    handed_off: int = figure(
        "handed_off_conversations",
        "{conversation}",
        "Settled conversations that were handed off and of which no other outcome was told.",
        version=2,
    )
    abandoned: int = figure(
        "abandoned_conversations",
        "{conversation}",
        "Settled conversations whose latest rating is in the bottom boxes; or whose last turn was"
        " a fallback, unsure or of negative sentiment; or that left a workflow open.",
        version=2,
    )
    failed: int = figure(
        "failed_conversations",
        "{conversation}",
        "Settled conversations whose last turn failed, or was cut off before any reply.",
        version=2,
    )
    open: int = figure(
        "open_conversations",
        "{conversation}",
        "Conversations that are not settled.",
        version=2,
    )


class Handoffs(Answer):
    """Handoffs to a human."""

    conversations: int = figure(
        "handoff_conversations",
        "{conversation}",
        "Settled conversations that were handed off: a turn or an event asked for a human, or the"
        " outcome handed_off was told. Once handed off, always.",
        version=2,
    )
    rate: float | None = HANDED_OFF.field()
    count: int = figure(
        "handoffs",
        "{handoff}",
        "Handoffs in settled conversations, each once: its request (a marked turn, or an event"
        " outside of it), its acceptance and its end are one.",
    )
    turns: int = figure("handoff_turns", "{turn}", "Turns that asked for a human.")


class ContainedParts(Answer):
    """What became of conversations that the bot kept to itself; the parts sum to all of them."""

    confirmed: int = figure(
        "contained_confirmed", "{conversation}", "Contained, and resolved by somebody's word."
    )
    assumed: int = figure(
        "contained_assumed", "{conversation}", "Contained, and resolved as no sign says otherwise."
    )
    abandoned: int = figure("contained_abandoned", "{conversation}", "Contained, and abandoned.")
    failed: int = figure("contained_failed", "{conversation}", "Contained, and failed.")


class Containment(Answer):
    """Conversations that the bot kept to itself."""

    rate: float | None = CONTAINED.field()
    count: int = figure(
        "contained_conversations", "{conversation}", "Settled conversations without a handoff."
    )
    settled: int = figure(
        "settled_conversations",
        "{conversation}",
        "Conversations with an explicit end or a told outcome and no activity after it, or without"
        " activity for the idle time (30 minutes, a setting). Activity is a turn, or a message of"
        " the user, the assistant or a human agent.",
        version=2,
    )
    parts: ContainedParts


class Resolution(Answer):
    """Conversations that came to what the user wanted, between two bounds."""

    low: float | None = RESOLVED_LOW.field()
    high: float | None = RESOLVED_HIGH.field()
    confirmed: int = figure(
        "confirmed_resolutions",
        "{conversation}",
        "Resolved conversations, by the application's own word or by their latest rating.",
        version=2,
    )
    assumed: int = figure(
        "assumed_resolutions",
        "{conversation}",
        "Settled conversations with no sign either way: no told outcome, handoff or telling"
        " rating, a last turn that went well, and no workflow left open.",
        version=2,
    )
    settled: int = Field(description="Settled conversations.")


class Engagement(Answer):
    """How much there was to the conversations."""

    score: float | None = ENGAGEMENT.field()
    turns: float | None = LENGTH.field()
    messages: float | None = LENGTH_IN_MESSAGES.field()
    duration: float | None = DURATION.field()


class Satisfaction(Answer):
    """The user feedback of the conversations that started in the window, whenever it was given."""

    mean: float | None = figure(
        "csat_ratio",
        "1",
        "Mean of (value - min) ÷ (max - min) over the user feedback of the conversations.",
        version=2,
    )
    top_share: float | None = SATISFIED.field()
    original_mean: float | None = figure(
        "csat_original_mean",
        "1",
        "Mean on the original scale; null where feedback came on several scales.",
    )
    count: int = figure(
        "ratings",
        "{rating}",
        "User feedback of the conversations. Under a filter that of a turn counts if the turn"
        " matches, that of a conversation if the conversation does.",
        version=2,
    )


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
        "response_time",
        "s",
        "Time from the user's message to the end of the reply, of answered turns: those that ended"
        " well with a reply, or were cancelled after its first part. Failed turns and turns"
        " without a reply are counted beside it.",
        version=2,
    )
    without_reply: int = figure(
        "turns_without_reply",
        "{turn}",
        "Turns that ended well with nothing to say (otel_chat.reply is false).",
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
    figures: dict[str, float | None] = Field(
        description="Every figure that is a share of conversations or a mean over them, by its"
        " name in `/api/v1/definitions`; null over none."
    )


Row = dict[str, Any]


def read_figures(turns: Row, conversations: Row, events: Row, threshold: float) -> dict[str, Any]:
    """The fields of `Figures` from the rows of its three sources; below the threshold is unsure."""
    senders = {sender: events.get(f"{sender}_messages", 0) for sender in SENDERS}
    senders["user"] += turns.get("turns", 0)
    senders["assistant"] += turns.get("replies", 0)
    count = conversations.get("conversations", 0)
    outcomes = {outcome: conversations.get(f"outcome_{outcome}", 0) for outcome in OUTCOMES}
    return {
        "conversations": count,
        "active_conversations": outcomes["open"],
        "turns": turns.get("turns", 0),
        "messages": sum(senders.values()),
        "messages_by_sender": MessagesBySender(**senders),
        "response_time": Distribution.read(turns, "response"),
        "without_reply": turns.get("without_reply", 0),
        "time_to_first_chunk": Distribution.read(turns, "first_chunk"),
        "tokens": Tokens.read(turns),
        "confidence": Confidence.read(turns, threshold),
        "fallback": Fallback.read(turns),
        "handoffs": Handoffs(
            conversations=conversations.get(HANDED_OFF.part, 0),
            rate=HANDED_OFF.read(conversations),
            count=conversations.get("handoffs_sum", 0),
            turns=turns.get("handoff_turns", 0),
        ),
        "errors": Errors.read(turns),
        "cost": Cost.read(turns),
        "outcomes": Outcomes(**outcomes),
        "containment": containment(conversations),
        "resolution": resolution(conversations),
        "engagement": _engagement(conversations),
        "satisfaction": _satisfaction(conversations),
        "figures": {one.name: one.read(conversations) for one in every(OfConversations)},
    }


def containment(row: Row) -> Containment:
    """The containment of a row of figures of conversations."""
    return Containment(
        rate=CONTAINED.read(row),
        count=row.get(CONTAINED.part, 0),
        settled=row.get(CONTAINED.whole, 0),
        parts=_contained_parts(row),
    )


def _contained_parts(row: Row) -> ContainedParts:
    confirmed = row.get("contained_confirmed", 0)
    return ContainedParts(
        confirmed=confirmed,
        assumed=row.get("contained_resolved", 0) - confirmed,
        abandoned=row.get("contained_abandoned", 0),
        failed=row.get("contained_failed", 0),
    )


def resolution(row: Row) -> Resolution:
    """The resolution of a row of figures of conversations."""
    confirmed = row.get(RESOLVED_LOW.part, 0)
    return Resolution(
        low=RESOLVED_LOW.read(row),
        high=RESOLVED_HIGH.read(row),
        confirmed=confirmed,
        assumed=row.get(RESOLVED_HIGH.part, 0) - confirmed,
        settled=row.get(RESOLVED_LOW.whole, 0),
    )


def _engagement(row: Row) -> Engagement:
    return Engagement(
        score=ENGAGEMENT.read(row),
        turns=LENGTH.read(row),
        messages=LENGTH_IN_MESSAGES.read(row),
        duration=DURATION.read(row),
    )


def _satisfaction(row: Row) -> Satisfaction:
    count = row.get("ratings", 0)
    return Satisfaction(
        mean=exact_mean(row.get("score_sum"), count),
        top_share=SATISFIED.read(row),
        original_mean=row.get("mean_value") if row.get("scales") == 1 else None,
        count=count,
    )
