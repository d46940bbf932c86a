"""Which days were unlike those before: planted in five weeks, asked about in every way."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from fastapi.testclient import TestClient
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from otel_chat.server.access import Scope
from otel_chat.server.figures.chance import Ratios
from otel_chat.server.figures.filters import Filters
from otel_chat.server.figures.usual import Kind, beside
from otel_chat.server.gauges import GaugeCollector, Gauges
from otel_chat.server.questions.day_changes import DayChange, DayChanges, day_changes, level_of
from otel_chat.server.settings import ServerSettings
from tests.server.given import DAY, Given
from tests.server.report.week import made_of, report_of

if TYPE_CHECKING:
    from otel_chat.server.store import Store

BAD = DAY.start.date()
EARLY = DAY.end + timedelta(hours=7)
A_DAY = 30
FIGURES = 9
"""Of either agent: all but ratings, costs, tokens and confidence, of which there are none."""


def weeks(given: Given, *, fault: bool = True) -> Given:
    """Thirty conversations a day for five weeks with two agents; one of them fails on the last."""
    rng = random.Random(6)
    for day in range(-35, 1):
        for agent in ("days-shop", "days-help"):
            bad = fault and day == 0 and agent == "days-shop"
            for number in range(A_DAY + rng.randint(-2, 2)):
                given.turn(
                    f"{agent}-{day}-{number}", day * 86_400 + 60 * number, rng.uniform(1, 2),
                    agent=agent, intent="order", handoff=rng.random() < (0.7 if bad else 0.15),
                    status="error" if rng.random() < 0.1 else "ok",
                )  # fmt: skip
                if rng.random() < 0.5:
                    given.turn(
                        f"{agent}-{day}-{number}", day * 86_400 + 60 * number + 20, agent=agent,
                        fallback=rng.random() < 0.3,
                    )  # fmt: skip
    given.save()
    return given


@pytest.fixture(scope="module")
def planted(store: Store) -> Given:
    return weeks(Given(store))


def asked(given: Given, rate: float = 1.0, window: Any = DAY) -> DayChanges:
    return day_changes(given.store, given.scope, window, Filters(), rate)


def one(found: DayChanges, figure: str) -> DayChange:
    [item] = [item for item in found.items if item.figure == figure]
    return item


def test_a_planted_day_is_told_with_its_agent_and_what_is_usual(planted: Given) -> None:
    """Containment of the agent that fails, beside its own weeks; nothing of the other agent."""
    found = asked(planted)
    contained = one(found, "containment_ratio")
    assert (contained.agent, contained.day, contained.direction) == ("days-shop", BAD, "worse")
    assert contained.value < 0.5 < contained.low < contained.usual < 0.95
    assert contained.learned_days == 34  # the first of 35 may have begun in the middle
    assert contained.said.startswith("Containment of days-shop: ")
    assert "on Tue 10 Nov, where" in contained.said
    assert {item.agent for item in found.items} == {"days-shop"}


def test_the_arithmetic_of_false_alarms_is_told(planted: Given) -> None:
    """Figures × days are the tests of a month; the rate ÷ their number is what a p-value needs."""
    found = asked(planted)
    [day] = found.days
    assert (day.agents, day.tests) == (2, 2 * FIGURES)
    assert day.level == pytest.approx(1 / (2 * FIGURES * 365.25 / 12))
    assert found.said == (
        "18 figures of 2 agents × 30.4 days = 548 tests a month. At 1 false alarm a month a day is"
        " told where chance would bring one like it in at most 1 of 548 tests."
    )
    assert day.level is not None
    for item in found.items:
        assert item.p_value <= day.level
        assert item.false_alarms == pytest.approx(item.p_value * 2 * FIGURES * 365.25 / 12)
        assert item.false_alarms <= 1


def test_who_bears_more_false_alarms_is_told_more(planted: Given) -> None:
    """What is told at a low rate is told at a high one; and what is as likely as not, then too."""
    few, some, many = (
        {(one.day, one.agent, one.figure) for one in asked(planted, rate).items}
        for rate in (0.001, 1.0, 600.0)
    )
    assert few <= some < many
    assert "days-help" in {agent for _, agent, _ in many}


def test_a_day_is_told_the_same_whenever_it_is_asked_about(planted: Given) -> None:
    """An hour after it is ripe, a week later, alone or as the end of a week."""
    first = asked(planted, window=replace(DAY, now=EARLY)).items
    later = asked(planted, window=replace(DAY, now=DAY.end + timedelta(days=7))).items
    week = asked(planted, window=replace(DAY, start=DAY.end - timedelta(days=7))).items
    assert first == later == [item for item in week if item.day == BAD]
    assert first


def test_a_day_that_has_hardly_ended_is_not_told_yet(planted: Given) -> None:
    """Its conversations may still go on."""
    found = asked(planted, window=replace(DAY, now=DAY.end + timedelta(hours=5)))
    assert (found.days, found.items) == ([], [])


def test_three_weeks_are_too_little_to_tell(given: Given) -> None:
    """Not enough is called so."""
    for day in range(-20, 1):
        for number in range(25):
            given.turn(f"{day}-{number}", day * 86_400 + number, agent="young", handoff=day == 0)
    given.save()
    found = asked(given)
    assert (found.items, found.days[0].tests) == ([], 0)
    assert found.said.startswith("Not enough to tell a day from others")


def test_the_api_tells_days(client: TestClient, planted: Given) -> None:
    """One agent by a filter; the rate is the server's."""
    del planted
    answer = client.get(
        "/api/v1/overview/days", params={"from": "2026-11-04", "to": "2026-11-10", "agent":
                                         "days-shop"}
    ).json()  # fmt: skip
    assert [day["day"] for day in answer["days"]][-1] == "2026-11-10"
    assert answer["false_alarms"] == 1
    assert any(item["figure"] == "containment_ratio" for item in answer["items"])


def scraped(gauges: Gauges, given: Given) -> dict[tuple[str, str, str, str], float]:
    registry = CollectorRegistry()
    registry.register(GaugeCollector(gauges, Scope(frozenset({given.tenant}), frozenset())))
    return {
        (
            sample.name, sample.labels.get("agent", ""), sample.labels.get("figure", ""),
            sample.labels.get("direction", ""),
        ): sample.value
        for family in text_string_to_metric_families(generate_latest(registry).decode())
        for sample in family.samples
    }  # fmt: skip


def test_prometheus_is_told_of_the_last_whole_day(planted: Given) -> None:
    """Whether it was unlike others, for better or worse, and how far it was from what is usual."""
    gauges = Gauges(planted.store, ServerSettings())
    gauges.refresh(DAY.end + timedelta(hours=5))
    of_before = scraped(gauges, planted)
    changed = ("otel_chat_day_changed", "days-shop", "containment_ratio")
    assert not any(value for name, value in of_before.items() if name[:3] == changed)
    gauges.refresh(EARLY)
    found = scraped(gauges, planted)
    contained = one(asked(planted), "containment_ratio")
    assert found[*changed, "worse"] == 1
    moved = found["otel_chat_day_change_ratio", "days-shop", "containment_ratio", ""]
    assert moved == pytest.approx(contained.relative)
    assert found["otel_chat_day_timestamp_seconds", "", "", ""] == DAY.start.timestamp()
    told = {
        (agent, figure)
        for (name, agent, figure, _), value in found.items()
        if name == "otel_chat_day_changed" and value
    }
    assert told == {(item.agent, item.figure) for item in asked(planted).items}


def test_what_is_told_of_a_day_stays_while_it_is_the_last(given: Given) -> None:
    """What arrives too late to matter for the alert does not take it back before the next day."""
    weeks(given)
    gauges = Gauges(given.store, ServerSettings(), as_of=lambda: EARLY)
    gauges.refresh(EARLY)
    first = {name: value for name, value in scraped(gauges, given).items() if "_day_" in name[0]}
    for number in range(60):
        given.turn(f"late-{number}", number, agent="days-shop", intent="order")
    given.save()
    gauges.refresh(EARLY + timedelta(hours=9))
    later = {name: value for name, value in scraped(gauges, given).items() if "_day_" in name[0]}
    assert first == later
    assert first


def test_a_day_waits_for_the_settler(planted: Given) -> None:
    """Before the rows of conversations are up to date nothing is told of it."""
    gauges = Gauges(planted.store, ServerSettings(), as_of=lambda: DAY.end)
    gauges.refresh(EARLY)
    assert not any(name[0].startswith("otel_chat_day_") for name in scraped(gauges, planted))


def test_a_report_tells_days_with_a_way_to_each(planted: Given) -> None:
    """The day, what is usual, the arithmetic, and the overview of that day and agent."""
    made = made_of(planted, report_of(planted, sections=["days"], period="day"), EARLY)
    text = made.written("text").decode()
    contained = one(asked(planted), "containment_ratio")
    assert contained.said.replace("\u202f", " ") in text
    assert "18 figures of 2 agents × 30.4 days" in text
    page = made.written("html").decode()
    address = (
        "https://chat.example/?from=2026-11-10T00%3A00%3A00Z&amp;to=2026-11-11T00%3A00%3A00Z"
        "&amp;agent=days-shop"
    )
    assert address in page
    assert made.document()["days"]["items"]


@pytest.mark.parametrize(
    ("kind", "usual", "bad"),
    [
        ("share", [Ratios.share(90 + day % 5, 100) for day in range(35)], Ratios.share(60, 100)),
        ("share", [Ratios.share(100, 100)] * 35, Ratios.share(80, 100)),
        ("share", [Ratios.share(day % 2, 60) for day in range(35)], Ratios.share(20, 60)),
        ("count", [Ratios(90 + day % 9, 0, 1) for day in range(35)], Ratios(0, 0, 1)),
        ("count", [Ratios(90 + day % 9, 0, 1) for day in range(35)], Ratios(300, 0, 1)),
    ],
)
def test_a_bad_day_is_found_and_a_usual_one_is_not(
    kind: Kind, usual: list[Ratios], bad: Ratios
) -> None:
    """Shares that never failed, rare ones and counts down to none."""
    found = beside([*usual, bad], kind)
    assert found is not None
    assert found.p_value < level_of(1, 5 * 14)
    quiet = beside(usual, kind)
    assert quiet is not None
    assert quiet.p_value > 0.05
    assert quiet.low <= quiet.value <= quiet.high


def test_days_that_scatter_together_are_no_alarm() -> None:
    """Of a share that moves by itself from day to day the conversations alone would be sure."""
    scattered = [Ratios.share(600 + 300 * (day % 5 > 2), 1000) for day in range(49)]
    last = beside([*scattered, Ratios.share(500, 1000)], "share")
    assert last is not None
    assert last.p_value > 0.05


def test_an_outage_before_hides_no_fault() -> None:
    """Two days on which nothing worked are left out of what is usual."""
    usual = [Ratios.share(90 + day % 5, 100) for day in range(49)]
    usual[20] = usual[21] = Ratios.share(3, 100)
    found = beside([*usual, Ratios.share(65, 100)], "share")
    assert found is not None
    assert found.p_value < level_of(1, 5 * 14)
    assert found.days == 47


def test_a_weekend_is_beside_weekends() -> None:
    """A low Sunday is usual, on a Monday it is not."""
    course = [Ratios.share(50 if day % 7 == 6 else 90 + day % 3, 100) for day in range(56)]
    sunday = beside(course, "share")
    monday = beside([*course, Ratios.share(50, 100)], "share")
    assert sunday is not None
    assert monday is not None
    assert (sunday.p_value > 0.05, monday.p_value < 1e-4) == (True, True)
