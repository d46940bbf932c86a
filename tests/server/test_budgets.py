"""Budgets: what is spent of them, who may see it, what Prometheus is told."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from otel_chat.errors import ConfigurationError
from otel_chat.server.access import ANALYTICS_VIEW, Scope
from otel_chat.server.budgets import Budget
from otel_chat.server.gauges import GaugeCollector, Gauges
from otel_chat.server.questions.budgets import Spending, spendings
from otel_chat.server.settings import ServerSettings, read_settings
from tests.server.given import NOON, Given
from tests.server.test_gauges import parsed

DAY = 24 * 3600
NOW = NOON + timedelta(hours=6)


def budget(given: Given, period: str = "day", **more: str) -> Budget:
    values = {"name": "b", "usd": "10", "period": period, "tenant": given.tenant, **more}
    return Budget.model_validate(values)


@pytest.fixture
def spent(given: Given) -> Given:
    """Today 4 USD by support and 2 by sales, yesterday 8; one turn has no price."""
    given.turn("a", 0, cost="4", agent="support")
    given.turn("b", 3600, cost="2", agent="sales")
    given.turn("c", -DAY, cost="8", agent="support")
    given.turn("d", 7200, cost_source="unpriced", agent="support")
    given.turn("last month", -40 * DAY, cost="100", agent="support")
    given.save()
    return given


def ask(given: Given, *budgets: Budget, now: datetime = NOW) -> list[Spending]:
    return spendings(given.store, given.scope, now, budgets)


def test_the_present_day_or_month_is_summed_up(spent: Given) -> None:
    """Of all agents or of one, from midnight in UTC, with the pace of the whole period."""
    day, month, agent = ask(
        spent, budget(spent), budget(spent, "month"), budget(spent, agent="support")
    )
    assert (day.spent, day.share, day.unpriced_turns) == (Decimal(6), 0.6, 1)
    assert (month.spent, agent.spent) == (Decimal(14), Decimal(4))
    assert day.start == NOON.replace(hour=0)
    assert month.start == NOON.replace(day=1, hour=0)
    assert day.pace == Decimal(8)  # 18 of 24 hours have passed
    (early,) = ask(spent, budget(spent), now=NOON.replace(hour=0) + timedelta(days=1))
    assert (early.spent, early.pace) == (Decimal(0), None)


def test_a_budget_is_for_those_who_see_all_of_it(spent: Given) -> None:
    """One of a tenant for its readers, one of all tenants for who sees them all."""
    own, other = budget(spent), budget(spent, tenant="another", name="other")
    whole = Budget(name="whole", usd=Decimal(10), period="day")
    assert [one.budget for one in ask(spent, own, other, whole)] == [own]
    every = Scope(None, frozenset({ANALYTICS_VIEW}))
    found = spendings(spent.store, every, NOW, (own, other, whole))
    assert [one.spent for one in found[:2]] == [Decimal(6), Decimal(0)]
    assert found[2].spent >= Decimal(6)


def test_prometheus_is_told_of_each_budget(spent: Given) -> None:
    """Its limit and what was spent, to scrapers that may see its tenant."""
    settings = ServerSettings(budgets=(budget(spent, agent="support"),))
    gauges = Gauges(spent.store, settings)
    gauges.refresh(NOW)

    def told(tenant: str) -> dict[str, float]:
        registry = CollectorRegistry()
        registry.register(GaugeCollector(gauges, Scope(frozenset({tenant}), frozenset())))
        labels = frozenset(
            {"budget": "b", "period": "day", "agent": "support", "tenant": spent.tenant}.items()
        )
        found = parsed(generate_latest(registry).decode())
        return {name: value for (name, given), value in found.items() if given == labels}

    assert told(spent.tenant) == {"otel_chat_budget_usd": 10, "otel_chat_budget_spent_usd": 4}
    assert told("another") == {}


def test_budgets_are_set_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """One list of JSON."""
    given = [{"name": "all", "usd": 100.5, "period": "month"}]
    monkeypatch.setenv("OTEL_CHAT_SERVER_BUDGETS", json.dumps(given))
    (found,) = read_settings().budgets
    assert (found.usd, found.agent, found.tenant) == (Decimal("100.5"), None, None)
    year_end = datetime(2026, 12, 31, 23, 59, tzinfo=UTC)
    assert found.bounds(year_end)[1] == datetime(2027, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ('[{"name": "all", "usd": 0, "period": "day"}]', "budgets.0.usd (OTEL_CHAT_SERVER_BUDGETS"),
        ('[{"name": "all", "usd": 1, "period": "week"}]', "budgets.0.period"),
        ('[{"name": "all", "usd": 1, "period": "day", "team": "x"}]', "budgets.0.team"),
        ("all=100", "Lists are written as JSON"),
        (json.dumps([{"name": "x", "usd": 1, "period": "day"}] * 2), "two budgets are named 'x'"),
        (
            json.dumps([{"name": str(n), "usd": 1, "period": "day"} for n in range(21)]),
            "at most 20",
        ),
    ],
)
def test_a_budget_that_is_none_is_named(
    monkeypatch: pytest.MonkeyPatch, raw: str, said: str
) -> None:
    """With its place in the list and the field."""
    monkeypatch.setenv("OTEL_CHAT_SERVER_BUDGETS", raw)
    with pytest.raises(ConfigurationError) as refused:
        read_settings()
    assert said in str(refused.value)
