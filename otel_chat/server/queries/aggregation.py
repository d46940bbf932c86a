"""Conversations worked out from turns and events, once for every figure.

A conversation is what has at least one turn with its id in one tenant. It starts with its first
turn. Its activity is its turns and its events but for feedback, which may come long after and
reopens nothing. It is settled by an explicit end, or when it has been idle; both are asked at
query time, so that what arrives late changes the answer as if it had been in time.

The outcome is the first of these that holds for a settled conversation; before, it is open:

1. the explicit outcome of its last `conversation.end` that names one;
2. handed_off: a turn or an event says that a human was asked for;
3. failed: its last turn ended in an error;
4. resolved, confirmed: the user gave positive feedback;
5. abandoned: its last turn matched no intent, or the user gave negative feedback, or a workflow
   was started more often than it was completed or failed;
6. resolved, assumed.

Positive feedback is one of the top two boxes of a scale of four to eleven boxes; the top box of
a shorter scale; the top quarter of a finer one, or of a bare score from 0 to 1. Negative feedback
is the same at the other end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otel_chat import semconv
from otel_chat.server.queries.window import FEEDBACK_MARGIN, MARGIN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_chat.server.queries.filters import Filters
    from otel_chat.server.queries.sql import Query
    from otel_chat.server.queries.window import Window

USER_FEEDBACK: Final = "user_feedback"
KEY: Final = "tenant, conversation_id"
ORDER: Final = "(start, trace_id, span_id)"
REPLIED: Final = "(status NOT IN ('error', 'cancelled') OR time_to_first_chunk IS NOT NULL)"
MODEL: Final = "if(response_model != '', response_model, request_model)"

EXPLICIT: Final = ("resolved", "handed_off", "abandoned", "failed")
HANDOFF_EVENTS: Final = (
    semconv.EVENT_HANDOFF_REQUESTED,
    semconv.EVENT_HANDOFF_ACCEPTED,
    semconv.EVENT_HANDOFF_ENDED,
)
WORKFLOW_ENDS: Final = (semconv.EVENT_WORKFLOW_COMPLETED, semconv.EVENT_WORKFLOW_FAILED)
# What happens inside a turn only (intents, entities, topics, ...) moves no conversation's end:
# the turn does. Leaving it unread keeps the aggregation fast.
ACTIVITY_EVENTS: Final = (
    semconv.EVENT_CONVERSATION_START,
    semconv.EVENT_CONVERSATION_END,
    semconv.EVENT_MESSAGE,
    semconv.EVENT_ACTION,
    semconv.EVENT_WORKFLOW_STARTED,
    *WORKFLOW_ENDS,
    *HANDOFF_EVENTS,
    semconv.EVENT_LEAD,
    semconv.EVENT_CUSTOM,
)

_BOXES: Final = "(isNotNull(value) AND scale_max - scale_min >= 3 AND scale_max - scale_min <= 10)"
POSITIVE: Final = f"ifNull(if({_BOXES}, value >= scale_max - 1, score >= 0.75), false)"
NEGATIVE: Final = f"ifNull(if({_BOXES}, value <= scale_min + 1, score <= 0.25), false)"

TURN_COLUMNS: Final = {
    "turns": ("count()", ()),
    "replies": (f"countIf({REPLIED})", ("status", "time_to_first_chunk")),
    "agent": (f"argMin(agent, {ORDER})", ("agent",)),
    "channel": (f"argMin(channel, {ORDER})", ("channel",)),
    "user_type": (f"argMin(user_type, {ORDER})", ("user_type",)),
    "variant": (f"argMin(variant, {ORDER})", ("variant",)),
    "agent_version": (f"argMin(agent_version, {ORDER})", ("agent_version",)),
    "model": (f"argMin({MODEL}, {ORDER})", ("request_model", "response_model")),
    "platform": (f"argMin(platform, {ORDER})", ("platform",)),
    "location": (f"argMin(location, {ORDER})", ("location",)),
    "user_hash": (f"argMin(user_hash, {ORDER})", ("user_hash",)),
    "last_intent": (f"argMaxIf(intent, {ORDER}, intent != '')", ("intent",)),
    "intents": ("arraySort(groupUniqArrayIf(intent, intent != ''))", ("intent",)),
    "models": (
        f"arraySort(groupUniqArrayIf({MODEL}, {MODEL} != ''))",
        ("request_model", "response_model"),
    ),
    "input_tokens": ("sum(input_tokens)", ("input_tokens",)),
    "output_tokens": ("sum(output_tokens)", ("output_tokens",)),
    "cost": ("sum(cost)", ("cost",)),
    "duration_sum": (f"sum(toInt64(round(duration * {1_000_000_000})))", ("duration",)),
    "foreign": ("countIf(foreign) = count()", ("foreign",)),
    "errors": ("countIf(status = 'error')", ("status",)),
    "fallbacks": ("countIf(ifNull(fallback, false))", ("fallback",)),
}
"""What may be asked of a conversation's turns: its SQL, and the columns that it reads."""

EVENT_COLUMNS: Final = {
    "user_messages": f"countIf(name = '{semconv.EVENT_MESSAGE}' AND sender = 'user')",
    "assistant_messages": f"countIf(name = '{semconv.EVENT_MESSAGE}' AND sender = 'assistant')",
    "system_messages": f"countIf(name = '{semconv.EVENT_MESSAGE}' AND sender = 'system')",
    "human_messages": f"countIf(name = '{semconv.EVENT_MESSAGE}' AND sender = 'human')",
    "end_reason": (f"argMaxIf(reason, (time, uid), name = '{semconv.EVENT_CONVERSATION_END}')"),
}
"""What may be asked of a conversation's events beside what its outcome needs."""


def _names(query: Query, names: Sequence[str]) -> str:
    return f"name IN {query.bind(names, 'Array(String)')}"


def _one(query: Query, filters: Filters) -> list[str]:
    """A single conversation is looked up, not picked out of all."""
    if filters.conversation_id is None:
        return ["conversation_id != ''"]
    return [f"conversation_id = {query.bind(filters.conversation_id, 'String')}"]


def _turns(query: Query, window: Window, filters: Filters, wanted: Sequence[str]) -> str:
    read = {"start", "end", "trace_id", "span_id", "status", "fallback", "handoff"}
    for name in wanted:
        read.update(TURN_COLUMNS[name][1])
    columns = ["tenant", "conversation_id", *sorted(read)]
    having = [query.between("started_at", window.start, window.end)]
    if matching := filters.of_turn(query):
        columns.append(f"ifNull({' AND '.join(matching)}, false) AS matched")
        having.append("countIf(matched) > 0")
    extra = "".join(f", {TURN_COLUMNS[name][0]} AS {name}" for name in wanted)
    within = query.between("start", window.start - MARGIN, window.end + MARGIN)
    source = query.table("turns", columns, [within, *_one(query, filters)])
    return f"""(
        SELECT {KEY}, min(start) AS started_at, max(end) AS turns_end,
            argMax((status, ifNull(fallback, false)), {ORDER}) AS last_turn,
            countIf(handoff) AS handoff_turns{extra}
        FROM {source}
        GROUP BY {KEY}
        HAVING {" AND ".join(having)}
    )"""  # noqa: S608


def _events(query: Query, window: Window, filters: Filters, wanted: Sequence[str]) -> str:
    ends = f"name = '{semconv.EVENT_CONVERSATION_END}'"
    explicit = f"{ends} AND outcome IN {query.bind(EXPLICIT, 'Array(String)')}"
    feedback = f"name = '{semconv.EVENT_EVALUATION}'"
    started = f"name = '{semconv.EVENT_WORKFLOW_STARTED}'"
    ended = _names(query, WORKFLOW_ENDS)
    late = (
        f"if({feedback}, {query.moment(window.end + FEEDBACK_MARGIN)},"
        f" {query.moment(window.end + MARGIN)})"
    )
    source = query.table(
        "events",
        [
            "tenant",
            "conversation_id",
            "time",
            "uid",
            "name",
            "outcome",
            "reason",
            "sender",
            "workflow",
            "evaluation",
            "score",
            "value",
            "scale_min",
            "scale_max",
        ],
        [
            query.between("time", window.start - MARGIN, window.end + FEEDBACK_MARGIN),
            f"time < {late}",
            f"{_names(query, ACTIVITY_EVENTS)} OR ({feedback} AND evaluation = '{USER_FEEDBACK}')",
            *_one(query, filters),
        ],
    )
    extra = "".join(f", {EVENT_COLUMNS[name]} AS {name}" for name in wanted)
    return f"""(
        SELECT {KEY},
            maxIf(time, NOT ({feedback})) AS events_end,
            countIf({ends}) AS ends,
            argMaxIf(outcome, (time, uid), {explicit}) AS explicit_outcome,
            countIf({_names(query, HANDOFF_EVENTS)}) AS handoff_events,
            countIf({feedback} AND {POSITIVE}) AS positive,
            countIf({feedback} AND {NEGATIVE}) AS negative,
            countIf(name = '{semconv.EVENT_ACTION}') AS actions,
            groupArrayIf(workflow, {started}) AS workflows_started,
            groupArrayIf(workflow, {ended}) AS workflows_ended{extra}
        FROM {source}
        GROUP BY {KEY}
    )"""  # noqa: S608


def conversation_rows(
    query: Query,
    window: Window,
    filters: Filters,
    turn_columns: Sequence[str] = (),
    event_columns: Sequence[str] = (),
) -> str:
    """A subquery with one row for each conversation that started in the window.

    Args:
        query: The SELECT that it becomes a part of.
        window: The conversations to take, and when they are asked about.
        filters: What they are limited to.
        turn_columns: More of `TURN_COLUMNS`.
        event_columns: More of `EVENT_COLUMNS`.

    Returns:
        SQL whose rows have tenant, conversation_id, started_at, last_at, settled, handed_off,
        outcome, confirmed, ended, positive, negative, actions, engagement and what was asked for.
        `engagement` is the score times three, a whole number.
    """
    turn_names = list(dict.fromkeys(["turns", *turn_columns]))
    names = [*turn_names, *event_columns, "actions", "positive", "negative"]
    idle = query.moment(window.now - window.idle)
    where = filters.of_conversation(query)
    return f"""(
        SELECT {KEY}, started_at, {", ".join(names)},
            greatest(turns_end, events_end) AS last_at,
            ends > 0 AS ended,
            ended OR last_at <= {idle} AS settled,
            handoff_turns + handoff_events > 0 AS handed_off,
            arrayExists(
                w -> countEqual(workflows_started, w) > countEqual(workflows_ended, w),
                workflows_started
            ) AS unfinished,
            multiIf(
                NOT settled, 'open',
                explicit_outcome != '', explicit_outcome,
                handed_off, 'handed_off',
                last_turn.1 = 'error', 'failed',
                positive > 0, 'resolved',
                last_turn.2 OR negative > 0 OR unfinished, 'abandoned',
                'resolved'
            ) AS outcome,
            outcome = 'resolved' AND (explicit_outcome != '' OR positive > 0) AS confirmed,
            12 * least(turns, 10) + 20 * least(actions, 3) + multiIf(
                outcome = 'resolved', 120, outcome IN ('open', 'handed_off'), 60, 0
            ) AS engagement
        FROM {_turns(query, window, filters, turn_names)} AS t
        LEFT JOIN {_events(query, window, filters, event_columns)} AS e USING ({KEY})
        {"WHERE " + " AND ".join(where) if where else ""}
    )"""  # noqa: S608
