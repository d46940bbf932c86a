"""Interactions: turns by themselves, listed, looked up and counted."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import Field

from otel_chat.errors import AccessError, QueryError
from otel_chat.server.figures.answers import (
    Answer,
    Confidence,
    Cost,
    Distribution,
    Errors,
    Fallback,
    Money,
    TimeSpan,
    Tokens,
    exact_mean,
)
from otel_chat.server.figures.figures import conditions_on_turns, distribution_sql
from otel_chat.server.figures.lookup import lookup_times
from otel_chat.server.figures.paging import PAGE, Cursor, check_limit, offset_of
from otel_chat.server.figures.registry import figure, query
from otel_chat.server.figures.sql import TRACE_DIGITS, Query, moment, nanos, ratio
from otel_chat.server.figures.sums import TURN_SUMS, summed
from otel_chat.server.figures.window import Window
from otel_chat.server.questions.search import Search
from otel_chat.server.questions.turns import Turn, TurnIntent, intents_of, read_turn, turns_sql
from otel_chat.server.rules import MODEL, RESPONSE_TIME, TOKENS

if TYPE_CHECKING:
    from otel_chat.server.access import Scope
    from otel_chat.server.figures.filters import Filters
    from otel_chat.server.store import Store

SPAN_DIGITS: Final = 16
BINS: Final = 10
_KEYS: Final = {
    "model": f"toString({MODEL})",
    "message_type": "toString(message_type)",
    "asked": "handoff",
    "reason": "if(handoff, toString(handoff_reason), '')",
    "bin": "toInt8(if(confidence IS NULL, -1,"
    f" least(floor(assumeNotNull(confidence) * {BINS}), {BINS - 1})))",
}
"""What turns are counted by, for every breakdown; a bin of -1 has no confidence."""
_KNOWN_OR_NULL: Final = (*(f"sum_{name}" for name in TOKENS), "sum_cost", "response_sum")

Sort = Literal[
    "-started", "started", "-response", "response", "-first_words", "first_words",
    "-duration", "duration", "-cost", "cost", "-tokens", "tokens", "-confidence", "confidence",
]  # fmt: skip
"""What turns are sorted by; a hyphen puts the greatest first."""
NEWEST: Final[Sort] = "-started"
_BY: Final = {
    "started": "start",
    "response": RESPONSE_TIME,
    "first_words": "time_to_first_chunk",
    "duration": "duration",
    "cost": "cost",
    "tokens": "if(isNull(input_tokens) AND isNull(output_tokens), NULL,"
    " ifNull(input_tokens, 0) + ifNull(output_tokens, 0))",
    "confidence": "confidence",
}
"""What each sorts by."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What a list of turns is to be like.

    Args:
        sort: What it is sorted by.
        search: A text that was said in them, in whatever case; asks for conversations:read.
    """

    sort: Sort = NEWEST
    search: str | None = None


class Interactions(Answer):
    """A page of turns, newest first unless another order is asked for."""

    window: TimeSpan
    items: list[Turn]
    next_cursor: str | None = Field(description="Ask with it for the next page; null at the end.")


class Group(Answer):
    """Turns that have something in common."""

    name: str = Field(description="What they have in common; empty where it was not said.")
    turns: int
    share: float | None = Field(description="Of all turns in the answer.")
    tokens: int | None = Field(description="Input and output tokens; null where none is known.")
    cost: Money | None = Field(description="USD, exact; null where no turn is priced.")
    mean_response_time: float | None = Field(description="Of answered turns, seconds.")
    mean_confidence: float | None
    handoffs: int = Field(description="Turns that asked for a human.")
    errors: int = Field(description="Turns that ended in an error.")


class Bin(Answer):
    """How many turns have a confidence within a tenth."""

    low: float = Field(description="From this confidence on.")
    high: float = Field(description="To below this one; the last bin holds 1 as well.")
    turns: int


class Reason(Answer):
    """Why turns asked for a human."""

    reason: str = Field(description="As the application said; empty where it did not.")
    turns: int


class InteractionStatistics(Answer):
    """The figures of turns asked about by themselves."""

    window: TimeSpan
    turns: int
    response_time: Distribution
    time_to_first_chunk: Distribution
    tokens: Tokens
    cost: Cost
    mean_cost: Money | None = figure(
        "mean_turn_cost",
        "USD",
        "Cost ÷ priced turns, rounded to a billionth; null if no turn is priced.",
    )
    confidence: Confidence
    confidence_distribution: list[Bin]
    fallback: Fallback
    errors: Errors
    handoffs: int = Field(description="Turns that asked for a human.")
    handoff_rate: float | None = figure(
        "turn_handoff_ratio", "1", "Turns that asked for a human ÷ turns."
    )
    handoff_reasons: list[Reason] = Field(description="The most frequent first.")
    models: list[Group] = Field(description="By model, the most frequent first.")
    message_types: list[Group] = Field(description="By type of message, the most frequent first.")


@query()
def interactions(
    store: Store,
    scope: Scope,
    window: Window,
    filters: Filters,
    limit: int = PAGE,
    cursor: str | None = None,
    listing: Listing = Listing(),
) -> Interactions:
    """The turns that started in the window, newest first or in an order of the caller's.

    What has no value of the kind comes last; those that are alike come newest first.

    Args:
        store: The store to ask.
        scope: What the caller may see; text only with conversations:read.
        window: The turns to take.
        filters: What they are limited to.
        limit: How many to a page, 1 to 200.
        cursor: Where the page before ended.
        listing: In which order, and which of them.

    Raises:
        AccessError: If there is a text to search for, and the scope may not read any.
        QueryError: If the order, the limit, the cursor or the text is wrong.
    """
    check_limit(limit)
    search = None if listing.search is None else Search.of(scope, listing.search)
    statement = Query(store, scope)
    if listing.sort == NEWEST:
        after = None if cursor is None else Cursor.read(cursor)
        found = _newest(statement, window, filters, search, after, limit + 1)
        following = Cursor(*found[limit - 1]).text() if len(found) > limit else None
    else:
        offset = offset_of(cursor, listing.sort)
        found = _sorted(statement, window, filters, search, listing.sort, offset, limit + 1)
        following = None
        if len(found) > limit:
            following = Cursor(offset + limit, "", listing.sort).text()
    return Interactions(
        window=TimeSpan.of(window),
        items=_read(Query(store, scope), scope, found[:limit]),
        next_cursor=following,
    )


Found = tuple[int, str, str]
"""A turn by its start in nanoseconds, its tenant and the digits of its trace and span."""
_NAMED: Final = (
    f"{nanos('start')} AS start_ns, tenant,"
    " concat(lower(hex(trace_id)), lower(hex(span_id))) AS digits"
)


def _conditions(
    statement: Query, window: Window, filters: Filters, search: Search | None
) -> list[str]:
    found = conditions_on_turns(statement, window, filters)
    return found if search is None else [*found, search.sought.in_turn(statement)]


def _newest(
    statement: Query,
    window: Window,
    filters: Filters,
    search: Search | None,
    after: Cursor | None,
    limit: int,
) -> list[Found]:
    """The next turns, newest first: it looks back in growing steps, until it has enough."""
    found: list[Found] = []
    for part in window.backwards(None if after is None else moment(after.at + 1000)):
        conditions = _conditions(statement, part, filters, search)
        source = statement.table("turns", ("start", "tenant", "trace_id", "span_id"), conditions)
        rows = statement.run(f"""
            SELECT {_NAMED}
            FROM {source} AS t {_after(statement, after)}
            ORDER BY start_ns DESC, tenant, digits
            LIMIT {statement.bind(limit - len(found), "UInt32")}
        """)  # noqa: S608
        found += [(row["start_ns"], row["tenant"], row["digits"]) for row in rows]
        if len(found) == limit:
            break
    return found


def _sorted(
    statement: Query,
    window: Window,
    filters: Filters,
    search: Search | None,
    sort: Sort,
    offset: int,
    limit: int,
) -> list[Found]:
    """The next turns in another order, after so many of it."""
    name = sort.removeprefix("-")
    if name not in _BY:
        raise QueryError(f"An order is one of {', '.join(_BY)}, or -{name}.", field="sort")
    columns = ("start", "tenant", "trace_id", "span_id", f"{_BY[name]} AS place")
    conditions = _conditions(statement, window, filters, search)
    rows = statement.run(f"""
        SELECT {_NAMED}
        FROM {statement.table("turns", columns, conditions)} AS t
        ORDER BY place {"DESC" if sort != name else "ASC"} NULLS LAST,
            start_ns DESC, tenant, digits
        LIMIT {statement.bind(limit, "UInt32")} OFFSET {statement.bind(offset, "UInt64")}
    """)  # noqa: S608
    return [(row["start_ns"], row["tenant"], row["digits"]) for row in rows]


def _after(statement: Query, cursor: Cursor | None) -> str:
    if cursor is None:
        return ""
    return (
        f"WHERE (-start_ns, tenant, digits) > (-{statement.bind(cursor.at, 'Int64')},"
        f" {statement.bind(cursor.tenant, 'String')}, {statement.bind(cursor.key, 'String')})"
    )


def _read(statement: Query, scope: Scope, page: list[Found]) -> list[Turn]:
    if not page:
        return []
    traces = [key[:TRACE_DIGITS] for _, _, key in page]
    first, last = moment(min(page)[0]), moment(max(page)[0])
    within = statement.between("start", first, last + timedelta(microseconds=1))
    rows = statement.run(turns_sql(statement, [within, statement.of_traces(traces, "turns")]))
    by_key = {
        (row["start_ns"], row["tenant"], row["trace_hex"] + row["span_hex"]): row for row in rows
    }
    # What a turn says of its intents it says until it ends, and its events are never far.
    longest = max((row["duration"] for row in rows), default=0.0)
    near = statement.between(
        "time", first - timedelta(hours=1), last + timedelta(hours=1, seconds=longest)
    )
    intents = intents_of(statement, [near, statement.of_traces(traces, "events")])
    return [
        read_turn(
            scope, by_key[one], intents.get((one[2][:TRACE_DIGITS], one[2][TRACE_DIGITS:]), ())
        )
        for one in page
        if one in by_key
    ]


@query()
def count_turns(
    store: Store, scope: Scope, window: Window, filters: Filters, search: str | None = None
) -> int:
    """How many turns there are in all of the pages of `interactions`.

    Args:
        store: The store to ask.
        scope: What the caller may see.
        window: The turns to take.
        filters: What they are limited to.
        search: A text that was said in them.

    Raises:
        AccessError: If there is a text to search for, and the scope may not read any.
        QueryError: If the text is wrong.
    """
    statement = Query(store, scope)
    wanted = None if search is None else Search.of(scope, search)
    conditions = _conditions(statement, window, filters, wanted)
    counted = statement.select("turns", ["count() AS turns"], conditions)
    return int(statement.one(counted)["turns"])


@query()
def interaction(store: Store, scope: Scope, window: Window, interaction_id: str) -> Turn:  # noqa: ARG001
    """One turn, whenever it was.

    Args:
        store: The store to ask.
        scope: What the caller may see; text only with conversations:read.
        window: When it is asked about; a turn of any time is found.
        interaction_id: The digits of its trace and of its span, joined by a hyphen.

    Raises:
        QueryError: If the id is none.
        AccessError: With status 404, if the scope has no turn of this id.
    """
    trace_id, _, span_id = interaction_id.lower().partition("-")
    lengths = (len(trace_id), len(span_id)) == (TRACE_DIGITS, SPAN_DIGITS)
    if not lengths or not set(trace_id + span_id) <= set("0123456789abcdef"):
        message = "An interaction's id is the digits of its trace and its span, with a hyphen."
        raise QueryError(message, field="interaction_id")
    statement = Query(store, scope, synthetic=True)
    named = [
        f"trace_id = unhex({statement.bind(trace_id, 'String')})",
        f"span_id = unhex({statement.bind(span_id, 'String')})",
    ]
    events_asked = store.submit(lookup_times, statement.again(), "events", named)
    found = lookup_times(statement, "turns", named)
    events = events_asked.result()
    if not found:
        raise AccessError("There is no interaction of this id.", status=404)
    tenant = min(found)
    named.append(f"tenant = {statement.bind(tenant, 'String')}")
    intents: dict[tuple[str, str], list[TurnIntent]] = {}
    if tenant in events:
        intents = intents_of(statement, [*named, statement.between("time", *events[tenant])])
    at = statement.between("start", *found[tenant])
    row = statement.one(turns_sql(statement, [*named, at]))
    return read_turn(scope, row, intents.get((trace_id, span_id), ()))


def _counted(query: Query, window: Window, filters: Filters) -> list[dict[str, Any]]:
    """The turns of the window, summed up by every combination of `_KEYS`."""
    keys = [f"{sql} AS k_{name}" for name, sql in _KEYS.items()]
    conditions = conditions_on_turns(query, window, filters)
    select = query.select("turns", [*keys, *summed(query, "turns", TURN_SUMS)], conditions)
    rows = query.run(f"{select} GROUP BY {', '.join(f'k_{name}' for name in _KEYS)}")
    return [{name[2:]: value for name, value in row.items()} for row in rows]


def _added(rows: list[dict[str, Any]]) -> dict[str, Any]:
    sums: dict[str, Any] = {name: sum(row[name] or 0 for row in rows) for name in TURN_SUMS}
    for name in _KNOWN_OR_NULL:
        if all(row[name] is None for row in rows):
            sums[name] = None
    sums["confidence_mean"] = exact_mean(sums["confidence_sum"], sums["confidence_n"])
    return sums


def _groups(rows: list[dict[str, Any]], column: str) -> list[Group]:
    parts: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        parts[row[column]].append(row)
    everything = sum(row["turns"] for row in rows)
    groups = [_group(name, _added(part), everything) for name, part in parts.items()]
    return sorted(groups, key=lambda group: (-group.turns, group.name))


def _group(name: str, sums: dict[str, Any], everything: int) -> Group:
    return Group(
        name=name,
        turns=sums["turns"],
        share=ratio(sums["turns"], everything),
        tokens=Tokens.read(sums).total,
        cost=sums["sum_cost"],
        mean_response_time=exact_mean(sums["response_sum"], sums["response_n"]),
        mean_confidence=sums["confidence_mean"],
        handoffs=sums["handoff_turns"],
        errors=sums["errors"],
    )


def _reasons(rows: list[dict[str, Any]]) -> list[Reason]:
    counts: dict[str, int] = defaultdict(int)
    for row in rows:
        if row["asked"]:
            counts[row["reason"]] += row["turns"]
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [Reason(reason=reason, turns=turns) for reason, turns in ordered]


def _bins(rows: list[dict[str, Any]]) -> list[Bin]:
    counts = [0] * BINS
    for row in rows:
        if row["bin"] >= 0:
            counts[row["bin"]] += row["turns"]
    return [
        Bin(low=index / BINS, high=(index + 1) / BINS, turns=turns)
        for index, turns in enumerate(counts)
    ]


def _mean_cost(sums: dict[str, Any]) -> Decimal | None:
    if not sums["priced_turns"]:
        return None
    amount, turns = Decimal(sums["sum_cost"]), int(sums["priced_turns"])
    return (amount / turns).quantize(Decimal("1e-9"))


def _spread(query: Query, window: Window, filters: Filters) -> dict[str, Any]:
    """How response times and times to first chunk are spread."""
    measures = {"response": "response_time", "first_chunk": "time_to_first_chunk"}
    conditions = conditions_on_turns(query, window, filters)
    source = query.table(
        "turns", (f"{RESPONSE_TIME} AS response_time", "time_to_first_chunk"), conditions
    )
    spread = ", ".join(distribution_sql(name, column) for name, column in measures.items())
    return query.one(f"SELECT {spread} FROM {source} AS t")  # noqa: S608


@query()
def interaction_statistics(
    store: Store, scope: Scope, window: Window, filters: Filters
) -> InteractionStatistics:
    """The figures of the turns that started in the window.

    Args:
        store: The store to ask.
        scope: What the caller may see.
        window: The turns to take.
        filters: What they are limited to.
    """
    statement = Query(store, scope)
    rows_asked = store.submit(_counted, Query(store, scope), window, filters)
    spread = _spread(statement, window, filters)
    rows = rows_asked.result()
    sums = _added(rows)
    return InteractionStatistics(
        window=TimeSpan.of(window),
        turns=sums["turns"],
        response_time=Distribution.read(spread, "response"),
        time_to_first_chunk=Distribution.read(spread, "first_chunk"),
        tokens=Tokens.read(sums),
        cost=Cost.read(sums),
        mean_cost=_mean_cost(sums),
        confidence=Confidence.read(sums, store.rules.low_confidence),
        confidence_distribution=_bins(rows),
        fallback=Fallback.read(sums),
        errors=Errors.read(sums),
        handoffs=sums["handoff_turns"],
        handoff_rate=ratio(sums["handoff_turns"], sums["turns"]),
        handoff_reasons=_reasons(rows),
        models=_groups(rows, "model"),
        message_types=_groups(rows, "message_type"),
    )
