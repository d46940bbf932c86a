"""Random samples of conversations, drawn for review, and what there is to review in which order."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from pydantic import Field

from otel_chat.server.figures.answers import Answer, TimeSpan
from otel_chat.server.figures.conversation_rows import KEY, Selection, conversation_rows
from otel_chat.server.figures.registry import query
from otel_chat.server.figures.sql import Query, moment, nanos
from otel_chat.server.figures.verdicts import BETWEEN, agreed
from otel_chat.server.names import find_named

if TYPE_CHECKING:
    from otel_chat.server.access import Scope
    from otel_chat.server.figures.filters import Filters
    from otel_chat.server.figures.window import Window
    from otel_chat.server.store import Store

MOST: Final = 200
LONGEST_QUEUE: Final = 500
_NO_GAP: Final = 2**32 - 1
_COLUMNS: Final = (
    "tenant", "name", "from_ns", "to_ns", "filters", "words", "seed", "size", "drawn", "population",
    "drawn_by", "drawn_at",
)  # fmt: skip


class Sample(Answer):
    """A random sample of settled conversations, and how to draw it again."""

    name: str
    tenant: str
    window: TimeSpan = Field(description="The conversations began in it.")
    filters: str = Field(description="What they were limited to, as a query; empty for nothing.")
    words: list[str] = Field(description="The same in words.")
    seed: int = Field(
        description="The same seed, window, filters and size draw the same conversations again, as"
        " long as these are stored."
    )
    size: int = Field(description="How many were asked for.")
    drawn: int = Field(description="How many there were to draw.")
    population: int = Field(description="How many there were to draw from.")
    drawn_by: str = Field(description="The token's name; `no token` where none is needed.")
    drawn_at: datetime = Field(description="UTC.")
    left: int = Field(description="How many of them are still stored.")
    reviewed: int = Field(description="How many of these somebody reviewed.")
    in_order: int = Field(
        description="How many were reviewed in the order they were drawn, up to the first that was"
        " not. Rates are told of these: they are a random sample wherever one stops, while others"
        " may have been picked."
    )
    verdicts: dict[str, int] = Field(
        description="How many of those in order have each verdict, as `resolved: yes`."
    )
    given: dict[str, int] = Field(
        description="For how many of those in order each score was given."
    )


class OneSample(Sample):
    """A sample, and what is in it."""

    conversation_ids: list[str] = Field(
        description="In the order they were drawn, in which they are to be read."
    )


class Samples(Answer):
    """Samples, the last drawn first."""

    items: list[Sample] = Field(description=f"At most {MOST}.")


@query()
def samples(store: Store, scope: Scope, named: str | None = None) -> Samples:
    """The samples that were drawn, the last one first.

    Args:
        store: The store to ask.
        scope: What the caller may see.
        named: Those of this name only; each tenant may have one.
    """
    statement = Query(store, scope)
    such = ["NOT dropped"]
    if named is not None:
        such.append(f"name = {statement.bind(named, 'String')}")
    read = ("tenant", "sample", "conversation_id", "place")
    members = statement.table("sampled", read, ["NOT dropped"])
    scores = f"arrayDistinct(arrayMap(v -> splitByString('{BETWEEN}', v)[1], said))"
    rows = statement.run(f"""
        SELECT s.*, {nanos("s.drawn_at")} AS drawn_ns, m.remaining, m.reviewed,
            m.in_order, m.verdicts, m.given
        FROM {statement.table("samples", _COLUMNS, such)} AS s
        LEFT JOIN (
            SELECT tenant, sample, count() AS remaining, countIf(read) AS reviewed,
                countIf(place < gap) AS in_order,
                sumMapIf(verdicts, arrayMap(v -> 1, verdicts), place < gap) AS verdicts,
                sumMapIf(scores, arrayMap(v -> 1, scores), place < gap) AS given
            FROM (
                SELECT tenant, sample, place, notEmpty(g.reviewers) AS read, g.verdicts AS verdicts,
                    {scores} AS scores,
                    min(if(read, {_NO_GAP}, place)) OVER (PARTITION BY tenant, sample) AS gap
                FROM {members} AS e LEFT JOIN {agreed(statement)} AS g USING ({KEY})
            )
            GROUP BY tenant, sample
        ) AS m ON s.tenant = m.tenant AND s.name = m.sample
        ORDER BY drawn_ns DESC, s.tenant, s.name LIMIT {MOST}
    """)  # noqa: S608
    return Samples(items=[_read(row) for row in rows])


def _read(row: dict[str, Any]) -> Sample:
    same = {name: row[name] for name in Sample.model_fields if name in row}
    span = {"from": moment(row["from_ns"]), "to": moment(row["to_ns"])}
    return Sample(
        **{
            **same,
            "window": TimeSpan(**span),
            "drawn_at": moment(row["drawn_ns"]),
            "left": row["remaining"],
            "verdicts": dict(zip(*row["verdicts"], strict=True)),
            "given": dict(zip(*row["given"], strict=True)),
        }
    )


@query()
def one_sample(store: Store, scope: Scope, name: str, tenant: str | None = None) -> OneSample:
    """A sample by its name, with its conversations.

    Args:
        store: The store to ask.
        scope: What the caller may see.
        name: What it is called.
        tenant: Whose it is, where several have one of this name.

    Raises:
        AccessError: With status 404, if there is none.
    """
    one = find_named(samples(store, scope, name).items, "sample", name, tenant)
    statement = Query(store, scope)
    members = statement.select("sampled", ("conversation_id",), _of(statement, one))
    found = statement.run(f"{members} ORDER BY place")
    ids = [row["conversation_id"] for row in found]
    return OneSample(**one.model_dump(), conversation_ids=ids)


def _of(statement: Query, drawn: Sample) -> list[str]:
    """The conditions that a row of `sampled` is of a sample."""
    return [
        "NOT dropped",
        f"tenant = {statement.bind(drawn.tenant, 'String')}",
        f"sample = {statement.bind(drawn.name, 'String')}",
    ]


def in_order(statement: Query, drawn: Sample | None) -> str:
    """The condition that a conversation is one that rates are told of.

    Args:
        statement: The SELECT that it becomes a part of.
        drawn: The sample; without one there is no such conversation.
    """
    if drawn is None:
        return "false"
    members = statement.select("sampled", (KEY,), _of(statement, drawn))
    limit = statement.bind(drawn.in_order, "UInt32")
    return f"({KEY}) IN (SELECT {KEY} FROM ({members} ORDER BY place LIMIT {limit}))"  # noqa: S608


@query()
def sample_of(store: Store, scope: Scope, filters: Filters) -> Sample | None:
    """The sample that filters limit to, if they do so by nothing but its name, and it is one.

    Args:
        store: The store to ask.
        scope: What the caller may see.
        filters: What conversations are limited to.
    """
    named = filters.named()
    if filters.limits or set(named) != {"sample"} or len(named["sample"]) != 1:
        return None
    found = samples(store, scope, str(named["sample"][0])).items
    return found[0] if len(found) == 1 else None


def window_of_sample(window: Window, sample: Sample) -> Window:
    """The window of a sample, asked about when another is."""
    return replace(window, start=sample.window.start, end=sample.window.end)


class QueueItem(Answer):
    """A conversation to review."""

    tenant: str
    conversation_id: str
    done: bool = Field(description="Whether there is nothing to do about it.")

    @property
    def key(self) -> tuple[str, str]:
        """Its tenant and its id."""
        return self.tenant, self.conversation_id


class Queue(Answer):
    """What there is to review, in order."""

    items: list[QueueItem] = Field(description=f"At most {LONGEST_QUEUE}.")
    sample: Sample | None

    def around(self, key: tuple[str, str]) -> tuple[QueueItem | None, QueueItem | None]:
        """What stands before a conversation, and what is to be done after it, if anything.

        What was passed over comes again at the end, until it is done.

        Args:
            key: Its tenant and id.
        """
        at = next((place for place, one in enumerate(self.items) if one.key == key), -1)
        behind = [one for one in self.items[at + 1 :] if not one.done]
        passed = [one for one in self.items[: max(at, 0)] if not one.done]
        return (self.items[at - 1] if at > 0 else None), next(iter([*behind, *passed]), None)

    @property
    def to_do(self) -> QueueItem | None:
        """The first that is to be done."""
        return next((one for one in self.items if not one.done), None)


@query()
def queue(store: Store, scope: Scope, window: Window, filters: Filters) -> Queue:
    """What there is to review: of a sample in the order it was drawn, else the newest first.

    What the caller reviewed is done. Where those are asked for that nobody reviewed
    (`reviewed=false`), what anybody marked so is.

    Args:
        store: The store to ask.
        scope: What the caller may see; its name tells who reviews.
        window: The conversations to take; a sample has its own.
        filters: What they are limited to.
    """
    anybody = filters.named().get("reviewed") == (False,)
    source = filters.narrowed(reviewed=None) if anybody else filters
    drawn = sample_of(store, scope, source)
    statement = Query(store, scope)
    if drawn is None:
        begun = conversation_rows(statement, Selection(window, source), "started_at")
        listed = f"SELECT {KEY}, -toUnixTimestamp64Nano(started_at) AS place FROM {begun} AS c"  # noqa: S608
    else:
        listed = statement.select(
            "sampled", (KEY, "toInt64(place) AS place"), _of(statement, drawn)
        )
    if anybody:
        done = statement.table("conversation_marks", ("tenant", "conversation_id"), ["reviewed"])
    else:
        mine = ["NOT dropped", f"reviewer = {statement.bind(scope.who, 'String')}"]
        done = statement.table("reviews", ("tenant", "conversation_id"), mine)
    rows = statement.run(f"""
        SELECT {KEY}, ({KEY}) IN {done} AS done FROM ({listed}) AS l
        ORDER BY place, {KEY} LIMIT {LONGEST_QUEUE}
    """)  # noqa: S608
    return Queue(items=[QueueItem(**row) for row in rows], sample=drawn)
