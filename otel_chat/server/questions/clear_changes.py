"""What changed beyond chance against the window before: how much, since when, where, whom to read.

Every figure here is a sum over conversations that started in the window ÷ another, also those of
turns, for turns of one conversation belong together; see `figures.chance` for the tests and their
sources. A change is clear if it is one of those that Benjamini and Hochberg's procedure takes at
5 %: of all changes that are ever told, about one in twenty is none.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import Field

from otel_chat.server.figures.answers import Answer, TimeSpan
from otel_chat.server.figures.chance import (
    LEAST,
    Change,
    Ratios,
    adjusted,
    contribution,
    counts_change,
    ratios_change,
    turning_point,
)
from otel_chat.server.figures.conversation_rows import Selection, conversation_rows
from otel_chat.server.figures.figures import by_bucket, by_period
from otel_chat.server.figures.registry import FIGURES, Better, query
from otel_chat.server.figures.sql import Query, moment, nanos
from otel_chat.server.figures.told import (
    CONVERSATIONS,
    KINDS,
    TOLD,
    VOLUME,
    Kind,
    Told,
    ratios_of,
    sums_sql,
)
from otel_chat.server.figures.window import BUCKETS, Bucket
from otel_chat.server.questions.calls import by_conversation
from otel_chat.server.questions.sentence import sentence

if TYPE_CHECKING:
    from otel_chat.server.access import Scope
    from otel_chat.server.figures.filters import Filters
    from otel_chat.server.figures.window import Window
    from otel_chat.server.store import Store

PartKind = Literal["intent", "agent", "version", "variant", "channel", "model", "tool"]
State = Literal["changed", "nothing changed", "not enough"]
LEVEL: Final = 0.05
READ: Final = 3
EXPLAINS: Final = 0.1
"""A part is told that explains so much more of a change than its share of what there is."""
PARTS: Final = 5


class Read(Answer):
    """A conversation to read."""

    tenant: str
    conversation_id: str
    started_at: datetime


class ChangedPart(Answer):
    """A part of the conversations, and what it did to a figure."""

    kind: PartKind = Field(
        description="intent: the last one of the conversation; agent, version, variant, channel and"
        " model: of its first turn; tool: one of whose calls failed in it."
    )
    name: str
    reason: str = Field("", description="Of a tool, why it failed most often.")
    contribution: float = Field(
        description="How far it moved the figure. Those of all intents, or agents, and so on but"
        " tools, sum to the difference; what is as the whole was before moves nothing."
    )
    value: float | None
    previous: float | None
    conversations: int = Field(description="Those of the window that the figure is over.")
    read: list[Read] = Field(description="The newest of those where it is worst, three at most.")


class ClearChange(Answer):
    """A figure beside that of the window before."""

    figure: str
    label: str
    kind: Kind
    better: Better
    unit: str
    definition: str
    value: float
    previous: float
    difference: float
    relative: float | None = Field(description="The difference ÷ the figure before.")
    sure: float = Field(
        description="How much of the difference is beyond chance: the bound of its 95 % interval"
        " that is nearest to 0. They are ranked by it: shares in points, all others relative."
    )
    p_value: float = Field(description="How likely so large a change is, if nothing changed.")
    q_value: float = Field(description="The same, adjusted for all figures that were looked at.")
    clear: bool = Field(description="Whether the adjusted one is at most 0.05.")
    conversations: int = Field(description="How many it rests on, in this window.")
    previous_conversations: int
    since: datetime | None = Field(
        None, description="The start of the day or hour, UTC, with which it most likely changed."
    )
    parts: list[ChangedPart] = Field(
        default_factory=list,
        description="Of the first change: the parts that explain more of it than their share.",
    )
    read: list[Read] = Field(
        default_factory=list, description="Of the first change: conversations to read of all."
    )

    @property
    def good(self) -> bool | None:
        """Whether it is for the better; None where neither way is."""
        if self.better == "neither":
            return None
        return (self.difference > 0) == (self.better == "higher")


class ClearChanges(Answer):
    """What changed beyond chance."""

    window: TimeSpan
    previous_window: TimeSpan
    state: State
    sentence: str = Field(
        description="The first clear change in words; or that nothing changed, or that there is"
        " not enough to tell."
    )
    level: float = Field(description="So many of the changes that are called clear may be none.")
    least: int = Field(description="So many conversations are needed in either window.")
    conversations: int
    previous_conversations: int
    items: list[ClearChange] = Field(
        description="All that could be tested: the clear ones first, by kind (outcome, speed, cost,"
        " volume), then by how much of the change is sure."
    )

    @property
    def clear(self) -> list[ClearChange]:
        """Those beyond chance."""
        return [item for item in self.items if item.clear]


def _width(window: Window) -> Bucket:
    """How long the parts of time are by which a change is dated."""
    if window.length <= timedelta(days=3):
        return "1h"
    return "1d" if window.length <= timedelta(days=180) else "1w"


Units = dict[tuple[int, int], dict[str, Any]]


def _by_unit(statement: Query, window: Window, filters: Filters, width: Bucket) -> Units:
    """Rows of sums by whether they are of the window (1) or before, and by part of time."""
    both = window.with_previous()
    reads = dict.fromkeys(("started_at", *(name for one in TOLD for name in one.reads)))
    source = conversation_rows(statement, Selection(both, filters), *reads)
    rows = statement.run(f"""
        SELECT {by_period(window)(statement, "s.started_at")} AS part,
            {by_bucket(both, width)(statement, "s.started_at")} AS unit, count() AS counted,
            {", ".join(sums_sql(f"f{place}", one) for place, one in enumerate(TOLD))}
        FROM {source} AS s GROUP BY part, unit
    """)  # noqa: S608
    return {(row["part"], row["unit"]): row for row in rows}


@dataclass(frozen=True, slots=True)
class _Compared:
    told: Told
    change: Change
    now: Ratios
    before: Ratios
    since: datetime | None


def _figures(units: Units, starts: Sequence[datetime]) -> list[_Compared]:
    found = []
    for number, one in enumerate(TOLD):
        place = f"f{number}"
        sides = [Ratios(), Ratios()]
        by_unit: defaultdict[int, Ratios] = defaultdict(Ratios)
        for (part, unit), row in units.items():
            of_row = ratios_of(place, one, row)
            sides[part] += of_row
            by_unit[unit] += of_row
        before, now = sides
        change = ratios_change(now, before)
        if change is not None:
            at = turning_point([by_unit[unit] for unit in range(len(starts))])
            since = None if at is None else starts[at]
            found.append(_Compared(one, change, now, before, since))
    return found


def _volume(
    units: Units, window: Window, starts: Sequence[datetime], width: timedelta
) -> _Compared | None:
    """How the number of conversations changed, by whole parts of time beside those before."""
    counts: defaultdict[int, int] = defaultdict(int)
    for (_, unit), row in units.items():
        counts[unit] += row["counted"]
    back = round((window.start - window.previous().start) / width)
    whole = [
        place
        for place, start in enumerate(starts)
        if start >= window.start and start + width <= window.end
        and place >= back and starts[place - back] >= window.previous().start
    ]  # fmt: skip
    now = [counts[place] for place in whole]
    before = [counts[place - back] for place in whole]
    change = counts_change(now, before)
    if change is None or min(sum(now), sum(before)) < LEAST:
        return None
    # The mean of a part of time is told as what it makes of the whole window.
    sums = [
        sum(row["counted"] for (part, _), row in units.items() if part == side) for side in (1, 0)
    ]
    gap = window.with_previous().gap
    inner = [
        place
        for place in range(1, len(starts) - 1)
        if gap is None or not gap[0] <= starts[place] < gap[1]
    ]
    at = turning_point([Ratios(1, counts[place], 1) for place in inner])
    of_all = change._replace(
        difference=float(sums[0] - sums[1]), error=change.error * (window.length / width)
    )
    both = (Ratios(sums[0], sums[0], 1), Ratios(sums[1], sums[1], 1))
    return _Compared(VOLUME, of_all, *both, None if at is None else starts[inner[at]])


def _ranked(found: Sequence[_Compared]) -> list[tuple[_Compared, ClearChange]]:
    made = []
    for one, q_value in zip(found, adjusted([one.change.p_value for one in found]), strict=True):
        told, change = one.told, one.change
        value, previous = one.now.value, one.before.value
        if value is None or previous is None:
            continue
        relative = change.difference / previous if previous else None
        sure = change.sure if told.unit == "1" else change.sure / previous if previous else 1.0
        made.append((one, ClearChange(
            figure=told.name, label=told.label, kind=told.kind, better=told.better,
            unit=told.unit, definition=FIGURES[told.name].definition,
            value=value, previous=previous, difference=change.difference, relative=relative,
            sure=sure, p_value=change.p_value, q_value=q_value, clear=q_value <= LEVEL,
            conversations=one.now.count, previous_conversations=one.before.count,
            since=one.since if q_value <= LEVEL else None,
        )))  # fmt: skip
    made.sort(
        key=lambda pair: (
            not pair[1].clear, KINDS.index(pair[1].kind), -pair[1].sure, pair[1].p_value,
        )
    )  # fmt: skip
    return made


@query()
def clear_changes(
    store: Store, scope: Scope, window: Window, filters: Filters, worse: int = 0
) -> ClearChanges:
    """What changed beyond chance against the window before.

    Where a change is clear, a second question tells the parts of the first one and whom to read.

    Args:
        store: The store to ask.
        scope: What the caller may see.
        window: The conversations to take: those that started in it.
        filters: What they are limited to.
        worse: Of so many changes for the worse the parts are told, too.

    Raises:
        QueryError: If the window is of active conversations.
    """
    window.check_parted()
    width = _width(window)
    starts = window.with_previous().bucket_starts(width)
    units = _by_unit(Query(store, scope), window, filters, width)
    found = _figures(units, starts)
    if (volume := _volume(units, window, starts, BUCKETS[width])) is not None:
        found.append(volume)
    ranked = _ranked(found)
    items = [item for _, item in ranked]
    known = [
        place for place, item in enumerate(items) if item.clear and item.figure != CONVERSATIONS
    ]
    bad = [place for place in known if items[place].good is False][:worse]
    asked = {
        place: store.submit(_explained, Query(store, scope), window, filters, *ranked[place])
        for place in sorted({*bad, *(place for place in known if place == 0)})
    }
    for place, explained in asked.items():
        items[place] = explained.result()
    counted = [
        sum(row["counted"] for (part, _), row in units.items() if part == side) for side in (1, 0)
    ]
    made = ClearChanges(
        window=TimeSpan.of(window),
        previous_window=TimeSpan.of(window.previous()),
        state="not enough" if not items else "changed" if items[0].clear else "nothing changed",
        sentence="",
        level=LEVEL,
        least=LEAST,
        conversations=counted[0],
        previous_conversations=counted[1],
        items=items,
    )
    return made.model_copy(update={"sentence": sentence(made, hourly=width == "1h")})


_COLUMNS: Final[Mapping[PartKind, str]] = {
    "intent": "last_intent",
    "agent": "agent",
    "version": "agent_version",
    "variant": "variant",
    "channel": "channel",
    "model": "model",
}
_TOOL: Final[PartKind] = "tool"
_EVERY: Final = "every"


_FAILED: Final = "groupUniqArray((f.called, f.reason)) AS failed"
"""Of a conversation: the tools and APIs that failed in it, with the reasons."""


def _explained(
    statement: Query, window: Window, filters: Filters, compared: _Compared, item: ClearChange
) -> ClearChange:
    """The change with the parts that moved it, and with conversations to read."""
    told, both = compared.told, window.with_previous()
    names = dict.fromkeys(("started_at", *told.reads, *_COLUMNS.values()))
    source = conversation_rows(statement, Selection(both, filters), *names)
    failed = by_conversation(statement, both, _FAILED, failed=True)
    told_of = ", ".join(f"('{kind}', toString(s.{sql}), '')" for kind, sql in _COLUMNS.items())
    towards = "-" if item.difference > 0 else ""
    newest = f"({towards}(x / y), -{nanos('started_at')}, toString(tenant), conversation_id)"
    rows = statement.run(f"""
        SELECT part, of.1 AS kind, of.2 AS name, {sums_sql("f", _SUMMED)},
            topKIf(1)(of.3, of.3 != '') AS reasons,
            groupArraySortedIf({READ})({newest}, y > 0 AND part = 1) AS newest
        FROM (
            SELECT s.tenant AS tenant, s.conversation_id AS conversation_id, started_at,
                {by_period(window)(statement, "started_at")} AS part,
                toInt128({told.x}) AS x, toInt128({told.y}) AS y,
                arrayJoin(arrayConcat([('{_EVERY}', '', ''), {told_of}],
                    arrayMap(c -> ('{_TOOL}', c.1, c.2), f.failed))) AS of
            FROM {source} AS s LEFT JOIN {failed} AS f
                ON toString(s.tenant) = f.tenant AND s.conversation_id = f.conversation_id
        ) AS s
        GROUP BY part, kind, name
    """)  # noqa: S608
    before, now = ({(row["kind"], row["name"]): row for row in rows if row["part"] == side}
                   for side in (0, 1))  # fmt: skip
    return item.model_copy(
        update={
            "parts": _parts(told, item.difference, now, before),
            "read": _read(now.get((_EVERY, ""), {})),
        }
    )


Parted = Mapping[tuple[Any, str], Mapping[str, Any]]
"""Rows of sums by kind and name."""


def _parts(told: Told, difference: float, now: Parted, before: Parted) -> list[ChangedPart]:
    """The parts that explain more of a change than their share of what there is, the most first."""

    def of(side: Parted, key: tuple[Any, str]) -> Ratios:
        return ratios_of("f", told, side[key]) if key in side else Ratios()

    whole, whole_before = of(now, (_EVERY, "")), of(before, (_EVERY, ""))
    found: list[tuple[float, ChangedPart]] = []
    for kind, name in now.keys() | before.keys():
        here, there = of(now, (kind, name)), of(before, (kind, name))
        moved = contribution(here, there, whole, whole_before)
        if kind == _EVERY or not name or not moved:
            continue
        above = moved / difference - max(
            side.y / every.y for side, every in ((here, whole), (there, whole_before))
        )
        if above < EXPLAINS:
            continue
        row = now.get((kind, name), {})
        part = ChangedPart(
            kind=kind,
            name=name,
            reason=next(iter(row.get("reasons", ())), ""),
            contribution=moved,
            value=here.value,
            previous=there.value,
            conversations=here.count,
            read=_read(row),
        )
        found.append((above, part))
    found.sort(key=lambda pair: (-pair[0], pair[1].kind, pair[1].name))
    return [part for _, part in found[:PARTS]]


_SUMMED: Final = Told(
    name="", label="", kind="outcome", better="neither", unit="1", x="x", y="y", reads=()
)


def _read(row: Mapping[str, Any]) -> list[Read]:
    return [
        Read(tenant=tenant, conversation_id=name, started_at=moment(-int(at)))
        for _, at, tenant, name in row.get("newest", ())
    ]
