"""What is taken from a result, and the draft that readers fill: at once, or chunk by chunk."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any, Final

from otel_chat.extract._reading import total

_MAX_TEXT: Final = 200_000
_MAX_TOOL_CALLS: Final = 128
_MAX_ANSWERS: Final = 256


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool that the model asked for. Its arguments are content and stay where they are.

    Args:
        name: The tool.
        id: The id of the call, where the provider gives one.
    """

    name: str
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Extracted:
    """What a result says of itself. None, or empty, is what it does not say.

    Args:
        shape: The reader that recognised it, such as `openai.chat`.
        model: The model that answered.
        provider: `gen_ai.provider.name`, where the result tells.
        input_tokens: All input tokens, those read from or written to a cache included.
        output_tokens: All output tokens, reasoning included.
        cache_read_tokens: Input tokens read from the provider's cache.
        cache_write_tokens: Input tokens written to it.
        reasoning_tokens: Output tokens spent on reasoning.
        cost: USD, the provider's or the router's own figure.
        finish_reason: In the provider's words.
        response_id: The provider's id of the response.
        tool_calls: The tools asked for, in order.
        text: The reply, without reasoning. Content: to be redacted before it goes anywhere.
        confidence: 0-1. From token log-probabilities it is exp(their mean), the geometric mean of
            the tokens' probabilities and the inverse of the reply's perplexity (Jelinek et al.
            1977); from an intent classifier it is the classifier's own.
        intent: The intent that was recognised.
        fallback: Whether no intent was recognised; None where no classifier spoke.
        parts: Where several answers make it up, each by itself: their prices may differ.
    """

    shape: str
    model: str | None = None
    provider: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost: float | None = None
    finish_reason: str | None = None
    response_id: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    text: str | None = None
    confidence: float | None = None
    intent: str | None = None
    fallback: bool | None = None
    parts: tuple[Extracted, ...] = ()


@dataclass(slots=True)
class Tokens:
    """Token counts as `Extracted` has them."""

    input: int | None = None
    output: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    reasoning: int | None = None

    def update(self, later: Tokens) -> None:
        """Takes later counts. One that is absent, or 0 after a true one, says nothing.

        Example:
            >>> tokens = Tokens(input=12, output=1)
            >>> tokens.update(Tokens(input=0, output=3, reasoning=0))
            >>> tokens.input, tokens.output, tokens.cache_read, tokens.reasoning
            (12, 3, None, 0)
        """
        for name in _COUNTS:
            value = getattr(later, name)
            if value or (value is not None and getattr(self, name) is None):
                setattr(self, name, value)

    def balance(self, whole: int | None) -> Tokens:
        """Counts cached tokens into the input and reasoning into the output, where told beside.

        Providers differ, and what speaks OpenAI's format differs too; their total says which way
        it is. What it has beyond both, where nothing explains it, are the thoughts of a model
        that tells them nowhere else (Gemini). Where no total says it, a part that exceeds its
        whole lies beside it.

        Args:
            whole: The total that the provider gives.

        Example:
            >>> Tokens(input=10, output=3, reasoning=5).balance(whole=18)
            Tokens(input=10, output=8, cache_read=None, cache_write=None, reasoning=5)
            >>> Tokens(input=10, output=8, reasoning=5).balance(whole=18).output
            8
        """
        if self.input is None or self.output is None:
            return self
        cached = (self.cache_read or 0) + (self.cache_write or 0)
        reasoning = self.reasoning or 0
        gap = None if whole is None else whole - self.input - self.output
        if not gap:
            self.output += reasoning if reasoning > self.output else 0
            self.input += cached if cached > self.input else 0
        elif gap > 0:
            if reasoning and gap in (reasoning, reasoning + cached):
                self.output += reasoning
                gap -= reasoning
            if cached and gap == cached:
                self.input += cached
            elif gap and not reasoning:
                self.output += gap
                self.reasoning = gap
        return self

    def add(self, more: Tokens) -> None:
        """Adds the counts of another answer, or of the next part of one."""
        for name in _COUNTS:
            setattr(self, name, total(getattr(self, name), getattr(more, name)))


_COUNTS: Final = tuple(field.name for field in fields(Tokens))


class Answer:
    """One response of a model: what a stream or a result says of it. The latest word counts."""

    __slots__ = (
        "cost",
        "finish_reason",
        "length",
        "model",
        "pieces",
        "provider",
        "response_id",
        "tokens",
    )

    def __init__(self) -> None:
        self.model: str | None = None
        self.provider: str | None = None
        self.tokens = Tokens()
        self.cost: float | None = None
        self.finish_reason: str | None = None
        self.response_id: str | None = None
        self.pieces: list[str] = []
        self.length = 0

    @property
    def text(self) -> str:
        """The reply, without reasoning."""
        return "".join(self.pieces)

    @property
    def counts(self) -> bool:
        """Whether it says what it used."""
        tokens = self.tokens
        return not (self.cost is tokens.input is tokens.output is None)


class Draft:
    """Gathers what a result, or one chunk after the other, has to say.

    What is said is said of `answer`, the response that is being read. A new id, or what begins a
    response without one, makes a new answer: in a stream of several model calls each has its own
    tokens, and what was said of one is never taken for another's.
    """

    __slots__ = (
        "_answers",
        "_by_id",
        "_calls",
        "_logprob_count",
        "_logprob_sum",
        "answer",
        "confidence",
        "fallback",
        "intent",
    )

    def __init__(self) -> None:
        self.answer = Answer()
        self.confidence: float | None = None
        self.intent: str | None = None
        self.fallback: bool | None = None
        self._answers = [self.answer]
        self._by_id: dict[str, Answer] = {}
        self._calls: list[ToolCall] = []
        self._logprob_sum = 0.0
        self._logprob_count = 0

    def turn_to(self, response_id: str | None) -> None:
        """Goes to the answer with this id, a new one where it is new; without one, stays.

        Answers may come interleaved, as those of calls that run side by side.
        """
        if response_id is None:
            return
        known = self._by_id.get(response_id)
        if known is None:
            if len(self._by_id) >= _MAX_ANSWERS:
                return
            if self.answer.finish_reason or self.answer in self._by_id.values():
                self.begin()
            known = self._by_id[response_id] = self.answer
        self.answer = known

    def begin(self) -> None:
        """Begins an answer, where the one before has said anything. The 257th is the 256th."""
        answer = self.answer
        said = answer.counts or answer.pieces or answer.finish_reason or answer.response_id
        if said and len(self._answers) < _MAX_ANSWERS:
            self.answer = Answer()
            self._answers.append(self.answer)

    def say(self, text: str | None) -> None:
        """Adds to the reply, up to 200,000 characters."""
        answer = self.answer
        if text and answer.length < _MAX_TEXT:
            answer.pieces.append(text[: _MAX_TEXT - answer.length])
            answer.length += len(text)

    def say_all(self, text: str | None) -> None:
        """Replaces the answer's text so far by the whole of it."""
        if text:
            self.answer.pieces.clear()
            self.answer.length = 0
            self.say(text)

    def call(self, name: str | None, call_id: str | None) -> None:
        """Notes a tool call; the same id again is the same call."""
        if not name or len(self._calls) >= _MAX_TOOL_CALLS:
            return
        if call_id is None or all(known.id != call_id for known in self._calls):
            self._calls.append(ToolCall(name, call_id))

    def logprob(self, value: float | None) -> None:
        """Adds the log-probability of one token."""
        if value is not None:
            self._logprob_sum += min(value, 0.0)
            self._logprob_count += 1

    def forget_logprobs(self) -> None:
        """Before the whole is read whose parts were read already."""
        self._logprob_sum, self._logprob_count = 0.0, 0

    def finish(self, shape: str, text: str | None = None) -> Extracted:
        """What was gathered.

        Args:
            shape: The reader's.
            text: The reply, where more than the answers was said.
        """
        confidence = self.confidence
        if confidence is None and self._logprob_count:
            confidence = math.exp(self._logprob_sum / self._logprob_count)
        told = [answer for answer in self._answers if answer.counts]
        tokens = told[0].tokens if len(told) == 1 else Tokens()
        for answer in told if len(told) > 1 else ():
            tokens.add(answer.tokens)
        text = text or "".join(answer.text for answer in self._answers)
        return _extracted(
            shape,
            self._answers,
            tokens,
            tool_calls=tuple(self._calls),
            text=text[:_MAX_TEXT] or None,
            confidence=confidence,
            intent=self.intent,
            fallback=self.fallback,
            parts=tuple(_extracted(shape, [answer], answer.tokens) for answer in told)
            if len(told) > 1
            else (),
        )


def _extracted(shape: str, answers: list[Answer], tokens: Tokens, **more: Any) -> Extracted:
    """Of several answers the last word counts, and the costs are summed where each has one."""
    costs = [answer.cost for answer in answers if answer.counts]

    model = provider = finish_reason = response_id = None
    for answer in answers:
        model = answer.model or model
        provider = answer.provider or provider
        finish_reason = answer.finish_reason or finish_reason
        response_id = answer.response_id or response_id
    return Extracted(
        shape=shape,
        model=model,
        provider=provider,
        input_tokens=tokens.input,
        output_tokens=tokens.output,
        cache_read_tokens=tokens.cache_read,
        cache_write_tokens=tokens.cache_write,
        reasoning_tokens=tokens.reasoning,
        cost=None if None in costs or not costs else sum(c for c in costs if c is not None),
        finish_reason=finish_reason,
        response_id=response_id,
        **more,
    )
