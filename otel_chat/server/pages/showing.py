"""What every page of a conversation, or of a part of it, shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from otel_chat.server.access import CONVERSATIONS_READ, MARKS_WRITE
from otel_chat.server.pages import conversation as transcript
from otel_chat.server.pages import links, listing, times
from otel_chat.server.pages.elsewhere import Elsewhere
from otel_chat.server.questions import marks, reviews
from otel_chat.server.questions.outline import outline

if TYPE_CHECKING:
    from fastapi import Request

    from otel_chat.server.access import Scope
    from otel_chat.server.figures.window import Window
    from otel_chat.server.questions.conversation import Conversation
    from otel_chat.server.store import Store


def sees_several(scope: Scope) -> bool:
    """Whether a reader's links have to name tenants."""
    return scope.tenants is None or len(scope.tenants) > 1


def shown(
    request: Request, store: Store, scope: Scope, found: Conversation, chosen: str | None
) -> dict[str, Any]:
    """What a template needs to show a conversation.

    Args:
        request: What was asked.
        store: The store to ask.
        scope: What the reader may see.
        found: The conversation, or a part of it.
        chosen: The turn that the reader came for.
    """
    about = found.summary
    key = (about.tenant, about.conversation_id)
    noted = marks.marks(store, scope, [key]).items
    threshold = request.app.state.store.rules.low_confidence
    view = links.View.of(links.LIST, request.query_params)
    several = sees_several(scope)
    return {
        "view": view,
        "about": about,
        "shown": transcript.view(found, threshold),
        "splits": {split.span_id: times.parts([split]) for split in found.times},
        "elsewhere": Elsewhere.of(request.app.state.settings),
        "mark": listing.marks_by_key([about], noted)[key],
        "reviews": reviews.reviews_by_key(store, scope, [key]).items,
        "review_address": view.reviewing(about.conversation_id, about.tenant if several else None),
        "may_mark": scope.allows(MARKS_WRITE),
        "chosen": chosen,
        "following": found.next_cursor,
        "flags": transcript.FLAGS,
        "flag_meanings": transcript.FLAG_MEANINGS,
        "may_read": scope.allows(CONVERSATIONS_READ),
        "tenants_in_links": several,
    }


def outlined(
    request: Request, store: Store, scope: Scope, now: Window, found: Conversation
) -> dict[str, Any]:
    """What a template needs to lead through all of a conversation, of which it shows a part.

    Args:
        request: What was asked.
        store: The store to ask.
        scope: What the reader may see.
        now: When it is asked about.
        found: The part of the conversation.
    """
    about = found.summary
    shown = {turn.span_id: turn.index or 0 for turn in found.turns}
    last = max(shown.values(), default=0)
    whole = outline(store, scope, now, about.conversation_id, about.tenant, last)
    view = links.View.of(links.LIST, request.query_params)
    tenant = about.tenant if sees_several(scope) else None

    def to(span_id: str) -> str:
        if span_id in shown:
            return f"#turn-{span_id}"
        return view.conversation(about.conversation_id, tenant, turn=span_id)

    return {"jumps": transcript.jumps(whole, to), "strip": transcript.strip(whole, to)}
