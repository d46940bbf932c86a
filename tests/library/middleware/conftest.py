"""Telemetry in memory, with content on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from otel_chat import Config
from otel_chat.testing import Telemetry


@pytest.fixture
def telemetry() -> Iterator[Telemetry]:
    with Telemetry(Config(capture_content=True)) as telemetry:
        yield telemetry
