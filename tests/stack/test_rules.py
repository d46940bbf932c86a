"""The rules that are shipped, on the real servers."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from prometheus.generate import HERE
from prometheus.names import COLLECTOR
from tests import web
from tests.stack.running import Running, Sender
from tests.stack.test_bad_senders import BEHIND, gauge
from tests.waiting import until
from tools.stack.parts import ROOT, Ports, Settings, parts
from tools.stack.processes import Part, Process

pytestmark = pytest.mark.stack


ONE_HANDOFF = """
import sys
import otel_chat

@otel_chat.chat_handler(agent="support", channel="web", conversation_id="session", message="text")
def answer(session, text):
    otel_chat.current_turn().handoff("a reason that nobody declared")
    return "A colleague will help you."

otel_chat.setup(service_name=sys.argv[1], environment="test", endpoint=sys.argv[2])
answer("c-1", "help")
otel_chat.shutdown()
"""


@pytest.fixture
def failing(built: None, tmp_path: Path) -> Iterator[Ports]:
    """A collector in trouble: nobody behind it, and hardly any room in queues and memory."""
    hardly_any = {
        "retry_on_failure": {"max_interval": "1s", "max_elapsed_time": "2s"},
        "sending_queue": {"num_consumers": 1, "batch": {"min_size": 1000, "max_size": 2000}},
    }
    exporters = ("otlp_http/prometheus", "otlp_http/analytics", "otlp_grpc/tempo")
    worse = {
        "exporters": dict.fromkeys(exporters, hardly_any),
        "processors": {"tail_sampling": {"num_traces": 2}},
    }
    (tmp_path / "worse.yaml").write_text(yaml.safe_dump(worse))
    settings = Settings(tmp_path, Ports.free(), {"OTEL_CHAT_COLLECTOR_QUEUE_BYTES": "20000"})
    (whole,) = [part for part in parts(settings) if part.name == "collector"]
    more = [ROOT / "exporters" / "collector" / "tempo.yaml", tmp_path / "worse.yaml"]
    command = [whole.command[0], f"--config={ROOT / 'exporters' / 'collector' / 'collector.yaml'}"]
    process = Process(
        Part(
            whole.name,
            [*command, *(f"--config={path}" for path in more)],
            whole.ports,
            whole.ready,
            whole.environment,
        ),
        tmp_path,
        None,
    )
    process.start()
    yield settings.ports
    process.stop()


def test_a_collector_in_trouble_tells_what_the_rules_ask(failing: Ports) -> None:
    """Refused, failed, queued and dropped telemetry is counted under the names of the table."""
    asked = {name for name in COLLECTOR if "_sent_" not in name}

    def told() -> set[str]:
        text = web.get(f"{failing.url('collector_metrics')}/metrics").text
        return set(re.findall(r"^(otelcol_\w+)", text, re.MULTILINE))

    with Sender("trouble", failing.url("otlp_http")) as sender:
        sender.answer(1)
        late = gauge("trouble", 1, late=BEHIND)
        web.post(f"{failing.url('otlp_http')}/v1/metrics", json=late).raise_for_status()
        lost = {name for name in asked if "_send_failed_" in name}
        until(lambda: lost <= told(), every=0.2)
        sender.answer(400)

        def pressed() -> bool:
            # Metrics go on one request at a time, so that it takes many of them to fill a queue
            for number in range(50):
                web.post(f"{failing.url('otlp_http')}/v1/metrics", json=gauge("trouble", number))
            return asked <= told()

        until(pressed, every=0.2)


def test_every_rule_is_worked_out_on_the_running_stack(running: Running, sender: Sender) -> None:
    """Prometheus has loaded all rules that are shipped, and none fails on real telemetry."""
    sender.answer(50)
    assert sender.said() == (50, True)
    url = f"{running.settings.ports.url('prometheus')}/api/v1/rules"

    def worked_out() -> list[dict[str, str]]:
        groups = web.get(url).json()["data"]["groups"]
        found = [rule for group in groups for rule in group["rules"]]
        known = [rule for rule in found if rule["health"] != "unknown"]
        return known if len(known) == shipped else []

    shipped = sum(
        len(yaml.safe_load(path.read_text())["groups"][0]["rules"])
        for folder in ("rules", "alerts")
        for path in (HERE / folder).glob("*.yml")
    )
    found = until(worked_out)
    assert {rule["name"]: rule.get("lastError") for rule in found if rule["health"] != "ok"} == {}
    # A first count is one, from the application to the recorded rule
    series = f'agent:otel_chat_turns:increase30m{{service_name="{sender.service}"}}'
    until(lambda: running.query(series) == [50.0])


def test_the_first_handoff_ever_is_counted(running: Running) -> None:
    """A series that begins with its first count has grown by one, in the rule of the alert."""
    endpoint = running.settings.ports.url("otlp_http")
    subprocess.run([sys.executable, "-c", ONE_HANDOFF, "first", endpoint], check=True)
    recorded = 'reason:otel_chat_handoffs:increase30m{service_name="first"}'
    until(lambda: running.query(recorded) == [1.0])
