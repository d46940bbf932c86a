"""A line for each turn in the terminal: the first trace without any server."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any, TextIO

from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor

from otel_chat import semconv as sc


class ConsoleTurns(SpanProcessor):
    """Writes a line for each turn that ends.

    Args:
        stream: Where to; the process' standard error, looked up each time, where none is given.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream

    def on_end(self, span: ReadableSpan) -> None:
        """Writes the line, where the span is a turn's."""
        attributes = span.attributes
        if not attributes or not attributes.get(sc.TURN_ROOT):
            return
        start, end = span.start_time or 0, span.end_time or 0
        stream = self._stream or sys.stderr
        try:
            stream.write(line(attributes, start, end) + "\n")
            stream.flush()
        except (AttributeError, OSError, ValueError):  # no terminal, or a closed one
            return


def line(attributes: Mapping[str, Any], start_ns: int, end_ns: int) -> str:
    """A turn as a line: when it ended, agent, intent, seconds, tokens, cost, how it went.

    Args:
        attributes: Those of the turn's span.
        start_ns: When it started, nanoseconds since 1970.
        end_ns: When it ended.

    Example:
        >>> found = {"gen_ai.agent.name": "support", "otel_chat.intent.name": "greeting",
        ...     "otel_chat.usage.input_tokens": 812, "otel_chat.usage.output_tokens": 45,
        ...     "otel_chat.cost.amount": 0.00312, "otel_chat.status": "ok"}
        >>> line(found, 0, 1_240_000_000)[10:]
        'support  greeting  1.24 s  812 + 45 tokens  $0.0031  ok'
    """
    get = attributes.get
    known = [
        time.strftime("%H:%M:%S", time.localtime(end_ns / 1e9)),
        get(sc.AGENT_NAME),
        get(sc.INTENT_NAME) or "no intent",
        f"{(end_ns - start_ns) / 1e9:.2f} s",
        _tokens(get(sc.USAGE_INPUT_TOKENS), get(sc.USAGE_OUTPUT_TOKENS)),
        _cost(get(sc.COST_AMOUNT), get(sc.COST_SOURCE)),
        get(sc.STATUS),
        get(sc.ERROR_TYPE),
    ]
    # What is written here may come from a user: nothing that steers a terminal
    return "  ".join(
        "".join(c if c.isprintable() else "�" for c in str(part)) for part in known if part
    )


def _tokens(given: object, made: object) -> str:
    if given is None and made is None:
        return "no tokens"
    return f"{given or 0} + {made or 0} tokens"


def _cost(amount: object, source: object) -> str:
    if isinstance(amount, int | float):
        return f"${amount:.4f}"
    return "unpriced" if source == "unpriced" else "no cost"
