"""What changed most since the window before, what moved containment, and what is most frequent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from otel_chat.server.figures.registry import FIGURES
from otel_chat.server.pages import formats
from otel_chat.server.pages.overview import Better, Trend, meanings, trend, whole

if TYPE_CHECKING:
    from otel_chat.server.pages.links import View
    from otel_chat.server.questions.headlines import Figures
    from otel_chat.server.questions.leaders import Leader, Leaders
    from otel_chat.server.questions.overview import Overview

LEAST_SAMPLE: Final = 20
SHOWN: Final = 6
_MINUS: Final = "\u2212"
CHANGED_MEANING: Final = (
    f"The headline figures that moved furthest, relative to the window before. One that rests on"
    f" fewer than {LEAST_SAMPLE} turns, conversations or ratings in either window is left out."
)


@dataclass(frozen=True, slots=True)
class Kind:
    """A figure that can change.

    Args:
        name: What it is called among the changes.
        label: What it is called for people.
        written: How it is written.
        sample: What it rests on.
        figure: Whose definition it has.
        better: Which direction is good.
        ratio: Whether it is a share, whose change is told in points.
    """

    name: str
    label: str
    written: Callable[[float | None], str]
    sample: Callable[[Figures], int]
    figure: str
    better: Better = "neither"
    ratio: bool = False


KINDS: Final = (
    Kind("conversations", "Conversations", whole, lambda f: f.conversations, "conversations"),
    Kind("turns", "Turns", whole, lambda f: f.turns, "turns"),
    Kind("response_time_p95", "Response time, 95 %", formats.duration,
         lambda f: f.response_time.count, "response_time", "down"),
    Kind("time_to_first_chunk", "Time to the first words", formats.duration,
         lambda f: f.time_to_first_chunk.count, "time_to_first_chunk", "down"),
    Kind("containment", "Containment", formats.percent, lambda f: f.containment.settled,
         "containment_ratio", "up", ratio=True),
    Kind("resolution_high", "Resolution", formats.percent, lambda f: f.resolution.settled,
         "resolution_ratio_high", "up", ratio=True),
    Kind("handoffs", "Handoffs", formats.percent, lambda f: f.conversations,
         "handoff_ratio", "down", ratio=True),
    Kind("satisfaction", "Satisfaction", formats.percent, lambda f: f.satisfaction.count,
         "csat_ratio", "up", ratio=True),
    Kind("errors", "Failed turns", formats.percent, lambda f: f.turns,
         "error_ratio", "down", ratio=True),
    Kind("fallback", "Fallbacks", formats.percent, lambda f: f.fallback.classified,
         "fallback_ratio", "down", ratio=True),
    Kind("confidence", "Confidence", formats.score, lambda f: f.confidence.count,
         "mean_confidence", "up"),
    Kind("engagement", "Engagement", whole, lambda f: f.conversations,
         "engagement_score", "up"),
    Kind("tokens", "Tokens", whole, lambda f: f.tokens.turns, "total_tokens"),
    Kind("cost", "Cost of models", formats.money, lambda f: f.cost.priced_turns, "cost"),
)  # fmt: skip


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


def changed(overview: Overview) -> list[Moved]:
    """The headline figures that moved furthest, relative to the window before."""
    ranked: list[tuple[float, Moved]] = []
    for kind in KINDS:
        change = overview.changes[kind.name]
        least = min(kind.sample(overview), kind.sample(overview.previous))
        told = trend(change, kind.written, better=kind.better, ratio=kind.ratio)
        if not change.relative or told is None or told.direction == "same" or least < LEAST_SAMPLE:
            continue
        moved = Moved(kind.label, kind.written(change.value), FIGURES[kind.figure].definition, told)
        ranked.append((abs(change.relative), moved))
    ranked.sort(key=lambda one: -one[0])
    return [moved for _, moved in ranked[:SHOWN]]


@dataclass(frozen=True, slots=True)
class Row:
    """Something frequent, with a bar.

    Args:
        label: What it is.
        count: How often.
        share: Its part of the whole, 0 to 1.
        before: How often in the window before.
        href: Where it leads; empty for nowhere.
    """

    label: str
    count: str
    share: float | None
    before: str
    href: str = ""


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

    def rows(leaders: Sequence[Leader], filtered: str = "", unnamed: str = "") -> list[Row]:
        return [
            Row(
                one.name or unnamed,
                formats.compact(one.count),
                one.share,
                formats.compact(one.previous),
                view.narrowed("/conversations", **{filtered: one.name})
                if filtered and one.name
                else "",
            )
            for one in leaders
        ]

    return [
        Ranking("topics", "Top topics", meanings("leading_topics"), rows(found.topics),
                "No topics were reported."),
        Ranking("intents", "Intents", meanings("leading_intents"), rows(found.intents, "intent"),
                "No turn has an intent."),
        Ranking("user-types", "User types", meanings("leading_user_types"),
                rows(found.user_types, "user_type", "not named"), "No conversations."),
        Ranking("actions", "Actions", meanings("actions_by_type"), rows(found.actions),
                "No actions were reported."),
    ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cause:
    """What the conversations that end with an intent did to containment.

    Args:
        intent: The intent; empty without any.
        href: The conversations that a human was asked for in.
        points: How far they moved it.
        falls: Whether they made it fall.
        width: How far, beside the furthest, 0 to 1.
        now: Their own containment.
        before: The same in the window before.
        handed: In how many of how many a human was asked for.
    """

    intent: str
    href: str
    points: str
    falls: bool
    width: float
    now: str
    before: str
    handed: str


def causes(found: Leaders, view: View) -> list[Cause]:
    """What moved containment, the greatest fall first; empty where nothing can be compared."""
    moved = [(one, one.contribution) for one in found.containment if one.contribution]
    furthest = max((abs(points) for _, points in moved), default=1.0)
    return [
        Cause(
            one.intent,
            view.narrowed("/conversations", intent=one.intent, handoff="true")
            if one.intent
            else view.narrowed("/conversations", handoff="true"),
            f"{_MINUS if points < 0 else '+'}{abs(points) * 100:.1f}{formats.THIN}pts",
            points < 0,
            abs(points) / furthest,
            formats.percent(one.containment),
            formats.percent(one.previous),
            f"{one.handed_off:,} of {one.settled:,}",
        )
        for one, points in moved
    ]
