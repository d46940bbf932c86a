"""What docker compose mounts and runs, tried without Docker."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from otel_chat.client.local_server import HOST, free_port
from tests.stack.running import Running, Sender
from tests.waiting import until
from tools.binaries import binary
from tools.compose_init import wait_for
from tools.stack.parts import ROOT, Ports, Settings, parts
from tools.stack.processes import Part, Stack

COMPOSE: Mapping[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: Mapping[str, Any] = COMPOSE["services"]
PUBLISHED = {
    "alertmanager": ["127.0.0.1:9093:9093"],
    "analytics": ["127.0.0.1:8400:8400"],
    "collector": ["127.0.0.1:4317:4317", "127.0.0.1:4318:4318"],
    "demo": ["127.0.0.1:8401:8401"],
    "grafana": ["127.0.0.1:3000:3000"],
}


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_pinned_limited_and_stripped_of_rights(name: str) -> None:
    """A version, a memory limit, no new privileges; published on this machine alone, if at all."""
    service = SERVICES[name]
    assert re.search(r":(v?\d+(\.\d+)+|local)$", service["image"])
    assert service["mem_limit"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert service["cap_drop"] == ["ALL"]
    assert service["read_only"] is True
    assert service.get("ports", []) == PUBLISHED.get(name, [])


def test_every_mounted_file_is_in_the_repository() -> None:
    """A path that is not there would be made as an empty folder."""
    mounts = [v for service in SERVICES.values() for v in service.get("volumes", [])]
    local = {mount.split(":")[0] for mount in mounts if mount.startswith("./")}
    assert {path for path in local if not (ROOT / path).is_dir()} == set()
    assert all(mount.endswith(":ro") for mount in mounts if mount.startswith("./"))


def test_the_images_are_of_the_versions_that_run_here() -> None:
    """Collector, Prometheus and Alertmanager are those that the other tests start."""
    modules = {
        "collector": ("collector", r"collector/otelcol v0\.(\d+\.\d+)"),
        "prometheus": ("prometheus", r"prometheus/prometheus v0\.3(\d+)\.0"),
        "alertmanager": ("alertmanager", r"prometheus/alertmanager v0\.(\d+\.\d+)"),
    }
    for name, (folder, pattern) in modules.items():
        found = re.search(pattern, (ROOT / "tools" / folder / "go.mod").read_text())
        assert found
        assert found[1] in SERVICES[name]["image"]


def test_no_secret_stands_in_the_file() -> None:
    """Each password or key comes from the environment, and compose stops where it is missing.

    But for that of a mail server, which need not ask for one.
    """
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD$|KEY$|SECRET$", name):
                wanted = r"\$\{\w+:-\}" if "SMTP" in name else r"\$\{\w+:\?run make env\}"
                assert re.fullmatch(wanted, value), name


def test_make_env_writes_all_that_is_asked_for_once(tmp_path: Path) -> None:
    """Every variable that compose insists on is there, for its owner alone, and is kept."""
    path = tmp_path / ".env"
    command = [sys.executable, str(ROOT / "tools" / "make_env.py"), str(path)]
    made = subprocess.run(command, check=True, capture_output=True, text=True)
    assert "http://127.0.0.1:3000, user admin, GRAFANA_ADMIN_PASSWORD" in made.stdout
    first = path.read_text()
    assert first.split("GRAFANA_ADMIN_PASSWORD=")[1].split()[0] not in made.stdout
    subprocess.run(command, check=True)
    asked = set(re.findall(r"\$\{(\w+):\?", (ROOT / "docker-compose.yml").read_text()))
    given = dict(line.split("=", 1) for line in first.splitlines() if not line.startswith("#"))
    assert asked
    assert all(len(given[name]) >= 32 for name in asked)
    assert path.read_text() == first
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_store_that_does_not_answer_is_named_without_its_password(tmp_path: Path) -> None:
    """What runs first waits, then ends with the name of the server alone."""
    with pytest.raises(ValueError, match=r"^The store 127.0.0.1 does not answer\.$"):
        wait_for(f"clickhouse://otel_chat:secret@{HOST}:{free_port()}/otel_chat", 0)
    wait_for(f"chdb:{tmp_path}", 0)


def test_a_store_that_comes_up_is_waited_for() -> None:
    """It need not be there from the start."""
    port = free_port()
    with socket.socket() as server:
        server.bind((HOST, port))
        later = threading.Timer(0.2, server.listen)
        later.start()
        wait_for(f"clickhouse://otel_chat:secret@{HOST}:{port}/otel_chat", 30)
        later.join()


def test_what_goes_to_tempo_stays_in_its_folder_and_on_this_machine() -> None:
    """Every path of its file lies under one folder, every address is loopback unless told."""
    text = (ROOT / "exporters" / "tempo" / "tempo.yaml").read_text()
    read = yaml.safe_load(text)
    paths = re.findall(r"^\s+\w*(?:path|_dir): (.*)$", text, re.MULTILINE)
    assert len(paths) == 5
    assert all(path.startswith("${OTEL_CHAT_TEMPO_DATA}/") for path in paths)
    places = [read["server"][f"{kind}_listen_address"] for kind in ("http", "grpc")]
    places += read["memberlist"]["bind_addr"]
    places.append(read["distributor"]["receivers"]["otlp"]["protocols"]["grpc"]["endpoint"])
    assert all("127.0.0.1" in place for place in places)
    assert read["usage_report"]["reporting_enabled"] is False


@pytest.mark.stack
def test_the_file_is_read_as_docker_reads_it(built: None, tmp_path: Path) -> None:
    """With what `make env` writes it is valid; without, the missing variable is named."""
    check = str(binary("composecheck"))
    file = str(ROOT / "docker-compose.yml")
    written = tmp_path / ".env"
    subprocess.run([sys.executable, str(ROOT / "tools" / "make_env.py"), str(written)], check=True)
    read = subprocess.run([check, file, str(written)], capture_output=True, text=True, check=False)
    assert read.returncode == 0, read.stderr
    services = json.loads(read.stdout)["services"]
    assert set(services) == set(SERVICES)
    assert {port["host_ip"] for one in services.values() for port in one.get("ports", [])} == {
        "127.0.0.1"
    }

    (tmp_path / "none").touch()
    refused = subprocess.run(
        [check, file, str(tmp_path / "none")], capture_output=True, text=True, check=False
    )
    assert refused.returncode == 1
    assert "run make env" in refused.stderr


@pytest.mark.stack
@pytest.mark.timeout(240)
def test_tokens_made_at_first_start_open_the_way(built: None, tmp_path: Path) -> None:
    """With tokens in the store, a turn passes the collector, and Prometheus may scrape."""
    out = tmp_path / "out"
    told = {
        "OTEL_CHAT_SCRAPE_INTERVAL": "1s",
        "OTEL_CHAT_METRICS_TOKEN_FILE": str(out / "prometheus" / "metrics_token"),
        "OTEL_CHAT_INGEST_TOKEN_FILE": str(out / "collector" / "ingest_token"),
    }
    settings = Settings(tmp_path, Ports.free(), told)
    for _ in range(2):  # a second start changes nothing
        subprocess.run(
            [
                *(sys.executable, str(ROOT / "tools" / "compose_init.py")),
                *("--source", str(ROOT / "prometheus"), "--out", str(out)),
            ],
            env={
                **os.environ,
                **settings.variables(),
                "OTEL_CHAT_SERVER_STORE": f"chdb:{tmp_path / 'store'}",
                "OTEL_CHAT_SMTP_PASSWORD": "told to nobody",
            },
            check=True,
        )
    assert (out / "prometheus" / "metrics_token").stat().st_mode & 0o777 == 0o600
    assert (out / "alertmanager" / "smtp_password").read_text() == "told to nobody"
    for name in ("prometheus", "alertmanager"):
        assert "${" not in re.sub(r"#.*", "", (out / name / f"{name}.yml").read_text())

    made = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "compose_init.py"), "--admin", "me"],
        env={**os.environ, "OTEL_CHAT_SERVER_STORE": f"chdb:{tmp_path / 'store'}"},
        check=True,
        capture_output=True,
        text=True,
    )
    assert "otc_" in made.stdout

    with Stack([_with_token(part) for part in parts(settings)], tmp_path / "logs") as stack:
        running = Running(stack, settings)
        with Sender("tokens", settings.ports.url("otlp_http")) as sender:
            sender.answer(5)
            assert sender.said() == (5, True)
        until(lambda: running.query('up{job="otel-chat-server"}') == [1.0])
        taken = 'otel_chat_server_ingest_requests_total{signal="traces",status="200"}'
        until(lambda: sum(running.query(taken)) >= 1)


def _with_token(part: Part) -> Part:
    if part.name != "collector":
        return part
    config = f"--config={ROOT / 'exporters' / 'collector' / 'token.yaml'}"
    return Part(part.name, [*part.command, config], part.ports, part.ready, part.environment)
