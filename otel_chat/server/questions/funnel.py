"""Funnels that the caller defines: how many conversations get how far, and how long it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pydantic import Field

from otel_chat.errors import QueryError
from otel_chat.server.figures.answers import Answer, TimeSpan
from otel_chat.server.figures.conversation_rows import KEY, Selection, conversation_rows, members
from otel_chat.server.figures.registry import figure, query
from otel_chat.server.figures.sql import SCALE, Query, Table, nanos, ratio
from otel_chat.server.figures.window import Window
from otel_chat.server.questions.funnel_steps import KINDS, Step, read_steps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_chat.server.access import Scope
    from otel_chat.server.figures.filters import Filters
    from otel_chat.server.store import Store

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
    """SQL for the moments at which rows of a table were steps: the time, and the steps as bits.

    A row is of several kinds, as a turn with an intent and a handoff is: a moment for each.
    """
    column = "start" if table == "turns" else "time"
    marks = [
        " + ".join(f"if({condition}, {1 << index}, 0)" for index, condition in same)
        for same in conditions.values()
    ]
    either = " OR ".join(f"({condition})" for same in conditions.values() for _, condition in same)
    rows = query.table(
        table,
        (KEY, f"{nanos(column)} AS at", f"[{', '.join(marks)}] AS marks"),
        [members(query, selection.window, selection.filters), either],
    )
    return (
        f"SELECT {KEY}, (at, toUInt16(mark)) AS moment FROM {rows}"  # noqa: S608
        " ARRAY JOIN marks AS mark WHERE mark > 0"
    )


def _kept(query: Query, kind: str, steps: Sequence[tuple[int, Step]]) -> str:
    """SQL for the moments at which a conversation came to steps of a kind that its row tells."""
    column = KINDS[kind].kept
    if not KINDS[kind].takes_name:
        mark = sum(1 << index for index, _ in steps)
        return f"arrayMap(at -> (at, toUInt16({mark})), {column})"
    marks = " + ".join(
        str(1 << index)
        if step.name is None
        else f"if(name = {query.bind(step.name, 'String')}, {1 << index}, 0)"
        for index, step in steps
    )
    moments = f"arrayMap((at, name) -> (at, toUInt16({marks})), {column}.1, {column}.2)"
    return f"arrayFilter(moment -> moment.2 > 0, {moments})"


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
        SELECT {KEY}, groupArray(moment) AS seen
        FROM ({" UNION ALL ".join(parts)})
        GROUP BY {KEY}
    )"""  # noqa: S608


def _conversations(query: Query, selection: Selection, steps: Sequence[Step]) -> str:
    """A subquery with the moments of all conversations in order, their end among them.

    Of the same moment, what is an earlier step comes first. An outcome is known at the end, so it
    comes after all else.
    """
    numbered: dict[str, list[tuple[int, Step]]] = {}
    for index, step in enumerate(steps):
        numbered.setdefault(step.kind, []).append((index, step))
    names, last = ["last_at"], steps[-1]
    ending = "[]"
    if numbered.pop("outcome", None):
        names.append("outcome")
        moment = f"(greatest({nanos('last_at')}, seen[-1].1), toUInt16({1 << len(steps) - 1}))"
        ending = f"if(outcome = {query.bind(last.name, 'String')}, [{moment}], [])"
    kept = [kind for kind in numbered if KINDS[kind].kept]
    names += [KINDS[kind].kept for kind in kept]
    seen = [_kept(query, kind, numbered.pop(kind)) for kind in kept]
    joined = ""
    if numbered:
        others = [one for same in numbered.values() for one in same]
        joined = f"LEFT JOIN {_moments(query, selection, others)} AS m USING ({KEY})"
        seen.append("m.seen")
    rows = conversation_rows(query, selection, *names)
    return f"""(
        SELECT arraySort(arrayConcat({", ".join(seen) or "[]"})) AS seen,
            arrayConcat(seen, {ending}) AS moments
        FROM {rows} AS c {joined}
    )"""  # noqa: S608


def _first_run(moments: str, steps: int) -> str:
    """A subquery with the times of the run that each conversation made.

    It begins with the first moment of the first step, and takes the first that it can get of each
    following step: a later one, or another of the very same time.
    """
    first = "arrayFirstIndex(moment -> bitTest(moment.2, 0), moments)"
    rows = f"(SELECT moments, {first} AS r_0 FROM {moments})"  # noqa: S608
    # A SELECT for each: the engine would plan a step again wherever a later one names it.
    for index in range(1, steps):
        before = [f"r_{number}" for number in range(index)]
        possible = [
            f"bitTest(moment.2, {index})",
            f"moment.1 >= moments[{before[-1]}].1",
            *(f"x != {place}" for place in before),
        ]
        place = (
            f"if({before[-1]} = 0, 0, arrayFirst((x, moment) -> {' AND '.join(possible)},"
            " arrayEnumerate(moments), moments))"
        )
        rows = f"(SELECT moments, {', '.join(before)}, {place} AS r_{index} FROM {rows})"  # noqa: S608
    return _times(rows, steps)


def _farthest_run(moments: str, steps: int, within: str) -> str:
    """A subquery with the times of the run of each conversation that got farthest within a time.

    Of each step, `v_` tells at which moments a run came to it, by when that run began: the one that
    began last, as whatever any other can still reach in time, that one can. The first to come to
    the farthest step is what is told, back from there.

    Args:
        moments: A subquery with the moments of each conversation, in order.
        steps: How many steps there are.
        within: SQL for the limit of time in nanoseconds.
    """
    begun = "arrayMap(moment -> if(bitTest(moment.2, 0), moment.1, 0), moments)"
    rows = f"(SELECT moments, {begun} AS v_0 FROM {moments})"  # noqa: S608
    for index in range(1, steps):
        known = f"arrayPushFront(arrayFill(run -> run > 0, v_{index - 1}), toInt64(0))"
        came = f"bitTest(moment.2, {index}) AND run > 0 AND moment.1 - run <= {within}"
        runs = (
            f"arrayMap((moment, run) -> if({came}, run, 0), moments,"
            f" arraySlice({known}, 1, length(moments)))"
        )
        rows = f"(SELECT *, {runs} AS v_{index} FROM {rows})"  # noqa: S608
    rows = f"(SELECT *, 0 AS r_{steps} FROM {rows})"  # noqa: S608
    for index in reversed(range(steps)):
        found = f"arrayFirstIndex(run -> run > 0, v_{index})"
        earlier = f"arraySlice(v_{index}, 1, r_{index + 1} - 1)"
        place = f"if(r_{index + 1} = 0, {found}, arrayLastIndex(run -> run > 0, {earlier}))"
        rows = f"(SELECT *, {place} AS r_{index} FROM {rows})"  # noqa: S608
    return _times(rows, steps)


def _times(rows: str, steps: int) -> str:
    """A subquery with the times of the run of each conversation, given the places of its moments.

    Args:
        rows: A subquery with the moments, and the place of that of each step, 0 without.
        steps: How many steps there are.
    """
    times = ", ".join(f"moments[r_{number}].1" for number in range(steps))
    reached = " + ".join(f"(r_{number} > 0)" for number in range(steps))
    return f"(SELECT arraySlice([{times}], 1, {reached}) AS run FROM {rows})"  # noqa: S608


def _row(
    statement: Query, selection: Selection, steps: Sequence[Step], within: float | None
) -> dict[str, Any]:
    moments = _conversations(statement, selection, steps)
    if within is None:
        runs = _first_run(moments, len(steps))
    else:
        limit = statement.bind(round(within * SCALE), "Int64")
        runs = _farthest_run(moments, len(steps), limit)
    numbers = range(1, len(steps) + 1)
    reached = ", ".join(
        f"countIf(length(run) >= {number}) AS reached_{number}" for number in numbers
    )
    times = ", ".join(f"{_median(number - 1, number)} AS time_{number}" for number in numbers[1:])
    return statement.one(f"""
        SELECT count() AS conversations, {reached}, {times}, {_median(1, len(steps))} AS time_all
        FROM {runs}
    """)  # noqa: S608


def _median(first: int, last: int) -> str:
    """SQL for the median time from one step of a run to another, seconds."""
    between = f"run[{last}] - run[{first}], length(run) >= {last}"
    return f"quantilesExactInclusiveIf(0.5)({between})[1] / {SCALE}"


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
