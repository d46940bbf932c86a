"""The spans inside of turns, as far as the split of their time needs them."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final

from otel_chat import semconv
from otel_chat.server.queries.split import Interval
from otel_chat.server.queries.sql import Query, nanos

EARLY: Final = timedelta(hours=1)
MOMENT: Final = timedelta(microseconds=1)
Key = tuple[str, str]
"""A tenant, and the hexadecimal digits of one of its traces."""


def intervals(
    statement: Query, traces: Collection[str], since: datetime, until: datetime
) -> dict[Key, list[Interval]]:
    """The spans of traces, turns among them.

    Args:
        statement: The SELECT under construction.
        traces: The hexadecimal digits of the traces.
        since: When the first of their turns started.
        until: When the last of them ended.
    """
    if not traces:
        return {}
    # The time is there for the primary key; a span may begin a little before its turn. What starts
    # after the last turn ended is in none of them.
    conditions = [
        statement.between("start", since - EARLY, until + MOMENT),
        statement.of_traces(traces, "spans"),
    ]
    columns = ("tenant", "trace_id", "span_id", "parent_span_id", "start", "end")
    spans = statement.table("spans", (*columns, "toString(operation) AS did"), conditions)
    turn = f"'{semconv.OPERATION_INVOKE_AGENT}' AS did"
    turns = statement.table("turns", (*columns, turn), conditions)
    rows = statement.run(f"""
        SELECT tenant, lower(hex(trace_id)) AS trace, lower(hex(span_id)) AS span,
            lower(hex(parent_span_id)) AS parent, {nanos("start")} AS start_ns,
            {nanos("end")} AS end_ns, did
        FROM (SELECT * FROM {spans} UNION ALL SELECT * FROM {turns})
        ORDER BY start_ns, span
    """)  # noqa: S608
    found: dict[Key, list[Interval]] = {}
    for row in rows:
        interval = Interval(row["span"], row["parent"], row["start_ns"], row["end_ns"], row["did"])
        found.setdefault((row["tenant"], row["trace"]), []).append(interval)
    return found
