"""Leads: how many conversations make one, of which kind, and where."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from pydantic import Field

from otel_chat.server.figures.answers import Answer, TimeSpan
from otel_chat.server.figures.conversation_rows import Selection, conversation_rows
from otel_chat.server.figures.figures import by_bucket
from otel_chat.server.figures.registry import figure, query
from otel_chat.server.figures.sql import Query, ratio
from otel_chat.server.figures.window import Bucket, Window

if TYPE_CHECKING:
    from otel_chat.server.access import Scope
    from otel_chat.server.figures.filters import Filters
    from otel_chat.server.figures.sums import Grouping
    from otel_chat.server.store import Store

MOST: Final = 100


class LeadKind(Answer):
    """Leads of one kind."""

    kind: str = Field(description="As the application said.")
    leads: int = figure("leads", "{lead}", "Leads of this kind that were reported.")
    conversations: int = Field(description="Conversations with a lead of this kind.")
    conversion_rate: float | None = Field(description="These ÷ all conversations.")


class Conversion(Answer):
    """Conversations of one agent or channel, and those that made a lead."""

    name: str = Field(description="Empty where it is not known.")
    conversations: int
    converted: int
    conversion_rate: float | None


class LeadPoint(Answer):
    """One bucket of time, by the start of the conversations."""

    start: datetime
    conversations: int
    converted: int
    conversion_rate: float | None


class Leads(Answer):
    """How many conversations make a lead."""

    window: TimeSpan
    leads: int = Field(description="Leads of all kinds.")
    conversations: int
    converted: int = figure(
        "converted_conversations", "{conversation}", "Conversations with at least one lead."
    )
    conversion_rate: float | None = figure(
        "conversion_ratio", "1", "Conversations with at least one lead ÷ conversations."
    )
    kinds: list[LeadKind] = Field(description=f"The most frequent first, at most {MOST}.")
    agents: list[Conversion] = Field(description=f"The largest first, at most {MOST}.")
    channels: list[Conversion] = Field(description=f"The largest first, at most {MOST}.")
    bucket: Bucket
    points: list[LeadPoint]


def _groups(statement: Query, selection: Selection, part: Grouping) -> list[dict[str, Any]]:
    """Conversations by part, agent and channel, with their leads by kind."""
    source = conversation_rows(statement, selection, "started_at", "agent", "channel", "leads")
    return statement.run(f"""
        SELECT {part(statement, "started_at")} AS part, toString(agent) AS agent,
            toString(channel) AS channel, count() AS conversations,
            countIf(notEmpty(kinds)) AS converted,
            sumMap(kinds, arrayMap(x -> 1, kinds)) AS leads_of,
            sumMap(arrayDistinct(kinds), arrayMap(x -> 1, arrayDistinct(kinds))) AS converted_by
        FROM (SELECT *, arrayMap(x -> toString(x), leads) AS kinds FROM {source} AS c)
        GROUP BY part, agent, channel
    """)  # noqa: S608


@query()
def leads(
    store: Store, scope: Scope, window: Window, filters: Filters, bucket: Bucket | None = None
) -> Leads:
    """The leads of the conversations that started in the window.

    Args:
        store: The store to ask.
        scope: What the caller may see.
        window: The conversations to take.
        filters: What they are limited to.
        bucket: The length of a bucket; one that suits the window without.

    Raises:
        QueryError: If that makes too many buckets, or the window is of active conversations.
    """
    window.check_parted()
    width = bucket or window.bucket()
    starts = window.bucket_starts(width)
    groups = _groups(Query(store, scope), Selection(window, filters), by_bucket(window, width))
    leads_of, converted_by = _counts(groups, "leads_of"), _counts(groups, "converted_by")
    every, converted = _sum(groups, "conversations"), _sum(groups, "converted")
    kinds = [
        LeadKind(
            kind=kind,
            leads=leads_of[kind],
            conversations=count,
            conversion_rate=ratio(count, every),
        )
        for kind, count in converted_by.items()
    ]
    return Leads(
        window=TimeSpan.of(window),
        leads=leads_of.total(),
        conversations=every,
        converted=converted,
        conversion_rate=ratio(converted, every),
        kinds=sorted(kinds, key=lambda one: (-one.conversations, -one.leads, one.kind))[:MOST],
        agents=_by(groups, "agent"),
        channels=_by(groups, "channel"),
        bucket=width,
        points=[
            _point(start, [row for row in groups if row["part"] == number])
            for number, start in enumerate(starts)
        ],
    )


def _counts(groups: list[dict[str, Any]], column: str) -> Counter[str]:
    """Numbers by kind of lead, over all groups."""
    found = Counter[str]()
    for row in groups:
        found.update(dict(zip(*row[column], strict=True)))
    return found


def _sum(rows: list[dict[str, Any]], name: str) -> int:
    return sum(row[name] for row in rows)


def _by(groups: list[dict[str, Any]], column: str) -> list[Conversion]:
    found: dict[str, list[dict[str, Any]]] = {}
    for row in groups:
        found.setdefault(row[column], []).append(row)
    made = [
        Conversion(
            name=name,
            conversations=_sum(rows, "conversations"),
            converted=_sum(rows, "converted"),
            conversion_rate=ratio(_sum(rows, "converted"), _sum(rows, "conversations")),
        )
        for name, rows in found.items()
    ]
    return sorted(made, key=lambda one: (-one.conversations, one.name))[:MOST]


def _point(start: datetime, rows: list[dict[str, Any]]) -> LeadPoint:
    every, converted = _sum(rows, "conversations"), _sum(rows, "converted")
    return LeadPoint(
        start=start,
        conversations=every,
        converted=converted,
        conversion_rate=ratio(converted, every),
    )
