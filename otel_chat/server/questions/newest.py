"""Where the data is: when the newest conversation began."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_chat.server.figures.registry import query
from otel_chat.server.figures.sql import Query, moment, nanos

if TYPE_CHECKING:
    from datetime import datetime

    from otel_chat.server.access import Scope
    from otel_chat.server.store import Store


@query()
def newest_conversation(store: Store, scope: Scope) -> datetime | None:
    """When the newest conversation began, of any time; None where there is none.

    Args:
        store: The store to ask.
        scope: What the caller may see.
    """
    statement = Query(store, scope)
    columns = ["count() AS found", f"{nanos('max(started_at)')} AS newest"]
    row = statement.one(statement.select("conversations", columns))
    return moment(row["newest"]) if row["found"] else None
