"""A rollup of the days that its own tests are about."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final

from otel_chat.server.rollup import Rollup
from tests.server.given import NOON

FIRST: Final = date(2000, 1, 2)
LAST: Final = date(2099, 12, 30)
"""The days at the ends of what the ingest takes."""
NEAR: Final = timedelta(days=9)


class Nearby(Rollup):
    """A rollup that leaves alone what other tests have sent of further days, which are many."""

    def _due(self) -> list[date]:
        return [
            day for day in super()._due() if day in {FIRST, LAST} or abs(day - NOON.date()) < NEAR
        ]
