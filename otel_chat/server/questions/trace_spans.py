"""The spans inside of turns, as far as the split of their time needs them."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from operator import itemgetter
from typing import Final

from otel_chat import semconv
from otel_chat.server.figures.sql import Query, nanos
from otel_chat.server.questions.split import Interval

EARLY: Final = timedelta(hours=1)
MOMENT: Final = timedelta(microseconds=1)
Key = tuple[str, str]
"""A tenant, and the hexadecimal digits of one of its traces."""


def trace_intervals(
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
    columns = (
        "tenant",
        "lower(hex(trace_id)) AS trace",
        "lower(hex(span_id)) AS span",
        "lower(hex(parent_span_id)) AS parent",
        f"{nanos('start')} AS start_ns",
        f"{nanos('end')} AS end_ns",
    )
    spans = statement.select("spans", (*columns, "toString(operation) AS did"), conditions)
    turn = f"'{semconv.OPERATION_INVOKE_AGENT}' AS did"
    turns = statement.select("turns", (*columns, turn), conditions)
    rows = statement.run(f"{spans} UNION ALL {turns}")
    found: dict[Key, list[Interval]] = {}
    for row in sorted(rows, key=itemgetter("start_ns", "span")):
        interval = Interval(row["span"], row["parent"], row["start_ns"], row["end_ns"], row["did"])
        found.setdefault((row["tenant"], row["trace"]), []).append(interval)
    return found
