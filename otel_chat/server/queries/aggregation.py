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

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from otel_chat import semconv
from otel_chat.server.queries.intent_numbers import NUMBERS, moment_and_intent
from otel_chat.server.queries.sql import mean, total
from otel_chat.server.queries.window import FEEDBACK_MARGIN, MARGIN

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from otel_chat.server.queries.filters import Filters
    from otel_chat.server.queries.sql import Query
    from otel_chat.server.queries.window import Window

USER_FEEDBACK: Final = "user_feedback"
KEY: Final = "tenant, conversation_id"
ORDER: Final = "(start, trace_id, span_id)"
REPLIED: Final = "(status NOT IN ('error', 'cancelled') OR time_to_first_chunk IS NOT NULL)"
MODEL: Final = "if(response_model != '', response_model, request_model)"

EXPLICIT: Final = ("resolved", "handed_off", "abandoned", "failed")
_NUMBERED: Final = f"[{', '.join(repr(outcome) for outcome in EXPLICIT)}]"
# "The last one" by a whole number that grows with the time and ends in what is asked for. It is
# five times as fast as argMax by time and ids, and a tie has one answer too: the worse turn.
LAST_TURN: Final = (
    "intDiv(toUnixTimestamp64Nano(start), 1000) * 4"
    " + if(status = 'error', 2, 0) + if(ifNull(fallback, false), 1, 0)"
)
LAST_OUTCOME: Final = (
    f"intDiv(toUnixTimestamp64Nano(time), 1000) * 8 + indexOf({_NUMBERED}, outcome)"
)
TURN_INTENT: Final = moment_and_intent("start")
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
    "page": (f"argMin(page, {ORDER})", ("page",)),
    "referrer": (f"argMin(referrer, {ORDER})", ("referrer",)),
    "user_agent": (f"argMin(user_agent, {ORDER})", ("user_agent",)),
    "user_hash": (f"argMin(user_hash, {ORDER})", ("user_hash",)),
    "last_intent": (f"argMaxIf(intent, {ORDER}, intent != '')", ("intent",)),
    "intents": ("arraySort(groupUniqArrayIf(intent, intent != ''))", ("intent",)),
    # By the numbers of `number_intents`, which must be asked before.
    "path": (f"arraySort(groupArrayIf({TURN_INTENT}, intent != ''))", ("intent",)),
    "last_number": (f"maxIf({TURN_INTENT}, intent != '') % {NUMBERS}", ("intent",)),
    "user": ("max(user_hash)", ("user_hash",)),
    "models": (
        f"arraySort(groupUniqArrayIf({MODEL}, {MODEL} != ''))",
        ("request_model", "response_model"),
    ),
    "input_tokens": ("sum(input_tokens)", ("input_tokens",)),
    "output_tokens": ("sum(output_tokens)", ("output_tokens",)),
    "cost": ("sum(cost)", ("cost",)),
    "duration_sum": (total("duration"), ("duration",)),
    "foreign": ("countIf(foreign) = count()", ("foreign",)),
    "errors": ("countIf(status = 'error')", ("status",)),
    "fallbacks": ("countIf(ifNull(fallback, false))", ("fallback",)),
    "classified": ("countIf(fallback IS NOT NULL OR intent != '')", ("fallback", "intent")),
}
"""What may be asked of a conversation's turns: its SQL, and the columns that it reads."""

EVENT_COLUMNS: Final = {
    "user_messages": f"countIf(name = '{semconv.EVENT_MESSAGE}' AND sender = 'user')",
    "assistant_messages": f"countIf(name = '{semconv.EVENT_MESSAGE}' AND sender = 'assistant')",
    "system_messages": f"countIf(name = '{semconv.EVENT_MESSAGE}' AND sender = 'system')",
    "human_messages": f"countIf(name = '{semconv.EVENT_MESSAGE}' AND sender = 'human')",
    "end_reason": (f"argMaxIf(reason, (time, uid), name = '{semconv.EVENT_CONVERSATION_END}')"),
    "feedbacks": f"countIf(name = '{semconv.EVENT_EVALUATION}' AND isNotNull(score))",
    "satisfaction": mean("score", f"name = '{semconv.EVENT_EVALUATION}'"),
    "rating": mean("value", f"name = '{semconv.EVENT_EVALUATION}'"),
}
"""What may be asked of a conversation's events beside what its outcome needs."""


EVENTS_READ: Final = (
    "tenant", "conversation_id", "time", "uid", "name", "outcome", "reason", "sender",
    "workflow", "evaluation", "score", "value", "scale_min", "scale_max",
)  # fmt: skip


def _names(query: Query, names: Sequence[str]) -> str:
    return f"name IN {query.bind(names, 'Array(String)')}"


def among(query: Query, keys: Sequence[tuple[str, str]]) -> list[str]:
    """The conditions that rows belong to conversations known by tenant and id."""
    tenants = query.bind([tenant for tenant, _ in keys], "Array(String)")
    ids = query.bind([key for _, key in keys], "Array(String)")
    # The ids by themselves as well, for the index.
    return [f"({KEY}) IN arrayZip({tenants}, {ids})", f"conversation_id IN {ids}"]


@dataclass(frozen=True, slots=True)
class Selection:
    """The conversations to aggregate.

    Args:
        window: They started in it; it also says when they are asked about.
        filters: What they are limited to.
        until: Turns and events up to a margin after this belong to them; the window's end
            without.
        keys: These (tenant, conversation id) only.
    """

    window: Window
    filters: Filters
    until: datetime | None = None
    keys: tuple[tuple[str, str], ...] | None = None

    @property
    def end(self) -> datetime:
        """Up to where what belongs to the conversations is read, but for the margin."""
        return self.until or self.window.end

    def rows(self, query: Query) -> list[str]:
        """The conditions that hold for single rows: a conversation known is looked up."""
        if self.keys is not None:
            return among(query, self.keys)
        if self.filters.conversation_id is not None:
            return [f"conversation_id = {query.bind(self.filters.conversation_id, 'String')}"]
        return ["conversation_id != ''"]


def turns_by_conversation(query: Query, selection: Selection, wanted: Sequence[str] = ()) -> str:
    """A subquery with one row for each conversation, from its turns alone.

    Args:
        query: The SELECT that it becomes a part of.
        selection: The conversations to take.
        wanted: What to ask of them, out of `TURN_COLUMNS`.
    """
    window = selection.window
    read = {"start", "end", "status", "fallback", "handoff"}
    for name in wanted:
        sql, columns = TURN_COLUMNS[name]
        read.update(columns, ("trace_id", "span_id") if ORDER in sql else ())
    selected = ["tenant", "conversation_id", *sorted(read)]
    having = [query.between("started_at", window.start, window.end)]
    if matching := selection.filters.of_turn(query):
        selected.append(f"ifNull({' AND '.join(matching)}, false) AS matched")
        having.append("countIf(matched) > 0")
    extra = "".join(f", {TURN_COLUMNS[name][0]} AS {name}" for name in wanted)
    within = query.between("start", window.start - MARGIN, selection.end + MARGIN)
    source = query.table("turns", selected, [within, *selection.rows(query)])
    return f"""(
        SELECT {KEY}, min(start) AS started_at, max(end) AS turns_end,
            max({LAST_TURN}) % 4 AS last_turn,
            countIf(handoff) AS handoff_turns{extra}
        FROM {source}
        GROUP BY {KEY}
        HAVING {" AND ".join(having)}
    )"""  # noqa: S608


def _events(query: Query, selection: Selection, wanted: Sequence[str]) -> str:
    ends = f"name = '{semconv.EVENT_CONVERSATION_END}'"
    explicit = f"{ends} AND outcome IN {query.bind(EXPLICIT, 'Array(String)')}"
    feedback = f"name = '{semconv.EVENT_EVALUATION}'"
    started = f"name = '{semconv.EVENT_WORKFLOW_STARTED}'"
    ended = _names(query, WORKFLOW_ENDS)
    first = selection.window.start - MARGIN
    in_time = f"time < {query.moment(selection.end + MARGIN)}"
    activity = f"{_names(query, ACTIVITY_EVENTS)} AND {in_time}"
    source = query.table(
        "events",
        EVENTS_READ,
        [
            query.between("time", first, selection.end + FEEDBACK_MARGIN),
            f"({feedback} AND evaluation = '{USER_FEEDBACK}') OR ({activity})",
            *selection.rows(query),
        ],
    )
    extra = "".join(f", {EVENT_COLUMNS[name]} AS {name}" for name in wanted)
    return f"""(
        SELECT {KEY},
            maxIf(time, NOT ({feedback})) AS events_end,
            countIf({ends}) AS ends,
            maxIf({LAST_OUTCOME}, {explicit}) % 8 AS explicit_number,
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
    selection: Selection,
    turn_columns: Sequence[str] = (),
    event_columns: Sequence[str] = (),
) -> str:
    """A subquery with one row for each conversation.

    Args:
        query: The SELECT that it becomes a part of.
        selection: The conversations to take.
        turn_columns: More of `TURN_COLUMNS`.
        event_columns: More of `EVENT_COLUMNS`.

    Returns:
        SQL whose rows have tenant, conversation_id, started_at, last_at, settled, handed_off,
        outcome, confirmed, ended, unfinished, last_turn (0: well, 1: fallback, 2 and 3: error),
        turns, positive, negative, actions, engagement and what was asked for. `engagement` is the
        score times three, a whole number.
    """
    turn_names = list(dict.fromkeys(["turns", *turn_columns]))
    names = [*turn_names, *event_columns, "actions", "positive", "negative"]
    idle = query.moment(selection.window.now - selection.window.idle)
    where = selection.filters.of_conversation(query)
    return f"""(
        SELECT {KEY}, started_at, {", ".join(names)},
            greatest(turns_end, events_end) AS last_at,
            ends > 0 AS ended, last_turn,
            ended OR last_at <= {idle} AS settled,
            handoff_turns + handoff_events > 0 AS handed_off,
            arrayExists(
                w -> countEqual(workflows_started, w) > countEqual(workflows_ended, w),
                workflows_started
            ) AS unfinished,
            multiIf(
                NOT settled, 'open',
                explicit_number > 0, {_NUMBERED}[explicit_number],
                handed_off, 'handed_off',
                last_turn >= 2, 'failed',
                positive > 0, 'resolved',
                last_turn = 1 OR negative > 0 OR unfinished, 'abandoned',
                'resolved'
            ) AS outcome,
            outcome = 'resolved' AND (explicit_number > 0 OR positive > 0) AS confirmed,
            12 * least(turns, 10) + 20 * least(actions, 3) + multiIf(
                outcome = 'resolved', 120, outcome IN ('open', 'handed_off'), 60, 0
            ) AS engagement
        FROM {turns_by_conversation(query, selection, turn_names)} AS t
        LEFT JOIN {_events(query, selection, event_columns)} AS e USING ({KEY})
        {"WHERE " + " AND ".join(where) if where else ""}
    )"""  # noqa: S608
