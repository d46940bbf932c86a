"""How people use the bot: length, duration, returning users, and from where they come."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import Field

from otel_chat import semconv
from otel_chat.server.figures.answers import Answer, Distribution, TimeSpan, exact_mean
from otel_chat.server.figures.conversation_rows import Selection, conversation_rows
from otel_chat.server.figures.devices import seen
from otel_chat.server.figures.figures import distribution_sql
from otel_chat.server.figures.registry import figure, query
from otel_chat.server.figures.sql import Query, moment, nanos, ratio
from otel_chat.server.figures.window import Window

if TYPE_CHECKING:
    from otel_chat.server.access import Scope
    from otel_chat.server.figures.filters import Filters
    from otel_chat.server.store import Store

MOST: Final = 50
AGENTS_READ: Final = 20_000
LENGTHS: Final = ((1, 1), (2, 2), (3, 3), (4, 5), (6, 10), (11, 20), (21, None))
SCORE_BINS: Final = 5
_SCORE_SCALE: Final = 3  # the engagement of a row is the score times three

Dimension = Literal[
    "page", "device", "browser", "os", "referrer", "channel", "platform", "location", "user_type"
]
_COLUMNS: Final[dict[str, str]] = {
    "device": "user_agent",
    "browser": "user_agent",
    "os": "user_agent",
    "referrer": "referrer",
    "channel": "channel",
    "platform": "platform",
    "location": "location",
    "user_type": "user_type",
}


class LengthBin(Answer):
    """Conversations of so many turns."""

    low: int
    high: int | None = Field(description="With this many; null: or more.")
    conversations: int
    share: float | None


class ScoreBin(Answer):
    """Conversations by engagement score."""

    low: float
    high: float = Field(description="To below this one; the last bin holds 100 as well.")
    conversations: int


class Users(Answer):
    """Users, where their ids are hashed."""

    users: int = figure(
        "users",
        "{user}",
        "Different hashed users with any turn in the conversations; a hash is one user a tenant.",
        version=2,
    )
    conversations: int = Field(description="Conversations with a hashed user.")
    conversations_per_user: float | None = figure(
        "conversations_per_user", "{conversation}", "Conversations with a hashed user ÷ users."
    )
    repeating: int = figure(
        "repeating_users", "{user}", "Users with more than one conversation in the window."
    )
    returning: int = figure(
        "returning_users",
        "{user}",
        "Users who had a conversation in the window of the same length before.",
    )
    returning_rate: float | None = figure(
        "returning_user_ratio", "1", "Users who were there in the window before ÷ users."
    )


class ConversationEngagement(Answer):
    """How long conversations are, and who comes back."""

    window: TimeSpan
    conversations: int
    turns: Distribution = figure("conversation_turns", "{turn}", "Turns of a conversation.")
    messages: Distribution = figure(
        "conversation_messages",
        "{message}",
        "Messages of a conversation: one per side of a turn, and those between turns.",
    )
    duration: Distribution = figure(
        "conversation_duration", "s", "From the first turn's start to the last activity."
    )
    lengths: list[LengthBin]
    score: float | None = figure(
        "engagement_mean",
        "1",
        "Mean engagement score, 0 to 100: 40·min(turns/10, 1) + 20·min(actions/3, 1) + 40·o, o = 1"
        " resolved, 0.5 open or handed off, 0 otherwise.",
    )
    scores: list[ScoreBin]
    first_interaction: datetime | None
    last_interaction: datetime | None
    users: Users


class Segment(Answer):
    """Conversations that have a value of a dimension in common."""

    name: str = Field(description="Empty where it is not known.")
    conversations: int
    share: float | None = Field(description="Of all conversations.")
    turns: int
    engagement_score: float | None
    resolved: int
    handed_off: int
    abandoned: int
    failed: int
    open: int


class Segments(Answer):
    """Conversations by one dimension, the largest first."""

    window: TimeSpan
    dimension: Dimension
    conversations: int
    items: list[Segment] = Field(description=f"At most {MOST}.")
    others: int = Field(
        description="Conversations with values that are not listed; by page, their visits to those."
    )


def _whole(statement: Query, window: Window, filters: Filters) -> dict[str, Any]:
    rows = conversation_rows(
        statement, Selection(window, filters), "started_at", "last_at", "turns", "engagement",
        "messages", "duration",
    )  # fmt: skip
    lengths = ", ".join(
        f"countIf(turns >= {low}{'' if high is None else f' AND turns <= {high}'})"
        for low, high in LENGTHS
    )
    width = 100 * _SCORE_SCALE // SCORE_BINS
    place = f"least(intDiv(engagement, {width}), {SCORE_BINS - 1})"
    scores = ", ".join(f"countIf({place} = {number})" for number in range(SCORE_BINS))
    return statement.one(f"""
        SELECT count() AS conversations,
            {distribution_sql("turns", "turns")},
            {distribution_sql("messages", "messages")},
            {distribution_sql("seconds", "seconds")},
            [{lengths}] AS lengths, [{scores}] AS scores, sum(engagement) AS engagement_sum,
            {nanos("min(started_at)")} AS first_ns, {nanos("max(last_at)")} AS last_ns
        FROM (
            SELECT turns, engagement, started_at, last_at, messages, duration / 1e9 AS seconds
            FROM {rows} AS c
        )
    """)  # noqa: S608


def _users(statement: Query, window: Window, filters: Filters) -> Users:
    begun = conversation_rows(
        statement, Selection(window.with_previous(), filters), "started_at", "users"
    )
    start = statement.moment(window.start)
    row = statement.one(f"""
        SELECT countIf(now > 0) AS users, countIf(now > 1) AS repeating,
            countIf(now > 0 AND before > 0) AS returning,
            (
                SELECT countIf(started_at >= {start} AND notEmpty(users)) FROM {begun}
            ) AS conversations
        FROM (
            SELECT tenant, user, countIf(started_at >= {start}) AS now,
                countIf(started_at < {start}) AS before
            FROM {begun} AS c
            ARRAY JOIN users AS user
            GROUP BY tenant, user
        )
    """)  # noqa: S608
    users = row.get("users", 0)
    return Users(
        users=users,
        conversations=row.get("conversations", 0),
        conversations_per_user=ratio(row.get("conversations"), users),
        repeating=row.get("repeating", 0),
        returning=row.get("returning", 0),
        returning_rate=ratio(row.get("returning"), users),
    )


@query()
def engagement(
    store: Store, scope: Scope, window: Window, filters: Filters
) -> ConversationEngagement:
    """How long the conversations are that started in the window, and who comes back.

    Args:
        store: The store to ask.
        scope: What the caller may see.
        window: The conversations to take.
        filters: What they are limited to.

    Raises:
        QueryError: If the window is of active conversations.
    """
    window.check_parted()
    users = store.submit(_users, Query(store, scope), window, filters)
    row = _whole(Query(store, scope), window, filters)
    count = row.get("conversations", 0)
    third = exact_mean(row.get("engagement_sum", 0) * 1_000_000_000, count)
    width = 100 / SCORE_BINS
    return ConversationEngagement(
        window=TimeSpan.of(window),
        conversations=count,
        turns=Distribution.read(row, "turns"),
        messages=Distribution.read(row, "messages"),
        duration=Distribution.read(row, "seconds"),
        lengths=[
            LengthBin(low=low, high=high, conversations=found, share=ratio(found, count))
            for (low, high), found in zip(
                LENGTHS, row.get("lengths", [0] * len(LENGTHS)), strict=True
            )
        ],
        score=None if third is None else third / _SCORE_SCALE,
        scores=[
            ScoreBin(low=width * number, high=width * (number + 1), conversations=found)
            for number, found in enumerate(row.get("scores", [0] * SCORE_BINS))
        ],
        first_interaction=moment(row["first_ns"]) if count else None,
        last_interaction=moment(row["last_ns"]) if count else None,
        users=users.result(),
    )


_TOLD: Final = ("turns", "engagement", "outcome")


def _by_page(statement: Query, selection: Selection) -> str:
    """A subquery with a row for each page that a conversation visited; empty where none."""
    return f"""(
        SELECT page, nth, turns, engagement, outcome
        FROM (
            SELECT turns, engagement, outcome, if(empty(pages), [''], pages) AS visited
            FROM {conversation_rows(statement, selection, *_TOLD, "pages")} AS c
        )
        ARRAY JOIN visited AS page, arrayEnumerate(visited) AS nth
    )"""  # noqa: S608


_SUMS: Final = ("conversations", "turns", "engagement_sum", *semconv.OUTCOMES)


@query()
def segments(
    store: Store, scope: Scope, window: Window, filters: Filters, dimension: Dimension = "channel"
) -> Segments:
    """The conversations that started in the window, by one dimension.

    Args:
        store: The store to ask.
        scope: What the caller may see.
        window: The conversations to take.
        filters: What they are limited to.
        dimension: page, of all of their turns and events; device, browser, os, referrer (its
            host), channel, platform, location or user_type, of their first turn.
    """
    statement = Query(store, scope)
    selection = Selection(window, filters)
    if dimension == "page":
        rows, value, counted = _by_page(statement, selection), "page", "countIf(nth = 1)"
    else:
        column = _COLUMNS[dimension]
        rows = conversation_rows(statement, selection, *_TOLD, column)
        value = "lower(domain(referrer))" if dimension == "referrer" else f"toString({column})"
        counted = "count()"
    outcomes = ", ".join(f"countIf(outcome = '{name}') AS {name}" for name in semconv.OUTCOMES)
    found = statement.run(f"""
        SELECT {value} AS name, count() AS conversations, sum(turns) AS turns,
            sum(engagement) AS engagement_sum, {outcomes},
            sum({counted}) OVER () AS every, sum(count()) OVER () AS visits
        FROM {rows} AS c
        GROUP BY name
        ORDER BY conversations DESC, name
        LIMIT {AGENTS_READ}
    """)  # noqa: S608
    every, visits = (found[0]["every"], found[0]["visits"]) if found else (0, 0)
    if dimension in ("device", "browser", "os"):
        found = _folded([{**row, "name": seen(dimension, row["name"])} for row in found])
    listed = found[:MOST]
    return Segments(
        window=TimeSpan.of(window),
        dimension=dimension,
        conversations=every,
        items=[_segment(row, every) for row in listed],
        others=visits - sum(row["conversations"] for row in listed),
    )


def _folded(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of the same name added up, the largest first."""
    by_name: dict[str, dict[str, Any]] = {}
    for row in rows:
        known = by_name.setdefault(row["name"], {"name": row["name"], **dict.fromkeys(_SUMS, 0)})
        for column in _SUMS:
            known[column] += row[column]
    return sorted(by_name.values(), key=lambda row: (-row["conversations"], row["name"]))


def _segment(row: dict[str, Any], every: int) -> Segment:
    third = exact_mean(row["engagement_sum"] * 1_000_000_000, row["conversations"])
    return Segment(
        name=row["name"],
        conversations=row["conversations"],
        share=ratio(row["conversations"], every),
        turns=row["turns"],
        engagement_score=None if third is None else third / _SCORE_SCALE,
        **{name: row[name] for name in semconv.OUTCOMES},
    )
