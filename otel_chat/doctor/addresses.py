"""Where the servers are, and where this process' telemetry goes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from otel_chat.errors import ConfigurationError

DEFAULT_ENDPOINT: Final = "http://127.0.0.1:4318"
SIGNALS: Final = ("traces", "logs", "metrics")
NOWHERE: Final = "none"
BASE: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where to send and where to look; None is not asked.

    Args:
        endpoint: Base URL of OTLP/HTTP; None leaves it to the OTEL_EXPORTER_OTLP_* variables,
            and to the collector's port on this machine where they are silent.
        collector: The collector's health check.
        collector_metrics: The page of the collector's own metrics, which tell why something waits.
        prometheus: Prometheus.
        tempo: Tempo's API.
        analytics: The analytics server.
        token: Token with `conversations:read`, where the analytics server asks for one.
        without_collector: Why there is no collector on the way, in words.

    Raises:
        ConfigurationError: an address is none; names it.

    Example:
        >>> Addresses(tempo="none").tempo is None
        True
        >>> Addresses(prometheus="127.0.0.1:9090")
        Traceback (most recent call last):
        otel_chat.errors.ConfigurationError: --prometheus must begin with http:// or https://, ...
    """

    endpoint: str | None = None
    collector: str | None = None
    collector_metrics: str | None = None
    prometheus: str | None = None
    tempo: str | None = None
    analytics: str | None = None
    token: str | None = None
    without_collector: str = "no address given"

    def __post_init__(self) -> None:
        for name in (
            "endpoint",
            "collector",
            "collector_metrics",
            "prometheus",
            "tempo",
            "analytics",
        ):
            given = getattr(self, name)
            if given is None or given.strip().lower() in {"", NOWHERE}:
                object.__setattr__(self, name, None)
            elif not given.startswith(("http://", "https://")):
                raise ConfigurationError(
                    f"--{name.replace('_', '-')} must begin with http:// or https://, not"
                    f" {given!r}; 'none' leaves it out."
                )
            else:
                object.__setattr__(self, name, given.rstrip("/"))

    def sends_to(self, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
        """The URL of every signal, as the library's exporters work it out.

        Example:
            >>> Addresses().sends_to({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"})["logs"]
            'http://c:4318/v1/logs'
        """
        base = (self.endpoint or environ.get(BASE) or DEFAULT_ENDPOINT).rstrip("/")
        urls = {signal: f"{base}/v1/{signal}" for signal in SIGNALS}
        if self.endpoint is None:
            for signal in SIGNALS:
                own = environ.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT")
                urls[signal] = own or urls[signal]
        return urls

    def for_setup(self, environ: Mapping[str, str] = os.environ) -> str | None:
        """What `otel_chat.setup(endpoint=...)` is given."""
        told = any(
            name.startswith("OTEL_EXPORTER_OTLP_") and "ENDPOINT" in name for name in environ
        )
        return self.endpoint or (None if told else DEFAULT_ENDPOINT)
