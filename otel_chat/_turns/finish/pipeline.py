"""The end of a turn, step by step; each step is a function of its state and the runtime."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from otel_chat import semconv as sc
from otel_chat._telemetry.runtime import Runtime
from otel_chat._turns.finish.cost import load_prices, price, say_unpriced
from otel_chat._turns.finish.hooks import run_hooks
from otel_chat._turns.finish.intents import choose_confidence, choose_intent
from otel_chat._turns.finish.keep import decide_keep
from otel_chat._turns.finish.metrics import record_metrics
from otel_chat._turns.finish.redaction import redact_messages, redact_metadata
from otel_chat._turns.finish.result import read_result, take_known_chunks
from otel_chat._turns.finish.span import end_span, note_receiver
from otel_chat._turns.finish.usage import sum_usage
from otel_chat._turns.state import TurnState

Step = Callable[[TurnState, Runtime], None]

STEPS: Final[tuple[Step, ...]] = (
    read_result,
    choose_intent,
    choose_confidence,
    sum_usage,
    run_hooks,
    decide_keep,
    load_prices,
    price,
    say_unpriced,
    redact_metadata,
    redact_messages,
)
"""What is worked out before the span ends, in the delivery thread."""

QUICK_STEPS: Final[tuple[Step, ...]] = (
    take_known_chunks,
    choose_intent,
    choose_confidence,
    sum_usage,
    decide_keep,
    price,
)
"""The same in the caller's thread: what may take time, and content, is left out."""

AFTERWARDS: Final[tuple[Step, ...]] = (note_receiver, record_metrics)


def finish_turn(state: TurnState, runtime: Runtime) -> None:
    """Works out what a turn was that is over, ends its span and records its metrics.

    Args:
        state: A turn whose end was noted.
        runtime: Whose thread of delivery this is.
    """
    _run(STEPS, state, runtime)
    for step in AFTERWARDS:
        step(state, runtime)


def finish_turn_quickly(state: TurnState, runtime: Runtime) -> None:
    """The same where the queue is full, in the caller's thread; metrics are dropped, and counted.

    Args:
        state: A turn whose end was noted.
        runtime: Whose queue is full.
    """
    _run(QUICK_STEPS, state, runtime)
    note_receiver(state, runtime)
    runtime.dropped(sc.SIGNAL_RECORDS)


def _run(steps: tuple[Step, ...], state: TurnState, runtime: Runtime) -> None:
    """Runs the steps; the span ends whatever they do."""
    try:
        for step in steps:
            step(state, runtime)
    finally:
        end_span(state, runtime)
