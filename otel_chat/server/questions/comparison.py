"""Two groups of conversations side by side, with intervals, so that an experiment can be read.

Every value counts as independent of the others. Turns of one conversation are not quite, so the
intervals of figures of turns are somewhat too narrow. The groups need not be disjoint: a
conversation that belongs to both, as one whose turns were answered by two models, counts in both.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import Field

from otel_chat.errors import QueryError
from otel_chat.server.figures.answers import Answer, TimeSpan
from otel_chat.server.figures.conversation_figures import OfConversations, columns, sums_sql
from otel_chat.server.figures.conversation_rows import Selection, conversation_rows
from otel_chat.server.figures.figures import conditions_on_turns, ratings, turns_source
from otel_chat.server.figures.intervals import (
    Interval,
    Sample,
    mean_interval,
    newcombe,
    quantile_ranks,
    sample_ratio_p,
    welch,
    wilson,
)
from otel_chat.server.figures.registry import Better, Quotient, every, query, register
from otel_chat.server.figures.sql import SCALE, Query, quantiles, ratio
from otel_chat.server.figures.sums import sql_of
from otel_chat.server.rules import RESPONSE_TIME

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from otel_chat.server.access import Scope
    from otel_chat.server.figures.filters import Filters
    from otel_chat.server.figures.window import Window
    from otel_chat.server.store import Store

Part = tuple[str | None, "Window", "Filters"]
By = Literal[
    "agent", "model", "version", "variant", "channel", "prompt", "prompt_version", "period"
]
Verdict = Literal["better", "worse", "higher", "lower", "no clear difference", "no data"]
LEAST: Final = 0.8
MOST: Final = 0.999
CONFIDENCE: Final = 0.95
MISMATCH: Final = 0.001
"""A p-value below this is a sample ratio mismatch, as Fabijan et al. (KDD 2019) and most do."""


@dataclass(frozen=True, slots=True)
class Sides:
    """The two groups that are compared.

    Args:
        by: What tells them apart.
        a: The agent, model and so on of the one group; not asked for with periods.
        b: That of the other.
        other: Of periods the second; the one before the first without.
        planned: Of variants, the share that A was to have of A and B, between 0 and 1.
    """

    by: By = "period"
    a: str | None = None
    b: str | None = None
    other: Window | None = None
    planned: float = 0.5

    def parts(self, window: Window, filters: Filters) -> list[Part]:
        """The name, window and filters of each.

        Raises:
            QueryError: If the groups are not named, or no share is planned.
        """
        if not 0 < self.planned < 1:
            message = "A planned share lies between 0 and 1: weight of A over those of A and B."
            raise QueryError(message, field="planned")
        if self.by == "period":
            return [(None, window, filters), (None, self.other or window.previous(), filters)]
        if not self.a or not self.b:
            message = f"Name two values of {self.by}: a and b."
            raise QueryError(message, field="b" if self.a else "a")
        name = "agent_version" if self.by == "version" else self.by
        named: list[dict[str, Any]] = [{name: one} for one in (self.a, self.b)]
        return [(one[name], window, filters.narrowed(**one)) for one in named]


TOKENS: Final = register(
    Quotient(
        name="tokens_per_turn",
        unit="{token}",
        definition="Mean input and output tokens of turns with any.",
        label="Tokens of a turn",
        better="neither",
        part="tokens_sum",
        whole="tokens_n",
        squares="tokens_squares",
    )
)
COST: Final = register(
    Quotient(
        name="cost_per_turn",
        unit="USD",
        definition="Mean cost of turns with a price.",
        label="Cost of a turn",
        better="lower",
        part="cost_sum",
        whole="cost_n",
        scale=SCALE,
        squares="cost_squares",
    )
)
TIMES: Final = {"response_time": RESPONSE_TIME, "time_to_first_chunk": "time_to_first_chunk"}
LEVELS: Final = (0.5, 0.95)


class Group(Answer):
    """One of the two groups."""

    name: str | None = Field(description="Its agent, model and so on; null for a period.")
    window: TimeSpan
    conversations: int
    turns: int


class Estimate(Answer):
    """A value with its interval; null where the sample is too small for one."""

    value: float | None
    low: float | None
    high: float | None
    count: int = Field(description="The size of the sample it comes from.")
    numerator: int | None = Field(None, description="Of a share: how many there were.")


class Compared(Answer):
    """A figure of both groups."""

    figure: str
    better: Better = Field(description="Which way is good.")
    a: Estimate
    b: Estimate
    difference: float | None = Field(description="a - b.")
    difference_low: float | None = Field(description="Null for quantiles, too.")
    difference_high: float | None
    verdict: Verdict = Field(
        description="What a is against b. A clear difference has an interval without 0; that of"
        " quantiles, intervals that do not touch."
    )


class SampleRatio(Answer):
    """How an A/B test's people were dealt, against the plan."""

    planned: float = Field(description="The share of A among A and B that was planned.")
    observed: float | None = Field(description="The share that it has.")
    a: int = Field(description="Users in A; a conversation counts as one where none is known.")
    b: int
    p_value: float | None = Field(
        description="Of Pearson's chi-square test; null where under five are expected in a group."
    )
    mismatch: bool = Field(
        description="Whether the p-value is under 0.001. Then something deals or loses people"
        " unevenly, and no other figure of the test can be trusted until that is found."
    )


class Comparison(Answer):
    """Two groups side by side."""

    by: By
    confidence: float
    a: Group
    b: Group
    sample_ratio: SampleRatio | None = Field(description="Of variants; null for other groups.")
    rates: list[Compared] = Field(
        description="Wilson's intervals; of differences Newcombe's (1998, method 10)."
    )
    quantiles: list[Compared] = Field(description="Seconds; intervals by order statistics.")
    means: list[Compared] = Field(description="Student's intervals; of differences Welch's.")


Row = dict[str, Any]


_COUNTS: Final = ("turns", "errors", "low_confidence", "confidence_n", "fallbacks", "classified")
_SPENT: Final = "(toInt256(ifNull(input_tokens, 0)) + ifNull(output_tokens, 0))"
# However many digits a price has.
_NANO_USD: Final = f"toInt256(toDecimal256(cost, 9) * {SCALE})"
_SIZES: Final = {
    "response_time_n": "response_n",
    "time_to_first_chunk_n": "first_chunk_n",
    "cost_n": "priced_turns",
}
_SAMPLES: Final = {
    "tokens_n": "countIf(input_tokens IS NOT NULL OR output_tokens IS NOT NULL)",
    "tokens_sum": f"toString(sum({_SPENT}))",
    "tokens_squares": f"toString(sum({_SPENT} * {_SPENT}))",
    "cost_sum": f"toString(ifNull(sum({_NANO_USD}), 0))",
    "cost_squares": f"toString(ifNull(sum({_NANO_USD} * {_NANO_USD}), 0))",
}
"""What intervals need beside: of input and output tokens together, and of billionths of a USD."""


def _turns(statement: Query, window: Window, filters: Filters) -> Row:
    known = dict(zip(_COUNTS, _COUNTS, strict=True)) | _SIZES
    sums = {name: sql_of(statement, "turns", of) for name, of in known.items()} | _SAMPLES
    columns = [f"{sql} AS {name}" for name, sql in sums.items()]
    conditions = conditions_on_turns(statement, window, filters)
    return statement.one(statement.select("turns", columns, conditions))


def _conversations(statement: Query, window: Window, filters: Filters) -> Row:
    source = conversation_rows(statement, Selection(window, filters), "user", *columns())
    return statement.one(f"""
        SELECT {sums_sql(squares=True)}, {ratings("s.feedback")},
            uniqExact(tenant, user = '', if(user = '', conversation_id, user)) AS people
        FROM {source} AS s
    """)  # noqa: S608


def _times(
    statement: Query, window: Window, filters: Filters, row: Row, confidence: float
) -> dict[tuple[str, float], Estimate]:
    """Quantiles with the order statistics that bound them, which the sizes have told."""
    places: dict[tuple[str, float], tuple[float | None, ...]] = {}
    for name, level in product(TIMES, LEVELS):
        count = row[f"{name}_n"]
        bounds = quantile_ranks(level, count, confidence)
        steps = (None if rank is None else (rank - 1) / max(count - 1, 1) for rank in bounds)
        places[name, level] = (level if count else None, *steps)
    asked = sorted({place for some in places.values() for place in some if place is not None})
    values = _quantiles(statement, window, filters, asked)
    found = {}
    for (name, level), some in places.items():
        known: dict[float | None, float] = dict(zip(asked, values.get(name, ()), strict=False))
        value, low, high = (known.get(place) for place in some)
        found[name, level] = Estimate(value=value, low=low, high=high, count=row[f"{name}_n"])
    return found


def _quantiles(
    statement: Query, window: Window, filters: Filters, levels: Sequence[float]
) -> Mapping[str, Sequence[float]]:
    """The quantiles of each of `TIMES`."""
    columns = tuple(f"{sql} AS {name}" for name, sql in TIMES.items())
    source = turns_source(statement, window, filters, columns)
    asked = ", ".join(f"{quantiles(f't.{name}', levels)} AS {name}" for name in TIMES)
    return statement.one(f"SELECT {asked} FROM {source} AS t") if levels else {}  # noqa: S608


def _verdict(a: Estimate, b: Estimate, better: Better, apart: Interval | None) -> Verdict:
    if a.value is None or b.value is None:
        return "no data"
    if apart is None or apart.low <= 0 <= apart.high:
        return "no clear difference"
    if better == "neither":
        return "higher" if apart.low > 0 else "lower"
    return "better" if (apart.low > 0) == (better == "higher") else "worse"


def _compared(
    name: str, better: Better, a: Estimate, b: Estimate, apart: Interval | None, *, shown: bool
) -> Compared:
    known = None if a.value is None or b.value is None else a.value - b.value
    return Compared(
        figure=name,
        better=better,
        a=a,
        b=b,
        difference=known,
        difference_low=apart.low if apart and shown else None,
        difference_high=apart.high if apart and shown else None,
        verdict=_verdict(a, b, better, apart),
    )


def _quotients() -> list[Quotient]:
    """Those over conversations first."""
    return sorted(every(Quotient), key=lambda one: not isinstance(one, OfConversations))


def _rates(a: Row, b: Row, confidence: float) -> list[Compared]:
    found = []
    for one in _quotients():
        if one.squares:
            continue
        parts = [(row.get(one.part, 0), row.get(one.whole, 0)) for row in (a, b)]
        estimates = [
            _estimate(ratio(*part), wilson(*part, confidence), part[1], part[0]) for part in parts
        ]
        apart = newcombe(parts[0], parts[1], confidence)
        found.append(_compared(one.name, one.better, estimates[0], estimates[1], apart, shown=True))
    return found


def _estimate(
    value: float | None, interval: Interval | None, count: int, numerator: int | None = None
) -> Estimate:
    low, high = interval or (None, None)
    return Estimate(value=value, low=low, high=high, count=count, numerator=numerator)


def _means(a: Row, b: Row, confidence: float) -> list[Compared]:
    found = []
    for one in _quotients():
        if not one.squares:
            continue
        samples = [
            Sample.of_sums(row[one.whole], int(row[one.part]), int(row[one.squares]), one.scale)
            for row in (a, b)
        ]
        estimates = [
            _estimate(None, None, 0)
            if sample is None
            else _estimate(sample.mean, mean_interval(sample, confidence), sample.count)
            for sample in samples
        ]
        first, second = samples
        apart = None if first is None or second is None else welch(first, second, confidence)
        found.append(_compared(one.name, one.better, estimates[0], estimates[1], apart, shown=True))
    return found


def _gap(a: Estimate, b: Estimate) -> Interval | None:
    """How far two intervals lie from each other; around 0 where they touch."""
    if a.low is None or a.high is None or b.low is None or b.high is None:
        return None
    return Interval(a.low - b.high, a.high - b.low)


def _group(part: Part, row: Row) -> Group:
    name, window, _ = part
    return Group(
        name=name,
        window=TimeSpan.of(window),
        conversations=row["conversations"],
        turns=row["turns"],
    )


def _sample_ratio(asked: Sides, a: Row, b: Row) -> SampleRatio | None:
    if asked.by != "variant":
        return None
    first, second = a["people"], b["people"]
    p_value = sample_ratio_p(first, second, asked.planned)
    return SampleRatio(
        planned=asked.planned,
        observed=ratio(first, first + second),
        a=first,
        b=second,
        p_value=p_value,
        mismatch=p_value is not None and p_value < MISMATCH,
    )


@query()
def comparison(
    store: Store,
    scope: Scope,
    window: Window,
    filters: Filters,
    sides: Sides | None = None,
    confidence: float = CONFIDENCE,
) -> Comparison:
    """Two groups side by side; a conversation that matches both counts in both.

    Args:
        store: The store to ask.
        scope: What the caller may see.
        window: The turns, events and conversations to take, each by its own start.
        filters: What both groups are limited to.
        sides: The groups; `window` and the period before it without.
        confidence: The level of the intervals, 0.8 to 0.999.

    Raises:
        QueryError: If the groups are not named, or the level is out of range.
    """
    if not LEAST <= confidence <= MOST:
        raise QueryError(f"A confidence is {LEAST} to {MOST}.", field="confidence")
    statement = Query(store, scope)
    asked = sides or Sides()
    parts = asked.parts(window, filters)
    submitted = [
        store.submit(_conversations, Query(store, scope), span, limits) for _, span, limits in parts
    ]
    rows, times = [], []
    for (_, span, limits), conversations in zip(parts, submitted, strict=True):
        row = _turns(statement, span, limits)
        times.append(_times(statement, span, limits, row, confidence))
        rows.append(row | conversations.result())
    groups = [_group(part, row) for part, row in zip(parts, rows, strict=True)]
    return Comparison(
        by=asked.by,
        confidence=confidence,
        a=groups[0],
        b=groups[1],
        sample_ratio=_sample_ratio(asked, rows[0], rows[1]),
        rates=_rates(rows[0], rows[1], confidence),
        quantiles=[
            _compared(
                f"{name}_p{level * 100:.0f}",
                "lower",
                times[0][name, level],
                times[1][name, level],
                _gap(times[0][name, level], times[1][name, level]),
                shown=False,
            )
            for name, level in times[0]
        ],
        means=_means(rows[0], rows[1], confidence),
    )
