"""The cheapest model that is not worse than today's, or what is missing to tell."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import Field

from otel_chat._common.moments import nanoseconds
from otel_chat.errors import QueryError
from otel_chat.server.figures.answers import Answer, TimeSpan
from otel_chat.server.figures.conversation_rows import Selection, conversation_rows
from otel_chat.server.figures.figures import turns_source
from otel_chat.server.figures.registry import figure, query
from otel_chat.server.figures.sql import Query, moment, nanos, ratio
from otel_chat.server.rules import POSITIVE, RESPONSE_TIME

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from otel_chat.server.access import Scope
    from otel_chat.server.figures.filters import Filters
    from otel_chat.server.figures.noninferiority import Common, Group, Judged
    from otel_chat.server.figures.window import Window
    from otel_chat.server.store import Store

Criterion = Literal["resolution", "satisfaction", "p95"]
Advice = Literal["take", "not worse", "worse", "not enough data", "not cheaper"]
READ: Final = 20_000
"""So many conversations are compared at most, the newest."""
AGENTS: Final = 10
COVERED: Final = 0.9
"""The share of today's conversations whose intents a model must have been seen with."""
CHANCE: Final = 0.05
"""How often a model is called not worse, at most, that is worse by just the margin."""
DEALT: Final = 0.95
_MONTH: Final = timedelta(days=30)
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Margins:
    """By how much another model may be worse.

    Args:
        resolution: Resolved ÷ settled conversations, as a difference, above 0, at most 0.5.
        satisfaction: Top-box ratings ÷ ratings, likewise.
        p95: The 95th percentile of response times, as a share of today's, above 0, at most 5.

    Raises:
        QueryError: If one is out of range.
    """

    resolution: float = 0.03
    satisfaction: float = 0.05
    p95: float = 0.2

    def __post_init__(self) -> None:
        for name, most in (("resolution", 0.5), ("satisfaction", 0.5), ("p95", 5)):
            if not 0 < getattr(self, name) <= most:
                message = f"A margin of {name} lies above 0 and is at most {most}."
                raise QueryError(message, field=f"{name}_margin")


class Compared(Answer):
    """A criterion of a model against today's."""

    criterion: Criterion
    today: float | None = Field(description="Of today's model, over the intents both were seen in.")
    model: float | None = Field(description="Of the other, each intent weighted as today's are.")
    difference: float | None = Field(description="Of p95 as a share of today's.")
    worst: float | None = Field(description="The worst it may be, one-sided, at 95 %.")
    margin: float
    verdict: Literal["not worse", "worse", "unclear", "not measured"]


class Candidate(Answer):
    """Another model."""

    model: str
    conversations: int = Field(description="Settled ones that it answered alone.")
    advice: Advice
    covered: float | None = Field(description="Share of today's conversations with intents it saw.")
    criteria: list[Compared]
    cost: float | None = Field(description="Model cost of a conversation, of the same intents.")
    saving: float | None = figure(
        "model_saving",
        "USD",
        "What the conversations of today's model, in 30 days, would cost less at another: the"
        " difference of the mean costs of a conversation × conversations of 30 days.",
    )
    saving_low: float | None = Field(description="The ends of its interval, at 95 %.")
    saving_high: float | None
    more: int = Field(
        description="About so many more conversations would tell; 0 where no number is known to."
    )
    said: str = Field(description="The same in words.")


class AgentAdvice(Answer):
    """What there is to say of the models of an agent."""

    agent: str
    today: str = Field(description="The model of the most conversations.")
    conversations: int = Field(description="Settled ones that it answered alone.")
    cost: float | None = Field(description="Its cost of a conversation, US dollars.")
    take: str | None = Field(description="The cheapest model that is not worse; null for none.")
    randomised: bool = Field(description="Whether an experiment's variants dealt the models.")
    mixed: int = Field(description="Conversations of several models, which tell of none.")
    candidates: list[Candidate] = Field(description="The cheapest first.")
    said: str = Field(description="The same in words.")


class ModelAdvice(Answer):
    """The cheapest model of each agent that is not worse than today's."""

    window: TimeSpan
    read: int = Field(description=f"Settled conversations that were compared, at most {READ}.")
    items: list[AgentAdvice]


_NAMES: Final = (
    "agent", "variant", "models", "turn_intent", "settled", "outcome", "feedback", "cost",
    "unpriced_turns", "started_at",
)  # fmt: skip


def _rows(statement: Query, window: Window, filters: Filters) -> list[dict[str, Any]]:
    """What is compared of each settled conversation, the newest."""
    rows = conversation_rows(statement, Selection(window, filters), *_NAMES)
    scale = "value, scale_min, scale_max, score"
    columns = ", ".join(f"s.feedback.{name}" for name in scale.split(", "))
    return statement.run(f"""
        SELECT tenant, conversation_id, toString(agent) AS agent, toString(variant) AS variant,
            if(length(models) = 1, models[1], '') AS model, length(models) AS many,
            arrayFirst(x -> x != '', turn_intent) AS intent, outcome = 'resolved' AS resolved,
            arrayCount(({scale}) -> {POSITIVE}, {columns}) AS top, length(s.feedback) AS ratings,
            if(unpriced_turns = 0, toFloat64(cost), NULL) AS usd, {nanos("started_at")} AS began
        FROM {rows} AS s
        WHERE settled AND length(models) > 0
        ORDER BY started_at DESC, tenant, conversation_id
        LIMIT {READ}
    """)  # noqa: S608


def _seconds(
    statement: Query, window: Window, filters: Filters
) -> dict[tuple[str, str], list[float]]:
    columns = ("tenant", "conversation_id", f"{RESPONSE_TIME} AS seconds")
    rows = statement.run(f"""
        SELECT toString(tenant) AS tenant, conversation_id, groupArray(assumeNotNull(seconds)) AS s
        FROM {turns_source(statement, window, filters, columns)} AS t
        WHERE isNotNull(seconds)
        GROUP BY tenant, conversation_id
    """)  # noqa: S608
    return {(row["tenant"], row["conversation_id"]): row["s"] for row in rows}


@query()
def model_advice(
    store: Store,
    scope: Scope,
    window: Window,
    filters: Filters,
    margins: Margins | None = None,
) -> ModelAdvice:
    """The cheapest model of each agent that is not worse than today's by more than a margin.

    Args:
        store: The store to ask.
        scope: What the caller may see.
        window: The conversations to compare: those that started in it and are settled.
        filters: What they are limited to.
        margins: By how much a model may be worse.
    """
    times = store.submit(_seconds, Query(store, scope), window, filters)
    rows = _rows(Query(store, scope), window, filters)
    seconds = times.result()
    for row in rows:
        row["seconds"] = seconds.get((row["tenant"], row["conversation_id"]), [])
    by_agent: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by_agent.setdefault(row["agent"], []).append(row)
    ranked = sorted(by_agent, key=lambda name: (-len(by_agent[name]), name))[:AGENTS]
    # From the first conversation on: before it nothing was to be saved, or nothing was read.
    first = moment(min((row["began"] for row in rows), default=nanoseconds(window.start)))
    months = _MONTH / max(min(window.end, window.now) - first, _DAY)
    limits = margins or Margins()
    items = [_agent(name, by_agent[name], limits, months) for name in ranked]
    return ModelAdvice(
        window=TimeSpan.of(window),
        read=len(rows),
        items=[one for one in items if one is not None],
    )


def group_of(rows: Sequence[Mapping[str, Any]]) -> Group:
    """Conversations as they are compared.

    Args:
        rows: Of each: intent, resolved, top, ratings, usd (None where unknown), seconds.
    """
    import numpy as np

    from otel_chat.server.figures.noninferiority import Group

    def of(name: str) -> Any:
        return np.array([row[name] or 0 for row in rows], dtype=float)

    ones = np.ones(len(rows))
    priced = np.array([row["usd"] is not None for row in rows], dtype=float)
    lengths = [len(row["seconds"]) for row in rows]
    every = [one for row in rows for one in row["seconds"]]
    return Group(
        np.array([row["intent"] for row in rows], dtype=str),
        {
            "resolution": (of("resolved"), ones),
            "satisfaction": (of("top"), of("ratings")),
            "cost": (of("usd") * priced, priced),
        },
        np.array(every, dtype=float),
        np.repeat(np.arange(len(rows)), lengths),
    )


def _agent(
    name: str, rows: Sequence[Mapping[str, Any]], margins: Margins, months: float
) -> AgentAdvice | None:
    by_model: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        if row["model"]:
            by_model.setdefault(row["model"], []).append(row)
    if not by_model:
        return None
    today = max(by_model, key=lambda one: (len(by_model[one]), one))
    own = by_model.pop(today)
    names = sorted(by_model)
    judged = advised(
        group_of(own), {one: group_of(by_model[one]) for one in names}, margins, months
    )
    take = next((one.model for one in judged if one.advice == "take"), None)
    others = [row for one in names if take in (None, one) for row in by_model[one]]
    randomised = _dealt(own, others)
    return AgentAdvice(
        agent=name,
        today=today,
        conversations=len(own),
        cost=ratio(sum(row["usd"] or 0 for row in own), sum(row["usd"] is not None for row in own)),
        take=take,
        randomised=randomised,
        mixed=sum(row["many"] > 1 for row in rows),
        candidates=judged,
        said=_said(name, today, judged, randomised=randomised),
    )


def _dealt(own: Sequence[Mapping[str, Any]], others: Sequence[Mapping[str, Any]]) -> bool:
    """Whether each side is of variants of its own, which an experiment dealt."""
    mine = {row["variant"] for row in own if row["variant"]}
    theirs = {row["variant"] for row in others if row["variant"]}
    if not mine or not theirs or mine & theirs:
        return False
    return all(
        sum(row["variant"] != "" for row in side) >= DEALT * len(side) for side in (own, others)
    )


def advised(
    today: Group, others: Mapping[str, Group], margins: Margins, months: float = 1.0
) -> list[Candidate]:
    """What there is to say of each other model, the cheapest first.

    Args:
        today: The conversations of today's model.
        others: Those of each other.
        margins: By how much a model may be worse.
        months: How many times the time of today's conversations goes into 30 days.
    """
    from otel_chat.server.figures import noninferiority

    chance = noninferiority.chances(list(others), CHANCE)
    found = [
        _candidate(name, today, other, margins, months, chance) for name, other in others.items()
    ]
    found.sort(key=lambda one: (one.cost is None, one.cost or 0.0, one.model))
    for place, one in enumerate(found):
        if one.advice == "not worse":
            found[place] = one.model_copy(update={"advice": "take"})
            break
    return found


def _candidate(
    name: str, today: Group, other: Group, margins: Margins, months: float, chance: float
) -> Candidate:
    from scipy.special import ndtri

    from otel_chat.server.figures import noninferiority as means

    both = means.common(today, other)
    judged = _criteria(both, margins, chance)
    costs = [
        means.ratio(*group.ratios["cost"], weights, group.intents)
        for group, weights in _sides(both)
    ]
    saving = half = None
    if costs[0].value is not None and costs[1].value is not None:
        month = len(today) * months
        saving = (costs[0].value - costs[1].value) * month
        # Cheaper by chance alone is advice as wrong as worse by chance alone.
        half = (
            float(ndtri(1 - chance / 2))
            * (costs[0].error ** 2 + costs[1].error ** 2) ** 0.5
            * month
        )
    advice = _advice(both, judged, saving, half)
    more = max((one.more for one in judged.values()), default=0)
    if advice == "not enough data" and both.covered < COVERED:
        more = max(more, means.PER_INTENT)
    return Candidate(
        model=name,
        conversations=len(other),
        advice=advice,
        covered=both.covered,
        criteria=[_told(one, found, getattr(margins, one)) for one, found in judged.items()],
        cost=costs[1].value,
        saving=saving,
        saving_low=None if saving is None or half is None else saving - half,
        saving_high=None if saving is None or half is None else saving + half,
        more=more if advice == "not enough data" else 0,
        said=_in_words(name, advice, both, judged, saving, half, more),
    )


def _sides(both: Common) -> list[tuple[Group, Any]]:
    import numpy as np

    return [(both.first, np.ones(len(both.first))), (both.second, both.weights)]


def _criteria(both: Common, margins: Margins, chance: float) -> dict[Criterion, Judged]:
    import math

    from otel_chat.server.figures import noninferiority as means

    sides = _sides(both)
    found: dict[Criterion, Judged] = {}
    for name, margin in (
        ("resolution", margins.resolution), ("satisfaction", margins.satisfaction)
    ):  # fmt: skip
        own, other = (
            means.ratio(*group.ratios[name], weights, group.intents, share=True)
            for group, weights in sides
        )
        found[name] = means.judged(own, other, margin, chance)  # type: ignore[index]
    own, other = (means.log_quantile(group, weights) for group, weights in sides)
    found["p95"] = means.judged(own, other, math.log1p(margins.p95), chance, lower=True)
    return found


def _advice(
    both: Common, judged: Mapping[Criterion, Judged], saving: float | None, half: float | None
) -> Advice:
    verdicts = [one.verdict for one in judged.values()]
    if "worse" in verdicts:
        return "worse"
    if saving is not None and half is not None and saving + half <= 0:
        return "not cheaper"
    enough = both.covered >= COVERED and "unclear" not in verdicts
    if not enough or judged["resolution"].verdict == "not measured" or saving is None:
        return "not enough data"
    return "not worse" if half is not None and saving - half > 0 else "not cheaper"


def _told(name: Criterion, one: Judged, margin: float) -> Compared:
    import math

    def plain(value: float | None) -> float | None:
        return value if value is None or name != "p95" else math.exp(value)

    def relative(value: float | None) -> float | None:
        return value if value is None or name != "p95" else math.expm1(value)

    return Compared(
        criterion=name,
        today=plain(one.first.value),
        model=plain(one.second.value),
        difference=relative(one.difference),
        worst=relative(one.worst),
        margin=margin,
        verdict=one.verdict,
    )


_WORDS: Final[Mapping[str, str]] = {
    "resolution": "resolution", "satisfaction": "CSAT", "p95": "the 95th percentile",
}  # fmt: skip


def _in_words(
    name: str,
    advice: Advice,
    both: Common,
    judged: Mapping[Criterion, Judged],
    saving: float | None,
    half: float | None,
    more: int,
) -> str:
    if advice == "worse":
        worse = [_WORDS[one] for one, found in judged.items() if found.verdict == "worse"]
        return f"{name} is worse by more than the margin: {' and '.join(worse)}."
    if advice == "not cheaper":
        return f"{name} is not clearly cheaper."
    if advice == "not enough data":
        if not more:
            return f"{name} is too near to the margin to tell."
        text = f"not enough data: about {more:,} more conversations on model {name}"
        if both.covered < COVERED:
            seen = f"{100 * both.covered:.0f} %"
            text += f", with intents that it has not answered yet ({seen} of today's are covered)"
        return f"{text[0].upper()}{text[1:]}."
    unmeasured = [_WORDS[one] for one, found in judged.items() if found.verdict == "not measured"]
    note = f" Nothing tells of {' and '.join(unmeasured)}." if unmeasured else ""
    low, high = (saving or 0) - (half or 0), (saving or 0) + (half or 0)
    return (
        f"{name} is not worse by more than the margins, and saves ${saving or 0:,.2f} a month"
        f" (${low:,.2f} to ${high:,.2f}).{note}"
    )


def _said(agent: str, today: str, judged: Sequence[Candidate], *, randomised: bool) -> str:
    where = f"For {agent}" if agent else "Without an agent"
    dealt = (
        "The models were dealt by an experiment's variants."
        if randomised
        else "Traffic was not randomised: whoever chose the model may have chosen easier"
        " conversations for one, and only the first intent is accounted for."
    )
    if not judged:
        return f"{where} every conversation was with {today}: there is nothing to compare."
    take = next((one for one in judged if one.advice == "take"), None)
    said = take.said if take else f"nothing better than {today} is shown."
    return f"{where}: {said} {dealt}"
