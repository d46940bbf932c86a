"""What turns depend on: tools, APIs, retrievals and models, with calls, success and latency."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import Field

from otel_chat.server.figures.answers import Answer, TimeSpan
from otel_chat.server.figures.conversation_rows import members, of_turns
from otel_chat.server.figures.registry import figure, query
from otel_chat.server.figures.sql import Query, mean, moment, quantiles, ratio
from otel_chat.server.figures.window import MARGIN, Window
from otel_chat.server.questions.calls import EVENT_COLUMNS, IS_CALL, SPAN_COLUMNS, calls, once

if TYPE_CHECKING:
    from otel_chat.server.access import Scope
    from otel_chat.server.figures.filters import Filters
    from otel_chat.server.store import Store

Kind = Literal["tool", "api", "retrieval", "model"]
LEVELS: Final = (0.5, 0.95, 0.99)
MOST: Final = 200
REASONS: Final = 10


class Dependency(Answer):
    """Something that turns depend on."""

    kind: Kind
    name: str = Field(description="The tool, the API, the data source, or the model.")
    calls: int = figure("dependency_calls", "{call}", "Calls in the window.")
    failures: int = figure(
        "dependency_failures",
        "{call}",
        "Calls that failed: spans with an error, API calls with a status from 400 on or a word"
        " that is none of success.",
    )
    success_rate: float | None = figure(
        "dependency_success_ratio", "1", "Calls that did not fail ÷ calls."
    )
    mean: float | None = figure("dependency_duration", "s", "Mean time of a call.")
    p50: float | None
    p95: float | None
    p99: float | None
    timed: int = Field(description="Calls whose time is known.")
    error_types: list[str] = Field(description=f"What failures were called, at most {REASONS}.")
    last_failure: datetime | None


class Dependencies(Answer):
    """Tools, APIs, retrievals and models, the most called first."""

    window: TimeSpan
    items: list[Dependency] = Field(description=f"At most {MOST}.")
    others: int = Field(description="Those that are not listed.")


def _within(statement: Query, window: Window, filters: Filters) -> str:
    """The spans of the turns that the filters let through: by trace, for spans know no channel."""
    since = window.start - MARGIN
    wider = [
        statement.between("start", since, window.end + MARGIN),
        *of_turns(statement, window, filters, since),
    ]
    turns = statement.table("turns", ("tenant", "trace_id"), wider)
    return f"(tenant, trace_id) IN {turns}"


def _of_calls(statement: Query, window: Window, filters: Filters) -> list[dict[str, Any]]:
    """What was called, from spans and events, the most called first."""
    of_spans = [
        statement.within("start", window),
        IS_CALL["spans"],
        once(statement, window),
    ]
    of_events = [statement.within("time", window), IS_CALL["events"]]
    if not filters.empty:
        of_spans.append(_within(statement, window, filters))
        of_events.append(members(statement, window, filters))
    spans = statement.table("spans", SPAN_COLUMNS, of_spans)
    events = statement.table("events", EVENT_COLUMNS, of_events)
    return statement.run(f"""
        SELECT kind, called, count() AS calls, countIf(failed) AS failures,
            count(seconds) AS timed, {mean("seconds")} AS seconds_mean,
            {quantiles("seconds", LEVELS)} AS seconds_q,
            arraySlice(arraySort(groupUniqArrayIf(reason, failed AND reason != '')), 1, {REASONS})
                AS reasons,
            maxIf(at, failed) AS last_failed
        FROM ({calls(spans, events)})
        GROUP BY kind, called
        ORDER BY calls DESC, kind, called
    """)  # noqa: S608


@query()
def dependencies(store: Store, scope: Scope, window: Window, filters: Filters) -> Dependencies:
    """What the turns of the window called: how often, how well, how fast.

    Args:
        store: The store to ask.
        scope: What the caller may see.
        window: The calls to take, by their start.
        filters: The turns to take them of.
    """
    statement = Query(store, scope)
    rows = _of_calls(statement, window, filters)
    return Dependencies(
        window=TimeSpan.of(window),
        items=[_dependency(row) for row in rows[:MOST]],
        others=max(len(rows) - MOST, 0),
    )


def _dependency(row: dict[str, Any]) -> Dependency:
    spread = row["seconds_q"] if row["timed"] else (None, None, None)
    return Dependency(
        kind=row["kind"],
        name=row["called"],
        calls=row["calls"],
        failures=row["failures"],
        success_rate=ratio(row["calls"] - row["failures"], row["calls"]),
        mean=row["seconds_mean"] if row["timed"] else None,
        p50=spread[0],
        p95=spread[1],
        p99=spread[2],
        timed=row["timed"],
        error_types=row["reasons"],
        last_failure=moment(row["last_failed"]) if row["failures"] else None,
    )
