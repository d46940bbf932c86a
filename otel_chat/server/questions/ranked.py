"""Conversations in another order than by time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from otel_chat.errors import QueryError
from otel_chat.server.figures.answers import TimeSpan
from otel_chat.server.figures.conversation_rows import Selection
from otel_chat.server.figures.filters import Filters
from otel_chat.server.figures.paging import PAGE, Cursor, check_limit, offset_of
from otel_chat.server.figures.registry import query
from otel_chat.server.figures.sql import Query
from otel_chat.server.questions.conversations import Conversations, conversations, page_of
from otel_chat.server.questions.search import Search

if TYPE_CHECKING:
    from otel_chat.server.access import Scope
    from otel_chat.server.figures.window import Window
    from otel_chat.server.store import Store

Sort = Literal[
    "-started", "started", "-turns", "turns", "-response", "response", "-tokens", "tokens",
    "-cost", "cost", "-engagement", "engagement", "-duration", "duration", "-errors", "errors",
]  # fmt: skip
"""What conversations are sorted by; a hyphen puts the greatest first."""
NEWEST: Final[Sort] = "-started"
_TOKENS: Final = "ifNull(input_tokens, 0) + ifNull(output_tokens, 0)"
_BY: Final = {
    "started": "started_ns",
    "turns": "turns",
    "response": "response_sum / nullIf(responses, 0)",
    "tokens": f"if(isNull(input_tokens) AND isNull(output_tokens), NULL, {_TOKENS})",
    "cost": "cost",
    "engagement": "engagement",
    "duration": "last_ns - started_ns",
    "errors": "errors",
}
"""What each sorts by."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What a list of conversations is to be like.

    Args:
        sort: What it is sorted by.
        search: A text that was said in them, in whatever case; asks for conversations:read.
    """

    sort: Sort = NEWEST
    search: str | None = None


def _order(sort: Sort) -> str:
    column = sort.removeprefix("-")
    if column not in _BY:
        raise QueryError(f"An order is one of {', '.join(_BY)}, or -{column}.", field="sort")
    return f"{_BY[column]} {'DESC' if sort != column else 'ASC'} NULLS LAST, "


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
    if sort == NEWEST:
        return conversations(store, scope, window, filters, limit, cursor, search)
    check_limit(limit)
    offset = offset_of(cursor, sort)
    wanted = None if search is None else Search.of(scope, search)
    statement = Query(store, scope)
    selection = Selection(window, filters)
    items, more = page_of(statement, scope, selection, (), _order(sort), limit, wanted, offset)
    return Conversations(
        window=TimeSpan.of(window),
        items=items,
        next_cursor=None if more is None else Cursor(offset + limit, "", sort).text(),
    )
