"""Rules and dashboards as Kubernetes takes them: a PrometheusRule, and ConfigMaps for Grafana.

The operator of Prometheus reads the one, the sidecar of Grafana's chart the others.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from prometheus.book import Book

ROOT: Final = Path(__file__).parents[1]
FOLDER: Final = ROOT / "kubernetes"
"""Where they are written; not in the repository, because their links are an installation's own."""
DASHBOARDS: Final = ROOT / "grafana" / "dashboards"
NAME: Final = "otel-chat"
SIDECAR: Final = {"grafana_dashboard": "1"}
"""The label by which the sidecar of Grafana's chart knows dashboards."""


def prometheus_rule(book: Book) -> dict[str, Any]:
    """All rules and alerts as one resource of the operator.

    Args:
        book: The rules; their links are filled in by whoever writes the file.
    """
    groups = [*book.record_groups().values(), *book.alert_groups().values()]
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": _metadata(NAME, {"app.kubernetes.io/name": NAME}),
        "spec": {"groups": groups},
    }


def dashboards(source: Path = DASHBOARDS) -> list[dict[str, Any]]:
    """Each dashboard as a ConfigMap of its own, which may hold a mebibyte.

    Args:
        source: The folder of the dashboards.
    """
    return [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": _metadata(f"{NAME}-dashboard-{path.stem}", SIDECAR),
            "data": {path.name: json.dumps(json.loads(path.read_text()), separators=(",", ":"))},
        }
        for path in sorted(source.glob("*.json"))
    ]


def _metadata(name: str, labels: Mapping[str, str]) -> dict[str, Any]:
    return {"name": name, "labels": dict(labels)}
