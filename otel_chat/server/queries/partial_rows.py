"""The partial rows of turns and events: of kept days as they are, of others worked out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otel_chat.server.queries.days import DAY, Days, days_of, midnight
from otel_chat.server.queries.partials import (
    EVENT_PARTIALS,
    HASH,
    IS_ACTIVITY,
    IS_FEEDBACK,
    KEY,
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

NAMED: Final = "hash != 0"


def _days(query: Query, source: Source, selection: Selection, last: date) -> Days:
    """How to read the days up to `last`: whole, so that kept ones and others hold the same."""
    first = (selection.window.start - MARGIN).date()
    if selection.keys is not None or not selection.filters.by_dimensions:
        # A kept day knows no single turn, and single conversations are found faster by their ids.
        return Days({}, [(midnight(first), midnight(last + DAY))])
    return days_of(query, source, first, last)


def worked_out(partials: Mapping[str, Partial], names: Sequence[str]) -> str:
    """The SQL of columns, each after `p_`, from the rows of turns or events.

    Args:
        partials: What there is.
        names: Which of them.
    """
    return "".join(f", {partials[name].sql} AS p_{name}" for name in names)


def as_kept(partials: Mapping[str, Partial], names: Sequence[str]) -> list[str]:
    """The columns of kept days, each after `p_`.

    Args:
        partials: What there is.
        names: Which of them.
    """
    return [f"{partials[name].kept or name} AS p_{name}" for name in names]


def read_by(partials: Mapping[str, Partial], names: Sequence[str], *always: str) -> list[str]:
    """The columns of turns or events that have to be read.

    Args:
        partials: What there is.
        names: Which of them.
        always: What is read beside.
    """
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
            *as_kept(TURN_PARTIALS, names),
        ]
        kept = query.table("turn_days", columns, [*days.kept_conditions(query), NAMED], once=False)
        parts.append(f"SELECT * FROM {kept}")  # noqa: S608
    if days.afresh or not parts:
        read = read_by(TURN_PARTIALS, names, "tenant", "conversation_id", "start")
        conditions = [days.afresh_condition(query, "start"), *selection.rows(query)]
        source = query.table("turns", [*read, matched], conditions)
        any_matched = "max(matched) AS matched" if matching else "true AS matched"
        parts.append(
            f"SELECT {HASH} AS hash, {KEY}, {any_matched}{worked_out(TURN_PARTIALS, names)}"  # noqa: S608
            f" FROM {source} GROUP BY {KEY}"
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
        columns = ["hash", "tenant", "conversation_id", *as_kept(EVENT_PARTIALS, names)]
        early = f"feedback OR day <= {query.bind(last.isoformat(), 'Date32')}"
        conditions = [*days.kept_conditions(query), NAMED, early]
        kept = query.table("event_days", columns, conditions, once=False)
        parts.append(f"SELECT * FROM {kept}")  # noqa: S608
    if days.afresh or not parts:
        read = read_by(EVENT_PARTIALS, names, "tenant", "conversation_id", "name", "time")
        early = f"time < {query.moment(midnight(last + DAY))}"
        conditions = [
            days.afresh_condition(query, "time"),
            f"({IS_FEEDBACK}) OR ({IS_ACTIVITY} AND {early})",
            *selection.rows(query),
        ]
        source = query.table("events", [*read, "evaluation"], conditions)
        parts.append(
            f"SELECT {HASH} AS hash, {KEY}{worked_out(EVENT_PARTIALS, names)}"  # noqa: S608
            f" FROM {source} GROUP BY {KEY}"
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
