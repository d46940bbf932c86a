"""Example answers for the API's description, made by the code that makes the real ones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from pydantic import BaseModel

from otel_chat._common.moments import nanoseconds
from otel_chat.server.figures.answers import Distribution, TimeSpan
from otel_chat.server.figures.window import Window
from otel_chat.server.questions.business import Business, HandoffFigures, HandoffReason, Savings
from otel_chat.server.questions.conversation import Action, Conversation, Event
from otel_chat.server.questions.conversations import Conversations, summary
from otel_chat.server.questions.headlines import Figures, containment, read_figures, resolution
from otel_chat.server.questions.interactions import Interactions
from otel_chat.server.questions.overview import Overview, changes
from otel_chat.server.questions.split import TimeSplit
from otel_chat.server.questions.traces import Span, Trace
from otel_chat.server.questions.turns import Turn, TurnHandoff, TurnIntent, TurnTokens

NOON: Final = datetime(2026, 11, 20, 12, tzinfo=UTC)
WINDOW: Final = Window.last("7d", now=NOON)
TRACE_ID: Final = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN_ID: Final = "00f067aa0ba902b7"


def shown(answer: BaseModel, description: str = "Successful response") -> dict[int | str, Any]:
    """The description of a route's answer, with an example.

    Args:
        answer: An answer as the route gives it.
        description: What it is.
    """
    example = answer.model_dump(mode="json", by_alias=True)
    return {
        200: {"description": description, "content": {"application/json": {"example": example}}}
    }


TURNS: Final[dict[str, Any]] = {
    "turns": 412,
    "replies": 405,
    "without_reply": 3,
    "response_n": 405,
    "response_mean": 1.42,
    "response_q": [1.1, 3.9, 6.2],
    "first_chunk_n": 300,
    "first_chunk_mean": 0.38,
    "first_chunk_q": [0.31, 0.9, 1.4],
    "confidence_n": 380,
    "confidence_mean": 0.84,
    "low_confidence": 57,
    "classified": 390,
    "fallbacks": 21,
    "handoff_turns": 12,
    "errors": 4,
    "sum_input_tokens": 201_340,
    "sum_output_tokens": 48_220,
    "sum_cache_read_tokens": 90_112,
    "sum_reasoning_tokens": None,
    "token_turns": 398,
    "sum_cost": Decimal("0.742190000"),
    "priced_turns": 398,
    "unpriced_turns": 0,
}
CONVERSATIONS: Final[dict[str, Any]] = {
    "conversations": 96,
    "outcome_resolved": 70,
    "outcome_handed_off": 11,
    "outcome_abandoned": 9,
    "outcome_failed": 2,
    "outcome_open": 4,
    "settled_n": 92,
    "resolution_ratio_low_n": 31,
    "resolution_ratio_high_n": 70,
    "handoff_ratio_n": 11,
    "abandonment_ratio_n": 9,
    "handoffs_sum": 12,
    "containment_ratio_n": 81,
    "contained_confirmed": 31,
    "contained_resolved": 66,
    "contained_abandoned": 13,
    "contained_failed": 2,
    "settled_cost": Decimal("0.715000000"),
    "engagement_score_sum": 96 * 3 * 62,
    "mean_length_turns_sum": 412,
    "mean_length_messages_sum": 840,
    "mean_conversation_duration_sum": 96 * 214_000_000_000,
}
EVENTS: Final[dict[str, Any]] = {
    "user_messages": 0,
    "assistant_messages": 0,
    "system_messages": 9,
    "human_messages": 14,
    "ratings": 40,
    "score_sum": 31_000_000_000,
    "top_ratings": 29,
    "mean_value": 4.1,
    "scales": 1,
}


def _overview() -> Overview:
    figures = read_figures(TURNS, CONVERSATIONS, EVENTS, 0.7)
    before = read_figures(
        TURNS | {"turns": 380}, CONVERSATIONS | {"conversations": 90}, EVENTS, 0.7
    )
    return Overview(
        **figures,
        window=TimeSpan.of(WINDOW),
        previous_window=TimeSpan.of(WINDOW.previous()),
        previous=Figures(**before),
        changes=changes(Figures(**figures), Figures(**before)),
    )


SUMMARY: Final = summary(
    {
        "conversation_id": "chat-7f3a",
        "tenant": "default",
        "agent": "support",
        "agent_version": "2.1",
        "variant": "",
        "channel": "web",
        "user_type": "client",
        "platform": "ios",
        "location": "",
        "started_ns": nanoseconds(NOON),
        "last_ns": nanoseconds(NOON) + 96_000_000_000,
        "turns": 1,
        "replies": 1,
        "user_messages": 0,
        "assistant_messages": 0,
        "system_messages": 0,
        "human_messages": 0,
        "outcome": "resolved",
        "confirmed": True,
        "settled": True,
        "ended": True,
        "end_reason": "user said goodbye",
        "handed_off": False,
        "intents": ["order_status"],
        "last_intent": "order_status",
        "models": ["gpt-4o-mini"],
        "input_tokens": 512,
        "output_tokens": 64,
        "cost": Decimal("0.001200000"),
        "responses": 1,
        "response_sum": 1_400_000_000,
        "errors": 0,
        "fallbacks": 0,
        "actions": 1,
        "engagement": 152,
        "positive": 1,
        "negative": 0,
        "foreign": False,
        "user_agent": "",
        "referrer": "https://shop.example/help",
        "last_sentiment": "neutral",
        "entities": ["order_id"],
        "converted": False,
        "lead_kinds": [],
        "routes": ["/chat"],
        "statuses": [200],
        "turns_erased": False,
    }
    # To read a real user agent would load a thousand patterns whenever a server starts.
).model_copy(update={"device": "Desktop", "os": "Linux", "browser": "Firefox"})
TURN: Final = Turn(
    id=f"{TRACE_ID}-{SPAN_ID}",
    conversation_id="chat-7f3a",
    tenant="default",
    index=1,
    trace_id=TRACE_ID,
    span_id=SPAN_ID,
    start=NOON,
    duration=1.4,
    time_to_first_chunk=0.4,
    status="ok",
    error_type="",
    agent="support",
    agent_version="2.1",
    variant="",
    channel="web",
    user_type="client",
    user_message="Where is my order?",
    reply="It left our warehouse this morning.",
    intent="order_status",
    intents=[
        TurnIntent(
            name="order_status", confidence=0.93, source="classifier", success=True, fallback=False
        )
    ],
    confidence=0.93,
    fallback=False,
    sentiment="neutral",
    model="gpt-4o-mini",
    provider="openai",
    tokens=TurnTokens(input=512, output=64, cache_read=0, reasoning=None),
    cost=Decimal("0.001200000"),
    cost_source="local",
    prompt="greeting",
    prompt_version="7",
    message_type="text",
    context_size=512,
    cached=False,
    handoff=TurnHandoff(triggered=False, reason="", target=""),
    metadata=None,
    kept=True,
    foreign=False,
)
EVENT: Final = Event(
    name="otel_chat.conversation.end",
    time=NOON + timedelta(seconds=96),
    trace_id="",
    span_id="",
    turn_span_id=None,
    details={"agent": "support", "outcome": "resolved", "reason": "user said goodbye"},
    text=None,
)
SPAN: Final = Span(
    span_id=SPAN_ID,
    parent_span_id="",
    name="invoke_agent support",
    kind="internal",
    operation="invoke_agent",
    turn=True,
    start=NOON,
    offset=0.0,
    duration=1.4,
    status="ok",
    error_type="",
    depth=0,
    attributes={"gen_ai.agent.name": "support", "otel_chat.intent.name": "order_status"},
)
BUSINESS: Final = Business(
    window=TimeSpan.of(WINDOW),
    conversations=96,
    containment=containment(CONVERSATIONS),
    resolution=resolution(CONVERSATIONS),
    handoffs=HandoffFigures(
        conversations=12,
        rate=0.125,
        reasons=[HandoffReason(reason="low_confidence", conversations=9)],
        wait=Distribution(mean=41.0, p50=35.0, p95=88.0, p99=95.0, count=11),
    ),
    cost=Figures(**read_figures(TURNS, CONVERSATIONS, EVENTS, 0.7)).cost,
    cost_per_conversation=Decimal("0.007731146"),
    savings=Savings(
        cost_per_interaction=Decimal("5.0"),
        low=Decimal("154.285"),
        high=Decimal("404.285"),
        gross=Decimal("405.0"),
        model_cost=Decimal("0.715"),
    ),
)

OVERVIEW_ANSWER: Final = shown(_overview())
CONVERSATIONS_ANSWER: Final = shown(
    Conversations(
        window=TimeSpan.of(WINDOW), items=[SUMMARY], next_cursor="WzE3NjM2MzY0MDAsImEiLCJjIl0"
    )
)
TIMES: Final = TimeSplit(span_id=SPAN_ID, duration=1.2, model=0.8, retrieval=0.0, tool=0.3, own=0.1)
CONVERSATION_ANSWER: Final = shown(
    Conversation(
        summary=SUMMARY,
        pages_visited=["/help", "/cart"],
        actions=[
            Action(time=NOON, type="link_click", data={"url": "https://shop.example/returns"})
        ],
        turns=[TURN],
        events=[EVENT],
        times=[TIMES],
        next_cursor=None,
    )
)
TRACE_ANSWER: Final = shown(
    Trace(
        trace_id=TRACE_ID,
        tenant="default",
        conversation_id="chat-7f3a",
        turn_span_id=SPAN_ID,
        spans=[SPAN],
        times=[TIMES],
    )
)
INTERACTIONS_ANSWER: Final = shown(
    Interactions(window=TimeSpan.of(WINDOW), items=[TURN], next_cursor=None)
)
INTERACTION_ANSWER: Final = shown(TURN)
BUSINESS_ANSWER: Final = shown(BUSINESS)
