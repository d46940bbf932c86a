"""Funnels that the caller defines: how many conversations get how far, and how long it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pydantic import Field

from otel_chat.errors import QueryError
from otel_chat.server.queries.aggregation import (
    EVENT_COLUMNS,
    TURN_COLUMNS,
    Selection,
    conversation_rows,
    turns_by_conversation,
)
from otel_chat.server.queries.answers import Answer, TimeSpan
from otel_chat.server.queries.funnel_steps import KINDS, MOST, Step, read_steps
from otel_chat.server.queries.intent_numbers import micros
from otel_chat.server.queries.partials import HASH
from otel_chat.server.queries.registry import figure, query
from otel_chat.server.queries.sql import Query, Table, ratio
from otel_chat.server.queries.window import FEEDBACK_MARGIN, MARGIN, Window

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_chat.server.access import Scope
    from otel_chat.server.queries.filters import Filters
    from otel_chat.server.store import Store

BITS: Final = 1 << MOST
MICROSECONDS: Final = 1_000_000
LONGEST_WITHIN: Final = 30 * 86_400.0
DEFAULT_STEPS: Final = ("turn", "intent", "action", "outcome:resolved")


class FunnelStep(Answer):
    """How many conversations came to a step of the funnel."""

    step: str
    conversations: int = figure(
        "funnel_conversations",
        "{conversation}",
        "Conversations that came to this step, having come to all before it in their order.",
    )
    share_of_first: float | None = figure(
        "funnel_share_of_first", "1", "Conversations at this step ÷ at the first step."
    )
    share_of_previous: float | None = figure(
        "funnel_share_of_previous",
        "1",
        "Conversations at this step ÷ at the step before; null for the first.",
    )
    lost: int | None = figure(
        "funnel_lost",
        "{conversation}",
        "Conversations that came to the step before and not to this one; null for the first.",
    )
    median_time: float | None = figure(
        "funnel_time",
        "s",
        "Median time from the step before to this one, over the conversations that came to it.",
    )


class Funnel(Answer):
    """How far the conversations that started in the window got, step by step.

    A later step counts if it happens after the earlier one or in the very same moment, such as
    the intent of a turn and the handoff of that turn. Two steps of one kind take two turns or
    events.
    """

    window: TimeSpan
    within: float | None = Field(
        description="Seconds from the first step within which the others count; null: any."
    )
    conversations: int = Field(description="All conversations of the window.")
    steps: list[FunnelStep]
    median_time: float | None = figure(
        "funnel_total_time",
        "s",
        "Median time from the first step to the last, over the conversations that came to it.",
    )


Conditions = dict[str, list[tuple[int, str]]]
"""By kind of step, the numbers of the steps from 0, each with the condition on a row to be it."""


def _part(query: Query, selection: Selection, table: Table, conditions: Conditions) -> str:
    """SQL for the moments at which rows of a table were steps.

    A row is of several kinds, as a turn with an intent and a handoff is: a moment for each. It is
    a whole number that sorts fast: the microsecond times 1024, and the numbers of the steps as
    bits.
    """
    column = "start" if table == "turns" else "time"
    late = {"feedback", "event"} & set(conditions)
    margin = FEEDBACK_MARGIN if late else MARGIN
    marks = [
        " + ".join(f"if({condition}, {1 << index}, 0)" for index, condition in same)
        for same in conditions.values()
    ]
    either = " OR ".join(f"({condition})" for same in conditions.values() for _, condition in same)
    source = query.table(
        table,
        (
            "tenant",
            "conversation_id",
            f"{micros(column)} * {BITS} AS micros",
            f"[{', '.join(marks)}] AS marks",
        ),
        [
            query.between(column, selection.window.start - MARGIN, selection.end + margin),
            *selection.rows(query),
            either,
        ],
    )
    if len(marks) == 1:
        return f"SELECT {HASH} AS hash, micros + marks[1] AS moment FROM {source}"  # noqa: S608
    return f"""
        SELECT {HASH} AS hash, micros + mark AS moment
        FROM {source}
        ARRAY JOIN marks AS mark
        WHERE mark > 0
    """  # noqa: S608


def _kept(query: Query, kind: str, steps: Sequence[tuple[int, Step]]) -> str:
    """SQL for the moments at which a conversation came to steps of a kind whose times are kept."""
    column = KINDS[kind].kept
    if not KINDS[kind].takes_name:
        mark = sum(1 << index for index, _ in steps)
        return f"arrayMap(micros -> micros * {BITS} + {mark}, {column})"
    marks = " + ".join(
        str(1 << index)
        if step.name is None
        else f"if(name = {query.bind(step.name, 'String')}, {1 << index}, 0)"
        for index, step in steps
    )
    moments = f"arrayMap((micros, name) -> micros * {BITS} + {marks}, {column}.1, {column}.2)"
    return f"arrayFilter(moment -> moment % {BITS} > 0, {moments})"


def _moments(query: Query, selection: Selection, steps: Sequence[tuple[int, Step]]) -> str:
    """A subquery with the moments of each conversation that were steps, of single rows."""
    of_turns: Conditions = {}
    of_events: Conditions = {}
    for index, step in steps:
        for conditions, one in (
            (of_turns, step.of_turn(query)),
            (of_events, step.of_event(query)),
        ):
            if one:
                conditions.setdefault(step.kind, []).append((index, one))
    tables: tuple[tuple[Table, Conditions], ...] = (("turns", of_turns), ("events", of_events))
    parts = [
        _part(query, selection, table, conditions) for table, conditions in tables if conditions
    ]
    return f"""(
        SELECT hash, groupArray(moment) AS seen
        FROM ({" UNION ALL ".join(parts)})
        GROUP BY hash
    )"""  # noqa: S608


def _conversations(
    query: Query, selection: Selection, steps: Sequence[Step], *, limited: bool
) -> str:
    """A subquery with the moments of all conversations, in order, and how each ended, or 0.

    Of the same moment, what is an earlier step comes first.
    """
    numbered: dict[str, list[tuple[int, Step]]] = {}
    for index, step in enumerate(steps):
        numbered.setdefault(step.kind, []).append((index, step))
    ended, last = "0", steps[-1]
    if numbered.pop("outcome", None):
        moment = f"{micros('last_at')} * {BITS} + {1 << len(steps) - 1}"
        ended = f"if(outcome = {query.bind(last.name, 'String')}, {moment}, 0)"
    seen = []
    if not limited and steps[0].kind == "turn" and len(numbered["turn"]) == 1:
        # All runs begin with the first turn, and no other is of interest.
        del numbered["turn"]
        seen.append(f"[{micros('started_at')} * {BITS} + 1]")
    kept = {kind: KINDS[kind].kept for kind in numbered if KINDS[kind].kept}
    of_turns = [column for column in kept.values() if column in TURN_COLUMNS]
    of_events = [column for column in kept.values() if column in EVENT_COLUMNS]
    if of_events or ended != "0" or selection.filters.whole_conversations:
        told = ("started_at", "last_at", "outcome")
        rows = conversation_rows(query, selection, of_turns, of_events, told=told)
    else:
        rows = turns_by_conversation(query, selection, of_turns)
    seen += [_kept(query, kind, numbered.pop(kind)) for kind in kept]
    joined = ""
    if numbered:
        others = [one for same in numbered.values() for one in same]
        joined = f"LEFT JOIN {_moments(query, selection, others)} AS m USING (hash)"
        seen.append("m.seen")
    return f"""(
        SELECT arraySort(arrayConcat({", ".join(seen) or "[]"})) AS seen,
            toUInt64({ended}) AS ended
        FROM {rows} AS c {joined}
    )"""  # noqa: S608


def _places(index: int, within: str | None) -> list[str]:
    """SQL for the place among the moments of a run's step, given those of the steps before.

    Within a limit of time there are many runs, so that it is a list of places.
    """
    before = [f"r_{number}" for number in range(index)]
    last = before[-1]
    possible = [f"bitTest(moment, {index})", "moment >= since", *(f"x != {r}" for r in before)]
    since = f"intDiv(moments[{last}], {BITS}) * {BITS}"
    if within:
        possible.append(f"intDiv(moment, {BITS}) - intDiv(first, {BITS}) <= {within}")
    place = (
        f"if({last} = 0, 0, arrayFirst((x, moment) -> {' AND '.join(possible)},"
        " arrayEnumerate(moments), moments))"
    )
    if not within:
        return [f"{since} AS since", f"{place} AS r_{index}"]
    listed = [f"list_{number}" for number in range(index)]
    found = f"arrayMap(({', '.join(before)}, since, first) -> {place}, {', '.join(listed)}"
    return [
        f"arrayMap({last} -> {since}, list_{index - 1}) AS sinces",
        "arrayMap(r_0 -> moments[r_0], list_0) AS firsts",
        f"{found}, sinces, firsts) AS list_{index}",
    ]


def _runs(moments: str, steps: int, within: str | None) -> str:
    """A subquery with the times of the run of each conversation that got farthest.

    Each moment of the first step begins a run, which takes the first that it can get of each
    following step: a later one, or another of the very same time. Of runs that got equally far
    the earliest counts. Without a limit of time no run gets farther than the first.

    Args:
        moments: A subquery with the moments of each conversation, in order.
        steps: How many steps there are.
        within: SQL for the limit of time in microseconds.
    """
    name = "list_{}" if within else "r_{}"
    begin = "arrayFirstIndex(moment -> bitTest(moment, 0), moments)"
    if within:
        begin = "arrayFilter((x, m) -> bitTest(m, 0), arrayEnumerate(moments), moments)"
    rows = f"(SELECT moments, {begin} AS {name.format(0)} FROM {moments})"  # noqa: S608
    # A SELECT for each: the engine would plan a step again wherever a later one names it.
    for index in range(1, steps):
        known = ["moments", *(name.format(number) for number in range(index))]
        rows = f"(SELECT {', '.join([*known, *_places(index, within)])} FROM {rows})"  # noqa: S608
    every = [name.format(number) for number in range(steps)]
    farthest = ""
    if within:
        taken = [f"r_{number}" for number in range(steps)]
        far = " + ".join(f"({r} > 0)" for r in taken)
        farthest = (
            f"arrayMap(({', '.join(taken)}) -> {far}, {', '.join(every)}) AS lengths,"
            " indexOf(lengths, arrayMax(lengths)) AS best, "
        )
        every = [f"{one}[best]" for one in every]
    run = f"arrayFilter(place -> place > 0, [{', '.join(every)}])"
    return (
        f"(SELECT {farthest}arrayMap(place -> intDiv(moments[place], {BITS}), {run}) AS run,"  # noqa: S608
        f" length(run) AS far FROM {rows})"
    )


def _row(
    statement: Query, selection: Selection, steps: Sequence[Step], within: float | None
) -> dict[str, Any]:
    limit = None if within is None else statement.bind(round(within * MICROSECONDS), "Int64")
    numbers = range(1, len(steps) + 1)
    reached = ", ".join(f"countIf(far >= {number}) AS reached_{number}" for number in numbers)
    times = ", ".join(
        f"quantilesExactInclusiveIf(0.5)(run[{number}] - run[{number - 1}], far >= {number})[1]"
        f" / {MICROSECONDS} AS time_{number}"
        for number in numbers[1:]
    )
    moments = f"""(
        SELECT if(
                ended > 0,
                arrayPushBack(
                    seen, greatest(intDiv(ended, {BITS}), intDiv(seen[-1], {BITS})) * {BITS}
                        + ended % {BITS}
                ),
                seen
            ) AS moments
        FROM {_conversations(statement, selection, steps, limited=within is not None)}
    )"""  # noqa: S608
    return statement.one(f"""
        SELECT count() AS conversations, {reached}, {times},
            quantilesExactInclusiveIf(0.5)(run[{len(steps)}] - run[1], far = {len(steps)})[1]
                / {MICROSECONDS} AS time_all
        FROM {_runs(moments, len(steps), limit)}
    """)  # noqa: S608


@query()
def funnel(
    store: Store,
    scope: Scope,
    window: Window,
    filters: Filters,
    steps: Sequence[str] = DEFAULT_STEPS,
    within: float | None = None,
) -> Funnel:
    """How far the conversations that started in the window got, step by step.

    Args:
        store: The store to ask.
        scope: What the caller may see.
        window: The conversations to take.
        filters: What they are limited to.
        steps: 2 to 10 steps, each a kind, or a kind and a name with a colon between.
        within: Seconds from the first step within which the others count, up to 30 days.

    Raises:
        QueryError: If a step or the limit of time is wrong.
    """
    asked = read_steps(steps)
    if within is not None and not 0 < within <= LONGEST_WITHIN:
        message = f"Give more than 0 and at most {LONGEST_WITHIN:.0f} seconds."
        raise QueryError(message, field="within")
    row = _row(Query(store, scope), Selection(window, filters), asked, within)
    reached = [row.get(f"reached_{number}", 0) for number in range(1, len(asked) + 1)]
    return Funnel(
        window=TimeSpan.of(window),
        within=within,
        conversations=row.get("conversations", 0),
        steps=[
            FunnelStep(
                step=str(step),
                conversations=count,
                share_of_first=ratio(count, reached[0]),
                share_of_previous=ratio(count, reached[index - 1]) if index else None,
                lost=reached[index - 1] - count if index else None,
                median_time=row.get(f"time_{index + 1}") if index and count else None,
            )
            for index, (step, count) in enumerate(zip(asked, reached, strict=True))
        ],
        median_time=row.get("time_all") if reached[-1] else None,
    )
