"""Cases of the alerts on what is unlike the day and the week before."""

from __future__ import annotations

from typing import Final

from prometheus.cases.model import AGENT, FALSIFIED, Case, Series, Silence, of_agent

TICKET: Final = {"severity": "ticket", **AGENT}
TURNS: Final = of_agent("otel_chat_turn_duration_seconds_count")
COST: Final = of_agent("otel_chat_turn_cost_sum")
BUCKET: Final = "otel_chat_turn_duration_seconds_bucket"


def _times(within_1: str, within_5: str, every: str) -> Series:
    return {
        of_agent(BUCKET, le="1"): within_1,
        of_agent(BUCKET, le="5"): within_5,
        of_agent(BUCKET, le="+Inf"): every,
        TURNS: every,
    }


CASES: Final = (
    Case(
        "ChatNoTraffic", {"severity": "page", **AGENT, **FALSIFIED},
        # Two a minute for 26 hours, then silence, then traffic again
        {TURNS: "0+2x1560 3120x120 3122+2x120"}, "1d2h30m", "10m", "1d4h15m",
        {
            "few turns are usual": {TURNS: "0+0.5x1560 780x240"},
            "a day before there was nothing": {TURNS: "0x600 0+2x600 1200x600"},
        },
        step="5m",
    ),
    Case(
        "ChatNoTraffic", {"severity": "page", **AGENT, **FALSIFIED},
        {TURNS: "0+2x1560 _x120 0+2x120"}, "1d2h30m", "10m", "1d4h15m",
        {}, step="5m",
    ),
    Case(
        "ChatTrafficAnomaly", {**TICKET, **FALSIFIED},
        # 60 an hour for 26 hours: the band is 42 to 78. Then 180 an hour, for an hour
        {TURNS: "0+1x1560 1563+3x59 1741+1x180"}, "1d2h10m", "15m", "1d4h",
        {
            "few turns": {TURNS: "0+0.1x1560 156.4+0.4x180"},
            "less than a day is known": {TURNS: "0+1x600 603+3x180"},
        },
        step="5m",
    ),
    Case(
        "ChatTrafficAnomaly", {**TICKET, **FALSIFIED},
        {TURNS: "0+1x1560 1560x59 1561+1x180"}, "1d2h20m", "15m", "1d4h",
        {}, step="5m",
    ),
    Case(
        "ChatLatencyAnomaly", TICKET,
        # p95 of 0.95 s for 26 hours; then one turn of ten takes up to 5 s
        _times("0+2x1560 3121.8+1.8x119 3336+2x180", "0+2x1860", "0+2x1860"),
        "1d2h35m", "15m", "1d6h",
        {
            "few turns": _times("0+0.2x1560 312x300", "0+0.2x1860", "0+0.2x1860"),
            "the same": _times("0+2x1860", "0+2x1860", "0+2x1860"),
        },
        step="5m",
    ),
    Case(
        "ChatCostAnomaly", TICKET,
        {TURNS: "0+1x1800", COST: "0+0.1x1560 156.3+0.3x59 174.1+0.1x180"},
        "1d2h10m", "15m", "1d4h",
        {"few turns": {TURNS: "0+0.1x1800", COST: "0+0.1x1560 156.3+0.3x180"}},
        step="5m",
    ),
)  # fmt: skip
SILENCES: Final = (
    Silence(
        "ChatNoTraffic", "so was a week ago",
        # Six days of traffic, the seventh is free: so was that a week ago
        {TURNS: "0x1440 0+2x8640 17280x1440"}, "7d12h",
    ),
    Silence(
        "ChatTrafficAnomaly", "so was a week ago",
        {TURNS: "0+1x1560 1563+3x179 2101+1x9899 12003+3x180"}, "8d5h", "4h",
    ),
)  # fmt: skip
