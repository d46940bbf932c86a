"""Telemetry in memory for the tests of the library."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from otel_chat import Config
from otel_chat._sdk.setup import UsageRollup
from otel_chat.testing import SteppedClock, Telemetry


@pytest.fixture(autouse=True)
def nothing_declared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Agents that other tests' handlers declare would fill this one's cap of names."""
    monkeypatch.setattr("otel_chat._telemetry.runtime.declared", {})


@pytest.fixture(name="telemetry")
def collected(request: pytest.FixtureRequest) -> Iterator[Telemetry]:
    """Telemetry of one test; a parameter (`indirect=True`) is its configuration."""
    config = getattr(request, "param", None) or Config(keep_rate=0)
    with Telemetry(config, clock=SteppedClock(), span_processors=[UsageRollup()]) as telemetry:
        yield telemetry
