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

from otel_chat.server.queries.ending import EXPLICIT, ending_of, unfinished
from otel_chat.server.queries.intent_numbers import NUMBERS
from otel_chat.server.queries.partial_rows import partial_rows
from otel_chat.server.queries.partials import KEY
from otel_chat.server.queries.sql import SCALE
from otel_chat.server.queries.standing import standing_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from otel_chat.server.queries.filters import Filters
    from otel_chat.server.queries.partial_rows import PartialRows
    from otel_chat.server.queries.sql import Query
    from otel_chat.server.queries.window import Window

# By numbers, named: text of every conversation would take most of the time.
OUTCOME: Final = "'Enum8({})'".format(
    ", ".join(f"\\'{outcome}\\' = {number}" for number, outcome in enumerate(("open", *EXPLICIT)))
)


@dataclass(frozen=True, slots=True)
class Column:
    """What may be asked of a conversation.

    Args:
        grouped: Its SQL over the partial rows of a conversation.
        alone: Its SQL where there is one partial row only.
        reads: The partials that it needs.
    """

    grouped: str
    alone: str
    reads: tuple[str, ...] = ()


def _sum(name: str) -> Column:
    return Column(f"sum(p_{name})", f"p_{name}", (name,))


def _max(name: str, of: str = "{}") -> Column:
    return Column(of.format(f"max(p_{name})"), of.format(f"p_{name}"), (name,))


def _first(name: str) -> Column:
    return Column(f"argMinIf(p_{name}, p_first, of_turns)", f"p_{name}", (name, "first"))


def _words(name: str) -> Column:
    return Column(f"arraySort(groupUniqArrayArray(p_{name}))", f"p_{name}", (name,))


def _all(name: str) -> Column:
    return Column(f"groupArrayArray(p_{name})", f"p_{name}", (name,))


def _mean(total: str, count: str) -> Column:
    return Column(
        f"sum(p_{total}) / nullIf(sum(p_{count}), 0) / {SCALE}",
        f"p_{total} / nullIf(p_{count}, 0) / {SCALE}",
        (total, count),
    )


TURN_COLUMNS: Final[Mapping[str, Column]] = {
    **{
        name: _sum(name)
        for name in (
            "turns", "replies", "errors", "fallbacks", "classified", "input_tokens",
            "output_tokens", "cost", "duration_sum",
        )
    },
    **{
        name: _first(name)
        for name in (
            "environment", "agent", "agent_version", "variant", "channel", "user_type", "model",
            "platform", "location", "page", "referrer", "user_agent", "user_hash",
        )
    },
    "last_intent": Column(
        "argMaxIf(p_last_intent, p_last_intent_at, p_last_intent != '')",
        "p_last_intent",
        ("last_intent", "last_intent_at"),
    ),
    "intents": _words("intents"),
    "intents_at": _all("intents_at"),
    "turn_times": _all("turn_times"),
    "models": _words("models"),
    "user": _max("user"),
    "foreign": Column("sum(p_own) = 0", "p_own = 0", ("own",)),
    # By the numbers of `number_intents`, which must be asked before.
    "path_at": Column("arraySort(groupArrayArray(p_path_at))", "p_path_at", ("path_at",)),
    "path": Column(
        f"arrayMap(x -> toUInt16(x % {NUMBERS}), arraySort(groupArrayArray(p_path_at)))",
        "p_path",
        ("path_at", "path"),
    ),
    # Of several in the same microsecond the last by name.
    "last_named": _max("last_named", "tupleElement({}, 2)"),
}  # fmt: skip
"""What may be asked of a conversation's turns: its SQL over partial rows, and what it reads."""

EVENT_COLUMNS: Final[Mapping[str, Column]] = {
    **{
        name: _sum(name)
        for name in (
            "user_messages", "assistant_messages", "system_messages", "human_messages",
        )
    },
    "end_reason": Column(
        "argMaxIf(p_end_reason, p_end_reason_at, p_ends > 0)",
        "p_end_reason",
        ("end_reason", "end_reason_at"),
    ),
    "feedbacks": _sum("scores"),
    "topics": _all("topics"),
    "leads": _all("leads"),
    "action_names": _words("action_names"),
    "actions_at": _all("actions_at"),
    "moves": _all("moves"),
    "standing": Column(
        standing_of("groupArrayArray(p_moves)"), "p_standing", ("moves", "standing")
    ),
    "satisfaction": _mean("score_sum", "scores"),
    "rating": _mean("rating_sum", "ratings"),
}  # fmt: skip
"""What may be asked of a conversation's events beside what its outcome needs."""

_OF_TURNS: Final[Mapping[str, Column]] = {
    "started_at": Column("minIf(p_started_at, of_turns)", "p_started_at", ("started_at",)),
    "turns_end": _max("turns_end"),
    "last_turn": _max("last_turn", "{} % 4"),
    "handoff_turns": _sum("handoff_turns"),
}
_OF_EVENTS: Final[Mapping[str, Column]] = {
    "events_end": _max("events_end"),
    "ends": _sum("ends"),
    "explicit_number": _max("explicit_end", "{} % 8"),
    "handoff_events": _sum("handoff_events"),
    "positive": _sum("positive"),
    "negative": _sum("negative"),
    "actions": _sum("actions"),
    "workflows_started": _all("workflows_started"),
    "workflows_ended": _all("workflows_ended"),
    "ending": Column(ending_of("explicit_number", "last_turn"), "p_ending", ("ending",)),
}
_OF_ROWS: Final[Mapping[str, Column]] = {
    "tenant": Column("any(s.tenant)", "tenant"),
    "conversation_id": Column("any(s.conversation_id)", "conversation_id"),
    "has_turns": Column("max(of_turns)", "of_turns"),
    "matches": Column("max(matched)", "matched"),
}


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
        begun: Only those that started in this part of the window. What is told of each is the
            same: a later turn of a conversation is no start of another.
        within: The span of time in which all of them is known to lie, so that no more is read.
    """

    window: Window
    filters: Filters
    until: datetime | None = None
    keys: tuple[tuple[str, str], ...] | None = None
    begun: tuple[datetime, datetime] | None = None
    within: tuple[datetime, datetime] | None = None

    @property
    def end(self) -> datetime:
        """Up to where what belongs to the conversations is read, but for the margin."""
        return self.until or self.window.end

    @property
    def known(self) -> bool:
        """Whether it names its conversations."""
        return self.keys is not None or self.filters.conversation_id is not None

    def rows(self, query: Query) -> list[str]:
        """The conditions that hold for single rows: a conversation known is looked up."""
        if self.keys is not None:
            return among(query, self.keys)
        if self.filters.conversation_id is not None:
            return [f"conversation_id = {query.bind(self.filters.conversation_id, 'String')}"]
        return ["conversation_id != ''"]


def _read(columns: Iterable[Column]) -> list[str]:
    """The partials that columns need, each once."""
    return list(dict.fromkeys(name for column in columns for name in column.reads))


def together(rows: PartialRows, columns: Mapping[str, Column], condition: str = "true") -> str:
    """A subquery with one row for each conversation: what is alone as it is, the rest grouped.

    Args:
        rows: The partial rows.
        columns: What to ask of each conversation beside its hash.
        condition: What must hold of these; one more SELECT around would take longer to plan.
    """
    grouped = "".join(f", {column.grouped} AS {name}" for name, column in columns.items())
    parts = [f"SELECT hash{grouped} FROM {rows.parted} AS s GROUP BY hash HAVING {condition}"]  # noqa: S608
    if rows.alone is not None:
        alone = [f"{column.alone} AS {name}" for name, column in columns.items()]
        parts.append(rows.alone(["hash", *alone], condition))
    return f"({' UNION ALL '.join(parts)})"


def _begun(query: Query, selection: Selection) -> str:
    """The condition that a conversation began in the window and is let through by the filters."""
    start, end = selection.begun or (selection.window.start, selection.window.end)
    begun = query.between("started_at", start, end)
    return f"has_turns AND {begun}{' AND matches' if selection.filters.of_turn(query) else ''}"


def turns_by_conversation(query: Query, selection: Selection, wanted: Sequence[str] = ()) -> str:
    """A subquery with one row for each conversation, from its turns alone.

    Args:
        query: The SELECT that it becomes a part of.
        selection: The conversations to take.
        wanted: What to ask of them, out of `TURN_COLUMNS`.
    """
    asked = {**_OF_TURNS, **{name: TURN_COLUMNS[name] for name in wanted}}
    rows = partial_rows(query, selection, _read(asked.values()))
    return together(rows, {**_OF_ROWS, **asked}, _begun(query, selection))


def _conversations(
    query: Query, selection: Selection, of_turns: Sequence[str], of_events: Sequence[str]
) -> str:
    """A subquery with one row for each conversation, from its turns and events.

    Turns and events are put below one another and grouped once, which is faster than a join.
    """
    turns = {**_OF_TURNS, **{name: TURN_COLUMNS[name] for name in of_turns}}
    events = {**_OF_EVENTS, **{name: EVENT_COLUMNS[name] for name in of_events}}
    rows = partial_rows(query, selection, _read(turns.values()), _read(events.values()))
    return together(rows, {**_OF_ROWS, **turns, **events}, _begun(query, selection))


def conversation_rows(
    query: Query,
    selection: Selection,
    turn_columns: Sequence[str] = (),
    event_columns: Sequence[str] = (),
    more: Sequence[str] = (),
) -> str:
    """A subquery with one row for each conversation.

    Args:
        query: The SELECT that it becomes a part of.
        selection: The conversations to take.
        turn_columns: More of `TURN_COLUMNS`.
        event_columns: More of `EVENT_COLUMNS`.
        more: SQL of columns that are worked out of the others.

    Returns:
        SQL whose rows have hash (`HASH`, by which to join), tenant, conversation_id, started_at,
        last_at, settled, handed_off, outcome, confirmed, ended, unfinished, last_turn (0: well, 1:
        fallback, 2 and 3: error), turns, positive, negative, actions, engagement and what was asked
        for. `engagement` is the score times three, a whole number.
    """
    turn_names = list(dict.fromkeys(["turns", *turn_columns]))
    names = [*turn_names, *event_columns, "actions", "positive", "negative"]
    idle = query.moment(selection.window.now - selection.window.idle)
    where = selection.filters.of_conversation(query)
    return f"""(
        SELECT hash, {KEY}, started_at, {", ".join(names)},
            greatest(turns_end, events_end) AS last_at,
            ends > 0 AS ended, last_turn,
            ended OR last_at <= {idle} AS settled,
            handoff_turns + handoff_events > 0 AS handed_off,
            {unfinished()} AS unfinished,
            CAST(if(settled, ending, 0), {OUTCOME}) AS outcome,
            outcome = 'resolved' AND (explicit_number > 0 OR positive > 0) AS confirmed,
            12 * least(turns, 10) + 20 * least(actions, 3) + multiIf(
                outcome = 'resolved', 120, outcome IN ('open', 'handed_off'), 60, 0
            ) AS engagement{"".join(f", {column}" for column in more)}
        FROM {_conversations(query, selection, turn_names, event_columns)}
        {"WHERE " + " AND ".join(where) if where else ""}
    )"""  # noqa: S608
