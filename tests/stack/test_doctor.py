"""`otel-chat doctor` on the running stack, whole and with each server stopped in turn."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests import commands
from tests.stack.running import Running

pytestmark = [pytest.mark.stack, pytest.mark.timeout(180)]


def doctor(running: Running, folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """Runs it with the addresses of the stack."""
    ports = running.settings.ports
    given = {
        "endpoint": ports.url("otlp_http"),
        "collector": ports.url("collector_health"),
        "collector-metrics": f"{ports.url('collector_metrics')}/metrics",
        "prometheus": ports.url("prometheus"),
        "analytics": ports.url("analytics"),
    }
    options = [word for name, value in given.items() for word in (f"--{name}", value)]
    return commands.run("doctor", *options, *more, cwd=folder)


def states(said: dict[str, Any]) -> dict[str, str]:
    """The state of every hop."""
    return {hop["name"]: hop["state"] for hop in said["hops"]}


def test_a_turn_is_found_at_every_hop(running: Running, tmp_path: Path) -> None:
    """One line a hop, exit code 0; Tempo, which no address names, is not asked."""
    done = doctor(running, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert [" ".join(line.split()[:2]) for line in lines[:5]] == [
        "application ok",
        "collector ok",
        "analytics ok",
        "prometheus ok",
        "tempo not",
    ]
    assert "exemplar" not in done.stdout
    assert lines[-1] == "The turn arrived everywhere it was looked for."


@pytest.mark.parametrize("part", ["collector", "analytics", "prometheus"])
def test_the_server_that_is_stopped_is_named(running: Running, tmp_path: Path, part: str) -> None:
    """Exit code 1, with what to start; what still works is ok."""
    running.stack[part].stop()
    try:
        done = doctor(running, tmp_path, "--json")
    finally:
        running.stack[part].start()
    said = json.loads(done.stdout)
    assert done.returncode == 1
    assert said["failed"] == part
    (hop,) = [hop for hop in said["hops"] if hop["state"] == "failed"]
    assert "Start" in hop["fix"]
    others = {name: state for name, state in states(said).items() if name != part}
    sent = part != "collector"
    expected = "ok" if sent else "not asked"
    wanted = dict.fromkeys({"application", "analytics", "prometheus"} - {part}, expected)
    wanted |= {"tempo": "not asked"} | ({"collector": "ok"} if sent else {})
    assert others == wanted


def test_a_wrong_address_of_the_application_is_its_own_fault(
    running: Running, tmp_path: Path
) -> None:
    """The port for gRPC takes no HTTP: the message says which does."""
    wrong = running.settings.ports.url("otlp_grpc")
    done = doctor(running, tmp_path, "--endpoint", wrong, "--json")
    said = json.loads(done.stdout)
    assert (done.returncode, said["failed"]) == (1, "application")
    assert states(said)["collector"] == "ok"


def test_an_application_that_sends_straight_to_the_server_has_two_hops(
    running: Running, tmp_path: Path
) -> None:
    """Without a collector the turn is looked for in the analytics server alone."""
    left_out = ("--collector", "none", "--prometheus", "none", "--collector-metrics", "none")
    straight = running.settings.ports.url("analytics")
    done = doctor(running, tmp_path, "--endpoint", straight, *left_out, "--json")
    said = json.loads(done.stdout)
    assert states(said) == {
        "application": "ok",
        "collector": "not asked",
        "analytics": "ok",
        "prometheus": "not asked",
        "tempo": "not asked",
    }
