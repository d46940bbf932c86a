"""Writes the turns of other libraries, worked out from all spans of their traces that are there."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from otel_chat import _dialects as dialects
from otel_chat import semconv as sc
from otel_chat._messages import BODY
from otel_chat.server.prices import SOURCE
from otel_chat.server.span_rules import meaning
from otel_chat.server.summaries import turn_rule
from otel_chat.server.summaries.statements import KEYS, listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from otel_chat._usage import Usage
    from otel_chat.server.prices import Priced, ServerPrices
    from otel_chat.server.span_rules import Rule
    from otel_chat.server.store import Store

Key = tuple[str, str]
"""A trace: its tenant, and its id in hexadecimal digits."""
Traces = dict[Key, tuple[list[turn_rule.Span], dict[str, Mapping[str, Any]]]]
"""The spans of traces, and the rows that they were read from by their id."""
Place = tuple[str, str, str, str]
"""A turn: its tenant, trace, span and conversation."""
PRICE: Final = "otel_chat.server.price"
"""The price that was chosen, on its way through the view; of a body's spans it is not read."""
OF_RULE: Final = "rule "
"""Before the name of a rule: the id of an event that it told."""
MOST_SPANS: Final = 10_000
"""Spans of a trace that are looked at, from its first on; of longer ones those that may tell."""
DAY_NS: Final = 24 * 3600 * 10**9
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_TRACES: Final = (
    f"(tenant, trace_id) IN (SELECT tenant, toFixedString(unhex(id), 16) FROM {KEYS})"  # noqa: S608
    " AND trace_id IN (SELECT toFixedString(unhex(arrayJoin({ids:Array(String)})), 16))"
    " AND start >= fromUnixTimestamp64Nano({first:Int64}, 'UTC')"
    " AND start <= fromUnixTimestamp64Nano({last:Int64}, 'UTC')"
)
_TURNS: Final = f"""
SELECT toString(tenant) AS tenant, lower(hex(trace_id)) AS trace, lower(hex(span_id)) AS span,
  toUnixTimestamp64Nano(start) AS start_ns, toUnixTimestamp64Nano(end) AS end_ns,
  conversation_id, foreign AND version > 0 AS derived, price
FROM turns FINAL WHERE {_TRACES}
"""  # noqa: S608
# Traces in which neither an agent nor a model has a part are none of ours.
_SPANS: Final = f"""
SELECT toString(tenant) AS tenant, lower(hex(trace_id)) AS trace, lower(hex(span_id)) AS span,
  lower(hex(parent_span_id)) AS parent, toString(name) AS name, toString(kind) AS kind,
  toUnixTimestamp64Nano(start) AS start_ns, toUnixTimestamp64Nano(end) AS end_ns,
  toString(status_code) AS status, toString(error_type) AS error, toString(scope_name) AS scope,
  attributes, events, toString(service_name) AS service,
  toString(service_version) AS service_version, toString(environment) AS environment,
  instance_id, status_message
FROM spans FINAL WHERE {_TRACES} AND (tenant, trace_id) IN (
  SELECT tenant, trace_id FROM spans
  WHERE {_TRACES} AND (operation != '' OR hasAny(mapKeys(attributes), {{marks:Array(String)}})))
"""  # noqa: S608
_FIRST: Final = " ORDER BY tenant, trace_id, start, span_id LIMIT {most:UInt64} BY tenant, trace_id"
# Of too many: those of agents and models, and those that others hang beneath.
_TELLING: Final = f"""
AND (operation != '' OR hasAny(mapKeys(attributes), {{telling:Array(String)}})
  OR (tenant, trace_id, hex(span_id)) IN (
    SELECT tenant, trace_id, hex(parent_span_id) FROM spans WHERE {_TRACES}))
"""  # noqa: S608
_OF_TRACES: Final = (
    "tenant IN {tenants:Array(String)}"
    " AND trace_id IN (SELECT unhex(arrayJoin({ids:Array(String)})))"
    " AND time >= fromUnixTimestamp64Nano({first:Int64}, 'UTC')"
    " AND time <= fromUnixTimestamp64Nano({last:Int64}, 'UTC')"
)
_TOLD: Final = f"""
SELECT toString(tenant) AS tenant, uid, conversation_id FROM events FINAL
WHERE {_OF_TRACES} AND startsWith(uid, '{OF_RULE}')
"""  # noqa: S608
_NOT_TOLD_ANY_MORE: Final = listed(
    tenant="{tenants:Array(String)}", uid="{uids:Array(String)}", id="{ids:Array(String)}"
)
_RECORDS: Final = f"""
SELECT toString(tenant) AS tenant, lower(hex(trace_id)) AS trace, lower(hex(span_id)) AS span,
  toString(name) AS name, attributes, data
FROM events FINAL WHERE {_OF_TRACES} AND name IN {{names:Array(String)}}
ORDER BY tenant, trace_id, time, uid LIMIT {MOST_SPANS} BY tenant, trace_id
"""  # noqa: S608
_LEFT: Final = f"""
SELECT toString(tenant) AS tenant, toUnixTimestamp64Nano(start) AS start_ns,
  lower(hex(trace_id)) AS trace, toString(reason) AS reason, toString(scope) AS scope
FROM unclaimed_spans FINAL WHERE {_TRACES}
"""  # noqa: S608


class DerivedTurns:
    """Works out the turns of traces; doing it again changes nothing.

    Args:
        store: The store.
        prices: What model calls cost that bring no cost; None leaves them unpriced.
        rules: What spans mean that no convention says.
    """

    def __init__(
        self, store: Store, prices: ServerPrices | None = None, rules: Sequence[Rule] = ()
    ) -> None:
        self._store = store
        self._prices = prices
        self._rules = rules

    def work_out(self, part: Sequence[Mapping[str, Any]], version: int) -> None:
        """Writes the turns of some traces, and takes back what is none any more.

        Args:
            part: Traces: `tenant`, `key` in hexadecimal digits, `first` and `last` in nanoseconds.
            version: The store's clock, read before this.
        """
        bound, there, traces = self._look(part)
        found = {key: turn_rule.find(spans) for key, (spans, _) in traces.items()}
        kept_prices = {_place(row): row["price"] for row in there}
        rows: list[dict[str, Any]] = []
        events: list[dict[str, Any]] = []
        for key, one in found.items():
            for turn in one.turns:
                calls = turn_rule.calls(turn)
                cost = self._cost(key, turn, calls, kept_prices)
                given = turn_rule.attributes(turn, calls) | _attributes(cost)
                row = _row(key, turn, traces[key][1], cost) | {"given": given, "version": version}
                events += self._mean(key, turn, row)
                rows.append(row)
        self._store.insert_rows("spans_in", rows)
        self._tell(events, bound)
        kept = {_identity(row) for row in rows}
        former = [row for row in there if row["derived"]]
        self._store.insert_rows("turns", list(_gone(former, kept, version)))
        self._note_left(found, traces, bound, version)

    def find(self, part: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, turn_rule.Turn]]:
        """The turns of some traces with their tenants, as they are now; writes nothing.

        Args:
            part: As for `work_out`.
        """
        _, _, traces = self._look(part)
        for (tenant, _), (spans, _rows) in traces.items():
            yield from ((tenant, turn) for turn in turn_rule.find(spans).turns)

    def _look(
        self, part: Sequence[Mapping[str, Any]]
    ) -> tuple[dict[str, Any], list[dict[str, Any]], Traces]:
        """Where traces are, the turns that are there of them, and the spans to find turns in."""
        bound = _bound(part)
        there = self._store.query(_TURNS, bound)
        return bound, there, self._traces(_not_told(part, there), bound)

    def _cost(
        self, key: Key, turn: turn_rule.Turn, calls: Sequence[Usage], kept: Mapping[Place, str]
    ) -> Priced | None:
        """What the model calls of a turn cost; nothing where the server has no say in it."""
        if self._prices is None or all(call.cost is not None for call in calls):
            return None
        before = kept.get((*key, turn.tops[0].span_id, turn.conversation), "")
        return self._prices.priced(key[0], calls, turn.tops[0].start, before)

    def _mean(
        self, key: Key, turn: turn_rule.Turn, row: dict[str, Any]
    ) -> Iterator[dict[str, Any]]:
        """Adds to a turn what rules say of it, and gives the events that they say."""
        if not self._rules:
            return
        spans = sorted(turn.spans, key=lambda span: span.place)
        told = meaning(self._rules, key[0], spans)
        row["given"] = told.attributes | row["given"]
        shared = {
            name: value
            for name, value in row["given"].items()
            if name in (sc.CONVERSATION_ID, sc.AGENT_NAME, sc.CHANNEL)
        }
        for span, rule, name, attributes in told.events:
            uid = f"{OF_RULE}{rule}: {key[1]}{span.span_id}"
            yield {
                "tenant": key[0],
                "resource": row["resource"],
                "time_ns": span.end,
                "name": name,
                "trace_id": row["trace_id"],
                "span_id": row["span_id"],
                "body": "",
                "given": {**shared, **attributes, sc.EVENT_UID: uid},
            }

    def _tell(self, events: list[dict[str, Any]], bound: Mapping[str, Any]) -> None:
        """Writes what rules say of conversations, and erases what they do not say any more."""
        if not self._rules:
            return
        self._store.insert_rows("events_in", events)
        kept = {(one["given"][sc.EVENT_UID], one["given"][sc.CONVERSATION_ID]) for one in events}
        former = [
            row
            for row in self._store.query(_TOLD, bound)
            if (row["uid"], row["conversation_id"]) not in kept
        ]
        if former:
            self._store.command(
                "ALTER TABLE events DELETE WHERE (tenant, uid, conversation_id) IN"
                f" {_NOT_TOLD_ANY_MORE} SETTINGS mutations_sync = 2",
                {
                    "tenants": [row["tenant"] for row in former],
                    "uids": [row["uid"] for row in former],
                    "ids": [row["conversation_id"] for row in former],
                },
            )

    def _traces(self, part: Sequence[Mapping[str, Any]], bound: Mapping[str, Any]) -> Traces:
        """The spans of traces, and the rows that they were read from by their id."""
        if not part:
            return {}
        asked = {
            **bound,
            "tenants": [row["tenant"] for row in part],
            "ids": [row["key"] for row in part],
            "marks": list(dialects.MARKS),
            "names": list(dialects.TELLING),
            "telling": [*dialects.MARKS, *dialects.COUNTED],
            "most": MOST_SPANS,
        }
        found: Traces = defaultdict(lambda: ([], {}))
        records: dict[tuple[str, str, str], list[dict[str, Any]]] = defaultdict(list)
        for row in self._store.query(_RECORDS, asked):
            records[row["tenant"], row["trace"], row["span"]].append(_record(row))
        for row in self._rows(asked):
            spans, rows = found[row["tenant"], row["trace"]]
            spans.append(_span(row, records.get((row["tenant"], row["trace"], row["span"]), [])))
            rows[row["span"]] = row
        return dict(found)

    def _rows(self, asked: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """The spans of traces; of one that has too many those that may tell of a turn."""
        rows = self._store.query(_SPANS + _FIRST, asked)
        counts = Counter((row["tenant"], row["trace"]) for row in rows)
        cut = {key for key, count in counts.items() if count >= MOST_SPANS}
        yield from (row for row in rows if (row["tenant"], row["trace"]) not in cut)
        if cut:
            tenants, ids = zip(*cut, strict=True)
            of_cut = {**asked, "tenants": list(tenants), "ids": list(ids)}
            yield from self._store.query(_SPANS + _TELLING + _FIRST, of_cut)

    def _note_left(
        self,
        found: Mapping[Key, turn_rule.Found],
        traces: Mapping[Key, tuple[list[turn_rule.Span], Any]],
        bound: Mapping[str, Any],
        version: int,
    ) -> None:
        """Keeps how many spans of agents and models are part of no turn."""
        counts = {
            (row["tenant"], int(row["start_ns"]), row["trace"], row["reason"], row["scope"]): 0
            for row in self._store.query(_LEFT, bound)
        }
        for (tenant, trace), one in found.items():
            start = min(span.start for span in traces[tenant, trace][0]) // 1000 * 1000
            for (reason, scope), count in one.left.items():
                counts[tenant, start, trace, reason, scope] = count
        rows = [
            {
                "tenant": tenant,
                "start": _moment(start),
                "trace_id": bytes.fromhex(trace),
                "reason": reason,
                "scope": scope,
                "spans": count,
                "version": version,
                "gone": int(not count),
            }
            for (tenant, start, trace, reason, scope), count in counts.items()
        ]
        self._store.insert_rows("unclaimed_spans", rows)


def _bound(part: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "tenants": [row["tenant"] for row in part],
        "ids": [row["key"] for row in part],
        "first": min(int(row["first"]) for row in part) - DAY_NS,
        "last": max(int(row["last"]) for row in part) + DAY_NS,
    }


def _not_told(
    part: Iterable[Mapping[str, Any]], there: Iterable[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """Traces without a turn that came marked as one."""
    told = {(row["tenant"], row["trace"]) for row in there if not row["derived"]}
    return [row for row in part if (row["tenant"], row["key"]) not in told]


def _record(row: Mapping[str, Any]) -> dict[str, Any]:
    """A log record as an event of the span that it names."""
    body = {BODY: row["data"]} if row["data"] else {}
    return {"name": row["name"], "attributes": {**row["attributes"], **body}}


def _span(row: Mapping[str, Any], records: Sequence[Mapping[str, Any]]) -> turn_rule.Span:
    attributes = dialects.with_events(row["attributes"], row["events"])
    if records:  # last: who sends both says the same twice
        attributes = dialects.with_events(attributes, json.dumps(records))
    failed = row["status"] == "error"
    return turn_rule.Span(
        span_id=row["span"],
        parent_id=row["parent"],
        name=row["name"],
        kind=row["kind"],
        start=int(row["start_ns"]),
        end=int(row["end_ns"]),
        failed=failed,
        error_type=row["error"] or (attributes.get(sc.ERROR_TYPE, "") if failed else ""),
        scope=row["scope"],
        attributes=attributes,
    )


def _row(
    key: Key, turn: turn_rule.Turn, rows: Mapping[str, Mapping[str, Any]], cost: Priced | None
) -> dict[str, Any]:
    """A turn as a span that is one: the view that reads marked turns reads it too.

    Beside this it has its attributes, `given`, and a `version`.
    """
    tenant, trace = key
    top = turn.tops[0]
    origin = rows[top.span_id]
    resource = {
        "service.name": origin["service"],
        "service.version": origin["service_version"],
        "deployment.environment.name": origin["environment"],
        "service.instance.id": origin["instance_id"],
        PRICE: cost.price if cost else "",
    }
    return {
        "tenant": tenant,
        "resource": resource,
        "scope_name": top.scope,
        "trace_id": bytes.fromhex(trace),
        "span_id": bytes.fromhex(top.span_id),
        "parent_span_id": bytes.fromhex(top.parent_id),
        "name": top.name,
        "kind_number": 1,
        "start_ns": top.start,
        "end_ns": max(one.end for one in turn.tops),
        "status_number": 0,
        "status_message": origin["status_message"],
        "own": False,
        "foreign": True,
        "events": "",
    }


def _attributes(cost: Priced | None) -> dict[str, str]:
    if cost is None or cost.cost is None:
        return {}
    return {sc.COST_AMOUNT: f"{cost.cost:f}", sc.COST_SOURCE: SOURCE}


def _place(row: Mapping[str, Any]) -> Place:
    return row["tenant"], row["trace"], row["span"], row["conversation_id"]


def _identity(row: Mapping[str, Any]) -> tuple[str, bytes, bytes, str, int]:
    given = row["given"]["gen_ai.conversation.id"]
    return row["tenant"], row["trace_id"], row["span_id"], given, row["start_ns"]


def _gone(
    former: Iterable[Mapping[str, Any]], kept: set[tuple[str, bytes, bytes, str, int]], version: int
) -> Iterable[dict[str, object]]:
    for row in former:
        trace, span = bytes.fromhex(row["trace"]), bytes.fromhex(row["span"])
        start = int(row["start_ns"])
        if (row["tenant"], trace, span, row["conversation_id"], start) not in kept:
            yield {
                "tenant": row["tenant"],
                "start": _moment(start),
                "end": _moment(int(row["end_ns"])),
                "conversation_id": row["conversation_id"],
                "trace_id": trace,
                "span_id": span,
                "foreign": True,
                "version": version,
                "gone": 1,
            }


def _moment(nanoseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=nanoseconds // 1000)
