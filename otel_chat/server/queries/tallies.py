"""Turns counted by what statistics are broken down by, and what they sum up to.

There are few combinations, and whole numbers add up to the same in any order: so one pass over the
turns serves every breakdown, and a day that is kept need not be read again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from otel_chat.server.queries.figures import days_by_dimensions, turn_limits
from otel_chat.server.queries.partials import DIMENSIONS, MODEL, TOKENS, TURN_PARTIALS
from otel_chat.server.queries.sql import SCALE
from otel_chat.server.queries.sums import DAY_TIME, Grouping, all_of, whole

if TYPE_CHECKING:
    from otel_chat.server.queries.days import Days
    from otel_chat.server.queries.filters import Filters
    from otel_chat.server.queries.sql import Query, Table
    from otel_chat.server.queries.window import Window


@dataclass(frozen=True, slots=True)
class Tally:
    """What turns are counted by.

    Args:
        table: Where whole days are kept.
        keys: What turns are told apart by: the SQL of each.
        sums: What they sum up to: the SQL of each.
        reads: The columns of turns that these need.
    """

    table: Table
    keys: Mapping[str, str]
    sums: Mapping[str, str]
    reads: tuple[str, ...]

    @property
    def kept(self) -> tuple[str, ...]:
        """The columns of the table beside its day, its generation and the tenant."""
        return (*DIMENSIONS, *self.keys, *self.sums)

    def only(self, keys: Sequence[str], sums: Sequence[str]) -> Tally:
        """The same by fewer keys, with fewer sums."""
        return replace(
            self,
            keys={name: self.keys[name] for name in keys},
            sums={name: self.sums[name] for name in sums},
        )

    def counted(self, rows: str, *by: str) -> str:
        """A SELECT of turns that are counted: keys and sums have their names after `n_`.

        Args:
            rows: The turns: what stands after FROM.
            by: What to tell them apart by beside, first: out of their columns.
        """
        columns = ", ".join(
            (*by, *(f"{sql} AS n_{name}" for name, sql in {**self.keys, **self.sums}.items()))
        )
        return f"SELECT {columns} FROM {rows} GROUP BY {self._groups(*by)}"  # noqa: S608

    def parts(
        self, query: Query, days: Days, limits: Sequence[str], grouping: Grouping = whole
    ) -> str:
        """A subquery with turns that are counted: `part`, and names after `n_`; some come twice.

        Args:
            query: The SELECT that it becomes a part of.
            days: How their days are read; see `days_told`.
            limits: What single turns must fulfil beside, and rows of kept days.
            grouping: The parts of the answer, which the days know.
        """
        found = []
        if days.kept:
            part = f"{grouping(query, DAY_TIME)} AS part"
            conditions = [*days.kept_conditions(query), *limits]
            columns = (part, *self.keys, *self.sums)
            table = query.table(self.table, columns, conditions, once=False)
            found.append(self._added(table))
        if days.afresh or not found:
            part = f"{grouping(query, 'start')} AS part"
            spans = days.afresh_condition(query, "start")
            turns = query.table("turns", (part, *self.reads), [spans, *limits])
            found.append(self.counted(f"{turns} AS t", "part"))
        return f"({' UNION ALL '.join(found)})"

    def _added(self, table: str) -> str:
        keys = "".join(f", {name} AS n_{name}" for name in self.keys)
        sums = "".join(f", sum({name}) AS n_{name}" for name in self.sums)
        return f"SELECT part{keys}{sums} FROM {table} AS d GROUP BY {self._groups('part')}"  # noqa: S608

    def _groups(self, *by: str) -> str:
        return ", ".join((*by, *(f"n_{name}" for name in self.keys)))


def _partials(*names: str) -> dict[str, str]:
    return {name: TURN_PARTIALS[name].sql for name in names}


BINS: Final = 10
KEYS: Final[Mapping[str, str]] = {
    "model": MODEL,
    "message_type": "message_type",
    "handoff": "handoff",
    "handoff_reason": "if(handoff, handoff_reason, '')",
    "bin": "toInt8(if(confidence IS NULL, -1,"
    f" least(floor(assumeNotNull(confidence) * {BINS}), {BINS - 1})))",
}
"""A bin of -1 has no confidence."""

_CONFIDENCE: Final[Mapping[str, str]] = {
    "confidence_n": TURN_PARTIALS["confidences"].sql,
    "confidence_sum": f"ifNull({TURN_PARTIALS['confidence_sum'].sql}, 0)",
}
COUNTS: Final[Mapping[str, str]] = {
    **_partials(
        "turns", "duration_sum", "low_confidence", "errors", "classified", "fallbacks",
        "token_turns", "priced_turns", "unpriced_turns",
    ),
    **_CONFIDENCE,
}  # fmt: skip
SUMS: Final[Mapping[str, str]] = {
    f"sum_{name}": TURN_PARTIALS[name].sql for name in (*TOKENS, "cost")
}
"""Null where no turn says it."""


def nano_usd(cost: str) -> str:
    """SQL for a decimal number of US dollars as whole billionths, however many digits it has."""
    return f"toInt256(toDecimal256({cost}, 9) * {SCALE})"


_SPENT: Final = "(toInt256(ifNull(input_tokens, 0)) + ifNull(output_tokens, 0))"
_NANO_USD: Final = nano_usd("cost")
SAMPLES: Final[Mapping[str, str]] = {
    "first_chunks": TURN_PARTIALS["first_chunks"].sql,
    "spent_turns": "countIf(input_tokens IS NOT NULL OR output_tokens IS NOT NULL)",
    "spent": f"sum({_SPENT})",
    "spent_squares": f"sum({_SPENT} * {_SPENT})",
    "cost_squares": f"ifNull(sum({_NANO_USD} * {_NANO_USD}), toInt256(0))",
}
"""What intervals need beside: of input and output tokens together, and of billionths of a USD."""

KINDS: Final = Tally(
    "turn_days",
    KEYS,
    {**COUNTS, **SUMS, **SAMPLES},
    (
        "duration", "time_to_first_chunk", "status", *TOKENS, "confidence", "fallback", "intent",
        "handoff", "handoff_reason", "cost", "cost_source", "message_type", "request_model",
        "response_model",
    ),
)  # fmt: skip
SUCCEEDED: Final = "status != 'error' AND NOT ifNull(fallback, false) AND NOT handoff"
"""Whether a turn's intent was met, unless something was reported of it."""
INTENTS: Final = Tally(
    "intent_days",
    {"intent": "intent"},
    {
        **_partials("turns", "duration_sum", "low_confidence", "classified", "fallbacks"),
        **_CONFIDENCE,
        "success": f"countIf({SUCCEEDED})",
    },
    ("intent", "status", "fallback", "handoff", "duration", "confidence"),
)


def days_told(query: Query, window: Window, filters: Filters, grouping: Grouping = whole) -> Days:
    """The kept days whose counts tell all, and the spans of the window beside them.

    Args:
        query: The SELECT under construction.
        window: The turns to take.
        filters: What they are limited to: with other than `DIMENSIONS` only turns can tell.
        grouping: The parts of the answer.
    """
    if filters.conversation_id is not None:
        return all_of(window)
    return days_by_dimensions(query, window, filters, grouping)


def tallies(query: Query, window: Window, filters: Filters) -> list[dict[str, Any]]:
    """The turns that started in the window, counted; a combination may come twice.

    Args:
        query: The SELECT under construction.
        window: The turns to take.
        filters: What they are limited to; `handoff` is the turn's own.

    Returns:
        Rows with the names of `KEYS`, `COUNTS` and `SUMS`.
    """
    asked = KINDS.only(tuple(KEYS), (*COUNTS, *SUMS))
    days = days_told(query, window, replace(filters, handoff=None))
    source = asked.parts(query, days, turn_limits(query, window, filters))
    names = ", ".join(f"n_{name} AS {name}" for name in (*KEYS, *COUNTS, *SUMS))
    return query.run(f"SELECT {names} FROM {source}")  # noqa: S608
