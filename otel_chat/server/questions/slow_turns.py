"""The slowest turns, and where their time went."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from pydantic import Field

from otel_chat.server.figures.answers import Answer, TimeSpan
from otel_chat.server.figures.figures import turns_source
from otel_chat.server.figures.paging import PAGE, check_limit
from otel_chat.server.figures.registry import query
from otel_chat.server.figures.sql import Query, moment, nanos
from otel_chat.server.figures.window import Window
from otel_chat.server.questions.split import Interval, TimeSplit, split
from otel_chat.server.questions.trace_spans import trace_intervals
from otel_chat.server.rules import MODEL

if TYPE_CHECKING:
    from otel_chat.server.access import Scope
    from otel_chat.server.figures.filters import Filters
    from otel_chat.server.store import Store

_READ: Final = (
    "tenant", "conversation_id", "trace_id", "span_id", "agent", "request_model", "response_model",
    "intent", "start", "end", "duration", "status",
)  # fmt: skip


class SlowTurn(Answer):
    """A slow turn, and where its time went."""

    trace_id: str
    span_id: str
    conversation_id: str
    tenant: str
    agent: str
    model: str
    intent: str
    start: datetime
    duration: float = Field(description="Seconds.")
    status: str
    split: TimeSplit


class SlowTurns(Answer):
    """The slowest turns of the window, the slowest first."""

    window: TimeSpan
    items: list[SlowTurn]


@query()
def slowest(
    store: Store, scope: Scope, window: Window, filters: Filters, limit: int = PAGE
) -> SlowTurns:
    """The slowest turns, with where their time went.

    Args:
        store: The store to ask.
        scope: What the caller may see.
        window: The turns to take.
        filters: What they are limited to.
        limit: How many, 1 to 200.

    Raises:
        QueryError: If the limit is wrong.
    """
    check_limit(limit)
    statement = Query(store, scope)
    rows = statement.run(f"""
        SELECT tenant, conversation_id, lower(hex(trace_id)) AS trace,
            lower(hex(span_id)) AS span, toString(agent) AS agent, {MODEL} AS model,
            toString(intent) AS intent, {nanos("start")} AS start_ns, {nanos("end")} AS end_ns,
            duration, toString(status) AS status
        FROM {turns_source(statement, window, filters, _READ)} AS t
        ORDER BY duration DESC, start DESC, trace_id, span_id
        LIMIT {statement.bind(limit, "UInt32")}
    """)  # noqa: S608
    inside = trace_intervals(
        Query(store, scope),
        [row["trace"] for row in rows],
        moment(min((row["start_ns"] for row in rows), default=0)),
        moment(max((row["end_ns"] for row in rows), default=0)),
    )
    return SlowTurns(
        window=TimeSpan.of(window),
        items=[_slow(row, inside.get((row["tenant"], row["trace"]), [])) for row in rows],
    )


def _slow(row: dict[str, Any], spans: list[Interval]) -> SlowTurn:
    turn = Interval(row["span"], "", row["start_ns"], row["end_ns"], "")
    return SlowTurn(
        trace_id=row["trace"],
        span_id=row["span"],
        conversation_id=row["conversation_id"],
        tenant=row["tenant"],
        agent=row["agent"],
        model=row["model"],
        intent=row["intent"],
        start=moment(row["start_ns"]),
        duration=row["duration"],
        status=row["status"],
        split=split(turn, spans),
    )
