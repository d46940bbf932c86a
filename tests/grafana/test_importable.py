"""Dashboards that any Grafana imports: filled in as Grafana's import does it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from grafana.generate import files, main

CHOSEN = {
    "DS_DATASOURCE": "my-prometheus",
    "DS_TEMPO": "my-tempo",
    "DS_ANSWERS": "my-infinity",
    "VAR_ANALYTICS": "https://chat.example.org",
}


def imported(dashboard: dict[str, Any]) -> dict[str, Any]:
    """What is stored: every text with the inputs that the dashboard names, and they alone."""
    names = {one["name"] for one in dashboard["__inputs"]}

    def fill(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: fill(inside) for key, inside in value.items() if key != "__inputs"}
        if isinstance(value, list):
            return [fill(inside) for inside in value]
        if isinstance(value, str):
            return re.sub(r"\$\{(.+?)\}", lambda m: CHOSEN[m[1]] if m[1] in names else m[0], value)
        return value

    filled = fill(dashboard)
    assert isinstance(filled, dict)
    return filled


@pytest.mark.parametrize("name", files())
def test_an_import_asks_for_data_sources_and_the_address_of_links(name: str) -> None:
    """Nothing is left unfilled, no address of this machine, no data source by another's id."""
    exported = json.loads(files(for_import=True)[name])
    kinds = {one["name"]: one["type"] for one in exported["__inputs"]}
    assert kinds["VAR_ANALYTICS"] == "constant"
    assert kinds["DS_DATASOURCE"] == "datasource"
    required = {(one["type"], one["id"]) for one in exported["__requires"]}
    assert {("panel", panel["type"]) for panel in exported["panels"]} <= required
    for one in exported["__inputs"]:
        if one["type"] == "datasource":
            assert ("datasource", one["pluginId"]) in required

    dashboard = imported(exported)
    text = json.dumps(dashboard)
    assert "${DS_" not in text
    assert "${VAR_" not in text
    assert "127.0.0.1" not in text
    variables = {one["name"]: one for one in dashboard["templating"]["list"]}
    assert variables["analytics"]["query"] == "https://chat.example.org"
    chosen = {f"${{{n}}}": v["current"]["value"] for n, v in variables.items() if "current" in v}
    for panel in dashboard["panels"]:
        for one in (panel, *panel["targets"]):
            assert chosen[one["datasource"]["uid"]].startswith("my-")


def test_only_dashboards_that_need_it_ask_for_more_than_prometheus() -> None:
    """Whoever has no Tempo and no Infinity imports all the others."""
    asks = {
        name: {one["name"] for one in json.loads(text)["__inputs"]}
        for name, text in files(for_import=True).items()
    }
    assert {name for name, one in asks.items() if "DS_TEMPO" in one} == {
        "conversation.json",
        "turns-to-read.json",
    }
    assert {name for name, one in asks.items() if "DS_ANSWERS" in one} == {"answers.json"}


def test_the_command_writes_them_elsewhere_than_the_provisioned_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Provisioned ones are read as they are, without anybody being asked."""
    with pytest.raises(SystemExit, match="2"):
        main(["--for-import"])
    assert "needs an --output" in capsys.readouterr().err
    main(["--for-import", "--output", str(tmp_path)])
    assert "__inputs" in json.loads((tmp_path / "overview.json").read_text())
