"""Token usage of a turn: what it reported itself, or the sum over the model calls inside."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from otel_chat import semconv as sc
from otel_chat.checks import count
from otel_chat.pricing import Prices

GEN_AI_KEYS: Final[Mapping[str, str]] = {
    "input_tokens": sc.GEN_AI_INPUT_TOKENS,
    "output_tokens": sc.GEN_AI_OUTPUT_TOKENS,
    "cache_read_tokens": sc.GEN_AI_CACHE_READ_TOKENS,
    "reasoning_tokens": sc.GEN_AI_REASONING_TOKENS,
}
TURN_KEYS: Final[Mapping[str, str]] = {
    "input_tokens": sc.USAGE_INPUT_TOKENS,
    "output_tokens": sc.USAGE_OUTPUT_TOKENS,
    "cache_read_tokens": sc.USAGE_CACHE_READ_TOKENS,
    "reasoning_tokens": sc.USAGE_REASONING_TOKENS,
}


@dataclass(slots=True)
class Usage:
    """Tokens of a model call or of several; None where nobody said.

    Args:
        input_tokens: All input tokens, cached ones included.
        output_tokens: All output tokens, reasoning included.
        cache_read_tokens: Input tokens read from the provider's cache.
        reasoning_tokens: Output tokens spent on reasoning.
        cache_write_tokens: Input tokens written to the cache; they only matter for the price.
        model: The model that answered.
        provider: Who runs it.
        cost: US dollars, where the provider says it.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    reasoning_tokens: int | None = None
    cache_write_tokens: int | None = None
    model: str | None = None
    provider: str | None = None
    cost: float | None = None

    @classmethod
    def of(cls, given: Mapping[str, int | None]) -> Usage:
        """Usage as reported by a caller.

        Raises:
            TypeError, ValueError: a number is no whole one or negative; names it.
        """
        usage = cls()
        for name, value in given.items():
            if value is not None:
                setattr(usage, name, count(value, name))
        return usage

    def __bool__(self) -> bool:
        return self.input_tokens is not None or self.output_tokens is not None

    def add(self, other: Usage) -> None:
        """Adds the tokens of another call.

        Example:
            >>> usage = Usage(input_tokens=3)
            >>> usage.add(Usage(input_tokens=4, output_tokens=1))
            >>> usage.input_tokens, usage.output_tokens, usage.reasoning_tokens
            (7, 1, None)
        """
        for name in (*TURN_KEYS, "cache_write_tokens"):
            more = getattr(other, name)
            if more is not None:
                setattr(self, name, (getattr(self, name) or 0) + more)

    def attributes(self, keys: Mapping[str, str]) -> dict[str, int]:
        """What is known of it, under the names in `keys`."""
        return {
            key: value for name, key in keys.items() if (value := getattr(self, name)) is not None
        }


class Children:
    """The spans inside a turn: who is whose parent, and which carry usage."""

    __slots__ = ("_parents", "_usages", "confidence")

    def __init__(self) -> None:
        self._parents: dict[int, int | None] = {}
        self._usages: dict[int, Usage] = {}
        self.confidence: float | None = None
        """Of the last model call that knew it."""

    def started(self, span_id: int, parent_id: int | None) -> None:
        """A span started inside the turn."""
        self._parents[span_id] = parent_id

    def used(self, span_id: int, usage: Usage) -> None:
        """A span ended that carries usage."""
        self._usages[span_id] = usage

    def take_over(self, other: Children) -> None:
        """Takes the spans of a nested turn over."""
        self._parents.update(other._parents)
        self._usages.update(other._usages)
        if other.confidence is not None:
            self.confidence = other.confidence

    def outermost(self) -> list[Usage]:
        """Usage of every span that carries some and lies in no other that does.

        Example:
            >>> children = Children()
            >>> for span, parent in ((1, None), (2, 1), (3, None)):
            ...     children.started(span, parent)
            ...     children.used(span, Usage(input_tokens=span))
            >>> [usage.input_tokens for usage in children.outermost()]
            [1, 3]
        """
        if not self._usages:
            return []
        return [usage for span, usage in self._usages.items() if not self._covered(span)]

    def _covered(self, span_id: int) -> bool:
        parent = self._parents.get(span_id)
        while parent is not None:
            if parent in self._usages:
                return True
            parent = self._parents.get(parent)
        return False


def total(parts: Iterable[Usage]) -> Usage:
    """The sum of several usages."""
    whole = Usage()
    for part in parts:
        whole.add(part)
    return whole


def priced(parts: Iterable[Usage], prices: Prices, time_ns: int) -> tuple[float | None, str]:
    """What the parts cost together, and by whose prices; no amount where one has no price.

    Args:
        parts: Usages whose models have been loaded.
        prices: The loaded prices.
        time_ns: When, since some prices depend on the time.
    """
    amount, sources = 0.0, set()
    for part in parts:
        if part.cost is not None:
            amount += part.cost
            sources.add("provider")
            continue
        unit = prices.at(part.model, part.provider, time_ns) if part.model else None
        if unit is None:
            return None, "unpriced"
        cost = unit.cost(
            part.input_tokens,
            part.output_tokens,
            part.cache_read_tokens,
            part.reasoning_tokens,
            part.cache_write_tokens,
        )
        if cost is None:
            return None, "unpriced"
        amount += cost
        sources.add(unit.source)
    if not sources:
        return None, "unpriced"
    return amount, "local" if "local" in sources else "provider"
