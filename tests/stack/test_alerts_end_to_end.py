"""From the bot to the person: what goes wrong with it is told once, and that it is over too."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from prometheus.generate import main as generate
from tests import web
from tests.stack.bot import SERVICE
from tests.stack.running import Running
from tests.stack.test_alerting import Webhook, webhook
from tests.waiting import until
from tools.stack.parts import Ports, Settings, parts
from tools.stack.processes import Stack

pytestmark = [pytest.mark.stack, pytest.mark.timeout(400)]
SHORTENED = [
    "--windows-factor=0.02",  # an hour is 72 seconds
    "--set=response_seconds=0.5",
    "--set=response_target=0.99",
    "--set=minimum_turns=10",
    "--set=budget_turns=0",
]
GRAFANA = "https://grafana.example"


@dataclass(frozen=True)
class Watched:
    """The bot and who is told of it.

    Args:
        running: The stack behind it.
        bot: Its process.
        told: What Alertmanager posted.
    """

    running: Running
    bot: subprocess.Popen[str]
    told: Webhook

    def be(self, state: str) -> None:
        """Puts the bot into a state of `bot.py`."""
        assert self.bot.stdin
        self.bot.stdin.write(f"{state}\n")
        self.bot.stdin.flush()

    def messages(self, name: str, window: str, status: str) -> list[dict[str, Any]]:
        """The alert in each message in which it stood with a status."""
        return [
            alert
            for post in self.told.posts
            for alert in post["alerts"]
            if alert["status"] == status
            and alert["labels"]["alertname"] == name
            and alert["labels"].get("window", "") == window
        ]


@contextmanager
def bot(endpoint: str) -> Iterator[subprocess.Popen[str]]:
    """The bot under traffic."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.stack.bot", endpoint],
        stdin=subprocess.PIPE,
        text=True,
        env={**os.environ, "OTEL_METRIC_EXPORT_INTERVAL": "500"},
    )
    try:
        yield process
    finally:
        process.communicate(timeout=60)


@pytest.fixture
def watched(built: None, tmp_path: Path) -> Iterator[Watched]:
    """A stack with the shipped rules, their windows shortened, and the bot, which is well."""
    rules = tmp_path / "rules"
    generate([*SHORTENED, f"--output={rules}"])
    with webhook() as (url, told):
        (tmp_path / "webhook").write_text(url)
        given = {
            "OTEL_CHAT_SCRAPE_INTERVAL": "1s",
            "OTEL_CHAT_EVALUATION_INTERVAL": "1s",
            "OTEL_CHAT_ALERT_PAGE": "webhook",
            "OTEL_CHAT_ALERT_TICKET": "webhook",
            "OTEL_CHAT_ALERT_WEBHOOK_FILE": str(tmp_path / "webhook"),
            "OTEL_CHAT_ALERT_GROUP_WAIT": "1s",
            "OTEL_CHAT_ALERT_TICKET_WAIT": "1s",
            "OTEL_CHAT_ALERT_GROUP_INTERVAL": "1s",
            "OTEL_CHAT_GRAFANA_URL": GRAFANA,
        }
        settings = Settings(tmp_path / "data", Ports.free(), given, rules)
        with (
            Stack(parts(settings), tmp_path / "logs") as stack,
            bot(settings.ports.url("otlp_http")) as process,
        ):
            yield Watched(Running(stack, settings), process, told)


def test_what_goes_wrong_with_the_bot_is_told_once_and_resolves(watched: Watched) -> None:
    """Slow, then failing, then handing everything over: each alert comes once, with its links."""
    running = watched.running
    until(lambda: sum(running.counted(SERVICE)) > 30)
    for state, name, window, page in (
        ("slow", "ChatResponseTimeBudgetBurn", "1h", "response-time"),
        ("failing", "ChatErrorBudgetBurn", "1h", "response-time"),
        ("handing over", "ChatHandoffSpike", "", "conversations"),
    ):
        assert not watched.messages(name, window, "firing")
        watched.be(state)
        until(lambda told=(name, window, "firing"): watched.messages(*told))
        assert running.query(f'ALERTS{{alertname="{name}",alertstate="firing"}}')
        watched.be("well")
        until(lambda told=(name, window, "resolved"): watched.messages(*told))
        (told,) = watched.messages(name, window, "firing")
        assert told["labels"]["service_name"] == SERVICE
        assert told["labels"]["gen_ai_agent_name"] == "alder-support"
        assert told["annotations"]["dashboard_url"].startswith(f"{GRAFANA}/d/otel-chat-{page}?")
        runbook = told["annotations"]["runbook_url"]
        assert runbook.endswith(f"/{name}.md")
        answer = web.get(runbook)
        assert answer.status_code == 200
        assert f"<h1>{name}</h1>" in answer.text
