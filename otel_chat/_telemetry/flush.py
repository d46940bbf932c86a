"""Has providers send what they hold, within a bound."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from opentelemetry import metrics, trace
from opentelemetry._logs import get_logger_provider

Send = Callable[[float], bool]
"""Sends or closes something within so many seconds, and says whether it could."""


def bounded(sends: Sequence[Send], deadline: float, on_error: Callable[[Exception], None]) -> bool:
    """Runs all in a thread of its own, so that one that hangs holds nobody."""
    results: list[bool] = []

    def run() -> None:
        for send in sends:
            try:
                results.append(send(max(deadline - time.monotonic(), 0.1)))
            except Exception as error:  # noqa: BLE001 - an exporter may raise anything
                results.append(False)
                on_error(error)

    thread = threading.Thread(target=run, name="otel-chat-flush", daemon=True)
    try:
        thread.start()
    except RuntimeError:  # the interpreter is going down and makes no threads
        run()
        return all(results)
    thread.join(max(deadline - time.monotonic(), 0.0))
    return len(results) == len(sends) and all(results)


def flush_globals(timeout: float) -> bool:
    """Has the global providers flush, where they can."""
    providers = (trace.get_tracer_provider(), get_logger_provider(), metrics.get_meter_provider())
    done = True
    for provider in providers:
        force = getattr(provider, "force_flush", None)
        if force is not None:
            done = force(int(timeout * 1000)) is not False and done
    return done
