"""The rules that are committed are those that the code writes, and Prometheus takes them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from prometheus.generate import HERE, cases, files, main, rules
from prometheus.settings import Settings
from tools.stack.expand import expand_rules


def committed() -> dict[str, str]:
    """The rules in the repository, by path."""
    folders = (HERE / "rules", HERE / "alerts", HERE / "tests")
    return {
        f"{folder.name}/{path.name}": path.read_text()
        for folder in folders
        for path in folder.glob("*.yml")
    }


def test_the_committed_rules_are_those_that_the_code_writes() -> None:
    """After a change of code or names: `python -m prometheus.generate`."""
    assert committed() == {**files(rules(Settings())), **cases()}


def test_shorter_windows_change_times_alone(tmp_path: Path) -> None:
    """With a factor every rule keeps its name; no window of days is left."""
    main(["--windows-factor", "0.01", "--set", "minimum_turns=5", "--output", str(tmp_path)])
    shortened = {
        str(path.relative_to(tmp_path)): yaml.safe_load(path.read_text())
        for path in tmp_path.rglob("*.yml")
    }
    shipped = {path: text for path, text in committed().items() if not path.startswith("tests/")}
    assert shortened.keys() == shipped.keys()
    for path, text in shipped.items():
        (before,), (after,) = yaml.safe_load(text)["groups"], shortened[path]["groups"]
        names = [rule.get("record") or rule["alert"] for rule in before["rules"]]
        assert [rule.get("record") or rule["alert"] for rule in after["rules"]] == names
    written = "".join(path.read_text() for path in tmp_path.rglob("*.yml"))
    assert "[5m" not in written
    assert "[3s] anchored" in written
    assert ">= 5\n" in written


@pytest.mark.stack
def test_promtool_finds_nothing_wrong(promtool: Callable[..., str], tmp_path: Path) -> None:
    """Syntax, templates and duplicates, of the committed and of shortened rules."""
    main(["--windows-factor", "0.004", "--output", str(tmp_path)])
    for folder in (HERE, tmp_path):
        found = [
            str(path) for path in sorted(folder.glob("*/*.yml")) if path.parent.name != "tests"
        ]
        assert promtool("check", "rules", "--lint=all", "--lint-fatal", *found)


def test_links_are_filled_in_where_prometheus_reads_the_rules(tmp_path: Path) -> None:
    """Each file with the addresses of this installation; files that are no more are taken away."""
    (tmp_path / "alerts").mkdir()
    (tmp_path / "alerts" / "old.yml").touch()
    given = {
        "OTEL_CHAT_GRAFANA_URL": "https://grafana.example",
        "OTEL_CHAT_RUNBOOKS_URL": "https://docs.example/runbooks",
    }
    expand_rules(HERE, tmp_path, given)
    shipped = {path for path in committed() if not path.startswith("tests/")}
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.glob("*/*.yml")} == shipped
    written = "".join(path.read_text() for path in tmp_path.glob("alerts/*.yml"))
    assert "${" not in written
    assert "https://grafana.example/d/otel-chat-cost?" in written
    assert "https://docs.example/runbooks/ChatToolErrors.md\n" in written
