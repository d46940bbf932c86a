"""What turns depend on: tools, APIs, retrievals and models, with calls, success and latency."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import Field

from otel_chat import semconv
from otel_chat.server.queries.answers import Answer, TimeSpan
from otel_chat.server.queries.figures import members
from otel_chat.server.queries.registry import figure, query
from otel_chat.server.queries.split import KINDS
from otel_chat.server.queries.sql import Query, mean, moment, nanos, quantiles, ratio
from otel_chat.server.queries.window import MARGIN, Window

if TYPE_CHECKING:
    from otel_chat.server.access import Scope
    from otel_chat.server.queries.filters import Filters
    from otel_chat.server.store import Store

Kind = Literal["tool", "api", "retrieval", "model"]
LEVELS: Final = (0.5, 0.95, 0.99)
MOST: Final = 200
GOOD: Final = ("", "ok", "success", "succeeded", "completed", "true")
"""The statuses of an API call that are no failure, beside numbers below 400."""


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
    error_types: list[str] = Field(description="What failures were called, at most ten.")
    last_failure: datetime | None


class Dependencies(Answer):
    """Tools, APIs, retrievals and models, the most called first."""

    window: TimeSpan
    items: list[Dependency] = Field(description=f"At most {MOST}.")
    others: int = Field(description="Those that are not listed.")


def _of_spans(statement: Query, window: Window, filters: Filters) -> str:
    conditions = [
        statement.between("start", window.start, window.end),
        f"operation IN {statement.bind(tuple(KINDS), 'Array(String)')}",
    ]
    if not filters.empty:
        conditions.append(_within(statement, window, filters))
    columns = (
        "tenant", "conversation_id", "start", "end", "operation", "tool", "model", "name",
        "status_code", "error_type", "attributes",
    )  # fmt: skip
    source = statement.table("spans", columns, conditions)
    named = statement.bind(tuple(KINDS), "Array(String)")
    kinds = statement.bind(tuple(KINDS.values()), "Array(String)")
    collection = f"attributes['{semconv.DATA_SOURCE_ID}']"
    return f"""
        SELECT transform(toString(operation), {named}, {kinds}, '') AS kind,
            multiIf(kind = 'tool', toString(tool), kind = 'model', toString(model),
                {collection}) AS said,
            if(said = '', name, said) AS called, {nanos("start")} AS at,
            toNullable(({nanos("end")} - {nanos("start")}) / 1e9) AS seconds,
            toString(status_code) = 'error' OR error_type != '' AS failed,
            toString(error_type) AS reason
        FROM {source} AS s
    """  # noqa: S608


def _of_events(statement: Query, window: Window, filters: Filters) -> str:
    conditions = [
        statement.between("time", window.start, window.end),
        f"name = '{semconv.EVENT_API_CALL}'",
    ]
    if not filters.empty:
        conditions.append(members(statement, window, filters))
    columns = ("time", "api_name", "duration", "status", "error_type")
    source = statement.table("events", columns, conditions)
    good = statement.bind(GOOD, "Array(String)")
    code = "toInt32OrNull(toString(status))"
    return f"""
        SELECT 'api' AS kind, '' AS said, toString(api_name) AS called, {nanos("time")} AS at,
            duration AS seconds,
            if({code} IS NULL, lower(toString(status)) NOT IN {good}, assumeNotNull({code}) >= 400)
                AS failed,
            if(error_type != '', toString(error_type), toString(status)) AS reason
        FROM {source} AS e
    """  # noqa: S608


def _within(statement: Query, window: Window, filters: Filters) -> str:
    """The spans of the turns that the filters let through: by trace, for spans know no channel."""
    wider = [
        statement.between("start", window.start - MARGIN, window.end + MARGIN),
        *filters.of_turn(statement),
    ]
    if filters.whole_conversations:
        wider.append(members(statement, window, filters))
    turns = statement.table("turns", ("tenant", "trace_id"), wider)
    return f"(tenant, trace_id) IN {turns}"


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
    rows = statement.run(f"""
        SELECT kind, called, count() AS calls, countIf(failed) AS failures,
            count(seconds) AS timed, {mean("seconds")} AS seconds_mean,
            {quantiles("seconds", LEVELS)} AS seconds_q,
            arraySlice(arraySort(groupUniqArrayIf(reason, failed AND reason != '')), 1, 10)
                AS reasons,
            maxIf(at, failed) AS last_failed
        FROM ({_of_spans(statement, window, filters)}
            UNION ALL {_of_events(statement, window, filters)})
        GROUP BY kind, called
        ORDER BY calls DESC, kind, called
    """)  # noqa: S608
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
