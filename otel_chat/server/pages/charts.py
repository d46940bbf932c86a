"""Charts: series over time as a table that a script draws, and small lines drawn here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar, Final, Literal

from otel_chat.server.pages import formats

WIDTH: Final = 100.0
HEIGHT: Final = 24.0
_PAD: Final = 2.0

if TYPE_CHECKING:
    from otel_chat.server.figures.window import Bucket, Window
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
        axis: What the rows are; of moments their time.
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
    axis: str = ""
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
    def across(self) -> str:
        """What the rows are, of moments with the time zone of their labels."""
        moment = self.rows[0][0] if self.rows else None
        return self.axis or (f"Time ({moment.tzname()})" if moment else "Time")

    @property
    def empty(self) -> bool:
        """Whether there is nothing to draw."""
        return not any(value for column in self.columns for value in column.values)


@dataclass(frozen=True, slots=True)
class Course:
    """The buckets of charts over time, by the clock of the window's time zone.

    Args:
        window: What they are parts of.
        edges: When they begin, in order, and when the last of them ends.
    """

    window: Window
    edges: Sequence[datetime]

    @classmethod
    def of(cls, window: Window, bucket: Bucket) -> Course:
        """Those that a window has.

        Example:
            >>> from datetime import UTC
            >>> noon = datetime(2026, 3, 4, 12, tzinfo=UTC)
            >>> from otel_chat.server.figures.window import Window
            >>> asked = Window(noon - timedelta(minutes=30), noon + timedelta(hours=1), now=noon)
            >>> found = Course.of(asked, "1h")
            >>> found.labels, found.cut
            (['4 Mar, 11:00', '4 Mar, 12:00'], [0])
        """
        return cls(window, window.bucket_edges(bucket))

    @property
    def labels(self) -> list[str]:
        """What each is called."""
        least = min(end - start for start, end in pairwise(self.edges))
        by_day = least > timedelta(hours=12)
        return [formats.bucket(start, by_day=by_day) for start in self.edges[:-1]]

    @property
    def rows(self) -> list[tuple[datetime | None, str]]:
        """The rows of a chart."""
        return list(zip(self.edges[:-1], self.labels, strict=True))

    @property
    def cut(self) -> list[int]:
        """Those of which the window holds a part only, by their index."""
        window = self.window
        return [
            index
            for index, (start, end) in enumerate(pairwise(self.edges))
            if start < window.start or end > window.end
        ]

    def hrefs(self, view: View, path: str, **values: str) -> list[str]:
        """Where the list of each is, as far as the window holds it.

        Args:
            view: The filters of the page.
            path: The page of the list.
            values: What the lists are limited to, and their order.
        """
        window = self.window
        return [
            view.within(path, max(start, window.start), min(end, window.end), **values)
            for start, end in pairwise(self.edges)
        ]


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
