"""Workflows: how many were started, how they ended, and at which step they were left."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

from pydantic import Field

from otel_chat.server.figures.answers import Answer, Distribution, TimeSpan
from otel_chat.server.figures.conversation_rows import Selection, conversation_rows
from otel_chat.server.figures.figures import LEVELS
from otel_chat.server.figures.registry import figure, query
from otel_chat.server.figures.sql import SCALE, Query, ratio
from otel_chat.server.figures.window import Window

if TYPE_CHECKING:
    from otel_chat.server.access import Scope
    from otel_chat.server.figures.filters import Filters
    from otel_chat.server.store import Store

MOST: Final = 100


class WorkflowStep(Answer):
    """A step of a workflow, and who got no further."""

    step: str = Field(description="As the application named it.")
    conversations: int = figure(
        "step_conversations",
        "{conversation}",
        "Conversations in which an event of the workflow named this step.",
    )
    settled: int = Field(description="The settled ones among them.")
    dropped: int = figure(
        "step_drop_off",
        "{conversation}",
        "Settled conversations whose last run of the workflow was left open or failed, with this"
        " as the last step that it named.",
    )
    rate: float | None = figure(
        "step_drop_off_ratio", "1", "Dropped at this step ÷ settled conversations that reached it."
    )


class Workflow(Answer):
    """The figures of one workflow."""

    name: str
    conversations: int = figure(
        "workflow_conversations", "{conversation}", "Conversations with this workflow."
    )
    started: int = figure(
        "workflows_started",
        "{workflow}",
        "Times the workflow was started. An end that came without a start counts as started too.",
    )
    completed: int = figure("workflows_completed", "{workflow}", "Times it was completed.")
    failed: int = figure("workflows_failed", "{workflow}", "Times it failed.")
    left_open: int = figure(
        "workflows_left_open",
        "{workflow}",
        "Times it was started and had not ended when its conversation settled: abandoned.",
    )
    running: int = figure(
        "workflows_running",
        "{workflow}",
        "Times it was started and has not ended yet, in conversations that are open.",
    )
    completion_rate: float | None = figure(
        "workflow_completion_ratio", "1", "Workflows completed ÷ started."
    )
    duration: Distribution = figure(
        "workflow_duration",
        "s",
        "From a start to the completion that is the workflow's next event in the conversation.",
    )
    steps: list[WorkflowStep] = Field(
        description=f"The steps that events named, the most reached first; at most {MOST}."
    )


class Workflows(Answer):
    """The workflows of the conversations that started in the window, the most started first."""

    window: TimeSpan
    items: list[Workflow] = Field(description=f"At most {MOST}.")
    others: int = Field(description="Workflows that are not listed.")


def workflow_rows(conversations: str) -> str:
    """A subquery with one row for each workflow of each conversation.

    Events are taken in order of time. The last run of a workflow begins with its last start.

    Args:
        conversations: SQL whose rows are conversations with their `moves`.

    Returns:
        SQL whose rows have what the conversation has, and
        workflow, started, completed, failed, unended
        (numbers of runs; the last three sum to the first), ending (`open` if a start had no end
        after it, else `failed` if it failed last, else empty), step (the last that the
        last run named), steps (all), durations (of completed runs, ns), moved_ns (last event).
    """
    return f"""(
        SELECT c.*, workflow,
            arraySort(
                arrayMap(x -> (x.1, x.2, x.4), arrayFilter(x -> x.3 = workflow, c.moves))
            ) AS own_moves,
            arrayMap(x -> x.2, own_moves) AS kinds,
            countEqual(kinds, 2) AS failed,
            countEqual(kinds, 3) AS completed,
            arrayFold((open, kind) -> if(kind = 1, open + 1, greatest(open - 1, 0)), kinds,
                toInt64(0)) AS unended,
            failed + completed + unended AS started,
            multiIf(unended > 0, 'open', kinds[-1] = 2, 'failed', '') AS ending,
            arraySlice(own_moves, greatest(arrayLastIndex(x -> x = 1, kinds), 1)) AS last_run,
            arrayLast(x -> x.3 != '', last_run).3 AS step,
            arraySort(arrayDistinct(arrayFilter(x -> x != '', arrayMap(x -> x.3, own_moves))))
                AS steps,
            arrayFilter(
                x -> x >= 0,
                arrayMap(
                    (now, before) -> if(now.2 = 3 AND before.2 = 1, now.1 - before.1, -1),
                    arrayPopFront(own_moves), arrayPopBack(own_moves)
                )
            ) AS durations,
            own_moves[-1].1 AS moved_ns
        FROM {conversations} AS c
        ARRAY JOIN arrayDistinct(arrayMap(x -> x.3, c.moves)) AS workflow
    )"""  # noqa: S608


def _rows(statement: Query, selection: Selection) -> list[dict[str, Any]]:
    """A row for each workflow, with an empty step, and one for each of its steps."""
    conversations = conversation_rows(statement, selection, "settled", "moves")
    levels = ", ".join(map(str, LEVELS))
    return statement.run(f"""
        SELECT workflow, reached, count() AS conversations, countIf(settled) AS settled_n,
            countIf(settled AND ending != '' AND step = reached) AS dropped,
            sum(started) AS started, sum(completed) AS completed, sum(failed) AS failed,
            sumIf(unended, settled) AS left_open, sumIf(unended, NOT settled) AS running,
            sum(length(durations)) AS duration_n,
            sum(toInt128(arraySum(durations))) / nullIf(duration_n, 0) / {SCALE} AS duration_mean,
            arrayMap(x -> x / {SCALE}, quantilesExactInclusiveArray({levels})(durations))
                AS duration_q
        FROM (
            SELECT *, arrayConcat([''], steps) AS named FROM {workflow_rows(conversations)} AS w
        )
        ARRAY JOIN named AS reached
        GROUP BY workflow, reached
    """)  # noqa: S608


def _steps(rows: list[dict[str, Any]]) -> list[WorkflowStep]:
    steps = [
        WorkflowStep(
            step=row["reached"],
            conversations=row["conversations"],
            settled=row["settled_n"],
            dropped=row["dropped"],
            rate=ratio(row["dropped"], row["settled_n"]),
        )
        for row in rows
        if row["reached"]
    ]
    return sorted(steps, key=lambda one: (-one.conversations, one.step))[:MOST]


def _workflow(rows: list[dict[str, Any]]) -> Workflow:
    whole = next(row for row in rows if not row["reached"])
    counts = ("conversations", "started", "completed", "failed", "left_open", "running")
    return Workflow(
        name=whole["workflow"],
        **{name: whole[name] for name in counts},
        completion_rate=ratio(whole["completed"], whole["started"]),
        duration=Distribution.read(whole, "duration"),
        steps=_steps(rows),
    )


@query()
def workflows(store: Store, scope: Scope, window: Window, filters: Filters) -> Workflows:
    """The workflows of the conversations that started in the window, the most started first.

    Args:
        store: The store to ask.
        scope: What the caller may see.
        window: The conversations to take.
        filters: What they are limited to.
    """
    grouped = defaultdict(list)
    for row in _rows(Query(store, scope), Selection(window, filters)):
        grouped[row["workflow"]].append(row)
    items = sorted(map(_workflow, grouped.values()), key=lambda one: (-one.started, one.name))
    return Workflows(window=TimeSpan.of(window), items=items[:MOST], others=len(items[MOST:]))
