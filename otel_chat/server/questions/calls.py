"""Calls of tools, APIs, retrievals and models: what they are of spans and events."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from otel_chat import semconv
from otel_chat.server.figures.sql import Query, nanos
from otel_chat.server.figures.window import Window
from otel_chat.server.questions.split import KINDS

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
"""So long before the window a call may have begun that one in it is part of."""
_OF_MODEL: Final = f"operation IN [{', '.join(repr(o) for o, k in KINDS.items() if k == 'model')}]"


def once(statement: Query, window: Window) -> str:
    """The condition that a span is not the same call of a model as the span around it.

    A framework's span and that of its client tell of one call: the outer one does. Those around
    may have come twice, and may have begun before the window.

    Args:
        statement: What the condition is part of.
        window: When the spans start.
    """
    around = statement.table(
        "spans",
        ("tenant", "trace_id", "span_id"),
        [statement.between("start", window.start - _LONGEST, window.end), _OF_MODEL],
        once=False,
    )
    parent = "toFixedString(parent_span_id, 8)"
    return f"NOT ({_OF_MODEL}) OR (tenant, trace_id, {parent}) NOT IN {around}"


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
