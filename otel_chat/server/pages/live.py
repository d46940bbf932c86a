"""The page of what goes on right now: figures as they come, and who is talking."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from otel_chat.server.pages import formats, links
from otel_chat.server.pages.charts import Chart, Column, Course
from otel_chat.server.pages.links import LIST, TURN_LIST
from otel_chat.server.pages.overview import Card, Opening, meanings
from otel_chat.server.pages.tables import Cell, Head, Table, Tone, table
from otel_chat.server.questions import conversations, minutes, realtime
from otel_chat.server.questions import waiting as waiting_queries

if TYPE_CHECKING:
    from otel_chat.server.figures.window import Window
    from otel_chat.server.pages.links import View
    from otel_chat.server.pages.sheets import Asking
    from otel_chat.server.questions.feedback import ScaleMean
    from otel_chat.server.questions.realtime import Realtime

STREAM: Final = "/api/v1/realtime/stream"
_TALKING: Final = 25
_LONG: Final = 140
_TOO_LONG: Final = 300
"""Seconds after which somebody should have come."""
_SCALES: Final = 2
"""That a card has room for."""


def cards(found: Realtime, view: View) -> list[Card]:
    """The figures of the last minutes.

    Args:
        found: The figures.
        view: The filters of the page.
    """
    return [
        Card(
            key="active_conversations",
            label="Talking now",
            value=formats.compact(found.active_conversations),
            note="open conversations",
            sample="as of now",
            meanings=meanings("realtime_active_conversations"),
            opens=Opening(
                "", view.narrowed(LIST, state="open", window="90d"), found.active_conversations
            ),
        ),
        *_of_turns(found, view),
        Card(
            key="avg_satisfaction",
            label="Mean rating",
            value=formats.percent(found.avg_satisfaction),
            note=_by_scale(found.satisfaction_by_scale),
            sample="of ratings",
            meanings=meanings("realtime_satisfaction"),
            opens=Opening("", view.narrowed(LIST, rating_min="0", window="24h")),
        ),
    ]


def _of_turns(found: Realtime, view: View) -> list[Card]:
    """The cards of the turns that started in these minutes."""
    since = found.timestamp - timedelta(minutes=found.minutes)

    def turns(**named: str) -> str:
        return view.within(TURN_LIST, since, found.timestamp, **named)

    seconds = None if found.avg_response_time_ms is None else found.avg_response_time_ms / 1000
    span = f"in the last {found.minutes} minutes"
    return [
        Card(
            key="turns",
            label="Turns",
            value=formats.compact(found.turns),
            note=span,
            sample="started",
            meanings=meanings("realtime_turns"),
            opens=Opening("", turns(), found.turns),
        ),
        Card(
            key="avg_response_time_ms",
            label="Response time",
            value=formats.duration(seconds),
            note=f"mean {span}",
            sample="of these turns",
            meanings=meanings("realtime_response_time"),
            opens=Opening("", turns(sort="-response")),
        ),
        Card(
            key="errors",
            label="Errors",
            value=formats.compact(found.errors),
            note=span,
            sample="of these turns",
            meanings=meanings("realtime_errors"),
            opens=Opening("", turns(failed="true"), found.errors),
        ),
        Card(
            key="handoffs",
            label="Handoffs",
            value=formats.compact(found.handoffs),
            note=span,
            sample="of these turns",
            meanings=meanings("realtime_handoffs"),
            opens=Opening("", turns(turn_handoff="true"), found.handoffs),
        ),
    ]


def _by_scale(scales: list[ScaleMean]) -> str:
    """The mean as it was given; `live.js` writes it the same way."""
    told = (
        f"{scale.mean:.1f} on {scale.lowest:g} to {scale.highest:g}"
        for scale in scales[:_SCALES]
        if scale.mean is not None
    )
    return ", ".join((*told, "in the last hour"))


def _by_minute(found: minutes.Minutes, window: Window, view: View) -> Chart:
    starts = [minute.start for minute in found.items]
    course = Course(window, [*starts, starts[-1] + timedelta(minutes=1)])
    rows = [(minute.start, f"{minute.start:%H:%M}") for minute in found.items]
    return Chart(
        "minutes",
        "Turns by the minute",
        "How busy is it, compared with the last hour?",
        rows,
        [
            Column(
                "Without error",
                [m.turns - m.errors for m in found.items],
                formats.whole,
                kind="bar",
            ),
            Column(
                "Failed", [m.errors for m in found.items], formats.whole, kind="bar", colour="bad"
            ),
        ],
        meanings=meanings("turns", "failed_turns"),
        sample=formats.plural(sum(minute.turns for minute in found.items), "turn"),
        wide=True,
        hrefs=course.hrefs(view, TURN_LIST),
    )


def _talking(asking: Asking) -> Table:
    found = conversations.conversations(
        asking.store, asking.scope, asking.window, asking.filters.narrowed(state="open"), _TALKING
    )
    several = asking.scope.tenants is None or len(asking.scope.tenants) > 1

    def name(item: conversations.ConversationSummary) -> Cell:
        tenant = item.tenant if several else None
        address = links.conversation(item.conversation_id, tenant=tenant)
        return Cell(item.conversation_id or "(no id)", address)

    def signs(item: conversations.ConversationSummary) -> Cell:
        found = [
            words
            for words, some in (
                (formats.plural(item.errors, "error"), item.errors),
                (formats.plural(item.fallbacks, "fallback"), item.fallbacks),
                ("handed off", item.handoff),
            )
            if some
        ]
        return Cell(", ".join(found), tone="bad" if item.errors else "warn")

    now = asking.window.now
    heads: list[Head[conversations.ConversationSummary]] = [
        Head("Conversation", name, number=False),
        Head("Last activity", lambda c: formats.ago(c.last_at, now), number=False),
        Head("Agent", lambda c: c.agent or "(none)", number=False),
        Head("Channel", lambda c: c.channel or "(none)", number=False),
        Head("Last intent", lambda c: c.last_intent or "(none)", number=False),
        Head("Turns", lambda c: formats.count(c.turns)),
        Head("Response", lambda c: formats.duration(c.mean_response_time)),
        Head("Look at", signs, number=False),
    ]
    return table(
        "talking",
        "Talking now",
        "Who is talking, and does anybody need help? Each can be watched while it goes on.",
        heads,
        found.items,
        nothing="Nobody is talking right now.",
        wide=True,
        more=meanings("realtime_active_conversations"),
    )


def _waiting(asking: Asking) -> Table:
    asked = (asking.store, asking.scope, asking.window, asking.filters)
    found = waiting_queries.waiting(*asked)
    several = asking.scope.tenants is None or len(asking.scope.tenants) > 1
    now = asking.window.now

    def last_message(item: waiting_queries.Waiting) -> Cell:
        tenant = item.tenant if several else None
        address = links.conversation(item.conversation_id, tenant=tenant)
        if item.last_message is None:
            return Cell(item.conversation_id, address)
        said = " ".join(item.last_message.split())
        return Cell(said if len(said) <= _LONG else f"{said[:_LONG]}\u2026", address, quoted=True)

    def waits(item: waiting_queries.Waiting) -> Cell:
        seconds = (now - item.since).total_seconds()
        tone: Tone = "bad" if seconds >= _TOO_LONG else "warn"
        waited = formats.ago(item.since, now).removesuffix(" ago")
        return Cell(waited, tone=tone, sub=f"since {formats.clock(item.since, zone=True)}")

    def why(item: waiting_queries.Waiting) -> Cell:
        to = f"to {item.target.replace('_', ' ')}" if item.target else ""
        return Cell(item.reason.replace("_", " ") or "(not told)", sub=to)

    heads: list[Head[waiting_queries.Waiting]] = [
        Head("Last message", last_message, number=False),
        Head("Waits", waits, figure="waiting_conversations"),
        Head("Why", why, number=False),
        Head("Agent", lambda w: Cell(w.agent or "(none)", sub=w.channel), number=False),
    ]
    made = table(
        "waiting",
        "Waiting for a human",
        "Who asked for a human in the last day and has none yet? The longest first.",
        heads,
        found.items,
        nothing="Nobody waits for a human.",
        others=found.total - len(found.items),
        wide=True,
    )
    if found.items and not found.answered:
        told = " Nobody told of a human who came: report it with handoff.accepted()."
        return replace(made, rest=(made.rest + told).strip())
    return made


def panels(asking: Asking) -> list[Chart | Table]:
    """What is fetched again as things happen: who waits, the last hour, and who is talking."""
    asked = (asking.store, asking.scope, asking.window, asking.filters)
    return [
        _waiting(asking),
        _by_minute(minutes.minutes(*asked), asking.window, asking.view),
        _talking(asking),
    ]


def now(asking: Asking) -> Realtime:
    """The figures of the last minutes."""
    return realtime.realtime(asking.store, asking.scope, asking.window, asking.filters)


def recent(asking: Asking) -> Asking:
    """The same question about the last day: who talks now may have begun hours ago."""
    end = asking.window.end
    return replace(asking, window=replace(asking.window, start=end - timedelta(days=1)))
