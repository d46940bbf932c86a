"""Segments: conditions that were saved under a name."""

from __future__ import annotations

import difflib
from datetime import datetime
from typing import TYPE_CHECKING, Final

from pydantic import Field

from otel_chat.errors import QueryError
from otel_chat.server.figures.answers import Answer
from otel_chat.server.figures.filters import SEGMENT
from otel_chat.server.figures.registry import query
from otel_chat.server.figures.sql import Query, moment, nanos

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_chat.server.access import Scope
    from otel_chat.server.figures.filters import Segments
    from otel_chat.server.store import Store

MOST: Final = 1000


class Segment(Answer):
    """Conditions that were saved under a name."""

    name: str
    tenant: str
    where: str = Field(description="The conditions, as the filter `where` takes them.")
    watched: bool = Field(description="Whether `/metrics` has gauges of it.")
    texts: bool = Field(description="Whether who saved it may read what was said.")
    saved_at: datetime


class SavedSegments(Answer):
    """The segments that were saved, by name."""

    items: list[Segment] = Field(description=f"At most {MOST}.")


@query()
def segments(store: Store, scope: Scope) -> SavedSegments:
    """The segments that were saved, by name.

    Args:
        store: The store to ask.
        scope: What the caller may see.
    """
    statement = Query(store, scope)
    columns = ("tenant", "name", "conditions", "watched", "texts", "saved_at")
    source = statement.table("segments", columns, ["NOT dropped"])
    rows = statement.run(f"""
        SELECT tenant, name, conditions, watched, texts,
            {nanos("saved_at")} AS saved_ns
        FROM {source} AS s ORDER BY lower(name), name, tenant LIMIT {MOST}
    """)  # noqa: S608
    return SavedSegments(
        items=[
            Segment(
                name=row["name"],
                tenant=row["tenant"],
                where=row["conditions"],
                watched=row["watched"],
                texts=row["texts"],
                saved_at=moment(row["saved_ns"]),
            )
            for row in rows
        ]
    )


def conditions_of(store: Store, scope: Callable[[], Scope]) -> Segments:
    """What gives the conditions of a segment by its name, as filters need it.

    Args:
        store: Where segments are kept.
        scope: Says who asks; called only where a segment is asked for.
    """

    def look_up(name: str) -> str:
        known = segments(store, scope()).items
        found = {one.where: one.tenant for one in known if one.name == name}
        if not found:
            near = difflib.get_close_matches(name, {one.name for one in known}, 1, 0.5)
            meant = f" Did you mean {near[0]!r}?" if near else ""
            raise QueryError(f"There is no segment {name[:100]!r}.{meant}", field=SEGMENT)
        if len(found) > 1:
            whose = " and ".join(sorted(found.values())[:2])
            message = f"{whose} have segments {name!r} that differ: ask with a token of one tenant."
            raise QueryError(message, field=SEGMENT)
        return next(iter(found))

    return look_up
