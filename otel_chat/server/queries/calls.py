"""Calls of tools, APIs, retrievals and models: what they are of spans and events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

from otel_chat import semconv
from otel_chat.server.queries.bins import QUARTER_TIME, Bins, held, quarter_of, slot_of
from otel_chat.server.queries.split import KINDS
from otel_chat.server.queries.sql import nanos

if TYPE_CHECKING:
    from collections.abc import Sequence

GOOD: Final = ("", "ok", "success", "succeeded", "completed", "true")
"""The statuses of an API call that are no failure, beside numbers below 400."""
SPAN_COLUMNS: Final = (
    "start", "end", "operation", "tool", "model", "name", "status_code", "error_type", "attributes",
)  # fmt: skip
EVENT_COLUMNS: Final = ("time", "api_name", "duration", "status", "error_type")
"""The columns of spans and events that tell about calls."""

SECONDS: Final = "seconds"
"""The only measure of calls."""
BINNED: Final = (
    "kind", "called", "slot", "calls", "failures", "reasons", "last_failed", "held", "billionths",
    "seconds",
)  # fmt: skip
CALL_NAME: Final = "concat(toString(kind), ' ', toString(called))"
"""SQL for one text that tells calls apart."""

_TIME: Final = "fromUnixTimestamp64Nano(at, 'UTC')"
_OPERATIONS: Final = f"[{', '.join(map(repr, KINDS))}]"
_KINDS: Final = f"[{', '.join(map(repr, KINDS.values()))}]"
_CODE: Final = "toInt32OrNull(toString(status))"
IS_CALL: Final = {
    "spans": f"operation IN {_OPERATIONS}",
    "events": f"name = '{semconv.EVENT_API_CALL}'",
}
"""The conditions that spans and events are calls."""


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


def binned_calls(called: str, **by: str) -> str:
    """A SELECT of calls in bins; its columns after `by` are `BINNED`.

    Args:
        called: A SELECT as `calls` makes it.
        by: What to tell bins apart by beside, first: SQL of each name.
    """
    names = "".join(f"{name}, " for name in by)
    columns = "".join(f"{sql} AS {name}, " for name, sql in by.items())
    return f"""
        SELECT {names}kind, called, slot,
            toUInt32(count()) AS calls, toUInt32(countIf(failed)) AS failures,
            groupUniqArrayIf(reason, failed AND reason != '') AS reasons,
            maxIf(at, failed) AS last_failed, {held("value")}
        FROM (
            SELECT {columns}kind, called, at, failed, reason, seconds AS value,
                {slot_of("ifNull(seconds, 0)")} AS slot
            FROM ({called})
        )
        GROUP BY {names}kind, called, slot
    """  # noqa: S608


BINNED_BY: Final = {"tenant": "tenant", "quarter": quarter_of(_TIME)}
"""By what kept bins are told apart beside."""


@dataclass(frozen=True, slots=True)
class CallBins(Bins):
    """The calls of a window, their time in bins."""

    MEASURE: ClassVar = f"'{SECONDS}' AS measure"

    def counted(self, reasons: int) -> list[dict[str, Any]]:
        """What was called, how often, and what failed of it, the most called first.

        Args:
            reasons: At most so many reasons of failures, by name.
        """
        columns = ("kind", "called", "calls", "failures", "reasons", "last_failed")
        kept = self.kept(columns, self.pieces.kept_conditions(self.query, QUARTER_TIME))
        sources = [f"SELECT * FROM {kept}"]  # noqa: S608
        if self.pieces.days.afresh:
            sources.append(f"SELECT {', '.join(columns)} FROM ({self._calls()})")  # noqa: S608
        return self.query.run(f"""
            SELECT toString(kind) AS kind, toString(called) AS called, sum(calls) AS calls,
                sum(failures) AS failures,
                arraySlice(arraySort(groupUniqArrayArray(reasons)), 1, {reasons}) AS reasons,
                max(last_failed) AS last_failed
            FROM ({" UNION ALL ".join(sources)})
            GROUP BY kind, called
            ORDER BY calls DESC, kind, called
        """)  # noqa: S608

    def kept(self, columns: Sequence[str], conditions: Sequence[str]) -> str:
        """As they are."""
        return self.query.table("call_speeds", columns, conditions, once=False)

    def afresh(self) -> str:
        """From spans and events."""
        part = self.grouping(self.query, _TIME)
        return f"SELECT {part} AS part, {self.MEASURE}, * FROM ({self._calls()})"  # noqa: S608

    def _calls(self) -> str:
        """A SELECT of `BINNED` of the days that are not kept."""
        days, table = self.pieces.days, self.query.table
        of_spans = [days.afresh_condition(self.query, "start"), IS_CALL["spans"]]
        of_events = [days.afresh_condition(self.query, "time"), IS_CALL["events"]]
        spans = table("spans", SPAN_COLUMNS, of_spans)
        events = table("events", EVENT_COLUMNS, of_events)
        return binned_calls(calls(spans, events))
