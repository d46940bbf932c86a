"""The store and the running application of the server's tests."""

from __future__ import annotations

from tests.server.conftest import store
from tests.server.ingest.conftest import running

__all__ = ["running", "store"]
