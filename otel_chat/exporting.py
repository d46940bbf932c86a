"""Counts what an exporter could not send: the SDK writes a log line of it and goes on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar, cast

from otel_chat.runtime import installed

Exporter = TypeVar("Exporter")


class _Counting:
    def __init__(self, exporter: Any, signal: str) -> None:
        self._exporter = exporter
        self._signal = signal

    def export(self, batch: Sequence[object]) -> object:
        result: object = None
        try:
            result = self._exporter.export(batch)
        finally:
            runtime = installed()
            if getattr(result, "name", None) != "SUCCESS" and runtime is not None:
                runtime.dropped(self._signal, len(batch))
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return bool(self._exporter.force_flush(timeout_millis))


def counting(exporter: Exporter, signal: str) -> Exporter:
    """The exporter of spans or logs, with what it gives up counted as dropped.

    Args:
        exporter: Of the SDK's kind.
        signal: What it sends, as the counter names it.

    Example:
        >>> counting(object(), "spans") is None
        False
    """
    return cast("Exporter", _Counting(exporter, signal))
