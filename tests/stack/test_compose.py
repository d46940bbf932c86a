"""What docker compose mounts and runs, tried without Docker."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from otel_chat.client.local_server import HOST, free_port
from tests import web
from tests.stack.composed import PROGRAMS, Composed
from tests.stack.running import Running, Sender
from tests.waiting import until
from tools.binaries import binary
from tools.compose_init import OWNERS, wait_for
from tools.stack.parts import ROOT, Ports, Settings, parts
from tools.stack.processes import Stack

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
    """A whole version, a memory limit, no new privileges; published on this machine alone."""
    service = SERVICES[name]
    # ClickHouse's fourth part is the build
    parts = 4 if name == "clickhouse" else 3
    assert re.search(rf":(v?\d+(\.\d+){{{parts - 1}}}|local)$", service["image"])
    assert service["mem_limit"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert service["cap_drop"] == ["ALL"]
    assert service["read_only"] is True
    assert service.get("ports", []) == PUBLISHED.get(name, [])


def test_the_image_that_is_built_here_starts_from_a_whole_version() -> None:
    """Both of its stages, from the same one."""
    found = re.findall(r"^FROM (\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert len(found) == 2
    assert len(set(found)) == 1
    assert re.fullmatch(r"python:\d+\.\d+\.\d+-slim-\w+", found[0])


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


@pytest.fixture
def composed(built: None) -> Iterator[Composed]:
    """Compose's servers in a folder that their users can pass through."""
    with tempfile.TemporaryDirectory(prefix="otel-chat-") as folder:
        Path(folder).chmod(0o755)
        yield Composed(Path(folder), Ports.free())


@pytest.mark.stack
@pytest.mark.timeout(240)
def test_collector_prometheus_and_alertmanager_run_as_compose_starts_them(
    composed: Composed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its files, arguments, variables and users a turn passes, and all of them are up.

    The tokens that are made at first start open the way; the store is an embedded one.
    """
    monkeypatch.setenv("OTEL_CHAT_SCRAPE_INTERVAL", "1s")
    ports, store = composed.ports, f"chdb:{tmp_path / 'store'}"
    for _ in range(2):  # a second start changes nothing
        composed.initialise(store)
    token = composed.folder / "volume" / "prometheus-config" / "metrics_token"
    assert token.stat().st_mode & 0o777 == 0o600
    settings = Settings(tmp_path, ports)
    (analytics,) = [part for part in parts(settings) if part.name == "analytics"]
    monkeypatch.setenv("OTEL_CHAT_COLLECTOR_METRICS_PORT", str(ports.collector_metrics))
    servers = [
        composed.part(name, [f"--web.listen-address={ports.at(name)}"])
        for name in ("prometheus", "alertmanager")
    ]
    with Stack([analytics, *servers, composed.part("collector")], tmp_path / "logs") as stack:
        for name in PROGRAMS:
            status = Path(f"/proc/{stack[name].pid}/status").read_text()
            (user,) = re.findall(r"^Uid:\t(\d+)", status, re.MULTILINE)
            assert int(user) == (OWNERS[name] if os.geteuid() == 0 else os.geteuid()) != 0
        running = Running(stack, settings)
        with Sender("tokens", ports.url("otlp_http")) as sender:
            sender.answer(5)
            assert sender.said() == (5, True)
        until(lambda: running.query('sum(up{job!="tempo"})') == [4.0])
        taken = 'otel_chat_server_ingest_requests_total{signal="traces",status="200"}'
        until(lambda: sum(running.query(taken)) >= 1)
        until(lambda: running.counted("tokens") == [5.0])
        told = f"{ports.url('alertmanager')}/api/v2/alerts?filter=alertname=Watchdog"
        until(lambda: web.get(told).json())


@pytest.mark.stack
def test_a_password_of_the_mail_server_and_an_own_token_come_from_what_runs_first(
    composed: Composed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The password goes to a file, and no place is left unfilled; the token is printed."""
    monkeypatch.setenv("OTEL_CHAT_SERVER_STORE", f"chdb:{tmp_path / 'store'}")
    out = tmp_path / "out"
    init = [sys.executable, str(ROOT / "tools" / "compose_init.py")]
    told = {
        **os.environ,
        **Settings(tmp_path, composed.ports).variables(),
        "OTEL_CHAT_SMTP_PASSWORD": "told to nobody",
    }
    made = [*init, "--source", str(ROOT / "prometheus"), "--out", str(out)]
    subprocess.run(made, env=told, check=True)
    assert (out / "alertmanager" / "smtp_password").read_text() == "told to nobody"
    for name in ("prometheus", "alertmanager"):
        assert "${" not in re.sub(r"#.*", "", (out / name / f"{name}.yml").read_text())
    own = subprocess.run([*init, "--admin", "me"], check=True, capture_output=True, text=True)
    assert "otc_" in own.stdout
