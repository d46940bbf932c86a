"""Unit prices, and the multiplication that makes a cost of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, localcontext
from typing import Final

# 1e-18 USD: every published price a token is a whole number of them, so that sums are exact, and
# an int is faster than a Decimal and knows no thread's context
_ATTO: Final = 10**18
_EXACT_DIGITS: Final = 60


@dataclass(frozen=True, slots=True)
class Rates:
    """Prices of one token, in 1e-18 USD.

    Args:
        input: Of an input token that was neither read from nor written to a cache.
        output: Of an output token; None where the model has no price for it.
        cache_read: Of an input token read from the provider's cache.
        cache_write: Of an input token written to it.
        reasoning: Of an output token spent on reasoning.
        request: Of the request itself.
    """

    input: int
    output: int | None
    cache_read: int
    cache_write: int
    reasoning: int
    request: int = 0


@dataclass(frozen=True, slots=True)
class UnitPrices:
    """The unit prices of a model.

    Args:
        source: Where they come from: `provider` (published price list) or `local` (own table).
        base: The rates of a usual request.
        tiers: Rates of requests with more input tokens than the number beside them, ascending;
            they hold for all tokens of such a request.
    """

    source: str
    base: Rates
    tiers: tuple[tuple[int, Rates], ...] = ()

    def cost(
        self,
        input_tokens: int | None,
        output_tokens: int | None,
        cache_read_tokens: int | None = None,
        reasoning_tokens: int | None = None,
        cache_write_tokens: int | None = None,
    ) -> float | None:
        """What a request costs.

        Args:
            input_tokens: All input tokens, cached ones included.
            output_tokens: All output tokens, reasoning included.
            cache_read_tokens: Those of the input read from a cache.
            reasoning_tokens: Those of the output spent on reasoning.
            cache_write_tokens: Those of the input written to a cache.

        Returns:
            USD, the double nearest to the exact sum. None where output was made and the model has
            no price for output. A part that exceeds its whole is taken for the whole.

        Example:
            >>> two, eight = 2 * 10**12, 8 * 10**12  # USD for a million tokens
            >>> UnitPrices("local", Rates(two, eight, two, two, eight)).cost(1_000, 200)
            0.0036
        """
        read, written = max(cache_read_tokens or 0, 0), max(cache_write_tokens or 0, 0)
        taken = max(input_tokens or 0, read + written)
        reasoning = max(reasoning_tokens or 0, 0)
        made = max(output_tokens or 0, reasoning)
        rates = self.base
        for start, candidate in self.tiers:
            if taken > start:
                rates = candidate
        if rates.output is None:
            if made:
                return None
            output = 0
        else:
            output = (made - reasoning) * rates.output + reasoning * rates.reasoning
        return (
            rates.request
            + (taken - read - written) * rates.input
            + read * rates.cache_read
            + written * rates.cache_write
            + output
        ) / _ATTO


@dataclass(frozen=True, slots=True)
class TimedPrices:
    """Unit prices that depend on the time: the last one whose condition holds, else the first.

    Args:
        variants: Condition and prices; no condition holds always.
    """

    variants: tuple[tuple[Callable[[datetime], bool] | None, UnitPrices | None], ...]

    def at(self, time: datetime) -> UnitPrices | None:
        """The prices at `time` (aware, or naive and taken as UTC)."""
        for holds, prices in reversed(self.variants):
            if holds is None or holds(time):
                return prices
        return self.variants[0][1] if self.variants else None


def atto(usd: Decimal) -> int:
    """USD in whole 1e-18 USD, rounded half to even.

    Example:
        >>> atto(Decimal("0.0000025"))
        2500000000000
    """
    with localcontext() as context:
        context.prec = _EXACT_DIGITS
        return int((usd * _ATTO).to_integral_value())
