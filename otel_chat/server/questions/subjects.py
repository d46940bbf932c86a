"""What conversations were about: topics, entities, sentiment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pydantic import Field

from otel_chat import semconv
from otel_chat.server.figures.answers import Answer, TimeSpan
from otel_chat.server.figures.conversation_rows import KEY, Selection, conversation_rows, members
from otel_chat.server.figures.figures import turns_source
from otel_chat.server.figures.registry import figure, query
from otel_chat.server.figures.sql import Query, ratio
from otel_chat.server.figures.window import Window

if TYPE_CHECKING:
    from otel_chat.server.access import Scope
    from otel_chat.server.figures.filters import Filters
    from otel_chat.server.store import Store

MOST: Final = 200


class Topic(Answer):
    """A topic and how the conversations about it ended."""

    name: str
    mentions: int = figure("topic_mentions", "{event}", "Topic events of this topic.")
    conversations: int = figure(
        "topic_conversations", "{conversation}", "Conversations with this topic."
    )
    share: float | None = figure(
        "topic_share", "1", "Conversations with this topic ÷ conversations with any topic."
    )
    unresolved: int = figure(
        "topic_unresolved",
        "{conversation}",
        "Settled conversations with this topic that did not end resolved: the common issues.",
    )


class Topics(Answer):
    """The topics of the conversations that started in the window, the most frequent first."""

    window: TimeSpan
    conversations: int = Field(description="Conversations with any topic.")
    items: list[Topic] = Field(description=f"At most {MOST}.")


class Entity(Answer):
    """A kind of entity that was recognised."""

    type: str
    count: int = figure("entities", "{entity}", "Entities of this type that were recognised.")
    conversations: int = figure(
        "entity_conversations", "{conversation}", "Conversations with an entity of this type."
    )


class Entities(Answer):
    """The types of entities that were recognised in the window, the most frequent first."""

    window: TimeSpan
    items: list[Entity] = Field(description=f"At most {MOST}.")


class Sentiment(Answer):
    """Turns of a sentiment."""

    name: str
    turns: int = figure("sentiment_turns", "{turn}", "Turns of this sentiment.")
    share: float | None = figure(
        "sentiment_share", "1", "Turns of this sentiment ÷ turns with a sentiment."
    )


class Sentiments(Answer):
    """The sentiment of turns, the most frequent first."""

    window: TimeSpan
    turns: int = Field(description="Turns with a sentiment.")
    items: list[Sentiment]


UNRESOLVED: Final = "outcome IN ('abandoned', 'failed', 'handed_off')"
NAMED_TOPICS: Final = "arrayConcat([''], arrayDistinct(topics))"
"""SQL for each topic of a conversation once, and once more none, for all."""


@query()
def topics(store: Store, scope: Scope, window: Window, filters: Filters) -> Topics:
    """The topics of the conversations that started in the window.

    Args:
        store: The store to ask.
        scope: What the caller may see.
        window: The conversations to take.
        filters: What they are limited to.
    """
    statement = Query(store, scope)
    selection = Selection(window, filters)
    conversations = conversation_rows(statement, selection, "outcome", "topics")
    rows = statement.run(f"""
        SELECT name, sum(if(name = '', length(topics), countEqual(topics, name))) AS mentions,
            count() AS conversations,
            countIf({UNRESOLVED}) AS unresolved
        FROM {conversations} AS c
        ARRAY JOIN {NAMED_TOPICS} AS name
        WHERE notEmpty(topics)
        GROUP BY name
        ORDER BY name = '' DESC, conversations DESC, mentions DESC, name
        LIMIT {MOST + 1}
    """)  # noqa: S608
    every = rows.pop(0)["conversations"] if rows else 0
    return Topics(
        window=TimeSpan.of(window),
        conversations=every,
        items=[Topic(**row, share=ratio(row["conversations"], every)) for row in rows],
    )


@query()
def entities(store: Store, scope: Scope, window: Window, filters: Filters) -> Entities:
    """The types of entities that were recognised in the window.

    Args:
        store: The store to ask.
        scope: What the caller may see.
        window: The events to take, by their own time.
        filters: What their conversations are limited to.
    """
    statement = Query(store, scope)
    conditions = [
        statement.within("time", window),
        f"name = '{semconv.EVENT_ENTITY}'",
    ]
    if not filters.empty:
        conditions.append(members(statement, window, filters))
    source = statement.table("events", ("tenant", "conversation_id", "entity_type"), conditions)
    rows = statement.run(f"""
        SELECT entity_type AS type, count() AS count,
            uniqExactIf(({KEY}), conversation_id != '') AS conversations
        FROM {source} AS e
        GROUP BY type
        ORDER BY count DESC, type
        LIMIT {MOST}
    """)  # noqa: S608
    return Entities(window=TimeSpan.of(window), items=[Entity(**row) for row in rows])


@query()
def sentiments(store: Store, scope: Scope, window: Window, filters: Filters) -> Sentiments:
    """The sentiment of the turns that started in the window.

    Args:
        store: The store to ask.
        scope: What the caller may see.
        window: The turns to take.
        filters: What they are limited to.
    """
    statement = Query(store, scope)
    source = turns_source(statement, window, filters, ("sentiment",))
    rows = statement.run(f"""
        SELECT sentiment AS name, count() AS turns
        FROM {source} AS t
        WHERE sentiment != ''
        GROUP BY name
        ORDER BY turns DESC, name
    """)  # noqa: S608
    every = sum(row["turns"] for row in rows)
    return Sentiments(
        window=TimeSpan.of(window),
        turns=every,
        items=[Sentiment(**row, share=ratio(row["turns"], every)) for row in rows],
    )
