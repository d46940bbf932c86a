"""Traces: the spans of turns as trees."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from pydantic import Field

from otel_chat import semconv
from otel_chat.errors import AccessError, QueryError
from otel_chat.server.figures import content
from otel_chat.server.figures.answers import Answer
from otel_chat.server.figures.lookup import lookup_times
from otel_chat.server.figures.registry import query
from otel_chat.server.figures.sql import TRACE_DIGITS, Query, moment, nanos
from otel_chat.server.figures.window import MARGIN, Window
from otel_chat.server.questions.conversation import find
from otel_chat.server.questions.split import Interval, TimeSplit, split
from otel_chat.server.questions.timeline import ITEMS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_chat.server.access import Scope
    from otel_chat.server.store import Store


class Span(Answer):
    """A span of a trace."""

    span_id: str = Field(description="16 hexadecimal digits.")
    parent_span_id: str = Field(description="Empty for a root.")
    name: str
    kind: str
    operation: str = Field(description="What it did, by gen_ai.operation.name; may be empty.")
    turn: bool = Field(description="Whether it is a turn.")
    start: datetime
    offset: float = Field(description="Seconds from the first span of the trace.")
    duration: float = Field(description="Seconds.")
    status: str = Field(description="ok, error, or unset.")
    error_type: str
    depth: int = Field(ge=0, description="How many of its ancestors are in the answer.")
    attributes: dict[str, str] = Field(
        description="Its attributes as text; without conversations:read, those that hold nothing"
        " anybody said."
    )


class Trace(Answer):
    """The spans of a trace, each after its parent."""

    trace_id: str
    tenant: str
    conversation_id: str = Field(description="The conversation of its first turn.")
    turn_span_id: str | None = Field(description="Its first turn; null if there is none.")
    spans: list[Span]
    times: list[TimeSplit] = Field(description="Where the time of each of its turns went.")


TURN_ATTRIBUTES: Final = {
    "agent": semconv.AGENT_NAME,
    "agent_version": semconv.AGENT_VERSION,
    "variant": semconv.VARIANT,
    "request_model": semconv.REQUEST_MODEL,
    "response_model": semconv.RESPONSE_MODEL,
    "provider": semconv.PROVIDER_NAME,
    "prompt": semconv.PROMPT_NAME,
    "prompt_version": semconv.PROMPT_VERSION,
    "input_tokens": semconv.USAGE_INPUT_TOKENS,
    "output_tokens": semconv.USAGE_OUTPUT_TOKENS,
    "cache_read_tokens": semconv.USAGE_CACHE_READ_TOKENS,
    "reasoning_tokens": semconv.USAGE_REASONING_TOKENS,
    "cost": semconv.COST_AMOUNT,
    "cost_source": semconv.COST_SOURCE,
    "message_type": semconv.MESSAGE_TYPE,
    "channel": semconv.CHANNEL,
    "user_type": semconv.USER_TYPE,
    "intent": semconv.INTENT_NAME,
    "confidence": semconv.CONFIDENCE,
    "sentiment": semconv.SENTIMENT,
    "handoff_reason": semconv.HANDOFF_REASON,
    "time_to_first_chunk": semconv.TIME_TO_FIRST_CHUNK,
    "route": semconv.HTTP_ROUTE,
    "http_status": semconv.HTTP_STATUS_CODE,
}
SPAN_ATTRIBUTES: Final = {
    "agent": semconv.AGENT_NAME,
    "model": semconv.REQUEST_MODEL,
    "provider": semconv.PROVIDER_NAME,
    "tool": semconv.TOOL_NAME,
    "workflow": semconv.WORKFLOW_GEN_AI_NAME,
    "input_tokens": semconv.GEN_AI_INPUT_TOKENS,
    "output_tokens": semconv.GEN_AI_OUTPUT_TOKENS,
}
_IDS: Final = ("tenant", "conversation_id", "trace_id", "span_id", "parent_span_id")
_TIMES: Final = ("start", "end")
_SHOWN: Final = ", ".join(
    (
        "tenant",
        "conversation_id",
        "error_type",
        "attributes",
        f"{nanos('start')} AS start_ns",
        f"{nanos('end')} AS end_ns",
        "lower(hex(trace_id)) AS trace_hex",
        "lower(hex(span_id)) AS span_hex",
        "lower(hex(parent_span_id)) AS parent_hex",
    )
)


def _turn_rows(statement: Query, conditions: list[str]) -> list[dict[str, Any]]:
    columns = ("status", "error_type", "attributes", "foreign", *TURN_ATTRIBUTES)
    source = statement.table("turns", (*_IDS, *_TIMES, *columns), conditions)
    rows = statement.run(
        f"SELECT {_SHOWN}, status, foreign, {', '.join(TURN_ATTRIBUTES)} FROM {source} AS t"  # noqa: S608
    )
    for row in rows:
        operation = semconv.OPERATION_INVOKE_AGENT
        row |= {
            "turn": True,
            "name": f"{operation} {row['agent']}".strip(),
            "kind": "internal",
            "operation": operation,
            "own": _own(row, TURN_ATTRIBUTES),
        }
    return rows


def _span_rows(statement: Query, conditions: list[str]) -> list[dict[str, Any]]:
    columns = ("name", "kind", "operation", "status_code", "error_type", "attributes")
    source = statement.table("spans", (*_IDS, *_TIMES, *columns, *SPAN_ATTRIBUTES), conditions)
    rows = statement.run(
        f"SELECT {_SHOWN}, name, toString(kind) AS kind, operation,"  # noqa: S608
        f" toString(status_code) AS status, {', '.join(SPAN_ATTRIBUTES)} FROM {source} AS s"
    )
    for row in rows:
        row |= {"turn": False, "own": _own(row, SPAN_ATTRIBUTES)}
    return rows


def _own(row: dict[str, Any], names: dict[str, str]) -> dict[str, str]:
    return {names[key]: str(row[key]) for key in names if row[key] not in {None, ""}}


def _in_order(rows: list[dict[str, Any]]) -> list[tuple[dict[str, Any], int]]:
    """The spans as a tree, children by time; whatever cannot be reached comes as a root."""
    known = {row["span_hex"] for row in rows}
    children: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: (row["start_ns"], row["span_hex"])):
        parent = row["parent_hex"]
        children[parent if parent in known and parent != row["span_hex"] else ""].append(row)
    ordered: list[tuple[dict[str, Any], int]] = []
    seen: set[str] = set()
    waiting = [(row, 0) for row in reversed(children[""])]
    # A ring of parents has no root: then the earliest of its spans is taken for one.
    left = iter(sorted(rows, key=lambda row: (row["start_ns"], row["span_hex"])))
    while True:
        while waiting:
            row, depth = waiting.pop()
            if row["span_hex"] not in seen:
                seen.add(row["span_hex"])
                ordered.append((row, depth))
                waiting += [(child, depth + 1) for child in reversed(children[row["span_hex"]])]
        orphan = next((row for row in left if row["span_hex"] not in seen), None)
        if orphan is None:
            return ordered
        waiting.append((orphan, 0))


def _once(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows, a turn of another library as the turn alone: it stands among the spans too."""
    turns = {row["span_hex"] for row in rows if row["turn"]}
    return [row for row in rows if row["turn"] or row["span_hex"] not in turns]


def _of_conversation(rows: list[dict[str, Any]], ids: Sequence[str]) -> list[dict[str, Any]]:
    """Of a trace that several conversations share: its turns, what is beneath and what is above."""
    known = {row["span_hex"]: row for row in rows}
    own: dict[str, bool] = {}
    kept: set[str] = set()
    for row in rows:
        way: list[str] = []
        mine = False
        span: dict[str, Any] | None = row
        while span is not None:
            if span["span_hex"] in own:
                mine = own[span["span_hex"]]
                break
            own[span["span_hex"]] = False
            way.append(span["span_hex"])
            if span["turn"] or span["conversation_id"]:
                mine = span["turn"] or span["conversation_id"] in ids
                break
            span = known.get(span["parent_hex"])
        own.update(dict.fromkeys(way, mine))
        if row["turn"]:
            kept |= _above(row, known)
    return [row for row in rows if own[row["span_hex"]] or row["span_hex"] in kept]


def _above(row: dict[str, Any], known: dict[str, dict[str, Any]]) -> set[str]:
    found: set[str] = set()
    span: dict[str, Any] | None = row
    while span is not None and span["span_hex"] not in found:
        found.add(span["span_hex"])
        span = known.get(span["parent_hex"])
    return found


def _trace(scope: Scope, trace_id: str, rows: list[dict[str, Any]]) -> Trace:
    rows = _once(rows)
    first = min(row["start_ns"] for row in rows)
    turns = sorted((row["start_ns"], row["span_hex"]) for row in rows if row["turn"])
    named = [row["conversation_id"] for row in rows if row["conversation_id"]]
    of_turns = [row["conversation_id"] for row in rows if turns and row["span_hex"] == turns[0][1]]
    return Trace(
        trace_id=trace_id,
        tenant=rows[0]["tenant"],
        conversation_id=next(iter(of_turns or sorted(named)), ""),
        turn_span_id=turns[0][1] if turns else None,
        spans=[_span(scope, row, depth, first) for row, depth in _in_order(rows)],
        times=_times(rows),
    )


def _times(rows: list[dict[str, Any]]) -> list[TimeSplit]:
    every = [
        Interval(
            row["span_hex"], row["parent_hex"], row["start_ns"], row["end_ns"], row["operation"]
        )
        for row in sorted(rows, key=lambda row: (row["start_ns"], row["span_hex"]))
    ]
    turns = {row["span_hex"] for row in rows if row["turn"]}
    return [split(span, every) for span in every if span.span_id in turns]


def _span(scope: Scope, row: dict[str, Any], depth: int, first: int) -> Span:
    return Span(
        span_id=row["span_hex"],
        parent_span_id=row["parent_hex"],
        name=row["name"],
        kind=row["kind"].lower().removeprefix("span_kind_"),
        operation=row["operation"],
        turn=row["turn"],
        start=moment(row["start_ns"]),
        offset=(row["start_ns"] - first) / 1_000_000_000,
        duration=(row["end_ns"] - row["start_ns"]) / 1_000_000_000,
        status=row["status"].lower().removeprefix("status_code_"),
        error_type=row["error_type"],
        depth=depth,
        attributes=content.attributes(scope, dict(row["attributes"]) | row["own"]),
    )


@query()
def trace(store: Store, scope: Scope, window: Window, trace_id: str) -> Trace:  # noqa: ARG001
    """The spans of a trace, each after its parent.

    Args:
        store: The store to ask.
        scope: What the caller may see; attributes with text only with conversations:read.
        window: When it is asked about; a trace of any time is found.
        trace_id: 32 hexadecimal digits.

    Raises:
        QueryError: If the id is none.
        AccessError: With status 404, if the scope has no trace of this id.
    """
    if len(trace_id) != TRACE_DIGITS or not set(trace_id.lower()) <= set("0123456789abcdef"):
        raise QueryError("A trace id is 32 hexadecimal digits.", field="trace_id")
    statement = Query(store, scope, synthetic=True)
    named = f"trace_id = unhex({statement.bind(trace_id.lower(), 'String')})"
    spans_asked = store.submit(lookup_times, statement.again(), "spans", [named])
    found = {"turns": lookup_times(statement, "turns", [named]), "spans": spans_asked.result()}
    tenant = min({*found["turns"], *found["spans"]}, default=None)
    if tenant is None:
        raise AccessError("There is no trace of this id.", status=404)
    rows: list[dict[str, Any]] = []
    of_tenant = f"tenant = {statement.bind(tenant, 'String')}"
    for table, read in (("turns", _turn_rows), ("spans", _span_rows)):
        if tenant in found[table]:
            within = statement.between("start", *found[table][tenant])
            rows += read(statement, [named, of_tenant, within])
    return _trace(scope, trace_id.lower(), rows)


@query()
def conversation_traces(
    store: Store,
    scope: Scope,
    window: Window,  # noqa: ARG001
    conversation_id: str,
    tenant: str | None = None,
    cursor: str | None = None,
    limit: int = ITEMS,
) -> dict[str, Trace]:
    """The traces of the turns on a page of a conversation, by trace id.

    Args:
        store: The store to ask.
        scope: What the caller may see; attributes with text only with conversations:read.
        window: When it is asked about; a conversation of any time is found.
        conversation_id: Its id.
        tenant: Its tenant, where several of the scope's tenants have one of this id.
        cursor: Where the page begins, as `conversation` said; at its start without.
        limit: How many turns and events to a page at most, 1 to 1000.

    Raises:
        AccessError: With status 404, if the scope has no conversation of this id.
        QueryError: If the cursor or the limit is wrong.
    """
    found = find(store, scope, conversation_id, tenant)
    statement, (owner, _) = found.statement.again(), found.key
    page = found.page(cursor, limit)
    turns = page.turns(_turn_rows(statement, found.of_turns(statement, page)))
    if not turns:
        return {}
    ends = [moment(row["end_ns"]) for row in turns]
    # The time is there for the primary key; a span may begin a little before its turn.
    near = [
        f"tenant = {statement.bind(owner, 'String')}",
        statement.between("start", moment(turns[0]["start_ns"]) - MARGIN, max(ends) + MARGIN),
        statement.of_traces((row["trace_hex"] for row in turns), "spans"),
    ]
    by_trace: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in [*turns, *_span_rows(statement, near)]:
        by_trace[row["trace_hex"]].append(row)
    ids = statement.sent_ids([found.key[1]])
    return {
        trace_id: _trace(scope, trace_id, _of_conversation(rows, ids))
        for trace_id, rows in by_trace.items()
    }
