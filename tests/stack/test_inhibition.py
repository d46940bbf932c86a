"""Which of the alerts that are shipped go where, and which silence others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from prometheus.book import Alert
from prometheus.generate import rules
from prometheus.settings import Settings as RuleSettings
from tests import web
from tests.stack.test_alerting import FORWARDED, alert, amtool, amtool_says, expanded
from tests.waiting import until
from tools.stack.parts import Ports, Settings, parts
from tools.stack.processes import Stack

__all__ = ["amtool"]
pytestmark = pytest.mark.stack
ALERTS = rules(RuleSettings()).alerts
RECEIVERS = {"page": "webhook-and-email", "ticket": "email", "info": "page-only"}
AGENT = {"service_name": "shop", "gen_ai_agent_name": "support"}
Asked = Callable[[list[dict[str, Any]]], dict[str, bool]]


def named(name: str, window: str = "") -> Alert:
    """One of the alerts that are shipped."""
    (found,) = [
        each for each in ALERTS if each.name == name and each.labels.get("window", "") == window
    ]
    return found


def posted(name: str, window: str = "", **labels: str) -> dict[str, Any]:
    """It, as Prometheus sends it."""
    shipped = named(name, window)
    return alert(name, severity=shipped.severity, **shipped.labels, **labels)


@pytest.mark.parametrize(
    "shipped", ALERTS, ids=lambda one: f"{one.name}{one.labels.get('window', '')}"
)
def test_every_alert_goes_to_the_receiver_of_its_severity(
    amtool: str, tmp_path: Path, shipped: Alert
) -> None:
    """With all the labels that it has."""
    given = {"alertname": shipped.name, "severity": shipped.severity, **shipped.labels}
    labels = [f"{k}={v}" for k, v in given.items()]
    receiver = "watchdog" if shipped.name == "Watchdog" else RECEIVERS[shipped.severity]
    config = f"--config.file={expanded(tmp_path, FORWARDED)}"
    said = amtool_says(
        amtool, "config", "routes", "test", config,
        f"--verify.receivers={receiver}", *labels,
    )  # fmt: skip
    assert said.strip().startswith(receiver)


@pytest.fixture(scope="module")
def alertmanager(built: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The real Alertmanager with the file that is shipped: the URL of its alerts."""
    folder = tmp_path_factory.mktemp("inhibition")
    settings = Settings(folder, Ports.free(), {"OTEL_CHAT_ALERT_GROUP_WAIT": "1s"})
    only = [each for each in parts(settings) if each.name == "alertmanager"]
    with Stack(only, folder / "logs"):
        yield f"{settings.ports.url('alertmanager')}/api/v2/alerts"


@pytest.fixture
def silenced(alertmanager: str) -> Iterator[Asked]:
    """Which of some alerts are silenced by others of them; all of them end with the test."""
    sent: list[dict[str, Any]] = []

    def ask(alerts: list[dict[str, Any]]) -> dict[str, bool]:
        sent.extend(alerts)
        web.post(alertmanager, json=alerts).raise_for_status()
        found = until(lambda: _known(alertmanager, len(alerts)))
        return {
            each["labels"]["alertname"] + each["labels"].get("window", ""): bool(
                each["status"]["inhibitedBy"]
            )
            for each in found
        }

    yield ask
    ended = [{**each, "endsAt": each["startsAt"]} for each in sent]
    web.post(alertmanager, json=ended).raise_for_status()
    until(lambda: web.get(alertmanager).json() == [])


def _known(url: str, many: int) -> list[dict[str, Any]]:
    found = web.get(url).json()
    settled = len(found) == many and all(each["status"]["state"] != "unprocessed" for each in found)
    return list(found) if settled else []


def test_without_a_collector_no_traffic_says_nothing(silenced: Asked) -> None:
    """What it would falsify is silent; failing turns that were seen are told nevertheless."""
    told = silenced(
        [
            posted("TelemetryCollectorAway"),
            posted("ChatNoTraffic", **AGENT),
            posted("ChatTrafficAnomaly", **AGENT),
            posted("TelemetryAbsent", service_name="shop"),
            posted("ChatContainmentFalling", agent="support"),
            posted("ChatErrorBudgetBurn", "1h", **AGENT),
            posted("ChatTurnsStuck", **AGENT),
        ]
    )
    assert told == {
        "TelemetryCollectorAway": False,
        "ChatNoTraffic": True,
        "ChatTrafficAnomaly": True,
        "TelemetryAbsent": True,
        "ChatContainmentFalling": True,
        "ChatErrorBudgetBurn1h": False,
        "ChatTurnsStuck": False,
    }


@pytest.mark.parametrize(
    "cause",
    [
        posted("AnalyticsAway"),
        posted("AnalyticsInsertsFailing"),
        posted("TelemetryExportStalled", exporter="otlp_http/analytics"),
    ],
    ids=lambda cause: cause["labels"]["alertname"],
)
def test_what_analytics_misses_falsifies_whole_conversations_alone(
    silenced: Asked, cause: dict[str, Any]
) -> None:
    """Prometheus has the rest from the applications."""
    told = silenced(
        [
            cause,
            posted("ChatContainmentFalling", agent="support"),
            posted("ChatNoTraffic", **AGENT),
        ]
    )
    assert told == {
        cause["labels"]["alertname"]: False,
        "ChatContainmentFalling": True,
        "ChatNoTraffic": False,
    }


@pytest.mark.parametrize(
    ("name", "more", "silences"),
    [
        ("TelemetryExportStalled", {"exporter": "otlp_http/prometheus"}, True),
        ("TelemetryExportFailing", {"exporter": "otlp_http/prometheus"}, True),
        ("TelemetryCollectorRefusing", {"signal": "metric_points"}, True),
        ("TelemetryCollectorRefusing", {"signal": "spans"}, False),
        ("TelemetryExportFailing", {"exporter": "otlp_grpc/tempo"}, False),
        ("AlertmanagerAway", {}, False),
        ("TelemetryNotificationsFailing", {}, False),
        ("TelemetryAbsent", {"service_name": "shop"}, True),
        ("TelemetryAbsent", {"service_name": "another"}, False),
    ],
)
def test_what_keeps_metrics_from_prometheus_falsifies_no_traffic_and_nothing_else_does(
    silenced: Asked, name: str, more: dict[str, str], silences: bool
) -> None:
    """Of a failing pipeline only that part; an application that is gone only its own alerts."""
    told = silenced([posted(name, **more), posted("ChatNoTraffic", **AGENT)])
    assert told == {name: False, "ChatNoTraffic": silences}


def test_silence_is_told_once(silenced: Asked) -> None:
    """That of half an hour, not that of six hours too."""
    told = silenced([posted("ChatNoTraffic", **AGENT), posted("ChatSilentForHours", **AGENT)])
    assert told == {"ChatNoTraffic": False, "ChatSilentForHours": True}


@pytest.mark.parametrize("name", ["ChatErrorBudgetBurn", "ChatResponseTimeBudgetBurn"])
def test_of_four_windows_the_most_urgent_is_told(silenced: Asked, name: str) -> None:
    """One message about an objective of an agent, however many windows burn."""
    windows = ("1h", "6h", "1d", "3d")
    told = silenced([posted(name, window, **AGENT) for window in windows])
    assert told == {f"{name}1h": False, f"{name}6h": True, f"{name}1d": True, f"{name}3d": True}


def test_the_burn_of_one_agent_does_not_silence_that_of_another(silenced: Asked) -> None:
    """They are other conversations, and perhaps other people's."""
    other = {**AGENT, "gen_ai_agent_name": "sales"}
    name = "ChatErrorBudgetBurn"
    told = silenced([posted(name, "1h", **AGENT), posted(name, "3d", **other)])
    assert told == {f"{name}1h": False, f"{name}3d": False}


def test_a_slow_burn_alone_is_told_once(silenced: Asked) -> None:
    """Of both tickets the more urgent one."""
    name = "ChatErrorBudgetBurn"
    told = silenced([posted(name, "1d", **AGENT), posted(name, "3d", **AGENT)])
    assert told == {f"{name}1d": False, f"{name}3d": True}
