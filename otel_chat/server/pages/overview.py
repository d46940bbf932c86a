"""What the overview shows: cards, charts and outcomes, made of the answers of the queries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from otel_chat.server.figures.registry import FIGURES
from otel_chat.server.pages import formats
from otel_chat.server.pages.charts import Chart, Colour, Column, Course
from otel_chat.server.pages.links import LIST, TURN_LIST

if TYPE_CHECKING:
    from datetime import datetime

    from otel_chat.server.figures.window import Window
    from otel_chat.server.pages.links import View
    from otel_chat.server.questions.overview import Change, Overview, Point, Series

Better = Literal["up", "down", "neither"]


@dataclass(frozen=True, slots=True)
class Trend:
    """How a figure moved against the window before.

    Args:
        text: The change in words.
        direction: Where it moved.
        tone: Whether that is good.
        before: The figure in the window before.
        chance: What is to be said of whether it is more than chance.
    """

    text: str
    direction: Literal["up", "down", "same"]
    tone: Literal["good", "bad", "plain"]
    before: str
    chance: str = ""


@dataclass(frozen=True, slots=True)
class Opening:
    """A number that opens what it counts.

    Args:
        text: The number, in words.
        href: Where its list is; empty where there is nothing to open.
        counts: How many entries that list has; `None` where it is in an order, the furthest first.
    """

    text: str
    href: str = ""
    counts: int | None = None


@dataclass(frozen=True, slots=True)
class Card:
    """A headline figure.

    Args:
        key: A name for it, unique on the page.
        label: What it is.
        value: How it is written.
        note: What belongs beside it.
        sample: Over how many turns or conversations.
        meanings: Names and definitions of the figures on the card.
        trend: Its change against the window before, where there is one.
        line: The path of its course over the window.
        alarm: Whether the note tells of something wrong.
        interval: Between which bounds the truth lies, 95 times in a hundred.
        opens: What the figure itself opens; of a share those that it is of.
        parts: What it is made of, each with what it opens.
    """

    key: str
    label: str
    value: str
    note: str
    sample: str
    meanings: Sequence[tuple[str, str]]
    trend: Trend | None = None
    line: str = ""
    alarm: bool = False
    interval: str = ""
    opens: Opening | None = None
    parts: Sequence[Opening] = ()

    @property
    def empty(self) -> bool:
        """Whether there is nothing to show."""
        return self.value == formats.NO_DATA


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a whole.

    Args:
        key: A name for its colour.
        label: What it is.
        count: How many.
        offset: Where it starts in the whole, in per cent.
        width: How much of the whole it is, in per cent.
        definition: What belongs to it.
        href: Where its conversations are; empty where there are none.
    """

    key: str
    label: str
    count: int
    offset: float
    width: float
    definition: str
    href: str = ""


def meanings(*names: str) -> list[tuple[str, str]]:
    """Labels and definitions of figures, by name.

    Example:
        >>> import otel_chat.server.questions.overview
        >>> meanings("handoff_turns")
        [('Handoff turns', 'Turns that asked for a human.')]
    """
    return [(name.replace("_", " ").capitalize(), FIGURES[name].definition) for name in names]


def trend(
    change: Change,
    written: Callable[[float | None], str],
    *,
    better: Better,
    ratio: bool = False,
    subject: str = "",
    clear: bool | None = None,
) -> Trend | None:
    """A change in words; `None` where there is nothing to compare with.

    Args:
        change: The figure and the one before.
        written: How the figure is written.
        better: Which direction is good.
        ratio: Whether it is a share, whose change is told in points.
        subject: What moved, where it is not the card's own figure.
        clear: Whether it is beyond chance; `None` where that was not tested. Only what is clear
            is good or bad.
    """
    moved = change.difference if ratio else change.relative
    if moved is None or change.difference is None:
        return None
    before = written(change.previous)
    amount = abs(moved) * 100
    if amount < 0.05:  # noqa: PLR2004 - what would be written 0.0
        return Trend(f"{subject}unchanged", "same", "plain", before)
    digits = 1 if amount < 10 else 0  # noqa: PLR2004
    unit = f"{formats.THIN}pts" if ratio else f"{formats.THIN}%"
    direction: Literal["up", "down"] = "up" if moved > 0 else "down"
    tone: Literal["good", "bad", "plain"] = "plain"
    if better != "neither" and clear:
        tone = "good" if direction == better else "bad"
    chance = "within chance" if clear is False else ""
    if amount >= 1000 and not ratio:  # noqa: PLR2004 - a factor reads better
        return Trend(f"{subject}\u00d7{1 + moved:,.0f}", direction, tone, before, chance)
    return Trend(f"{subject}{amount:,.{digits}f}{unit}", direction, tone, before, chance)


def opening(
    view: View, number: int, words: str, path: str = LIST, /, **named: str | Sequence[str]
) -> Opening:
    """A number of conversations or turns, which opens them.

    Args:
        view: The filters of the page.
        number: How many there are.
        words: What they are, behind the number.
        path: Where their list is.
        named: By which filters they are told from the others of the page.
    """
    text = f"{formats.count(number)} {words}".rstrip()
    return Opening(text, view.narrowed(path, **named) if number else "", number)


SLOWEST: Final = "the slowest first"
OUTCOMES: Final = (
    ("resolved", "Resolved"),
    ("handed_off", "Handed off"),
    ("abandoned", "Abandoned"),
    ("failed", "Failed"),
    ("open", "Open"),
)


def outcomes(overview: Overview, view: View) -> list[Share]:
    """The conversations by outcome, as parts of all of them; what nobody confirmed by itself."""
    counts = overview.outcomes.model_dump()
    every = sum(counts.values())
    found = overview.resolution
    resolved = {"outcome": "resolved"}
    parts = [
        ("confirmed", "Resolved, confirmed", found.confirmed, {**resolved, "confirmed": "true"}),
        ("assumed", "Resolved, assumed", found.assumed, {**resolved, "confirmed": "false"}),
        *((key, label, counts[key], {"outcome": key}) for key, label in OUTCOMES[1:]),
    ]
    names = {"confirmed": "confirmed_resolutions", "assumed": "assumed_resolutions"}
    shares, offset = [], 0.0
    for key, label, count, named in parts:
        width = 100 * count / every if every else 0.0
        definition = FIGURES[names.get(key, f"{key}_conversations")].definition
        href = view.narrowed("/conversations", **named) if count else ""
        shares.append(Share(key, label, count, offset, width, definition, href))
        offset += width
    return shares


def _parts(
    every: list[int],
    some: tuple[str, list[int], Colour],
    others: str,
    hrefs: tuple[str, str],
) -> list[Column]:
    """Bars of all, parted into some (label, numbers, colour) and the others; where both are."""
    label, numbers, colour = some
    rest = [one - part for one, part in zip(every, numbers, strict=True)]
    return [
        Column(others, rest, formats.whole, kind="bar", href=hrefs[1]),
        Column(label, numbers, formats.whole, kind="bar", colour=colour, href=hrefs[0]),
    ]


def _response_time(
    points: Sequence[Point],
    rows: list[tuple[datetime | None, str]],
    cut: list[int],
    hrefs: list[str],
) -> Chart:
    return Chart(
        "response-time",
        "Response time",
        "How long do users wait for a reply?",
        rows,
        [
            Column(
                "Median",
                [point.response_time.p50 for point in points],
                formats.duration,
                unit="s",
            ),
            Column(
                "95th percentile",
                [point.response_time.p95 for point in points],
                formats.duration,
                colour="warn",
                unit="s",
            ),
        ],
        cut=cut,
        hrefs=hrefs,
        furthest=SLOWEST,
    )


def charts(series: Series, window: Window, view: View) -> list[Chart]:
    """The charts over time.

    Args:
        series: What they show.
        window: What it is the course of.
        view: The filters of the page.
    """
    course = Course.of(window, series.bucket)
    points, rows, cut = series.points, course.rows, course.cut

    def hrefs(path: str, **values: str) -> list[str]:
        return course.hrefs(view, path, **values)

    return [
        Chart(
            "conversations",
            "Conversations",
            "How many conversations start, and how many of them reach a human?",
            rows,
            _parts(
                [point.conversations for point in points],
                ("Handed off", [point.handoffs.conversations for point in points], "handoff"),
                "Without a handoff",
                (
                    view.narrowed(LIST, state="settled", handoff="true"),
                    view.narrowed(LIST, handoff="false"),
                ),
            ),
            cut=cut,
            hrefs=hrefs("/conversations"),
        ),
        Chart(
            "turns",
            "Turns",
            "How much is asked, and how much of it fails?",
            rows,
            _parts(
                [point.turns for point in points],
                ("Failed", [point.errors.turns for point in points], "bad"),
                "Without error",
                (
                    view.narrowed(TURN_LIST, failed="true"),
                    view.narrowed(TURN_LIST, failed="false"),
                ),
            ),
            cut=cut,
            hrefs=hrefs("/turns"),
        ),
        _response_time(points, rows, cut, hrefs(TURN_LIST, sort="-response")),
    ]


def outcome_meanings() -> list[tuple[str, str]]:
    """The definitions of all that the panel of outcomes shows."""
    return [
        *((label, FIGURES[f"{key}_conversations"].definition) for key, label in OUTCOMES),
        ("Contained", FIGURES["containment_ratio"].definition),
        ("Resolved, at least", FIGURES["resolution_ratio_low"].definition),
        ("Resolved, at most", FIGURES["resolution_ratio_high"].definition),
    ]
