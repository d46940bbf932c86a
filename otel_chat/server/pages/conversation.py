"""What the page of one conversation shows: turns and events in order, and what stands out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from otel_chat import semconv
from otel_chat.server.pages import formats
from otel_chat.server.questions.timeline import ITEMS, MOST_ITEMS
from otel_chat.server.rules import SLOW_SECONDS

if TYPE_CHECKING:
    from datetime import datetime

    from otel_chat.server.questions.conversation import Conversation, Event
    from otel_chat.server.questions.conversations import ConversationSummary
    from otel_chat.server.questions.outline import Outline, Stretch
    from otel_chat.server.questions.turns import Turn

FLAGS: Final = {
    "failed": "Failed",
    "slow": "Slow",
    "unsure": "Unsure",
    "handed_off": "Handed off",
}
FLAG_MEANINGS: Final = {
    "failed": "The turn ended in an error.",
    "slow": f"The reply took {formats.duration(SLOW_SECONDS)} or longer.",
    "unsure": "Confidence below the threshold, or no intent matched.",
    "handed_off": "The turn asked for a human.",
}
VIEWS: Final = {"transcript": "Transcript", "trace": "Trace"}
"""The views of a conversation: what was said, for people; how it was done, for engineers."""
ITEMS_OF: Final = {"transcript": (MOST_ITEMS, 100), "trace": (ITEMS, 50)}
"""How many turns and events a page of each has at most, and how many turns of them."""
VIEW_COOKIE: Final = "otel_chat_view"
_LEAST_HEIGHT: Final = 6.0
_WIDEST: Final = 7.0
_OPENING: Final = semconv.EVENT_CONVERSATION_START
_MESSAGE_LABELS: Final = {
    "user": "User",
    "assistant": "Assistant",
    "system": "System",
    "human": "Human agent",
}


@dataclass(frozen=True, slots=True)
class EventView:
    """An event as it is shown.

    Args:
        event: What happened.
        label: Its name for people.
        said: What it says in short.
        details: The rest of what it says.
        sender: Who sent it, where it is a message.
    """

    event: Event
    label: str
    said: str
    details: Sequence[tuple[str, str]]
    sender: str | None = None

    @property
    def time(self) -> datetime:
        """When it happened."""
        return self.event.time


@dataclass(frozen=True, slots=True)
class TurnView:
    """A turn as it is shown.

    Args:
        turn: The turn.
        flags: What stands out: failed, slow, unsure, handed_off.
        events: What happened in it, in order.
        following: The next turn of each flag, by its anchor.
    """

    turn: Turn
    flags: Sequence[str]
    events: Sequence[EventView]
    following: dict[str, str] = field(default_factory=dict)

    @property
    def anchor(self) -> str:
        """The part of the address that leads to it."""
        return f"turn-{self.turn.span_id}"

    @property
    def time(self) -> datetime:
        """When the user's message came."""
        return self.turn.start

    @property
    def facts(self) -> list[str]:
        """What is known of it, in a line: intent, confidence, model, how long, what it cost."""
        turn = self.turn
        unmatched = "no intent matched" if turn.fallback else ""
        return [
            *filter(None, (turn.intent or unmatched,)),
            *([] if turn.confidence is None else [formats.score(turn.confidence)]),
            *filter(None, (turn.model,)),
            formats.duration(turn.duration),
            *([] if turn.cost is None else [formats.money(turn.cost)]),
        ]


@dataclass(frozen=True, slots=True)
class Column:
    """Turns that follow one another, or one, in the strip over the transcript.

    Args:
        link: Where it leads: to the slowest of them.
        label: What it says.
        kind: What stands out most; empty for nothing.
        x: Where it stands, in per cent of the strip.
        width: How wide it is, in per cent of the strip.
        height: How long its slowest turn took, in per cent of the slowest of all.
    """

    link: str
    label: str
    kind: str
    x: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Jump:
    """A kind of turn to jump to.

    Args:
        flag: The kind.
        label: Its name for people.
        meaning: What makes a turn one.
        count: How many there are in the conversation.
        first: Where the first of them is.
        later: Where the first after the turns that are shown is; `None` without.
    """

    flag: str
    label: str
    meaning: str
    count: int
    first: str
    later: str | None


@dataclass(frozen=True, slots=True)
class ConversationView:
    """A conversation as it is shown.

    Args:
        turns: Its turns by time.
        outside: Events outside of any turn, by time.
    """

    turns: Sequence[TurnView]
    outside: Sequence[EventView]

    @property
    def timeline(self) -> list[TurnView | EventView]:
        """Turns, and events outside of any, by time.

        The opening is sent from within the first turn, and stands before it.
        """
        opening = [view for view in self.outside if view.event.name == _OPENING]
        rest: list[TurnView | EventView] = [*self.turns]
        rest += [view for view in self.outside if view.event.name != _OPENING]
        return [*opening, *sorted(rest, key=lambda item: item.time)]

    @property
    def events(self) -> list[tuple[EventView, TurnView | None]]:
        """All events by time, each with the turn that it happened in, if it did in one."""
        every: list[tuple[EventView, TurnView | None]] = [(one, None) for one in self.outside]
        every += [(one, turn) for turn in self.turns for one in turn.events]
        return sorted(every, key=lambda one: one[0].time)

    @property
    def place(self) -> str:
        """Which turns they are, for a part of a conversation."""
        first, last = self.turns[0].turn.index, self.turns[-1].turn.index
        return f"turn {first}" if first == last else f"turns {first} to {last}"

    @property
    def has_text(self) -> bool:
        """Whether the text of any turn may be read."""
        return any(view.turn.user_message or view.turn.reply for view in self.turns)


def view(conversation: Conversation, threshold: float) -> ConversationView:
    """A conversation as it is shown.

    Args:
        conversation: The conversation.
        threshold: Below this confidence a turn is unsure.
    """
    inside: dict[str, list[EventView]] = {turn.span_id: [] for turn in conversation.turns}
    outside: list[EventView] = []
    for event in conversation.events:
        inside.get(event.turn_span_id or "", outside).append(event_view(event))
    following: dict[str, str] = {}
    turns: list[TurnView] = []
    for turn in reversed(conversation.turns):
        shown = TurnView(turn, flags_of(turn, threshold), inside[turn.span_id], dict(following))
        following |= dict.fromkeys(shown.flags, shown.anchor)
        turns.append(shown)
    return ConversationView(turns[::-1], outside)


def jumps(outline: Outline, to: Callable[[str], str]) -> list[Jump]:
    """The turns of a conversation that stand out.

    Args:
        outline: The outline of the conversation.
        to: The address of a turn, by its span.
    """
    return [
        Jump(
            flag,
            FLAGS[flag],
            FLAG_MEANINGS[flag],
            there.count,
            to(there.first),
            None if there.later is None else to(there.later),
        )
        for flag, there in outline.standing.items()
    ]


def strip(outline: Outline, to: Callable[[str], str]) -> list[Column]:
    """The turns of a conversation as columns, as high as they were long.

    Args:
        outline: The outline of the conversation.
        to: The address of a turn, by its span.
    """
    longest = max((one.duration for one in outline.stretches), default=0.0)
    each = min(100 / max(len(outline.stretches), 1), _WIDEST)
    return [
        Column(
            to(one.slowest),
            _label(one),
            next(iter(one.kinds), ""),
            x=round(index * each, 2),
            width=round(each * 0.8, 2),
            height=round(max(100 * one.duration / longest, _LEAST_HEIGHT), 1)
            if longest
            else _LEAST_HEIGHT,
        )
        for index, one in enumerate(outline.stretches)
    ]


def _label(stretch: Stretch) -> str:
    took = formats.duration(stretch.duration)
    if stretch.first == stretch.last:
        named = f"Turn {stretch.first}, {took}"
    else:
        named = f"Turns {stretch.first} to {stretch.last}, slowest {took}"
    return ", ".join([named, *(FLAGS[kind].lower() for kind in stretch.kinds)])


def flags_of(turn: Turn, threshold: float) -> list[str]:
    """What stands out about a turn, which is unsure below a threshold of confidence."""
    unsure = turn.confidence is not None and turn.confidence < threshold
    there = {
        "failed": turn.status == semconv.STATUS_ERROR,
        "slow": turn.duration >= SLOW_SECONDS,
        "unsure": unsure or bool(turn.fallback),
        "handed_off": turn.handoff.triggered,
    }
    return [flag for flag, is_so in there.items() if is_so]


_SHORT: Final = {
    semconv.EVENT_INTENT: ("intent", "confidence", "source"),
    semconv.EVENT_ENTITY: ("entity_type", "entity_value"),
    semconv.EVENT_TOPIC: ("topic",),
    semconv.EVENT_ACTION: ("action",),
    semconv.EVENT_WORKFLOW_STARTED: ("workflow", "step"),
    semconv.EVENT_WORKFLOW_COMPLETED: ("workflow", "step"),
    semconv.EVENT_WORKFLOW_FAILED: ("workflow", "step"),
    semconv.EVENT_API_CALL: ("api_name", "status", "duration"),
    semconv.EVENT_HANDOFF_REQUESTED: ("reason", "target"),
    semconv.EVENT_HANDOFF_ACCEPTED: ("target", "wait"),
    semconv.EVENT_HANDOFF_ENDED: ("reason",),
    semconv.EVENT_CONVERSATION_END: ("outcome", "reason"),
    semconv.EVENT_LEAD: ("lead_kind",),
    semconv.EVENT_EVALUATION: ("evaluation", "label", "value"),
    semconv.EVENT_EXCEPTION: ("error_type",),
    semconv.EVENT_CUSTOM: ("event_name",),
}
"""What an event of each name says in short, in this order."""
_QUIET: Final = frozenset({"agent", "sender"})
_TIMES: Final = frozenset({"duration", "wait"})


def event_view(event: Event) -> EventView:
    """An event as it is shown."""
    if _is_feedback(event):
        return _feedback_view(event)
    short = [name for name in _SHORT.get(event.name, ()) if name in event.details]
    rest = [name for name in event.details if name not in {*short, *_QUIET}]
    label = event.name.removeprefix("otel_chat.").removeprefix("gen_ai.")
    label = label.replace(".", " ").replace("_", " ").capitalize()
    sender = str(event.details.get("sender", "")) if event.name == semconv.EVENT_MESSAGE else None
    return EventView(
        event,
        label,
        " · ".join(_written(name, event.details[name]) for name in short),
        [(name, _written(name, event.details[name])) for name in rest],
        None if sender is None else _MESSAGE_LABELS.get(sender, sender or "Message"),
    )


def _feedback_view(event: Event) -> EventView:
    """A rating, on the scale that it was given on."""
    value, low, high = (event.details.get(name) for name in ("value", "scale_min", "scale_max"))
    scale = "" if high is None else f" on a scale from {low:g} to {high:g}"
    said = "" if value is None else f"{value:g}{scale}"
    label = event.details.get("label")
    return EventView(event, "Feedback", said, [("label", str(label))] if label else [])


def _is_feedback(event: Event) -> bool:
    rated = event.name == semconv.EVENT_EVALUATION
    return rated and event.details.get("evaluation") == "user_feedback"


def _written(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return formats.duration(value) if name in _TIMES else f"{value:g}"
    return str(value)


def facts(about: ConversationSummary) -> list[tuple[str, str]]:
    """What is known of a conversation's surroundings, with labels; empty where it is not."""
    return [
        ("agent", about.agent),
        ("version", about.agent_version),
        ("variant", about.variant),
        ("on", about.channel),
        ("platform", about.platform),
        ("user", about.user_type),
        ("location", about.location),
        ("", " · ".join(filter(None, (about.device, about.os, about.browser)))),
        ("from", about.referrer),
        ("sentiment", about.last_sentiment),
        ("entities", ", ".join(about.entities)),
        ("lead", ", ".join(filter(None, about.lead_kinds)) or ("yes" if about.converted else "")),
        ("route", ", ".join(about.routes)),
        ("status", ", ".join(map(str, about.statuses))),
        ("ended:", about.end_reason),
        ("", "from other instrumentation" if about.foreign else ""),
        ("", "its first turns are erased for their age" if about.turns_erased else ""),
    ]
