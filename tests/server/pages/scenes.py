"""Conversations as a support bot has them, for the pages to show."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tests.server.given import NOON, Given


@dataclass(frozen=True)
class Exchange:
    """A user message, its reply, and what the bot did in between."""

    user: str
    reply: str
    intent: str
    confidence: float
    tool: str = ""
    handoff: str = ""
    error: str = ""
    slow: float = 0.0


DIALOGUES: Sequence[tuple[str, Sequence[Exchange]]] = (
    (
        "order",
        (
            Exchange(
                "Hi, where is my order 4711?",
                "It left our warehouse yesterday and arrives on Friday.",
                "order_status",
                0.96,
                "lookup_order",
            ),
            Exchange(
                "Can you send it to my office instead?",
                "Yes: until midnight I can change the address. Which one is it?",
                "change_address",
                0.88,
                "lookup_order",
            ),
            Exchange(
                "12 Mill Lane, Oxford",
                "Done. The parcel now goes to 12 Mill Lane, Oxford.",
                "change_address",
                0.83,
                "update_order",
            ),
            Exchange(
                "Great, thank you!", "You are welcome. Is there anything else?", "thanks", 0.99
            ),
        ),
    ),
    (
        "refund",
        (
            Exchange(
                "I want my money back",
                "I am sorry to hear that. Which order is it about?",
                "refund",
                0.91,
            ),
            Exchange(
                "The blue kettle, it leaks",
                "I see the kettle in order 5120. Shall I start a return?",
                "refund",
                0.79,
                "lookup_order",
            ),
            Exchange(
                "I already sent it back three weeks ago!!",
                "I cannot find that parcel. I am bringing in a colleague.",
                "complaint",
                0.54,
                "track_return",
                "low_confidence",
            ),
        ),
    ),
    (
        "hours",
        (
            Exchange(
                "Are you open on Sunday?",
                "Our shop in Leeds is open from 10 to 4 on Sundays.",
                "opening_hours",
                0.97,
                "search_help",
            ),
        ),
    ),
    (
        "invoice",
        (
            Exchange(
                "I need the invoice for March",
                "Here it is: invoice 2026-03-118, sent to your e-mail address.",
                "invoice",
                0.94,
                "fetch_invoice",
            ),
            Exchange(
                "It shows the wrong VAT number",
                "",
                "invoice_correction",
                0.71,
                "fetch_invoice",
                "",
                "TimeoutError",
            ),
            Exchange(
                "Hello?",
                "Sorry, that took too long. The number is corrected, the invoice sent again.",
                "invoice_correction",
                0.76,
                "fetch_invoice",
            ),
        ),
    ),
    (
        "unsure",
        (
            Exchange(
                "my thing does the thing again",
                "I am not sure I understood. Is it about an order or about a device?",
                "",
                0.31,
            ),
            Exchange(
                "device. the light blinks red twice",
                "Two red blinks: the filter is full. Rinse it and press reset.",
                "troubleshooting",
                0.74,
                "search_help",
            ),
            Exchange("ok that worked", "Good to hear!", "thanks", 0.98),
        ),
    ),
)


def content(role: str, text: str) -> str:
    """A message as the contract has it."""
    return json.dumps([{"role": role, "parts": [{"type": "text", "content": text}]}])


def conversation(
    given: Given, name: str, start: datetime, turns: Sequence[Exchange], order: random.Random
) -> None:
    """One conversation, with its events and the spans of its turns."""
    seconds = (start - NOON).total_seconds()
    given.event("conversation.start", name, seconds, agent="support", channel="web")
    for said in turns:
        duration = turn(given, name, seconds, said, order)
        seconds += duration + order.uniform(8, 40)
    if turns[-1].intent == "thanks":
        given.event("conversation.end", name, seconds, agent="support", outcome="resolved")
        if order.random() < 0.6:
            given.feedback(order.choice((4, 5, 5)), name, seconds + 3)


def turn(given: Given, name: str, seconds: float, said: Exchange, order: random.Random) -> float:
    """One turn and what happened in it; returns how long it took."""
    thinking = order.lognormvariate(-0.2, 0.45)
    tool = said.slow or (order.lognormvariate(-1.0, 0.6) if said.tool else 0.0)
    if said.error:
        tool = 10.0
    duration = 0.06 + tool + (0.0 if said.error else thinking) + 0.02
    used = order.randint(180, 900), len(said.reply) // 4 + 8
    row = given.turn(
        name,
        seconds,
        duration,
        agent="support",
        channel=order.choice(("web", "web", "mobile")),
        user_type="client",
        request_model="gpt-4o-mini",
        response_model="gpt-4o-mini-2024-07-18",
        provider="openai",
        intent=said.intent,
        confidence=said.confidence,
        fallback=not said.intent,
        status="error" if said.error else "ok",
        error_type=said.error,
        handoff=bool(said.handoff),
        handoff_reason=said.handoff,
        handoff_target="human_support" if said.handoff else "",
        input_messages=content("user", said.user),
        output_messages=content("assistant", said.reply) if said.reply else "",
        **({} if said.error else model_columns(used, tool + 0.4 * thinking)),
    )
    steps(given, row, seconds, said, tool, 0.0 if said.error else thinking, used)
    about = {"trace_id": row["trace_id"], "span_id": row["span_id"], "agent": "support"}
    given.event(
        "intent",
        name,
        seconds + 0.05,
        intent=said.intent,
        confidence=said.confidence,
        source="classifier",
        **about,
    )
    if said.handoff:
        given.event(
            "handoff.requested",
            name,
            seconds + duration,
            reason=said.handoff,
            target="human_support",
            **about,
        )
        given.event(
            "message",
            name,
            seconds + duration + 70,
            sender="human",
            text="Hello, this is Dana. I found your return, it reached us on the 3rd.",
        )
    return duration


def model_columns(used: tuple[int, int], first_chunk: float) -> dict[str, Any]:
    """What a turn says of the model that it used."""
    sent, answered = used
    return {
        "input_tokens": sent,
        "output_tokens": answered,
        "cost": f"{sent * 15e-8 + answered * 6e-7:.9f}",
        "cost_source": "local",
        "time_to_first_chunk": first_chunk,
    }


def steps(
    given: Given,
    row: dict[str, Any],
    seconds: float,
    said: Exchange,
    tool: float,
    thinking: float,
    used: tuple[int, int],
) -> None:
    """The spans inside a turn."""
    place = {
        "trace_id": row["trace_id"],
        "parent": row["span_id"],
        "conversation_id": row["conversation_id"],
        "kind": "internal",
    }
    add_span(
        given,
        "classify_intent",
        seconds + 0.005,
        0.05,
        operation="execute_tool",
        tool="classify_intent",
        **place,
    )
    if said.tool:
        add_span(
            given,
            f"execute_tool {said.tool}",
            seconds + 0.06,
            tool,
            operation="execute_tool",
            tool=said.tool,
            status_code="error" if said.error else "unset",
            error_type=said.error,
            **place,
        )
    if thinking:
        add_span(
            given,
            "chat gpt-4o-mini",
            seconds + 0.06 + tool,
            thinking,
            operation="chat",
            model="gpt-4o-mini",
            provider="openai",
            input_tokens=used[0],
            output_tokens=used[1],
            **{**place, "kind": "client"},
        )


def add_span(
    given: Given,
    name: str,
    seconds: float,
    duration: float,
    *,
    trace_id: str,
    parent: str,
    **columns: Any,
) -> dict[str, Any]:
    """A span of a given length."""
    end = given.span(
        trace_id, parent, seconds - 1 + duration, **{"status_code": "unset", **columns}
    )["end"]
    row = given.rows[-1][1]
    start = given.span(trace_id, parent, seconds)["start"]
    given.rows.pop()
    row |= {"start": start, "end": end, "name": name}
    return row


def busy_week(
    given: Given, now: datetime, *, conversations: int = 160, seed: int = 7, first: int = 1
) -> None:
    """A week of conversations before `now`, more of them in the day than at night."""
    order = random.Random(seed)
    starts = []
    while len(starts) < conversations:
        before = timedelta(seconds=order.uniform(30, 7 * 86_400))
        moment = now - before
        if order.random() < (1.0 if 8 <= moment.hour < 19 else 0.25):
            starts.append(moment)
    for number, start in enumerate(sorted(starts), start=first):
        kind, turns = order.choices(DIALOGUES, weights=(6, 2, 4, 1, 2))[0]
        conversation(given, f"{kind}-{number:04d}", start, turns, order)
    given.save()


REFUND: Sequence[Exchange] = (
    Exchange(
        "I sent my kettle back, where is my money?",
        "Your return reached us on the 3rd; the refund is on its way.",
        "refund",
        0.93,
        "track_return",
    ),
)
NO_REFUND: Sequence[Exchange] = (
    Exchange(
        "I want my money back, order 5120",
        "I am sorry to hear that. Let me look for your return.",
        "refund",
        0.91,
        "lookup_order",
    ),
    Exchange(
        "It has been three weeks!",
        "I cannot find that parcel. I am bringing in a colleague.",
        "refund",
        0.82,
        "track_return",
        "tool_timeout",
        slow=7.4,
    ),
)


def fallen_containment(given: Given, now: datetime, *, seed: int = 3) -> None:
    """Two weeks alike, but that this week returns are not found in time and a human is asked."""
    order = random.Random(seed)
    others = [turns for kind, turns in DIALOGUES if kind in {"order", "hours", "unsure"}]
    for week, refund in ((2, REFUND), (1, NO_REFUND)):
        for number in range(40):
            before = timedelta(days=7 * (week - 1), seconds=order.uniform(4000, 6.9 * 86_400))
            turns = refund if number % 4 == 0 else others[number % len(others)]
            name = f"{'return' if number % 4 == 0 else 'chat'}-{week}{number:02d}"
            conversation(given, name, now - before, turns, order)
    given.save()
