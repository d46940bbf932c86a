"""Who is told what: the real Alertmanager with the file that is shipped."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests import web
from tests.requirements import demand
from tests.waiting import until
from tools.binaries import binary
from tools.stack.parts import Ports, Settings, parts
from tools.stack.processes import HOST, Stack

pytestmark = pytest.mark.stack
FORWARDED = {
    "OTEL_CHAT_ALERT_PAGE": "webhook-and-email",
    "OTEL_CHAT_ALERT_TICKET": "email",
    "OTEL_CHAT_ALERT_WATCHDOG": "watchdog",
}
RUNBOOK = "https://example.org/runbooks/a"
DASHBOARD = "https://example.org/d/a"


@pytest.fixture
def amtool(built: None) -> str:
    """Alertmanager's own checker."""
    found = binary("amtool")
    demand("stack", there=found is not None, fix="make tools")
    return str(found)


def expanded(folder: Path, environment: dict[str, str]) -> Path:
    """Alertmanager's configuration as the stack writes it."""
    parts(Settings(folder, Ports.free(), environment))
    return folder / "alertmanager.yml"


def amtool_says(amtool: str, *arguments: str) -> str:
    """What it prints, when it is content."""
    done = subprocess.run([amtool, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


@pytest.mark.parametrize("receiver", ["page-only", "webhook", "email", "webhook-and-email"])
def test_the_file_holds_with_every_receiver(amtool: str, tmp_path: Path, receiver: str) -> None:
    """Alertmanager's own check finds nothing wrong, templates included."""
    given = {"OTEL_CHAT_ALERT_PAGE": receiver, "OTEL_CHAT_ALERT_TICKET": receiver}
    said = amtool_says(amtool, "check-config", str(expanded(tmp_path, given)))
    assert "SUCCESS" in said
    assert "1 templates" in said


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        (["severity=page"], "webhook-and-email"),
        (["severity=page", "component=pipeline"], "webhook-and-email"),
        (["severity=ticket"], "email"),
        (["severity=info"], "page-only"),
        (["alertname=Unlabelled"], "email"),
        (["alertname=Watchdog", "severity=info"], "watchdog"),
    ],
)
def test_an_alert_goes_to_the_receiver_of_its_severity(
    amtool: str, tmp_path: Path, labels: list[str], receiver: str
) -> None:
    """What must be seen now pages; what can wait is a ticket, as is what has no severity."""
    config = f"--config.file={expanded(tmp_path, FORWARDED)}"
    said = amtool_says(
        amtool, "config", "routes", "test", config, f"--verify.receivers={receiver}", *labels
    )
    assert said.strip().startswith(receiver)


class Webhook:
    """Keeps what Alertmanager posts."""

    def __init__(self) -> None:
        self.posts: list[dict[str, Any]] = []

    def alerts(self, status: str) -> list[dict[str, Any]]:
        """The alerts told so far, of a status."""
        told = [alert for post in self.posts for alert in post["alerts"]]
        return [alert for alert in told if alert["status"] == status]


@contextmanager
def webhook() -> Iterator[tuple[str, Webhook]]:
    """A receiver of webhooks on a free port."""
    kept = Webhook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            kept.posts.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Quiet."""

    with ThreadingHTTPServer((HOST, 0), Handler) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            yield f"http://{HOST}:{server.server_port}/hook", kept
        finally:
            server.shutdown()


def alert(name: str, *, ended: bool = False, **labels: str) -> dict[str, Any]:
    """An alert as Prometheus sends it."""
    now = datetime.now(UTC)
    end = now if ended else now + timedelta(minutes=10)
    return {
        "labels": {"alertname": name, **labels},
        "annotations": {"runbook_url": RUNBOOK, "dashboard_url": DASHBOARD, "summary": name},
        "startsAt": (now - timedelta(minutes=1)).isoformat(),
        "endsAt": end.isoformat(),
    }


def test_alerts_reach_a_webhook_once_are_inhibited_and_resolve(built: None, tmp_path: Path) -> None:
    """A slow burn beside its fast twin is not told, nor what a broken pipeline falsifies."""
    with webhook() as (url, kept):
        (tmp_path / "url").write_text(url)
        settings = Settings(
            tmp_path,
            Ports.free(),
            {
                "OTEL_CHAT_ALERT_PAGE": "webhook",
                "OTEL_CHAT_ALERT_TICKET": "webhook",
                "OTEL_CHAT_ALERT_WEBHOOK_FILE": str(tmp_path / "url"),
                "OTEL_CHAT_ALERT_GROUP_WAIT": "1s",
                "OTEL_CHAT_ALERT_TICKET_WAIT": "1s",
                "OTEL_CHAT_ALERT_GROUP_INTERVAL": "1s",
            },
        )
        only = [each for each in parts(settings) if each.name == "alertmanager"]
        with Stack(only, tmp_path / "logs"):
            api = f"{settings.ports.url('alertmanager')}/api/v2/alerts"
            burn = {"slo": "response_time", "service_name": "shop"}
            sent = [
                alert("FastBurn", severity="page", **burn),
                alert("SlowBurn", severity="ticket", **burn),
                alert("TelemetryCollectorAway", severity="page", component="pipeline"),
                alert("NoTraffic", severity="page", falsified_by="pipeline"),
                alert("Unpriced", severity="ticket", service_name="shop"),
            ]
            web.post(api, json=sent).raise_for_status()
            expected = {"FastBurn", "TelemetryCollectorAway", "Unpriced"}
            until(lambda: len(kept.alerts("firing")) >= len(expected))
            told = kept.alerts("firing")
            sent[0] = alert("FastBurn", ended=True, severity="page", **burn)
            web.post(api, json=sent[:1]).raise_for_status()
            until(lambda: kept.alerts("resolved"))

    assert sorted(each["labels"]["alertname"] for each in told) == sorted(expected)
    for each in told:
        assert each["annotations"]["runbook_url"] == RUNBOOK
        assert each["annotations"]["dashboard_url"] == DASHBOARD
    assert [each["labels"]["alertname"] for each in kept.alerts("resolved")] == ["FastBurn"]
