"""Cases of the alerts on turns: objectives, first chunks, hanging and cancelled turns, intents."""

from __future__ import annotations

from typing import Final

from prometheus.cases.model import AGENT, Case, Series, of_agent

COUNT: Final = "otel_chat_turn_duration_seconds_count"
WITHIN: Final = of_agent("otel_chat_turn_duration_seconds_bucket", le="5")
ALL: Final = of_agent(COUNT)
GOOD: Final = of_agent(COUNT, otel_chat_status="ok")
FAILED: Final = of_agent(COUNT, otel_chat_status="error")
CANCELLED: Final = of_agent(COUNT, otel_chat_status="cancelled")
TICKET: Final = {"severity": "ticket", **AGENT}
ACTIVE: Final = of_agent("otel_chat_turn_active", otel_chat_channel="web")
SPENT: Final = of_agent("otel_chat_turn_duration_seconds_sum", otel_chat_channel="web")
CHUNKS: Final = "otel_chat_turn_time_to_first_chunk_seconds"
CONFIDENT: Final = of_agent("otel_chat_turn_confidence_count")
UNSURE: Final = of_agent("otel_chat_turn_low_confidence_total")
INTENTS: Final = "otel_chat_intents_total"
KNOWN: Final = of_agent(INTENTS, otel_chat_fallback="false", otel_chat_intent_name="order")
UNKNOWN: Final = of_agent(INTENTS, otel_chat_fallback="true")


def _slow(within: str, every: str) -> Series:
    return {WITHIN: within, ALL: every}


def _failing(good: str, failed: str) -> Series:
    return {GOOD: good, FAILED: failed}


def _burn(slo: str, window: str, severity: str) -> dict[str, str]:
    return {"severity": severity, "slo": slo, "window": window, **AGENT}


RESPONSE: Final = "ChatResponseTimeBudgetBurn"
ERRORS: Final = "ChatErrorBudgetBurn"
BURNS: Final = (
    # Ten turns a minute: from the third on there are enough. All is well again after an hour.
    Case(
        RESPONSE, _burn("response_time", "1h", "page"),
        _slow("0+2x60 130+10x60", "0+10x120"), "3m", "2m", "1h5m",
        {
            "too few turns": _slow("0x120", "0+0.4x120"),
            "slow, but within the objective": _slow("0+10x60 607+7x60", "0+10x120"),
            "only for a moment": _slow("0+10x110 1100x8 1110+10x2", "0+10x120"),
        },
    ),
    Case(
        RESPONSE, _burn("response_time", "6h", "page"),
        _slow("0+6x60 370+10x60", "0+10x120"), "3m", "5m", "1h30m",
        {"too few turns": _slow("0x120", "0+0.2x120")},
    ),
    Case(
        RESPONSE, _burn("response_time", "1d", "ticket"),
        _slow("0+8x60 490+10x160", "0+10x220"), "3m", "15m", "3h",
        {"too few turns": _slow("0x220", "0+0.1x220")},
    ),
    Case(
        RESPONSE, _burn("response_time", "3d", "ticket"),
        _slow("0+9x60 550+10x360", "0+10x420"), "3m", "30m", "7h",
        {"too few turns": _slow("0x420", "0+0.05x420")},
    ),
    Case(
        ERRORS, _burn("errors", "1h", "page"),
        _failing("0+8x60 490+10x60", "0+2x60 120x60"), "3m", "2m", "1h5m",
        {
            "too few turns": _failing("0x120", "0+0.4x120"),
            "failing, but within the objective": _failing("0+9.95x120", "0+0.05x120"),
            "only for a moment": _failing("0+10x120", "0x100 10+10x9 100x20"),
        },
    ),
    Case(
        ERRORS, _burn("errors", "6h", "page"),
        _failing("0+9x60 550+10x60", "0+1x60 60x60"), "3m", "5m", "1h30m",
        {"too few turns": _failing("0x120", "0+0.2x120")},
    ),
    Case(
        ERRORS, _burn("errors", "1d", "ticket"),
        _failing("0+9.5x60 580+10x160", "0+0.5x60 30x160"), "3m", "15m", "3h",
        {"too few turns": _failing("0x220", "0+0.1x220")},
    ),
    Case(
        ERRORS, _burn("errors", "3d", "ticket"),
        _failing("0+9.8x60 598+10x660", "0+0.2x60 12x660"), "3m", "30m", "12h",
        {"too few turns": _failing("0x420", "0+0.05x420")}, until="7h",
    ),
)  # fmt: skip
TURNS: Final = (
    Case(
        "ChatFirstChunkLate", TICKET,
        {
            of_agent(f"{CHUNKS}_bucket", le="3"): "0+7x30 220+10x60",
            of_agent(f"{CHUNKS}_count"): "0+10x90",
        },
        "3m", "10m", "1h10m",
        {
            "too few replies": {
                of_agent(f"{CHUNKS}_bucket", le="3"): "0x90",
                of_agent(f"{CHUNKS}_count"): "0+0.9x90",
            }
        },
    ),
    Case(
        "ChatTurnsStuck", {"severity": "page", **AGENT},
        {ACTIVE: "0x5 2x60 0x30", SPENT: "0x95"}, "6m", "15m", "1h10m",
        {
            "as many run as end": {ACTIVE: "10x90", SPENT: "0+600x90"},
            "now and then one runs": {ACTIVE: "1 0 1 1 0 1 1 1 0 1 1 0x80"},
        },
    ),
    Case(
        "ChatTurnsStuck", {"severity": "page", **AGENT},
        {ACTIVE: "0x5 1x60 0x30"}, "6m", "15m", "1h10m", {},
    ),
    Case(
        "ChatCancelledRateHigh", TICKET,
        {GOOD: "0+8x30 250+10x60", CANCELLED: "0+2x30 60x60"}, "3m", "10m", "1h10m",
        {"too few turns": {GOOD: "0x90", CANCELLED: "0+0.9x90"}},
    ),
)  # fmt: skip
UNDERSTANDING: Final = (
    Case(
        "ChatLowConfidenceRateHigh", TICKET,
        {CONFIDENT: "0+10x180", UNSURE: "0+5x60 300x120"}, "3m", "15m", "2h10m",
        {"too few turns": {CONFIDENT: "0+0.4x180", UNSURE: "0+0.4x180"}},
    ),
    Case(
        "ChatFallbackRateHigh", TICKET,
        {KNOWN: "0+6x60 370+10x120", UNKNOWN: "0+4x60 240x120"}, "3m", "15m", "2h10m",
        {"too few messages": {KNOWN: "0x180", UNKNOWN: "0+0.4x180"}},
    ),
)  # fmt: skip
