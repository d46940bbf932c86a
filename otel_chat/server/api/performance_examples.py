"""Answers of the addresses of performance, as the API's description shows them."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from otel_chat.server.api.examples import SPAN_ID, TRACE_ID, WINDOW, shown
from otel_chat.server.figures.answers import TimeSpan
from otel_chat.server.questions.dependencies import Dependencies, Dependency
from otel_chat.server.questions.feedback import ScaleMean
from otel_chat.server.questions.performance import (
    BOUNDS,
    Performance,
    PerformancePoint,
    Quantiles,
    TurnError,
    TurnErrors,
)
from otel_chat.server.questions.process import LostTelemetry, Process, Processes, ProcessPoint
from otel_chat.server.questions.realtime import Realtime
from otel_chat.server.questions.routes import Route, Routes
from otel_chat.server.questions.slow_turns import SlowTurn, SlowTurns
from otel_chat.server.questions.split import TimeSplit

SPAN: Final = TimeSpan.of(WINDOW)
LATE: Final = WINDOW.end - timedelta(hours=2)
_COUNTS: Final = [0, 0, 4, 21, 40, 33, 12, 6, 3, 1, *[0] * 7]

PERFORMANCE_ANSWER: Final = shown(
    Performance(
        window=SPAN,
        turns=120,
        response_time=Quantiles(
            mean=0.91, p50=0.8, p75=1.1, p90=1.6, p95=2.2, p99=3.4, count=115
        ),
        time_to_first_chunk=Quantiles(
            mean=0.35, p50=0.3, p75=0.4, p90=0.6, p95=0.8, p99=1.2, count=80
        ),
        errors=3,
        error_rate=0.025,
        cancelled=1,
        without_reply=1,
        throughput=0.0119,
        bounds=list(BOUNDS),
        bucket="1d",
        points=[
            PerformancePoint(
                start=WINDOW.start, turns=120, conversations=31, errors=3, error_rate=0.025,
                response_time_p50=0.8, response_time_p95=2.2, first_chunk_p50=0.3,
                first_chunk_p95=0.8, histogram=_COUNTS,
            )
        ],
    )
)  # fmt: skip
ROUTES_ANSWER: Final = shown(
    Routes(
        window=SPAN,
        items=[
            Route(
                route="/chat", status_code=200, turns=117, errors=0, error_rate=0.0, mean=0.9,
                p50=0.8, p95=2.1,
            )
        ],
    )
)  # fmt: skip
ERRORS_ANSWER: Final = shown(
    TurnErrors(
        window=SPAN,
        turns=3,
        bucket="1d",
        starts=[WINDOW.start],
        items=[
            TurnError(
                error_type="TimeoutError", turns=3, share=1.0, conversations=2,
                first_seen=WINDOW.start, last_seen=LATE, trace_id=TRACE_ID, trend=[3],
            )
        ],
    )
)  # fmt: skip
SLOWEST_ANSWER: Final = shown(
    SlowTurns(
        window=SPAN,
        items=[
            SlowTurn(
                trace_id=TRACE_ID, span_id=SPAN_ID, conversation_id="chat-7f3a",
                tenant="default", agent="support", model="gpt-4o-mini", intent="order_status",
                start=LATE, duration=3.4, status="ok",
                split=TimeSplit(
                    span_id=SPAN_ID, duration=3.4, model=2.1, retrieval=0.2, tool=0.9, own=0.2
                ),
            )
        ],
    )
)  # fmt: skip
PROCESSES_ANSWER: Final = shown(
    Processes(
        window=SPAN,
        bucket="1d",
        items=[
            Process(
                service_name="support-bot", instance_id="5f1c", last_seen=LATE,
                memory=182_000_000, memory_mean=176_000_000, memory_max=190_000_000, cpu=0.12,
                threads=9,
                points=[ProcessPoint(start=WINDOW.start, memory=190_000_000, cpu=0.12)],
            )
        ],
        others=0,
        telemetry=LostTelemetry(errors=0, dropped=0),
    )
)  # fmt: skip
DEPENDENCIES_ANSWER: Final = shown(
    Dependencies(
        window=SPAN,
        items=[
            Dependency(
                kind="tool", name="lookup_order", calls=64, failures=2, success_rate=0.96875,
                mean=0.21, p50=0.18, p95=0.5, p99=0.9, timed=64, error_types=["TimeoutError"],
                last_failure=LATE,
            )
        ],
        others=0,
    )
)  # fmt: skip
REALTIME_ANSWER: Final = shown(
    Realtime(
        timestamp=WINDOW.end, minutes=5, active_conversations=7, turns=19,
        avg_response_time_ms=912.4, errors=0, handoffs=1, avg_satisfaction=0.83, ratings=6,
        satisfaction_by_scale=[ScaleMean(lowest=1, highest=5, ratings=6, mean=4.32)],
    )
)  # fmt: skip
