"""Token usage of a turn: what it reported itself, or the sum over the model calls inside."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from otel_chat import semconv as sc
from otel_chat._common.checks import count
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
_MAX_DEPTH: Final = 1_000
COUNTS: Final = (*TURN_KEYS, "cache_write_tokens")


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
        response_id: The provider's id of the response, where it is known: the same one again is
            the same call.
        parts: Where several calls make it up, each by itself: their prices may differ.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    reasoning_tokens: int | None = None
    cache_write_tokens: int | None = None
    model: str | None = None
    provider: str | None = None
    cost: float | None = None
    response_id: str | None = None
    parts: tuple[Usage, ...] = ()

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

    @property
    def known(self) -> int:
        """How many of its counts are told, those of 0 left out: who knows more is believed."""
        return sum(1 for name in COUNTS if getattr(self, name))

    def agrees(self, other: Usage) -> bool:
        """Whether it may tell of the same as another that knows more: no count is another one.

        Its input may leave out what the other read from a cache or wrote to one.

        Example:
            >>> Usage(20, 3).agrees(Usage(120, 3, cache_read_tokens=100))
            True
            >>> Usage(20, 3).agrees(Usage(120, 3))
            False
        """
        cached = (other.cache_read_tokens or 0) + (other.cache_write_tokens or 0)
        for name in COUNTS:
            ours, theirs = getattr(self, name), getattr(other, name)
            apart = {theirs, (theirs or 0) - cached} if name == "input_tokens" else {theirs}
            if ours and ours not in apart:
                return False
        return True

    def add(self, other: Usage) -> None:
        """Adds the tokens of another call.

        Example:
            >>> usage = Usage(input_tokens=3)
            >>> usage.add(Usage(input_tokens=4, output_tokens=1))
            >>> usage.input_tokens, usage.output_tokens, usage.reasoning_tokens
            (7, 1, None)
        """
        for name in COUNTS:
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

    __slots__ = (
        "answered",
        "confidence",
        "model",
        "parents",
        "prompt",
        "provider",
        "repeated",
        "roles",
        "usages",
    )

    def __init__(self) -> None:
        self.parents: dict[int, int | None] = {}
        self.usages: dict[int, Usage] = {}
        self.answered: set[str] = set()
        self.repeated: set[int] = set()
        self.roles: dict[int, str] = {}
        """Chat, tool or agent, by span that ended, whatever came of it; not in nested turns."""
        self.confidence: float | None = None
        """Of the last model call that knew it."""
        self.model: str | None = None
        """Of the first model call."""
        self.provider: str | None = None
        """Of the first model call that was told who runs it."""
        self.prompt: tuple[int, str, str] | None = None
        """Of the first model call that names one: when it started, the name and the version."""

    def started(self, span_id: int, parent_id: int | None) -> None:
        """A span started inside the turn."""
        self.parents[span_id] = parent_id

    def used(self, span_id: int, usage: Usage, *, own: bool = False) -> None:
        """A span ended that carries usage. It may be told twice; who knows more is believed.

        Args:
            span_id: The span's.
            usage: What it carries.
            own: It is a model call of ours, so two are two calls, even where a server gives both
                answers the same id, as Ollama may and every mock does.
        """
        known = self.usages.get(span_id)
        if own or known is None or known.known < usage.known:
            self.usages[span_id] = usage
        if own and usage.response_id is not None:
            if usage.response_id in self.answered:
                self.repeated.add(span_id)
            self.answered.add(usage.response_id)

    def called(self, model: str | None, provider: str | None) -> None:
        """A model call was said to be one of this model, run by this provider."""
        self.model = self.model or model
        self.provider = self.provider or provider

    def prompted(self, started_ns: int, name: str | None, version: str | None) -> None:
        """A model call that started then used this prompt, where it names one.

        Example:
            >>> children = Children()
            >>> children.prompted(9, "later", "1")
            >>> children.prompted(5, "greeting", None)
            >>> children.prompt
            (5, 'greeting', '')
        """
        if name and (self.prompt is None or started_ns < self.prompt[0]):
            self.prompt = started_ns, name, version or ""

    def own(self, role: str) -> int:
        """How many calls of a role are this turn's own, and no agent's inside it.

        One may be told by several spans. Another thread may add some meanwhile.

        Args:
            role: `chat` or `tool`.

        Example:
            >>> children = Children()
            >>> for span, parent in ((1, None), (2, 1), (3, None), (4, 3)):
            ...     children.started(span, parent)
            ...     children.roles[span] = "agent" if span == 3 else "chat"
            >>> children.own("chat")
            1
        """
        roles = dict(self.roles)
        around = {span for span, one in roles.items() if one in (role, "agent")}
        return len(
            {
                self._known_by(span)
                for span, one in roles.items()
                if one == role and not self._above(span, around)
            }
        )

    def _known_by(self, span_id: int) -> Call:
        """The response id that a span tells of, else the span, and of those of ours that repeat."""
        usage = self.usages.get(span_id)
        answer = None if usage is None or span_id in self.repeated else usage.response_id
        return span_id if answer is None else answer

    def take_over(self, other: Children) -> None:
        """Takes the spans of a nested turn over; its calls stay its own."""
        self.parents.update(other.parents)
        self.usages.update(other.usages)
        self.answered |= other.answered
        self.repeated |= other.repeated
        self.called(other.model, other.provider)
        if other.prompt is not None:
            self.prompted(*other.prompt)
        if other.confidence is not None:
            self.confidence = other.confidence

    def calls(self) -> list[Usage]:
        """The usage of each model call, once, however many spans tell of it.

        * Spans with the same response id are one call, wherever they hang; the one that knows most
          tells of it, the outermost of equals.
        * A call within another that carries usage is part of that one. Where the calls within use
          just as much and know more of it, they tell of it instead.
        * Spans that carry nothing but zeros count only where no other carries anything.

        Example:
            >>> children = Children()
            >>> for span, parent in ((1, None), (2, 1), (3, None)):
            ...     children.started(span, parent)
            ...     children.used(span, Usage(input_tokens=span))
            >>> [usage.input_tokens for usage in children.calls()]
            [1, 3]
        """
        if not self.usages:
            return []
        told = {span: usage for span, usage in self.usages.items() if usage.known}
        told = told or self.usages
        outer = {span: self._above(span, told) for span in told}
        call_of = {span: self._call_of(span, outer[span]) for span in told}
        above = {span: [call_of[a] for a in outer[span]] for span in told}
        spans: dict[Call, list[int]] = {}
        for span, call in call_of.items():
            spans.setdefault(call, []).append(span)
        around = {
            call: {a for span in those for a in above[span]} - {call}
            for call, those in spans.items()
        }
        counted = _outermost(spans, above, around)
        best = {
            call: self.usages[min(those, key=lambda s: (-self.usages[s].known, len(above[s])))]
            for call, those in spans.items()
        }
        within: dict[Call, list[Usage]] = {}
        for call, others in around.items():
            if len(others) == 1:
                within.setdefault(next(iter(others)), []).append(best[call])
        found: list[Usage] = []
        for call in (call for call in spans if call in counted):
            inner = within.get(call, [])
            told_by = inner if _knows_more(inner, best[call]) else [best[call]]
            found += [part for usage in told_by for part in usage.parts or (usage,)]
        return found

    def _call_of(self, span_id: int, outer: list[int]) -> Call:
        response_id = self.usages[span_id].response_id
        if response_id is None:
            return span_id
        for span in (span_id, *outer):
            if span in self.repeated and self.usages[span].response_id == response_id:
                return span
        return response_id

    def _above(self, span_id: int, among: Container[int]) -> list[int]:
        """The spans around a span that are among some, the innermost first."""
        found: list[int] = []
        parent = self.parents.get(span_id)
        for _ in range(_MAX_DEPTH):
            if parent is None:
                break
            if parent in among:
                found.append(parent)
            parent = self.parents.get(parent)
        return found


Call = str | int
"""What a model call is known by: its response id, else its span."""


def _outermost(
    spans: Mapping[Call, list[int]],
    above: Mapping[int, list[Call]],
    around: Mapping[Call, set[Call]],
) -> set[Call]:
    """The calls that are part of no other. One that is told elsewhere too counts there."""
    tops = [
        call
        for call, those in spans.items()
        if any(all(outer == call for outer in above[span]) for span in those)
    ]
    counted: set[Call] = set()
    decided: set[Call] = set()
    for call in sorted(tops, key=lambda call: bool(around[call])):
        if around[call].isdisjoint(decided):
            counted.add(call)
        decided.add(call)
    return counted


def _knows_more(inner: list[Usage], outer: Usage) -> bool:
    """Whether several calls use what the one around them says, and know more of it."""
    whole = total(inner)
    return whole.known > outer.known and outer.agrees(whole)


def with_result(calls: list[Usage], told: list[Usage]) -> list[Usage]:
    """The calls inside a turn, each told by its result where that knows more of it.

    Args:
        calls: Of the spans inside.
        told: Of the handler's result, a part for each call that it tells of.

    Example:
        >>> told = Usage(120, 3, cache_read_tokens=100)
        >>> with_result([Usage(120, 3), Usage(7, 1)], [told])[0] is told
        True
    """
    if not calls:
        return told
    whole, said = total(calls), total(told)
    if said and whole.known < said.known and whole.agrees(said):
        return told
    found = list(calls)
    for part in told:
        places = [n for n, call in enumerate(found) if _same(call, part)]
        places = places or [n for n, call in enumerate(found) if call.agrees(part)]
        if part and places and found[places[-1]].known < part.known:
            call = found[places[-1]]
            part.model = part.model or call.model
            part.provider = call.provider or part.provider
            found[places[-1]] = part
    return found


def _same(one: Usage, other: Usage) -> bool:
    return one.response_id is not None and one.response_id == other.response_id


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
