"""One embedded store for all tests of the server, parted by tenant."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from otel_chat.server.store import Store, open_store
from tests.server.given import Given

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    opened = open_store(f"chdb:{tmp_path_factory.mktemp('store')}")
    opened.migrate()
    yield opened
    opened.close()


@pytest.fixture
def given(store: Store) -> Given:
    """A tenant of its own to fill."""
    return Given(store)
