"""One stack of real servers for all tests, on free ports."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest

from tests.requirements import demand
from tests.stack.running import Running, Sender
from tools.binaries import RECIPES, binary
from tools.stack.parts import Ports, Settings, parts
from tools.stack.processes import Stack


@pytest.fixture(scope="session")
def built() -> None:
    """That the servers were built."""
    programs = [program for recipe in RECIPES for program in recipe.programs]
    demand("stack", there=all(map(binary, programs)), fix="make tools")


@pytest.fixture(scope="session")
def running(built: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The stack, ready."""
    settings = Settings(
        tmp_path_factory.mktemp("stack"),
        Ports.free(),
        {"OTEL_CHAT_SCRAPE_INTERVAL": "1s", "OTEL_CHAT_EVALUATION_INTERVAL": "1s"},
    )
    with Stack(parts(settings), settings.data / "logs") as stack:
        yield Running(stack, settings)


@pytest.fixture
def sender(running: Running) -> Iterator[Sender]:
    """An application that sends to the collector, under a name of its own."""
    with Sender(
        f"service-{uuid4().hex[:8]}", running.settings.ports.url("otlp_http")
    ) as application:
        yield application
