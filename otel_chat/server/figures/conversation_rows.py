"""Conversations as questions read them: one row each, kept by the settler.

What a row holds is worked out in `summaries/conversations.sql`. Whether a conversation is settled
depends on when it is asked about, so that alone is told here: it is settled by an explicit end, or
when it has been idle; before, its outcome is open.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from otel_chat._common.moments import nanoseconds
from otel_chat.server.episodes import named
from otel_chat.server.figures.filters import Filters, of_conversation, reads_of
from otel_chat.server.figures.plain_words import SMALL_TALK_INTENTS
from otel_chat.server.figures.sql import SCALE
from otel_chat.server.figures.where import Every
from otel_chat.server.rules import OUTCOME_TYPE, USER_FEEDBACK
from otel_chat.server.summaries.statements import conversations_sql, listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from otel_chat.server.figures.sql import Query
    from otel_chat.server.figures.where import Node
    from otel_chat.server.figures.window import Window

KEY: Final = "tenant, conversation_id"


def _named(times: str, names: str) -> str:
    """SQL for pairs of a time and a name, where there is a name."""
    return f"arrayFilter(x -> x.2 != '', arrayZip({times}, {names}))"


def _steps(kinds: str) -> str:
    return f"arrayFilter(x -> {kinds}, arrayZip(r.step_at, r.step_kind, r.step_name, r.step_place))"


_KINDS: Final = ("started", "failed", "completed")
_ACTIONS: Final = _steps("x.2 = 'action'")
_MOVES: Final = _steps(f"x.2 IN {_KINDS} AND x.3 != ''")
ARROW: Final = " \u2192 "
_LETTERS: Final = "replaceRegexpAll(lower(toString(x)), '[^a-z]', '')"
_SMALL_TALK: Final = f"({', '.join(map(repr, sorted(SMALL_TALK_INTENTS)))})"
STEPS: Final = 4
"""Of the way of a conversation so many steps are told one by one."""
END: Final = "(end)"
_FROM: Final = f"arraySlice(steps, 1, {STEPS})"
_TO: Final = f"arrayResize(arraySlice(steps, 2, {STEPS - 1}), length({_FROM}), '{END}')"
_WAYS: Final = (
    f"arrayMap((a, b, n) -> concat(toString(n), ' ', a, '{ARROW}', b),"
    f" {_FROM}, {_TO}, arrayEnumerate({_FROM}))"
)
_WORKED_OUT: Final[Mapping[str, str]] = {
    "last_at": "r.last_activity_at",
    "settled": "(r.ended OR r.last_activity_at <= {idle})",
    "outcome": f"CAST(if(settled, toInt8(r.outcome), 0), {OUTCOME_TYPE})",
    "confirmed": "(settled AND r.confirmed)",
    "engagement": "(12 * least(r.turns, 10) + 20 * least(r.actions, 3) + multiIf("
    "outcome = 'resolved', 120, outcome IN ('open', 'handed_off'), 60, 0))",
    "duration": "(toUnixTimestamp64Nano(last_at) - toUnixTimestamp64Nano(r.started_at))",
    "messages": "(r.turns + r.replies + r.user_messages + r.assistant_messages"
    " + r.system_messages + r.human_messages)",
    "foreign": "(r.own_turns = 0)",
    "user": "r.users[-1]",
    "intents": "arraySort(arrayDistinct(arrayFilter(x -> x != '', r.combinations.intent)))",
    "models": "arraySort(arrayDistinct(arrayFilter(x -> x != '', r.combinations.model)))",
    "routes": "arraySort(arrayDistinct(arrayFilter(x -> x != '', r.combinations.route)))",
    "converted": "notEmpty(r.leads)",
    "lead_kinds": "arraySort(arrayDistinct(arrayFilter(x -> x != '', r.leads)))",
    "path": "arrayFilter(x -> x != '', r.turn_intent)",
    "steps": "arrayCompact(arrayMap(x -> toString(x),"
    f" arrayFilter(x -> {_LETTERS} NOT IN {_SMALL_TALK}, path)))",
    "ways": _WAYS,
    "intents_at": _named("r.turn_at", "r.turn_intent"),
    "actions_at": f"arrayMap(x -> (x.1, x.3), {_ACTIONS})",
    "moves": f"arrayMap(x -> (x.1, indexOf({list(_KINDS)}, toString(x.2)), x.3, x.4), {_MOVES})",
    "satisfaction": f"r.score_sum / nullIf(r.scores, 0) / {SCALE}",
    "rating": f"r.rating_sum / nullIf(r.rated, 0) / {SCALE}",
    "feedback": f"arrayFilter(x -> x.evaluation = '{USER_FEEDBACK}' AND isNotNull(x.score)"
    " AND ({matching}), r.ratings)",
}
"""What is told of a conversation beside the columns of its row; a name stands for one before it."""
_READS: Final[Mapping[str, tuple[str, ...]]] = {
    "outcome": ("settled",),
    "confirmed": ("settled",),
    "engagement": ("settled", "outcome"),
    "duration": ("last_at",),
    "steps": ("path",),
    "ways": ("path", "steps"),
}


def among(query: Query, keys: Sequence[tuple[str, str]]) -> list[str]:
    """The conditions that rows belong to conversations known by tenant and id."""
    tenants = query.bind([tenant for tenant, _ in keys], "Array(String)")
    ids = query.bind([key for _, key in keys], "Array(String)")
    # The ids by themselves as well, for the index.
    return [
        f"({KEY}) IN {listed(tenant=tenants, id=ids)}",
        f"conversation_id IN {ids}",
        *query.of_ids(key for _, key in keys),
    ]


@dataclass(frozen=True, slots=True)
class Selection:
    """The conversations to take.

    Args:
        window: They started in it, or had a turn in it, as it says; it also says when they are
            asked about.
        filters: What they are limited to.
        keys: These (tenant, conversation id) only.
    """

    window: Window
    filters: Filters
    keys: tuple[tuple[str, str], ...] | None = None

    def conditions(self, query: Query) -> list[str]:
        """The conditions on a row of `conversations`, but for those of the filters."""
        window = self.window
        start, end = query.moment(window.start), query.moment(window.end)
        keys = [] if self.keys is None else among(query, self.keys)
        if window.by == "active":
            return [*_around(query, window), *keys]
        return [
            f"day >= toDate32({start}) AND day <= toDate32({end})",
            query.within("r.started_at", window),
            *keys,
        ]

    def fulfilled(self, query: Query, filters: Filters) -> list[str]:
        """The conditions of filters on such a row."""
        if self.window.by == "started":
            return filters.of_conversation(query, self.window.start)
        within = query.within("start", self.window)
        return filters.of_conversation(query, within=within)


def _around(query: Query, window: Window) -> list[str]:
    """The conditions that something of a conversation lies in the window, or on both sides."""
    return [
        f"day <= toDate32({query.moment(window.end)})",
        f"r.seen_from < {query.moment(window.end)} AND r.seen_to >= {query.moment(window.start)}",
    ]


def _told(query: Query, window: Window, filters: Filters, names: Iterable[str]) -> list[str]:
    """SQL of columns, each after what it is worked out of."""
    idle = query.moment(window.now - window.idle)
    matching = filters.of_rating(query)
    wanted = dict.fromkeys(name for one in names for name in (*_READS.get(one, ()), one))
    return [
        f"{_WORKED_OUT[name].format(idle=idle, matching=matching)} AS {name}"
        if name in _WORKED_OUT
        else f"r.{name} AS {name}"
        for name in wanted
        if name not in {"tenant", "conversation_id"}
    ]


def conversation_rows(query: Query, selection: Selection, *names: str) -> str:
    """A subquery with one row for each conversation.

    Args:
        query: The SELECT that it becomes a part of.
        selection: The conversations to take.
        names: What to tell of each: columns of `conversations`, and what is worked out of them:
            last_at, settled, outcome (open unless settled), confirmed, engagement (the score
            times three, a whole number), duration (nanoseconds), messages, foreign, user, intents,
            models, routes, converted, lead_kinds, path, steps (the path without small talk, repeats
            merged), ways (each of the first steps with the next), intents_at, actions_at, moves,
            satisfaction, rating, feedback (the ratings that the filters let through). Beside these
            its tenant and its id are told.

    Returns:
        SQL of the subquery.
    """
    window, filters = selection.window, selection.filters
    conditions = [*selection.conditions(query), *selection.fulfilled(query, filters)]
    return _rows(query, window, filters, conditions, names)


def counted_rows(query: Query, selection: Selection, parts: Sequence[Filters]) -> list[int]:
    """How many conversations each of some further filters leaves, in one statement.

    Args:
        query: The SELECT to run.
        selection: The conversations to take.
        parts: What each count is limited to beside.
    """
    window, filters = selection.window, selection.filters
    reads = [name for part in (filters, *parts) for name in part.reads]
    fulfilled = [selection.fulfilled(query, part) for part in parts]
    flags = [
        f"({' AND '.join(conditions) or 'true'}) AS part_{number}"
        for number, conditions in enumerate(fulfilled)
    ]
    where = [*selection.conditions(query), *selection.fulfilled(query, filters)]
    columns = [*_told(query, window, filters, reads), *flags]
    rows = query.table("conversations", columns, where, alias="r")
    sums = [f"countIf(part_{number}) AS part_{number}" for number in range(len(parts))]
    found = query.one(f"SELECT {', '.join(sums)} FROM {rows} AS c")  # noqa: S608
    return [found[f"part_{number}"] for number in range(len(parts))]


def _rows(
    query: Query,
    window: Window,
    filters: Filters,
    conditions: Sequence[str],
    names: Sequence[str] = (),
) -> str:
    columns = _told(query, window, filters, (*names, *filters.reads))
    return query.table("conversations", [KEY, *columns], conditions, alias="r")


def members(query: Query, window: Window, filters: Filters) -> str:
    """The condition that a row belongs to a conversation that the filters let through.

    Whenever it started: what is told of it in the window may come long after its turns.

    Args:
        query: The SELECT that it becomes a part of.
        window: When what is asked about happened.
        filters: What conversations are limited to.
    """
    return _members(query, window, filters.tree)


def _members(query: Query, window: Window, tree: Every) -> str:
    conditions = [*_around(query, window), *of_conversation(query, tree)]
    columns = _told(query, window, Filters(), reads_of(tree))
    rows = query.table("conversations", [KEY, *columns], conditions, alias="r")
    return f"({KEY}) IN (SELECT {KEY} FROM {rows})"  # noqa: S608


def of_turns(
    query: Query, window: Window, filters: Filters, since: datetime | None = None
) -> list[str]:
    """The conditions of filters on a row of `turns`, of turns in the window.

    Args:
        query: The SELECT that they become a part of.
        window: When the turns were.
        filters: What turns are limited to.
        since: No turn in question is earlier; the window's start without.
    """

    def members_of(tree: Node) -> str:
        return _members(query, window, Every((tree,)))

    return filters.of_turn(query, members_of, since or window.start)


def row_now(
    query: Query, key: tuple[str, str], window: Window, seen: tuple[datetime, datetime], *names: str
) -> str:
    """A subquery with the row of one conversation, worked out of what there is of it right now.

    Args:
        query: The SELECT that it becomes a part of.
        key: Its tenant, which must be one of the scope, and its id.
        window: When it is asked about.
        seen: From when to when there is anything of it.
        names: What to tell of it, as with `conversation_rows`.
    """
    ids = query.sent_ids([key[1]])
    query.parameters |= {
        "tenants": [key[0]] * len(ids),
        "ids": ids,
        "first": nanoseconds(seen[0]),
        "last": nanoseconds(seen[1]),
        "version": 0,
    }
    columns = _told(query, window, Filters(), names)
    rows = f"({conversations_sql(query.store.rules, synthetic=query.synthetic, split=False)})"
    wanted = "gone = 0"
    if query.store.rules.gap is not None:
        rows = named(f"{rows} AS t")
        wanted += f" AND conversation_id = {query.bind(key[1], 'String')}"
    return f"(SELECT {KEY}, {', '.join(columns)} FROM {rows} AS r WHERE {wanted})"  # noqa: S608
