"""The gauges for Prometheus, worked out by hand and against what the API answers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from fastapi.testclient import TestClient
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from otel_chat.errors import StoreUnavailableError
from otel_chat.server.access import Scope
from otel_chat.server.app import create_app
from otel_chat.server.figures.filters import Filters
from otel_chat.server.figures.window import Window
from otel_chat.server.gauges import AGENTS, CHANNELS, NAMES, GaugeCollector, Gauges
from otel_chat.server.questions.business import business
from otel_chat.server.questions.leads import leads
from otel_chat.server.questions.subjects import topics
from otel_chat.server.settings import ServerSettings
from tests.server.given import Given, at
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_chat.server.store import Store

LATER = at(5400)
Told = dict[tuple[str, frozenset[tuple[str, str]]], float]


def parsed(text: str) -> Told:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def told(given: Given, *, now: datetime = LATER, human_cost: str | None = "5") -> Told:
    """What a scraper of the tenant is told."""
    cost = None if human_cost is None else Decimal(human_cost)
    gauges = Gauges(given.store, ServerSettings(cost_per_interaction=cost))
    gauges.refresh(now)
    registry = CollectorRegistry()
    registry.register(GaugeCollector(gauges, Scope(frozenset({given.tenant}), frozenset())))
    return parsed(generate_latest(registry).decode())


def started(text: str) -> float:
    """Conversations of the last 24 hours, of all agents and channels."""
    return sum(
        n
        for (name, labels), n in parsed(text).items()
        if name == "otel_chat_conversations_started" and ("window", "24h") in labels
    )


def value(found: Told, name: str, **labels: str) -> float | None:
    wanted = {"agent": "bot", "channel": "web"} | labels
    return found.get((name, frozenset(wanted.items())))


@pytest.fixture
def six(given: Given) -> Given:
    """Confirmed, assumed, abandoned, handed off, failed, and one still open at 13:30."""
    here: dict[str, Any] = {"agent": "bot", "channel": "web"}
    given.turn("confirmed", 0, cost="0.5", intent="order", **here)
    given.feedback(5, "confirmed", 5).update(here)
    given.turn("assumed", 0, cost="0.25", **here)
    given.turn("abandoned", 0, fallback=True, intent="refund", cost="0.125", **here)
    given.turn("handed", 0, handoff=True, cost="1", intent="refund", **here)
    given.turn("failed", 0, status="error", intent="refund", **here)
    given.turn("open", 5000, cost="8", **here)
    given.save()
    return given


def test_each_gauge_is_worked_out_by_hand(six: Given) -> None:
    """Five settled of six: containment 4/5, resolution 1/5 and 2/5, one handoff of five."""
    found = told(six)
    assert value(found, "otel_chat_conversations_open") == 1
    at_24h = {"window": "24h"}
    outcomes = {
        name: value(found, "otel_chat_conversations_settled", outcome=name, **at_24h)
        for name in ("resolved", "abandoned", "handed_off", "failed")
    }
    assert outcomes == {"resolved": 2, "abandoned": 1, "handed_off": 1, "failed": 1}
    assert value(found, "otel_chat_containment_ratio", **at_24h) == 0.8
    assert value(found, "otel_chat_resolution_ratio", bound="confirmed", **at_24h) == 0.2
    assert value(found, "otel_chat_resolution_ratio", bound="assumed", **at_24h) == 0.4
    assert value(found, "otel_chat_handoff_ratio", **at_24h) == 0.2
    assert value(found, "otel_chat_abandonment_ratio", **at_24h) == 0.2
    # classified: those with an intent, and the fallback among them
    assert value(found, "otel_chat_fallback_ratio", **at_24h) == 0.25
    assert value(found, "otel_chat_csat_ratio", **at_24h) == 1
    assert value(found, "otel_chat_ratings", **at_24h) == 1
    # 44 resolved, twice; 24 handed off and open; 4 abandoned and failed
    assert value(found, "otel_chat_engagement_score", **at_24h) == pytest.approx(144 / 6)
    assert value(found, "otel_chat_cost_usd", **at_24h) == 9.875
    assert value(found, "otel_chat_savings_usd", bound="high", **at_24h) == 2 * 5 - 1.875
    assert value(found, "otel_chat_savings_usd", bound="low", **at_24h) == 1 * 5 - 1.875
    dropped = value(found, "otel_chat_drop_off_conversations", intent="refund", **at_24h)
    assert dropped == 2


def test_savings_are_absent_until_it_is_told_what_a_human_costs(six: Given) -> None:
    """The cost of the models is there all the same."""
    found = told(six, human_cost=None)
    assert value(found, "otel_chat_savings_usd", bound="high", window="24h") is None
    assert value(found, "otel_chat_cost_usd", window="24h") == 9.875


def test_what_conversations_are_about_is_told_by_name(given: Given) -> None:
    """Two started, of clients at noon; one topic in both, told twice in one; moods and leads."""
    here: dict[str, Any] = {"agent": "bot", "channel": "web"}
    for name, second in (("one", 0), ("two", 60)):
        given.turn(name, second, user_type="client", sentiment="negative", **here)
        given.event("topic", name, second, topic="refunds", **here)
    given.turn("two", 70, user_type="client", sentiment="positive", **here)
    given.event("topic", "two", 75, topic="refunds", **here)
    given.event("lead", "two", 80, lead_kind="quote", **here)
    given.save()
    found = told(given)
    at_24h = {"window": "24h"}
    assert value(found, "otel_chat_conversations_started", **at_24h) == 2
    assert value(found, "otel_chat_topic_conversations", topic="refunds", **at_24h) == 2
    assert value(found, "otel_chat_user_type_conversations", user_type="client", **at_24h) == 2
    assert value(found, "otel_chat_sentiment_turns", sentiment="negative", **at_24h) == 2
    assert value(found, "otel_chat_sentiment_turns", sentiment="positive", **at_24h) == 1
    assert value(found, "otel_chat_leads", kind="quote", **at_24h) == 1
    hours = frozenset({"agent": "bot", "hour": "12"}.items())
    assert found["otel_chat_hour_conversations", hours] == 2
    assert value(found, "otel_chat_conversations_started", window="1h") is None


def test_topics_and_leads_are_of_the_conversations_that_started_as_in_the_api(
    given: Given,
) -> None:
    """Under the agent and channel of their first turn, whenever and by whomever they were told."""
    here: dict[str, Any] = {"agent": "bot", "channel": "web"}
    given.turn("new", 0, **here)
    given.turn("old", -3 * 86_400, **here)
    for name in ("new", "old"):
        given.event("topic", name, 60, topic="refunds", agent="crm")
        given.event("lead", name, 70, lead_kind="quote", agent="crm")
    given.save()
    found = told(given)
    for window, many in (("24h", 1), ("7d", 2)):
        at_once: dict[str, str] = {"window": window}
        assert value(found, "otel_chat_topic_conversations", topic="refunds", **at_once) == many
        assert value(found, "otel_chat_leads", kind="quote", **at_once) == many
    assert value(found, "otel_chat_leads", kind="quote", window="24h", agent="crm") is None
    day = Window(LATER - timedelta(hours=24), LATER, LATER)
    asked = (given.store, given.scope, day, Filters())
    assert [one.conversations for one in topics(*asked).items] == [1]
    assert leads(*asked).leads == 1


def test_open_names_are_bounded(given: Given) -> None:
    """Of many topics the ten most frequent ones are told, whatever an application names."""
    for number in range(NAMES + 5):
        for again in range(2 if number < NAMES else 1):
            given.event("topic", f"c{number}-{again}", topic=f"topic-{number:02d}", agent="bot")
            given.turn(f"c{number}-{again}", agent="bot")
    given.save()
    labels = {
        dict(labels)["topic"]
        for name, labels in told(given)
        if name.endswith("topic_conversations")
    }
    assert labels == {f"topic-{number:02d}" for number in range(NAMES)}


def test_the_last_hour_knows_only_what_started_in_it(six: Given) -> None:
    """At 13:30 that is the open conversation alone: nothing settled, so no ratio of settled."""
    found = told(six)
    assert value(found, "otel_chat_handoff_ratio", window="1h") is None
    assert value(found, "otel_chat_containment_ratio", window="1h") is None
    assert value(found, "otel_chat_savings_usd", bound="high", window="1h") is None
    assert value(found, "otel_chat_cost_usd", window="1h") == 8


def test_gauges_say_what_the_api_says(six: Given) -> None:
    """Containment, resolution, cost and savings of the same day."""
    found = told(six)
    window = Window(LATER - timedelta(hours=24), LATER, LATER)
    api = business(six.store, six.scope, window, Filters(), Decimal(5))
    assert value(found, "otel_chat_containment_ratio", window="24h") == api.containment.rate
    low = value(found, "otel_chat_resolution_ratio", window="24h", bound="confirmed")
    assert (low, api.savings.high) == (api.resolution.low, 2 * 5 - api.savings.model_cost)
    assert value(found, "otel_chat_cost_usd", window="24h") == float(api.cost.amount or 0)


def test_agents_and_channels_beyond_a_number_are_folded(given: Given) -> None:
    """The largest keep their names; together all conversations are there still."""
    for number in range(AGENTS + 5):
        for again in range(2 if number < AGENTS else 1):
            name = f"c{number}-{again}"
            given.turn(name, agent=f"agent-{number:02d}", channel=f"channel-{number % 15:02d}")
    given.save()
    found = told(given, now=at(60))
    opened = {labels: n for (name, labels), n in found.items() if name.endswith("_open")}
    assert sum(opened.values()) == 2 * AGENTS + 5
    agents = {dict(labels)["agent"] for labels in opened}
    channels = {dict(labels)["channel"] for labels in opened}
    assert agents == {"_other", *(f"agent-{number:02d}" for number in range(AGENTS))}
    assert len(channels) == CHANNELS + 1


def test_without_conversations_nothing_is_claimed(given: Given) -> None:
    """No series but those on the gauges themselves."""
    assert {name for name, _ in told(given)} == {
        "otel_chat_server_gauge_failures_total",
        "otel_chat_server_gauges_timestamp_seconds",
    }


def test_a_store_that_fails_leaves_no_old_figures(six: Given, monkeypatch: Any) -> None:
    """The failure is counted, and stale gauges are not passed for present ones."""
    gauges = Gauges(six.store, ServerSettings())
    gauges.refresh(LATER)

    def away(*_: object) -> None:
        raise StoreUnavailableError("away")

    with monkeypatch.context() as patched:
        patched.setattr("otel_chat.server.gauges.counts", away)
        gauges.refresh(LATER)
    collector = GaugeCollector(gauges, six.scope)
    assert [family.name for family in collector.collect()] == ["otel_chat_server_gauge_failures"]
    assert gauges.failures == 1
    gauges.refresh(LATER)
    assert len(list(collector.collect())) > 2


@pytest.fixture
def no_tokens(store: Store) -> Iterator[None]:
    store.command("TRUNCATE TABLE tokens")
    yield
    store.command("TRUNCATE TABLE tokens")


@pytest.mark.usefixtures("no_tokens")
def test_a_scrape_sees_its_own_tenant_and_asks_no_store(store: Store) -> None:
    """Counts of two tenants; each token sees its own, one of all sees the sum and the server."""
    mine, other = Given(store), Given(store)
    now = (datetime.now(UTC) - at(0)).total_seconds() - 60
    for one in (mine, other):
        one.turn("c", now, agent=f"agent of {one.tenant}", channel="web")
        one.save()
    app = create_app(store, ServerSettings())
    tokens = app.state.access.tokens

    def scrape(*tenants: str) -> str:
        made = tokens.create("p", scopes=["metrics:read"], tenants=tenants)
        answer = client.get("/metrics", headers={"authorization": f"Bearer {made.token}"})
        assert answer.status_code == 200
        return answer.text

    with TestClient(app, base_url="http://127.0.0.1:8400") as client:
        until(lambda: app.state.gauges.snapshot is not None)
        text = scrape(mine.tenant)
        assert f"agent of {mine.tenant}" in text
        assert other.tenant not in text
        assert "ingest" not in text
        both = scrape(mine.tenant, other.tenant)
        assert f"agent of {mine.tenant}" in both
        assert f"agent of {other.tenant}" in both
        # Of all tenants, these two agents may be among the many that are told as one
        whole = scrape("*")
        assert started(whole) >= started(both) == 2 * started(text) > 0
        assert "otel_chat_server_ingest_bodies_total" in whole
