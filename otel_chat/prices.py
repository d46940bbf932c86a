"""Unit prices by model, found once and off the caller's path."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from otel_chat.pricing import PriceTable, TimedPrices, UnitPrices

LIMIT: Final = 2_000


class Prices:
    """Remembers what the price table said of a model; the look-up itself is slow once.

    Args:
        own: The owner's own prices, before the published ones.
    """

    def __init__(self, own: Mapping[str, Mapping[str, Any]]) -> None:
        self._own = own
        self._table: PriceTable | None = None
        self._known: dict[tuple[str, str | None], UnitPrices | TimedPrices | None] = {}

    def knows(self, model: str, provider: str | None) -> bool:
        """Whether the look-up was done, with or without a price."""
        return (model, provider) in self._known

    def load(self, model: str, provider: str | None) -> None:
        """Looks a model up; half a second the first time, then a third of a millisecond."""
        if self.knows(model, provider):
            return
        if self._table is None:
            from otel_chat.pricing import PriceTable

            self._table = PriceTable(self._own)
        if len(self._known) >= LIMIT:
            self._known.clear()
        self._known[model, provider] = self._table.find(model, provider)

    def at(self, model: str, provider: str | None, time_ns: int) -> UnitPrices | None:
        """The prices of a loaded model at a time; None where nobody knows them."""
        found = self._known.get((model, provider))
        if found is None or hasattr(found, "cost"):
            return found
        return found.at(datetime.fromtimestamp(time_ns / 1e9, UTC))
