"""Calls of tools, APIs, retrievals and models: what they are of spans and events."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from otel_chat import semconv
from otel_chat._dialects import RESPONSE_IDS
from otel_chat.server.figures.sql import Query, nanos
from otel_chat.server.figures.window import MARGIN, Window
from otel_chat.server.questions.split import KINDS
from otel_chat.server.summaries.turn_rule import OWN_SCOPE

GOOD: Final = ("", "ok", "success", "succeeded", "completed", "true")
"""The statuses of an API call that are no failure, beside numbers below 400."""
SPAN_COLUMNS: Final = (
    "start", "end", "operation", "tool", "model", "name", "status_code", "error_type", "attributes",
)  # fmt: skip
EVENT_COLUMNS: Final = ("time", "api_name", "duration", "status", "error_type")
"""The columns of spans and events that tell about calls."""

_OPERATIONS: Final = f"[{', '.join(map(repr, KINDS))}]"
_KINDS: Final = f"[{', '.join(map(repr, KINDS.values()))}]"
_CODE: Final = "toInt32OrNull(toString(status))"
IS_CALL: Final = {
    "spans": f"operation IN {_OPERATIONS}",
    "events": f"name = '{semconv.EVENT_API_CALL}'",
}
"""The conditions that spans and events are calls."""
_LONGEST: Final = timedelta(hours=1)
"""So far from the window a span may begin that tells of the same call as one in it."""
_ANSWERS: Final = ", ".join(f"attributes['{name}']" for name in RESPONSE_IDS)
_ANSWER: Final = f"firstNonDefault({_ANSWERS})"
_OURS: Final = f"scope_name = '{OWN_SCOPE}'"
_KNOWN: Final = "ifNull(input_tokens > 0, 0) + ifNull(output_tokens > 0, 0) + (model != '')"
_RANK: Final = f"({_OURS}, {_KNOWN}, span_id)"
_OF_MODEL: Final = f"operation IN [{', '.join(repr(o) for o, k in KINDS.items() if k == 'model')}]"


def once(statement: Query, window: Window) -> str:
    """The condition that a span is not the same call of a model as another one.

    A framework's span and that of its client tell of one call: the outer one does. Of those side by
    side that have one answer's id, whoever knows most does, and ours are calls each. Those around
    and beside may have come twice, and may have begun outside the window.

    Args:
        statement: What the condition is part of.
        window: When the spans start.
    """
    wider = [statement.between("start", window.start - _LONGEST, window.end + _LONGEST), _OF_MODEL]
    key = ("tenant", "trace_id", "span_id")
    around = statement.table("spans", key, wider, once=False)
    outer = f"(tenant, trace_id, toFixedString(parent_span_id, 8)) NOT IN {around}"
    theirs = statement.table("spans", key[:2], [*wider, f"NOT ({_OURS})"], once=False)
    found = statement.table(
        "spans",
        (*key, f"{_ANSWER} AS answer", f"{_OURS} AS ours", f"{_RANK} AS rank"),
        [*wider, f"(tenant, trace_id) IN {theirs}", "answer != ''", outer],
        once=False,
    )
    again = f"""(
        SELECT owner, trace, arrayJoin(arrayFilter(one -> one != best, others)) AS span_id
        FROM (
            SELECT any(tenant) AS owner, any(trace_id) AS trace,
                argMax(span_id, rank) AS best, groupArrayIf(span_id, NOT ours) AS others
            FROM {found} GROUP BY sipHash64(tenant, trace_id, answer) HAVING count() > 1
        )
    )"""  # noqa: S608
    return f"NOT ({_OF_MODEL}) OR ({outer} AND (tenant, trace_id, span_id) NOT IN {again})"


def by_conversation(statement: Query, window: Window, told: str, *, failed: bool = False) -> str:
    """A subquery of what is told of the tools and APIs that each conversation called.

    Args:
        statement: What it is part of.
        window: When the conversations' turns are; calls of a margin around it count too.
        told: SQL of aggregates over the calls, `f`: `f.called`, `f.failed` and `f.reason`.
        failed: Whether only calls that failed are read.
    """
    span = (window.start - MARGIN, window.end + MARGIN)
    known = ("tenant", "trace_id")
    of_spans = [statement.between("start", *span), IS_CALL["spans"]]
    if failed:
        of_spans.append("status_code = 'error' OR error_type != ''")
    made = calls(
        statement.table("spans", (*known, *SPAN_COLUMNS), of_spans),
        statement.table(
            "events",
            (*known, *EVENT_COLUMNS),
            [statement.between("time", *span), IS_CALL["events"]],
        ),
        "toString(tenant) AS owner",
        "toString(trace_id) AS trace",
    )
    kinds = "failed AND kind IN ('tool', 'api')" if failed else "kind IN ('tool', 'api')"
    found = f"SELECT owner, trace, called, failed, reason FROM ({made}) WHERE {kinds}"  # noqa: S608
    turns = statement.table(
        "turns",
        ("toString(tenant) AS owner", "toString(trace_id) AS trace", "conversation_id"),
        [
            statement.between("start", *span),
            f"(toString(tenant), toString(trace_id)) IN (SELECT owner, trace FROM ({found}))",  # noqa: S608
        ],
    )
    return f"""(
        SELECT t.owner AS tenant, t.conversation_id AS conversation_id, {told}
        FROM {turns} AS t INNER JOIN ({found}) AS f ON t.owner = f.owner AND t.trace = f.trace
        GROUP BY tenant, conversation_id
    )"""  # noqa: S608


def calls(spans: str, events: str, *more: str) -> str:
    """A SELECT of calls: `more`, kind, called, at (ns), seconds, failed, reason.

    Args:
        spans: The spans that are calls: what stands after FROM.
        events: The events that are calls.
        more: Columns of both.
    """
    others = "".join(f"{column}, " for column in more)
    return f"""
        SELECT {others}transform(toString(operation), {_OPERATIONS}, {_KINDS}, '') AS kind,
            multiIf(kind = 'tool', toString(tool), kind = 'model', toString(model),
                attributes['{semconv.DATA_SOURCE_ID}']) AS said,
            if(said = '', toString(name), said) AS called, {nanos("start")} AS at,
            toNullable(({nanos("end")} - {nanos("start")}) / 1e9) AS seconds,
            toString(status_code) = 'error' OR error_type != '' AS failed,
            toString(error_type) AS reason
        FROM {spans}
        UNION ALL
        SELECT {others}'api' AS kind, '' AS said, toString(api_name) AS called,
            {nanos("time")} AS at, duration AS seconds,
            if({_CODE} IS NULL, lower(toString(status)) NOT IN {GOOD},
                assumeNotNull({_CODE}) >= 400) AS failed,
            if(error_type != '', toString(error_type), toString(status)) AS reason
        FROM {events}
    """  # noqa: S608
