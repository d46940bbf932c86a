"""The alerts as Grafana's own, for those without Alertmanager: a file of its provisioning.

Grafana works them out itself on the same Prometheus, which still records the rules that they
stand on. It fills in `${...}` when it reads the file.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from prometheus.book import INFO, Book
from prometheus.names import ENVIRONMENT, SERVICE

if TYPE_CHECKING:
    from prometheus.settings import Settings

FILE: Final = Path(__file__).parents[1] / "grafana" / "provisioning" / "alerting" / "otel-chat.yaml"
DATASOURCE: Final = "otel-chat-prometheus"
FOLDER: Final = "otel-chat"
CONTACT: Final = "otel-chat"
INTERVAL: Final = "1m"
_LONGEST_UID: Final = 40
_LOOK_BACK: Final = 600
_GROUPED: Final = ["grafana_folder", "alertname", SERVICE, ENVIRONMENT]


class ManagedError(Exception):
    """An alert cannot be one of Grafana's."""


def settings_for(settings: Settings) -> Settings:
    """The settings with addresses as Grafana fills them in, which knows no defaults."""
    return replace(
        settings,
        dashboards_url="${OTEL_CHAT_GRAFANA_URL}",
        runbooks_url="${OTEL_CHAT_ANALYTICS_PAGE}/runbooks",
    )


def provisioning(book: Book) -> dict[str, Any]:
    """What Grafana reads: the groups of alerts, and whom they are told to.

    Args:
        book: All rules, made with `settings_for`.

    Raises:
        ManagedError: an alert's id is too long for Grafana, or taken.
    """
    seen: set[str] = set()
    groups = []
    for group in book.alert_groups().values():
        rules = [_rule(rule) for rule in group["rules"]]
        for rule in rules:
            if rule["uid"] in seen or len(rule["uid"]) > _LONGEST_UID:
                raise ManagedError(f"{rule['uid']} is too long, or not the only one of this name.")
            seen.add(rule["uid"])
        groups.append(
            {
                "orgId": 1,
                "name": group["name"],
                "folder": FOLDER,
                "interval": INTERVAL,
                "rules": rules,
            }
        )
    return {"apiVersion": 1, "contactPoints": [_contact()], "groups": groups}


def _contact() -> dict[str, Any]:
    receiver = {
        "uid": "otel-chat-webhook",
        "type": "webhook",
        "settings": {"url": "${OTEL_CHAT_ALERT_WEBHOOK}"},
    }
    return {"orgId": 1, "name": CONTACT, "receivers": [receiver]}


def _rule(rule: dict[str, Any]) -> dict[str, Any]:
    labels = rule["labels"]
    name = " ".join((rule["alert"], *([labels["window"]] if "window" in labels else [])))
    found = {
        "uid": f"otel-chat-{name.replace(' ', '-')}",
        "title": name,
        "condition": "B",
        "data": [_asked(rule["expr"]), _there("A")],
        "for": rule["for"],
        # As in Prometheus: no series, no alert
        "noDataState": "OK",
        "execErrState": "Error",
        "labels": labels,
        "annotations": {key: _template(text) for key, text in rule["annotations"].items()},
    }
    if labels["severity"] != INFO:
        found["notification_settings"] = {"receiver": CONTACT, "group_by": _GROUPED}
    return found


def _asked(expr: str) -> dict[str, Any]:
    return {
        "refId": "A",
        "datasourceUid": DATASOURCE,
        "relativeTimeRange": {"from": _LOOK_BACK, "to": 0},
        "model": {"refId": "A", "expr": expr, "instant": True, "range": False},
    }


def _there(of: str) -> dict[str, Any]:
    """Whether there is a value at all: in Prometheus 0 is as much of an alert as any other."""
    return {
        "refId": "B",
        "datasourceUid": "__expr__",
        "relativeTimeRange": {"from": 0, "to": 0},
        "model": {"refId": "B", "type": "math", "expression": f"is_null(${of}) == 0"},
    }


def _template(text: str) -> str:
    """A template of Prometheus' as one of Grafana's.

    Without a dollar sign: Grafana would take the name behind it for one of the environment.

    Example:
        >>> _template("{{ $labels.agent }}: {{ $value | humanize }}")
        '{{ .Labels.agent }}: {{ .Values.A.Value | humanize }}'
    """
    text = re.sub(r"\$labels\b", ".Labels", text)
    return re.sub(r"\$value\b", ".Values.A.Value", text)
