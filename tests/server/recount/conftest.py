"""The running application of the ingest tests."""

from __future__ import annotations

from tests.server.ingest.conftest import running

__all__ = ["running"]
