"""How often a day is told to be unlike those before, without a fault and with a planted one.

python benchmarks/day_changes.py --json
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from results import show

from otel_chat.server.figures.chance import Ratios, ratios_change
from otel_chat.server.figures.told import TOLD
from otel_chat.server.figures.usual import LEARNED, WEEK, Kind, beside
from otel_chat.server.questions.day_changes import MONTH, level_of

RUNS: Final = 200
DAYS: Final = 28
FIGURES: Final = len(TOLD) + 1
AGENTS: Final = (1, 5, 20)
SHAPE: Final = np.array([1.1, 1.15, 1.1, 1.05, 1.0, 0.5, 0.4])
SEASON: Final = np.array([0.1, 0.05, 0.0, 0.0, -0.05, -0.25, -0.3])
"""What a weekday adds to the logit of a share, or to the logarithm of a time."""
COLUMNS: Final = 1_000_000
"""Times are whole microseconds here."""


@dataclass(frozen=True, slots=True)
class Bot:
    """An agent without a fault.

    Args:
        a_day: Conversations a day.
        together: How far the days' logits scatter beyond the chance of their conversations.
        volume: By how much counts scatter from day to day, as a share.
        growth: By how much shares (their logit) and counts (their logarithm) grow a week.
        outages: On how many of the usual days next to nothing works.
    """

    a_day: int = 200
    together: float = 0.2
    volume: float = 0.1
    growth: float = 0.0
    outages: int = 0


BOTS: Final[dict[str, Bot]] = {
    "steady, 200 a day": Bot(),
    "days without anything in common": Bot(together=0.0, volume=0.05),
    "days that scatter widely": Bot(together=0.5, volume=0.25),
    "40 a day": Bot(a_day=40),
    "1,000 a day": Bot(a_day=1_000),
    "grows better and larger by 3 % a week": Bot(growth=0.03),
    "three days of outage before": Bot(outages=3),
}
SIZES: Final = (0.02, 0.05, 0.08, 0.15, 0.3)
Course = list[Ratios]


def _days(rng: np.random.Generator, bot: Bot, days: int) -> tuple[Any, Any]:
    """How many conversations each day has, and what moves all of them."""
    place = np.arange(days)
    grown = bot.growth * place / WEEK
    mean = bot.a_day * np.exp(grown) * SHAPE[place % WEEK]
    spread = rng.gamma(1 / bot.volume**2, bot.volume**2, days)
    return rng.poisson(mean * spread), grown + SEASON[place % WEEK]


def _summed(x: Any, y: Any) -> Ratios:
    x, y = x.astype(object), y.astype(object)
    return Ratios(
        int((y > 0).sum()), int(x.sum()), int(y.sum()), int((x * x).sum()), int((x * y).sum()),
        int((y * y).sum()),
    )  # fmt: skip


def shares(
    rng: np.random.Generator,
    bot: Bot,
    days: int,
    usual: float,
    asked: float = 1.0,
    fault: tuple[int, float] = (0, 0.0),
) -> Course:
    """A share of conversations, of which so many are asked; less by a fault since a day."""
    counts, moved = _days(rng, bot, days)
    logit = np.log(usual / (1 - usual)) + moved + rng.normal(0, bot.together, days)
    chance = 1 / (1 + np.exp(-logit))
    if fault[1]:
        chance[fault[0] :] = np.maximum(chance[fault[0] :] - fault[1], 0.0)
    if bot.outages:
        chance[LEARNED // 2 : LEARNED // 2 + bot.outages] *= 0.1
    trials = rng.binomial(counts, asked)
    hits = rng.binomial(trials, chance)
    return [Ratios.share(int(one), int(many)) for one, many in zip(hits, trials, strict=True)]


def of_turns(rng: np.random.Generator, bot: Bot, days: int, usual: float) -> Course:
    """A share of turns, which go wrong together in a conversation."""
    counts, moved = _days(rng, bot, days)
    logit = np.log(usual / (1 - usual)) + moved + rng.normal(0, bot.together, days)
    made = []
    for many, chance in zip(counts, 1 / (1 + np.exp(-logit)), strict=True):
        turns = 1 + rng.poisson(2, many)
        made.append(
            _summed(rng.binomial(turns, rng.beta(2 * chance, 2 * (1 - chance), many)), turns)
        )
    return made


def amounts(rng: np.random.Generator, bot: Bot, days: int, scatter: float) -> Course:
    """A mean over turns of what is lopsided: times, costs, tokens."""
    counts, moved = _days(rng, bot, days)
    levels = moved + rng.normal(0, bot.together / 2, days)
    made = []
    for many, level in zip(counts, levels, strict=True):
        turns = 1 + rng.poisson(2, many)
        each = np.exp(level + rng.normal(0, scatter, many)) * turns
        made.append(_summed((each * COLUMNS).astype(int), turns))
    return made


def counted(rng: np.random.Generator, bot: Bot, days: int) -> Course:
    """How many conversations there are."""
    counts, _ = _days(rng, bot, days)
    if bot.outages:
        counts[LEARNED // 2 : LEARNED // 2 + bot.outages] = 0
    return [Ratios(int(one), int(one), 1) for one in counts]


Made = Callable[[np.random.Generator, Bot, int], Course]
LIKE: Final[tuple[tuple[Kind, Made], ...]] = (
    ("share", lambda rng, bot, days: shares(rng, bot, days, 0.85)),
    ("share", lambda rng, bot, days: shares(rng, bot, days, 0.6)),
    ("share", lambda rng, bot, days: shares(rng, bot, days, 0.15)),
    ("share", lambda rng, bot, days: shares(rng, bot, days, 0.1)),
    ("share", lambda rng, bot, days: shares(rng, bot, days, 0.75, asked=0.3)),
    ("share", lambda rng, bot, days: of_turns(rng, bot, days, 0.1)),
    ("share", lambda rng, bot, days: of_turns(rng, bot, days, 0.2)),
    ("share", lambda rng, bot, days: of_turns(rng, bot, days, 0.01)),
    ("ratio", lambda rng, bot, days: amounts(rng, bot, days, 0.6)),
    ("ratio", lambda rng, bot, days: amounts(rng, bot, days, 0.4)),
    ("ratio", lambda rng, bot, days: amounts(rng, bot, days, 1.0)),
    ("ratio", lambda rng, bot, days: amounts(rng, bot, days, 0.8)),
    ("ratio", lambda rng, bot, days: amounts(rng, bot, days, 0.1)),
    ("count", counted),
)
"""A figure of the simulation for each that the server looks at."""


def _p_value(course: Course, kind: Kind) -> float:
    found = beside(course, kind)
    return 1.0 if found is None else found.p_value


def false_alarms(name: str, bot: Bot, seed: int, runs: int) -> dict[str, Any]:
    """How many days a month are told of a bot that has no fault, at one a month of all agents."""
    rng = np.random.default_rng(seed)
    told: list[float] = []
    conversations: list[float] = []
    for _ in range(runs):
        for kind, like in LIKE:
            course = like(rng, bot, LEARNED + DAYS)
            for day in range(LEARNED, LEARNED + DAYS):
                told.append(_p_value(course[: day + 1], kind))
                if kind != "count":
                    change = ratios_change(course[day], course[day - WEEK])
                    conversations.append(1.0 if change is None else change.p_value)
    found: dict[str, Any] = {"bot": name}
    for agents in AGENTS:
        limit = level_of(1.0, agents * FIGURES)
        each = agents * MONTH / DAYS / runs
        found[f"agents_{agents}"] = round(float((np.array(told) <= limit).sum()) * each, 2)
    limit, each = level_of(1.0, 5 * FIGURES), 5 * MONTH / DAYS / runs
    found["without_days_5"] = round(float((np.array(conversations) <= limit).sum()) * each, 1)
    return found


def detection(bot: Bot, seed: int, runs: int) -> dict[str, Any]:
    """How often a lasting fault of containment is told on its first day, and within three."""
    limit = level_of(1.0, 5 * FIGURES)
    found: dict[str, Any] = {}
    for size in SIZES:
        rng = np.random.default_rng(seed)
        first, three = 0, 0
        for _ in range(runs):
            begun = LEARNED + int(rng.integers(WEEK))
            course = shares(rng, bot, begun + 3, 0.85, fault=(begun, size))
            told = [_p_value(course[: begun + day + 1], "share") <= limit for day in range(3)]
            first, three = first + told[0], three + any(told)
        points = round(100 * size)
        found[f"first_day_{points}"] = round(first / runs, 3)
        found[f"three_days_{points}"] = round(three / runs, 3)
    return found


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.add_argument("--runs", type=int, default=RUNS, help="simulations of each")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    rows = [
        {
            **false_alarms(name, bot, asked.seed, asked.runs),
            **detection(bot, asked.seed, asked.runs),
        }
        for name, bot in BOTS.items()
    ]
    show(rows, asked.runs, asked.seed, as_json=asked.json)


if __name__ == "__main__":
    main()
