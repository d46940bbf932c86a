"""Cases of the alerts on turns: objectives, first chunks, hanging and cancelled turns, intents."""

from __future__ import annotations

from typing import Final

from prometheus.cases.model import (
    AGENT,
    APPLICATION,
    Case,
    Series,
    Value,
    course,
    of_agent,
    series,
)

COUNT: Final = "otel_chat_turn_duration_seconds_count"
BUCKET: Final = "otel_chat_turn_duration_seconds_bucket"
WITHIN: Final = of_agent(BUCKET, le="5")
FETCHED: Final = of_agent(BUCKET, le="5.0")
IN_TIME: Final = of_agent(BUCKET, le="5", otel_chat_status="ok")
ALL: Final = of_agent(COUNT)
GOOD: Final = of_agent(COUNT, otel_chat_status="ok")
FAILED: Final = of_agent(COUNT, otel_chat_status="error")
CANCELLED: Final = of_agent(COUNT, otel_chat_status="cancelled")
TICKET: Final = {"severity": "ticket", **AGENT}
AGE: Final = of_agent("otel_chat_turn_oldest_seconds", otel_chat_channel="web")
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
    # Ten turns a minute, of which 60 are enough. All is well again after an hour.
    Case(
        RESPONSE, _burn("response_time", "1h", "page"),
        _slow("0+2x60 130+10x60", "0+10x120"), "6m", "2m", "1h5m",
        {
            "too few turns": _slow("0x120", "0+0.9x120"),
            "slow, but within the objective": _slow("0+10x60 607+7x60", "0+10x120"),
            "only for a moment": _slow("0+10x110 1100x8 1110+10x2", "0+10x120"),
        },
    ),
    # Fetched from the application, where the bound is called 5.0
    Case(
        RESPONSE, _burn("response_time", "1h", "page"),
        {FETCHED: "0+2x60 130+10x60", ALL: "0+10x120"}, "6m", "2m", "1h5m", {},
    ),
    # Summed from steps of five minutes, of which each is known a minute later
    Case(
        RESPONSE, _burn("response_time", "6h", "page"),
        _slow("0+6x60 370+10x60", "0+10x120"), "10m", "5m", "1h30m",
        {"too few turns": _slow("0x120", "0+0.4x120")},
    ),
    Case(
        RESPONSE, _burn("response_time", "1d", "ticket"),
        _slow("0+8x60 490+10x160", "0+10x220"), "10m", "15m", "3h",
        {"too few turns": _slow("0x220", "0+0.2x220")},
    ),
    Case(
        RESPONSE, _burn("response_time", "3d", "ticket"),
        _slow("0+9x60 550+10x360", "0+10x420"), "10m", "30m", "7h",
        {"too few turns": _slow("0x420", "0+0.1x420")},
    ),
    # A hundred turns a minute, of which 300 are enough
    Case(
        ERRORS, _burn("errors", "1h", "page"),
        _failing("0+80x60 4900+100x60", "0+20x60 1200x60"), "3m", "2m", "1h5m",
        {
            "too few turns": _failing("0x120", "0+4x120"),
            "failing, but within the objective": _failing("0+9.95x120", "0+0.05x120"),
            "only for a moment": _failing("0+10x120", "0x100 10+10x9 100x20"),
        },
    ),
    Case(
        ERRORS, _burn("errors", "6h", "page"),
        _failing("0+90x60 5500+100x60", "0+10x60 600x60"), "5m", "5m", "1h30m",
        {"too few turns": _failing("0x120", "0+2x120")},
    ),
    Case(
        ERRORS, _burn("errors", "1d", "ticket"),
        _failing("0+95x60 5800+100x160", "0+5x60 300x160"), "5m", "15m", "3h",
        {"too few turns": _failing("0x220", "0+1x220")},
    ),
    Case(
        ERRORS, _burn("errors", "3d", "ticket"),
        _failing("0+98x60 5980+100x660", "0+2x60 120x660"), "5m", "30m", "12h",
        {
            "too few turns": _failing("0x420", "0+0.5x420"),
            "one failure in 72 turns": _failing("0+0.17x420", "0x200 1x220"),
        },
        until="7h",
    ),
    Case(
        ERRORS, _burn("errors", "3d", "ticket"),
        _failing("0+98x60 5980+100x660", "0+2x60 120x660"), "5m", "30m", "12h",
        {
            "the failures before a quiet day, and one turn since": _failing(
                course((4, 100), (0, 1700)), course((2, 100), (0, 1600), (1, 1), (0, 99)),
            ),
        },
        until="1d6h", lately="2h",
    ),
)  # fmt: skip


def _processes(first: str, others: str, others_failed: str = "0x120") -> Series:
    """Turns of five processes, of which the first does not end one well."""
    status = "otel_chat_status"
    return {
        series(COUNT, **AGENT, service_instance_id="p0", **{status: "error"}): first,
        **{
            series(COUNT, **AGENT, service_instance_id=f"p{n}", **{status: ended}): values
            for n in range(1, 5)
            for ended, values in (("ok", others), ("error", others_failed))
        },
    }


TURNS: Final = (
    # A budget of days is not spent for an hour and a half
    Case(
        "ChatMostTurnsBad", {"severity": "page", **AGENT},
        {IN_TIME: "0+3x30 100+10x60", GOOD: "0+10x90"}, "1m", "5m", "40m",
        {
            "nine turns": {GOOD: "0+0.9x90"},
            "nearly half of them": {IN_TIME: "0+5.5x90", GOOD: "0+10x90"},
        },
        of="seven of ten turns take a minute",
    ),
    Case(
        "ChatMostTurnsBad", {"severity": "page", **AGENT},
        {CANCELLED: "0+10x30 300x60"}, "1m", "5m", "41m", {}, of="all turns are cancelled",
    ),
    Case(
        "ChatProcessFailing",
        {"severity": "ticket", **APPLICATION, "service_instance_id": "p0"},
        _processes("0+1x30 30x90", "0+1x120"), "10m", "10m", "52m",
        {
            "nine failures": _processes("0+0.29x120", "0+1x120"),
            "all fail alike": _processes("0+1x120", "0x120", "0+1x120"),
        },
    ),
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
        {AGE: "0x5 960+60x30 0x30"}, "6m", "6m", "40m",
        {
            # As many as there are, each ends in time
            "traffic that grows tenfold": {AGE: "30+0.3x90"},
            "the ghost of a killed process": {AGE: "960 1020 _x90"},
        },
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
COMES_AND_GOES: Final = ((0, 20), (10, 6)) * 6
VALUES: Final = (
    # For six of 26 minutes all is well; without `keep_firing_for` it would end and begin each time
    Value(
        "what comes and goes fires on, and is told once",
        {
            CANCELLED: course(*((10 - rate, minutes) for rate, minutes in COMES_AND_GOES)),
            GOOD: course(*COMES_AND_GOES),
            IN_TIME: course(*COMES_AND_GOES),
        },
        'count_over_time(ALERTS{alertname="ChatMostTurnsBad",alertstate="firing"}[1h])',
        "2h",
        {
            series(
                "", alertname="ChatMostTurnsBad", alertstate="firing", severity="page", **AGENT
            ): 60
        },
        "turns",
    ),
)  # fmt: skip
