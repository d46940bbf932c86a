from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fastapi.testclient import TestClient

from otel_chat.server.app import create_app
from otel_chat.server.settings import ServerSettings
from tests.server.recount.figures import HUMAN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_chat.server.store import Store


@pytest.fixture(scope="module")
def running(store: Store) -> Iterator[TestClient]:
    """The whole application, committer running."""
    with TestClient(
        create_app(store, ServerSettings(cost_per_interaction=HUMAN)),
        base_url="http://127.0.0.1:8400",
        raise_server_exceptions=False,
    ) as connected:
        yield connected
    store.command("TRUNCATE TABLE tokens")
