"""Rules and dashboards for Prometheus' operator, and the manifests of docs/kubernetes.md."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from prometheus import generate, operator
from prometheus.generate import HERE, rules
from prometheus.settings import Settings

ROOT = HERE.parent
PAGE = (ROOT / "docs" / "kubernetes.md").read_text()
VERSION = "1.34"
MANIFESTS = [
    manifest
    for block in re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    for manifest in yaml.safe_load_all(block)
]


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What `make rules ARGS="--operator"` writes."""
    monkeypatch.setattr(operator, "FOLDER", tmp_path)
    monkeypatch.setenv("OTEL_CHAT_GRAFANA_URL", "https://grafana.example")
    generate.main(["--operator", "--set", "anchored=false"])
    return tmp_path


def test_the_resource_has_every_rule_with_its_links_filled_in(written: Path) -> None:
    """One PrometheusRule; names and alerts are those of the files, without extended selectors."""
    resource = yaml.safe_load((written / "rules.yaml").read_text())
    assert (resource["apiVersion"], resource["kind"]) == (
        "monitoring.coreos.com/v1",
        "PrometheusRule",
    )
    groups = resource["spec"]["groups"]
    assert len({group["name"] for group in groups}) == len(groups)
    book = rules(Settings())
    shipped = [*book.record_groups().values(), *book.alert_groups().values()]
    names = [[r.get("record") or r["alert"] for r in group["rules"]] for group in groups]
    assert names == [[r.get("record") or r["alert"] for r in group["rules"]] for group in shipped]
    text = (written / "rules.yaml").read_text()
    assert "anchored" not in text
    assert "${" not in text
    assert "https://grafana.example/d/otel-chat-" in text


@pytest.mark.stack
def test_promtool_takes_the_rules_without_extended_selectors(
    written: Path, promtool: Callable[..., str], tmp_path: Path
) -> None:
    """The groups of the resource are rules of Prometheus as they stand."""
    resource = yaml.safe_load((written / "rules.yaml").read_text())
    plain = tmp_path / "plain.yml"
    plain.write_text(yaml.safe_dump(resource["spec"]))
    assert promtool("check", "rules", "--lint=all", "--lint-fatal", str(plain))


def test_each_dashboard_is_a_config_map_that_the_sidecar_finds(written: Path) -> None:
    """Small enough for Kubernetes, and the same dashboard as the file's."""
    found = list(yaml.safe_load_all((written / "dashboards.yaml").read_text()))
    files = {path.name: json.loads(path.read_text()) for path in operator.DASHBOARDS.glob("*.json")}
    assert {name: json.loads(one["data"][name]) for one in found for name in one["data"]} == files
    for one in found:
        assert one["metadata"]["labels"] == {"grafana_dashboard": "1"}
        assert len(json.dumps(one)) < 2**20
        kubernetes_validate.validate(one, VERSION, strict=True)


@pytest.mark.parametrize(
    "manifest", MANIFESTS, ids=lambda one: f"{one['kind']}-{one['metadata']['name']}"
)
def test_a_manifest_is_what_kubernetes_takes(manifest: dict[str, Any]) -> None:
    """By Kubernetes' own description of its API; a field that it does not know is a mistake."""
    kubernetes_validate.validate(manifest, VERSION, strict=True)


def containers() -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Each container with the pod that it is of."""
    pods = [m["spec"]["template"]["spec"] for m in MANIFESTS if "template" in m.get("spec", {})]
    return [(pod, one) for pod in pods for one in pod["containers"]]


def test_containers_are_bounded_probed_and_without_rights() -> None:
    """Not root, a read-only file system, no capabilities, limits of memory, probes."""
    assert len(containers()) == 3
    for pod, one in containers():
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["automountServiceAccountToken"] is False
        assert one["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert one["resources"]["limits"]["memory"]
        assert {"readinessProbe", "livenessProbe"} <= one.keys()


def test_selectors_find_their_pods() -> None:
    """Services, workloads and network policies name labels that pods have."""
    labels = [
        m["spec"]["template"]["metadata"]["labels"]
        for m in MANIFESTS
        if "template" in m.get("spec", {})
    ]
    for manifest in MANIFESTS:
        spec = manifest.get("spec", {})
        asked = {
            "Service": spec.get("selector"),
            "NetworkPolicy": spec.get("podSelector", {}).get("matchLabels"),
            "StatefulSet": spec.get("selector", {}).get("matchLabels"),
            "DaemonSet": spec.get("selector", {}).get("matchLabels"),
        }.get(manifest["kind"])
        if asked is not None:
            assert any(asked.items() <= one.items() for one in labels), manifest["metadata"]
