"""What the alerts must do, minute by minute; written to `tests/` for promtool."""

from __future__ import annotations

from typing import Final

from prometheus.cases import anomalies, conversations, pipeline, supply, turns
from prometheus.cases.model import Case, Silence, Value

CASES: Final[tuple[Case, ...]] = (
    *turns.BURNS,
    *turns.TURNS,
    *turns.UNDERSTANDING,
    *conversations.CASES,
    *supply.CASES,
    *anomalies.CASES,
    *pipeline.APPLICATIONS,
    *pipeline.COLLECTOR,
    *pipeline.SERVERS,
)
VALUES: Final[tuple[Value, ...]] = (*turns.VALUES, *conversations.VALUES, *pipeline.VALUES)
SILENCES: Final[tuple[Silence, ...]] = anomalies.SILENCES
