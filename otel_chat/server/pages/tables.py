"""Tables of figures: what their cells say, what their columns mean, where they lead."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, Generic, Literal, TypeVar

from otel_chat.server.figures.registry import FIGURES
from otel_chat.server.pages import formats

T = TypeVar("T")
Tone = Literal["", "good", "bad", "warn"]
SHOWN: Final = 50


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a table.

    Args:
        text: What stands in it.
        href: Where it leads; empty for nowhere.
        share: The length of the bar beside it, 0 to 1; `None` for no bar.
        tone: Whether it tells of something good or bad.
        tag: Whether the text is a name of the user's, set apart from ours.
        line: The path of a small line beside it, in a box of 100 by 24.
        parts: Parts of a whole, drawn as a bar: the name of a colour, offset and width, 0 to 1.
        quoted: Whether it is what somebody wrote.
        sub: What stands below it, smaller.
        whiskers: Intervals to draw: the name of a colour, low end, figure, high end, 0 to 1.
        items: Texts beneath each other, and where each leads.
        counts: How many entries the list has that it leads to, where the text counts them.
        furthest: Where that list is in an order instead, which end of it comes first.
    """

    text: str
    href: str = ""
    share: float | None = None
    tone: Tone = ""
    tag: bool = False
    line: str = ""
    parts: Sequence[tuple[str, float, float]] = ()
    quoted: bool = False
    sub: str = ""
    whiskers: Sequence[tuple[str, float, float, float]] = ()
    items: Sequence[tuple[str, str]] = ()
    counts: int | None = None
    furthest: str = ""

    @property
    def empty(self) -> bool:
        """Whether there is nothing to show."""
        return self.text == formats.NO_DATA


@dataclass(frozen=True, slots=True)
class Head(Generic[T]):
    """A column of a table.

    Args:
        label: What it is called.
        cell: What a row says in it.
        number: Whether it holds figures.
        figure: The figure whose meaning is told on demand; empty for none.
    """

    label: str
    cell: Callable[[T], Cell | str]
    number: bool = True
    figure: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A table.

    Args:
        key: A name for it, unique on its page.
        title: What it shows.
        question: The question that it answers.
        heads: Labels of the columns, and whether they hold figures.
        rows: The cells.
        meanings: Names and definitions of its figures.
        nothing: What is said where there are no rows.
        how: What to write, so that there are some; empty where nothing has to be reported.
        rest: What is said of rows that are not shown.
        wide: Whether it takes the whole width of the page.
        legend: The colours of the parts in its bars: their names, and what they stand for.
        field: A parameter that can be given below it, and what it is called; none without.
        link: What more of it is called, and where it is; none without.
        orders: Of each column where a click on its head leads, and how the table is sorted by
            it, as aria-sort has it; empty where none can be sorted by.
    """

    form: ClassVar[str] = "table"
    key: str
    title: str
    question: str
    heads: Sequence[tuple[str, bool]]
    rows: Sequence[Sequence[Cell]]
    meanings: Sequence[tuple[str, str]]
    nothing: str
    rest: str = ""
    wide: bool = False
    legend: Sequence[tuple[str, str]] = ()
    field: tuple[str, str] | None = None
    link: tuple[str, str] | None = None
    orders: Sequence[tuple[str, str]] = ()
    how: str = ""


def table(  # noqa: PLR0913 - what a table is made of
    key: str,
    title: str,
    question: str,
    heads: Sequence[Head[T]],
    items: Iterable[T],
    *,
    nothing: str,
    others: int = 0,
    wide: bool = False,
    shown: int = SHOWN,
    legend: Sequence[tuple[str, str]] = (),
    more: Sequence[tuple[str, str]] = (),
    how: str = "",
) -> Table:
    """A table of items, one to a row.

    Args:
        key: A name for it, unique on the page.
        title: What it shows.
        question: The question that it answers.
        heads: Its columns.
        items: Its rows.
        nothing: What to say where there are none.
        others: How many items the answer itself leaves out.
        wide: Whether it takes the whole width of the page.
        shown: How many rows at most.
        legend: The colours of the parts in its bars: their names, and what they stand for.
        more: Names and definitions beside those of the columns.
        how: What to write, so that there are some; empty where nothing has to be reported.

    Example:
        >>> made = table("t", "Words", "Which?", [Head("Word", str.upper, number=False)], ["a"],
        ...     nothing="None.")
        >>> made.rows[0][0].text
        'A'
    """
    every = list(items)
    left = others + max(len(every) - shown, 0)
    rows = [[_cell(head.cell(item)) for head in heads] for item in every[:shown]]
    told = [*more]
    told += [(head.label, FIGURES[head.figure].definition) for head in heads if head.figure]
    return Table(
        key, title, question, [(head.label, head.number) for head in heads], rows, told,
        nothing, f"{left:,} more not shown." if left else "", wide, legend, how=how,
    )  # fmt: skip


def counted(number: int, href: str, share: float | None = None) -> Cell:
    """A number that opens what it counts.

    Args:
        number: How many there are.
        href: Where the list of them is, and of no others.
        share: The length of the bar beside it, 0 to 1; `None` for no bar.

    Example:
        >>> counted(3, "/conversations?topic=x").href, counted(0, "/conversations?topic=x").href
        ('/conversations?topic=x', '')
    """
    return Cell(formats.count(number), href if number else "", share, counts=number)


def furthest(text: str, href: str, words: str, share: float | None = None) -> Cell:
    """A sum, a mean or a quantile, which opens what it is of, in an order.

    Args:
        text: The figure; "no data" opens nothing.
        href: Where the list is.
        words: Which end of it comes first.
        share: The length of the bar beside it, 0 to 1; `None` for no bar.

    Example:
        >>> furthest("2 s", "/turns?sort=-response", "the slowest first").furthest
        'the slowest first'
        >>> furthest("no data", "/turns?sort=-response", "the slowest first").href
        ''
    """
    opens = href if text != formats.NO_DATA else ""
    return Cell(text, opens, share, furthest=words if opens else "")


def _cell(made: Cell | str) -> Cell:
    return made if isinstance(made, Cell) else Cell(made)


def rate(
    value: float | None,
    *,
    bad_from: float | None = None,
    part: int = 0,
    of: int = 0,
    href: str = "",
) -> Cell:
    """A share of 1 with a bar.

    Args:
        value: The share.
        bad_from: From where on it is bad news.
        part: How many it is, where these can be opened.
        of: Of how many, where that has an interval.
        href: Where their list is.
    """
    bad = value is not None and bad_from is not None and value >= bad_from
    opens = href if part else ""
    return Cell(
        formats.percent(value),
        opens,
        share=value,
        tone="bad" if bad else "",
        sub=formats.interval(part, of),
        counts=part if opens else None,
    )
