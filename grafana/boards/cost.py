"""4 Models, tokens and cost."""

from __future__ import annotations

from grafana.board import Board
from grafana.boards.common import (
    ANY,
    DEAREST,
    GOALS,
    IN_TABLE,
    LIST,
    SLOW,
    STARTED,
    answered,
    each,
    of_label,
    or_zero,
)
from grafana.panels import (
    BARS,
    FAULTS,
    GREEN,
    QUIET,
    RED,
    UNKNOWN_BUDGET,
    About,
    Column,
    Link,
    Look,
    Query,
    bad_from,
    course,
    figure,
    sheet,
)
from grafana.promql import RANGE, RATE, STEP, Scope, grown, latest, quantile, ratio, total
from otel_chat import semconv as sc
from prometheus.names import AGENT, ENVIRONMENT, MODEL, label

TYPE, ERROR = label(sc.TOKEN_TYPE), label(sc.ERROR_TYPE)
OF_MODEL = Link(
    "Conversations with this model",
    f"{LIST}&model={of_label(MODEL)}",
)
OF_MODELS_ROW = Link("Conversations with this model", f"{LIST}&model={IN_TABLE}")


def board() -> Board:
    """What models do and cost."""
    found = Board(
        "cost",
        "otel-chat / 4 Models, tokens and cost",
        "What chat costs, which models and how many tokens it takes, and how models respond.",
        ("environment", "agent", "channel", "model", "window"),
    )
    _figures(found)
    _amounts(found)
    _budgets(found)
    _per_turn(found)
    _models(found)
    _calls(found)
    return found


def _figures(found: Board) -> None:
    scope = found.scope
    cost, priced = scope.sum(sc.METRIC_TURN_COST), scope.count(sc.METRIC_TURN_COST)
    tokens = scope.sum(sc.METRIC_TURN_TOKENS)
    calls = scope.count(sc.METRIC_INFERENCE_DURATION)
    failed = calls.where(ERROR, "", "!=")
    budget = bad_from(GOALS.daily_usd * 0.8, GOALS.daily_usd)
    found.row(
        figure(
            About(
                "Cost, last 24 hours",
                "Cost of the priced turns of the last 24 hours, whatever time is chosen. The"
                f" budget is {GOALS.daily_usd:g} USD a day.",
                "currencyUSD", budget, 2,
            ),
            grown(cost, "24h"), change=True,
        ),
        figure(
            About(
                "Daily cost at this pace",
                "What a day would cost that went on like the last hour.",
                "currencyUSD", budget, 2,
            ),
            f"24 * {grown(cost, '1h')}",
        ),
        figure(
            About("Cost", "Cost of the priced turns of the chosen time.", "currencyUSD",
                  decimals=2),
            grown(cost, RANGE), links=[DEAREST], change=True,
        ),
        figure(
            About("Cost of 1,000 turns", "Mean cost of 1,000 priced turns of the chosen time.",
                  "currencyUSD", decimals=3),
            f"1000 * {ratio(grown(cost, RANGE), grown(priced, RANGE))}", change=True,
        ),
        figure(
            About("Tokens", "Input and output tokens of the turns of the chosen time.", "short"),
            grown(tokens, RANGE), change=True,
        ),
        figure(
            About("Failed model calls", "Calls of models that ended with an error, of all calls"
                  " of the chosen time; of every agent and channel.",
                  "percentunit", bad_from(0.01, GOALS.throttled), 2),
            ratio(grown(failed, RANGE), grown(calls, RANGE)), change=True,
        ),
    )  # fmt: skip


def _amounts(found: Board) -> None:
    scope = found.scope
    found.row(
        course(
            About("Cost by model", "Cost of priced turns per interval, by model.", "currencyUSD"),
            Query(grown(scope.sum(sc.METRIC_TURN_COST), STEP, [MODEL]), each(MODEL)),
            look=BARS, each=[OF_MODEL], width=8,
        ),
        course(
            About("Cost by agent", "Cost of priced turns per interval, by agent.", "currencyUSD"),
            Query(grown(scope.sum(sc.METRIC_TURN_COST), STEP, [AGENT]), each(AGENT)), look=BARS,
            each=[Link("Conversations of this agent", f"{LIST}&agent={of_label(AGENT)}")], width=8,
        ),
        course(
            About("Tokens by type", "Tokens of turns per interval: what models read (input) and"
                  " wrote (output).", "short"),
            Query(grown(scope.sum(sc.METRIC_TURN_TOKENS), STEP, [TYPE]), each(TYPE)),
            look=BARS, width=8,
        ),
    )  # fmt: skip


def _budgets(found: Board) -> None:
    scope = found.scope
    day = total(scope.recorded("environment:otel_chat_cost_usd:increase1d"), [ENVIRONMENT])
    # Of the first minutes of an installation there is no step of five minutes yet
    hour = grown(Scope(("environment",)).sum(sc.METRIC_TURN_COST), "1h", [ENVIRONMENT])
    of_agents = {
        name: scope.server(f"otel_chat_{name}") for name in ("cost_usd", "conversations_settled")
    }
    settled = of_agents["conversations_settled"]
    resolved = settled.where("outcome", "resolved")
    cost, many = total(of_agents["cost_usd"], ["agent"]), total(resolved, ["agent"])
    given, spent = (
        latest(scope.server(f"otel_chat_budget_{name}"), ["budget", "period"])
        for name in ("usd", "spent_usd")
    )
    found.row(
        course(
            About(
                "Cost of 24 hours, against the budget",
                "Cost of the 24 hours before each moment, by environment; of every agent, channel"
                f" and model. The dashed line is the budget of {GOALS.daily_usd:g} USD a day, from"
                " which an alert fires.",
                "currencyUSD", ((None, GREEN), (GOALS.daily_usd, RED)),
            ),
            Query(f"{day} or {hour}", f"24 hours {each(ENVIRONMENT)}"),
            look=Look(reach=GOALS.daily_usd), width=8,
        ),
        sheet(
            About(
                "Budgets",
                "Each budget that the analytics server was given, and what was spent of it since"
                f" the day or month began, in UTC. {UNKNOWN_BUDGET}",
                "currencyUSD", decimals=2,
            ),
            {"budget": "Budget", "period": "Period"},
            Column("Spent", f"{spent} / {given}", "percentunit", bad_from(0.8, 1), 0),
            Column("Spent, USD", spent, "currencyUSD", decimals=2),
            Column("Budget, USD", given, "currencyUSD", decimals=2),
            width=8,
        ),
        sheet(
            About(
                "Cost of a resolved conversation",
                "Cost of all priced turns of the window, for each conversation that started in it"
                " and was resolved, confirmed or assumed.",
                "currencyUSD", decimals=2,
            ),
            {"agent": "Agent"},
            Column("Each", f"{cost} / ({many} > 0)", "currencyUSD", decimals=4),
            Column("Cost", cost, "currencyUSD", decimals=2),
            Column("Resolved", many, "locale", decimals=0),
            each=[Link("Conversations of this agent, the dearest first",
                       f"{STARTED}&sort=-cost&first_agent={IN_TABLE}")],
            width=8,
        ),
    )  # fmt: skip


def _per_turn(found: Board) -> None:
    scope = found.scope
    cost = scope.buckets(sc.METRIC_TURN_COST)
    tokens = scope.buckets(sc.METRIC_TURN_TOKENS)
    calls = scope.buckets(sc.METRIC_INFERENCE_DURATION)
    found.row(
        course(
            About("Cost of a turn", "Half of the priced turns (p50) and 95 of 100 (p95) cost no"
                  " more. Points are single turns; each opens its conversation.", "currencyUSD"),
            Query(quantile(0.5, cost, RATE), "p50"),
            Query(quantile(0.95, cost, RATE), "p95", exemplars=True),
            width=8,
        ),
        course(
            About("Tokens of a turn, p95", "95 of 100 turns took no more tokens. Growing input"
                  " often means that whole histories are sent.", "short"),
            Query(quantile(0.95, tokens, RATE, [TYPE]), each(TYPE), exemplars=True),
            width=8,
        ),
        course(
            About("Model calls, p95", "95 of 100 calls of a model took no longer; of every agent"
                  " and channel.", "s"),
            Query(quantile(0.95, calls, RATE, [MODEL]), each(MODEL), exemplars=True),
            width=8,
        ),
    )  # fmt: skip


def _models(found: Board) -> None:
    scope = found.scope
    by = (MODEL,)
    turns = scope.count(sc.METRIC_TURN_DURATION).where(MODEL, "", "!=")
    times = answered(scope).where(MODEL, "", "!=")
    cost, priced = scope.sum(sc.METRIC_TURN_COST), scope.count(sc.METRIC_TURN_COST)
    tokens = scope.sum(sc.METRIC_TURN_TOKENS)
    found.row(
        sheet(
            About("Models", "Turns of the chosen time by the model that was asked for.", "short"),
            {MODEL: "Model"},
            Column("Turns", grown(turns, RANGE, by), "locale", decimals=0),
            Column("Response time, p95",
                   quantile(0.95, times, RANGE, by), "s", SLOW),
            Column("Input tokens", grown(tokens.where(TYPE, "input"), RANGE, by), "short"),
            Column("Output tokens", grown(tokens.where(TYPE, "output"), RANGE, by), "short"),
            Column("Cost", grown(cost, RANGE, by), "currencyUSD", decimals=2),
            Column("Cost of 1,000 turns",
                   f"1000 * {ratio(grown(cost, RANGE, by), grown(priced, RANGE, by))}",
                   "currencyUSD", decimals=2),
            each=[OF_MODELS_ROW], height=5,
        ),
    )  # fmt: skip


def _calls(found: Board) -> None:
    scope = found.scope
    calls = scope.count(sc.METRIC_INFERENCE_DURATION)
    unpriced = scope.count(sc.METRIC_TURN_UNPRICED)
    found.row(
        course(
            About("Errors of model calls", "Failed calls per interval, by what the client"
                  f" reported, refusals for the rate among them. {QUIET}", "locale", ANY, 0),
            Query(grown(calls.where(ERROR, "", "!="), STEP, [MODEL, ERROR]),
                  f"{each(MODEL)} {each(ERROR)}"),
            look=FAULTS, width=12, height=7,
        ),
        course(
            About("Unpriced turns", "Turns per interval whose cost nobody knows, because the"
                  " model has no price: costs are too low by them.", "locale", ANY, 0),
            Query(or_zero(grown(unpriced, STEP)), "unpriced turns"),
            look=FAULTS, width=12, height=7,
        ),
    )  # fmt: skip
