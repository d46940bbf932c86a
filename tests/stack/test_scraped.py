"""An application that Prometheus fetches metrics from, without any collector."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from otel_chat.client.local_server import HOST, free_port
from tests import web
from tests.stack.running import Running, Sender
from tests.waiting import until
from tools.stack.parts import Ports, Settings, parts
from tools.stack.processes import Stack

pytestmark = pytest.mark.stack


def test_the_rules_work_on_an_application_that_is_scraped(built: None, tmp_path: Path) -> None:
    """Turns, slow ones and tokens are recorded by service, environment and agent."""
    every = {"OTEL_CHAT_SCRAPE_INTERVAL": "1s", "OTEL_CHAT_EVALUATION_INTERVAL": "1s"}
    settings = Settings(tmp_path, Ports.free(), every)
    (prometheus,) = [part for part in parts(settings) if part.name == "prometheus"]
    port, config = free_port(), tmp_path / "prometheus.yml"
    told = yaml.safe_load(config.read_text())
    told["scrape_configs"] = [
        {"job_name": "support-bot", "static_configs": [{"targets": [f"{HOST}:{port}"]}]}
    ]
    config.write_text(yaml.safe_dump(told))
    scraped = {"OTEL_CHAT_PROMETHEUS_PORT": str(port)}
    with (
        Stack([prometheus], tmp_path / "logs") as stack,
        Sender("scraped", "", **scraped) as application,
    ):
        running = Running(stack, settings)
        here = (
            'service_name="scraped", deployment_environment_name="test",'
            ' gen_ai_agent_name="stack-test"'
        )
        application.answer(1)
        until(lambda: running.query(f"otel_chat_turn_duration_seconds_count{{{here}}}") == [1])
        application.answer(20)
        for name in ("turns", "turns_within"):
            recorded = f"agent:otel_chat_{name}:increase5m{{{here}}}"
            until(lambda asked=recorded: running.query(asked) == [20])  # type: ignore[misc]
        assert running.query(f"agent:otel_chat_turns_slow:ratio5m{{{here}}}") == [0]
        targets = web.get(f"{settings.ports.url('prometheus')}/api/v1/targets").json()["data"]
        (target,) = targets["activeTargets"]
        assert (target["health"], target["lastError"]) == ("up", "")
