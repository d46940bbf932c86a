"""Limits and mistakes: what waits is counted in the end, and so is what is lost."""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
from pathlib import Path
from uuid import uuid4

import pytest

from otel_chat.client.local_server import free_port
from tests import web
from tests.requirements import demand
from tests.stack.gateway import Receiver, gateway
from tests.stack.running import Running, Sender
from tests.waiting import until
from tools.stack.parts import Ports
from tools.stack.processes import HOST

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]
ORDER = 60
IMPATIENT = {"OTEL_EXPORTER_OTLP_TIMEOUT": "2"}


def name() -> str:
    """A service that no other test has."""
    return f"service-{uuid4().hex[:8]}"


def told(ports: Ports, metric: str) -> float:
    """The sum of one of a collector's own metrics for the analytics exporter's spans."""
    text = web.get(f"{ports.url('collector_metrics')}/metrics").text
    found = re.findall(rf"^{metric}\{{([^}}]*)\}} (\S+)$", text, re.MULTILINE)
    return sum(
        float(value) for labels, value in found if 'exporter="otlp_http/analytics"' in labels
    )


def dropped(running: Running, service: str) -> float:
    """The turns that an application says it could not send: each is one span here."""
    series = f'otel_chat_telemetry_dropped_total{{service_name="{service}"}}'
    only = series.replace("}", ',otel_chat_telemetry_signal="spans"}')
    return sum(running.query(f"sum({only})"))


def certificate(folder: Path, file: str) -> Path:
    """A certificate for this machine with its key, signed by nobody else."""
    program = shutil.which("openssl")
    demand("stack", there=program is not None, fix="apt-get install openssl")
    assert program
    command = [
        program, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
        "-nodes", "-days", "2", "-subj", "/CN=analytics", "-addext", f"subjectAltName=IP:{HOST}",
        "-keyout", f"{folder}/{file}.key", "-out", f"{folder}/{file}.crt",
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    both = folder / f"{file}.pem"
    both.write_text((folder / f"{file}.crt").read_text() + (folder / f"{file}.key").read_text())
    return both


def test_a_collector_away_for_a_while_is_waited_for(running: Running, sender: Sender) -> None:
    """The application tries again for some seconds: nothing is lost, nothing doubled."""
    sender.answer(ORDER)
    sender.said()
    running.stack["collector"].stop()
    try:
        sender.answer(ORDER, flush=False)
        sender.said()
    finally:
        running.stack["collector"].start()
    sender.answer(ORDER)
    sender.said()
    until(lambda: running.turns(sender.service) == 3 * ORDER)
    until(lambda: running.counted(sender.service) == [3 * ORDER])
    assert dropped(running, sender.service) == 0


def test_a_collector_away_for_longer_costs_turns_that_are_counted(running: Running) -> None:
    """What the application gave up it tells once it can; Prometheus still has every turn."""
    with Sender(name(), running.settings.ports.url("otlp_http"), **IMPATIENT) as sender:
        sender.answer(ORDER)
        sender.said()
        until(lambda: running.turns(sender.service) == ORDER)
        running.stack["collector"].kill()
        try:
            sender.answer(ORDER)
            sender.said()
        finally:
            running.stack["collector"].start()
        sender.answer(ORDER)
        sender.said()
        until(lambda: running.counted(sender.service) == [3 * ORDER])
        until(lambda: dropped(running, sender.service) == ORDER)
        until(lambda: running.turns(sender.service) == 2 * ORDER)


def test_a_killed_application_loses_an_interval_at_most(running: Running) -> None:
    """What was older than one export interval is counted by both; its successor counts on."""
    service = name()
    late = 7
    endpoint = running.settings.ports.url("otlp_http")
    with Sender(service, endpoint) as first:
        first.answer(ORDER)
        first.answer(ORDER, flush=False)  # sent by the interval alone
        until(lambda: running.counted(service) == [2 * ORDER])
        until(lambda: running.turns(service) == 2 * ORDER)
        first.said()
        first.said()
        first.answer(late, flush=False)
        first.said()
        first.kill()
    with Sender(f"{service}", endpoint) as second:
        second.answer(ORDER)
        second.said()
        until(lambda: running.turns(service) >= 3 * ORDER)
        counted = until(lambda: [n for n in running.counted(service) if n >= 3 * ORDER])
    assert counted[0] <= 3 * ORDER + late
    assert running.turns(service) <= 3 * ORDER + late


def test_a_full_queue_refuses_and_what_is_given_up_is_counted(
    running: Running, tmp_path: Path
) -> None:
    """Turns that arrived and turns that the application gave up are all that were answered."""
    analytics = running.settings.ports.url("analytics")
    port = free_port()
    limits = {
        "OTEL_CHAT_ANALYTICS_URL": f"http://{HOST}:{port}",
        "OTEL_CHAT_COLLECTOR_QUEUE_BYTES": "150000",
    }
    small = {
        "exporters": {
            "otlp_http/analytics": {
                "sending_queue": {"batch": {"min_size": 1000, "max_size": 20000}}
            },
            "otlp_http/prometheus": {"sending_queue": {"queue_size": 50000000}},
        }
    }
    with (
        gateway(running, tmp_path, small, **limits) as ports,
        Sender(name(), ports.url("otlp_http"), **IMPATIENT) as sender,
    ):
        answered = 0
        while not told(ports, "otelcol_exporter_enqueue_failed_spans"):
            sender.answer(ORDER)
            answered, _ = sender.said()
            assert answered < 100 * ORDER
        with Receiver(analytics, port=port):
            until(lambda: running.counted(sender.service) == [answered])
            until(lambda: dropped(running, sender.service) > 0)
            until(
                lambda: (
                    running.turns(sender.service) + dropped(running, sender.service) == answered
                ),
            )
            assert running.turns(sender.service) >= ORDER


def test_a_wrong_certificate_is_waited_out(running: Running, tmp_path: Path) -> None:
    """Nothing goes to a server that nobody vouches for; with the right one all arrives."""
    analytics = running.settings.ports.url("analytics")
    right, wrong = certificate(tmp_path, "right"), certificate(tmp_path, "wrong")
    with Receiver(analytics, certificate=wrong) as first:
        given = {
            "OTEL_CHAT_ANALYTICS_URL": first.url,
            "OTEL_CHAT_CA_FILE": str(tmp_path / "right.crt"),
        }
        collector = gateway(running, tmp_path, **given)
        ports = collector.__enter__()
        with Sender(name(), ports.url("otlp_http")) as sender:
            sender.answer(ORDER)
            assert sender.said() == (ORDER, True)
        until(lambda: told(ports, "otelcol_exporter_queue_size") > 0)
        log = (tmp_path / "collector.log").read_text
        until(lambda: "certificate" in log())
        assert first.requests == 0
    with Receiver(analytics, port=first.port, certificate=right):
        until(lambda: running.turns(sender.service) == ORDER)
        collector.__exit__(None, None, None)


def test_a_receiver_that_answers_too_late_gets_it_again_and_it_counts_once(
    running: Running, tmp_path: Path
) -> None:
    """The first requests were stored, but their answers came after the collector's patience."""
    analytics = running.settings.ports.url("analytics")
    again = threading.Event()
    first = 2

    def hold(number: int) -> None:
        if number > first:
            again.set()
        else:
            again.wait(60)

    impatient = {"exporters": {"otlp_http/analytics": {"timeout": "1s"}}}
    with (
        Receiver(analytics, hold=hold) as slow,
        gateway(running, tmp_path, impatient, OTEL_CHAT_ANALYTICS_URL=slow.url) as ports,
        Sender(name(), ports.url("otlp_http")) as sender,
    ):
        sender.answer(ORDER)
        assert sender.said() == (ORDER, True)
        until(lambda: slow.requests > 2 * first)
        sender.answer(ORDER)
        sender.said()
        until(lambda: running.turns(sender.service) == 2 * ORDER)
        until(lambda: running.counted(sender.service) == [2 * ORDER])
