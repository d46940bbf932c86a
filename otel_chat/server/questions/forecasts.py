"""What the next week is likely to bring, by day and by hour, and when the month's budgets end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import Field

from otel_chat._common.moments import UTC_NAME, zone_of
from otel_chat.server.figures.answers import Answer, Money
from otel_chat.server.figures.conversation_rows import Selection, conversation_rows
from otel_chat.server.figures.figures import conditions_on_turns
from otel_chat.server.figures.filters import Filters
from otel_chat.server.figures.registry import figure, query
from otel_chat.server.figures.sql import Query
from otel_chat.server.figures.sums import Grouping, sums
from otel_chat.server.figures.window import EARLIEST, Window
from otel_chat.server.questions.budgets import spendings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from otel_chat.server.access import Scope
    from otel_chat.server.budgets import Budget
    from otel_chat.server.figures.forecasting import Band, Course, Flags, Forecast, Numbers
    from otel_chat.server.questions.budgets import Spending
    from otel_chat.server.store import Store

Measure = Literal["conversations", "handoffs", "turns", "tokens", "cost", "containment"]
NEEDED: Final = 14
"""Whole days without which there is no forecast."""
READ: Final = 84
"""Days that are read: 56 to learn from, before each of the four weeks that it is tried on."""
AGENTS: Final = 10
_DAY: Final = timedelta(days=1)
_COUNTED: Final = ("conversations", "handoffs", "turns", "tokens", "cost")
_UNITS: Final[Mapping[str, str]] = {
    "conversations": "{conversation}",
    "handoffs": "{conversation}",
    "turns": "{turn}",
    "tokens": "{token}",
    "cost": "USD",
    "containment": "1",
}
_MEANINGS: Final = (
    "Conversations that will start, those of them that will be handed off (by when they start),"
    " turns, input and output tokens, cost of the turns with a price; and of the conversations that"
    " will settle, the share without a handoff."
)


class DayAhead(Answer):
    """A day to come."""

    day: date
    value: float | None = Field(description="Null for a share of nothing.")
    low: float | None = Field(description="In four of five cases it will not be less.")
    high: float | None = Field(description="Nor more than this.")


class HourAhead(Answer):
    """An hour to come."""

    start: datetime
    value: float
    low: float | None
    high: float | None


class DayKnown(Answer):
    """A day that was."""

    day: date
    value: float | None = Field(description="Null where hours of it are missing.")


class Foretold(Answer):
    """What is foretold of one thing."""

    measure: Measure
    unit: str
    method: Literal["a week before", "level and season"] = Field(
        description="Each day as the same day a week before; or the last two weeks' level and the"
        " weekly season (STL), where that was off by less."
    )
    error: float | None = figure(
        "forecast_error",
        "1",
        "How far the same method was off on the last four weeks, each foretold from what was known"
        " before it: the sum of what it was off by ÷ the sum of what came. Of containment the mean"
        " difference of the shares, weighted by conversations.",
    )
    naive_error: float | None = Field(description="How far the same days a week before were off.")
    hour_error: float | None = Field(description="How far it was off by hour.")
    judged_days: int = Field(description="On so many days it was tried.")
    said: str = Field(description="The error in words.")
    days: list[DayAhead] = Field(description="Seven, the present one first.")
    hours: list[HourAhead] = Field(description="Their hours, where they were asked for.")
    known: list[DayKnown] = Field(description="The last four weeks as they were.")


class AgentAhead(Answer):
    """Conversations of the next seven days with one agent."""

    agent: str
    conversations: float | None = Field(description="Null where there are too few days.")
    low: float | None
    high: float | None
    error: float | None
    days_known: int


class BudgetEnd(Answer):
    """Until when a month's budget will do."""

    name: str
    agent: str | None
    tenant: str | None
    usd: Money
    spent: Money
    total: float | None = Field(description="What the month will cost, USD; null if unknown.")
    total_low: float | None
    total_high: float | None
    ends: date | None = Field(description="The day on which it will be spent; null for none.")
    earliest: date | None = Field(description="If days cost as much as they may.")
    latest: date | None = Field(description="If days cost as little as they may.")
    said: str = Field(description="The same in words.")


class Forecasts(Answer):
    """What the next week is likely to bring."""

    timezone: str
    learned_from: date | None = Field(description="The first whole day that it learned from.")
    learned_to: date | None = Field(description="The last one; the present day is none.")
    days_known: int = Field(description=f"Whole days; under {NEEDED} are not enough.")
    hours_missing: int = Field(
        description="Hours without any turn where many were to be expected. They count as such"
        " hours usually are, and their days do not judge the methods."
    )
    enough: bool
    said: str = Field(description="Why there is no forecast, or what it rests on.")
    measures: list[Foretold] = Field(description=_MEANINGS)
    agents: list[AgentAhead] = Field(description=f"Those with the most, at most {AGENTS}.")
    budgets: list[BudgetEnd] = Field(description="Those of a month, in UTC.")


@dataclass(frozen=True, slots=True)
class _Calendar:
    """The whole days that are read, in a time zone."""

    first: date
    end: date
    zone: str

    @classmethod
    def of(cls, window: Window, zone: str) -> _Calendar:
        known = zone_of(zone)
        until = window.now if window.as_of is None else min(window.now, window.as_of)
        end = until.astimezone(known).date()
        return cls(max(end - READ * _DAY, EARLIEST.date() + _DAY), end, zone)

    def moment(self, day: date, hour: int = 0) -> datetime:
        return datetime.combine(day, time(hour), zone_of(self.zone))

    def window(self, asked: Window) -> Window:
        """The same question about these days."""
        start, end = self.moment(self.first), self.moment(self.end)
        return Window(start, end, asked.now, asked.idle, as_of=asked.as_of, rules=asked.rules)

    def days(self, since: date | None = None) -> list[date]:
        first = since or self.first
        return [first + n * _DAY for n in range((self.end - first).days)]


@dataclass(frozen=True, slots=True)
class _Learned:
    """What is known of the whole days of one agent, or of all."""

    days: list[date]
    courses: Mapping[str, Course]
    raw: Mapping[str, Numbers]
    missing: int


Hours = dict[tuple[date, int], dict[str, Any]]
"""Sums by day and hour."""
Rows = dict[str, Hours]
"""The same by agent."""
_OF_TURNS: Final = ("turns", "sum_input_tokens", "sum_output_tokens", "sum_cost")
_SLOT: Final = "toStartOfFifteenMinutes({})"
_AGENT: Final = "toString(agent)"
_OWNER: Final = "concat(toString(tenant), '\\n', toString(agent))"


def _turns(statement: Query, window: Window, filters: Filters, zone: str, of: str = _AGENT) -> Rows:
    """What turns sum up to by day and hour, and by agent, or by tenant and agent."""
    conditions = conditions_on_turns(statement, window, filters)
    grouping = Grouping(lambda _query, column: f"({of}, {_SLOT.format(column)})")
    slots = sums(statement, "turns", conditions, grouping, _OF_TURNS)
    tokens = "sum(ifNull(p_sum_input_tokens, 0)) + sum(ifNull(p_sum_output_tokens, 0))"
    counts = (
        f"sum(p_turns) AS turns, toFloat64({tokens}) AS tokens,"
        " toFloat64(sum(ifNull(p_sum_cost, 0))) AS cost"
    )
    return _by_hour(statement, slots, "part.1 AS agent", "part.2", counts, zone)


def _conversations(statement: Query, window: Window, filters: Filters, zone: str) -> Rows:
    columns = ("started_at", "agent", "settled", "handed_off")
    rows = conversation_rows(statement, Selection(window, filters), *columns)
    counts = (
        "count() AS conversations, countIf(handed_off) AS handoffs, countIf(settled) AS settled_n,"
        " countIf(settled AND NOT handed_off) AS contained"
    )
    slots = (
        f"(SELECT toString(agent) AS agent, {_SLOT.format('started_at')} AS part, settled,"  # noqa: S608
        f" handed_off FROM {rows})"
    )
    return _by_hour(statement, slots, "agent", "part", counts, zone)


def _by_hour(statement: Query, source: str, agent: str, slot: str, counts: str, zone: str) -> Rows:
    named = statement.bind(zone, "String")
    rows = statement.run(f"""
        SELECT {agent}, toString(toDate32({slot}, {named})) AS day, toHour({slot}, {named}) AS hour,
            {counts}
        FROM {source} AS s
        GROUP BY agent, day, hour
    """)  # noqa: S608
    found: Rows = {}
    for row in rows:
        found.setdefault(row["agent"], {})[date.fromisoformat(row["day"]), row["hour"]] = row
    return found


def _learned(calendar: _Calendar, turns: Iterable[Rows], agents: Iterable[str]) -> _Learned:
    """The days since the first that is sure to be whole, by hour."""
    import numpy as np

    from otel_chat.server.figures import forecasting

    found = [rows[agent] for rows in turns for agent in agents if agent in rows]
    begun = min((day for rows in found for day, _ in rows), default=calendar.end)
    # The first day with anything may have begun in the middle, unless more was left unread.
    first = begun if begun == calendar.first else begun + _DAY
    days = calendar.days(first) if first < calendar.end else []
    place = {day: number for number, day in enumerate(days)}
    names = ("conversations", "handoffs", "settled_n", "contained", "turns", "tokens", "cost")
    raw = {name: np.zeros((len(days), 24)) for name in names}
    for rows in found:
        for (day, hour), row in rows.items():
            if day in place:
                for name in names:
                    raw[name][place[day], hour] += row.get(name) or 0
    missing = forecasting.gaps(raw["turns"])
    known: Flags = np.all(~missing, axis=1)
    full = {name: forecasting.filled(values, missing) for name, values in raw.items()}
    courses = {name: forecasting.Course(full[name], None, known) for name in _COUNTED}
    courses["containment"] = forecasting.Course(full["contained"], full["settled_n"], known)
    return _Learned(days, courses, raw, int(missing.sum()))


def seasons_of(statement: Query) -> Callable[[Sequence[Sequence[float]]], list[list[float]]]:
    """Has the engine work weekly seasons out, all that are asked for at once.

    Args:
        statement: A SELECT, which says whose engine it is.
    """

    def seasons(courses: Sequence[Sequence[float]]) -> list[list[float]]:
        given = statement.bind([[float(one) for one in some] for some in courses],
                               "Array(Array(Float64))")  # fmt: skip
        rows = statement.run(f"""
            SELECT arrayElement(seriesDecomposeSTL(course, 7), 1) AS season
            FROM (SELECT arrayJoin(arrayEnumerate({given})) AS place, {given}[place] AS course)
            ORDER BY place
        """)  # noqa: S608
        return [row["season"] for row in rows]

    return seasons


@query()
def forecasts(
    store: Store,
    scope: Scope,
    window: Window,
    filters: Filters,
    timezone: str = UTC_NAME,
    *,
    hours: bool = False,
    budgets: Sequence[Budget] = (),
) -> Forecasts:
    """What the next seven days are likely to bring, and when the month's budgets end.

    Args:
        store: The store to ask.
        scope: What the caller may see.
        window: Says when the question is asked; the last 84 whole days are read whatever it is.
        filters: What turns and conversations are limited to.
        timezone: The time zone of days and hours, as Europe/Berlin.
        hours: Whether hours are told, too.
        budgets: The budgets; those of a month that the caller may see are told.

    Raises:
        QueryError: If there is no such time zone.
    """
    calendar = _Calendar.of(window, timezone)
    asked = calendar.window(window)
    begun = store.submit(_conversations, Query(store, scope), asked, filters, timezone)
    turns = _turns(Query(store, scope), asked, filters, timezone)
    parts = (turns, begun.result())
    agents = sorted({agent for rows in parts for agent in rows})
    whole = _learned(calendar, parts, agents)
    ranked = sorted(agents, key=lambda one: (-_many(parts[1], one), one))[:AGENTS]
    by_agent = {one: _learned(calendar, parts, [one]) for one in ranked}
    courses = [
        *whole.courses.values(),
        *(one.courses["conversations"] for one in by_agent.values()),
    ]
    found = _foretold(Query(store, scope), courses)
    own, others = found[: len(whole.courses)], found[len(whole.courses) :]
    measures = zip(whole.courses, own, strict=True)
    return Forecasts(
        timezone=timezone,
        learned_from=whole.days[0] if whole.days else None,
        learned_to=whole.days[-1] if whole.days else None,
        days_known=len(whole.days),
        hours_missing=whole.missing,
        enough=len(whole.days) >= NEEDED,
        said=_rests_on(whole),
        measures=[
            _told(name, one, whole, calendar, hours=hours)  # type: ignore[arg-type]
            for name, one in measures
            if one is not None
        ],
        agents=[
            _agent(name, by_agent[name], one) for name, one in zip(by_agent, others, strict=True)
        ],
        budgets=budget_ends(store, scope, window, budgets),
    )


def _many(rows: Rows, agent: str) -> int:
    return sum(row["conversations"] for row in rows.get(agent, {}).values())


def _foretold(statement: Query, courses: Sequence[Course], ahead: int = 7) -> list[Forecast | None]:
    from otel_chat.server.figures import forecasting

    return forecasting.forecasts(courses, seasons_of(statement), ahead)


def _rests_on(whole: _Learned) -> str:
    days = len(whole.days)
    if days < NEEDED:
        return f"Not enough data: {days} of {NEEDED} whole days."
    last = whole.days[-1]
    text = f"Learned from the {days} whole days up to {last.day} {last:%B}."
    if whole.missing:
        hours = "an hour" if whole.missing == 1 else f"{whole.missing} hours"
        text += f" Without any turn where many were to be expected: {hours}, left out as a gap."
    return text


def _number(value: Any) -> float | None:
    """A number as JSON has it."""
    return None if value is None or value != value else float(value)  # noqa: PLR0124 - not a number


def _at(values: Numbers | None, place: int) -> float | None:
    return None if values is None else _number(values[place])


def _told(
    name: Measure, one: Forecast, whole: _Learned, calendar: _Calendar, *, hours: bool
) -> Foretold:
    course = whole.courses[name]
    part = course.part.sum(axis=1)
    known = []
    for place in range(max(0, course.days - 28), course.days):
        value: float | None = float(part[place])
        if course.whole is not None:
            of = float(course.whole[place].sum())
            value = float(part[place]) / of if of else None
        known.append(DayKnown(day=whole.days[place], value=value if course.known[place] else None))
    return Foretold(
        measure=name,
        unit=_UNITS[name],
        method=one.method,
        error=one.days.error,
        naive_error=one.naive_error,
        hour_error=one.hours.error if one.hours is not None else None,
        judged_days=one.judged,
        said=error_in_words(name, one),
        days=[
            DayAhead(
                day=calendar.end + place * _DAY,
                value=_number(one.days.values[place]),
                low=_at(one.days.low, place),
                high=_at(one.days.high, place),
            )
            for place in range(7)
        ],
        hours=_hours(one.hours, calendar) if hours and one.hours is not None else [],
        known=known,
    )


def _hours(band: Band, calendar: _Calendar) -> list[HourAhead]:
    found = []
    for place, value in enumerate(band.values):
        day, hour = calendar.end + place // 24 * _DAY, place % 24
        start = calendar.moment(day, hour)
        found.append(
            HourAhead(
                start=start, value=float(value), low=_at(band.low, place),
                high=_at(band.high, place),
            )
        )  # fmt: skip
    return found


def amount(error: float, name: str) -> str:
    """How far off a forecast was, with its unit.

    Args:
        error: As a share of 1.
        name: What was foretold: a share is off by points.

    Example:
        >>> amount(0.0621, "turns"), amount(0.214, "turns"), amount(0.031, "containment")
        ('6.2 %', '21 %', '3.1 points')
    """
    shown = f"{100 * error:.1f}" if error < 0.0995 else f"{100 * error:.0f}"  # noqa: PLR2004
    return f"{shown} {'points' if name == 'containment' else '%'}"


def error_in_words(name: str, one: Forecast) -> str:
    """How far off a forecast was, as people say it.

    Args:
        name: What is foretold.
        one: The forecast.
    """
    error = one.days.error
    if error is None:
        return "Each day as the same day a week before; how far off that is cannot be told yet."
    text = f"was off by {amount(error, name)} on average over {one.judged} days"
    if one.method == "level and season":
        before = one.naive_error
        naive = "" if before is None else f"; the same days a week before by {amount(before, name)}"
        return f"Level and season {text}{naive}."
    if one.seasonal_error is None:
        return f"Each day as the same day a week before {text}."
    return (
        f"Each day as the same day a week before {text}; level and season did not beat it"
        f" ({amount(one.seasonal_error, name)})."
    )


def _agent(name: str, learned: _Learned, one: Forecast | None) -> AgentAhead:
    band = None if one is None else one.days
    return AgentAhead(
        agent=name,
        conversations=None if band is None else float(band.values.sum()),
        low=None if band is None or band.low is None else float(band.low.sum()),
        high=None if band is None or band.high is None else float(band.high.sum()),
        error=None if band is None else band.error,
        days_known=len(learned.days),
    )


@query()
def budget_ends(
    store: Store, scope: Scope, window: Window, budgets: Sequence[Budget]
) -> list[BudgetEnd]:
    """Until when the month's budgets will do, in UTC.

    Args:
        store: The store to ask.
        scope: What the caller may see.
        window: Says when the question is asked.
        budgets: The budgets; those of a day are left out.
    """
    months = [one for one in budgets if one.period == "month"]
    calendar = _Calendar.of(window, UTC_NAME)
    found = spendings(store, scope, window.now, months)
    if not found:
        return []
    every = _turns(Query(store, scope), calendar.window(window), Filters(), UTC_NAME, _OWNER)
    turns = [_of_budget(every, spent.budget) for spent in found]
    learned = [_learned(calendar, (rows,), sorted(rows)) for rows in turns]
    # Of a month that began after the last whole day, the days before it are passed over.
    first, after = found[0].start.date(), found[0].end.date()
    begin = max(calendar.end, first)
    days = slice((begin - calendar.end).days, (after - calendar.end).days)
    courses = [one.courses["cost"] for one in learned]
    bands = _foretold(Query(store, scope), courses, max(days.stop, 7))
    ends = []
    for spent, rows, known, one in zip(found, turns, learned, bands, strict=True):
        before = sum(
            row["cost"]
            for hours in rows.values()
            for (day, _), row in hours.items()
            if first <= day < calendar.end
        )
        paths = [] if one is None else _paths(one.days, spent, before, days)
        ends.append(_end(spent, paths, begin, len(known.days)))
    return ends


def _of_budget(every: Rows, budget: Budget) -> Rows:
    """The rows that a budget is about."""
    found = {}
    for owner, rows in every.items():
        tenant, _, agent = owner.partition("\n")
        if budget.tenant in {None, tenant} and budget.agent in {None, agent}:
            found[owner] = rows
    return found


def _paths(band: Band, spent: Spending, before: float, days: slice) -> list[list[float]]:
    """What is spent by the end of each day, and what it is at least and at most, if known."""
    so_far = float(spent.spent)
    # The present day costs at least what it has cost by now.
    more = before + max(so_far - before - float(band.values[days][0]), 0.0)
    some = [one for one in band.running(days) if one is not None]
    return [[max(more + float(total), so_far) for total in one] for one in some]


def _end(spent: Spending, paths: Sequence[Sequence[float]], today: date, known: int) -> BudgetEnd:
    budget = spent.budget
    ends = [_reached(path, today, float(budget.usd)) for path in paths]
    total, low, high = [path[-1] for path in paths] + [None] * (3 - len(paths))
    day, latest, earliest = ends + [None] * (3 - len(ends))
    over = spent.spent >= budget.usd
    return BudgetEnd(
        name=budget.name,
        agent=budget.agent,
        tenant=budget.tenant,
        usd=budget.usd,
        spent=spent.spent,
        total=total,
        total_low=low,
        total_high=high,
        ends=None if over else day,
        earliest=None if over else earliest,
        latest=None if over else latest,
        said=_said(spent, total, (earliest, day, latest), known),
    )


def _reached(path: Sequence[float], today: date, usd: float) -> date | None:
    place = next((place for place, total in enumerate(path) if total >= usd), None)
    return None if place is None else today + place * _DAY


def _said(
    spent: Spending,
    total: float | None,
    days: tuple[date | None, date | None, date | None],
    known: int,
) -> str:
    earliest, day, latest = days
    name, usd = spent.budget.name, spent.budget.usd
    if spent.spent >= usd:
        return f"The budget {name} is spent."
    if total is None:
        return f"The budget {name}: not enough data, {known} of {NEEDED} whole days."
    if day is None:
        text = f"The budget {name} lasts the month: about ${total:,.2f} of ${usd:,.2f}"
        return f"{text}; it may end on the {ordinal(earliest.day)}." if earliest else f"{text}."
    text = f"The budget {name} ends on the {ordinal(day.day)}"
    if earliest is None or earliest == latest:
        return f"{text}."
    if latest is None:
        return f"{text} ({ordinal(earliest.day)} at the earliest; it may last the month)."
    return f"{text} ({ordinal(earliest.day)} to {ordinal(latest.day)})."


def ordinal(number: int) -> str:
    """A day of the month as it is said.

    Example:
        >>> [ordinal(day) for day in (1, 2, 3, 4, 11, 12, 13, 21, 22, 31)]
        ['1st', '2nd', '3rd', '4th', '11th', '12th', '13th', '21st', '22nd', '31st']
    """
    teens = 10 < number % 100 < 14  # noqa: PLR2004 - eleventh, twelfth, thirteenth
    return f"{number}{'th' if teens else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"
