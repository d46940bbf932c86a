"""What Grafana reads at its start, as far as it can be checked without Grafana."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from grafana.board import INFINITY
from grafana.check.expressions import Expression
from grafana.check.filled import EXPORT_INTERVAL, milliseconds
from tools.compose_init import TOKENS

ROOT = Path(__file__).parents[2]
PROVISIONING = ROOT / "grafana" / "provisioning"
FILES = sorted(PROVISIONING.rglob("*.yaml"))
GRAFANA = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["grafana"]


@pytest.fixture
def sources() -> dict[str, dict[str, Any]]:
    """The data sources by type."""
    texts = [path.read_text() for path in (PROVISIONING / "datasources").glob("*.yaml")]
    read = [source for text in texts for source in yaml.safe_load(text)["datasources"]]
    return {source["type"]: source for source in read}


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_compose_gives_every_variable(path: Path) -> None:
    """Grafana fills in `$NAME` from the environment: each is set, all other dollars are doubled."""
    text = re.sub(r"^\s*#.*$", "", path.read_text(), flags=re.MULTILINE).replace("$$", "")
    variables = set(re.findall(r"\$\{?(\w+)\}?", text))
    assert variables
    read = set(re.findall(r"(\w+)=", " ".join(GRAFANA["entrypoint"])))
    assert variables <= {*GRAFANA["environment"], *read}


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


def test_the_analytics_server_is_asked_with_a_token_that_stands_nowhere(
    sources: dict[str, dict[str, Any]],
) -> None:
    """It comes from the environment, in compose out of a file, and goes to that server alone."""
    source = sources[INFINITY]
    assert source["secureJsonData"] == {"bearerToken": "${OTEL_CHAT_ANALYTICS_TOKEN}"}
    assert source["jsonData"]["allowedHosts"] == [source["url"]]
    assert INFINITY in GRAFANA["environment"]["GF_PLUGINS_PREINSTALL"]
    assert "OTEL_CHAT_ANALYTICS_TOKEN" not in GRAFANA["environment"]
    (entry,) = (one for one in GRAFANA["entrypoint"] if "OTEL_CHAT_ANALYTICS_TOKEN" in one)
    made = {f"/run/otel-chat/{name}" for folder, name, *_ in TOKENS if folder == "grafana"}
    assert set(re.findall(r"cat (\S+?)\)", entry)) == made
    for path in (ROOT / "grafana" / "dashboards").glob("*.json"):
        assert not re.search(r"otc_|bearer|authorization", path.read_text().lower())


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
