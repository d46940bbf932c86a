"""One OTLP sink a test, or telemetry in memory."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from otel_chat import Config
from otel_chat._sdk.setup import UsageRollup
from otel_chat.testing import SteppedClock, Telemetry
from tests.library.integrations.live import Sink, otlp_sink


@pytest.fixture
def sink() -> Iterator[Sink]:
    with otlp_sink() as taking:
        yield taking


@pytest.fixture
def keeping_texts() -> Iterator[Telemetry]:
    """Telemetry in memory, with the texts of messages."""
    config = Config(keep_rate=0, capture_content=True)
    with Telemetry(config, clock=SteppedClock(), span_processors=[UsageRollup()]) as telemetry:
        yield telemetry
