"""What is kept of a conversation's turns and events of one day, and how days come together.

A conversation is worked out in two steps: of each day's rows a partial row, then of its partial
rows the conversation. The partial rows of days on which nothing arrives any more are kept in
`conversation_days`, turns and events of a day in one row; those of other days are worked out when
they are asked for, by the same SQL. So a kept day changes how fast an answer comes, never what it
says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from otel_chat import semconv
from otel_chat.server.queries.ending import EXPLICIT, ending_of
from otel_chat.server.queries.intent_numbers import (
    NUMBERS,
    TURN_INTENT,
    TURN_MICROS,
    intent_number,
    micros,
)
from otel_chat.server.queries.sql import total
from otel_chat.server.queries.standing import standing_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from otel_chat.server.queries.days import Source

KEY: Final = "tenant, conversation_id"
USER_FEEDBACK: Final = "user_feedback"
ORDER: Final = "(start, trace_id, span_id)"
REPLIED: Final = "(status NOT IN ('error', 'cancelled') OR time_to_first_chunk IS NOT NULL)"
MODEL: Final = "if(response_model != '', response_model, request_model)"
# Grouping by it is three times as fast as by the tenant and the id themselves.
HASH: Final = (
    "if(conversation_id = '', toUInt128(0),"
    " reinterpretAsUInt128(sipHash128(toString(tenant), conversation_id)))"
)
DIMENSIONS: Final = ("environment", "agent", "agent_version", "variant", "channel", "user_type")
"""Columns of turns by which kept days are told apart: what they are limited to costs no time."""

_NUMBERED: Final = f"[{', '.join(repr(outcome) for outcome in EXPLICIT)}]"
# "The last one" by a whole number that grows with the time and ends in what is asked for. It is
# five times as fast as argMax by time and ids, and a tie has one answer too: the worse turn.
_LAST_TURN: Final = (
    "intDiv(toUnixTimestamp64Nano(start), 1000) * 4"
    " + if(status = 'error', 2, 0) + if(ifNull(fallback, false), 1, 0)"
)
_NAMED_AT: Final = f"({TURN_MICROS}, toString(intent))"
_LAST_OUTCOME: Final = (
    f"intDiv(toUnixTimestamp64Nano(time), 1000) * 8 + indexOf({_NUMBERED}, outcome)"
)
WORKFLOW_ENDS: Final = (semconv.EVENT_WORKFLOW_COMPLETED, semconv.EVENT_WORKFLOW_FAILED)
WORKFLOW_EVENTS: Final = (
    semconv.EVENT_WORKFLOW_STARTED,
    semconv.EVENT_WORKFLOW_FAILED,
    semconv.EVENT_WORKFLOW_COMPLETED,
)
HANDOFF_EVENTS: Final = (
    semconv.EVENT_HANDOFF_REQUESTED,
    semconv.EVENT_HANDOFF_ACCEPTED,
    semconv.EVENT_HANDOFF_ENDED,
)
# What happens inside a turn only (intents, entities, topics, ...) moves no conversation's end:
# the turn does. Leaving it unread keeps the aggregation fast.
_ACTIVITY: Final = (
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


def _named(names: Sequence[str]) -> str:
    return f"name IN ({', '.join(repr(name) for name in names)})"


_BOXES: Final = "(isNotNull(value) AND scale_max - scale_min >= 3 AND scale_max - scale_min <= 10)"
POSITIVE: Final = f"ifNull(if({_BOXES}, value >= scale_max - 1, score >= 0.75), false)"
NEGATIVE: Final = f"ifNull(if({_BOXES}, value <= scale_min + 1, score <= 0.25), false)"
IS_FEEDBACK: Final = f"name = '{semconv.EVENT_EVALUATION}' AND evaluation = '{USER_FEEDBACK}'"
IS_ACTIVITY: Final = _named(_ACTIVITY)
IS_TOPIC: Final = f"name = '{semconv.EVENT_TOPIC}' AND topic != ''"
_KINDS: Final = f"[{', '.join(repr(name) for name in WORKFLOW_EVENTS)}]"
_RATED: Final = f"name = '{semconv.EVENT_EVALUATION}'"
_SCORED: Final = f"{_RATED} AND isNotNull(score)"
_ENDS: Final = f"name = '{semconv.EVENT_CONVERSATION_END}'"

TOKENS: Final = ("input_tokens", "output_tokens", "cache_read_tokens", "reasoning_tokens")
TOKENS_KNOWN: Final = "(" + " OR ".join(f"{name} IS NOT NULL" for name in TOKENS) + ")"
CLASSIFIED: Final = "(fallback IS NOT NULL OR intent != '')"
UNPRICED: Final = f"(cost IS NULL AND (cost_source = 'unpriced' OR {TOKENS_KNOWN}))"
LOW: Final = f"confidence < {semconv.LOW_CONFIDENCE_THRESHOLD}"

_MOMENT: Final = "DateTime64(9, 'UTC')"
_TURN_KEY: Final = f"Tuple({_MOMENT}, FixedString(16), FixedString(8))"
_WORD: Final = "LowCardinality(String)"
_WORDS: Final = "Array(LowCardinality(String))"
_WORDS_AT: Final = "Array(Tuple(UInt64, LowCardinality(String)))"
_COUNT: Final = "UInt64"
_STANDING: Final = "Tuple(Tuple(String, String), Array(Tuple(String, String)))"


@dataclass(frozen=True, slots=True)
class Partial:
    """A column of a partial row.

    Args:
        kind: Its type in the store.
        sql: What it is of the day's rows.
        columns: The columns of the rows that `sql` reads.
        kept: What it is of the columns of a kept day; the column of its name without.
    """

    kind: str
    sql: str
    columns: tuple[str, ...] = ()
    kept: str = ""


def _first(column: str, kind: str = _WORD) -> Partial:
    return Partial(kind, f"argMin({column}, {ORDER})", (column,))


TURN_PARTIALS: Final[Mapping[str, Partial]] = {
    "first": Partial(_TURN_KEY, f"min({ORDER})"),
    "started_at": Partial(_MOMENT, "min(start)"),
    "turns_end": Partial(_MOMENT, "max(end)", ("end",)),
    "last_turn": Partial("Int64", f"max({_LAST_TURN})", ("status", "fallback")),
    "handoff_turns": Partial(_COUNT, "countIf(handoff)", ("handoff",)),
    "handoff_reasons": Partial(
        _WORDS, "groupUniqArrayIf(handoff_reason, handoff)", ("handoff", "handoff_reason")
    ),
    "turns": Partial(_COUNT, "count()"),
    "turn_times": Partial("Array(UInt64)", f"arraySort(groupArray({TURN_MICROS}))"),
    "replies": Partial(_COUNT, f"countIf({REPLIED})", ("status", "time_to_first_chunk")),
    "errors": Partial(_COUNT, "countIf(status = 'error')", ("status",)),
    "fallbacks": Partial(_COUNT, "countIf(ifNull(fallback, false))", ("fallback",)),
    "classified": Partial(_COUNT, f"countIf({CLASSIFIED})", ("fallback", "intent")),
    "own": Partial(_COUNT, "countIf(NOT foreign)", ("foreign",)),
    **{name: _first(name) for name in (*DIMENSIONS, "platform", "location")},
    "model": Partial(_WORD, f"argMin({MODEL}, {ORDER})", ("request_model", "response_model")),
    **{name: _first(name, "String") for name in ("page", "referrer", "user_agent", "user_hash")},
    "user": Partial("String", "max(user_hash)", ("user_hash",)),
    "last_intent": Partial(_WORD, f"argMaxIf(intent, {ORDER}, intent != '')", ("intent",)),
    "last_intent_at": Partial(_TURN_KEY, f"maxIf({ORDER}, intent != '')", ("intent",)),
    "last_named": Partial(
        "Tuple(UInt64, String)", f"maxIf({_NAMED_AT}, intent != '')", ("intent",)
    ),
    "intents": Partial(_WORDS, "arraySort(groupUniqArrayIf(intent, intent != ''))", ("intent",)),
    "models": Partial(
        _WORDS,
        f"arraySort(groupUniqArrayIf({MODEL}, {MODEL} != ''))",
        ("request_model", "response_model"),
    ),
    **{name: Partial("Nullable(UInt64)", f"sum({name})", (name,)) for name in TOKENS},
    "token_turns": Partial(_COUNT, f"countIf({TOKENS_KNOWN})", TOKENS),
    "priced_turns": Partial(_COUNT, "count(cost)", ("cost",)),
    "unpriced_turns": Partial(_COUNT, f"countIf({UNPRICED})", ("cost", "cost_source", *TOKENS)),
    "confidences": Partial(_COUNT, "count(confidence)", ("confidence",)),
    "confidence_sum": Partial("Nullable(Int64)", total("confidence"), ("confidence",)),
    "low_confidence": Partial(_COUNT, f"countIf({LOW})", ("confidence",)),
    "first_chunks": Partial(_COUNT, "count(time_to_first_chunk)", ("time_to_first_chunk",)),
    "first_chunk_sum": Partial(
        "Nullable(Int64)", total("time_to_first_chunk"), ("time_to_first_chunk",)
    ),
    "cost": Partial("Nullable(Decimal(38, 9))", "sum(cost)", ("cost",)),
    "duration_sum": Partial("Nullable(Int64)", total("duration"), ("duration",)),
    # By the numbers of `number_intents`, which must be asked before.
    "path_at": Partial(
        "Array(UInt64)",
        f"groupArrayIf({TURN_INTENT}, intent != '')",
        ("intent",),
        f"arrayMap((micros, name) -> micros * {NUMBERS} + {intent_number('name')},"
        " path_times, path_intents)",
    ),
    # Of a day alone, as they are kept; those of several days have them from what is beside.
    "path": Partial(
        "Array(UInt16)",
        "defaultValueOfTypeName('Array(UInt16)')",
        (),
        f"arrayMap(name -> {intent_number('name')}, path_intents)",
    ),
    "intents_at": Partial(
        _WORDS_AT,
        f"groupArrayIf(({TURN_MICROS}, intent), intent != '')",
        ("intent",),
        "arrayZip(path_times, path_intents)",
    ),
}
"""The partial rows of turns: one for each conversation, and in kept days for each combination of
`DIMENSIONS`."""

EVENT_PARTIALS: Final[Mapping[str, Partial]] = {
    "events_end": Partial(_MOMENT, f"maxIf(time, {IS_ACTIVITY})", ("name", "time")),
    "ends": Partial(_COUNT, f"countIf({_ENDS})", ("name",)),
    "explicit_end": Partial(
        "Int64",
        f"maxIf({_LAST_OUTCOME}, {_ENDS} AND outcome IN {EXPLICIT})",
        ("name", "time", "outcome"),
    ),
    "handoff_events": Partial(_COUNT, f"countIf({_named(HANDOFF_EVENTS)})", ("name",)),
    "positive": Partial(
        _COUNT,
        f"countIf({_RATED} AND {POSITIVE})",
        ("name", "score", "value", "scale_min", "scale_max"),
    ),
    "negative": Partial(
        _COUNT,
        f"countIf({_RATED} AND {NEGATIVE})",
        ("name", "score", "value", "scale_min", "scale_max"),
    ),
    "actions": Partial(_COUNT, f"countIf(name = '{semconv.EVENT_ACTION}')", ("name",)),
    "action_names": Partial(
        _WORDS,
        f"arraySort(groupUniqArrayIf(action, name = '{semconv.EVENT_ACTION}' AND action != ''))",
        ("name", "action"),
    ),
    "actions_at": Partial(
        _WORDS_AT,
        f"arraySort(groupArrayIf(({micros('time')}, action), name = '{semconv.EVENT_ACTION}'))",
        ("name", "time", "action"),
    ),
    "topics": Partial(_WORDS, f"groupArrayIf(topic, {IS_TOPIC})", ("name", "topic")),
    "leads": Partial(
        _WORDS, f"groupArrayIf(lead_kind, name = '{semconv.EVENT_LEAD}')", ("name", "lead_kind")
    ),
    "asked_for": Partial(
        _WORDS, f"groupUniqArrayIf(reason, name = '{HANDOFF_EVENTS[0]}')", ("name", "reason")
    ),
    "moves": Partial(
        "Array(Tuple(Int64, UInt64, String, String))",
        f"groupArrayIf((toUnixTimestamp64Nano(time), indexOf({_KINDS}, toString(name)),"
        f" toString(workflow), toString(step)), {_named(WORKFLOW_EVENTS)} AND workflow != '')",
        ("name", "time", "workflow", "step"),
    ),
    # Of a day alone, as they are kept; those of several days have them from what is beside.
    "standing": Partial(_STANDING, f"defaultValueOfTypeName('{_STANDING}')", (), "standing"),
    "ending": Partial("UInt8", "toUInt8(0)", (), "ending"),
    "workflows_started": Partial(
        _WORDS,
        f"groupArrayIf(workflow, name = '{semconv.EVENT_WORKFLOW_STARTED}')",
        ("name", "workflow"),
    ),
    "workflows_ended": Partial(
        _WORDS, f"groupArrayIf(workflow, {_named(WORKFLOW_ENDS)})", ("name", "workflow")
    ),
    **{
        f"{sender}_messages": Partial(
            _COUNT,
            f"countIf(name = '{semconv.EVENT_MESSAGE}' AND sender = '{sender}')",
            ("name", "sender"),
        )
        for sender in semconv.SENDERS
    },
    "end_reason": Partial(
        _WORD, f"argMaxIf(reason, (time, uid), {_ENDS})", ("name", "time", "uid", "reason")
    ),
    "end_reason_at": Partial(
        f"Tuple({_MOMENT}, String)", f"maxIf((time, uid), {_ENDS})", ("name", "time", "uid")
    ),
    "scores": Partial(_COUNT, f"countIf({_RATED} AND isNotNull(score))", ("name", "score")),
    "score_sum": Partial("Nullable(Int64)", total("score", _RATED), ("name", "score")),
    "top_scores": Partial(
        _COUNT,
        f"countIf({_SCORED} AND {POSITIVE})",
        ("name", "score", "value", "scale_min", "scale_max"),
    ),
    "scored_values": Partial(
        _COUNT, f"countIf({_SCORED} AND isNotNull(value))", ("name", "score", "value")
    ),
    "scored_value_sum": Partial(
        "Nullable(Int64)", total("value", _SCORED), ("name", "score", "value")
    ),
    "scales": Partial(
        "Array(Tuple(Nullable(Float64), Nullable(Float64)))",
        f"groupUniqArrayIf((scale_min, scale_max), {_SCORED})",
        ("name", "score", "scale_min", "scale_max"),
    ),
    "ratings": Partial(_COUNT, f"countIf({_RATED} AND isNotNull(value))", ("name", "value")),
    "rating_sum": Partial("Nullable(Int64)", total("value", _RATED), ("name", "value")),
}
"""The partial rows of events: one for each conversation."""

FEEDBACK: Final = frozenset(
    ("positive", "negative", "scores", "score_sum", "top_scores", "scored_values",
     "scored_value_sum", "scales", "ratings", "rating_sum")
)  # fmt: skip
"""Those of `EVENT_PARTIALS` that come from feedback alone."""

_IN_ORDER: Final = f"arraySort(groupArrayIf({_NAMED_AT}, intent != ''))"
_OF_PATHS: Final = {
    "path_times": Partial("Array(UInt64)", f"arrayMap(x -> x.1, {_IN_ORDER})"),
    "path_intents": Partial(_WORDS, f"arrayMap(x -> x.2, {_IN_ORDER})"),
}
KEPT: Final[Mapping[Source, Mapping[str, Partial]]] = {
    "turns": {
        **{
            name: partial
            for name, partial in TURN_PARTIALS.items()
            if not partial.kept and name not in DIMENSIONS
        },
        **_OF_PATHS,
    },
    "events": {
        **{name: partial for name, partial in EVENT_PARTIALS.items() if not partial.kept},
        "standing": Partial(_STANDING, standing_of("p_moves")),
    },
}
"""The columns of `conversation_days` beside its key and the hash, by what they come from."""

KEPT_OF_BOTH: Final[Mapping[str, Partial]] = {
    "ending": Partial("UInt8", ending_of("p_explicit_end % 8", "p_last_turn % 4", "p_"))
}
"""The columns of `conversation_days` that come from its others."""
