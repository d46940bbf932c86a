"""Charts: series over time as a table that a script draws, and small lines drawn here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, ClassVar, Final, Literal

WIDTH: Final = 100.0
HEIGHT: Final = 24.0
_PAD: Final = 2.0

if TYPE_CHECKING:
    from otel_chat.server.figures.answers import TimeSpan
    from otel_chat.server.figures.window import Window
    from otel_chat.server.pages.links import View

Colour = Literal["accent", "accent-soft", "bad", "handoff", "warn", "ok"]


@dataclass(frozen=True, slots=True)
class Column:
    """A series of a chart, and a column of the table below it.

    Args:
        label: What it shows.
        values: A value for each row; `None` where there is no data.
        written: How a value is written for people.
        kind: How it is drawn.
        colour: A name of the palette.
        unit: s, USD, By (bytes), 1 (a ratio) or a count.
        band: Whether the space down to the series before is filled.
        href: Where all of the series is; empty for nowhere.
    """

    label: str
    values: Sequence[float | None]
    written: Callable[[float | None], str]
    kind: Literal["bar", "line"] = "line"
    colour: Colour = "accent"
    unit: Literal["s", "USD", "By", "1", "count"] = "count"
    band: bool = False
    href: str = ""

    @property
    def counts(self) -> int | None:
        """How many entries that list has; `None` where the series counts none."""
        counting = self.kind == "bar" and self.unit == "count"
        return round(sum(value or 0 for value in self.values)) if counting else None


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart over time, or over the steps of a scale.

    Args:
        key: A name for it, unique on its page.
        title: What it shows.
        question: The question that it answers.
        rows: The moments, each with the label for its row; of a scale its steps, without moments.
        columns: The series.
        axis: What the rows are.
        meanings: Names and definitions of its figures.
        sample: Over how many turns or conversations.
        mark: A line to draw: before which row it stands, and what it says.
        wide: Whether it takes the whole width of the page.
        cut: The rows that the window's edge cuts, which hold a part of their bucket only.
        how: What to write, so that there is something to draw; empty where nothing has to be.
        hrefs: Where each row leads, in their order; empty for nowhere.
        furthest: Of rows that lead to a list in an order, which end of it comes first.
    """

    form: ClassVar[str] = "chart"
    key: str
    title: str
    question: str
    rows: Sequence[tuple[datetime | None, str]]
    columns: Sequence[Column]
    axis: str = "Time (UTC)"
    meanings: Sequence[tuple[str, str]] = ()
    sample: str = ""
    mark: tuple[int, str] | None = None
    wide: bool = False
    cut: Sequence[int] = ()
    how: str = ""
    hrefs: Sequence[str] = ()
    furthest: str = ""

    def counts(self, row: int) -> int | None:
        """How many entries a row's list has: of bars their sum; `None` of what is no number."""
        if self.furthest or any(column.counts is None for column in self.columns):
            return None
        return round(sum(column.values[row] or 0 for column in self.columns))

    @property
    def empty(self) -> bool:
        """Whether there is nothing to draw."""
        return not any(value for column in self.columns for value in column.values)


def cut_rows(starts: Sequence[datetime], width: timedelta, window: Window | TimeSpan) -> list[int]:
    """The buckets of which a window holds a part only, by their index.

    Example:
        >>> noon = datetime(2026, 3, 4, 12, tzinfo=UTC)
        >>> from otel_chat.server.figures.window import Window
        >>> window = Window(noon - timedelta(minutes=30), noon + timedelta(hours=1), now=noon)
        >>> cut_rows([noon - timedelta(hours=1), noon], timedelta(hours=1), window)
        [0]
    """
    return [
        index
        for index, start in enumerate(starts)
        if start < window.start or start + width > window.end
    ]


def bucket_hrefs(
    view: View,
    path: str,
    starts: Sequence[datetime],
    width: timedelta,
    window: Window | TimeSpan,
    **values: str,
) -> list[str]:
    """Where the list of each bucket is, as far as the window holds it.

    Args:
        view: The filters of the page.
        path: The page of the list.
        starts: When the buckets begin.
        width: How long each is.
        window: What they are parts of.
        values: What the lists are limited to, and their order.
    """
    ends = (min(start + width, window.end) for start in starts)
    return [
        view.within(path, max(start, window.start), end, **values)
        for start, end in zip(starts, ends, strict=True)
    ]


def row_label(moment: datetime, width: timedelta) -> str:
    """The label of a bucket of time that starts at `moment`, in UTC.

    Example:
        >>> noon = datetime(2026, 3, 4, 12, tzinfo=UTC)
        >>> row_label(noon, timedelta(hours=1)), row_label(noon, timedelta(days=1))
        ('4 Mar, 12:00', '4 Mar')
    """
    utc = moment.astimezone(UTC)
    day = f"{utc.day} {utc:%b}"
    return day if width >= timedelta(days=1) else f"{day}, {utc:%H:%M}"


def sparkline(values: Sequence[float | None]) -> str:
    """The path of a small line through `values`, in a box of 100 by 24; gaps where there is none.

    Example:
        >>> sparkline([0, 10])
        'M0.0 22.0L100.0 2.0'
        >>> sparkline([1, None, 1, 1])
        'M66.7 2.0L100.0 2.0'
        >>> sparkline([0, 0]), sparkline([None])
        ('M0.0 22.0L100.0 22.0', '')
    """
    known = [value for value in values if value is not None]
    if len(values) < 2 or not known:  # noqa: PLR2004 - a line needs two ends
        return ""
    top = max(known)
    room = HEIGHT - 2 * _PAD
    parts: list[str] = []
    for start, run in _runs(values):
        if len(run) > 1:
            points = [
                f"{WIDTH * (start + i) / (len(values) - 1):.1f}"
                f" {HEIGHT - _PAD - (room * value / top if top else 0):.1f}"
                for i, value in enumerate(run)
            ]
            parts.append("M" + "L".join(points))
    return "".join(parts)


def _runs(values: Sequence[float | None]) -> list[tuple[int, list[float]]]:
    """Stretches without a gap, each with the index of its first value."""
    runs: list[tuple[int, list[float]]] = []
    for index, value in enumerate(values):
        if value is None:
            continue
        if runs and runs[-1][0] + len(runs[-1][1]) == index:
            runs[-1][1].append(value)
        else:
            runs.append((index, [value]))
    return runs
