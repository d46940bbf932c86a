"""What turns cost that bring tokens and no cost: by lists of one's own, else by published ones.

A list holds from a moment on, for one tenant or for all. The price that was chosen is written down
beside the cost, so that a turn that is worked out again keeps it, whatever lists say by then.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from otel_chat._common import text_files
from otel_chat._common.moments import first_of, nanoseconds
from otel_chat._usage import COUNTS, Usage
from otel_chat.errors import ConfigurationError, OtelChatError
from otel_chat.pricing import Prices, PriceTable, Rates, UnitPrices

SOURCE: Final = "server"
"""The source of a cost that the server worked out."""
PUBLISHED: Final = "genai-prices"
_NANO: Final = Decimal("1e-9")
_KNOWN: Final = ("name", "valid_from", "tenant", "prices")


@dataclass(frozen=True, slots=True)
class PriceList:
    """Prices that hold from a moment on.

    Args:
        name: What it is called; stands beside the costs that it made.
        table: The prices.
        valid_from: The first moment at which it holds, in nanoseconds since 1970; 0 is always.
        tenant: Whose turns it is for; None is for all.
    """

    name: str
    table: PriceTable
    valid_from: int = 0
    tenant: str | None = None


@dataclass(frozen=True, slots=True)
class Priced:
    """What a turn costs.

    Args:
        cost: USD, rounded half to even at nine digits; None where a call has no price.
        price: Its model calls, and the price that was chosen for each, as JSON.
    """

    cost: Decimal | None
    price: str


class ServerPrices:
    """The prices of a server.

    Args:
        lists: Its own. Those of a tenant go before those for all, and later ones before earlier.
        published: Whether published prices are taken where no list knows a model.

    Example:
        >>> cheap = PriceList("house", PriceTable({"m": {"input": 1, "output": 2}}))
        >>> prices = ServerPrices([cheap], published=False)
        >>> call = Usage(1000, 100, model="m")
        >>> prices.priced("default", [call], 0).cost
        Decimal('0.001200000')
        >>> prices.priced("default", [Usage(1000, 100, model="unheard of")], 0).cost is None
        True
    """

    def __init__(self, lists: Sequence[PriceList] = (), *, published: bool = True) -> None:
        self._lists = sorted(lists, key=lambda one: (one.tenant is None, -one.valid_from))
        self._published = Prices() if published else None

    def priced(self, tenant: str, parts: Sequence[Usage], at: int, kept: str = "") -> Priced:
        """What model calls cost together.

        Args:
            tenant: Whose they are.
            parts: The calls; one that has a cost of its own keeps it.
            at: When they were made, in nanoseconds since 1970.
            kept: The prices that were chosen before, as `Priced.price`; they are taken again.

        """
        before = {
            (one["model"], one["provider"]): one for one in _read(kept) if one["unit"] is not None
        }
        costs: list[float | None] = []
        told = []
        for part in parts:
            chosen = before.get((part.model, part.provider)) or self._choose(tenant, part, at)
            costs.append(_cost(part, chosen))
            tokens = {name: value for name in COUNTS if (value := getattr(part, name)) is not None}
            told.append({**chosen, "tokens": tokens, "cost": part.cost})
        known = [Decimal(repr(cost)) for cost in costs if cost is not None]
        whole = bool(known) and len(known) == len(costs)
        cost = sum(known, Decimal(0)).quantize(_NANO) if whole else None
        return Priced(cost, json.dumps(told, separators=(",", ":")))

    @property
    def models(self) -> list[str]:
        """The models that its own lists name in full."""
        return sorted({name for one in self._lists for name in one.table.names})

    def unit_prices(self, tenant: str, model: str, at: int) -> UnitPrices | None:
        """The prices of a model; `None` where it has none.

        Args:
            tenant: Whose calls they are for.
            model: The model.
            at: When they hold, in nanoseconds since 1970.
        """
        return self._find(tenant, Usage(model=model), at)[1]

    def _find(self, tenant: str, part: Usage, at: int) -> tuple[str, UnitPrices | None]:
        """The list that a call has its price of, and that."""
        model = part.model or ""
        for one in self._lists:
            if one.tenant in (None, tenant) and one.valid_from <= at:
                unit = one.table.find(model, part.provider)
                if unit is not None:
                    return one.name, unit
        if self._published is None:
            return PUBLISHED, None
        moment = datetime.fromtimestamp(at / 1e9, UTC)
        return PUBLISHED, self._published.unit_prices(model, part.provider, at=moment)

    def _choose(self, tenant: str, part: Usage, at: int) -> dict[str, Any]:
        """The price of a call, and where it stands; no `unit` where it has none."""
        return _told(part, *self._find(tenant, part, at))


def parts_of(price: str) -> list[Usage]:
    """The model calls that a price was chosen for, without it.

    Args:
        price: `Priced.price`.

    Example:
        >>> prices = ServerPrices([PriceList("house", PriceTable({"m": {"input": 1}}))])
        >>> parts_of(prices.priced("default", [Usage(1000, model="m")], 0).price)[0].input_tokens
        1000
    """
    return [
        Usage(**one["tokens"], model=one["model"], provider=one["provider"], cost=one["cost"])
        for one in _read(price)
    ]


def read_prices(path: Path | None, *, published: bool = True) -> ServerPrices:
    """The prices of a server.

    Args:
        path: A file of lists, TOML or JSON; none without.
        published: Whether published prices are taken where no list knows a model.

    Raises:
        ConfigurationError: If the file cannot be read, or a list in it; names the list.
    """
    if path is None:
        return ServerPrices(published=published)
    data = text_files.data(path, "prices")
    lists = data.get("list") if isinstance(data, dict) else None
    if not isinstance(lists, list) or not lists or len(data) > 1:
        raise ConfigurationError(f"prices {path}: lists named 'list' are needed, and nothing else")
    found = [_list(f"prices {path}, list {n}", one) for n, one in enumerate(lists, start=1)]
    return ServerPrices(found, published=published)


def _list(where: str, entry: object) -> PriceList:
    if not isinstance(entry, Mapping) or not isinstance(entry.get("prices"), Mapping):
        raise ConfigurationError(f"{where}: 'prices' by model are needed")
    if unknown := sorted(set(entry) - set(_KNOWN)):
        raise ConfigurationError(f"{where}: unknown key {unknown[0]!r}; known: {', '.join(_KNOWN)}")
    name, tenant = entry.get("name"), entry.get("tenant")
    if not isinstance(name, str) or not name:
        raise ConfigurationError(f"{where}: 'name' is needed, and stands beside the costs it makes")
    if tenant is not None and (not isinstance(tenant, str) or not tenant):
        raise ConfigurationError(f"{where}: 'tenant' is a text, not {tenant!r}")
    table = PriceTable(entry["prices"], where=where)
    return PriceList(name, table, _first(where, entry.get("valid_from")), tenant)


def _first(where: str, given: object) -> int:
    if given is None:
        return 0
    try:
        # TOML has days and moments, JSON has texts
        text = given.isoformat() if isinstance(given, date) else str(given)
        return nanoseconds(first_of(text, "valid_from"))
    except OtelChatError as error:
        raise ConfigurationError(f"{where}: {error}") from error


def _told(part: Usage, name: str, unit: UnitPrices | None) -> dict[str, Any]:
    rates = None if unit is None else asdict(unit)
    return {"model": part.model, "provider": part.provider, "list": name, "unit": rates}


def _cost(part: Usage, chosen: Mapping[str, Any]) -> float | None:
    told = chosen["unit"]
    if part.cost is not None:
        return part.cost
    if told is None or not part:
        return None
    tiers = tuple((start, Rates(**rates)) for start, rates in told["tiers"])
    return UnitPrices(told["source"], Rates(**told["base"]), tiers).cost(
        part.input_tokens,
        part.output_tokens,
        part.cache_read_tokens,
        part.reasoning_tokens,
        part.cache_write_tokens,
    )


def _read(price: str) -> list[dict[str, Any]]:
    return json.loads(price) if price else []
