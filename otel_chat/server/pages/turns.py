"""The page of turns: those that a number of turns counts, the newest first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otel_chat.server.pages import formats, links
from otel_chat.server.pages.overview import Card, meanings
from otel_chat.server.pages.sheets import Asking, Body, Sheet
from otel_chat.server.pages.tables import Cell, Head, table
from otel_chat.server.questions import interactions

if TYPE_CHECKING:
    from otel_chat.server.questions.turns import Turn

SHOWN: Final = 100


def body(asking: Asking) -> Body:
    """What stands on the page of turns."""
    asked = (asking.store, asking.scope, asking.window, asking.filters)
    counting = asking.store.submit(interactions.count_turns, *asked)
    found = interactions.interactions(*asked, limit=SHOWN).items
    several = asking.scope.tenants is None or len(asking.scope.tenants) > 1
    every = counting.result()

    def began(turn: Turn) -> Cell:
        tenant = turn.tenant if several else None
        address = links.conversation(turn.conversation_id, tenant=tenant, turn=turn.span_id)
        return Cell(formats.when(turn.start), address)

    def said(turn: Turn) -> Cell:
        return Cell(turn.user_message or "", quoted=bool(turn.user_message))

    heads: list[Head[Turn]] = [
        Head("Started (UTC)", began, number=False),
        Head("Said", said, number=False),
        Head("Intent", lambda t: t.intent or "(none)", number=False),
        Head("Confidence", lambda t: formats.score(t.confidence)),
        Head("Status", lambda t: Cell(t.status, tone="bad" if t.status == "error" else "")),
        Head("Agent", lambda t: t.agent or "(none)", number=False),
        Head("Model", lambda t: t.model or "(none)", number=False),
        Head("Took", lambda t: formats.duration(t.duration)),
        Head("Cost", lambda t: formats.money(t.cost)),
    ]
    return Body(
        cards=[
            Card(
                key="turns",
                label="Turns",
                value=formats.count(every),
                note="in this window, as far as the filters go",
                sample=f"the newest {min(every, SHOWN):,} below",
                meanings=meanings("turns"),
            )
        ],
        panels=[
            table(
                "turns",
                "Turns",
                "What exactly was asked and answered? Each opens its place in the conversation.",
                heads,
                found,
                nothing="No turn of this window is like that.",
                others=every - len(found),
                wide=True,
                shown=SHOWN,
            )
        ],
        empty=not every,
    )


TURNS: Final = Sheet("turns", "/turns", "Turns", "turns", "Which turns, one by one?", body)
