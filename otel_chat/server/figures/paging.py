"""Pages of long lists: a cursor says where the page before ended."""

from __future__ import annotations

import base64
import json
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Any, Final

from otel_chat.errors import QueryError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_chat.server.figures.sql import Query

PAGE: Final = 50
LARGEST_PAGE: Final = 200
_RANGE: Final = 2**63


def check_limit(limit: int) -> None:
    """Refuse a page of a wrong size.

    Raises:
        QueryError: If `limit` is not 1 to 200.
    """
    if not 1 <= limit <= LARGEST_PAGE:
        raise QueryError(f"A page has 1 to {LARGEST_PAGE} entries.", field="limit")


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last entry of a page, by what the list is sorted by.

    Args:
        at: Its time in nanoseconds from the epoch.
        tenant: Its tenant, or what else it belongs to.
        key: What tells it from others of the same time and tenant.

    Example:
        >>> Cursor.read(Cursor(1, "acme", "c-1").text())
        Cursor(at=1, tenant='acme', key='c-1')
    """

    at: int
    tenant: str
    key: str

    def text(self) -> str:
        """The cursor as callers hand it back."""
        packed = json.dumps(astuple(self), separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(packed).decode().rstrip("=")

    def passed(self, query: Query) -> str:
        """The condition on a row with its `started_ns` that it stands behind this, newest first.

        Args:
            query: The SELECT under construction.
        """
        return (
            "(-started_ns, tenant, conversation_id) >"
            f" (-{query.bind(self.at, 'Int64')}, {query.bind(self.tenant, 'String')},"
            f" {query.bind(self.key, 'String')})"
        )

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Cursor:
        """The cursor of a conversation's row, by its start."""
        return cls(row["started_ns"], row["tenant"], row["conversation_id"])

    @classmethod
    def read(cls, text: str) -> Cursor:
        """The cursor that `text` came from.

        Raises:
            QueryError: If it came from none.
        """
        try:
            packed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            at, tenant, key = json.loads(packed)
            known = type(at) is int and -_RANGE < at < _RANGE
            f"{tenant}{key}".encode()  # half a pair of surrogates is JSON, but no text
        except (ValueError, TypeError, RecursionError) as error:
            raise QueryError("This cursor did not come from here.", field="cursor") from error
        if not known or not isinstance(tenant, str) or not isinstance(key, str):
            raise QueryError("This cursor did not come from here.", field="cursor")
        return cls(at, tenant, key)


def offset_of(cursor: str | None, order: str) -> int:
    """How many entries stand before the page of a list in an order of the reader's.

    Args:
        cursor: `Cursor(number, "", order)` as text; `None` for the first page.
        order: The name of the order.

    Raises:
        QueryError: If it came from another list.

    Example:
        >>> offset_of(None, "cost"), offset_of(Cursor(50, "", "cost").text(), "cost")
        (0, 50)
    """
    if cursor is None:
        return 0
    read = Cursor.read(cursor)
    if read.key != order or read.tenant or read.at < 0:
        raise QueryError("This cursor is of another list.", field="cursor")
    return read.at
