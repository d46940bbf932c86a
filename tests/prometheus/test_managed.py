"""The alerts as Grafana's own: the same ones, in the form that Grafana reads."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import alerting

from grafana.check.lint import lost
from prometheus import generate
from prometheus.generate import HERE, rules
from prometheus.managed import DATASOURCE, FILE, FOLDER
from prometheus.settings import Settings

ROOT = HERE.parent


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What `make rules ARGS="--grafana"` writes."""
    monkeypatch.setattr(generate, "FILE", tmp_path / "alerting" / "otel-chat.yaml")
    generate.main(["--grafana"])
    return yaml.safe_load((tmp_path / "alerting" / "otel-chat.yaml").read_text())


def managed(written: Any) -> list[dict[str, Any]]:
    """Its rules."""
    return [rule for group in written["groups"] for rule in group["rules"]]


def test_both_ask_the_same_for_as_long(written: Any) -> None:
    """Name, expression, wait, labels and severity are those of Prometheus' files, all of them."""
    prometheus = [
        (rule["alert"], rule["expr"], rule["for"], rule["labels"])
        for path in sorted((HERE / "alerts").glob("*.yml"))
        for rule in yaml.safe_load(path.read_text())["groups"][0]["rules"]
    ]
    grafana = [
        (rule["title"].split()[0], rule["data"][0]["model"]["expr"], rule["for"], rule["labels"])
        for rule in managed(written)
    ]
    assert sorted(grafana, key=str) == sorted(prometheus, key=str)
    assert len(grafana) == len(rules(Settings()).alerts) > 30


def test_grafanas_schema_knows_all_of_it(written: Any) -> None:
    """Nothing is lost when Grafana's own model of a rule and of a contact point reads it."""
    for group in written["groups"]:
        place = {"folderUID": FOLDER, "orgID": group["orgId"], "ruleGroup": group["name"]}
        for rule in group["rules"]:
            asked = [{k: v for k, v in one.items() if k != "model"} for one in rule["data"]]
            wanted = {**rule, **place, "data": asked}
            read = alerting.Rule.from_json(json.loads(json.dumps(wanted)))
            assert list(lost(wanted, json.loads(json.dumps(read, cls=JSONEncoder)), "")) == []
    for point in written["contactPoints"]:
        for receiver in point["receivers"]:
            known = alerting.ContactPoint.from_json({**receiver, "name": point["name"]})
            there = json.loads(json.dumps(known, cls=JSONEncoder))
            assert list(lost(receiver, there, "")) == []


def test_ids_and_titles_are_unique_and_short_enough(written: Any) -> None:
    """Grafana takes an id of 40 characters at most, and a title once in a folder."""
    for key in ("uid", "title"):
        values = [rule[key] for rule in managed(written)]
        assert len(set(values)) == len(values)
        assert max(map(len, values)) <= 40


def test_each_rule_asks_prometheus_and_fires_where_there_is_a_value(written: Any) -> None:
    """The data source is that of the provisioning; 0 is an alert, no series is none."""
    sources = yaml.safe_load((ROOT / "grafana/provisioning/datasources/otel-chat.yaml").read_text())
    assert DATASOURCE in {source["uid"] for source in sources["datasources"]}
    for rule in managed(written):
        query, condition = rule["data"]
        assert query["datasourceUid"] == DATASOURCE
        assert query["model"]["instant"] is True
        assert (condition["datasourceUid"], condition["refId"]) == ("__expr__", rule["condition"])
        assert condition["model"]["expression"] == "is_null($A) == 0"
        assert rule["noDataState"] == "OK"


def test_texts_name_nothing_that_grafana_would_take_from_its_environment(written: Any) -> None:
    """Templates are without dollars; addresses are variables that compose gives to Grafana."""
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    given = compose["services"]["grafana"]["environment"]
    texts = [text for rule in managed(written) for text in rule["annotations"].values()]
    texts += [one["settings"]["url"] for p in written["contactPoints"] for one in p["receivers"]]
    for text in texts:
        assert set(re.findall(r"\$(\{\w+\}|.)", text)) <= {f"{{{name}}}" for name in given}
    assert any("{{ .Labels.gen_ai_agent_name }}" in text for text in texts)
    assert any("{{ .Values.A.Value | humanizePercentage }}" in text for text in texts)


def test_it_is_off_by_default() -> None:
    """The file is not in the repository, so that nobody is told twice."""
    assert str(FILE.relative_to(ROOT).parent) in (ROOT / ".gitignore").read_text()
