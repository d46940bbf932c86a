"""The ways through conversations: from intent to intent, whole, and those without an end."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from pydantic import ConfigDict, Field

from otel_chat.semconv import OUTCOMES
from otel_chat.server.queries.aggregation import OUTCOME, Selection, conversation_rows
from otel_chat.server.queries.answers import Answer, TimeSpan
from otel_chat.server.queries.filters import Filters, Outcome
from otel_chat.server.queries.intent_numbers import FOLDED, NUMBERS, number_intents
from otel_chat.server.queries.paging import PAGE, Cursor, check_limit
from otel_chat.server.queries.partials import KEY
from otel_chat.server.queries.registry import figure, query
from otel_chat.server.queries.sql import Query, moment, nanos, ratio
from otel_chat.server.queries.window import Window
from otel_chat.server.queries.workflows import standing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_chat.server.access import Scope
    from otel_chat.server.store import Store

LONGEST: Final = 10
INCOMPLETE: Final = "settled AND NOT ended AND outcome != 'resolved'"


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
    transitions: list[Transition] = Field(description=FOLDED)
    transitions_not_listed: int = Field(description="Other transitions that were taken.")
    paths: list[IntentPath]
    paths_not_listed: int = Field(description="Other paths that were taken.")


class IncompleteConversation(Answer):
    """A settled conversation that nobody ended, and that was not resolved."""

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
        "Settled conversations without an explicit end that are not resolved, on all pages.",
    )
    items: list[IncompleteConversation]
    next_cursor: str | None = Field(description="Ask with it for the next page; null at the end.")


def _ends(counted: str) -> str:
    """SQL for how many ended in each way, given SQL for how many rows of a condition count."""
    return ", ".join(f"{counted.format(f'outcome = {one!r}')} AS {one}" for one in OUTCOMES)


# Ways are grouped by as whole numbers, which is fast. A transition is origin and target; the
# number after all of them stands for any. With it stand how the conversation ended, and whether
# it is the first such transition of it. A path has a digit for each of its intents, zeros where
# there are no more, and before them one that says whether it is longer.
ANY_WAY: Final = NUMBERS**2
_ENDS: Final = 8
_HALF: Final = LONGEST // 2


def _digits(first: int, last: int) -> str:
    """SQL for the intents from one place of `joined` to another as a whole number."""
    return " + ".join(
        f"toUInt64(joined[{place}]) * {NUMBERS ** (last - place)}"
        for place in range(first, last + 1)
    )


def _of_paths(statement: Query, selection: Selection) -> str:
    return conversation_rows(statement, selection, ("path",), told=("settled", "outcome"))


def _steps_taken(statement: Query, selection: Selection, limit: int) -> list[dict[str, Any]]:
    """How often the commonest transitions were taken, and, first, any at all.

    An end is known of settled conversations only, so no other has a last transition.
    """
    return statement.run(f"""
        SELECT way, sum(counted) AS taken, sumIf(counted, first) AS conversations,
            {_ends("sumIf(counted, first AND {})")},
            sum(taken) OVER (PARTITION BY intDiv(way, {NUMBERS})) AS departed,
            count() OVER () - 1 AS ways
        FROM (
            SELECT intDiv(code, {2 * _ENDS}) AS way, code % 2 AS first,
                CAST(toInt8(intDiv(code, 2) % {_ENDS}), {OUTCOME}) AS outcome, count() AS counted
            FROM (
                SELECT arrayMap(
                        (one, next) -> toUInt32(one * {NUMBERS} + next),
                        arrayPushFront(if(settled, path, arrayPopBack(path)), 0),
                        if(settled, arrayPushBack(path, 0), path)
                    ) AS steps,
                    arrayPushBack(steps, toUInt32({ANY_WAY})) AS gone,
                    arrayMap(
                        (way, nth) ->
                            toUInt32((way * {_ENDS} + toUInt8(outcome)) * 2 + (nth = 1)),
                        gone, arrayEnumerateUniq(gone)
                    ) AS codes
                FROM {_of_paths(statement, selection)} AS c
                WHERE notEmpty(path)
            )
            ARRAY JOIN codes AS code
            GROUP BY code
        )
        GROUP BY way
        ORDER BY way = {ANY_WAY} DESC, taken DESC, way
        LIMIT {statement.bind(limit + 1, "UInt32")}
    """)  # noqa: S608


def _paths_taken(statement: Query, selection: Selection, limit: int) -> list[dict[str, Any]]:
    """How often the commonest whole paths of settled conversations were taken."""
    return statement.run(f"""
        SELECT way, count() AS taken, {_ends("countIf({})")},
            sum(taken) OVER () AS settled, count() OVER () AS ways
        FROM (
            SELECT outcome, arrayCompact(path) AS joined,
                (toUInt128(length(joined) > {LONGEST}) * {NUMBERS**_HALF}
                    + ({_digits(1, _HALF)})) * {NUMBERS ** (LONGEST - _HALF)}
                    + ({_digits(_HALF + 1, LONGEST)}) AS way
            FROM {_of_paths(statement, selection)} AS c
            WHERE notEmpty(path) AND settled
        )
        GROUP BY way
        ORDER BY taken DESC, way
        LIMIT {statement.bind(limit, "UInt32")}
    """)  # noqa: S608


def _path(way: int, names: Mapping[int, str]) -> tuple[list[str], bool]:
    """The intents of a whole path, and whether there were more."""
    number, backwards = way, []
    for _ in range(LONGEST):
        number, intent = divmod(number, NUMBERS)
        if intent:
            backwards.append(names[intent])
    return backwards[::-1], bool(number)


def _ended(row: dict[str, Any]) -> EndedAs:
    return EndedAs(**{outcome: row[outcome] for outcome in OUTCOMES})


@query()
def paths(store: Store, scope: Scope, window: Window, filters: Filters, limit: int = PAGE) -> Paths:
    """The ways from intent to intent of the conversations that started in the window.

    Args:
        store: The store to ask.
        scope: What the caller may see.
        window: The conversations to take.
        filters: What they are limited to.
        limit: How many transitions, and how many paths, 1 to 200.

    Raises:
        QueryError: If the limit is wrong.
    """
    check_limit(limit)
    statement = Query(store, scope)
    names = number_intents(statement, window)
    selection = Selection(window, filters)
    whole_beside = store.beside(_paths_taken, statement.again(), selection, limit)
    every, *transitions = _steps_taken(statement, selection, limit) or [{}]
    whole = whole_beside.result()
    settled = whole[0]["settled"] if whole else 0
    return Paths(
        window=TimeSpan.of(window),
        conversations=every.get("conversations", 0),
        settled=settled,
        transitions=[_transition(row, names) for row in transitions],
        transitions_not_listed=_not_listed(transitions),
        paths=[_intent_path(row, names, settled) for row in whole],
        paths_not_listed=_not_listed(whole),
    )


def _transition(row: dict[str, Any], names: Mapping[int, str]) -> Transition:
    origin, target = divmod(row["way"], NUMBERS)
    return Transition(
        origin=names.get(origin),
        target=names.get(target),
        count=row["taken"],
        share=ratio(row["taken"], row["departed"]),
        conversations=row["conversations"],
        outcomes=_ended(row),
    )


def _intent_path(row: dict[str, Any], names: Mapping[int, str], settled: int) -> IntentPath:
    intents, longer = _path(row["way"], names)
    return IntentPath(
        intents=intents,
        longer=longer,
        conversations=row["taken"],
        share=ratio(row["taken"], settled),
        outcomes=_ended(row),
    )


def _not_listed(rows: list[dict[str, Any]]) -> int:
    return rows[0]["ways"] - len(rows) if rows else 0


Found = tuple[int, str, str]
"""A conversation by its start in nanoseconds, its tenant and its id."""


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
    total, found = _newest(Query(store, scope), Selection(window, filters), after, limit + 1)
    page = found[:limit]
    return Incomplete(
        window=TimeSpan.of(window),
        total=total,
        items=_listed(Query(store, scope), window, page),
        next_cursor=Cursor(*page[-1]).text() if len(found) > limit else None,
    )


def _newest(
    statement: Query, selection: Selection, after: Cursor | None, limit: int
) -> tuple[int, list[Found]]:
    """How many there are in all, and the next of them."""
    key = "(-started_ns, tenant, conversation_id)"
    later = "true"
    if after is not None:
        at, tenant, name = (
            statement.bind(after.at, "Int64"),
            statement.bind(after.tenant, "String"),
            statement.bind(after.key, "String"),
        )
        later = f"{key} > (-{at}, {tenant}, {name})"
    first = f"groupArraySortedIf({limit})({key}, {later})"
    told = ("tenant", "conversation_id", "started_at", "settled", "ended", "outcome")
    row = statement.one(f"""
        SELECT count() AS total, {first} AS found
        FROM (
            SELECT {KEY}, {nanos("started_at")} AS started_ns
            FROM {conversation_rows(statement, selection, told=told)} AS c
            WHERE {INCOMPLETE}
        )
    """)  # noqa: S608
    found = [(-negated, tenant, name) for negated, tenant, name in row.get("found", [])]
    return row.get("total", 0), found


def _listed(statement: Query, window: Window, page: list[Found]) -> list[IncompleteConversation]:
    if not page:
        return []
    selection = Selection(window, Filters(), keys=tuple((tenant, key) for _, tenant, key in page))
    rows = statement.run(f"""
        SELECT {KEY}, agent, channel, {nanos("started_at")} AS started_ns,
            {nanos("last_at")} AS last_ns, turns, outcome, last_intent,
            stood.1 AS workflow, stood.2 AS step
        FROM {conversation_rows(statement, selection, ("agent", "channel", "last_intent"))} AS c
        LEFT JOIN (SELECT hash, stood FROM {standing(statement, selection)}) AS p USING (hash)
    """)  # noqa: S608
    by_key = {(row["tenant"], row["conversation_id"]): row for row in rows}
    return [_read(by_key[tenant, key]) for _, tenant, key in page if (tenant, key) in by_key]


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
