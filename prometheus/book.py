"""Rules as they are collected: what an alert needs recorded is recorded, once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from otel_chat import semconv as sc
from prometheus.names import (
    AGENT,
    ENVIRONMENT,
    INSTANCE,
    MODEL,
    SERVICE,
    Metric,
    UnknownNameError,
    label,
)
from prometheus.settings import Settings, text_of

LEVELS: Final = {
    "agent": (SERVICE, ENVIRONMENT, AGENT),
    "channel": (SERVICE, ENVIRONMENT, AGENT, label(sc.CHANNEL)),
    "process": (SERVICE, ENVIRONMENT, INSTANCE),
    "reason": (SERVICE, ENVIRONMENT, AGENT, label(sc.HANDOFF_REASON)),
    "model": (SERVICE, ENVIRONMENT, AGENT, MODEL),
    "tokens": (SERVICE, ENVIRONMENT, AGENT, MODEL, label(sc.TOKEN_TYPE)),
    "provider": (SERVICE, ENVIRONMENT, label(sc.PROVIDER_NAME), MODEL),
    "tool": (SERVICE, ENVIRONMENT, label(sc.TOOL_NAME)),
    "environment": (ENVIRONMENT,),
    "application": (SERVICE, ENVIRONMENT),
    "signal": (SERVICE, ENVIRONMENT, label(sc.TELEMETRY_SIGNAL)),
    "attribute": (SERVICE, ENVIRONMENT, label(sc.TELEMETRY_ATTRIBUTE)),
    "exporter": ("job", "instance", "exporter"),
    "receiver": ("job", "instance", "receiver"),
    "discarded": ("job", "instance", "reason"),
    "cut": ("job", "instance", "scope"),
}
"""The first part of a recorded name, and the labels that it stands for."""
VARIABLES: Final = {
    ENVIRONMENT: "environment",
    AGENT: "agent",
    "agent": "agent",
    label(sc.CHANNEL): "channel",
    "channel": "channel",
    MODEL: "model",
}
"""Labels, and the variables of dashboards that they are values of."""
PAGE, TICKET, INFO = "page", "ticket", "info"
DASHBOARDS: Final = (
    "overview",
    "conversations",
    "intents",
    "cost",
    "response-time",
    "outcomes",
    "pipeline",
)


TURNS: Final = {
    "ChatErrorBudgetBurn": "status = error",
    "ChatResponseTimeBudgetBurn": "duration >= {settings.response_seconds:g}s",
    "ChatLatencyAnomaly": "duration >= {settings.response_seconds:g}s",
    "ChatLowConfidenceRateHigh": f"span.{sc.CONFIDENCE} < {sc.LOW_CONFIDENCE_THRESHOLD}",
    "ChatHandoffSpike": f"span.{sc.HANDOFF_TRIGGERED} = true",
}
"""Alerts, and which turns they are about: a choice of the dashboard of one conversation."""


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert.

    Args:
        name: Also the name of its runbook.
        severity: `page`, `ticket` or `info`.
        expr: What must not be; its value is the alert's.
        wait: How long it must be so, nominal.
        summary: One line for people; a template.
        description: What it means for users; a template.
        dashboard: Where to look, one of `DASHBOARDS`.
        labels: Further labels: component, falsified_by, slo, window.
        keep: How long it goes on after it was so for the last time, nominal, so that what comes
            and goes is told once; empty where it ends at once.
    """

    name: str
    severity: str
    expr: str
    wait: str
    summary: str
    description: str
    dashboard: str
    labels: dict[str, str] = field(default_factory=dict)
    keep: str = "10m"


@dataclass(slots=True)
class Book:
    """All rules of one set of settings.

    Args:
        settings: What they depend on.
    """

    settings: Settings
    _records: dict[str, dict[str, list[dict[str, Any]]]] = field(default_factory=dict)
    _alerts: dict[str, list[Alert]] = field(default_factory=dict)
    _slow: set[str] = field(default_factory=set)

    def time(self, nominal: str) -> str:
        """A duration as it stands in the rules."""
        return self.settings.time(nominal)

    def grown(self, metric: Metric, window: str, by: Sequence[str], late: str = "") -> str:
        """What a counter grew by in a window, its very first count included.

        Args:
            metric: The counter.
            window: Nominal.
            by: The labels to keep.
            late: How long ago the window ends, nominal; now, where it is empty.
        """
        metric.require(by)
        how = " anchored" if self.settings.anchored else ""
        ago = f" offset {self.time(late)}" if late else ""
        growth = metric.over("increase", f"[{self.time(window)}]{how}{ago}")
        return f"sum by ({', '.join(by)}) ({growth})"

    def record(self, group: str, name: str, expr: str, *, slow: bool = False, **labels: str) -> str:
        """Records an expression and gives the name to use instead of it.

        Args:
            group: Where it belongs.
            name: level:metric:operations.
            expr: What to record.
            slow: Whether once a minute is enough.
            labels: Labels to add.

        Raises:
            UnknownNameError: the name is none, or stands for another expression already.
        """
        if not re.fullmatch(r"[a-z_]+:[a-z_0-9]+:[a-z_0-9]+", name):
            raise UnknownNameError(f"{name} is not of the form level:metric:operations.")
        group = f"{group}_minutely" if slow else group
        rule: dict[str, Any] = {"record": name, "expr": expr}
        if labels:
            rule["labels"] = labels
        for there, rules in self._records.items():
            for same in rules.get(name, ()):
                if same.get("labels", {}) == labels and same != rule:
                    raise UnknownNameError(f"{name} is recorded twice, differently, in {there}.")
        written = self._records.setdefault(group, {}).setdefault(name, [])
        if rule not in written:
            written.append(rule)
        if slow:
            self._slow.add(group)
        return name

    def alert(self, group: str, alert: Alert) -> None:
        """Adds an alert to a group."""
        if alert.dashboard not in DASHBOARDS:
            raise UnknownNameError(f"There is no dashboard {alert.dashboard}.")
        self._alerts.setdefault(group, []).append(alert)

    @property
    def alerts(self) -> list[Alert]:
        """All alerts."""
        return [alert for alerts in self._alerts.values() for alert in alerts]

    def record_groups(self) -> dict[str, dict[str, Any]]:
        """The groups of recording rules, as Prometheus reads them."""
        every = text_of(max(1000, self.settings.milliseconds("1m")))
        return {
            name: {
                "name": f"otel_chat_{name}",
                **({"interval": every} if name in self._slow else {}),
                "rules": [rule for rules in records.values() for rule in rules],
            }
            for name, records in self._records.items()
        }

    def alert_groups(self) -> dict[str, dict[str, Any]]:
        """The groups of alerts, as Prometheus reads them."""
        return {
            name: {"name": f"otel_chat_{name}", "rules": [self._rule(alert) for alert in alerts]}
            for name, alerts in self._alerts.items()
        }

    def _rule(self, alert: Alert) -> dict[str, Any]:
        links = self.settings
        place = f"{links.dashboards_url}/d/otel-chat-{alert.dashboard}{_chosen(alert.summary)}"
        return {
            "alert": alert.name,
            "expr": alert.expr,
            "for": self.time(alert.wait),
            **({"keep_firing_for": self.time(alert.keep)} if alert.keep else {}),
            "labels": {"severity": alert.severity, **alert.labels},
            "annotations": {
                "summary": alert.summary,
                "description": alert.description,
                "runbook_url": f"{links.runbooks_url}/{alert.name}.md",
                "dashboard_url": place,
                **self._turns(alert),
            },
        }

    def _turns(self, alert: Alert) -> dict[str, str]:
        """Where the latest turns of the agent stand that the alert is about, if it is of one."""
        chosen = _chosen(alert.summary)
        if "var-agent=" not in chosen:
            return {}
        kind = quote(TURNS.get(alert.name, "").format(settings=self.settings))
        only = f"&var-only={kind}" if kind else ""
        url = f"{self.settings.dashboards_url}/d/otel-chat-conversation{chosen}{only}"
        return {"turns_url": url}


def _chosen(summary: str) -> str:
    """What the dashboard's variables are set to: to those labels that the summary names."""
    named = set(re.findall(r"\$labels\.(\w+)", summary))
    if AGENT in named:
        named.add(ENVIRONMENT)
    chosen = "".join(
        f"{{{{ with $labels.{name} }}}}&var-{variable}={{{{ . | urlquery }}}}{{{{ end }}}}"
        for name, variable in VARIABLES.items()
        if name in named
    )
    return f"?{chosen}" if chosen else ""
