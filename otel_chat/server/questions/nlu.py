"""How well users were understood: intents, with their success, confidence and share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pydantic import Field

from otel_chat import semconv
from otel_chat.server.figures.answers import Answer, Confidence, Fallback, TimeSpan, exact_mean
from otel_chat.server.figures.conversation_rows import KEY, Selection, conversation_rows, members
from otel_chat.server.figures.figures import conditions_on_turns
from otel_chat.server.figures.registry import figure, query
from otel_chat.server.figures.sql import Query, ratio
from otel_chat.server.figures.sums import added, summed
from otel_chat.server.figures.window import Window
from otel_chat.server.rules import ANNOTATION, OF_A_TURN

if TYPE_CHECKING:
    from otel_chat.server.access import Scope
    from otel_chat.server.figures.filters import Filters
    from otel_chat.server.store import Store

Rows = dict[str, dict[str, Any]]

_SUMS: Final = (
    "turns", "no_failure", "response_n", "response_sum", "confidence_n", "confidence_sum",
    "low_confidence", "classified", "fallbacks",
)  # fmt: skip


class Intent(Answer):
    """The figures of one intent."""

    name: str
    turns: int = figure(
        "intent_turns", "{turn}", "Turns whose intent (the surest, if several) it is."
    )
    share: float | None = figure(
        "intent_share", "1", "Turns of this intent ÷ turns with any intent."
    )
    success: int = figure(
        "intent_success",
        "{turn}",
        "Turns of this intent of whose success the last report said that there was some.",
        version=2,
    )
    failure: int = figure(
        "intent_failure",
        "{turn}",
        "Turns of this intent of whose success the last report said that there was none.",
        version=2,
    )
    reported: int = figure(
        "intent_reported",
        "{turn}",
        "Turns of this intent of whose success something was reported, whenever it was.",
    )
    success_rate: float | None = figure(
        "intent_success_ratio",
        "1",
        "Turns of this intent that were reported to succeed ÷ those of which anything was"
        " reported.",
        version=2,
    )
    no_failure: int = figure(
        "intent_no_failure",
        "{turn}",
        "Turns of this intent without an error, a fallback or a handoff, whatever was reported.",
    )
    no_failure_rate: float | None = figure(
        "intent_no_failure_ratio",
        "1",
        "Turns of this intent without an error, a fallback or a handoff ÷ turns of this intent.",
    )
    mean_confidence: float | None = figure(
        "intent_confidence", "1", "Mean confidence of the turns of this intent that have one."
    )
    low_confidence: int = figure(
        "intent_low_confidence",
        "{turn}",
        "Turns of this intent with a confidence below the threshold.",
    )
    mean_response_time: float | None = figure(
        "intent_response_time",
        "s",
        "Mean response time of the answered turns of this intent.",
        version=2,
    )
    classifications: int = figure(
        "intent_classifications",
        "{classification}",
        "Times a classifier named this intent, several to a turn among them.",
    )
    annotations: int = figure(
        "intent_annotations",
        "{annotation}",
        "Times annotations of the turns named this intent, whenever they were told.",
        version=2,
    )
    dropped: int = figure(
        "intent_drop_off",
        "{conversation}",
        "Settled conversations that ended abandoned or failed with this as their last intent.",
    )
    switched: int = figure(
        "intent_switched",
        "{turn}",
        "Turns of this intent after which the conversation's next turn with an intent had another.",
    )
    switched_rate: float | None = figure(
        "intent_switched_ratio",
        "1",
        "Turns of this intent after which the intent was switched ÷ turns of this intent.",
    )


class Intents(Answer):
    """Intents, the most frequent first."""

    window: TimeSpan
    turns: int = Field(description="Turns in the window.")
    classifications: int = figure(
        "classifications",
        "{classification}",
        "Times a classifier was asked, those in which it knew no intent among them.",
    )
    annotations: int = figure(
        "annotations",
        "{annotation}",
        "Intents that annotations of the turns named, whenever they were told.",
        version=2,
    )
    confidence: Confidence
    fallback: Fallback
    items: list[Intent]


def _reports(statement: Query, window: Window) -> str:
    """What was reported of the success of turns' intents."""
    named = f"name = '{semconv.EVENT_INTENT}' AND isNotNull(success) AND length(trace_id) = 16"
    return statement.table(
        "events",
        ("tenant", "time", "trace_id", "span_id", "intent", "success"),
        [f"time >= {statement.moment(window.start)}", named],
        once=False,
    )


def _reported(reports: str) -> str:
    """The success that was reported of a turn's intent: the last report counts."""
    return f"""(
        SELECT tenant, toFixedString(trace_id, 16) AS trace_id,
            toFixedString(span_id, 8) AS span_id, intent,
            1 + max(intDiv(toUnixTimestamp64Nano(time), 1000) * 2
                + if(assumeNotNull(success), 1, 0)) % 2 AS report
        FROM {reports}
        GROUP BY tenant, trace_id, span_id, intent
    )"""  # noqa: S608


def _of_turns(statement: Query, window: Window, filters: Filters) -> Rows:
    """What the turns of each intent sum up to."""
    columns = ("toString(intent) AS name", *summed(statement, "turns", _SUMS))
    conditions = conditions_on_turns(statement, window, filters)
    source = f"({statement.select('turns', columns, conditions)} GROUP BY name)"
    rows = statement.run(f"SELECT name, {added(_SUMS)} FROM {source} GROUP BY name")  # noqa: S608
    return {row["name"]: row for row in rows}


def _by_report(statement: Query, window: Window, filters: Filters) -> Rows:
    """Of how many turns of each intent success, and of how many failure was reported."""
    reports = _reports(statement, window)
    if not statement.any(reports):
        return {}
    named = statement.table(
        "turns",
        ("tenant", "trace_id", "span_id", "intent"),
        [
            *conditions_on_turns(statement, window, filters),
            f"trace_id IN (SELECT toFixedString(trace_id, 16) FROM {reports})",  # noqa: S608
        ],
    )
    rows = statement.run(f"""
        SELECT intent AS name, countIf(report = 2) AS success, countIf(report = 1) AS failure
        FROM {named} AS t
        INNER JOIN {_reported(reports)} AS r USING (tenant, trace_id, span_id, intent)
        GROUP BY name
    """)  # noqa: S608
    return {row["name"]: row for row in rows}


def _of_events(statement: Query, window: Window, filters: Filters) -> dict[str, int]:
    """How often a classifier named each intent, or none."""
    conditions = [
        statement.within("time", window),
        f"name = '{semconv.EVENT_INTENT}' AND source != 'annotation'",
    ]
    if not filters.empty:
        conditions.append(members(statement, window, filters))
    source = statement.table("events", ("intent",), conditions)
    rows = statement.run(f"SELECT intent AS name, count() AS many FROM {source} AS e GROUP BY name")  # noqa: S608
    return {row["name"]: row["many"] for row in rows}


def _annotated(statement: Query, window: Window, filters: Filters) -> dict[str, int]:
    """How often annotations of the turns named each intent, whenever they were told."""
    columns = ("tenant", "trace_id", "span_id", "intent")
    annotations = [ANNOTATION, OF_A_TURN]
    if not statement.any(statement.table("events", columns, annotations, once=False)):
        return {}
    turn = "(tenant, trace_id, span_id)"
    ids = ("tenant", "toFixedString(trace_id, 16)", "toFixedString(span_id, 8)")
    named = statement.select("events", ids, annotations, once=False)
    taken = [*conditions_on_turns(statement, window, filters), f"{turn} IN ({named})"]
    turns = statement.select("turns", ("tenant", "trace_id", "span_id"), taken)
    source = statement.table("events", columns, annotations)
    # Not as text: that would end before the zeros with which an id may end.
    rows = statement.run(f"""
        SELECT intent AS name, count() AS many
        FROM {source} AS e
        WHERE ({", ".join(ids)}) IN ({turns})
        GROUP BY name
    """)  # noqa: S608
    return {row["name"]: row["many"] for row in rows}


def dropped_by_intent(statement: Query, window: Window, filters: Filters) -> dict[str, int]:
    """Abandoned and failed conversations by their last intent; empty where there was none."""
    source = conversation_rows(statement, Selection(window, filters), "outcome", "last_intent")
    rows = statement.run(f"""
        SELECT toString(last_intent) AS name, count() AS dropped
        FROM {source} AS c
        WHERE outcome IN ('abandoned', 'failed')
        GROUP BY name
    """)  # noqa: S608
    return {row["name"]: row["dropped"] for row in rows}


def _switched(statement: Query, window: Window, filters: Filters) -> dict[str, int]:
    """Turns by intent after which the conversation's next turn with an intent had another."""
    taken = " AND ".join(f"({one})" for one in conditions_on_turns(statement, window, filters))
    turns = statement.table(
        "turns",
        (
            KEY,
            f"(start, trace_id, span_id, toString(intent), ifNull({taken}, false)) AS turn",
        ),
        [
            f"start >= {statement.moment(window.start)}",
            "intent != ''",
            "conversation_id != ''",
        ],
    )
    rows = statement.run(f"""
        SELECT name, count() AS switched
        FROM (
            SELECT arraySort(groupArray(turn)) AS turns,
                arrayFilter(
                    (turn, next) -> turn.5 AND turn.4 != next.4,
                    arrayPopBack(turns), arrayPopFront(turns)
                ).4 AS left
            FROM {turns} AS t
            GROUP BY {KEY}
        )
        ARRAY JOIN left AS name
        GROUP BY name
    """)  # noqa: S608
    return {row["name"]: row["switched"] for row in rows}


def _added(rows: Rows, name: str) -> int:
    return sum(row[name] or 0 for row in rows.values())


def _intent(
    name: str,
    turns: Rows,
    events: dict[str, int],
    annotations: dict[str, int],
    dropped: dict[str, int],
    switched: dict[str, int],
    named: int,
) -> Intent:
    row = turns.get(name, {})
    count, no_failure = row.get("turns", 0), row.get("no_failure", 0)
    success, failure = row.get("success", 0), row.get("failure", 0)
    return Intent(
        name=name,
        turns=count,
        share=ratio(count, named),
        success=success,
        failure=failure,
        reported=success + failure,
        success_rate=ratio(success, success + failure),
        no_failure=no_failure,
        no_failure_rate=ratio(no_failure, count),
        mean_confidence=exact_mean(row.get("confidence_sum"), row.get("confidence_n")),
        low_confidence=row.get("low_confidence", 0),
        mean_response_time=exact_mean(row.get("response_sum"), row.get("response_n")),
        classifications=events.get(name, 0),
        annotations=annotations.get(name, 0),
        dropped=dropped.get(name, 0),
        switched=switched.get(name, 0),
        switched_rate=ratio(switched.get(name, 0), count),
    )


@query()
def intents(store: Store, scope: Scope, window: Window, filters: Filters) -> Intents:
    """The intents of the window, the most frequent first.

    Args:
        store: The store to ask.
        scope: What the caller may see.
        window: The turns, events and conversations to take, each by its own start.
        filters: What they are limited to.
    """
    submitted = [
        store.submit(function, Query(store, scope), window, filters)
        for function in (dropped_by_intent, _switched, _annotated)
    ]
    reported = store.submit(_by_report, Query(store, scope), window, filters)
    statement = Query(store, scope)
    turns = _of_turns(statement, window, filters)
    events = _of_events(statement, window, filters)
    dropped, switched, annotations = (one.result() for one in submitted)
    for name, row in reported.result().items():
        turns.get(name, {}).update(row)
    named = sum(row["turns"] for name, row in turns.items() if name)
    items = [
        _intent(name, turns, events, annotations, dropped, switched, named)
        for name in {*turns, *events, *annotations, *dropped, *switched}
        if name
    ]
    sums: dict[str, Any] = {
        name: _added(turns, name)
        for name in ("confidence_n", "confidence_sum", "low_confidence", "classified", "fallbacks")
    }
    sums["confidence_mean"] = exact_mean(sums["confidence_sum"], sums["confidence_n"])
    return Intents(
        window=TimeSpan.of(window),
        turns=_added(turns, "turns"),
        classifications=sum(events.values()),
        annotations=sum(annotations.values()),
        confidence=Confidence.read(sums, store.rules.low_confidence),
        fallback=Fallback.read(sums),
        items=sorted(
            items,
            key=lambda one: (-one.turns, -one.classifications, -one.annotations, one.name),
        ),
    )
