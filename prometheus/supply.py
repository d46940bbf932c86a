"""Alerts on what chat costs, and on the models and tools that it stands on."""

from __future__ import annotations

from typing import Final

from otel_chat import semconv as sc
from prometheus.book import PAGE, TICKET, Alert, Book
from prometheus.conversations import OF_ANALYTICS, PLACE, of_window, settled
from prometheus.measures import (
    DOLLARS,
    SERVICE_NAME,
    SHARE,
    WHO,
    amount,
    recorded,
    share,
)
from prometheus.names import ENVIRONMENT, MODEL, Metric, counter, histogram, label, scraped

WHICH_MODEL: Final = f"{{{{ $labels.{MODEL} }}}}"
OF_BUDGET: Final = ("budget", "period", "agent", "tenant")
WHERE: Final = f'{{{{ or $labels.{ENVIRONMENT} "all" }}}}'
THROTTLED: Final = {
    "rate_?limit": "OpenAI, Anthropic, Groq: RateLimitError; Azure: RateLimitReached",
    "too_?many_?requests": "Cohere: TooManyRequestsError; Google: TooManyRequests",
    "throttl": "AWS: ThrottlingException",
    "resource_?exhausted": "Google: ResourceExhausted, RESOURCE_EXHAUSTED",
    "quota": "AWS: ServiceQuotaExceededException; OpenAI: insufficient_quota",
    "overload": "Anthropic: OverloadedError, overloaded_error; OpenAI: engine_overloaded",
    "(tier_?|over_?)capacity": "Mistral: service_tier_capacity_exceeded; Groq: over_capacity",
    "slow_?down": "OpenAI: slow_down",
    "(^|[^0-9])(429|529)($|[^0-9])": "the status itself; 529 is Anthropic's overload",
}
"""How providers' clients say that there were too many calls, in any case, and who does."""
ERRORS: Final = f"(?i:.*({'|'.join(THROTTLED)}).*)"


def add_costs(book: Book) -> None:
    """Adds the alerts on cost per conversation and on budgets."""
    settings = book.settings
    book.alert(
        "cost",
        Alert(
            "ChatConversationCostHigh",
            TICKET,
            f"{of_window('otel_chat_cost_usd', '24h')} / {settled('24h')}"
            f" > {settings.conversation_usd:g}\n"
            f"and {settled('24h')} >= {settings.conversations}",
            "1h",
            f"{PLACE}: a conversation costs {DOLLARS}",
            f"More than {settings.conversation_usd:g} USD, the mean of 24 hours.",
            "cost",
            dict(OF_ANALYTICS),
        ),
    )
    day = _spent(book, "1d")
    book.alert(
        "cost",
        Alert(
            "ChatDailyBudgetSpent",
            PAGE,
            f"{day} > {settings.daily_usd:g}",
            "5m",
            f"Environment {WHERE}: {DOLLARS} in 24 hours, over the budget",
            f"The budget of a day is {settings.daily_usd:g} USD.",
            "cost",
        ),
    )
    book.alert(
        "cost",
        Alert(
            "ChatDailyBudgetForecast",
            TICKET,
            f"{_forecast(book)} > {settings.daily_usd:g}\nand {day} <= {settings.daily_usd:g}",
            "30m",
            f"Environment {WHERE}: on the way to {DOLLARS} a day, over the budget",
            "The last 24 hours, and once more what the last 6 of them cost above the same hours"
            f" yesterday. The budget of a day is {settings.daily_usd:g} USD.",
            "cost",
        ),
    )


def add_budgets(book: Book) -> None:
    """Adds the alert on the budgets that the analytics server was given."""
    spent, limit = (
        f"max by ({', '.join(OF_BUDGET)}) ({_of_budget(name)})"
        for name in ("otel_chat_budget_spent_usd", "otel_chat_budget_usd")
    )
    whose = (
        "{{ with $labels.agent }} of agent {{ . }}{{ end }}"
        "{{ with $labels.tenant }} of tenant {{ . }}{{ end }}"
    )
    book.alert(
        "cost",
        Alert(
            "ChatBudgetSpent",
            TICKET,
            f"{spent}\n/ {limit}\n>= {book.settings.budget_share:g}",
            "5m",
            f"Budget {{{{ $labels.budget }}}}{whose}: {SHARE} of this {{{{ $labels.period }}}}'s"
            " money is spent",
            "Calendar days and months, in UTC. The page Costs of the analytics server shows all"
            " budgets.",
            "cost",
            dict(OF_ANALYTICS),
        ),
    )


def _of_budget(name: str) -> Metric:
    metric = scraped(name)
    metric.require(OF_BUDGET)
    return metric


def _spent(book: Book, window: str) -> str:
    cost = histogram(sc.METRIC_TURN_COST, "sum")
    return amount(book, "otel_chat_cost_usd", window, cost, "environment")


def _forecast(book: Book) -> str:
    """What a day will cost if the hours to come grow like the last ones; nothing is multiplied."""
    day, hours = _spent(book, "1d"), _spent(book, "6h")
    yesterday = f"{hours} offset {book.time('1d')}"
    # Of the first day and a half the hours of yesterday are not whole
    known = f"{hours} offset {book.time('30h')}"
    expr = f"{day} + clamp_min({hours} - ({yesterday} and {known}), 0)"
    return recorded(book, "otel_chat_cost_usd", "1d", expr, "forecast", "environment")


def add_models(book: Book) -> None:
    """Adds the alerts on tokens, prices and throttling."""
    settings = book.settings
    _add_tokens(book)
    unpriced = amount(
        book, "otel_chat_turn_unpriced", "6h", counter(sc.METRIC_TURN_UNPRICED), "model"
    )
    book.alert(
        "models",
        Alert(
            "ChatModelUnpriced",
            TICKET,
            f"{unpriced} >= {settings.unpriced_turns}",
            "5m",
            f"{WHO}: {{{{ $value }}}} turns with {WHICH_MODEL} have no price",
            "Seen over 6 hours. Nobody knows what this model costs: the figures are too low.",
            "cost",
        ),
    )
    calls = histogram(sc.METRIC_INFERENCE_DURATION, "count")
    refused = calls.where(label(sc.ERROR_TYPE), ERRORS, "=~")
    name = "gen_ai_client_throttled"
    ratio = share(book, name, "10m", refused, ("gen_ai_client_calls", calls), level="provider")
    number = amount(book, name, "10m", refused, "provider")
    book.alert(
        "models",
        Alert(
            "ChatProviderThrottling",
            TICKET,
            f"{ratio} > {settings.throttled:g}\nand {number} >= {settings.throttled_least}",
            "5m",
            f"{SERVICE_NAME}: {{{{ $labels.{label(sc.PROVIDER_NAME)} }}}} refuses {SHARE} of calls"
            f" to {WHICH_MODEL}",
            "The provider's rate limit or quota is reached, or it is overloaded; turns wait for"
            " retries or fail.",
            "cost",
        ),
    )


def _add_tokens(book: Book) -> None:
    settings, before = book.settings, book.time("30m")
    now, usual = (_tokens_per_turn(book, window) for window in ("30m", "1d"))
    many = _tokens(book, "30m", "count")
    book.alert(
        "models",
        Alert(
            "ChatTokenSurge",
            TICKET,
            f"{now} > {settings.token_growth:g} * {usual} offset {before}\n"
            f"and {many} >= {settings.minimum_turns}",
            "10m",
            f"{WHO}: {{{{ $value | humanize }}}} {{{{ $labels.{label(sc.TOKEN_TYPE)} }}}} tokens a"
            f" turn with {WHICH_MODEL}",
            f"More than {settings.token_growth:g} times those of the day before: a prompt has"
            " grown, or histories are sent whole.",
            "cost",
        ),
    )


def _tokens_per_turn(book: Book, window: str) -> str:
    expr = f"{_tokens(book, window, 'sum')} / ({_tokens(book, window, 'count')} > 0)"
    return recorded(book, "otel_chat_turn_tokens", window, expr, "mean", "tokens")


def _tokens(book: Book, window: str, part: str) -> str:
    tokens = histogram(sc.METRIC_TURN_TOKENS, part)
    return amount(book, f"otel_chat_turn_tokens_{part}", window, tokens, "tokens")


def add_tools(book: Book) -> None:
    """Adds the alert on tools that fail."""
    settings = book.settings
    calls = histogram(sc.METRIC_EXECUTE_TOOL_DURATION, "count")
    failed = calls.where(label(sc.ERROR_TYPE), "", "!=")
    name = "gen_ai_execute_tool_failed"
    ratio = share(book, name, "1h", failed, ("gen_ai_execute_tool", calls), level="tool")
    number = amount(book, name, "1h", failed, "tool")
    book.alert(
        "models",
        Alert(
            "ChatToolErrors",
            TICKET,
            f"{ratio} > {settings.tool_errors:g}\nand {number} >= {settings.tool_least}",
            "10m",
            f"{SERVICE_NAME}: {SHARE} of calls of {{{{ $labels.{label(sc.TOOL_NAME)} }}}} fail",
            "Turns that need this tool answer without it, or fail.",
            "response-time",
        ),
    )
