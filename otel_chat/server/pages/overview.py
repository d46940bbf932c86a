"""What the overview shows: cards, charts and outcomes, made of the answers of the queries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from otel_chat.semconv import LOW_CONFIDENCE_THRESHOLD
from otel_chat.server.pages import formats
from otel_chat.server.pages.charts import Chart, Column, row_label, sparkline
from otel_chat.server.queries.registry import FIGURES
from otel_chat.server.queries.window import BUCKETS

if TYPE_CHECKING:
    from otel_chat.server.queries.overview import Change, Overview, Point, Series

Better = Literal["up", "down", "neither"]


@dataclass(frozen=True, slots=True)
class Trend:
    """How a figure moved against the window before.

    Args:
        text: The change in words.
        direction: Where it moved.
        tone: Whether that is good.
        before: The figure in the window before.
    """

    text: str
    direction: Literal["up", "down", "same"]
    tone: Literal["good", "bad", "plain"]
    before: str


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
    """

    key: str
    label: str
    count: int
    offset: float
    width: float
    definition: str


def meanings(*names: str) -> list[tuple[str, str]]:
    """Labels and definitions of figures, by name.

    Example:
        >>> import otel_chat.server.queries.overview
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
) -> Trend | None:
    """A change in words; `None` where there is nothing to compare with.

    Args:
        change: The figure and the one before.
        written: How the figure is written.
        better: Which direction is good.
        ratio: Whether it is a share, whose change is told in points.
        subject: What moved, where it is not the card's own figure.
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
    if better != "neither":
        tone = "good" if direction == better else "bad"
    if amount >= 1000 and not ratio:  # noqa: PLR2004 - a factor reads better
        return Trend(f"{subject}\u00d7{1 + moved:,.0f}", direction, tone, before)
    return Trend(f"{subject}{amount:,.{digits}f}{unit}", direction, tone, before)


def _whole(value: float | None) -> str:
    return formats.count(None if value is None else round(value))


def _line(points: Sequence[Point], read: Callable[[Point], float | None]) -> str:
    return sparkline([read(point) for point in points])


def cards(overview: Overview, series: Series) -> list[Card]:
    """The headline figures, in the order of the page."""
    return [
        *_volume_cards(overview, series.points),
        *_quality_cards(overview, series.points),
        *_spending_cards(overview, series.points),
    ]


def _volume_cards(o: Overview, points: Sequence[Point]) -> list[Card]:
    failed = o.errors.turns
    return [
        Card(
            key="turns",
            label="Turns",
            value=formats.compact(o.turns),
            note=f"{formats.count(failed)} failed ({formats.percent(o.errors.rate)})"
            if failed
            else ("none failed" if o.turns else "none yet"),
            sample=formats.plural(o.messages, "message"),
            meanings=meanings("turns", "failed_turns", "messages"),
            trend=trend(o.changes["turns"], _whole, better="neither"),
            line=_line(points, lambda p: p.turns),
            alarm=failed > 0,
        ),
        Card(
            key="conversations",
            label="Conversations",
            value=formats.compact(o.conversations),
            note=f"{o.engagement.turns:.1f} turns each"
            if o.engagement.turns is not None
            else "none yet",
            sample=f"{formats.count(o.containment.settled)} settled",
            meanings=meanings("conversations", "mean_length_turns", "settled_conversations"),
            trend=trend(o.changes["conversations"], _whole, better="neither"),
            line=_line(points, lambda p: p.conversations),
        ),
        Card(
            key="active",
            label="Active now",
            value=formats.compact(o.active_conversations),
            note="open conversations",
            sample=f"of {formats.count(o.conversations)}",
            meanings=meanings("active_conversations", "open_conversations"),
        ),
    ]


def _quality_cards(o: Overview, points: Sequence[Point]) -> list[Card]:
    time, confidence = o.response_time, o.confidence
    return [
        Card(
            key="response-time",
            label="Response time",
            value=formats.duration(time.p50),
            note=f"median · p95 {formats.duration(time.p95)}" if time.count else "median",
            sample=formats.plural(time.count, "turn"),
            meanings=[
                *meanings("response_time", "time_to_first_chunk"),
                ("Median, p95", "Half of the turns, and 95 % of them, took no longer."),
            ],
            trend=trend(
                o.changes["response_time_p95"], formats.duration, better="down", subject="p95 "
            ),
            line=_line(points, lambda p: p.response_time.p50),
        ),
        Card(
            key="confidence",
            label="Confidence",
            value=formats.score(confidence.mean),
            note=f"{formats.percent(confidence.low_rate)} unsure (below {LOW_CONFIDENCE_THRESHOLD})"
            if confidence.count
            else "mean",
            sample=formats.plural(confidence.count, "turn"),
            meanings=meanings("mean_confidence", "low_confidence_ratio"),
            trend=trend(o.changes["confidence"], formats.score, better="up"),
            line=_line(points, lambda p: p.confidence.mean),
        ),
        Card(
            key="handoffs",
            label="Handoffs",
            value=formats.percent(o.handoffs.rate),
            note=formats.plural(o.handoffs.conversations, "conversation"),
            sample=f"of {formats.count(o.conversations)}",
            meanings=meanings("handoff_ratio", "handoff_conversations"),
            trend=trend(o.changes["handoffs"], formats.percent, better="down", ratio=True),
            line=_line(points, lambda p: p.handoffs.rate),
        ),
    ]


def _spending_cards(o: Overview, points: Sequence[Point]) -> list[Card]:
    tokens, cost = o.tokens, o.cost
    return [
        Card(
            key="tokens",
            label="Tokens",
            value=formats.compact(tokens.total),
            note=f"{formats.compact(tokens.input)} in · {formats.compact(tokens.output)} out"
            if tokens.total is not None
            else "none reported",
            sample=formats.plural(tokens.turns, "turn"),
            meanings=meanings("total_tokens", "input_tokens", "output_tokens"),
            trend=trend(o.changes["tokens"], _whole, better="neither"),
            line=_line(points, lambda p: p.tokens.total),
        ),
        Card(
            key="cost",
            label="Cost",
            value=formats.money(cost.amount),
            note=f"{formats.plural(cost.unpriced_turns, 'turn')} without a price"
            if cost.unpriced_turns
            else ("of models" if cost.priced_turns else "no model with a price"),
            sample=f"{formats.plural(cost.priced_turns, 'turn')} priced",
            meanings=meanings("cost", "unpriced_turns"),
            trend=trend(o.changes["cost"], formats.money, better="neither"),
            line=_line(points, lambda p: None if p.cost.amount is None else float(p.cost.amount)),
        ),
    ]


OUTCOMES: Final = (
    ("resolved", "Resolved"),
    ("handed_off", "Handed off"),
    ("abandoned", "Abandoned"),
    ("failed", "Failed"),
    ("open", "Open"),
)


def outcomes(overview: Overview) -> list[Share]:
    """The conversations by outcome, as parts of all of them."""
    counts = overview.outcomes.model_dump()
    whole = sum(counts.values())
    shares, offset = [], 0.0
    for key, label in OUTCOMES:
        width = 100 * counts[key] / whole if whole else 0.0
        definition = FIGURES[f"{key}_conversations"].definition
        shares.append(Share(key, label, counts[key], offset, width, definition))
        offset += width
    return shares


def charts(series: Series) -> list[Chart]:
    """The charts over time."""
    width = BUCKETS[series.bucket]
    rows = [(point.start, row_label(point.start, width)) for point in series.points]
    points = series.points
    return [
        Chart(
            "turns",
            "Turns",
            "How much is asked, and how much of it fails?",
            rows,
            [
                Column(
                    "Without error",
                    [point.turns - point.errors.turns for point in points],
                    _whole,
                    kind="bar",
                ),
                Column(
                    "Failed",
                    [point.errors.turns for point in points],
                    _whole,
                    kind="bar",
                    colour="bad",
                ),
            ],
        ),
        Chart(
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
        ),
    ]


def outcome_meanings() -> list[tuple[str, str]]:
    """The definitions of all that the panel of outcomes shows."""
    return [
        *((label, FIGURES[f"{key}_conversations"].definition) for key, label in OUTCOMES),
        ("Contained", FIGURES["containment_ratio"].definition),
        ("Resolved, at least", FIGURES["resolution_ratio_low"].definition),
        ("Resolved, at most", FIGURES["resolution_ratio_high"].definition),
    ]
