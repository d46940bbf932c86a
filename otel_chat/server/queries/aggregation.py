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
_ENDING: Final = (
    "explicit_number", "last_turn", "handoff_turns", "handoff_events", "positive", "negative",
    "workflows_started", "workflows_ended",
)  # fmt: skip
"""What the ending of grouped rows is worked out of."""
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


def together(
    rows: PartialRows,
    columns: Mapping[str, Column],
    condition: str = "true",
    beside: Mapping[str, Column] | None = None,
) -> str:
    """A subquery with one row for each conversation: what is alone as it is, the rest grouped.

    Args:
        rows: The partial rows.
        columns: What to ask of each conversation beside its hash.
        condition: What must hold of these; one more SELECT around would take longer to plan.
        beside: What the columns of grouped rows are worked out of, and is not asked for.
    """
    parts = []
    if rows.alone is not None:
        alone = [f"{column.alone} AS {name}" for name, column in columns.items()]
        parts.append(rows.alone(["hash", *alone], condition))
    grouped = "".join(f", {column.grouped} AS {name}" for name, column in columns.items())
    known = ", ".join(f"{column.grouped} AS {name}" for name, column in (beside or {}).items())
    # The last one: what the first SELECT is WITH would be known in all.
    parts.append(
        f"{f'WITH {known} ' if known else ''}SELECT hash{grouped}"  # noqa: S608
        f" FROM {rows.parted} AS s GROUP BY hash HAVING {condition}"
    )
    return f"({' UNION ALL '.join(parts)})"


_BEGUN: Final = ("has_turns", "matches", "started_at")


def _begun(query: Query, selection: Selection) -> str:
    """The condition of `_BEGUN`, that it began in the window and the filters let it through."""
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


def _conversations(query: Query, selection: Selection, names: Sequence[str]) -> str:
    """A subquery with one row for each conversation, from its turns and events.

    Turns and events are put below one another and grouped once, which is faster than a join.
    """
    of_turns, of_events = {**TURN_COLUMNS, **_OF_TURNS}, {**EVENT_COLUMNS, **_OF_EVENTS}
    every = {**_OF_ROWS, **of_turns, **of_events}
    asked = {name: every[name] for name in (*_BEGUN, *names)}
    hidden = [name for name in _ENDING if "ending" in asked and name not in asked]
    needed = [*asked, *hidden]
    turns = _read(of_turns[name] for name in needed if name in of_turns)
    events = _read(of_events[name] for name in needed if name in of_events)
    rows = partial_rows(query, selection, turns, events)
    return together(rows, asked, _begun(query, selection), {name: every[name] for name in hidden})


@dataclass(frozen=True, slots=True)
class _Told:
    """What is worked out of the columns of a conversation.

    Args:
        sql: Its SQL.
        reads: The columns that it needs, and what else is worked out of them.
    """

    sql: str
    reads: tuple[str, ...]


_WORKED_OUT: Final[Mapping[str, _Told]] = {
    "last_at": _Told("greatest(turns_end, events_end)", ("turns_end", "events_end")),
    "ended": _Told("ends > 0", ("ends",)),
    "settled": _Told("ended OR last_at <= {idle}", ("ended", "last_at")),
    "handed_off": _Told("handoff_turns + handoff_events > 0", ("handoff_turns", "handoff_events")),
    "unfinished": _Told(unfinished(), ("workflows_started", "workflows_ended")),
    "outcome": _Told(f"CAST(if(settled, ending, 0), {OUTCOME})", ("settled", "ending")),
    "confirmed": _Told(
        "outcome = 'resolved' AND (explicit_number > 0 OR positive > 0)",
        ("outcome", "explicit_number", "positive"),
    ),
    "engagement": _Told(
        "12 * least(turns, 10) + 20 * least(actions, 3) + multiIf("
        "outcome = 'resolved', 120, outcome IN ('open', 'handed_off'), 60, 0)",
        ("turns", "actions", "outcome"),
    ),
}
TOLD: Final = (
    "tenant", "conversation_id", "started_at", "last_at", "settled", "handed_off", "outcome",
    "confirmed", "ended", "unfinished", "last_turn", "turns", "positive", "negative", "actions",
    "engagement",
)  # fmt: skip
"""What a conversation's row has beside what is asked for by name."""


def conversation_rows(
    query: Query,
    selection: Selection,
    turn_columns: Sequence[str] = (),
    event_columns: Sequence[str] = (),
    more: Sequence[str] = (),
    told: Sequence[str] = TOLD,
) -> str:
    """A subquery with one row for each conversation.

    Args:
        query: The SELECT that it becomes a part of.
        selection: The conversations to take.
        turn_columns: More of `TURN_COLUMNS`.
        event_columns: More of `EVENT_COLUMNS`.
        more: SQL of columns that are worked out of the others.
        told: Out of `TOLD`; to plan what nobody reads takes as long as to read a small day.

    Returns:
        SQL whose rows have hash (`HASH`, by which to join), what is told and what was asked for.
        `last_turn` is 0 where it went well, 1 for a fallback, 2 and 3 for an error; `engagement`
        is the score times three, a whole number.
    """
    limits = ("outcome", "settled", "handed_off") if selection.filters.whole_conversations else ()
    shown = list(dict.fromkeys((*told, *turn_columns, *event_columns, *limits)))
    needed = list(shown)
    for name in needed:
        reads = _WORKED_OUT[name].reads if name in _WORKED_OUT else ()
        needed += [one for one in reads if one not in needed]
    idle = query.moment(selection.window.now - selection.window.idle)
    columns = [
        f"{_WORKED_OUT[name].sql.format(idle=idle)} AS {name}" if name in _WORKED_OUT else name
        for name in needed
        if name in shown or name in _WORKED_OUT
    ]
    source = _conversations(
        query, selection, [name for name in needed if name not in {*_WORKED_OUT, *_BEGUN}]
    )
    where = selection.filters.of_conversation(query)
    return f"""(
        SELECT {", ".join(("hash", *columns, *more))}
        FROM {source}
        {"WHERE " + " AND ".join(where) if where else ""}
    )"""  # noqa: S608
