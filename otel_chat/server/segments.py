"""Keeping segments: conditions under a name, in the store."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from pydantic import BaseModel, ConfigDict, Field

from otel_chat.errors import QueryError
from otel_chat.server.access import CONVERSATIONS_READ, DEFAULT_TENANT, MARKS_WRITE, OPEN
from otel_chat.server.figures.where import LONGEST, conditions_in, parse
from otel_chat.server.names import find_named, tidy_name
from otel_chat.server.questions.segments import Segment, segments

if TYPE_CHECKING:
    from otel_chat.server.access import Scope
    from otel_chat.server.store import Store

MOST_WATCHED: Final = 20
"""In a whole store: each is worked out again and again."""


class SegmentConditions(BaseModel):
    """What to save under a name."""

    model_config = ConfigDict(extra="forbid")

    where: str = Field(
        max_length=LONGEST,
        description="The conditions, as the filter `where` takes them.",
        examples=["(intent = refund or tool = track_return) and not failed"],
    )
    watched: bool = Field(
        default=False,
        description=f"Whether `/metrics` has gauges of it; {MOST_WATCHED} segments at most.",
    )


def save_segment(
    store: Store, scope: Scope, name: str, wanted: SegmentConditions, tenant: str | None = None
) -> Segment:
    """Keep conditions under a name, in place of others of that name.

    Args:
        store: Where they are kept.
        scope: Who keeps them; needs marks:write, and conversations:read for conditions on what
            was said.
        name: What to call it, 1 to 100 characters on one line.
        wanted: The conditions.
        tenant: Who shares it; the scope's own tenant without, the first by name of several.

    Raises:
        AccessError: Without the scope, or for a tenant that is not its own.
        QueryError: If the name is none, the conditions cannot be read, or too many are watched.
    """
    scope.require(MARKS_WRITE)
    title = tidy_name(name)
    if any(one.field.private for one in conditions_in(parse(wanted.where))):
        scope.require(CONVERSATIONS_READ)
    made = Segment(
        name=title,
        tenant=scope.keeper(tenant, DEFAULT_TENANT),
        where=wanted.where.strip(),
        watched=wanted.watched,
        texts=scope.allows(CONVERSATIONS_READ),
        saved_at=datetime.now(UTC),
    )
    if made.watched:
        _check_watched(store, made)
    _write(store, made, dropped=False)
    return made


def _check_watched(store: Store, made: Segment) -> None:
    others = [one for one in watched_segments(store) if (one.tenant, one.name) != key_of(made)]
    if len(others) >= MOST_WATCHED:
        message = f"{MOST_WATCHED} segments are watched at most: take another off first."
        raise QueryError(message, field="watched")


def key_of(one: Segment) -> tuple[str, str]:
    """What tells a segment apart: its tenant and its name."""
    return one.tenant, one.name


def watched_segments(store: Store) -> list[Segment]:
    """The segments of all tenants that have gauges."""
    return [one for one in segments(store, OPEN).items if one.watched][:MOST_WATCHED]


def readable(one: Segment) -> bool:
    """Whether this release can read its conditions; an older one may have saved them."""
    try:
        parse(one.where)
    except QueryError:
        return False
    return True


def drop_segment(store: Store, scope: Scope, name: str, tenant: str | None = None) -> Segment:
    """Forget a segment.

    Args:
        store: Where it is kept.
        scope: Who forgets it; needs marks:write.
        name: What it is called.
        tenant: Who shares it, where several have one of this name.

    Raises:
        AccessError: Without the scope, or with status 404, if there is no segment of this name.
    """
    scope.require(MARKS_WRITE)
    one = find_named(segments(store, scope).items, "segment", name, tenant)
    _write(store, one, dropped=True)
    return one


def _write(store: Store, one: Segment, *, dropped: bool) -> None:
    row = {
        "tenant": one.tenant,
        "name": one.name,
        "conditions": one.where,
        "watched": one.watched,
        "texts": one.texts,
        "dropped": dropped,
        "saved_at": one.saved_at,
        "version": time.time_ns(),
    }
    store.insert_rows("segments", [row])
