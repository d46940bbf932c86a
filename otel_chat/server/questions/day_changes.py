"""Which days of which agents were unlike the eight weeks before them; see `figures.usual`.

How often chance alone is told of is set, in false alarms a month over everything that is looked
at: with so many tests a month (agents × figures × days), a day is told of where its p-value is at
most the rate ÷ their number. What is expected adds up whether tests depend on each other or not.

Nothing of it is stored: a day is worked out of the same days, so it comes out the same unless
telemetry of them arrives late, or is erased.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import Field

from otel_chat._common.moments import UTC_NAME, zone_of
from otel_chat.server.access import ANALYTICS_VIEW
from otel_chat.server.figures.answers import Answer
from otel_chat.server.figures.chance import Ratios
from otel_chat.server.figures.conversation_rows import Selection, conversation_rows
from otel_chat.server.figures.filters import Filters
from otel_chat.server.figures.registry import Better, query
from otel_chat.server.figures.sql import Query
from otel_chat.server.figures.told import TOLD, VOLUME, Kind, Told, ratios_of, sums_sql
from otel_chat.server.figures.usual import LEARNED, Beside, beside
from otel_chat.server.figures.window import EARLIEST, Window
from otel_chat.server.questions.sentence import written

if TYPE_CHECKING:
    from otel_chat.server.access import Scope
    from otel_chat.server.store import Store

Direction = Literal["worse", "better", "other"]
MONTH: Final = 365.25 / 12
"""Days of a month."""
AGENTS: Final = 20
"""Those with the most conversations are looked at."""
MOST_DAYS: Final = 31
RIPE: Final = timedelta(hours=6)
"""So long after a day its conversations are taken to have settled, and to have been rated."""
_DAY: Final = timedelta(days=1)


class DayChange(Answer):
    """A figure of an agent on a day, beside what is usual on that weekday."""

    day: date
    agent: str
    figure: str
    label: str
    kind: Kind
    better: Better
    direction: Direction = Field(description="other: of what is neither good nor bad.")
    unit: str
    value: float
    usual: float
    low: float = Field(description="In 19 of 20 such days it would not be less.")
    high: float = Field(description="Nor more than this.")
    difference: float
    relative: float | None = Field(description="The difference ÷ what is usual.")
    p_value: float = Field(description="How likely such a day is, if it is as the others.")
    false_alarms: float = Field(
        description="The same × the tests of a month: so many such days chance alone would bring."
    )
    conversations: int
    learned_days: int = Field(description="So many days are what is usual.")
    said: str = Field(description="The same in words.")


class DayLooked(Answer):
    """A day that was looked at."""

    day: date
    agents: int = Field(description="Those with enough days before it.")
    tests: int = Field(description="Figures of agents that could be tested.")
    level: float | None = Field(description="A p-value up to this is told.")


class DayChanges(Answer):
    """Which days of which agents were unlike those before."""

    timezone: str
    false_alarms: float = Field(description="So many a month are told by chance, as it is set.")
    days: list[DayLooked]
    said: str = Field(description="The arithmetic of what is told, in words.")
    items: list[DayChange] = Field(
        description="Days beyond chance: the newest first, the least likely before others."
    )


def level_of(false_alarms: float, tests: int) -> float:
    """Up to which p-value a day is told of.

    Args:
        false_alarms: How many are to be told a month by chance alone.
        tests: How many there are a day.

    Example:
        >>> round(level_of(1, 5 * 14), 6)
        0.000469
    """
    return min(false_alarms / (tests * MONTH), 1.0)


@dataclass(frozen=True, slots=True)
class Judged:
    """A figure of an agent on a day.

    Args:
        day: The day.
        agent: The agent.
        told: The figure.
        found: The day beside the usual ones.
        conversations: How many the day's figure is over.
    """

    day: date
    agent: str
    told: Told
    found: Beside
    conversations: int

    @property
    def direction(self) -> Direction:
        """Whether it moved for the worse."""
        if self.told.better == "neither":
            return "other"
        rose = self.found.value > self.found.usual
        return "better" if rose == (self.told.better == "higher") else "worse"

    @property
    def relative(self) -> float | None:
        """How far it is from what is usual, as a part of that."""
        usual = self.found.usual
        return (self.found.value - usual) / usual if usual else None


Sums = dict[tuple[str, str], dict[date, Mapping[str, Any]]]
"""Sums by tenant and agent, and by day."""


@query()
def sums_by_day(
    store: Store, scope: Scope, window: Window, filters: Filters, timezone: str = UTC_NAME
) -> Sums:
    """What every figure that is looked at is made of, by tenant and agent, and by day.

    Args:
        store: The store to ask.
        scope: What the caller may see.
        window: The conversations that started in it.
        filters: What they are limited to.
        timezone: The time zone of days.
    """
    statement = Query(store, scope)
    reads = dict.fromkeys(("started_at", "agent", *(name for one in TOLD for name in one.reads)))
    rows = statement.run(f"""
        SELECT toString(tenant) AS tenant, toString(agent) AS agent, count() AS counted,
            toString(toDate32(started_at, {statement.bind(timezone, "String")})) AS day,
            {", ".join(sums_sql(f"f{place}", one) for place, one in enumerate(TOLD))}
        FROM {conversation_rows(statement, Selection(window, filters), *reads)} AS s
        GROUP BY tenant, agent, day
    """)  # noqa: S608
    found: Sums = defaultdict(dict)
    for row in rows:
        found[row["tenant"], row["agent"]][date.fromisoformat(row["day"])] = row
    return found


def judged(sums: Sums, days: Sequence[date], tenants: frozenset[str] | None = None) -> list[Judged]:
    """Every figure of every agent on these days that can be told from what is usual.

    Args:
        sums: The sums of these days and of those before.
        days: The days that are looked at.
        tenants: Whose conversations count, together; all without.
    """
    by_agent: defaultdict[str, list[Mapping[date, Mapping[str, Any]]]] = defaultdict(list)
    sizes: Counter[str] = Counter()
    for (tenant, agent), rows in sums.items():
        if tenants is None or tenant in tenants:
            by_agent[agent].append(rows)
            sizes[agent] += sum(row["counted"] for row in rows.values())
    largest = sorted(sizes, key=lambda agent: (-sizes[agent], agent))[:AGENTS]
    return [one for agent in largest for one in _of_agent(agent, by_agent[agent], days)]


def _of_agent(
    agent: str, sources: Sequence[Mapping[date, Mapping[str, Any]]], days: Sequence[date]
) -> Iterable[Judged]:
    begun = min(day for rows in sources for day in rows)
    # The first day with anything may have begun in the middle.
    course = [begun + n * _DAY for n in range(1, (max(days) - begun).days + 1)]
    for number, told in enumerate((*TOLD, VOLUME)):
        sums = [_on(sources, day, number, told) for day in course]
        for day in days:
            end = (day - begun).days
            if end < 1:
                continue
            found = beside(sums[:end], _test_of(told))
            if found is not None:
                yield Judged(day, agent, told, found, sums[end - 1].count)


def _on(
    sources: Sequence[Mapping[date, Mapping[str, Any]]], day: date, number: int, told: Told
) -> Ratios:
    rows = [rows[day] for rows in sources if day in rows]
    if told is VOLUME:
        many = sum(row["counted"] for row in rows)
        return Ratios(many, many, 1)
    return sum((ratios_of(f"f{number}", told, row) for row in rows), Ratios(scale=told.scale))


def _test_of(told: Told) -> Literal["share", "ratio", "count"]:
    if told is VOLUME:
        return "count"
    return "share" if told.unit == "1" else "ratio"


@query(ANALYTICS_VIEW)
def day_changes(
    store: Store,
    scope: Scope,
    window: Window,
    filters: Filters,
    false_alarms: float = 1.0,
    timezone: str = UTC_NAME,
) -> DayChanges:
    """Which days of which agents were unlike the eight weeks before them.

    Args:
        store: The store to ask.
        scope: What the caller may see.
        window: The last 31 of the whole days in it are looked at, those that ended six hours ago.
        filters: What conversations are limited to.
        false_alarms: How many a month are to be told by chance alone.
        timezone: The time zone of days.
    """
    window.check_parted()
    zone = zone_of(timezone)

    def moment(day: date) -> datetime:
        return datetime.combine(day, time(0), zone)

    known = window.now if window.as_of is None else min(window.now, window.as_of)
    until = min(window.end, known - RIPE).astimezone(zone).date()
    first = window.start.astimezone(zone).date()
    first += _DAY * (moment(first) < window.start)
    days = [first + n * _DAY for n in range((until - first).days)][-MOST_DAYS:]
    if not days:
        return _told([], [], false_alarms, timezone)
    read = max(days[0] - (LEARNED + 1) * _DAY, EARLIEST.date() + _DAY)
    whole = replace(window, start=moment(read), end=moment(days[-1] + _DAY))
    return _told(
        days, judged(sums_by_day(store, scope, whole, filters, timezone), days), false_alarms,
        timezone,
    )  # fmt: skip


def _told(
    days: Sequence[date], found: Sequence[Judged], false_alarms: float, timezone: str
) -> DayChanges:
    by_day = {day: [one for one in found if one.day == day] for day in days}
    items = [
        _item(one, len(of_day))
        for of_day in by_day.values()
        for one in of_day
        if one.found.p_value <= level_of(false_alarms, len(of_day))
    ]
    items.sort(key=lambda one: (-one.day.toordinal(), one.p_value, one.agent, one.figure))
    looked = [
        DayLooked(
            day=day,
            agents=len({one.agent for one in of_day}),
            tests=len(of_day),
            level=level_of(false_alarms, len(of_day)) if of_day else None,
        )
        for day, of_day in by_day.items()
    ]
    return DayChanges(
        timezone=timezone,
        false_alarms=false_alarms,
        days=looked,
        said=_arithmetic(looked, false_alarms),
        items=items,
    )


def _arithmetic(looked: Sequence[DayLooked], false_alarms: float) -> str:
    last = next((one for one in reversed(looked) if one.tests), None)
    if last is None or last.level is None:
        return (
            "Not enough to tell a day from others: an agent needs four weeks of days with 20"
            " conversations."
        )
    agents = "1 agent" if last.agents == 1 else f"{last.agents} agents"
    alarms = "1 false alarm" if false_alarms == 1 else f"{false_alarms:g} false alarms"
    return (
        f"{last.tests} figures of {agents} × {MONTH:.1f} days = {last.tests * MONTH:,.0f} tests a"
        f" month. At {alarms} a month a day is told where chance would bring one like it in at most"
        f" 1 of {1 / last.level:,.0f} tests."
    )


def _item(one: Judged, tests: int) -> DayChange:
    told, found = one.told, one.found
    return DayChange(
        day=one.day,
        agent=one.agent,
        figure=told.name,
        label=told.label,
        kind=told.kind,
        better=told.better,
        direction=one.direction,
        unit=told.unit,
        value=found.value,
        usual=found.usual,
        low=found.low,
        high=found.high,
        difference=found.value - found.usual,
        relative=one.relative,
        p_value=found.p_value,
        false_alarms=found.p_value * tests * MONTH,
        conversations=one.conversations,
        learned_days=found.days,
        said=_said(one),
    )


def _said(one: Judged) -> str:
    told, found = one.told, one.found
    day = f"{one.day:%a} {one.day.day} {one.day:%b}"
    whose = f" of {one.agent}" if one.agent else ""
    return (
        f"{told.label}{whose}: {written(found.value, told.unit)} on {day}, where"
        f" {written(found.low, told.unit)} to {written(found.high, told.unit)} is usual"
    )
