"""The page of what is to come: the next week by day and by hour, and how surely."""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import TYPE_CHECKING, Final

from otel_chat.server.pages import formats
from otel_chat.server.pages.charts import Chart, Column
from otel_chat.server.pages.grids import Grid, Square, depth, sparse
from otel_chat.server.pages.overview import Card, meanings
from otel_chat.server.pages.periods import zones
from otel_chat.server.pages.sheets import Asking, Body, Sheet
from otel_chat.server.pages.tables import Cell, Head, Table, table
from otel_chat.server.questions import forecasts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date

    from otel_chat.server.pages.sheets import Panel
    from otel_chat.server.questions.forecasts import AgentAhead, BudgetEnd, Forecasts, Foretold

LABELS: Final = {
    "conversations": "Conversations",
    "handoffs": "Handoffs",
    "turns": "Turns",
    "tokens": "Tokens",
    "cost": "Cost",
    "containment": "Contained",
}
_BAND: Final = (
    "Lowest, highest",
    "In four of five cases what comes lies between, if the method is off as it was before.",
)


def _tokens(value: float | None) -> str:
    return formats.compact(None if value is None else round(value))


_WRITTEN: Final[dict[str, Callable[[float | None], str]]] = {
    **dict.fromkeys(LABELS, formats.whole),
    "tokens": _tokens,
    "cost": formats.money,
    "containment": formats.percent,
}


def _day(day: date) -> str:
    return f"{day:%a} {day.day} {day:%b}"


def _between(low: float | None, high: float | None, written: Callable[[float | None], str]) -> str:
    return "" if low is None or high is None else f"{written(low)} to {written(high)}"


def _cards(found: Forecasts) -> list[Card]:
    cards = []
    for one in found.measures:
        values = [point.value for point in one.days if point.value is not None]
        written = _WRITTEN[one.measure]
        share = one.measure == "containment"
        sample = "how far off is not known yet"
        if one.error is not None:
            sample = f"was off by {forecasts.amount(one.error, one.measure)} on average"
        mean = sum(values) / len(values) if values else None
        cards.append(
            Card(
                key=one.measure,
                label=LABELS[one.measure],
                value=written(mean if share else sum(values)) if values else formats.NO_DATA,
                note="mean of the next seven days" if share else "in the next seven days",
                sample=sample,
                meanings=meanings("forecast_error"),
            )
        )
    return cards


def _chart(one: Foretold) -> Chart:
    """Four weeks as they were, and the week to come."""
    written = _WRITTEN[one.measure]
    unit = {"cost": "USD", "containment": "1"}.get(one.measure, "count")
    known, ahead = one.known, one.days
    days = [*(point.day for point in known), *(point.day for point in ahead)]
    before: list[float | None] = [None] * len(known)
    after: list[float | None] = [None] * len(ahead)

    def line(label: str, values: list[float | None], **more: object) -> Column:
        return Column(label, values, written, unit=unit, **more)  # type: ignore[arg-type]

    return Chart(
        one.measure,
        LABELS[one.measure],
        one.said,
        [(datetime.combine(day, time(), UTC), _day(day)) for day in days],
        [
            line("Lowest", [*before, *(point.low for point in ahead)], colour="accent-soft"),
            line(
                "Highest", [*before, *(point.high for point in ahead)], colour="accent-soft",
                band=True,
            ),
            line("Foretold", [*before, *(point.value for point in ahead)], colour="warn"),
            line("As it was", [*(point.value for point in known), *after]),
        ],
        axis="Day",
        meanings=[*meanings("forecast_error"), _BAND],
    )  # fmt: skip


def _hours(one: Foretold, asking: Asking) -> Grid:
    zone = asking.timezone
    most = max((point.value for point in one.hours), default=0.0)
    rows = []
    for day in one.days:
        cells = [point for point in one.hours if point.start.date() == day.day]
        squares = [
            Square(
                f"{point.value:.1f}",
                f"{_day(day.day)}, {point.start:%H:%M}: {point.value:.1f} {one.measure}"
                + _range(point.low, point.high),
                depth(round(100 * point.value), round(100 * most)),
            )
            for point in cells
        ]
        rows.append((_day(day.day), squares))
    off = "" if one.hour_error is None else f" By hour off by {formats.percent(one.hour_error)}."
    return Grid(
        f"{one.measure}-by-hour",
        f"{LABELS[one.measure]} by hour",
        f"How many people have to be there, and when?{off}",
        f"{LABELS[one.measure]} of the next week by day and hour, {zone}",
        sparse([f"{hour:02d}:00" for hour in range(24)], 8),
        rows,
        meanings=[*meanings("forecast_error"), _BAND],
        zones=zones(zone),
    )


def _range(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f", {low:.1f} to {high:.1f}"


def _days(found: Forecasts) -> Table:
    def head(one: Foretold) -> Head[int]:
        written = _WRITTEN[one.measure]

        def cell(place: int) -> Cell:
            point = one.days[place]
            return Cell(written(point.value), sub=_between(point.low, point.high, written))

        return Head(LABELS[one.measure], cell)

    days = found.measures[0].days
    heads: list[Head[int]] = [
        Head("Day", lambda place: _day(days[place].day), number=False),
        *(head(one) for one in found.measures),
    ]
    return table(
        "days", "The next seven days", "What will each day bring, the present one as a whole?",
        heads, range(len(days)), nothing="", wide=True, more=[_BAND],
    )  # fmt: skip


def _errors(found: Forecasts) -> Table:
    def off(one: Foretold, error: float | None) -> str:
        return formats.NO_DATA if error is None else forecasts.amount(error, one.measure)

    heads: list[Head[Foretold]] = [
        Head("Figure", lambda one: LABELS[one.measure], number=False),
        Head("Off by", lambda one: off(one, one.error), figure="forecast_error"),
        Head("A week before", lambda one: off(one, one.naive_error)),
        Head("Off by hour", lambda one: off(one, one.hour_error)),
        Head("Days tried", lambda one: formats.count(one.judged_days)),
        Head("In words", lambda one: one.said, number=False),
    ]
    return table(
        "errors", "How far off it was", "The same method on the last four weeks, each week foretold"
        " from what was known before it.", heads, found.measures, nothing="", wide=True,
    )  # fmt: skip


def _agents(found: Forecasts, asking: Asking) -> Table:
    def week(one: AgentAhead) -> Cell:
        if one.conversations is None:
            text = f"{one.days_known} of {forecasts.NEEDED} whole days"
            return Cell("not enough data", sub=text)
        return Cell(
            formats.whole(one.conversations), sub=_between(one.low, one.high, formats.whole)
        )

    heads: list[Head[AgentAhead]] = [
        Head(
            "Agent",
            lambda one: (
                Cell(one.agent, asking.view.narrowed_here("/forecasts", agent=one.agent))
                if one.agent
                else Cell("(no agent)")
            ),
            number=False,
        ),
        Head("Conversations in seven days", week),
        Head("Off by", lambda one: formats.percent(one.error), figure="forecast_error"),
    ]
    return table(
        "agents", "By agent", "Which bot will have how much to do? Each leads to its own forecast.",
        heads, found.agents, nothing="No conversation in the last 84 days.",
    )  # fmt: skip


def _budgets(found: Sequence[BudgetEnd]) -> Table:
    heads: list[Head[BudgetEnd]] = [
        Head("Budget", lambda one: Cell(one.name, sub=one.agent or ""), number=False),
        Head("May cost", lambda one: formats.money(one.usd)),
        Head("Spent", lambda one: formats.money(one.spent)),
        Head(
            "The month will cost",
            lambda one: Cell(
                formats.money(one.total),
                sub=_between(one.total_low, one.total_high, formats.money),
                tone="warn" if one.total is not None and one.total > one.usd else "",
            ),
        ),
        Head("In words", lambda one: one.said, number=False),
    ]
    return table(
        "budget-ends", "Budgets of the month", "Until when will the money do? In UTC.",
        heads, found, nothing="", wide=True, more=[_BAND],
    )  # fmt: skip


def body(asking: Asking) -> Body:
    """What stands on the page of what is to come."""
    zone = asking.timezone
    found = forecasts.forecasts(
        asking.store, asking.scope, asking.window, asking.filters, zone,
        hours=True, budgets=asking.budgets,
    )  # fmt: skip
    notice = f"{found.said} The window above changes nothing here; the other filters do."
    agents = [_agents(found, asking)] if found.agents else []
    ends: list[Panel] = [_budgets(found.budgets)] if found.budgets else []
    if not found.enough:
        return Body(panels=[*ends, *agents], notice=notice)
    by_name = {one.measure: one for one in found.measures}
    return Body(
        cards=_cards(found),
        panels=[
            *(_chart(by_name[name]) for name in ("conversations", "handoffs")),
            *ends,
            _hours(by_name["handoffs"], asking),
            _days(found),
            *(_chart(by_name[name]) for name in ("cost", "containment")),
            _errors(found),
            *agents,
        ],
        notice=notice,
    )


FORECASTS: Final = Sheet(
    "forecasts",
    "/forecasts",
    "Forecasts",
    "ahead",
    "What will the next week bring, and how sure is that?",
    body,
)
