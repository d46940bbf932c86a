"""Cases of the alerts on cost, models and tools."""

from __future__ import annotations

from typing import Final

from prometheus.cases.conversations import OF_ANALYTICS, OF_DAY, PLACE, SETTLED
from prometheus.cases.model import (
    AGENT,
    APPLICATION,
    Case,
    Series,
    course,
    of_agent,
    of_application,
    series,
)

TICKET: Final = {"severity": "ticket"}
ENVIRONMENT: Final = {"deployment_environment_name": "live"}
MODEL: Final = {"gen_ai_request_model": "small"}
COST: Final = of_agent("otel_chat_turn_cost_sum", **MODEL)
DAY_COST: Final = series("otel_chat_cost_usd", **OF_DAY)
BUDGET: Final = {"budget": "support", "period": "day", "agent": "support"}
LIMIT: Final = series("otel_chat_budget_usd", job="otel-chat-server", tenant="", **BUDGET)
SPENT: Final = series("otel_chat_budget_spent_usd", job="otel-chat-server", tenant="", **BUDGET)
INPUT: Final = {**MODEL, "gen_ai_token_type": "input"}
UNPRICED: Final = of_agent("otel_chat_turn_unpriced_total", **MODEL)
CALLS: Final = "gen_ai_client_inference_duration_seconds_count"
FORMER_CALLS: Final = "gen_ai_client_operation_duration_seconds_count"
PROVIDER: Final = {"gen_ai_provider_name": "openai", **MODEL}
TOOL: Final = {"gen_ai_tool_name": "find_order"}
TOOLS: Final = "gen_ai_execute_tool_duration_seconds_count"


def _tokens(total: str, count: str) -> Series:
    return {
        of_agent("otel_chat_turn_tokens_sum", **INPUT): total,
        of_agent("otel_chat_turn_tokens_count", **INPUT): count,
    }


def _calls(
    good: str, refused: str, error: str = "RateLimitError", names: tuple[str, ...] = (CALLS,)
) -> Series:
    return {
        of_application(name, **PROVIDER, **labels): told
        for name in names
        for labels, told in (({}, good), ({"error_type": error}, refused))
    }


def _tools(good: str, failed: str) -> Series:
    return {
        of_application(TOOLS, **TOOL): good,
        of_application(TOOLS, **TOOL, error_type="TimeoutError"): failed,
    }


CASES: Final = (
    Case(
        "ChatConversationCostHigh", {**TICKET, **PLACE, **OF_ANALYTICS},
        {DAY_COST: "20x10 80x120 20x60", SETTLED: "100x200"}, "11m", "1h", "2h20m",
        {"too few conversations": {DAY_COST: "900x140", SETTLED: "49x140"}},
    ),
    Case(
        "ChatDailyBudgetSpent", {"severity": "page", **ENVIRONMENT},
        # One dollar a minute for two hours
        {COST: "0+1x120 120x1500"}, "1h45m", "5m", "1d1h",
        {"within the budget": {COST: "0+0.0625x1500"}}, step="5m",
    ),
    Case(
        "ChatDailyBudgetForecast", {**TICKET, **ENVIRONMENT},
        # 43 dollars a day for two days, then five times that for six hours
        {COST: course((0.03, 2880), (0.15, 360), (0.03, 900))}, "2d4h", "30m", "2d13h",
        {
            "within the budget": {COST: "0+0.0625x3800"},
            "spent already": {COST: "0 101x900"},
            "each day has these hours": {COST: course(*((0, 720), (0.1, 720)) * 3)},
            "a day after an outage": {
                COST: course((0.0417, 2160), (0, 360), (0.0417, 360), (0.0417, 900)),
            },
            "the second night of a new installation": {
                COST: course((0.125, 480), (0, 960), (0.125, 480), (0, 960), (0.125, 480)),
            },
        },
        step="5m",
    ),
    Case(
        "ChatBudgetSpent", {**TICKET, **BUDGET, **OF_ANALYTICS},
        # 20 dollars of a day, of which each hour spends six; a new day begins after five hours
        {LIMIT: "20x480", SPENT: "0+0.1x299 0x180"}, "3h20m", "5m", "5h5m",
        {"within the budget": {LIMIT: "20x480", SPENT: "19.9x480"}},
    ),
    Case(
        "ChatTokenSurge", {**TICKET, **AGENT, **INPUT},
        # From 100 a turn to 300 a turn after an hour, for an hour
        _tokens("0+1000x60 63000+3000x59 241000+1000x120", "0+10x240"), "1h16m", "10m", "2h40m",
        {
            "too few turns": _tokens("0+90x60 5400+270x180", "0+0.9x240"),
            "more turns of the same kind": _tokens(
                "0+1000x60 66000+6000x180", "0+10x60 660+60x180"
            ),
        },
    ),
    Case(
        "ChatModelUnpriced", {"severity": "ticket", **AGENT, **MODEL},
        {UNPRICED: course((0.0667, 180), (0, 500))}, "1h20m", "5m", "8h20m",
        {"four turns": {UNPRICED: "0+1x4 4x600"}}, of="four turns an hour, for three hours",
    ),
    Case(
        "ChatProviderThrottling", {**TICKET, **APPLICATION, **PROVIDER},
        _calls("0+18x20 380+20x40", "0+2x20 40x40"), "3m", "5m", "35m",
        {
            "four calls refused": _calls("0x60", "0+1x4 4x60"),
            "four calls, each told by both names": _calls(
                "0x60", "0+1x4 4x60", names=(CALLS, FORMER_CALLS)
            ),
            "other errors": {
                of_application(CALLS, **PROVIDER): "0+10x60",
                of_application(CALLS, **PROVIDER, error_type="BadRequestError"): "0+10x60",
            },
        },
    ),
    *(
        Case(
            "ChatProviderThrottling", {**TICKET, **APPLICATION, **PROVIDER},
            _calls("0+18x20 380+20x40", "0+2x20 40x40", error), "3m", "5m", "35m", {},
            of=error,
        )
        for error in ("overloaded_error", "THROTTLINGEXCEPTION", "529")
    ),
    *(
        Case(
            "ChatProviderThrottling", {**TICKET, **APPLICATION, **PROVIDER},
            _calls("0+18x20 380+20x40", "0+2x20 40x40", names=names), "3m", "5m", "35m", {},
        )
        for names in ((FORMER_CALLS,), (CALLS, FORMER_CALLS))
    ),
    Case(
        "ChatToolErrors", {**TICKET, **APPLICATION, **TOOL},
        _tools("0+8x30 250+10x120", "0+2x30 60x120"), "3m", "10m", "1h35m",
        {"four failures": _tools("0+0.1x120", "0+1x4 4x120")},
    ),
    Case(
        "ChatToolErrors", {**TICKET, **APPLICATION, **TOOL},
        _tools("0x60 0+1x120", "0+0.8334x59 50x120"), "6m", "10m", "2h5m", {},
        of="each of 50 calls an hour fails",
    ),
)  # fmt: skip
