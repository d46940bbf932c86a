"""The report for people: as text, as Markdown, and as a page that prints well."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Final, Literal

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from otel_chat._version import __version__
from otel_chat.server.pages import formats
from otel_chat.server.pages.assets import ROOT

if TYPE_CHECKING:
    from otel_chat.server.questions.report import Line, Report, Unit

Rendered = Literal["text", "markdown", "html"]
WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_FILES: Final[dict[Rendered, str]] = {
    "text": "report.txt.jinja",
    "markdown": "report.md.jinja",
    "html": "report.html.jinja",
}
_MARKDOWN: Final = re.compile(r"([\\`*_{}\[\]<>()#+!|~-])")
_WIDTH: Final = 700.0
_HEIGHT: Final = 120.0


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of a chart, in the units of its drawing."""

    x: float
    y: float
    width: float
    height: float
    title: str


def bars(values: Sequence[float | None], titles: Sequence[str]) -> list[Bar]:
    """Upright bars side by side in a box of 700 by 120, the largest value as high as the box.

    Example:
        >>> [(bar.x, bar.height) for bar in bars([1, 2], ["a", "b"])]
        [(0.0, 60.0), (350.0, 120.0)]
        >>> [bar.height for bar in bars([0, None], ["a", "b"])]
        [0.0, 0.0]
    """
    top = max((value for value in values if value), default=1)
    step = _WIDTH / max(len(values), 1)
    drawn = []
    for index, (value, title) in enumerate(zip(values, titles, strict=True)):
        height = round(_HEIGHT * (value or 0) / top, 2)
        x, y = round(index * step, 2), round(_HEIGHT - height, 2)
        drawn.append(Bar(x, y, round(step * 0.8, 2), height, title))
    return drawn


def plain(text: str) -> str:
    r"""Text on one line, without what would steer a terminal.

    Example:
        >>> plain("two\nlines \x1b[31m")
        'two lines [31m'
    """
    kept = (" " if char.isspace() else char for char in text)
    return "".join(char for char in kept if unicodedata.category(char)[0] != "C")


def markdown(text: str) -> str:
    r"""Text for Markdown, with what has a meaning there escaped.

    Example:
        >>> markdown("a|b *c*")
        'a\\|b \\*c\\*'
    """
    return _MARKDOWN.sub(r"\\\1", plain(text))


def value(number: float | None, unit: Unit) -> str:
    """A figure for people.

    Example:
        >>> value(None, "count"), value(1234, "count"), value(2.345, "number")
        ('no data', '1,234', '2.3')
    """
    if number is None:
        return formats.NO_DATA
    written: dict[str, Callable[[float], str]] = {
        "count": lambda n: formats.count(round(n)),
        "number": lambda n: f"{n:,.1f}",
        "s": formats.duration,
        "ratio": formats.percent,
        "score": formats.score,
        "USD": lambda n: formats.money(Decimal(repr(n))),
    }
    return written[unit](number)


def change(line: Line) -> str:
    """How a figure moved: shares in points, all others in per cent.

    Example:
        >>> from otel_chat.server.questions.report import Line
        >>> common = {"name": "x", "label": "x", "previous": 0.5, "relative": 0.1}
        >>> change(Line(**common, unit="ratio", value=0.55, difference=0.05))
        '+5.0 points'
        >>> change(Line(**common, unit="s", value=0.55, difference=0.05))
        '+10 %'
    """
    if line.difference is None:
        return "\u2013"
    if line.difference == 0:
        return "\u00b10"
    if line.unit == "ratio":
        return f"{line.difference * 100:+.1f} points".replace("-", "\u2212")
    if line.relative is None:
        return "new"
    return f"{line.relative * 100:+,.0f} %".replace("-", "\u2212")


def moved(now: int, before: int) -> str:
    """How a count moved.

    Example:
        >>> moved(5, 3), moved(3, 3), moved(1003, 3)
        ('+2', '±0', '+1,000')
    """
    if now == before:
        return "\u00b10"
    return f"{now - before:+,}".replace("-", "\u2212")


@cache
def environment() -> Environment:
    """The templates of reports, with what they may call."""
    made = Environment(
        loader=PackageLoader("otel_chat.server.report"),
        autoescape=select_autoescape(enabled_extensions=("html.jinja",)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters |= {
        "change": change,
        "markdown": markdown,
        "percent": formats.percent,
        "plain": plain,
        "when": formats.when,
    }
    made.globals |= {"bars": bars, "moved": moved, "value": value, "weekdays": WEEKDAYS}
    return made


@cache
def style() -> Markup:
    """The style of a report, to stand in its file."""
    return Markup((ROOT / "css" / "report.css").read_text(encoding="utf-8"))  # noqa: S704 - ours


def labels_of(report: Report) -> list[str]:
    """What the points of a report's course are called."""
    hourly = len(report.over_time) > 1 and (
        (report.over_time[1].start - report.over_time[0].start).total_seconds() < 86_400  # noqa: PLR2004
    )
    return [formats.bucket(point.start, by_day=not hourly) for point in report.over_time]


def render(report: Report, form: Rendered) -> str:
    """The report in one of its forms.

    Args:
        report: The report.
        form: text, markdown or html. The page holds all that it needs, and loads nothing.
    """
    template = environment().get_template(_FILES[form])
    rendered: str = template.render(
        report=report, labels=labels_of(report), style=style(), version=__version__
    )
    return rendered
