"""What colleagues noted about conversations, and the views that they saved."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from pydantic import Field

from otel_chat.server.figures import content
from otel_chat.server.figures.answers import Answer
from otel_chat.server.figures.conversation_rows import among
from otel_chat.server.figures.registry import query
from otel_chat.server.figures.sql import Query, moment, nanos
from otel_chat.server.questions.conversation import find

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_chat.server.access import Scope
    from otel_chat.server.figures.window import Window
    from otel_chat.server.store import Store

MOST: Final = 1000
_COLUMNS: Final = (
    "tenant", "conversation_id", "reviewed", "reviewed_by", "reviewed_at", "tags", "note",
    "changed_at",
)  # fmt: skip


class Mark(Answer):
    """What was noted about a conversation."""

    conversation_id: str
    tenant: str
    reviewed: bool = False
    reviewed_by: str = Field(
        "", description="The name of the token that marked it so last; empty where none is known."
    )
    reviewed_at: datetime | None = Field(
        None, description="UTC; null where it is not reviewed, or was before this was kept."
    )
    tags: list[str] = Field(default=[], description="By name.")
    note: str | None = Field(
        None,
        description="Null where there is none, or where the token lacks conversations:read.",
    )
    changed_at: datetime | None = Field(None, description="UTC; null where nothing was noted.")


class Marks(Answer):
    """Conversations about which something was noted, those changed last first."""

    items: list[Mark] = Field(description=f"At most {MOST}.")
    tags: list[str] = Field(description="All tags in use among them, by name.")


class SavedView(Answer):
    """A view of a page, kept under a name."""

    name: str
    tenant: str
    address: str = Field(description="A path of the pages, with its filters.")
    saved_at: datetime


class SavedViews(Answer):
    """The views that were saved, by name."""

    items: list[SavedView] = Field(description=f"At most {MOST}.")


def _read(scope: Scope, row: dict[str, Any]) -> Mark:
    return Mark(
        conversation_id=row["conversation_id"],
        tenant=row["tenant"],
        reviewed=row["reviewed"],
        reviewed_by=row["reviewed_by"],
        reviewed_at=None if row["reviewed_ns"] is None else moment(row["reviewed_ns"]),
        tags=row["tags"],
        note=content.said(scope, row["note"]),
        changed_at=moment(row["changed_ns"]),
    )


def _rows(statement: Query, conditions: Sequence[str]) -> list[dict[str, Any]]:
    return statement.run(f"""
        SELECT tenant, conversation_id, reviewed, reviewed_by, tags, note,
            {nanos("reviewed_at")} AS reviewed_ns,
            {nanos("changed_at")} AS changed_ns
        FROM {statement.table("conversation_marks", _COLUMNS, conditions)} AS m
        ORDER BY changed_at DESC, tenant, conversation_id
        LIMIT {MOST}
    """)  # noqa: S608


@query()
def marks(
    store: Store,
    scope: Scope,
    keys: Sequence[tuple[str, str]] | None = None,
    tag: str | None = None,
    reviewed: bool | None = None,  # noqa: FBT001 - as the API takes it
) -> Marks:
    """What was noted about conversations.

    Args:
        store: The store to ask.
        scope: What the caller may see; notes only with conversations:read.
        keys: These (tenant, conversation id) only.
        tag: Only those that have this tag.
        reviewed: Only those that were reviewed, or were not.
    """
    if keys is not None and not keys:
        return Marks(items=[], tags=[])
    statement = Query(store, scope)
    conditions = [] if keys is None else among(statement, tuple(keys))
    if tag is not None:
        conditions.append(f"has(tags, {statement.bind(tag, 'String')})")
    if reviewed is not None:
        conditions.append("reviewed" if reviewed else "NOT reviewed")
    items = [_read(scope, row) for row in _rows(statement, conditions)]
    return Marks(items=items, tags=sorted({tag for item in items for tag in item.tags}))


@query()
def mark(
    store: Store,
    scope: Scope,
    window: Window,  # noqa: ARG001
    conversation_id: str,
    tenant: str | None = None,
) -> Mark:
    """What was noted about one conversation.

    Args:
        store: The store to ask.
        scope: What the caller may see; the note only with conversations:read.
        window: When it is asked about; a conversation of any time is found.
        conversation_id: Its id.
        tenant: Its tenant, where several of the scope's tenants have one of this id.

    Raises:
        AccessError: With status 404, if the scope has no conversation of this id.
    """
    key = find(store, scope, conversation_id, tenant).key
    found = marks(store, scope, [key]).items
    return found[0] if found else Mark(conversation_id=key[1], tenant=key[0])


@query()
def saved_views(store: Store, scope: Scope) -> SavedViews:
    """The views that were saved under a name, by name.

    Args:
        store: The store to ask.
        scope: What the caller may see.
    """
    statement = Query(store, scope)
    source = statement.table(
        "saved_views", ("tenant", "name", "address", "saved_at"), ["NOT dropped"]
    )
    rows = statement.run(f"""
        SELECT tenant, name, address, {nanos("saved_at")} AS saved_ns
        FROM {source} AS v ORDER BY lower(name), name, tenant LIMIT {MOST}
    """)  # noqa: S608
    return SavedViews(
        items=[
            SavedView(
                name=row["name"],
                tenant=row["tenant"],
                address=row["address"],
                saved_at=moment(row["saved_ns"]),
            )
            for row in rows
        ]
    )
