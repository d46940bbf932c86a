"""One OTLP sink a test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.library.integrations.live import Sink, otlp_sink


@pytest.fixture
def sink() -> Iterator[Sink]:
    with otlp_sink() as taking:
        yield taking
