"""What Grafana reads at its start, as far as it can be checked without Grafana."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from grafana.check.expressions import Expression
from grafana.check.filled import EXPORT_INTERVAL, milliseconds

ROOT = Path(__file__).parents[2]
PROVISIONING = ROOT / "grafana" / "provisioning"
FILES = sorted(PROVISIONING.rglob("*.yaml"))
GRAFANA = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["grafana"]


@pytest.fixture
def sources() -> dict[str, dict[str, Any]]:
    """The data sources by type."""
    text = (PROVISIONING / "datasources" / "otel-chat.yaml").read_text()
    return {source["type"]: source for source in yaml.safe_load(text)["datasources"]}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.parent.name)
def test_compose_gives_every_variable(path: Path) -> None:
    """Grafana fills in `$NAME` from the environment: each is set, all other dollars are doubled."""
    text = re.sub(r"^\s*#.*$", "", path.read_text(), flags=re.MULTILINE).replace("$$", "")
    variables = set(re.findall(r"\$\{?(\w+)\}?", text))
    assert variables
    assert variables <= set(GRAFANA["environment"])


def test_the_interval_is_that_of_the_exports(sources: dict[str, dict[str, Any]]) -> None:
    """Grafana derives `$__rate_interval` from it, and so does the check."""
    assert milliseconds(sources["prometheus"]["jsonData"]["timeInterval"]) == EXPORT_INTERVAL


def test_exemplars_open_the_conversation_and_the_trace(sources: dict[str, dict[str, Any]]) -> None:
    """The analytics server has all traces; Tempo has those that were kept."""
    page, board, tempo = sources["prometheus"]["jsonData"]["exemplarTraceIdDestinations"]
    assert page["url"] == "${OTEL_CHAT_ANALYTICS_PAGE}/traces/$${__value.raw}"
    assert board["url"] == "/d/otel-chat-conversation?var-trace=$${__value.raw}"
    assert tempo["datasourceUid"] == sources["tempo"]["uid"]
    assert page["name"] == board["name"] == tempo["name"] == "trace_id"


def test_a_trace_leads_to_its_conversation_and_to_metrics(
    sources: dict[str, dict[str, Any]],
) -> None:
    """The correlation goes to the analytics server; the query names what is sent."""
    (correlation,) = sources["tempo"]["correlations"]
    target = correlation["config"]["target"]
    assert target == {"url": "${OTEL_CHAT_ANALYTICS_PAGE}/traces/$${__value.raw}"}
    links = sources["tempo"]["jsonData"]
    assert links["tracesToMetrics"]["datasourceUid"] == sources["prometheus"]["uid"]
    for query in links["tracesToMetrics"]["queries"]:
        text = query["query"].replace("$$__tags", "").replace("$$", "$")
        assert list(Expression(text).wrong(instant=False)) == []


def test_prometheus_alerts_stand_on_grafanas_page(sources: dict[str, dict[str, Any]]) -> None:
    """The rules with their state, and the Alertmanager that they go to."""
    rules = sources["prometheus"]["jsonData"]
    assert rules["manageAlerts"] is True
    assert rules["alertmanagerUid"] == sources["alertmanager"]["uid"]
    assert sources["alertmanager"]["jsonData"]["implementation"] == "prometheus"


def test_the_home_dashboard_is_the_overview() -> None:
    """The path inside the container is that of a generated dashboard."""
    path = GRAFANA["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    folder, _, name = path.rpartition("/")
    assert GRAFANA["environment"]["OTEL_CHAT_DASHBOARDS"] == folder
    assert f"./grafana/dashboards:{folder}:ro" in GRAFANA["volumes"]
    home = json.loads((ROOT / "grafana" / "dashboards" / name).read_text())
    assert home["uid"] == "otel-chat-overview"


def test_the_analytics_server_links_to_what_is_provisioned() -> None:
    """Its pages lead to dashboards by these uids."""
    from otel_chat.server.pages import elsewhere

    uids = {
        json.loads(path.read_text())["uid"]
        for path in (ROOT / "grafana" / "dashboards").glob("*.json")
    }
    assert {elsewhere.DASHBOARD, elsewhere.CONVERSATION} <= uids
