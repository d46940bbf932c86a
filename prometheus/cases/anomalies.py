"""Cases of the alerts on what is unlike the day and the week before.

The engine's time begins on a Thursday.
"""

from __future__ import annotations

from typing import Final

from prometheus.cases.model import (
    AGENT,
    FALSIFIED,
    Case,
    Series,
    Silence,
    course,
    of_agent,
    of_application,
)

TICKET: Final = {"severity": "ticket", **AGENT}
PAGE: Final = {"severity": "page", **AGENT}
TURNS: Final = of_agent("otel_chat_turn_duration_seconds_count")
WEB: Final = of_agent("otel_chat_turn_duration_seconds_count", otel_chat_channel="web")
VOICE: Final = of_agent("otel_chat_turn_duration_seconds_count", otel_chat_channel="voice")
SALES: Final = TURNS.replace("support", "sales")
COST: Final = of_agent("otel_chat_turn_cost_sum")
BUCKET: Final = "otel_chat_turn_duration_seconds_bucket"
MEMORY: Final = of_application("process_memory_usage_bytes")
DAY: Final = 24 * 60
NIGHT_THEN_DAY: Final = ((0.02, DAY // 2), (2.0, DAY // 2))
LATE_DAY: Final = ((0.02, DAY // 2 + 60), (2.0, DAY // 2))


def _times(within_1: str, within_5: str, every: str) -> Series:
    return {
        of_agent(BUCKET, le="1"): within_1,
        of_agent(BUCKET, le="5"): within_5,
        of_agent(BUCKET, le="+Inf"): every,
        TURNS: every,
    }


CASES: Final = (
    Case(
        "ChatNoTraffic", {**PAGE, **FALSIFIED},
        # Two a minute for 26 hours, then silence, then traffic again
        {TURNS: "0+2x1560 3120x120 3122+2x120"}, "1d2h30m", "10m", "1d4h15m",
        {
            "few turns are usual": {TURNS: "0+0.5x1560 780x240"},
            "a day before there was nothing": {TURNS: "0x600 0+2x600 1200x600"},
            "its processes are gone, which is told instead": {
                TURNS: "0+2x1560 _x120", MEMORY: "9x1560 _x120",
            },
        },
        step="5m",
    ),
    Case(
        "ChatNoTraffic", {**PAGE, **FALSIFIED},
        {TURNS: "0+2x1560 _x120 0+2x120"}, "1d2h30m", "10m", "1d4h15m",
        {}, step="5m",
    ),
    Case(
        "ChatNoTraffic", {**PAGE, **FALSIFIED, "otel_chat_channel": "voice"},
        {WEB: "0+2x1900", VOICE: "0+2x1560 3120x120 3122+2x120"}, "1d2h30m", "10m", "1d4h15m",
        {}, step="5m", of="one channel dies while the other lives",
    ),
    Case(
        "ChatNoTraffic", {**PAGE, **FALSIFIED},
        {TURNS: "0+2x1560 3120x120 3122+2x120", SALES: "0+2x1900"}, "1d2h30m", "10m", "1d4h15m",
        {}, step="5m", of="one agent dies while another of its application lives",
    ),
    Case(
        "ChatSilentForHours", {**TICKET, **FALSIFIED},
        # Twelve an hour, until half past five in the morning
        {TURNS: course((0.2, 1770), (0, 700), (0.2, 200))}, "1d11h35m", "10m", "1d18h",
        {
            "few turns are usual": {TURNS: course((0.05, 1770), (0, 900))},
            "one of them in six hours": {
                TURNS: course((0.2, 1770), (0, 180), (1, 1), (0, 180), (0.2, 600)),
            },
        },
        step="5m",
    ),
    Case(
        "ChatTrafficAnomaly", {**TICKET, **FALSIFIED},
        # 60 an hour for 26 hours: up to 90 are usual. Then 180 an hour, for an hour
        {TURNS: course((1, 1561), (3, 60), (1, 180))}, "1d2h20m", "15m", "1d4h",
        {
            "few turns": {TURNS: course((0.1, 1561), (0.4, 180))},
            "less than a day is known": {TURNS: course((1, 600), (3, 180))},
        },
        step="5m",
    ),
    Case(
        "ChatTrafficAnomaly", {**TICKET, **FALSIFIED},
        {TURNS: course((1, 1561), (0, 59), (1, 180))}, "1d2h35m", "15m", "1d4h",
        {}, step="5m", of="nothing for an hour",
    ),
    Case(
        "ChatTrafficAnomaly", {**TICKET, **FALSIFIED},
        # On the ninth day, from two hours after noon on
        {TURNS: course(*NIGHT_THEN_DAY * 8, (0.02, 720), (2.0, 120), (0.1, 360), (2.0, 240))},
        "8d14h35m", "15m", "8d21h",
        {}, step="5m", of="a twentieth by day for six hours, where nights are quiet",
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
        {TURNS: "0+1x1800", COST: course((0.1, 1561), (0.29, 60), (0.1, 180))},
        "1d2h20m", "15m", "1d4h",
        {"few turns": {TURNS: "0+0.1x1800", COST: course((0.1, 1561), (0.3, 180))}},
        step="5m",
    ),
)  # fmt: skip
QUIET: Final = {
    # Six days of traffic, the seventh is free: so was that a week ago
    "the seventh day is free": (
        {TURNS: course((0, DAY), (2, 6 * DAY), (0, DAY))}, "7d12h", "5d",
    ),
    # Thursday and Friday, then nothing until Monday
    "the first weekend": ({TURNS: course((2, 2 * DAY), (0, 2 * DAY), (2, DAY))}, "5d", None),
    "the clocks are put back": (
        {TURNS: course(*NIGHT_THEN_DAY * 8, *LATE_DAY, *NIGHT_THEN_DAY)}, "9d23h", "2d",
    ),
    "the clocks are put forward": (
        {TURNS: course(*NIGHT_THEN_DAY * 8, (0.02, 660), (2.0, 720), *NIGHT_THEN_DAY)},
        "9d22h", "2d",
    ),
}  # fmt: skip
SILENCES: Final = (
    *(
        Silence(("ChatNoTraffic", "ChatTrafficAnomaly"), why, given, until, lately)
        for why, (given, until, lately) in QUIET.items()
    ),
    Silence(
        ("ChatTrafficAnomaly",), "so was a week ago",
        {TURNS: course((1, 1561), (3, 180), (1, 9900), (3, 181))}, "8d5h", "4h",
    ),
    Silence(
        ("ChatTrafficAnomaly",), "an outage a week ago",
        {TURNS: course((1, 1560), (0, 300), (1, 10000))}, "8d8h", "1d",
    ),
)  # fmt: skip
