"""What costs the most resolution: intents, and tools that fail."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import Field

from otel_chat.server.figures.answers import Answer, TimeSpan
from otel_chat.server.figures.chance import LEAST, Ratios, adjusted, ratios_change
from otel_chat.server.figures.conversation_rows import Selection, conversation_rows
from otel_chat.server.figures.registry import figure, query
from otel_chat.server.figures.shortfall import Shortfall
from otel_chat.server.figures.sql import Query, moment, nanos
from otel_chat.server.questions.calls import by_conversation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from otel_chat.server.access import Scope
    from otel_chat.server.figures.filters import Filters
    from otel_chat.server.figures.window import Window
    from otel_chat.server.store import Store

Kind = Literal["tool", "intent"]
MOST: Final = 20
READ: Final = 3
FALSE: Final = 0.05
"""Of all losses that are called clear, such a share may be none."""


class LossExample(Answer):
    """A conversation to read: not resolved, with the intent or the failed tool."""

    tenant: str
    conversation_id: str
    started_at: datetime


class Loss(Answer):
    """What an intent, or the failures of a tool, cost."""

    kind: Kind
    name: str
    conversations: int = Field(description="Settled ones with the intent, or with a failed call.")
    resolved: int = Field(description="Of these.")
    others: int = Field(description="Settled ones without the intent, or whose calls went well.")
    others_resolved: int = Field(description="Of these.")
    lost: float = figure(
        "resolution_lost",
        "{conversation}",
        "Resolutions fewer than if the conversations with it were resolved as often as the others:"
        " (share of the others - share of these) × these. Of an intent the others are all without"
        " it; of a failing tool, those that called it and it did not fail.",
    )
    lost_low: float = Field(description="The ends of its interval, at 95 %.")
    lost_high: float
    points: float = Field(description="The same ÷ all settled conversations.")
    said: str = Field(description="The arithmetic in words.")
    read: list[LossExample] = Field(
        description=f"The newest that were not resolved, at most {READ}."
    )


class Losses(Answer):
    """What costs the most resolution."""

    window: TimeSpan
    settled: int
    resolved: int
    items: list[Loss] = Field(
        description="Clear losses, the largest first: of all that were looked at, one in twenty of"
        f" those called clear may be none (Benjamini and Hochberg). At most {MOST}."
    )
    others: int = Field(description="Clear losses that are not listed.")
    unclear: int = Field(description="Intents and tools without a clear loss.")
    too_few: int = Field(description=f"Those with under {LEAST} conversations on a side.")


_RESOLVED: Final = "s.outcome = 'resolved'"
_CALLED: Final = (
    "groupUniqArray(f.called) AS called, groupUniqArrayIf(f.called, f.failed) AS failed"
)
"""Of a conversation: the tools and APIs that it called, and those that failed in it."""


@query()
def losses(store: Store, scope: Scope, window: Window, filters: Filters) -> Losses:
    """What to fix first: intents and failing tools by how much resolution they cost.

    What goes along with fewer resolutions need not be their cause: hard questions are an intent,
    too.

    Args:
        store: The store to ask.
        scope: What the caller may see.
        window: The conversations that started in it and are settled.
        filters: What they are limited to.
    """
    statement = Query(store, scope)
    rows = conversation_rows(
        statement, Selection(window, filters), "started_at", "settled", "outcome", "intents"
    )
    newest = f"(-{nanos('started_at')}, toString(tenant), conversation_id)"
    found = statement.run(f"""
        SELECT of.1 AS kind, of.2 AS name, of.3 AS hurt, count() AS many, countIf(good) AS resolved,
            groupArraySortedIf({READ})({newest}, NOT good) AS newest
        FROM (
            SELECT s.tenant AS tenant, s.conversation_id AS conversation_id,
                s.started_at AS started_at, {_RESOLVED} AS good,
                arrayJoin(arrayConcat([('every', '', true)],
                    arrayMap(i -> ('intent', toString(i), true), s.intents),
                    arrayMap(c -> ('tool', c, has(f.failed, c)), f.called))) AS of
            FROM {rows} AS s LEFT JOIN {by_conversation(statement, window, _CALLED)} AS f
                ON toString(s.tenant) = f.tenant AND s.conversation_id = f.conversation_id
            WHERE s.settled
        ) AS s
        GROUP BY kind, name, hurt
    """)  # noqa: S608
    by_key = {(row["kind"], row["name"], bool(row["hurt"])): row for row in found}
    every = by_key.get(("every", "", True), {"many": 0, "resolved": 0})
    return _ranked(window, by_key, every)


Key = tuple[str, str, bool]


def _ranked(
    window: Window, by_key: Mapping[Key, Mapping[str, Any]], every: Mapping[str, Any]
) -> Losses:
    whole = Ratios.share(every["resolved"], every["many"])
    clear: list[tuple[Loss, float]] = []
    too_few = 0
    for (kind, name, hurt), row in by_key.items():
        if kind == "every" or not hurt or not name:
            continue
        here = Ratios.share(row["resolved"], row["many"])
        if kind == "intent":
            others = Ratios.share(whole.x - here.x, whole.count - here.count)
        else:
            well = by_key.get((kind, name, False), {"many": 0, "resolved": 0})
            others = Ratios.share(well["resolved"], well["many"])
        change = ratios_change(here, others)
        if change is None:
            too_few += 1
            continue
        loss = _loss(kind, name, Shortfall(here, others, whole.count), row)
        clear.append((loss, change.p_value))
    p_values = adjusted([p_value for _, p_value in clear])
    sure = [
        loss
        for (loss, _), p_value in zip(clear, p_values, strict=True)
        if p_value <= FALSE and loss.lost_low > 0
    ]
    sure.sort(key=lambda one: (-one.lost, one.kind, one.name))
    return Losses(
        window=TimeSpan.of(window),
        settled=whole.count,
        resolved=whole.x,
        items=sure[:MOST],
        others=max(len(sure) - MOST, 0),
        unclear=len(clear) - len(sure),
        too_few=too_few,
    )


def _loss(kind: Any, name: str, found: Shortfall, row: Mapping[str, Any]) -> Loss:
    low, high = found.ends
    return Loss(
        kind=kind,
        name=name,
        conversations=found.here.count,
        resolved=found.here.x,
        others=found.others.count,
        others_resolved=found.others.x,
        lost=found.lost,
        lost_low=low,
        lost_high=high,
        points=found.points,
        said=_said(kind, name, found),
        read=_examples(row["newest"]),
    )


def _examples(rows: Sequence[Sequence[Any]]) -> list[LossExample]:
    return [
        LossExample(tenant=tenant, conversation_id=known, started_at=moment(-int(at)))
        for at, tenant, known in rows
    ]


def _said(kind: str, name: str, found: Shortfall) -> str:
    here, others = found.shares
    what = f"in which {name} failed" if kind == "tool" else f"with {name}"
    rest = "in which it did not" if kind == "tool" else "without"
    return (
        f"{found.here.x:,} of {found.here.count:,} conversations {what} were resolved ({here}),"
        f" {rest} {others}: {found.said('resolutions')}"
    )
