"""What a turn costs, estimated from its tokens.

Prices come from an own table first, then from genai-prices (extra `pricing`). The source of a
cost says which: `provider` is a provider's own figure or its published price list, `local` is the
own table, which is also how a self-hosted model gets a price. A model with neither is `unpriced`:
it has no cost, which is not a cost of 0. A model that is listed as free costs 0.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from otel_chat.pricing._published import find, now
from otel_chat.pricing._table import PriceTable
from otel_chat.pricing._units import Rates, TimedPrices, UnitPrices

__all__ = ["PriceTable", "Prices", "Rates", "UnitPrices"]

_MAX_CACHED: Final = 512
_MAX_NAME: Final = 256


class Prices:
    """Unit prices by model, each looked up once. Safe to share between threads.

    The first lookup of a model may import genai-prices (half a second) and search it: do it off
    the path of a reply. After that it is a dictionary access.

    Args:
        table: Own prices, which go before published ones: a mapping as for `PriceTable`, or the
            path of a JSON or TOML file.
        published: Whether published prices are used too.

    Raises:
        ConfigurationError: The table is malformed; the message names the entry.

    Example:
        >>> prices = Prices({"house-model": {"input": "0.5", "output": 1}})
        >>> unit = prices.unit_prices("house-model")
        >>> unit.source, unit.cost(1_000_000, 10)
        ('local', 0.50001)
        >>> prices.unit_prices("a model that nobody lists") is None
        True
    """

    __slots__ = ("_cache", "_lock", "_published", "_table")

    def __init__(
        self,
        table: Mapping[str, object] | str | Path | PriceTable | None = None,
        *,
        published: bool = True,
    ) -> None:
        if isinstance(table, str | Path):
            table = PriceTable.read(table)
        elif not isinstance(table, PriceTable):
            table = PriceTable(table or {})
        self._table = table
        self._published = published
        self._cache: dict[tuple[str, str | None], UnitPrices | TimedPrices | None] = {}
        self._lock = threading.Lock()

    def unit_prices(
        self, model: str | None, provider: str | None = None, *, at: datetime | None = None
    ) -> UnitPrices | None:
        """The unit prices of a model.

        Args:
            model: The model that answered, or the one that was asked for.
            provider: `gen_ai.provider.name` where it is known, such as `azure.ai.openai`.
            at: When the request was made, for prices that change with time; now unless given.

        Returns:
            None where nobody knows a price: the turn is unpriced.
        """
        if not model or len(model) > _MAX_NAME:
            return None
        key = (model, provider)
        try:
            found = self._cache[key]
        except KeyError:
            found = self._look_up(key)
        return found.at(at or now()) if isinstance(found, TimedPrices) else found

    def knows(self, model: str, provider: str | None = None) -> bool:
        """Whether the look-up was done, with or without a price: asking again costs nothing."""
        return (model, provider) in self._cache

    def load(self, model: str, provider: str | None = None) -> None:
        """Looks a model up, so that `at` knows it."""
        self.unit_prices(model, provider)

    def at(self, model: str, provider: str | None, time_ns: int) -> UnitPrices | None:
        """The prices of a loaded model at a time, without ever looking one up.

        Args:
            model: As given to `load`.
            provider: As given to `load`.
            time_ns: Nanoseconds since the epoch.

        Returns:
            None where nobody knows a price, or the model was not loaded.
        """
        found = self._cache.get((model, provider))
        if isinstance(found, TimedPrices):
            return found.at(datetime.fromtimestamp(time_ns / 1e9, UTC))
        return found

    def _look_up(self, key: tuple[str, str | None]) -> UnitPrices | TimedPrices | None:
        with self._lock:
            if key in self._cache:
                return self._cache[key]
            found: UnitPrices | TimedPrices | None = self._table.find(*key)
            if found is None and self._published:
                found = find(*key)
            if len(self._cache) >= _MAX_CACHED:
                del self._cache[next(iter(self._cache))]
            self._cache[key] = found
            return found
