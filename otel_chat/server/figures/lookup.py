"""When something was: with its time the rest of it is found by the primary key."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from otel_chat.server.figures.sql import moment, nanos

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from otel_chat.server.figures.sql import Query, Table

Span = tuple[datetime, datetime]
"""From the first moment to just after the last."""
_MOMENT: Final = timedelta(microseconds=1)
_TIMES: Final[Mapping[Table, tuple[str, ...]]] = {
    "turns": ("start", "end"),
    "spans": ("start", "end"),
    "events": ("time",),
}


def lookup_times(statement: Query, table: Table, conditions: Sequence[str]) -> dict[str, Span]:
    """When there are rows that fulfil conditions for which the table has an index.

    Args:
        statement: The SELECT under construction.
        table: Turns, spans or events.
        conditions: What the rows must fulfil.

    Returns:
        By tenant, as several may have something of the same id.
    """
    columns = _TIMES[table]
    times = (
        "toString(tenant) AS name",
        f"{nanos(f'min({columns[0]})')} AS first_ns",
        f"{nanos(f'max({columns[-1]})')} AS last_ns",
    )
    source = statement.select(table, ("*",), conditions, once=False)
    if table == "turns":
        # A turn that was taken back is none, and few are cheaper sorted here than read with FINAL.
        newest = "ORDER BY version DESC LIMIT 1 BY tenant, conversation_id, trace_id, span_id"
        source = f"SELECT * FROM ({source} {newest}) WHERE NOT gone"  # noqa: S608
    rows = statement.run(f"SELECT {', '.join(times)} FROM ({source}) GROUP BY name")  # noqa: S608
    return {
        row["name"]: (moment(row["first_ns"]), moment(row["last_ns"]) + _MOMENT) for row in rows
    }
