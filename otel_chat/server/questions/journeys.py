"""The ways through conversations: from intent to intent, whole, and those without an end."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from pydantic import ConfigDict, Field

from otel_chat.semconv import OUTCOMES
from otel_chat.server.figures.answers import Answer, TimeSpan
from otel_chat.server.figures.conversation_rows import (
    KEY,
    STEPS,
    Selection,
    conversation_rows,
)
from otel_chat.server.figures.filters import Filters, Outcome
from otel_chat.server.figures.paging import PAGE, Cursor, check_limit
from otel_chat.server.figures.registry import figure, query
from otel_chat.server.figures.sql import Query, moment, nanos, ratio
from otel_chat.server.figures.window import Window

if TYPE_CHECKING:
    from otel_chat.server.access import Scope
    from otel_chat.server.store import Store

LONGEST: Final = 10
WAYS: Final = 10_000
INCOMPLETE: Final = "settled AND NOT ended AND NOT handed_off AND outcome != 'resolved'"
"""Over a row of a conversation."""


class EndedAs(Answer):
    """Conversations by outcome; the parts sum to the whole."""

    resolved: int
    handed_off: int
    abandoned: int
    failed: int
    open: int


class Transition(Answer):
    """From one intent of a conversation to the next."""

    model_config = ConfigDict(frozen=True, populate_by_name=True, serialize_by_alias=True)

    origin: str | None = Field(
        alias="from", description="An intent; null: the conversation's start."
    )
    target: str | None = Field(
        alias="to", description="An intent; null: the end of a settled conversation."
    )
    count: int = figure(
        "transitions",
        "{transition}",
        "Times a turn with the one intent was followed by a turn with the other; turns without an"
        " intent are passed over.",
    )
    share: float | None = figure(
        "transition_share",
        "1",
        "Times this transition was taken ÷ all transitions that depart from the same intent.",
    )
    conversations: int = figure(
        "transition_conversations", "{conversation}", "Conversations with this transition."
    )
    outcomes: EndedAs = Field(description="How these conversations ended.")


class IntentPath(Answer):
    """The intents of a settled conversation in order."""

    intents: list[str] = Field(
        description="Repeats that follow each other are joined; turns without an intent are"
        f" passed over. At most {LONGEST}."
    )
    longer: bool = Field(description="Whether there were more intents than are shown.")
    conversations: int = figure(
        "path_conversations", "{conversation}", "Settled conversations that took this path."
    )
    share: float | None = figure(
        "path_share", "1", "Conversations that took this path ÷ settled ones with any intent."
    )
    outcomes: EndedAs = Field(description="How these conversations ended.")


class Paths(Answer):
    """The ways from intent to intent, the commonest first."""

    window: TimeSpan
    conversations: int = Field(description="Conversations in which any turn had an intent.")
    settled: int = Field(description="The settled ones among them.")
    transitions: list[Transition]
    transitions_not_listed: int = Field(description="Other transitions that were taken.")
    paths: list[IntentPath]
    paths_not_listed: int = Field(description="Other paths that were taken.")


class Way(Answer):
    """Settled conversations that took the same first steps and ended alike."""

    steps: list[str] = Field(
        description=f"The first {STEPS} intents, without small talk, repeats merged."
    )
    outcome: Outcome
    conversations: int


class Ways(Answer):
    """The ways of settled conversations by their first steps, the commonest first."""

    settled: int = Field(description="Settled conversations with an intent that is no small talk.")
    items: list[Way]


class IncompleteConversation(Answer):
    """A settled conversation that nobody ended, neither resolved nor handed off."""

    conversation_id: str
    tenant: str
    agent: str
    channel: str
    started_at: datetime
    last_at: datetime = Field(description="The last activity: a turn's end or an event, UTC.")
    turns: int
    outcome: Outcome
    last_intent: str = Field(description="Empty where no turn had an intent.")
    workflow: str | None = Field(
        description="The workflow that moved last among those left open or failed; null without."
    )
    step: str | None = Field(description="The last step that it named.")


class Incomplete(Answer):
    """A page of incomplete conversations, newest first."""

    window: TimeSpan
    total: int = figure(
        "incomplete_conversations_listed",
        "{conversation}",
        "Settled conversations without an explicit end that were neither resolved nor handed off,"
        " on all pages.",
    )
    items: list[IncompleteConversation]
    next_cursor: str | None = Field(description="Ask with it for the next page; null at the end.")


def _ends(counted: str) -> str:
    """SQL for how many ended in each way, given SQL for how many rows of a condition count."""
    return ", ".join(f"{counted.format(f'outcome = {one!r}')} AS {one}" for one in OUTCOMES)


def _of_paths(statement: Query, selection: Selection, *, merged: bool) -> str:
    """A subquery with the conversations in which any turn had an intent."""
    told = "steps" if merged else "path"
    rows = conversation_rows(statement, selection, "settled", "outcome", told)
    return f"(SELECT settled, outcome, {told} AS path FROM {rows} AS r WHERE notEmpty({told}))"  # noqa: S608


def _counted(statement: Query, selection: Selection, *, merged: bool) -> dict[str, int]:
    return statement.one(f"""
        SELECT count() AS conversations, countIf(settled) AS settled
        FROM {_of_paths(statement, selection, merged=merged)} AS c
    """)  # noqa: S608


def _steps_taken(
    statement: Query, selection: Selection, limit: int, *, merged: bool
) -> list[dict[str, Any]]:
    """How often the commonest transitions were taken.

    An end is known of settled conversations only, so no other has a last transition.
    """
    return statement.run(f"""
        SELECT toString(way.1) AS origin, toString(way.2) AS target, count() AS taken,
            countIf(nth = 1) AS conversations, {_ends("countIf(nth = 1 AND {})")},
            sum(taken) OVER (PARTITION BY origin) AS departed, count() OVER () AS ways
        FROM (
            SELECT outcome,
                arrayZip(
                    arrayPushFront(if(settled, path, arrayPopBack(path)), ''),
                    if(settled, arrayPushBack(path, ''), path)
                ) AS gone
            FROM {_of_paths(statement, selection, merged=merged)} AS c
        )
        ARRAY JOIN gone AS way, arrayEnumerateUniq(gone) AS nth
        GROUP BY way
        ORDER BY taken DESC, origin, target
        LIMIT {statement.bind(limit, "UInt32")}
    """)  # noqa: S608


def _paths_taken(
    statement: Query, selection: Selection, limit: int, *, merged: bool
) -> list[dict[str, Any]]:
    """How often the commonest whole paths of settled conversations were taken."""
    return statement.run(f"""
        SELECT arraySlice(joined, 1, {LONGEST}) AS intents, length(joined) > {LONGEST} AS longer,
            count() AS taken, {_ends("countIf({})")}, count() OVER () AS ways
        FROM (
            SELECT outcome, arrayCompact(path) AS joined
            FROM {_of_paths(statement, selection, merged=merged)} AS c
            WHERE settled
        )
        GROUP BY intents, longer
        ORDER BY taken DESC, intents, longer
        LIMIT {statement.bind(limit, "UInt32")}
    """)  # noqa: S608


def _ended(row: dict[str, Any]) -> EndedAs:
    return EndedAs(**{outcome: row[outcome] for outcome in OUTCOMES})


@query()
def paths(
    store: Store,
    scope: Scope,
    window: Window,
    filters: Filters,
    limit: int = PAGE,
    *,
    merged: bool = False,
) -> Paths:
    """The ways from intent to intent of the conversations that started in the window.

    Args:
        store: The store to ask.
        scope: What the caller may see.
        window: The conversations to take.
        filters: What they are limited to.
        limit: How many transitions, and how many paths, 1 to 200.
        merged: Whether small talk is left out, and an intent that comes again at once is one.

    Raises:
        QueryError: If the limit is wrong.
    """
    check_limit(limit)
    selection = Selection(window, filters)
    whole = store.submit(_paths_taken, Query(store, scope), selection, limit, merged=merged)
    counted = store.submit(_counted, Query(store, scope), selection, merged=merged)
    transitions = _steps_taken(Query(store, scope), selection, limit, merged=merged)
    settled = counted.result().get("settled", 0)
    return Paths(
        window=TimeSpan.of(window),
        conversations=counted.result().get("conversations", 0),
        settled=settled,
        transitions=[_transition(row) for row in transitions],
        transitions_not_listed=_not_listed(transitions),
        paths=[_intent_path(row, settled) for row in whole.result()],
        paths_not_listed=_not_listed(whole.result()),
    )


def _transition(row: dict[str, Any]) -> Transition:
    return Transition(
        origin=row["origin"] or None,
        target=row["target"] or None,
        count=row["taken"],
        share=ratio(row["taken"], row["departed"]),
        conversations=row["conversations"],
        outcomes=_ended(row),
    )


def _intent_path(row: dict[str, Any], settled: int) -> IntentPath:
    return IntentPath(
        intents=row["intents"],
        longer=row["longer"],
        conversations=row["taken"],
        share=ratio(row["taken"], settled),
        outcomes=_ended(row),
    )


def _not_listed(rows: list[dict[str, Any]]) -> int:
    return rows[0]["ways"] - len(rows) if rows else 0


@query()
def ways(store: Store, scope: Scope, window: Window, filters: Filters) -> Ways:
    """The ways of settled conversations by their first steps, as the diagram draws them.

    Args:
        store: The store to ask.
        scope: What the caller may see.
        window: The conversations to take.
        filters: What they are limited to.
    """
    statement = Query(store, scope)
    rows = conversation_rows(statement, Selection(window, filters), "settled", "outcome", "steps")
    found = statement.run(f"""
        SELECT arraySlice(steps, 1, {STEPS}) AS first, outcome, count() AS taken,
            sum(taken) OVER () AS every
        FROM {rows} AS r WHERE settled AND notEmpty(steps)
        GROUP BY first, outcome ORDER BY taken DESC, first, outcome LIMIT {WAYS}
    """)  # noqa: S608
    return Ways(
        settled=found[0]["every"] if found else 0,
        items=[
            Way(steps=row["first"], outcome=row["outcome"], conversations=row["taken"])
            for row in found
        ],
    )


@query()
def incomplete(
    store: Store,
    scope: Scope,
    window: Window,
    filters: Filters,
    limit: int = PAGE,
    cursor: str | None = None,
) -> Incomplete:
    """The settled conversations that nobody ended and that were not resolved, newest first.

    Args:
        store: The store to ask.
        scope: What the caller may see.
        window: The conversations to take, by their start.
        filters: What they are limited to.
        limit: How many to a page, 1 to 200.
        cursor: Where the page before ended.

    Raises:
        QueryError: If the limit or the cursor is wrong.
    """
    check_limit(limit)
    after = None if cursor is None else Cursor.read(cursor)
    selection = Selection(window, filters)
    total = store.submit(_total, Query(store, scope), selection)
    rows = _newest(Query(store, scope), selection, after, limit + 1)
    page = rows[:limit]
    return Incomplete(
        window=TimeSpan.of(window),
        total=total.result(),
        items=[_read(row) for row in page],
        next_cursor=Cursor.of(page[-1]).text() if len(rows) > limit else None,
    )


def _total(statement: Query, selection: Selection) -> int:
    rows = conversation_rows(statement, selection, "settled", "ended", "handed_off", "outcome")
    counted = f"SELECT countIf({INCOMPLETE}) AS total FROM {rows} AS c"  # noqa: S608
    return int(statement.one(counted).get("total", 0))


def _newest(
    statement: Query, selection: Selection, after: Cursor | None, limit: int
) -> list[dict[str, Any]]:
    """The next of them."""
    later = "true" if after is None else after.passed(statement)
    rows = conversation_rows(
        statement, selection, "started_at", "last_at", "settled", "ended", "handed_off", "outcome",
        "turns", "agent", "channel", "last_intent", "stood",
    )  # fmt: skip
    return statement.run(f"""
        SELECT {KEY}, agent, channel, {nanos("started_at")} AS started_ns,
            {nanos("last_at")} AS last_ns, turns, outcome, last_intent,
            stood.1 AS workflow, stood.2 AS step
        FROM {rows} AS c
        WHERE {INCOMPLETE} AND {later}
        ORDER BY started_ns DESC, tenant, conversation_id
        LIMIT {statement.bind(limit, "UInt32")}
    """)  # noqa: S608


def _read(row: dict[str, Any]) -> IncompleteConversation:
    same = {name: row[name] for name in IncompleteConversation.model_fields if name in row}
    return IncompleteConversation(
        **{
            **same,
            "started_at": moment(row["started_ns"]),
            "last_at": moment(row["last_ns"]),
            "workflow": row["workflow"] or None,
            "step": row["step"] or None,
        }
    )
