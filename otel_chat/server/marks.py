"""Keeping what colleagues note about conversations, and the views that they save."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from otel_chat.errors import QueryError
from otel_chat.server.access import CONVERSATIONS_READ, DEFAULT_TENANT, MARKS_WRITE
from otel_chat.server.figures.content import said
from otel_chat.server.figures.sql import Query
from otel_chat.server.here import is_here
from otel_chat.server.names import find_named, tidy_name
from otel_chat.server.questions.marks import Mark, SavedView, mark, saved_views

if TYPE_CHECKING:
    from otel_chat.server.access import Scope
    from otel_chat.server.figures.window import Window
    from otel_chat.server.store import Store

MOST_TAGS: Final = 20

Tag = Annotated[str, Field(min_length=1, max_length=60)]


class MarkChange(BaseModel):
    """What to note; what is left out stays as it is."""

    model_config = ConfigDict(extra="forbid")

    reviewed: bool | None = None
    tags: list[Tag] | None = Field(
        default=None, max_length=MOST_TAGS, description="All tags, in place of those before."
    )
    note: str | None = Field(
        default=None, max_length=10_000, description="In place of the one before; empty for none."
    )


class ViewAddress(BaseModel):
    """What to show under a name."""

    model_config = ConfigDict(extra="forbid")

    address: str = Field(
        max_length=4000,
        description="A path of the pages, with its filters.",
        examples=["/conversations?window=7d&outcome=abandoned"],
    )


def set_mark(
    store: Store,
    scope: Scope,
    window: Window,
    conversation_id: str,
    change: MarkChange,
    tenant: str | None = None,
) -> Mark:
    """Note something about a conversation.

    Args:
        store: Where it is kept.
        scope: Who notes it; needs marks:write.
        window: When the conversation is asked about.
        conversation_id: Its id.
        change: What to note.
        tenant: Its tenant, where several of the scope's tenants have one of this id.

    Returns:
        All that is noted about it now.

    Raises:
        AccessError: Without the scope, or with status 404, if there is no such conversation.
        QueryError: If a tag is blank.
    """
    scope.require(MARKS_WRITE)
    before = mark(store, scope, window, conversation_id, tenant)
    kept = _kept_note(store, scope, before) if change.note is None else change.note.strip()
    now = datetime.now(UTC)
    reviewed = before.reviewed if change.reviewed is None else change.reviewed
    row = {
        "tenant": before.tenant,
        "conversation_id": before.conversation_id,
        "reviewed": reviewed,
        "reviewed_by": scope.who if change.reviewed else before.reviewed_by if reviewed else "",
        "reviewed_at": now if change.reviewed else before.reviewed_at if reviewed else None,
        "tags": before.tags if change.tags is None else _tidy(change.tags),
        "note": kept,
        "changed_at": now,
        "version": time.time_ns(),
    }
    store.insert_rows("conversation_marks", [row])
    return Mark(
        **{**row, "note": said(scope, kept)},
    )


def _kept_note(store: Store, scope: Scope, before: Mark) -> str:
    """The note as it is, whether or not its keeper may read it."""
    if before.changed_at is None or scope.allows(CONVERSATIONS_READ):
        return before.note or ""
    statement = Query(store, scope)
    conditions = [
        f"tenant = {statement.bind(before.tenant, 'String')}",
        f"conversation_id = {statement.bind(before.conversation_id, 'String')}",
    ]
    source = statement.table("conversation_marks", ["note"], conditions)
    return str(statement.one(f"SELECT note FROM {source} AS m").get("note", ""))  # noqa: S608


def _tidy(tags: list[str]) -> list[str]:
    tidy = sorted({" ".join(tag.split()) for tag in tags})
    if "" in tidy:
        raise QueryError("A tag has at least one letter.", field="tags")
    return tidy


def save_view(
    store: Store, scope: Scope, name: str, wanted: ViewAddress, tenant: str | None = None
) -> SavedView:
    """Keep a view under a name, in place of another of that name.

    Args:
        store: Where it is kept.
        scope: Who keeps it; needs marks:write.
        name: What to call it, 1 to 100 characters on one line.
        wanted: What it shows.
        tenant: Who shares it; the scope's own tenant without, the first by name of several.

    Raises:
        AccessError: Without the scope, or for a tenant that is not its own.
        QueryError: If the name or the address is none.
    """
    scope.require(MARKS_WRITE)
    title, address = tidy_name(name), wanted.address
    if not is_here(address):
        raise QueryError("An address begins with a slash, as /conversations.", field="address")
    view = SavedView(
        name=title,
        tenant=scope.keeper(tenant, DEFAULT_TENANT),
        address=address,
        saved_at=datetime.now(UTC),
    )
    _write(store, view, dropped=False)
    return view


def drop_view(store: Store, scope: Scope, name: str, tenant: str | None = None) -> SavedView:
    """Forget a view.

    Args:
        store: Where it is kept.
        scope: Who forgets it; needs marks:write.
        name: What it is called.
        tenant: Who shares it, where several have one of this name.

    Raises:
        AccessError: Without the scope, or with status 404, if there is no view of this name.
    """
    scope.require(MARKS_WRITE)
    view = find_named(saved_views(store, scope).items, "view", name, tenant)
    _write(store, view, dropped=True)
    return view


def _write(store: Store, view: SavedView, *, dropped: bool) -> None:
    row = {**view.model_dump(), "dropped": dropped, "version": time.time_ns()}
    store.insert_rows("saved_views", [row])
