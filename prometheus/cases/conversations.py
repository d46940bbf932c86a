"""Cases of the alerts on what becomes of conversations."""

from __future__ import annotations

from typing import Final

from prometheus.cases.model import AGENT, Case, Value, of_agent, series

TICKET: Final = {"severity": "ticket"}
OF_ANALYTICS: Final = {"falsified_by": "analytics"}
PLACE: Final = {"agent": "support", "channel": "web"}
OF_DAY: Final = {"job": "otel-chat-server", "instance": "a", **PLACE, "window": "24h"}
OF_WEEK: Final = {**OF_DAY, "window": "7d"}
SETTLED: Final = series("otel_chat_conversations_settled", **OF_DAY, outcome="resolved")
CONTAINED: Final = series("otel_chat_containment_ratio", **OF_DAY)
USUAL: Final = series("otel_chat_containment_ratio", **OF_WEEK)
ABANDONED: Final = series("otel_chat_abandonment_ratio", **OF_DAY)
OF_FIGURE: Final = {"agent": "support", "figure": "containment_ratio"}
OF_SERVER: Final = {"job": "otel-chat-server", "instance": "a", **OF_FIGURE}
WORSE, BETTER = (
    series("otel_chat_day_changed", **OF_SERVER, direction=one) for one in ("worse", "better")
)
MOVED: Final = series("otel_chat_day_change_ratio", **OF_SERVER)
TURNS: Final = of_agent("otel_chat_turn_duration_seconds_count", otel_chat_status="ok")
REASON: Final = {"otel_chat_handoff_reason": "no_answer"}
HANDOFFS: Final = of_agent("otel_chat_handoffs_total", **REASON, otel_chat_channel="web")
RATINGS: Final = {
    part: of_agent(f"otel_chat_feedback_score_{part}", gen_ai_evaluation_name="user_feedback")
    for part in ("sum", "count")
}


def _second(told: str) -> str:
    """The same, told by a second analytics server on the same store."""
    return told.replace('instance="a"', 'instance="b"')


CASES: Final = (
    Case(
        "ChatHandoffSpike", {**TICKET, **AGENT, **REASON},
        # The third minute has six
        {TURNS: "0+10x240", HANDOFFS: "0x120 2+2x29 60x90"}, "2h3m", "5m", "3h30m",
        {
            "four handoffs are none": {TURNS: "0+10x240", HANDOFFS: "0x120 1 2 3 4x117"},
            "as many as ever": {TURNS: "0+10x240", HANDOFFS: "0+2x240"},
            "as many more as turns": {
                TURNS: "0+10x120 1240+40x120", HANDOFFS: "0+1x120 124+4x120",
            },
            "nothing is known of before": {TURNS: "0+10x25", HANDOFFS: "0+5x25"},
        },
    ),
    Case(
        "ChatContainmentFalling", {**TICKET, **PLACE, **OF_ANALYTICS},
        {CONTAINED: "0.8x10 0.6x120 0.75x60", USUAL: "0.8x200", SETTLED: "100x200"},
        "11m", "1h", "2h20m",
        {
            "too few conversations": {CONTAINED: "0.1x140", USUAL: "0.8x140", SETTLED: "49x140"},
            "too few, told by two servers": {
                CONTAINED: "0.1x140", USUAL: "0.8x140", SETTLED: "30x140",
                _second(CONTAINED): "0.1x140", _second(SETTLED): "30x140",
            },
            "two servers tell the same": {
                CONTAINED: "0.8x140", USUAL: "0.8x140", SETTLED: "100x140",
                _second(CONTAINED): "0.8x140", _second(USUAL): "0.8x140",
            },
        },
    ),
    Case(
        "ChatAbandonmentHigh", {**TICKET, **PLACE, **OF_ANALYTICS},
        {ABANDONED: "0.2x10 0.5x120 0.3x60", SETTLED: "100x200"}, "11m", "1h", "2h20m",
        {"too few conversations": {ABANDONED: "1x140", SETTLED: "49x140"}},
    ),
    Case(
        "ChatDayChanged", {**TICKET, **OF_FIGURE, **OF_ANALYTICS},
        {WORSE: "0x10 1x120 0x60", MOVED: "-0.01x10 -0.4x120 -0.02x60"}, "11m", "5m", "2h25m",
        {
            "as far as chance goes": {WORSE: "0x140", MOVED: "-0.1x140"},
            "changed for the better": {BETTER: "1x140", MOVED: "0.4x140"},
            "told by two servers as no change": {
                WORSE: "0x140", MOVED: "-0.1x140", _second(WORSE): "0x140",
                _second(MOVED): "-0.1x140",
            },
        },
    ),
    Case(
        "ChatFeedbackFalling", {**TICKET, **AGENT},
        # One rating a minute: the best for a day, then bad ones, then the best again
        {RATINGS["sum"]: "0+1x1440 1440.2+0.2x719 1585+1x1440", RATINGS["count"]: "0+1x3600"},
        "1d10h10m", "30m", "2d12h",
        {
            "too few ratings": {
                RATINGS["sum"]: "0+0.02x1000 20x2600", RATINGS["count"]: "0+0.013x3600",
            }
        },
        step="5m",
    ),
)  # fmt: skip
VALUES: Final = (
    Value(
        "the first handoff ever is counted",
        {HANDOFFS: "_x3 0 1x30"},
        "reason:otel_chat_handoffs:increase30m",
        "5m",
        {series("reason:otel_chat_handoffs:increase30m", **AGENT, **REASON): 1},
    ),
    Value(
        "and once only",
        {HANDOFFS: "_x3 0 1x60"},
        "reason:otel_chat_handoffs:increase30m > 0",
        "40m",
    ),
)
