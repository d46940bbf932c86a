"""One embedded store for all tests of the server, parted by tenant."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from fastapi.testclient import TestClient

from otel_chat.server.app import create_app
from otel_chat.server.settings import ServerSettings
from otel_chat.server.store import Store, open_store
from otel_chat.server.store.engine import SETTINGS
from tests.server.given import Given
from tests.server.nearby import Nearby
from tests.server.served import as_new

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_chat.server.rollup import Rollup


# A question is compiled when it comes for the third time, which pays over millions of rows: over
# the few of a test it is half of the processor time.
SETTINGS.update({"compile_expressions": 0, "compile_aggregate_expressions": 0})


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    opened = open_store(f"chdb:{tmp_path_factory.mktemp('store')}")
    opened.migrate()
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def running(store: Store) -> TestClient:
    """The application for all tests, open as on a developer's machine."""
    return TestClient(create_app(store, ServerSettings()), base_url="http://127.0.0.1:8400")


@pytest.fixture
def client(running: TestClient, store: Store) -> Iterator[TestClient]:
    """The application as if it had just begun."""
    with as_new(running, store) as connected:
        yield connected


@pytest.fixture
def rollup(store: Store) -> Rollup:
    """Keeps days as soon as they are over."""
    return Nearby(store, timedelta(0))


@pytest.fixture
def given(store: Store) -> Given:
    """A tenant of its own to fill."""
    return Given(store)
