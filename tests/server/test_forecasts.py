"""Forecasts over a store: what is learned from, what is left out, when budgets end."""

from __future__ import annotations

import random
import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from otel_chat.server.budgets import Budget
from otel_chat.server.figures.filters import Filters
from otel_chat.server.figures.window import Window
from otel_chat.server.questions.forecasts import (
    BudgetEnd,
    Forecasts,
    Foretold,
    budget_ends,
    forecasts,
)
from tests.server.given import NOON, Given

HOUR = 3600
DAY = 24 * HOUR
MIDNIGHT = NOON.replace(hour=0)  # 10 November, a Tuesday
OPEN = range(8, 18)
WEEKDAYS = (6, 6, 5, 5, 4, 2, 1)


def chats(given: Given, days: int, *, agent: str = "support", seed: int = 1) -> None:
    """So many whole days before the present one: conversations of a turn, by day and by night none.

    Of each day's a tenth is handed off, and one turn costs a cent.
    """
    rng = random.Random(seed)
    for back in range(1, days + 1):
        weekday = (MIDNIGHT - timedelta(days=back)).weekday()
        for hour in OPEN:
            for number in range(WEEKDAYS[weekday]):
                given.turn(
                    f"{agent} {back} {hour} {number}",
                    (hour - 12) * HOUR - back * DAY + rng.uniform(0, HOUR - 5),
                    agent=agent, cost="0.01", input_tokens=90, output_tokens=10,
                    handoff=hour == OPEN[0],
                )  # fmt: skip


def ask(given: Given, **more: Any) -> Forecasts:
    window = Window(NOON - timedelta(days=7), NOON, NOON)
    filters = more.pop("filters", Filters())
    return forecasts(given.store, given.scope, window, filters, **more)


def of(found: Forecasts, measure: str) -> Foretold:
    return next(one for one in found.measures if one.measure == measure)


def by_weekday(one: Foretold) -> dict[int, float | None]:
    return {point.day.weekday(): point.value for point in one.days}


def test_a_week_that_repeats_is_foretold_by_day_hour_and_share(given: Given) -> None:
    """Seven days from the present one on, in every measure; nobody writes at night."""
    chats(given, 36)
    given.save()
    found = ask(given, hours=True)
    assert (found.enough, found.days_known, found.hours_missing) == (True, 35, 0)
    assert found.learned_to == date(2026, 11, 9)
    conversations = of(found, "conversations")
    assert [point.day for point in conversations.days] == [
        date(2026, 11, 10) + timedelta(days=n) for n in range(7)
    ]
    usual = {day: 10.0 * many for day, many in enumerate(WEEKDAYS)}
    assert by_weekday(conversations) == pytest.approx(usual)
    assert by_weekday(of(found, "turns")) == pytest.approx(usual)
    assert by_weekday(of(found, "tokens")) == pytest.approx({d: 100 * n for d, n in usual.items()})
    assert by_weekday(of(found, "cost")) == pytest.approx({d: n / 100 for d, n in usual.items()})
    assert by_weekday(of(found, "handoffs")) == pytest.approx({d: n / 10 for d, n in usual.items()})
    assert by_weekday(of(found, "containment")) == pytest.approx(dict.fromkeys(range(7), 0.9))
    hours = {point.start: point.value for point in of(found, "handoffs").hours}
    assert len(hours) == 7 * 24
    assert hours[MIDNIGHT.replace(hour=8)] == pytest.approx(6)
    assert hours[MIDNIGHT.replace(hour=9)] == 0
    assert (conversations.error, conversations.judged_days) == (0.0, 28)
    assert "was off by 0.0 % on average over 28 days" in conversations.said


def test_the_present_day_is_never_learned_from(given: Given) -> None:
    """Whatever came since midnight changes nothing, for the day is not whole."""
    chats(given, 22)
    given.save()
    before = ask(given)
    for number in range(500):
        given.turn(f"today {number}", -HOUR)
    given.save()
    assert of(ask(given), "turns").days == of(before, "turns").days


def test_what_the_settler_has_not_told_yet_is_not_learned_from(given: Given) -> None:
    """An answer that is complete up to yesterday morning knows nothing whole of yesterday."""
    chats(given, 22)
    given.save()
    late = NOON - timedelta(days=1)
    window = Window(NOON - timedelta(days=7), NOON, NOON, as_of=late)
    found = forecasts(given.store, given.scope, window, Filters())
    assert found.learned_to == date(2026, 11, 8)
    assert of(found, "turns").days[0].day == date(2026, 11, 9)


def test_an_outage_is_left_out_and_told(given: Given) -> None:
    """A Thursday without a turn is neither learned from nor judged by."""
    chats(given, 43)
    gone = MIDNIGHT - timedelta(days=5)
    given.rows = [
        (kind, row) for kind, row in given.rows if not row["start"].startswith(f"{gone:%Y-%m-%d}")
    ]
    given.save()
    found = ask(given)
    assert found.hours_missing == len(OPEN)
    assert "left out as a gap" in found.said
    turns = of(found, "turns")
    assert by_weekday(turns)[gone.weekday()] == pytest.approx(50)
    assert (turns.error, turns.judged_days) == (0.0, 27)
    assert next(point.day for point in turns.known if point.value is None) == gone.date()


def test_too_few_days_are_said_to_be_too_few(given: Given) -> None:
    """The first day may have begun in the middle, so 14 days with turns are 13 whole ones."""
    chats(given, 14)
    given.save()
    found = ask(given)
    assert (found.enough, found.measures) == (False, [])
    assert found.said == "Not enough data: 13 of 14 whole days."
    assert ask(Given(given.store)).said == "Not enough data: 0 of 14 whole days."


def test_each_agent_has_its_own(given: Given) -> None:
    """The one with the most first; one that is new has not enough yet, and filters hold."""
    chats(given, 29)
    chats(given, 29, agent="sales", seed=2)
    chats(given, 5, agent="new", seed=3)
    given.rows = [
        (kind, row)
        for number, (kind, row) in enumerate(given.rows)
        if row["agent"] != "sales" or number % 2
    ]
    given.save()
    found = ask(given)
    assert [one.agent for one in found.agents] == ["support", "sales", "new"]
    support, sales, new = found.agents
    assert support.conversations == pytest.approx(290)
    assert sales.conversations == pytest.approx(145, rel=0.1)
    assert (new.conversations, new.days_known) == (None, 4)
    alone = ask(given, filters=Filters(agent="support"))
    assert by_weekday(of(alone, "turns")) == pytest.approx(
        {day: 10.0 * many for day, many in enumerate(WEEKDAYS)}
    )


def test_days_are_those_of_the_time_zone(given: Given) -> None:
    """Seven hours before midnight in UTC it is the next day in Auckland."""
    chats(given, 30)
    given.save()
    found = ask(given, timezone="Pacific/Auckland", hours=True)
    first = of(found, "turns").hours[0].start
    assert first.isoformat() == "2026-11-11T00:00:00+13:00"
    by_hour = {
        point.start.astimezone(UTC).hour: point.value
        for point in of(found, "turns").hours
        if point.start.date() == date(2026, 11, 12)
    }
    assert by_hour[8] == pytest.approx(5)  # Wednesday's in UTC
    assert by_hour[3] == 0


def budget_of(given: Given, usd: str, now: datetime = NOON, **more: Any) -> BudgetEnd:
    budget = Budget.model_validate(
        {"name": "b", "usd": usd, "period": "month", "tenant": given.tenant, **more}
    )
    daily = Budget(name="d", usd=Decimal(1), period="day", tenant=given.tenant)
    window = Window(now - timedelta(days=7), now, now)
    found = forecasts(given.store, given.scope, window, Filters(), budgets=[daily, budget])
    (one,) = found.budgets
    return one


def test_the_day_on_which_a_budget_ends(given: Given) -> None:
    """By hand: 3.6 up to the 9th, then 0.6, 0.5, 0.5, 0.4, 0.2, 0.1, 0.6 a day from the 10th on."""
    chats(given, 50)
    given.save()
    spent = sum(WEEKDAYS[date(2026, 11, day).weekday()] for day in range(1, 10)) / 10
    assert spent == pytest.approx(3.6)
    found = budget_of(given, "5.0")
    assert (found.ends, found.earliest, found.latest) == (date(2026, 11, 12),) * 3
    assert found.said == "The budget b ends on the 12th."
    lasting = budget_of(given, "50")
    assert lasting.ends is None
    rest = sum(WEEKDAYS[date(2026, 11, day).weekday()] for day in range(10, 31)) / 10
    assert lasting.total == pytest.approx(spent + rest)
    assert lasting.said == "The budget b lasts the month: about $12.30 of $50.00."
    assert budget_of(given, "2").said == "The budget b is spent."


def test_a_budget_ends_between_two_days_where_days_differ(given: Given) -> None:
    """The earliest is where every day costs what it may, the latest where it costs the least."""
    chats(given, 50)
    rng = random.Random(5)
    weeks = {week: rng.uniform(0.5, 1) for week in range(10)}
    given.rows = [
        (kind, row)
        for kind, row in given.rows
        if rng.random() < weeks[datetime.fromisoformat(row["start"]).isocalendar().week % 10]
    ]
    given.save()
    found = budget_of(given, "6.5")
    assert found.ends is not None
    assert found.earliest is not None
    assert found.latest is not None
    assert found.earliest < found.ends < found.latest
    named = (found.ends, found.earliest, found.latest)
    assert [str(day.day) in found.said for day in named] == [True] * 3
    assert found.said.startswith(f"The budget b ends on the {found.ends.day}th (")


def test_budgets_of_agents_and_tenants_are_told_by_one_reading(
    given: Given, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each as if it were asked about alone; the days before are read once for all of them."""
    chats(given, 30, agent="a")
    chats(given, 40, agent="b", seed=2)
    given.save()
    of_month = {"period": "month", "usd": "5", "tenant": given.tenant}
    some = [
        Budget.model_validate({"name": name, **of_month, **more})
        for name, more in (("all", {}), ("a", {"agent": "a"}), ("b", {"agent": "b"}))
    ]
    window = Window(NOON - timedelta(days=7), NOON, NOON)
    asked: list[str] = []
    asking = given.store.query

    def listening(statement: str, *rest: Any, **more: Any) -> Any:
        asked.append(statement)
        return asking(statement, *rest, **more)

    monkeypatch.setattr(given.store, "query", listening)
    together = budget_ends(given.store, given.scope, window, some)
    read = [statement for statement in asked if "toStartOfFifteenMinutes" in statement]
    assert len(read) == 1
    alone = [budget_ends(given.store, given.scope, window, [one])[0] for one in some]
    assert together == alone
    assert together[0].spent == together[1].spent + together[2].spent


def test_a_budget_of_a_new_bot_is_not_foretold(given: Given) -> None:
    """A week of data tells what was spent, and nothing more."""
    chats(given, 7)
    given.save()
    found = budget_of(given, "50")
    assert (found.ends, found.total) == (None, None)
    assert found.said == "The budget b: not enough data, 6 of 14 whole days."


def test_the_address_tells_of_the_hours_where_it_is_asked(client: TestClient) -> None:
    """And refuses a time zone that there is none of."""
    answer = client.get("/api/v1/forecasts", params={"timezone": "Europe/Berlin", "hours": "true"})
    assert answer.status_code == 200
    assert answer.json()["timezone"] == "Europe/Berlin"
    refused = client.get("/api/v1/forecasts", params={"timezone": "Mars/Olympus"})
    assert (refused.status_code, refused.json()["error"]["field"]) == (422, "timezone")


def test_the_commands_of_the_documentation_work(client: TestClient) -> None:
    """Each line of `curl` in docs/forecasts.md is answered."""
    page = (Path(__file__).parents[2] / "docs" / "forecasts.md").read_text()
    addresses = re.findall(r'^curl "localhost:8400(.+)"$', page, flags=re.MULTILINE)
    assert len(addresses) == 2
    assert [client.get(address).status_code for address in addresses] == [200, 200]
