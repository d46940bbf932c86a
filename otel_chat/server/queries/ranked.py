"""Conversations in another order than by time, or by what was noted about them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from otel_chat.errors import QueryError
from otel_chat.server.queries.aggregation import Selection, conversation_rows
from otel_chat.server.queries.answers import TimeSpan
from otel_chat.server.queries.conversations import Conversations, Found, conversations, items_of
from otel_chat.server.queries.filters import Filters
from otel_chat.server.queries.paging import PAGE, Cursor, check_limit
from otel_chat.server.queries.partials import KEY
from otel_chat.server.queries.registry import query
from otel_chat.server.queries.search import Search
from otel_chat.server.queries.sql import Query, nanos

if TYPE_CHECKING:
    from otel_chat.server.access import Scope
    from otel_chat.server.queries.window import Window
    from otel_chat.server.store import Store

Sort = Literal[
    "-started", "started", "-turns", "turns", "-response", "response", "-tokens", "tokens",
    "-cost", "cost", "-engagement", "engagement", "-duration", "duration", "-errors", "errors",
]  # fmt: skip
"""What conversations are sorted by; a hyphen puts the greatest first."""
NEWEST: Final[Sort] = "-started"
_TOKENS: Final = "ifNull(input_tokens, 0) + ifNull(output_tokens, 0)"
_BY: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "started": (nanos("started_at"), ()),
    "turns": ("turns", ()),
    "response": ("duration_sum / turns", ("duration_sum",)),
    "tokens": (
        f"if(isNull(input_tokens) AND isNull(output_tokens), NULL, {_TOKENS})",
        ("input_tokens", "output_tokens"),
    ),
    "cost": ("cost", ("cost",)),
    "engagement": ("engagement", ()),
    "duration": (f"{nanos('last_at')} - {nanos('started_at')}", ()),
    "errors": ("errors", ("errors",)),
}
"""What each sorts by, and the columns of turns that it needs."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What a list of conversations is to be like.

    Args:
        sort: What it is sorted by.
        search: A text that was said in them, in whatever case; asks for conversations:read.
        tag: Only those with this tag.
        reviewed: Only those that were reviewed, or were not.
    """

    sort: Sort = NEWEST
    search: str | None = None
    tag: str | None = None
    reviewed: bool | None = None

    @property
    def plain(self) -> bool:
        """Whether it is the list by time of all conversations."""
        return self.sort == NEWEST and self.tag is None and self.reviewed is None


def _noted(statement: Query, listing: Listing) -> list[str]:
    tag, reviewed = listing.tag, listing.reviewed
    conditions = []
    columns = ("tenant", "conversation_id")
    if tag is not None:
        has = f"has(tags, {statement.bind(tag, 'String')})"
        conditions.append(f"({KEY}) IN {statement.table('conversation_marks', columns, [has])}")
    if reviewed is not None:
        done = statement.table("conversation_marks", columns, ["reviewed"])
        conditions.append(f"({KEY}) {'IN' if reviewed else 'NOT IN'} {done}")
    return conditions


def _offset(cursor: str | None, sort: Sort) -> int:
    if cursor is None:
        return 0
    read = Cursor.read(cursor)
    if read.key != sort or read.tenant or read.at < 0:
        raise QueryError("This cursor is of another list.", field="cursor")
    return read.at


def _sorted(
    statement: Query,
    selection: Selection,
    listing: Listing,
    search: Search | None,
    offset: int,
    limit: int,
) -> list[Found]:
    """A page of conversations in order, and one more if there are more."""
    column = listing.sort.removeprefix("-")
    if column not in _BY:
        raise QueryError(f"An order is one of {', '.join(_BY)}, or -{column}.", field="sort")
    expression, needed = _BY[column]
    conditions = _noted(statement, listing)
    if search is not None:
        window = selection.window
        conditions.append(search.among(statement, window.start, window.end))
    rows = statement.run(f"""
        SELECT {nanos("started_at")} AS started_ns, tenant, conversation_id,
            {expression} AS sorted_by
        FROM {conversation_rows(statement, selection, needed)} AS c
        {"WHERE " + " AND ".join(conditions) if conditions else ""}
        ORDER BY sorted_by {"DESC" if listing.sort != column else "ASC"} NULLS LAST,
            started_ns DESC, tenant, conversation_id
        LIMIT {statement.bind(limit + 1, "UInt32")} OFFSET {statement.bind(offset, "UInt64")}
    """)  # noqa: S608
    return [(row["started_ns"], row["tenant"], row["conversation_id"]) for row in rows]


@query()
def ranked(
    store: Store,
    scope: Scope,
    window: Window,
    filters: Filters,
    listing: Listing = Listing(),
    limit: int = PAGE,
    cursor: str | None = None,
) -> Conversations:
    """The conversations that started in the window, in an order of the caller's.

    What has no value of the kind comes last; those that are alike come newest first.

    Args:
        store: The store to ask.
        scope: What the caller may see.
        window: The conversations to take.
        filters: What they are limited to.
        listing: In which order, and which of them.
        limit: How many to a page, 1 to 200.
        cursor: Where the page before ended.

    Raises:
        AccessError: If there is a text to search for, and the scope may not read any.
        QueryError: If the order, the limit, the cursor or the text is wrong.
    """
    sort, search = listing.sort, listing.search
    if listing.plain:
        return conversations(store, scope, window, filters, limit, cursor, search)
    check_limit(limit)
    offset = _offset(cursor, sort)
    wanted = None if search is None else Search.of(scope, search)
    statement = Query(store, scope)
    rows = _sorted(statement, Selection(window, filters), listing, wanted, offset, limit)
    page = rows[:limit]
    more = len(rows) > limit
    return Conversations(
        window=TimeSpan.of(window),
        items=items_of(statement, scope, window, page, wanted),
        next_cursor=Cursor(offset + limit, "", sort).text() if more else None,
    )
