"""Keeping what is decided about an unanswered question."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from otel_chat.errors import AccessError, QueryError
from otel_chat.server.access import CONVERSATIONS_READ, MARKS_WRITE
from otel_chat.server.figures import content
from otel_chat.server.figures.sql import Query
from otel_chat.server.questions.theme_states import Decision, ThemeState

if TYPE_CHECKING:
    from otel_chat.server.access import Scope
    from otel_chat.server.store import Store


class Deciding(BaseModel):
    """What to decide about a question."""

    model_config = ConfigDict(extra="forbid")

    state: ThemeState = Field(
        description="answered: the bot knows it from now on; ignored: it need not; open: neither."
    )


def decide(
    store: Store, scope: Scope, trace_id: str, change: Deciding, tenant: str | None = None
) -> Decision:
    """Keep what is decided about a question, in place of what was decided with this asking.

    Args:
        store: Where it is kept.
        scope: Who decides; needs marks:write and conversations:read.
        trace_id: An asking of the question.
        change: What to decide.
        tenant: Its tenant, where several of the scope's have such a trace.

    Raises:
        AccessError: Without the scopes, or with status 404, if there is no such turn.
        QueryError: If its message is not stored.
    """
    scope.require(MARKS_WRITE)
    scope.require(CONVERSATIONS_READ)
    statement = Query(store, scope)
    conditions = [statement.of_traces([trace_id], "turns")]
    if tenant is not None:
        conditions.append(f"tenant = {statement.bind(tenant, 'String')}")
    source = statement.table("turns", ("tenant", "start", "input_messages"), conditions)
    rows = statement.run(
        f"SELECT toString(tenant) AS tenant, input_messages FROM {source} AS t"  # noqa: S608
        " ORDER BY input_messages = '', tenant, start LIMIT 1"
    )
    if not rows:
        raise AccessError("There is no turn with this trace.", status=404)
    message = content.user_message(scope, rows[0]["input_messages"])
    if not message:
        raise QueryError("No message of this turn is stored.", field="trace_id")
    decided = Decision(
        trace_id=trace_id,
        tenant=rows[0]["tenant"],
        message=message,
        state=change.state,
        by=scope.who,
        at=datetime.now(UTC),
    )
    row = decided.model_dump(exclude={"by", "at"})
    row |= {"changed_by": decided.by, "changed_at": decided.at, "version": time.time_ns()}
    store.insert_rows("theme_states", [row])
    return decided
