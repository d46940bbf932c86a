"""What changed most since the window before, what moved containment, and what is most frequent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from otel_chat.server.figures.chance import LEAST
from otel_chat.server.pages import formats, links
from otel_chat.server.pages.overview import Trend, meanings
from otel_chat.server.questions.clear_changes import LEVEL
from otel_chat.server.questions.sentence import moved, written

if TYPE_CHECKING:
    from otel_chat.server.figures.window import Window
    from otel_chat.server.pages.links import View
    from otel_chat.server.questions.clear_changes import ChangedPart, ClearChange, ClearChanges
    from otel_chat.server.questions.leaders import Leader, Leaders

_MINUS: Final = "\u2212"
CHANGED_MEANING: Final = (
    f"What moved beyond chance against the window before, by kind, and by how much of it is sure."
    f" Each figure is tested over conversations, at least {LEAST} in either window; of all the"
    f" changes that are ever called clear, one in {round(1 / LEVEL)} is none (Benjamini and"
    f" Hochberg). Figures of turns are here over the turns of conversations that began in the"
    f" window."
)


@dataclass(frozen=True, slots=True)
class Moved:
    """A figure that changed.

    Args:
        label: What it is called.
        now: The figure.
        definition: What it means.
        trend: How it moved.
    """

    label: str
    now: str
    definition: str
    trend: Trend

    @property
    def meaning(self) -> tuple[str, str]:
        """Its name and definition."""
        return self.label, self.definition


@dataclass(frozen=True, slots=True)
class Saying:
    """The sentence that a page begins with, and whom to read.

    Args:
        text: The sentence.
        tone: Whether what changed is good.
        reading: What to do with the conversations; empty for none.
        read: What they are called, and where they are.
    """

    text: str
    tone: Literal["good", "bad", "plain"]
    reading: str
    read: Sequence[tuple[str, str]]


def _tone(item: ClearChange) -> Literal["good", "bad", "plain"]:
    return "plain" if item.good is None else "good" if item.good else "bad"


def _reading(part: ChangedPart | None) -> str:
    if part is None:
        return "Read"
    return f"Read where {part.name} failed" if part.kind == "tool" else f"Read of {part.name}"


def saying(found: ClearChanges, *, tenants: bool) -> Saying:
    """What a page begins with.

    Args:
        found: What changed beyond chance.
        tenants: Whether links name tenants.
    """
    if found.state != "changed":
        return Saying(found.sentence, "plain", "", [])
    first = found.items[0]
    part = next((part for part in first.parts if part.read), None)
    return Saying(
        found.sentence,
        _tone(first),
        _reading(part),
        [
            (one.conversation_id, links.conversation(
                one.conversation_id, tenant=one.tenant if tenants else None
            ))
            for one in (part.read if part else first.read)
        ],
    )  # fmt: skip


def changed(found: ClearChanges) -> list[tuple[str, list[Moved]]]:
    """The figures that changed beyond chance, by kind."""
    by_kind: dict[str, list[Moved]] = {}
    for item in found.clear:
        unit = item.unit
        told = Trend(
            moved(item.difference, item.relative, unit).replace(" points", f"{formats.THIN}pts"),
            "up" if item.difference > 0 else "down",
            _tone(item),
            written(item.previous, unit),
        )
        row = Moved(item.label, written(item.value, unit), item.definition, told)
        by_kind.setdefault(item.kind.capitalize(), []).append(row)
    return list(by_kind.items())


@dataclass(frozen=True, slots=True)
class Row:
    """Something frequent, with a bar.

    Args:
        label: What it is.
        count: How often.
        share: Its part of the whole, 0 to 1.
        before: How often in the window before.
        href: Where the list of what it counts is; empty for nowhere.
        counts: How many entries that list has.
    """

    label: str
    count: str
    share: float | None
    before: str
    href: str = ""
    counts: int = 0


@dataclass(frozen=True, slots=True)
class Ranking:
    """A list of what is frequent.

    Args:
        key: A name for it, unique on the page.
        title: What it lists.
        meaning: What it counts.
        rows: The most frequent first.
        nothing: What is said where there are none.
    """

    key: str
    title: str
    meaning: Sequence[tuple[str, str]]
    rows: Sequence[Row]
    nothing: str


def rankings(found: Leaders, view: View) -> list[Ranking]:
    """The lists of what is frequent, each with its way to the conversations behind it."""

    def rows(
        leaders: Sequence[Leader], filtered: str = "", unnamed: str = "", path: str = links.LIST
    ) -> list[Row]:
        return [
            Row(
                one.name or unnamed,
                formats.compact(one.count),
                one.share,
                formats.compact(one.previous),
                view.narrowed(path, **{filtered: one.name}) if filtered else "",
                one.count,
            )
            for one in leaders
        ]

    return [
        Ranking("topics", "Top topics", meanings("leading_topics"), rows(found.topics, "topic"),
                "No topics were reported."),
        Ranking("intents", "Intents", meanings("leading_intents"),
                rows(found.intents, "intent", path="/turns"), "No turn has an intent."),
        Ranking("user-types", "User types", meanings("leading_user_types"),
                rows(found.user_types, "first_user_type", "not named"), "No conversations."),
        Ranking("actions", "Actions", meanings("actions_by_type"), rows(found.actions),
                "No actions were reported."),
    ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cause:
    """What the conversations that end with an intent did to containment.

    Args:
        intent: The intent; empty without any.
        href: The conversations that a human was asked for in; empty where there are none.
        counts: How many they are.
        points: How far they moved it.
        falls: Whether they made it fall.
        width: How far, beside the furthest, 0 to 1.
        now: Their own containment.
        before: The same in the window before.
        handed: In how many of how many a human was asked for.
        kept: The settled conversations without a human; empty where there are none.
        keeps: How many they are.
        kept_before: Those of the window before; empty where there are none.
        kept_then: How many they were.
    """

    intent: str
    href: str
    counts: int
    points: str
    falls: bool
    width: float
    now: str
    before: str
    handed: str
    kept: str
    keeps: int
    kept_before: str
    kept_then: int


def causes(found: Leaders, window: Window, view: View) -> list[Cause]:
    """What moved containment, the greatest fall first; empty where nothing can be compared.

    Args:
        found: What leads the window.
        window: The window.
        view: The filters of the page.
    """
    earlier = window.previous()
    without = {"state": "settled", "handoff": "false"}
    movers = [(one, one.contribution) for one in found.containment if one.contribution]
    furthest = max((abs(points) for _, points in movers), default=1.0)
    return [
        Cause(
            one.intent,
            view.narrowed(links.LIST, last_intent=one.intent, state="settled", handoff="true")
            if one.intent and one.handed_off
            else "",
            one.handed_off,
            f"{_MINUS if points < 0 else '+'}{abs(points) * 100:.1f}{formats.THIN}pts",
            points < 0,
            abs(points) / furthest,
            formats.percent(one.containment),
            formats.percent(one.previous),
            f"{one.handed_off:,} of {one.settled:,}",
            view.narrowed(links.LIST, last_intent=one.intent, **without)
            if one.intent and one.settled > one.handed_off
            else "",
            one.settled - one.handed_off,
            view.within(links.LIST, earlier.start, earlier.end, last_intent=one.intent, **without)
            if one.intent and one.previous_contained
            else "",
            one.previous_contained,
        )
        for one, points in movers
    ]
