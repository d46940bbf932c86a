"""One store for all tests of the server, parted by tenant: `--store clickhouse` makes it served."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
from fastapi.testclient import TestClient

from otel_chat.server.app import create_app
from otel_chat.server.settings import ServerSettings
from otel_chat.server.store import Store, parse_store_url
from otel_chat.server.store.engine import SETTINGS
from tests.clickhouse_http.running import running as running_clickhouse
from tests.server.given import Given
from tests.server.served import Breaking, as_new, over_http
from tests.server.settled import SettledStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.server.served import BreakOff


# A question is compiled when it comes for the third time, which pays over millions of rows: over
# the few of a test it is half of the processor time.
SETTINGS.update({"compile_expressions": 0, "compile_aggregate_expressions": 0})


@pytest.fixture(scope="session")
def store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Store]:
    folder = tmp_path_factory.mktemp("store")
    with contextlib.ExitStack() as opened:
        url = f"chdb:{folder}"
        if request.config.getoption("--store") == "clickhouse":
            url = opened.enter_context(running_clickhouse(folder)).database("chat")
        store = opened.enter_context(contextlib.closing(SettledStore(parse_store_url(url))))
        store.migrate()
        yield store


@pytest.fixture(scope="session")
def running(store: Store) -> TestClient:
    """The application for all tests, open as on a developer's machine."""
    return TestClient(create_app(store, ServerSettings()), base_url="http://127.0.0.1:8400")


@pytest.fixture
def client(running: TestClient, store: Store) -> Iterator[TestClient]:
    """The application as if it had just begun."""
    with as_new(running, store) as connected:
        yield connected


@pytest.fixture(scope="session")
def address(running: TestClient) -> Iterator[str]:
    with over_http(running.app, alone=True) as url:  # type: ignore[arg-type]
        yield url


@pytest.fixture
def server(client: TestClient, address: str) -> str:
    """Where the application, as if it had just begun, is reached by a real connection."""
    return address


@pytest.fixture
def break_off(running: TestClient, store: Store, monkeypatch: pytest.MonkeyPatch) -> BreakOff:
    """Has the streams of the application's store break off after so many pieces."""

    def breaks(pieces: int) -> None:
        state = running.app.state._state  # type: ignore[attr-defined]
        monkeypatch.setitem(state, "store", Breaking(store, pieces))

    return breaks


@pytest.fixture
def given(store: Store) -> Given:
    """A tenant of its own to fill."""
    return Given(store)
