"""An own price table: what models cost that nobody lists, or that are had for another price."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from otel_chat._common import text_files
from otel_chat.errors import ConfigurationError
from otel_chat.pricing._units import Rates, UnitPrices, atto

_MILLION: Final = 1_000_000
_NUMBERS: Final = ("input", "output", "cache_read", "cache_write", "reasoning", "request")
_MOST_USD: Final = 1_000_000


class PriceTable:
    """Prices by model, in USD for a million tokens.

    An entry has `input`, and as it needs `output`, `cache_read` (as input unless given),
    `cache_write` (as input), `reasoning` (as output), `request` (USD a request, 0), and `tiers`:
    the same keys again under the number of input tokens above which they hold for the whole
    request. Its name is a model, `provider/model`, or either with `*` and `?`; a plain name goes
    before a pattern, a longer pattern before a shorter one. Case does not matter.

    Args:
        entries: Entries by name, as read from JSON or TOML. Prices are numbers or decimal strings.
        where: What messages call the table.

    Raises:
        ConfigurationError: An entry is malformed; the message names it.

    Example:
        >>> table = PriceTable({"llama-*": {"input": 0, "output": 0}})
        >>> table.find("llama-4-scout").cost(1_000, 50)
        0.0
        >>> table.find("gpt-5") is None
        True
    """

    __slots__ = ("_exact", "_patterns")

    def __init__(self, entries: Mapping[str, object], *, where: str = "price table") -> None:
        self._exact: dict[str, UnitPrices] = {}
        patterns: dict[str, UnitPrices] = {}
        for name, entry in entries.items():
            prices = _entry(f"{where}, {name!r}", entry)
            target = patterns if set(name) & set("*?[") else self._exact
            target[name.lower()] = prices
        longest_first = sorted(patterns, key=lambda name: (-len(name), name))
        self._patterns = tuple((name, patterns[name]) for name in longest_first)

    @classmethod
    def read(cls, path: str | Path) -> PriceTable:
        """Reads a table from a `.json` or `.toml` file.

        Raises:
            ConfigurationError: The file cannot be read, is malformed, or an entry is.
        """
        path = Path(path)
        data = text_files.data(path, "price table")
        if not isinstance(data, dict):
            raise ConfigurationError(f"price table {path}: an object of entries by model is needed")
        return cls(data, where=f"price table {path}")

    @property
    def names(self) -> list[str]:
        """The names of its entries that are no patterns, in lower case."""
        return sorted(self._exact)

    def find(self, model: str, provider: str | None = None) -> UnitPrices | None:
        """The prices of a model, or None where the table has none."""
        names = [model.lower()]
        if provider:
            names.insert(0, f"{provider}/{model}".lower())
        for name in names:
            if found := self._exact.get(name):
                return found
        for pattern, prices in self._patterns:
            if any(fnmatchcase(name, pattern) for name in names):
                return prices
        return None


def _entry(where: str, entry: object) -> UnitPrices:
    if not isinstance(entry, Mapping):
        raise ConfigurationError(f"{where}: an object with 'input' and 'output' is needed")
    tiers = entry.get("tiers", {})
    if not isinstance(tiers, Mapping):
        raise ConfigurationError(f"{where}, tiers: an object by number of input tokens is needed")
    base = {key: value for key, value in entry.items() if key != "tiers"}
    parsed = sorted(
        (_start(where, start), _rates(f"{where}, tier {start}", {**base, **_mapping(where, tier)}))
        for start, tier in tiers.items()
    )
    return UnitPrices(source="local", base=_rates(where, base), tiers=tuple(parsed))


def _mapping(where: str, tier: object) -> Mapping[str, object]:
    if not isinstance(tier, Mapping):
        raise ConfigurationError(f"{where}: a tier is an object of prices")
    return tier


def _start(where: str, start: object) -> int:
    try:
        number = int(str(start))
    except ValueError:
        number = -1
    if number < 0:
        raise ConfigurationError(f"{where}: tier {start!r} is no number of tokens")
    return number


def _rates(where: str, entry: Mapping[str, object]) -> Rates:
    if unknown := sorted(set(entry) - set(_NUMBERS)):
        raise ConfigurationError(
            f"{where}: unknown key {unknown[0]!r}; known are {', '.join(_NUMBERS)}, tiers"
        )
    if "input" not in entry:
        raise ConfigurationError(f"{where}: 'input' is missing (USD for a million tokens)")
    usd = {key: _price(f"{where}, {key}", value) for key, value in entry.items()}
    per_token = {key: atto(value / _MILLION) for key, value in usd.items() if key != "request"}
    output = per_token.get("output")
    return Rates(
        input=per_token["input"],
        output=output,
        cache_read=per_token.get("cache_read", per_token["input"]),
        cache_write=per_token.get("cache_write", per_token["input"]),
        reasoning=per_token.get("reasoning", output or 0),
        request=atto(usd.get("request", Decimal(0))),
    )


def _price(where: str, value: object) -> Decimal:
    try:
        price = Decimal(str(value))
    except InvalidOperation as error:
        raise ConfigurationError(f"{where}: {value!r} is no number") from error
    if not price.is_finite() or not 0 <= price <= _MOST_USD:
        raise ConfigurationError(f"{where}: {value!r} is not between 0 and {_MOST_USD} USD")
    return price
