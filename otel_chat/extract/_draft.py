"""What is taken from a result, and the draft that readers fill: at once, or chunk by chunk."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

_MAX_TEXT: Final = 200_000
_MAX_TOOL_CALLS: Final = 128


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


@dataclass(slots=True)
class Tokens:
    """Token counts as `Extracted` has them."""

    input: int | None = None
    output: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    reasoning: int | None = None


class Draft:
    """Gathers what a result, or one chunk after the other, has to say. The latest word counts."""

    __slots__ = (
        "_calls",
        "_length",
        "_logprob_count",
        "_logprob_sum",
        "_pieces",
        "confidence",
        "cost",
        "fallback",
        "finish_reason",
        "intent",
        "model",
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
        self.confidence: float | None = None
        self.intent: str | None = None
        self.fallback: bool | None = None
        self._pieces: list[str] = []
        self._length = 0
        self._calls: list[ToolCall] = []
        self._logprob_sum = 0.0
        self._logprob_count = 0

    def say(self, text: str | None) -> None:
        """Adds to the reply, up to 200,000 characters."""
        if text and self._length < _MAX_TEXT:
            self._pieces.append(text[: _MAX_TEXT - self._length])
            self._length += len(text)

    def say_all(self, text: str | None) -> None:
        """Replaces the reply so far by the whole of it."""
        if text:
            self._pieces.clear()
            self._length = 0
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

    def finish(self, shape: str) -> Extracted:
        """What was gathered."""
        confidence = self.confidence
        if confidence is None and self._logprob_count:
            confidence = math.exp(self._logprob_sum / self._logprob_count)
        tokens = self.tokens
        return Extracted(
            shape=shape,
            model=self.model,
            provider=self.provider,
            input_tokens=tokens.input,
            output_tokens=tokens.output,
            cache_read_tokens=tokens.cache_read,
            cache_write_tokens=tokens.cache_write,
            reasoning_tokens=tokens.reasoning,
            cost=self.cost,
            finish_reason=self.finish_reason,
            response_id=self.response_id,
            tool_calls=tuple(self._calls),
            text="".join(self._pieces) if self._pieces else None,
            confidence=confidence,
            intent=self.intent,
            fallback=self.fallback,
        )
