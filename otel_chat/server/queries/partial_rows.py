"""The partial rows of conversations: of kept days as they are, of others worked out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from otel_chat.server.queries.days import DAY, Days, days_of, midnight
from otel_chat.server.queries.partials import (
    EVENT_PARTIALS,
    FEEDBACK,
    HASH,
    IS_ACTIVITY,
    IS_FEEDBACK,
    IS_TOPIC,
    KEY,
    ORDER,
    TURN_PARTIALS,
)
from otel_chat.server.queries.window import FEEDBACK_MARGIN, MARGIN

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import date

    from otel_chat.server.queries.aggregation import Selection
    from otel_chat.server.queries.partials import Partial
    from otel_chat.server.queries.sql import Query, Table

_NAMED: Final = "hash != 0"
_HAS_TURNS: Final = "turns > 0"
_RATED: Final = "scores > 0 OR ratings > 0"


@dataclass(frozen=True, slots=True)
class PartialRows:
    """Partial rows: hash, tenant, conversation_id, of_turns, matched, partials.

    `of_turns` says whether there is a turn in it, `matched` whether the filters let one through,
    and the partials have their names after `p_`.

    Args:
        alone: A SELECT of the rows that are all there is of their conversation, so that nothing has
            to come together, given its columns and its condition; `None` where no day is kept.
        parted: A subquery with the rows of all other conversations.
    """

    alone: Callable[[Sequence[str], str], str] | None
    parted: str


@dataclass(frozen=True, slots=True)
class _Reading:
    """What is read, and how the days of it are.

    Args:
        query: The SELECT that it becomes a part of.
        selection: The conversations to take.
        turns: Names out of `TURN_PARTIALS`.
        events: Names out of `EVENT_PARTIALS`; without any only turns are read.
        days: How the days are read.
        last: The last day of which all counts; of later ones only feedback does.
    """

    query: Query
    selection: Selection
    turns: Sequence[str]
    events: Sequence[str]
    days: Days
    last: date

    @property
    def early(self) -> Days:
        """How the days are read of which all counts."""
        return self.days.until(self.last)

    @property
    def late(self) -> Days:
        """How the days are read of which only feedback counts."""
        return self.days.after(self.last)

    @property
    def _matching(self) -> str:
        return " AND ".join(self.selection.filters.of_turn(self.query))

    def _matched(self) -> str:
        matching = f" AND ifNull({self._matching}, false)" if self._matching else ""
        return f"{_HAS_TURNS}{matching}"

    def kept(self, *more: str, table: Table = "conversation_days") -> str:
        """The rows of early days that are kept.

        Args:
            more: More conditions on them.
            table: Where from: `parted_days` has only what is noted, but that twice at times.
        """
        columns = [
            f"hash, {KEY}, {_HAS_TURNS} AS of_turns, {self._matched()} AS matched",
            *as_kept(TURN_PARTIALS, self.turns),
            *as_kept(EVENT_PARTIALS, self.events),
        ]
        once = table == "parted_days"
        return self.query.table(table, columns, [*self._of_early(), *more], once=once)

    def alone(self, several: str) -> Callable[[Sequence[str], str], str]:
        """The SELECT of kept rows whose hash is not one of several, as `PartialRows` has it."""

        def select(columns: Sequence[str], condition: str) -> str:
            # Each SELECT inside another takes longer to plan than a small day to read.
            told = {"of_turns": _HAS_TURNS, "matched": self._matched()}
            return self.query.select(
                "conversation_days",
                [_in_kept_columns(column, told) for column in columns],
                [*self._of_early(), _HAS_TURNS, f"hash NOT IN {several}", condition],
                once=False,
            )

        return select

    def _of_kept(self, days: Days) -> list[str]:
        return [*days.kept_conditions(self.query), _NAMED, *self.selection.rows(self.query)]

    def _of_early(self) -> list[str]:
        conditions = self._of_kept(self.early)
        return conditions if self.events else [*conditions, _HAS_TURNS]

    def _of_late(self) -> list[str]:
        return [*self._of_kept(self.late), _RATED]

    def kept_late(self) -> str:
        """The feedback of late days that are kept."""
        columns = [
            f"hash, {KEY}, false AS of_turns, false AS matched",
            *(_nothing(TURN_PARTIALS, name) for name in self.turns),
            *(
                f"{name} AS p_{name}" if name in FEEDBACK else _nothing(EVENT_PARTIALS, name)
                for name in self.events
            ),
        ]
        return self.query.table("conversation_days", columns, self._of_late(), once=False)

    def of_turns(self) -> str:
        """The partial rows of turns of days that are not kept, worked out."""
        matched = f"ifNull({self._matching}, false)" if self._matching else "true"
        read = read_by(TURN_PARTIALS, self.turns, "tenant", "conversation_id", "start")
        source = self.query.table("turns", [*read, f"{matched} AS matching"], self._turns())
        any_matched = "max(matching)" if self._matching else "true"
        nothing = "".join(f", {_nothing(EVENT_PARTIALS, name)}" for name in self.events)
        return (
            f"(SELECT {HASH} AS hash, {KEY}, true AS of_turns, {any_matched} AS matched"  # noqa: S608
            f"{worked_out(TURN_PARTIALS, self.turns)}{nothing} FROM {source} GROUP BY {KEY})"
        )

    def _turns(self) -> list[str]:
        within = self.early.afresh_condition(self.query, "start")
        return [within, *self.selection.rows(self.query)]

    def _events(self) -> list[str]:
        early = f"time < {self.query.moment(midnight(self.last + DAY))}"
        wanted = f"({IS_ACTIVITY} OR {IS_TOPIC})" if "topics" in self.events else IS_ACTIVITY
        return [
            self.days.afresh_condition(self.query, "time"),
            f"({IS_FEEDBACK}) OR ({wanted} AND {early})",
            *self.selection.rows(self.query),
        ]

    def of_events(self) -> str:
        """The partial rows of events of days that are not kept, worked out."""
        read = read_by(EVENT_PARTIALS, self.events, "tenant", "conversation_id", "name", "time")
        source = self.query.table("events", [*read, "evaluation"], self._events())
        nothing = "".join(f", {_nothing(TURN_PARTIALS, name)}" for name in self.turns)
        return (
            f"(SELECT {HASH} AS hash, {KEY}, false AS of_turns, false AS matched{nothing}"  # noqa: S608
            f"{worked_out(EVENT_PARTIALS, self.events)} FROM {source} GROUP BY {KEY})"
        )

    def noted(self) -> str:
        """The hashes of all conversations with several rows of early days that are kept."""
        days = self.early.kept_days(self.query)
        return self.query.table("parted_conversations", ["hash"], [days], once=False)

    def elsewhere(self) -> list[str]:
        """The hashes of all conversations with rows that are not of early days that are kept."""
        table, parts = self.query.table, []
        if self.early.afresh:
            parts.append(table("turns", [f"{HASH} AS hash"], self._turns(), once=False))
        if self.events and self.late.kept:
            parts.append(table("conversation_days", ["hash"], self._of_late(), once=False))
        if self.events and self.days.afresh:
            parts.append(table("events", [f"{HASH} AS hash"], self._events(), once=False))
        return parts


def partial_rows(
    query: Query, selection: Selection, turns: Sequence[str], events: Sequence[str] = ()
) -> PartialRows:
    """The partial rows of turns and events; feedback may come later than all else.

    Args:
        query: The SELECT that they become a part of.
        selection: The conversations to take, and more of the days around them.
        turns: Names out of `TURN_PARTIALS`.
        events: Names out of `EVENT_PARTIALS`; without any only turns are read.
    """
    last = (selection.end + MARGIN).date()
    days = _days(query, selection, (selection.end + FEEDBACK_MARGIN).date() if events else last)
    reading = _Reading(query, selection, turns, events, days, last)
    parts, alone = [], None
    if reading.early.kept and selection.known:
        # So few that to tell them apart would take longer than to group them all.
        parts.append(reading.kept())
    elif reading.early.kept:
        noted, elsewhere = reading.noted(), reading.elsewhere()
        several = f"({' UNION ALL '.join([noted, *elsewhere])})"
        alone = reading.alone(several)
        parts.append(reading.kept(f"hash IN {noted}", table="parted_days"))
        if elsewhere:
            others = f"({' UNION ALL '.join(elsewhere)})"
            parts.append(reading.kept(f"hash IN {others}", f"hash NOT IN {noted}"))
    if events and reading.late.kept:
        parts.append(reading.kept_late())
    if reading.early.afresh or not parts:
        parts.append(reading.of_turns())
    if events and days.afresh:
        parts.append(reading.of_events())
    return PartialRows(alone, _below_one_another(parts))


def _below_one_another(subqueries: Sequence[str]) -> str:
    """All rows of some subqueries; of one alone without a SELECT around it, to be planned."""
    if len(subqueries) == 1:
        return subqueries[0]
    return f"({' UNION ALL '.join(f'SELECT * FROM {one}' for one in subqueries)})"  # noqa: S608


def _days(query: Query, selection: Selection, last: date) -> Days:
    """How to read the days up to `last`: whole, so that kept ones and others hold the same."""
    first = (selection.window.start - MARGIN).date()
    if selection.within is not None:
        found = days_of(query, *(moment.date() for moment in selection.within))
        # So little that two ways to read it would take longer than one.
        return Days({}, [selection.within]) if found.afresh else found
    if not selection.filters.by_dimensions:
        # A kept day knows no single turn.
        return Days({}, [(midnight(first), midnight(last + DAY))])
    return days_of(query, first, last)


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


def _in_kept_columns(sql: str, told: Mapping[str, str]) -> str:
    """SQL over a partial row put into the columns of kept days.

    Args:
        sql: With the names of partials after `p_`.
        told: What the names mean that are no partials.
    """
    partials = {**TURN_PARTIALS, **EVENT_PARTIALS}

    def column(found: re.Match[str]) -> str:
        name = found["partial"]
        return (partials[name].kept or name) if name else f"({told[found['other']]})"

    return re.sub(rf"\b(?:p_(?P<partial>\w+)|(?P<other>{'|'.join(told)}))\b", column, sql)


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


def _nothing(partials: Mapping[str, Partial], name: str) -> str:
    kind = partials[name].kind.replace("'", "\\'")
    return f"defaultValueOfTypeName('{kind}') AS p_{name}"
