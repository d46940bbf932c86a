"""The turns and events of one conversation in order, page by page."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from otel_chat.errors import QueryError
from otel_chat.server.figures.paging import Cursor
from otel_chat.server.figures.sql import moment, nanos

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from otel_chat.server.figures.sql import Query

Row = dict[str, Any]
ITEMS: Final = 500
MOST_ITEMS: Final = 1000
_MOMENT: Final = timedelta(microseconds=1)
_TURN: Final = "concat('0', lower(hex(trace_id)), lower(hex(span_id)))"
_EVENT: Final = "concat('1', name, ' ', uid)"
"""What tells turns and events of the same moment apart; turns come first."""


@dataclass(frozen=True, slots=True)
class Page:
    """So many turns and events that follow one another.

    It ends before a turn if it can, so that what follows a turn is on that turn's page.

    Args:
        items: The time of each in nanoseconds, and its key.
        before: How many turns come before.
        next_cursor: Where the next page begins; `None` at the end.
    """

    items: frozenset[tuple[int, str]]
    before: int
    next_cursor: str | None

    def turns(self, rows: Iterable[Row]) -> list[Row]:
        """Those of some rows of turns that are on the page, by time."""
        found = {(one["start_ns"], f"0{one['trace_hex']}{one['span_hex']}"): one for one in rows}
        return [found[item] for item in sorted(self.items & found.keys())]

    def events(self, rows: Iterable[Row]) -> list[Row]:
        """Those of some rows of events that are on the page, by time."""
        found = {(one["time_ns"], f"1{one['name']} {one['uid']}"): one for one in rows}
        return [found[item] for item in sorted(self.items & found.keys())]

    def has_turn(self, span_id: str) -> bool:
        """Whether a turn is on the page, by the hexadecimal digits of its span."""
        return any(key[0] == "0" and key.endswith(span_id.lower()) for _, key in self.items)

    def span(self, kind: str) -> tuple[datetime, datetime] | None:
        """From its first turn or event to just after its last.

        Args:
            kind: `0` for turns, `1` for events.
        """
        times = [at for at, key in self.items if key.startswith(kind)]
        return (moment(min(times)), moment(max(times)) + _MOMENT) if times else None


def _place(key: tuple[str, str], row: Row) -> str:
    """The cursor of a place in one conversation, of which it names tenant and id."""
    return Cursor(row["at"], json.dumps(key), row["key"]).text()


def page_of(
    statement: Query,
    key: tuple[str, str],
    turns: Sequence[str],
    events: Sequence[str],
    cursor: str | None,
    limit: int = ITEMS,
    turns_at_most: int | None = None,
) -> Page:
    """A page of the turns and events of one conversation.

    Args:
        statement: The SELECT under construction.
        key: Its tenant and its id.
        turns: The conditions that turns belong to it.
        events: The conditions that events belong to it.
        cursor: Where the page begins; at the first of them without.
        limit: How many at most, 1 to 1000.
        turns_at_most: How many turns of them at most; as many without.

    Raises:
        QueryError: If the limit or the cursor is wrong, or the cursor is of another conversation.
    """
    if not 1 <= limit <= MOST_ITEMS:
        raise QueryError(f"A page of a conversation has 1 to {MOST_ITEMS} items.", field="limit")
    columns = (f"{nanos('start')} AS at", f"{_TURN} AS key")
    of_turns = statement.select("turns", columns, turns)
    of_events = statement.select("events", (f"{nanos('time')} AS at", f"{_EVENT} AS key"), events)
    reached, before = "true", 0
    if cursor is not None:
        first = Cursor.read(cursor)
        if first.tenant != json.dumps(key):
            raise QueryError("This cursor is of another conversation.", field="cursor")
        at, item = statement.bind(first.at, "Int64"), statement.bind(first.key, "String")
        reached = f"(at, key) >= ({at}, {item})"
        before = statement.one(
            f"SELECT countIf(NOT ({reached})) AS n FROM ({of_turns})"  # noqa: S608
        )["n"]
    rows = statement.run(
        f"SELECT at, key FROM ({of_turns} UNION ALL {of_events})"  # noqa: S608
        f" WHERE {reached} ORDER BY at, key LIMIT {limit + 1}"
    )
    end = _end([row["key"].startswith("0") for row in rows], limit, turns_at_most or limit)
    return Page(
        frozenset((row["at"], row["key"]) for row in rows[:end]),
        before,
        _place(key, rows[end]) if end < len(rows) else None,
    )


def _end(is_turn: Sequence[bool], limit: int, turns: int) -> int:
    """Where a page ends whose items are turns or events, of which there may be one too many."""
    starts = [place for place, so in enumerate(is_turn) if so]
    if len(starts) > turns:
        return starts[turns]
    if len(is_turn) <= limit:
        return len(is_turn)
    return starts[-1] if starts and starts[-1] else limit


def cursor_of(
    statement: Query, key: tuple[str, str], turns: Sequence[str], span_id: str
) -> str | None:
    """The cursor of the page that begins with a turn; `None` if there is no such turn.

    Args:
        statement: The SELECT under construction.
        key: The conversation's tenant and its id.
        turns: The conditions that turns belong to the conversation.
        span_id: The hexadecimal digits of the turn's span.
    """
    named = f"lower(hex(span_id)) = {statement.bind(span_id.lower(), 'String')}"
    columns = (f"{nanos('start')} AS at", f"{_TURN} AS key")
    row = statement.one(f"{statement.select('turns', columns, [*turns, named])} LIMIT 1")
    return _place(key, row) if row else None
