"""What to write next: questions that the bot does not know, by how much containment they cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pydantic import Field

from otel_chat.server.access import CONVERSATIONS_READ
from otel_chat.server.figures.answers import Answer, TimeSpan
from otel_chat.server.figures.chance import LEAST, Ratios, adjusted, ratios_change
from otel_chat.server.figures.conversation_rows import Selection, conversation_rows
from otel_chat.server.figures.registry import figure, query
from otel_chat.server.figures.shortfall import Shortfall
from otel_chat.server.figures.sql import Query, moment, nanos
from otel_chat.server.questions.clear_changes import READ, Read
from otel_chat.server.questions.unanswered import Theme, unanswered

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from otel_chat.server.access import Scope
    from otel_chat.server.figures.filters import Filters
    from otel_chat.server.figures.window import Window
    from otel_chat.server.store import Store

MOST: Final = 20
FALSE: Final = 0.05
"""Of all themes that are called clear, such a share may cost nothing."""


class Unwritten(Answer):
    """A theme that the bot does not know, and what it costs."""

    label: str = Field(description="Its most central question, as somebody asked it.")
    turns: int = Field(description="Turns with a message of it that was not understood.")
    conversations: int = Field(description="Settled ones that asked for it.")
    contained: int = Field(description="Of these, those without a handoff.")
    others: int = Field(description="Settled ones that did not ask for it.")
    others_contained: int = Field(description="Of these.")
    lost: float = figure(
        "containment_lost",
        "{conversation}",
        "Conversations handed off more than if those that asked for it were handed off as rarely as"
        " all others: (containment of the others - containment of these) × these.",
    )
    lost_low: float = Field(description="The ends of its interval, at 95 %.")
    lost_high: float
    points: float = Field(description="The same ÷ all settled conversations.")
    clear: bool = Field(
        description="Whether it is beyond chance: of all that are called so, one in twenty is none."
    )
    said: str = Field(description="The arithmetic in words.")
    read: list[Read] = Field(
        description=f"Those that were handed off and asked for it last, at most {READ}."
    )


class ToWrite(Answer):
    """What to write next."""

    window: TimeSpan
    settled: int
    contained: int
    items: list[Unwritten] = Field(
        description=f"Themes that cost containment: the clear ones first, the dearest of them"
        f" first. At most {MOST}."
    )
    free: int = Field(description="Themes whose conversations are contained as often as others.")
    too_few: int = Field(description=f"Those with under {LEAST} settled conversations on a side.")


@query(CONVERSATIONS_READ)
def to_write(store: Store, scope: Scope, window: Window, filters: Filters) -> ToWrite:
    """What to write next, for who may read text.

    What goes along with handoffs need not be their cause: who asks what no bot should answer is
    handed off for good reasons.

    Args:
        store: The store to ask.
        scope: What the caller may see.
        window: The conversations that started in it and are settled, and what was asked in it.
        filters: What they are limited to.

    Raises:
        ConfigurationError: If the extra `themes` is not installed.
    """
    known = unanswered(store, scope, window, filters).items
    # What was answered or is to be left alone needs nothing to be written.
    themes = [theme for theme in known if theme.state == "open"]
    asking = {key for theme in themes for key in theme.keys}
    whole, by_key = _settled(store, scope, window, filters, asking)
    found, free, too_few = [], 0, 0
    for theme in themes:
        settled = {key: by_key[key] for key in theme.keys if key in by_key}
        here = Ratios.share(sum(one.contained for one in settled.values()), len(settled))
        others = Ratios.share(whole.x - here.x, whole.count - here.count)
        change = ratios_change(here, others)
        if change is None:
            too_few += 1
        elif change.difference >= 0:
            free += 1
        else:
            lost = Shortfall(here, others, whole.count)
            found.append((theme, settled, lost, change.p_value))
    # Those that cost nothing were looked at, too.
    p_values = adjusted([*(one[-1] for one in found), *[1.0] * free])
    items = [
        _unwritten(theme, settled, lost, clear=p_value <= FALSE)
        for (theme, settled, lost, _), p_value in zip(found, p_values, strict=False)
    ]
    items.sort(key=lambda one: (not one.clear, -one.lost, one.label))
    return ToWrite(
        window=TimeSpan.of(window),
        settled=whole.count,
        contained=whole.x,
        items=items[:MOST],
        free=free,
        too_few=too_few,
    )


Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Settled:
    """Whether a settled conversation was contained, and when it started."""

    contained: bool
    started_at: datetime


def _settled(
    store: Store, scope: Scope, window: Window, filters: Filters, asking: Iterable[Key]
) -> tuple[Ratios, dict[Key, _Settled]]:
    """All settled conversations; and of some whether they were contained."""
    names = ("settled", "handed_off")
    statement = Query(store, scope)
    rows = conversation_rows(statement, Selection(window, filters), *names)
    every = statement.one(
        "SELECT countIf(settled) AS many, countIf(settled AND NOT handed_off) AS contained"  # noqa: S608
        f" FROM {rows} AS s"
    )
    whole = Ratios.share(every["contained"], every["many"])
    wanted = tuple(sorted(asking))
    if not wanted:
        return whole, {}
    again = Query(store, scope)
    rows = conversation_rows(again, Selection(window, filters, wanted), "started_at", *names)
    found = again.run(
        "SELECT toString(tenant) AS tenant, conversation_id, NOT handed_off AS contained,"  # noqa: S608
        f" {nanos('started_at')} AS ns FROM {rows} AS s WHERE settled"
    )
    return whole, {
        (row["tenant"], row["conversation_id"]): _Settled(bool(row["contained"]), moment(row["ns"]))
        for row in found
    }


def _unwritten(
    theme: Theme, settled: dict[Key, _Settled], found: Shortfall, *, clear: bool
) -> Unwritten:
    low, high = found.ends
    handed_off = [key for key in theme.keys if key in settled and not settled[key].contained]
    return Unwritten(
        label=theme.label,
        turns=theme.turns,
        conversations=found.here.count,
        contained=found.here.x,
        others=found.others.count,
        others_contained=found.others.x,
        lost=found.lost,
        lost_low=low,
        lost_high=high,
        points=found.points,
        clear=clear,
        said=_said(found),
        read=[
            Read(tenant=key[0], conversation_id=key[1], started_at=settled[key].started_at)
            for key in handed_off[:READ]
        ],
    )


def _said(found: Shortfall) -> str:
    here, others = found.shares
    return (
        f"{found.here.x:,} of {found.here.count:,} conversations that asked for it were contained"
        f" ({here}), of all others {others}: {found.said('handoffs')}"
    )
