"""The page of comparison: two groups side by side, and whether they really differ."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar, Final, get_args

from otel_chat._common.moments import end_of, first_of
from otel_chat.errors import QueryError
from otel_chat.server.api.comparison import sides_of
from otel_chat.server.figures.registry import FIGURES, Quotient
from otel_chat.server.pages import formats
from otel_chat.server.pages.links import LIST, TURN_LIST
from otel_chat.server.pages.overview import Card, Opening, meanings
from otel_chat.server.pages.sheets import Asking, Body, Sheet
from otel_chat.server.pages.tables import Cell, Head, Table, Tone, table
from otel_chat.server.questions import choices, comparison
from otel_chat.server.questions.comparison import By

if TYPE_CHECKING:
    from otel_chat.server.questions.choices import Choices
    from otel_chat.server.questions.comparison import (
        Compared,
        Comparison,
        Estimate,
        SampleRatio,
    )

KINDS: Final[tuple[tuple[By, str, str], ...]] = (
    ("period", "Period", ""),
    ("agent", "Agent", "agents"),
    ("version", "Version", "agent_versions"),
    ("variant", "Variant", "variants"),
    ("model", "Model", "models"),
    ("prompt", "Prompt", "prompts"),
    ("prompt_version", "Prompt version", "prompt_versions"),
    ("channel", "Channel", "channels"),
)
OF_CHOICE: Final = ("by", "a", "b", "from_b", "to_b", "planned")
_FILTERS: Final[Mapping[str, str]] = {
    "agent": "agent",
    "version": "agent_version",
    "variant": "variant",
    "model": "model",
    "prompt": "prompt",
    "prompt_version": "prompt_version",
    "channel": "channel",
}
"""The filter by which groups of a kind are told apart; periods are by their times."""
_QUANTILES: Final = {
    "response_time_p50": "Response time, median",
    "response_time_p95": "Response time, p95",
    "time_to_first_chunk_p50": "First words, median",
    "time_to_first_chunk_p95": "First words, p95",
}
INTERVALS: Final = (
    "Interval",
    "Where the true figure lies with a confidence of 95 %. Few conversations make it wide.",
)
_TONES: Final[dict[str, Tone]] = {"better": "good", "worse": "bad"}
Written = Callable[[float | None], str]


@dataclass(frozen=True, slots=True)
class Choice:
    """What there is to compare, and what is compared.

    Args:
        by: What tells the groups apart.
        kinds: What could: the name, its label, and the address that compares by it.
        options: The groups that there are; none for periods.
        a: The first group.
        b: The second group.
        from_b: The start of the second period; none for the one before.
        to_b: Its end.
        planned: Of variants, the share of the first that was planned, in percent, as written.
    """

    form: ClassVar[str] = "choice"
    by: By
    kinds: Sequence[tuple[By, str, str]]
    options: Sequence[str]
    a: str
    b: str
    from_b: datetime | None = None
    to_b: datetime | None = None
    planned: str = "50"


def _number(value: float | None) -> str:
    return formats.NO_DATA if value is None else f"{value:,.1f}"


def _points(value: float | None) -> str:
    """A difference of shares, its size alone: two digits at least, for its sign stands before.

    Example:
        >>> [_points(v).replace("\u202f", " ") for v in (0, 0.0003, 0.0042, 0.056, 0.38)]
        ['0 pts', '0.03 pts', '0.4 pts', '5.6 pts', '38 pts']
    """
    if value is None:
        return formats.NO_DATA
    points = 100 * value
    digits = 0 if not points or points >= 9.95 else 1 if points >= 0.095 else 2  # noqa: PLR2004
    return f"{points:.{digits}f}{formats.THIN}pts"


def choice(asking: Asking, found: Choices) -> Choice:
    """What the address asks to compare; of groups that it does not name, the first two.

    Raises:
        QueryError: If the groups cannot be told apart by what it says.
    """
    by = asking.view.value("by") or "period"
    if by not in get_args(By):
        known = ", ".join(get_args(By))
        raise QueryError(f"Groups are told apart by one of {known}.", field="by")
    key, _, source = next(kind for kind in KINDS if kind[0] == by)
    options = getattr(found, source) if source else []
    a = asking.view.value("a") or next(iter(options), "")
    b = asking.view.value("b") or next((one for one in options if one != a), "")
    bare = asking.view.without_values(*OF_CHOICE)
    kinds = [(name, label, bare.narrowed("/compare", by=name)) for name, label, _ in KINDS]
    from_b, to_b = asking.view.value("from_b"), asking.view.value("to_b")
    times = (
        first_of(from_b, "from_b") if from_b else None,
        end_of(to_b, "to_b") if to_b else None,
    )
    planned = (asking.view.value("planned") or "50") if key == "variant" else ""
    return Choice(key, kinds, options, a if source else "", b if source else "", *times, planned)


def _planned(asked: Choice) -> float | None:
    if not asked.planned:
        return None
    try:
        percent = float(asked.planned)
    except ValueError:
        percent = math.nan
    if not 0 < percent < 100:  # noqa: PLR2004 - percent
        message = "The planned share of A is a number of percent between 0 and 100, as 50."
        raise QueryError(message, field="planned")
    return percent / 100


class Side:
    """Where the conversations and the turns of one of the two groups are.

    Args:
        asking: What the page is asked with.
        by: What tells the groups apart.
        group: The group.
    """

    def __init__(self, asking: Asking, by: By, group: comparison.Group) -> None:
        self.threshold = asking.store.rules.low_confidence
        self._view = asking.view.without_values(*OF_CHOICE)
        self._times = group.window
        known = _FILTERS.get(by, "")
        self._named = {known: group.name or ""} if known else {}

    def at(self, path: str, **values: str | Sequence[str]) -> str:
        """The address of a list of those that fulfil these filters, too."""
        named: dict[str, str | Sequence[str]] = {**self._named, **values}
        return self._view.within(path, self._times.start, self._times.end, **named)


def _cards(found: Comparison, groups: Sequence[Side]) -> list[Card]:
    names = ("A", "B") if found.by != "period" else ("A: this window", "B: the other period")
    return [
        Card(
            key=key,
            label=f"{key.upper()}: {group.name}" if group.name else name,
            value=formats.compact(group.conversations),
            note="conversation" if group.conversations == 1 else "conversations",
            opens=Opening("", of.at(LIST), group.conversations) if group.conversations else None,
            parts=[
                Opening(
                    formats.plural(group.turns, "turn"),
                    of.at(TURN_LIST) if group.turns else "",
                    group.turns,
                )
            ],
            sample=f"{formats.when(group.window.start)} to"
            f" {formats.when(group.window.end, zone=True)}",
            meanings=meanings("conversations", "turns"),
        )
        for key, name, group, of in (
            ("a", names[0], found.a, groups[0]),
            ("b", names[1], found.b, groups[1]),
        )
    ]


NUMERATORS: Final[dict[str, tuple[str, dict[str, str]]]] = {
    "containment_ratio": (LIST, {"state": "settled", "handoff": "false"}),
    "handoff_ratio": (LIST, {"state": "settled", "handoff": "true"}),
    "resolution_ratio_low": (LIST, {"outcome": "resolved", "confirmed": "true"}),
    "resolution_ratio_high": (LIST, {"outcome": "resolved"}),
    "abandonment_ratio": (LIST, {"outcome": "abandoned"}),
    "error_ratio": (TURN_LIST, {"failed": "true"}),
    "fallback_ratio": (TURN_LIST, {"fallback": "true"}),
    "low_confidence_ratio": (TURN_LIST, {}),
}
"""Of shares, the list of what they count."""
FURTHEST: Final[dict[str, tuple[str, dict[str, str], str]]] = {
    "csat_top_ratio": (LIST, {"rating_min": "0"}, "the conversations that were rated"),
    "response_time_p50": (TURN_LIST, {"sort": "-response"}, "the slowest first"),
    "response_time_p95": (TURN_LIST, {"sort": "-response"}, "the slowest first"),
    "time_to_first_chunk_p50": (TURN_LIST, {"sort": "-first_words"}, "the slowest first"),
    "time_to_first_chunk_p95": (TURN_LIST, {"sort": "-first_words"}, "the slowest first"),
    "tokens_per_turn": (TURN_LIST, {"sort": "-tokens"}, "most tokens first"),
    "cost_per_turn": (TURN_LIST, {"sort": "-cost"}, "the dearest first"),
    "mean_length_turns": (LIST, {"sort": "-turns"}, "the longest first"),
    "mean_length_messages": (LIST, {"sort": "-turns"}, "the longest first"),
    "mean_conversation_duration": (LIST, {"sort": "-duration"}, "the longest first"),
    "engagement_score": (LIST, {"sort": "engagement"}, "the least engaged first"),
}
"""Of means and quantiles, the list of what they are of, and which end of it comes first."""


def _opened(name: str, estimate: Estimate, cell: Cell, group: Side) -> Cell:
    """An estimate that opens what it counts, or what it is of."""
    if name in NUMERATORS and estimate.numerator:
        path, named = NUMERATORS[name]
        if name == "low_confidence_ratio":
            named = {"confidence_below": f"{group.threshold:g}"}
        return replace(cell, href=group.at(path, **named), counts=estimate.numerator)
    if name in FURTHEST and estimate.value is not None:
        path, named, words = FURTHEST[name]
        return replace(cell, href=group.at(path, **named), furthest=words)
    return cell


def _estimate(estimate: Estimate, written: Written) -> Cell:
    if estimate.value is None:
        return Cell(formats.NO_DATA, sub=f"of {estimate.count:,}")
    bounds = "too few for an interval"
    if estimate.low is not None and estimate.high is not None:
        bounds = f"{written(estimate.low)} to {written(estimate.high)}"
    of = f"of {estimate.count:,}"
    if estimate.numerator is not None:
        of = f"{estimate.numerator:,} of {estimate.count:,}"
    return Cell(written(estimate.value), sub=f"{bounds} \u00b7 {of}")


def whiskers(row: Compared) -> list[tuple[str, float, float, float]]:
    """Both intervals on a scale of their own: the name of a colour, low end, figure, high end.

    Example:
        >>> from otel_chat.server.questions.comparison import Compared, Estimate
        >>> a = Estimate(value=2, low=1, high=3, count=9)
        >>> row = Compared(figure="x", better="lower", a=a, b=a, difference=0, difference_low=None,
        ...     difference_high=None, verdict="no clear difference")
        >>> whiskers(row)[0]
        ('a', 0.0, 0.5, 1.0)
    """
    drawn = [
        (name, one.low, one.value, one.high)
        for name, one in (("a", row.a), ("b", row.b))
        if one.low is not None and one.value is not None and one.high is not None
    ]
    if not drawn:
        return []
    least = min(low for _, low, _, _ in drawn)
    span = max(high for _, _, _, high in drawn) - least
    if not span:
        return []
    return [
        (name, (low - least) / span, (value - least) / span, (high - least) / span)
        for name, low, value, high in drawn
    ]


def _difference(row: Compared, written: Written) -> Cell:
    if row.difference is None:
        return Cell(formats.NO_DATA)
    written = _points if written is formats.percent else written
    sign = "+" if row.difference > 0 else "\u2212" if row.difference < 0 else ""
    bounds = ""
    if row.difference_low is not None and row.difference_high is not None:
        bounds = (
            f"{_signed(row.difference_low, written)} to {_signed(row.difference_high, written)}"
        )
    return Cell(f"{sign}{written(abs(row.difference))}", sub=bounds)


def _signed(value: float, written: Written) -> str:
    return f"{'+' if value > 0 else chr(0x2212) if value < 0 else ''}{written(abs(value))}"


def _label(name: str) -> str:
    known = FIGURES.get(name)
    return known.label if isinstance(known, Quotient) else _QUANTILES[name]


def _meaning(name: str) -> tuple[str, str]:
    figure = name.removesuffix("_p50").removesuffix("_p95")
    return _label(name), FIGURES[figure].definition


def _table(
    key: str,
    title: str,
    question: str,
    rows: Sequence[tuple[Compared, Written]],
    groups: Sequence[Side],
) -> Table:
    def side(row: tuple[Compared, Written], estimate: Estimate, group: Side) -> Cell:
        return _opened(row[0].figure, estimate, _estimate(estimate, row[1]), group)

    def verdict(row: tuple[Compared, Written]) -> Cell:
        said = row[0].verdict
        words = f"A is {said}" if said in {"better", "worse", "higher", "lower"} else said
        return Cell(words, tone=_TONES.get(said, ""))

    heads: list[Head[tuple[Compared, Written]]] = [
        Head("Figure", lambda r: _label(r[0].figure), number=False),
        Head("A", lambda r: side(r, r[0].a, groups[0])),
        Head("B", lambda r: side(r, r[0].b, groups[1])),
        Head("Intervals", lambda r: Cell("", whiskers=whiskers(r[0])), number=False),
        Head("A \u2212 B", lambda r: _difference(r[0], r[1])),
        Head("Verdict", verdict, number=False),
    ]
    told = [INTERVALS, *(_meaning(row.figure) for row, _ in rows)]
    return table(
        key, title, question, heads, rows, nothing="", wide=True, more=told,
        legend=(("group-a", "A"), ("group-b", "B")),
    )  # fmt: skip


def _tables(found: Comparison, groups: Sequence[Side]) -> list[Table]:
    written: dict[str, Written] = {"USD": formats.money, "s": formats.duration}
    return [
        _table(
            "shares",
            "Shares",
            "Does one of them end better, or fail less often?",
            [(row, formats.percent) for row in found.rates],
            groups,
        ),
        _table(
            "times",
            "Times",
            "Is one of them faster?",
            [(row, formats.duration) for row in found.quantiles],
            groups,
        ),
        _table(
            "means",
            "Means",
            "Does one of them cost more, or hold people longer?",
            [(row, written.get(FIGURES[row.figure].unit, _number)) for row in found.means],
            groups,
        ),
    ]


def body(asking: Asking) -> Body:
    """What stands on the page of comparison."""
    asked = choice(asking, choices.choices(asking.store, asking.scope, asking.window))
    if asked.by != "period" and not (asked.a and asked.b):
        return Body(panels=[asked], notice=_too_few(asked))
    sides = sides_of(
        asking.window,
        asked.by,
        asked.a or None,
        asked.b or None,
        asking.view.value("from_b") or None,
        asking.view.value("to_b") or None,
        planned=_planned(asked),
    )
    found = comparison.comparison(asking.store, asking.scope, asking.window, asking.filters, sides)
    some = found.a.conversations or found.b.conversations or found.a.turns or found.b.turns
    if not some:
        return Body(panels=[asked], notice="Neither of the two has any conversations.")
    groups = [Side(asking, found.by, group) for group in (found.a, found.b)]
    return Body(
        cards=_cards(found, groups),
        panels=[asked, *_tables(found, groups)],
        notice=_mismatch(found.sample_ratio),
    )


def _mismatch(found: SampleRatio | None) -> str:
    """The warning that a test cannot be read; empty where people were dealt as planned."""
    if found is None or not found.mismatch:
        return ""
    return (
        f"Sample ratio mismatch: A has {found.a:,} of {found.a + found.b:,} users"
        f" ({formats.percent(found.observed)}), planned were {formats.percent(found.planned)};"
        f" by chance that happens less than once in a thousand tests. Do not trust the figures"
        " below before you know why people are dealt or lost unevenly."
    )


def _too_few(asked: Choice) -> str:
    label = next(label for name, label, _ in KINDS if name == asked.by).lower()
    if asked.a:
        return f"There is only one {label} in this window, {asked.a}: nothing to compare it with."
    return f"No turn of this window names its {label}."


COMPARE: Final = Sheet(
    "compare",
    "/compare",
    "Compare",
    "compare",
    "Do two agents, models, prompts, versions, variants, channels or periods really differ?",
    body,
)
