"""The events that `EventTracker` takes: one class, and the kinds it may be of."""

from __future__ import annotations

import uuid
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any


class EventType(StrEnum):
    """What an event is about."""

    CONVERSATION_START = "conversation_start"
    CONVERSATION_END = "conversation_end"
    USER_MESSAGE = "user_message"
    BOT_RESPONSE = "bot_response"
    INTENT_CLASSIFIED = "intent_classified"
    ENTITY_EXTRACTED = "entity_extracted"
    WORKFLOW_STARTED = "workflow_started"
    WORKFLOW_COMPLETED = "workflow_completed"
    WORKFLOW_FAILED = "workflow_failed"
    API_CALL = "api_call"
    ERROR = "error"
    USER_FEEDBACK = "user_feedback"
    CUSTOM = "custom"


@dataclass(kw_only=True)
class AnalyticsEvent:
    """One event of a session.

    Args:
        event_type: An `EventType` or its value.
        session_id: The session, which is the conversation.
        event_id: Unique; a store may tell a repetition by it.
        timestamp: When it happened; naive stands for UTC.
        user_id: Leaves the process only as a keyed hash, where a key is configured.
        agent_id: The agent.
        data: What belongs to the kind of event, see `EventTracker`; and anything JSON can hold.
        channel: web, mobile, voice.
        platform: ios, android, web.
        location: As given.
        duration_ms: How long it took, milliseconds.
        response_time_ms: Of a bot's response: since the user's message, milliseconds.
        confidence: 0 to 1.
        sentiment: positive, neutral or negative.

    Raises:
        ValueError: there is no such kind of event.

    Example:
        >>> event = AnalyticsEvent(event_type="intent_classified", session_id="s-1",
        ...                        data={"intent": "order_status"}, confidence=0.93)
        >>> event.event_type is EventType.INTENT_CLASSIFIED
        True
    """

    event_type: EventType
    session_id: str
    event_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    timestamp: datetime = field(default_factory=lambda: datetime.now(UTC))
    user_id: str | None = None
    agent_id: str | None = None
    data: dict[str, Any] = field(default_factory=dict)
    channel: str | None = None
    platform: str | None = None
    location: str | None = None
    duration_ms: int | None = None
    response_time_ms: int | None = None
    confidence: float | None = None
    sentiment: str | None = None

    def __post_init__(self) -> None:
        self.event_type = EventType(self.event_type)

    def to_dict(self) -> dict[str, Any]:
        """The event as JSON can hold it.

        Example:
            >>> event = AnalyticsEvent(event_type=EventType.CUSTOM, session_id="s-1")
            >>> event.to_dict()["event_type"]
            'custom'
        """
        return {
            **asdict(self),
            "event_type": self.event_type.value,
            "timestamp": self.timestamp.isoformat(),
        }
