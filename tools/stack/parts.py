"""What the stack is made of, and how each part is told where the others are."""

from __future__ import annotations

import shutil
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Final, Self

from tools.binaries import binary
from tools.stack.expand import expand_file, expand_rules
from tools.stack.processes import HOST, Part, StackError

ROOT: Final = Path(__file__).parents[2]
COLLECTOR: Final = ROOT / "exporters" / "collector"
PROMETHEUS: Final = ROOT / "prometheus"
PROMETHEUS_FEATURES: Final = (
    "exemplar-storage",
    "created-timestamp-zero-ingestion",
    "promql-extended-range-selectors",
)


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports of 127.0.0.1 that the stack listens on.

    Args:
        analytics: The analytics server.
        otlp_grpc: Where applications send over gRPC.
        otlp_http: Where applications send over HTTP.
        prometheus: Prometheus' page and API.
        alertmanager: Alertmanager's page and API.
        collector_metrics: The collector's own metrics.
        collector_health: Whether the collector runs.
        tempo: Tempo's API.
        tempo_otlp: Where Tempo takes traces.
    """

    analytics: int = 8400
    otlp_grpc: int = 4317
    otlp_http: int = 4318
    prometheus: int = 9090
    alertmanager: int = 9093
    collector_metrics: int = 8888
    collector_health: int = 13133
    tempo: int = 3200
    tempo_otlp: int = 4327

    @classmethod
    def free(cls) -> Self:
        """Ports that nobody listens on now, all different."""
        probes = [socket.socket() for _ in fields(cls)]
        try:
            for probe in probes:
                probe.bind((HOST, 0))
            return cls(*(probe.getsockname()[1] for probe in probes))
        finally:
            for probe in probes:
                probe.close()

    def url(self, name: str) -> str:
        """The base URL of one of them."""
        return f"http://{HOST}:{getattr(self, name)}"

    def at(self, name: str) -> str:
        """Host and port of one of them."""
        return f"{HOST}:{getattr(self, name)}"


@dataclass(frozen=True, slots=True)
class Settings:
    """How the stack runs.

    Args:
        data: The folder of all that it keeps.
        ports: Where it listens.
        environment: What the configuration files take beside that, such as
            `OTEL_CHAT_ALERT_PAGE`; wins.
        rules: The folder of `rules/` and `alerts/`, as `python -m prometheus.generate` writes it.
    """

    data: Path
    ports: Ports = field(default_factory=Ports)
    environment: Mapping[str, str] = field(default_factory=dict)
    rules: Path = PROMETHEUS

    def variables(self) -> dict[str, str]:
        """The variables that the configuration files read."""
        ports = self.ports
        return {
            "OTEL_CHAT_COLLECTOR_GRPC": ports.at("otlp_grpc"),
            "OTEL_CHAT_COLLECTOR_HTTP": ports.at("otlp_http"),
            "OTEL_CHAT_COLLECTOR_HEALTH": ports.at("collector_health"),
            "OTEL_CHAT_COLLECTOR_METRICS_HOST": HOST,
            "OTEL_CHAT_COLLECTOR_METRICS_PORT": str(ports.collector_metrics),
            "OTEL_CHAT_COLLECTOR_METRICS": ports.at("collector_metrics"),
            "OTEL_CHAT_COLLECTOR_QUEUE": str(self.data / "queue"),
            "OTEL_CHAT_ANALYTICS_URL": ports.url("analytics"),
            "OTEL_CHAT_ANALYTICS": ports.at("analytics"),
            "OTEL_CHAT_PROMETHEUS_URL": ports.url("prometheus"),
            "OTEL_CHAT_PROMETHEUS": ports.at("prometheus"),
            "OTEL_CHAT_PROMETHEUS_FILES": str(PROMETHEUS),
            "OTEL_CHAT_RULES": str(self.data / "prometheus-rules"),
            "OTEL_CHAT_RUNBOOKS_URL": f"{ports.url('analytics')}/runbooks",
            "OTEL_CHAT_ALERTMANAGER": ports.at("alertmanager"),
            "OTEL_CHAT_METRICS_TOKEN_FILE": str(self.data / "metrics_token"),
            "OTEL_CHAT_TEMPO": ports.at("tempo"),
            "OTEL_CHAT_TEMPO_HTTP_PORT": str(ports.tempo),
            "OTEL_CHAT_TEMPO_OTLP": ports.at("tempo_otlp"),
            "OTEL_CHAT_TEMPO_DATA": str(self.data / "tempo"),
            **self.environment,
        }


def parts(settings: Settings) -> list[Part]:
    """The parts, in the order in which they must be ready; Tempo where it is on the PATH.

    Raises:
        StackError: a program was not built.
        MissingVariableError: a configuration file needs a variable that is not set.
    """
    variables = settings.variables()
    settings.data.mkdir(parents=True, exist_ok=True)
    # On this machine alone, and without tokens in the store, the server is open: an empty token
    Path(variables["OTEL_CHAT_METRICS_TOKEN_FILE"]).touch(mode=0o600)
    tempo = shutil.which("tempo")
    found = [
        _analytics(settings),
        _prometheus(settings, variables),
        _alertmanager(settings, variables),
    ]
    if tempo is not None:
        found.append(_tempo(settings, variables, tempo))
    return [*found, _collector(settings, variables, sampled=tempo is not None)]


def _built(program: str) -> str:
    path = binary(program)
    if path is None:
        raise StackError(f"{program} is not built yet. Run: make tools")
    return str(path)


def _analytics(settings: Settings) -> Part:
    port = settings.ports.analytics
    store = f"chdb:{settings.data / 'store'}"
    command = [sys.executable, "-m", "otel_chat.cli", "serve", "--while-stdin"]
    return Part(
        name="analytics",
        command=[*command, "--store", store, "--host", HOST, "--port", str(port)],
        ports={"analytics": port},
        ready=f"{settings.ports.url('analytics')}/readyz",
        environment={"PYTHONUNBUFFERED": "1"},
    )


def _prometheus(settings: Settings, variables: Mapping[str, str]) -> Part:
    config = settings.data / "prometheus.yml"
    expand_file(PROMETHEUS / "prometheus.yml", config, variables)
    expand_rules(settings.rules, Path(variables["OTEL_CHAT_RULES"]), variables)
    return Part(
        name="prometheus",
        command=[
            _built("prometheus"),
            f"--config.file={config}",
            f"--storage.tsdb.path={settings.data / 'prometheus'}",
            f"--web.listen-address={settings.ports.at('prometheus')}",
            "--web.enable-otlp-receiver",
            f"--enable-feature={','.join(PROMETHEUS_FEATURES)}",
        ],
        ports={"prometheus": settings.ports.prometheus},
        ready=f"{settings.ports.url('prometheus')}/-/ready",
    )


def _alertmanager(settings: Settings, variables: Mapping[str, str]) -> Part:
    config = settings.data / "alertmanager.yml"
    expand_file(PROMETHEUS / "alertmanager.yml", config, variables)
    return Part(
        name="alertmanager",
        command=[
            _built("alertmanager"),
            f"--config.file={config}",
            f"--storage.path={settings.data / 'alertmanager'}",
            f"--web.listen-address={settings.ports.at('alertmanager')}",
            "--cluster.listen-address=",
        ],
        ports={"alertmanager": settings.ports.alertmanager},
        ready=f"{settings.ports.url('alertmanager')}/-/ready",
    )


def _tempo(settings: Settings, variables: Mapping[str, str], tempo: str) -> Part:
    ports = settings.ports
    config = ROOT / "exporters" / "tempo" / "tempo.yaml"
    return Part(
        name="tempo",
        command=[tempo, "-config.expand-env=true", f"-config.file={config}", "-target=all"],
        ports={"tempo": ports.tempo, "tempo-otlp": ports.tempo_otlp},
        ready=f"{ports.url('tempo')}/ready",
        environment=variables,
    )


def _collector(settings: Settings, variables: Mapping[str, str], *, sampled: bool) -> Part:
    ports = settings.ports
    names = ["collector.yaml", *(["tempo.yaml"] if sampled else [])]
    return Part(
        name="collector",
        command=[_built("otelcol"), *(f"--config={COLLECTOR / name}" for name in names)],
        ports={
            "otlp-grpc": ports.otlp_grpc,
            "otlp-http": ports.otlp_http,
            "collector-metrics": ports.collector_metrics,
            "collector-health": ports.collector_health,
        },
        ready=ports.url("collector_health"),
        environment=variables,
    )
