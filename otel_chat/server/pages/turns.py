"""The page of turns: those that a number of turns counts, in the reader's order."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, cast, get_args

from otel_chat.errors import QueryError
from otel_chat.server.access import CONVERSATIONS_READ
from otel_chat.server.pages import formats, links
from otel_chat.server.pages.overview import Card, meanings
from otel_chat.server.pages.sheets import Asking, Body, Sheet
from otel_chat.server.pages.tables import Cell, Head, Table, table
from otel_chat.server.questions import interactions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_chat.server.pages.links import View
    from otel_chat.server.questions.turns import Turn

SHOWN: Final = 100
ORDERS: Final = {
    "Started": "started",
    "Confidence": "confidence",
    "Took": "duration",
    "Tokens": "tokens",
    "Cost": "cost",
}
"""What a click on the head of a column sorts by."""
SORTED: Final = {
    "-started": "the newest first",
    "started": "the oldest first",
    "-response": "the slowest reply first",
    "response": "the fastest reply first",
    "-first_words": "the slowest to begin a reply first",
    "first_words": "the fastest to begin a reply first",
    "-duration": "the longest first",
    "duration": "the shortest first",
    "-cost": "the dearest first",
    "cost": "the cheapest first",
    "-tokens": "most tokens first",
    "tokens": "fewest tokens first",
    "-confidence": "the surest first",
    "confidence": "the least sure first",
}


def _listing(view: View) -> interactions.Listing:
    sort = view.value("sort") or interactions.NEWEST
    if sort not in get_args(interactions.Sort):
        known = ", ".join(get_args(interactions.Sort))
        raise QueryError(f"Turns are sorted by one of {known}.", field="sort")
    return interactions.Listing(cast("interactions.Sort", sort), view.value("search") or None)


def _orders(labels: Sequence[str], view: View, sort: str) -> list[tuple[str, str]]:
    made = []
    for label in labels:
        name = ORDERS.get(label, "")
        falling, rising = sort == f"-{name}", sort == name
        order = "descending" if falling else "ascending" if rising and name else ""
        href = view.narrowed(links.TURN_LIST, sort=name if falling else f"-{name}")
        made.append((href, order) if name else ("", ""))
    return made


def _heads(*, several: bool) -> list[Head[Turn]]:
    def began(turn: Turn) -> Cell:
        tenant = turn.tenant if several else None
        address = links.conversation(turn.conversation_id, tenant=tenant, turn=turn.span_id)
        return Cell(formats.when(turn.start), address)

    def said(turn: Turn) -> Cell:
        return Cell(turn.user_message or "", quoted=bool(turn.user_message))

    def tokens(turn: Turn) -> str:
        known = [one for one in (turn.tokens.input, turn.tokens.output) if one is not None]
        return formats.count(sum(known) if known else None)

    def status(turn: Turn) -> Cell:
        return Cell(turn.status, tone="bad" if turn.status == "error" else "", sub=turn.error_type)

    return [
        Head("Started", began, number=False),
        Head("Said", said, number=False),
        Head("Intent", lambda t: t.intent or "(none)", number=False),
        Head("Confidence", lambda t: formats.score(t.confidence)),
        Head("Status", status, number=False),
        Head("Agent", lambda t: t.agent or "(none)", number=False),
        Head("Model", lambda t: t.model or "(none)", number=False),
        Head("Took", lambda t: formats.duration(t.duration)),
        Head("Tokens", tokens),
        Head("Cost", lambda t: formats.money(t.cost)),
    ]


def _table(found: interactions.Interactions, asking: Asking, sort: str) -> Table:
    several = asking.scope.tenants is None or len(asking.scope.tenants) > 1
    made = table(
        "turns",
        "Turns",
        "What exactly was asked and answered? Each opens its place in the conversation.",
        _heads(several=several),
        found.items,
        nothing="No turn of this window is like that.",
        wide=True,
        shown=SHOWN,
    )
    link = None
    if found.next_cursor:
        link = (f"Next {SHOWN}", asking.view.at(links.TURN_LIST, cursor=found.next_cursor))
    elif asking.cursor:
        link = ("Back to the first", asking.view.at(links.TURN_LIST))
    orders = _orders([label for label, _ in made.heads], asking.view, sort)
    return replace(made, orders=orders, link=link)


def body(asking: Asking) -> Body:
    """What stands on the page of turns."""
    asked = (asking.store, asking.scope, asking.window, asking.filters)
    wanted = _listing(asking.view)
    counting = asking.store.submit(interactions.count_turns, *asked, wanted.search)
    found = interactions.interactions(*asked, limit=SHOWN, cursor=asking.cursor, listing=wanted)
    every = counting.result()
    return Body(
        cards=[
            Card(
                key="turns",
                label="Turns",
                value=formats.count(every),
                note="in this window, as far as filters and search go",
                sample=SORTED[wanted.sort],
                meanings=meanings("turns"),
            )
        ],
        panels=[_table(found, asking, wanted.sort)],
        empty=not every and wanted.search is None,
        searched=asking.scope.allows(CONVERSATIONS_READ),
    )


TURNS: Final = Sheet("turns", links.TURN_LIST, "Turns", "turns", "Which turns, one by one?", body)
