"""The partial rows of turns and events: of kept days as they are, of others worked out."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from otel_chat.server.queries.days import Days, days_of, midnight
from otel_chat.server.queries.partials import (
    EVENT_PARTIALS,
    HASH,
    IS_ACTIVITY,
    IS_FEEDBACK,
    ORDER,
    TURN_PARTIALS,
)
from otel_chat.server.queries.window import FEEDBACK_MARGIN, MARGIN

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from otel_chat.server.queries.aggregation import Selection
    from otel_chat.server.queries.days import Source
    from otel_chat.server.queries.partials import Partial
    from otel_chat.server.queries.sql import Query

_KEY: Final = "tenant, conversation_id"
_DAY: Final = timedelta(days=1)
NAMED: Final = "hash != 0"


def _days(query: Query, source: Source, selection: Selection, last: date) -> Days:
    """How to read the days up to `last`: whole, so that kept ones and others hold the same."""
    first = (selection.window.start - MARGIN).date()
    if selection.keys is not None or not selection.filters.by_dimensions:
        # A kept day knows no single turn, and single conversations are found faster by their ids.
        return Days({}, [(midnight(first), midnight(last + _DAY))])
    return days_of(query.store, source, first, last)


def _within(query: Query, column: str, days: Days) -> str:
    return " OR ".join(f"({query.between(column, *span)})" for span in days.afresh)


def kept_conditions(query: Query, days: Days) -> list[str]:
    """The conditions that rows are those of kept days.

    Args:
        query: The SELECT that they become a part of.
        days: How days are read.
    """
    dates = query.bind([day.isoformat() for day in days.kept], "Array(Date32)")
    generations = query.bind(list(days.kept.values()), "Array(Int64)")
    # The days by themselves as well, for the index.
    return [f"day IN {dates}", f"(day, generation) IN arrayZip({dates}, {generations})"]


def _columns(partials: Mapping[str, Partial], names: Sequence[str]) -> str:
    return "".join(f", {partials[name].sql} AS p_{name}" for name in names)


def _kept_columns(partials: Mapping[str, Partial], names: Sequence[str]) -> list[str]:
    return [f"{partials[name].kept or name} AS p_{name}" for name in names]


def _read(partials: Mapping[str, Partial], names: Sequence[str], *always: str) -> list[str]:
    read = {column for name in names for column in partials[name].columns}
    if any(ORDER in partials[name].sql for name in names):
        read |= {"trace_id", "span_id"}
    return sorted(read.union(always))


def turn_rows(query: Query, selection: Selection, names: Sequence[str]) -> str:
    """A subquery with the partial rows of turns.

    Args:
        query: The SELECT that it becomes a part of.
        selection: The conversations to take, and more of the days around them.
        names: Out of `TURN_PARTIALS`.

    Returns:
        SQL whose rows have hash, tenant, conversation_id, matched (whether the filters let a turn
        of it through) and each of the names after `p_`.
    """
    days = _days(query, "turns", selection, (selection.end + MARGIN).date())
    matching = " AND ".join(selection.filters.of_turn(query))
    matched = f"ifNull({matching}, false) AS matched" if matching else "true AS matched"
    parts = []
    if days.kept:
        columns = [
            "hash",
            "tenant",
            "conversation_id",
            matched,
            *_kept_columns(TURN_PARTIALS, names),
        ]
        kept = query.table("turn_days", columns, [*kept_conditions(query, days), NAMED], once=False)
        parts.append(f"SELECT * FROM {kept}")  # noqa: S608
    if days.afresh or not parts:
        read = _read(TURN_PARTIALS, names, "tenant", "conversation_id", "start")
        within = _within(query, "start", days) or "false"
        source = query.table("turns", [*read, matched], [within, *selection.rows(query)])
        any_matched = "max(matched) AS matched" if matching else "true AS matched"
        parts.append(
            f"SELECT {HASH} AS hash, {_KEY}, {any_matched}{_columns(TURN_PARTIALS, names)}"  # noqa: S608
            f" FROM {source} GROUP BY {_KEY}"
        )
    return f"({' UNION ALL '.join(parts)})"


def event_rows(query: Query, selection: Selection, names: Sequence[str]) -> str:
    """A subquery with the partial rows of events: feedback may come later than all else.

    Args:
        query: The SELECT that it becomes a part of.
        selection: The conversations to take, and more of the days around them.
        names: Out of `EVENT_PARTIALS`.

    Returns:
        SQL whose rows have hash, tenant, conversation_id and each of the names after `p_`.
    """
    last = (selection.end + MARGIN).date()
    days = _days(query, "events", selection, (selection.end + FEEDBACK_MARGIN).date())
    parts = []
    if days.kept:
        columns = ["hash", "tenant", "conversation_id", *_kept_columns(EVENT_PARTIALS, names)]
        early = f"feedback OR day <= {query.bind(last.isoformat(), 'Date32')}"
        conditions = [*kept_conditions(query, days), NAMED, early]
        kept = query.table("event_days", columns, conditions, once=False)
        parts.append(f"SELECT * FROM {kept}")  # noqa: S608
    if days.afresh or not parts:
        read = _read(EVENT_PARTIALS, names, "tenant", "conversation_id", "name", "time")
        early = f"time < {query.moment(midnight(last + _DAY))}"
        conditions = [
            _within(query, "time", days) or "false",
            f"({IS_FEEDBACK}) OR ({IS_ACTIVITY} AND {early})",
            *selection.rows(query),
        ]
        source = query.table("events", [*read, "evaluation"], conditions)
        parts.append(
            f"SELECT {HASH} AS hash, {_KEY}{_columns(EVENT_PARTIALS, names)}"  # noqa: S608
            f" FROM {source} GROUP BY {_KEY}"
        )
    return f"({' UNION ALL '.join(parts)})"


def padded(of_turns: Sequence[str], of_events: Sequence[str], *, turns: bool) -> str:
    """The columns of partial rows of one source, and nothing in the place of the other's.

    Args:
        of_turns: Names out of `TURN_PARTIALS`.
        of_events: Names out of `EVENT_PARTIALS`.
        turns: Whether the rows are those of turns.
    """
    own, other = (of_turns, of_events) if turns else (of_events, of_turns)
    partials = EVENT_PARTIALS if turns else TURN_PARTIALS
    given = [f"p_{name}" for name in own]
    empty = [f"{_nothing(partials[name].kind)} AS p_{name}" for name in other]
    return ", ".join([*given, *empty] if turns else [*empty, *given])


def _nothing(kind: str) -> str:
    escaped = kind.replace("'", "\\'")
    return f"defaultValueOfTypeName('{escaped}')"
