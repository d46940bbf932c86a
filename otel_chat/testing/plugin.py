"""Pytest fixtures. `pytest_plugins = ["otel_chat.testing.plugin"]` in conftest.py enables them.

They are not registered by the installation itself: an application that merely uses otel-chat gets
no fixtures, and no SDK is imported, unless its tests ask for it.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from otel_chat.testing.determinism import SteppedClock
from otel_chat.testing.memory import Telemetry


@pytest.fixture(name="telemetry")
def collected_telemetry() -> Iterator[Telemetry]:
    """The telemetry of one test: in memory, with a stepped clock and counted ids."""
    with Telemetry() as telemetry:
        yield telemetry


@pytest.fixture(name="telemetry_clock")
def stepped_clock(telemetry: Telemetry) -> SteppedClock:
    """The clock of `telemetry`: `telemetry_clock.advance(seconds=3)` makes a turn slow."""
    return telemetry.clock
