"""Grids: figures by two things at once, the more of them the deeper the colour."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

DEPTHS: Final = 8


@dataclass(frozen=True, slots=True)
class Square:
    """A cell of a grid.

    Args:
        text: Its figure, for whoever hears the page or saves it.
        tip: Row, column and figure in words.
        depth: How deep its colour is, 0 to `DEPTHS`.
        href: Where what it counts is; empty for nowhere.
        counts: How many entries that list has.
    """

    text: str
    tip: str
    depth: int
    href: str = ""
    counts: int | None = None


@dataclass(frozen=True, slots=True)
class Grid:
    """A grid.

    Args:
        key: A name for it, unique on the page.
        title: What it shows.
        question: The question that it answers.
        corner: What rows and columns are.
        columns: Labels of the columns, and whether each is shown or only said.
        rows: The label of each row, and its cells.
        hrefs: Where all that a row counts is, in their order; empty for nowhere.
        meanings: Names and definitions of its figures.
        sample: Over how many turns or conversations.
        zones: The time zones to choose from; the chosen one first.
        wide: Whether it takes the whole width of the page.
    """

    form: ClassVar[str] = "grid"
    key: str
    title: str
    question: str
    corner: str
    columns: Sequence[tuple[str, bool]]
    rows: Sequence[tuple[str, Sequence[Square]]]
    meanings: Sequence[tuple[str, str]] = ()
    sample: str = ""
    zones: Sequence[str] = ()
    wide: bool = True
    hrefs: Sequence[tuple[str, int]] = ()

    @property
    def empty(self) -> bool:
        """Whether there is nothing to show."""
        return not any(cell.depth for _, cells in self.rows for cell in cells)


def depth(value: int, most: int) -> int:
    """How deep the colour of a figure is, beside the greatest one of its grid.

    The root makes the many small figures of a skewed grid tell from none.

    Example:
        >>> [depth(value, 400) for value in (0, 1, 100, 400)]
        [0, 1, 4, 8]
    """
    if not value or not most:
        return 0
    return max(1, round(DEPTHS * math.sqrt(value / most)))


def sparse(labels: Sequence[str], shown: int) -> list[tuple[str, bool]]:
    """Labels of columns, of which about so many are shown.

    Example:
        >>> sparse(["a", "b", "c", "d"], 2)
        [('a', True), ('b', False), ('c', True), ('d', False)]
    """
    step = max(1, -(-len(labels) // shown))
    # The last one would reach over the edge, for it begins where its column does.
    fits = len(labels) - step / 2
    return [(label, index % step == 0 and index <= fits) for index, label in enumerate(labels)]
