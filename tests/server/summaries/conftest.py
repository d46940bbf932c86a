from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fastapi.testclient import TestClient

from otel_chat.server.app import create_app
from otel_chat.server.settings import ServerSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_chat.server.store import Store


@pytest.fixture
def client(store: Store) -> Iterator[TestClient]:
    """An application that takes telemetry, and settles nothing by itself."""
    app = create_app(store, ServerSettings())
    app.state.committer.start()
    yield TestClient(app, base_url="http://127.0.0.1:8400")
    app.state.committer.stop()
