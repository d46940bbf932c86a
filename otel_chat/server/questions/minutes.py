"""The last hour, minute by minute."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from pydantic import Field

from otel_chat.server.figures.answers import Answer
from otel_chat.server.figures.figures import turns_source
from otel_chat.server.figures.registry import query
from otel_chat.server.figures.sql import Query, nanos

if TYPE_CHECKING:
    from otel_chat.server.access import Scope
    from otel_chat.server.figures.filters import Filters
    from otel_chat.server.figures.window import Window
    from otel_chat.server.store import Store

SHOWN: Final = 60
_MINUTE_NS: Final = 60_000_000_000


class Minute(Answer):
    """What started in one minute."""

    start: datetime = Field(description="UTC.")
    turns: int
    errors: int = Field(description="Of these turns, those that failed.")
    handoffs: int = Field(description="Of these turns, those that asked for a human.")


class Minutes(Answer):
    """The last hour; the last minute is still going on."""

    items: list[Minute] = Field(description=f"{SHOWN}, in order.")


@query()
def minutes(store: Store, scope: Scope, window: Window, filters: Filters) -> Minutes:
    """Turns by the minute, in the hour that the window ends with.

    Args:
        store: The store to ask.
        scope: What the caller may see.
        window: It ends when it is asked about.
        filters: What the turns are limited to.
    """
    last = int(window.end.timestamp()) // 60
    first = datetime.fromtimestamp((last - SHOWN + 1) * 60, UTC)
    statement = Query(store, scope)
    span = replace(window, start=first)
    source = turns_source(statement, span, filters, ("start", "status", "handoff"))
    rows = statement.run(f"""
        SELECT intDiv({nanos("start")}, {_MINUTE_NS}) AS minute, count() AS turns,
            countIf(status = 'error') AS errors, countIf(handoff) AS handoffs
        FROM {source} AS t
        GROUP BY minute
    """)  # noqa: S608
    found = {row["minute"]: row for row in rows}
    return Minutes(
        items=[
            Minute(
                start=first + timedelta(minutes=number),
                turns=row.get("turns", 0),
                errors=row.get("errors", 0),
                handoffs=row.get("handoffs", 0),
            )
            for number in range(SHOWN)
            for row in (found.get(last - SHOWN + 1 + number, {}),)
        ]
    )
