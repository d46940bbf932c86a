"""Spans of agents and models that became part of no turn, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pydantic import Field

from otel_chat.server.figures.answers import Answer, TimeSpan
from otel_chat.server.figures.registry import query
from otel_chat.server.figures.sql import Query

if TYPE_CHECKING:
    from otel_chat.server.access import Scope
    from otel_chat.server.figures.window import Window
    from otel_chat.server.store import Store

MOST: Final = 100
FIXES: Final = {
    "no conversation id": "Set gen_ai.conversation.id or session.id on the agent's span, or on any"
    " span above or beneath it.",
    "several conversations": "Let each conversation have an agent's span of its own: what is above"
    " several of them is a turn of none.",
    "outside of any turn": "Let the spans hang beneath the agent's span, or beneath a decorated"
    " handler.",
}
"""What to do, by the reason."""


class Unclaimed(Answer):
    """Spans of one instrumentation that became part of no turn, for one reason."""

    instrumentation: str = Field(description="The scope that sent them; may be empty.")
    reason: str
    fix: str = Field(description="What to do.")
    spans: int
    traces: int


class UnclaimedSpans(Answer):
    """Spans of agents and models that became part of no turn, the most first."""

    window: TimeSpan
    spans: int
    items: list[Unclaimed] = Field(description=f"At most {MOST}.")


@query()
def unclaimed_spans(store: Store, scope: Scope, window: Window) -> UnclaimedSpans:
    """What of the window's traces became no turn, by reason and instrumentation.

    Args:
        store: The store to ask.
        scope: What the caller may see.
        window: The traces to take, by their first span.
    """
    statement = Query(store, scope)
    source = statement.table(
        "unclaimed_spans",
        ("reason", "scope", "spans"),
        [statement.within("start", window)],
    )
    rows = statement.run(
        "SELECT toString(scope) AS instrumentation, toString(reason) AS reason,"  # noqa: S608
        f" sum(spans) AS spans, count() AS traces FROM {source} AS u"
        f" GROUP BY scope, reason ORDER BY spans DESC, instrumentation, reason LIMIT {MOST}"
    )
    items = [Unclaimed(**row, fix=FIXES.get(row["reason"], "")) for row in rows]
    return UnclaimedSpans(
        window=TimeSpan.of(window), spans=sum(item.spans for item in items), items=items
    )
