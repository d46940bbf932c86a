"""How far forecasts are off on simulated bots whose seasons are known, and what they say of it.

python benchmarks/forecasts.py --json
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any, Final

import numpy as np
from results import show

from otel_chat.server.access import PERMISSIONS, Scope
from otel_chat.server.figures.forecasting import (
    READ,
    WEEK,
    Course,
    Forecast,
    Numbers,
    filled,
    forecasts,
    gaps,
)
from otel_chat.server.figures.sql import Query
from otel_chat.server.questions.forecasts import seasons_of
from otel_chat.server.store import open_store

MONTH: Final = 4 * WEEK
SHAPE: Final = np.array([1.1, 1.15, 1.1, 1.05, 1.0, 0.5, 0.4])
DAY: Final = np.array(
    [1, 1, 1, 1, 1, 2, 4, 8, 14, 18, 19, 18, 15, 17, 18, 16, 14, 11, 9, 8, 6, 4, 3, 2]
)
RUNS: Final = 200


def _bot(
    rng: np.random.Generator,
    days: int,
    *,
    level: float = 200.0,
    growth: float = 0.0,
    drift: float = 0.0,
    noise: float = 0.05,
    shape: Numbers = SHAPE,
    steps: Sequence[tuple[int, float]] = (),
    outage: bool = False,
) -> Numbers:
    """Turns by day and hour: counts around a level with its seasons, more spread than Poisson's."""
    place = np.arange(days)
    mean = level * np.exp(growth * place / WEEK + np.cumsum(rng.normal(0, drift, days)))
    for since, factor in steps:
        mean[place >= days + since] *= factor
    spread = rng.gamma(1 / noise**2, noise**2, days)
    by_day = mean * shape[place % WEEK] * spread
    made: Numbers = rng.poisson(by_day[:, None] * (DAY / DAY.sum())).astype(float)
    if outage:
        made[-2 * WEEK - 3 : -2 * WEEK - 1] = 0
    return made


Kind = Callable[[np.random.Generator, int], Numbers]
BOTS: Final[dict[str, Kind]] = {
    "steady, 200 a day": _bot,
    "grows by 3 % a week": lambda rng, days: _bot(rng, days, growth=0.03),
    "wanders by 3 % a day": lambda rng, days: _bot(rng, days, drift=0.03),
    "60 % more since 13 days": lambda rng, days: _bot(rng, days, steps=[(-MONTH - 13, 1.6)]),
    "asleep at weekends": lambda rng, days: _bot(rng, days, shape=np.array([1, 1, 1, 1, 1, 0, 0])),
    "two days of outage": lambda rng, days: _bot(rng, days - MONTH, outage=True),
    "8 a day": lambda rng, days: _bot(rng, days, level=8),
    "25 % of chance a day": lambda rng, days: _bot(rng, days, noise=0.25),
}


def _course(turns: Numbers) -> Course:
    missing = gaps(turns)
    return Course(filled(turns, missing), None, np.asarray(~missing.any(axis=1)))


def _off(one: Numbers, actual: Numbers) -> float:
    return float(np.abs(one - actual).sum())


def table(known: int, seed: int, runs: int) -> list[dict[str, Any]]:
    """What forecasts of so many known days were worth, of each bot."""
    found = []
    with tempfile.TemporaryDirectory() as place, closing(open_store(f"chdb:{place}")) as store:
        query = Query(store, Scope(None, frozenset(PERMISSIONS)))
        for name, bot in BOTS.items():
            rng = np.random.default_rng(seed)
            made = [_made(bot, rng, known, name) for _ in range(runs)]
            courses = [_course(turns[:known]) for turns in made]
            told = forecasts(courses, seasons_of(query), MONTH)
            futures = [turns[known:].sum(axis=1) for turns in made]
            pairs = [
                (one, future, turns[known : known + WEEK])
                for one, future, turns in zip(told, futures, made, strict=True)
                if one is not None
            ]
            found.append({"bot": name, "days": known, **_worth(courses, pairs)})
    return found


def _made(bot: Kind, rng: np.random.Generator, known: int, name: str) -> Numbers:
    turns = bot(rng, known + MONTH)
    if "outage" not in name:
        return turns
    return np.concatenate([turns, _bot(rng, MONTH)])


def _worth(
    courses: Sequence[Course], pairs: Sequence[tuple[Forecast, Numbers, Numbers]]
) -> dict[str, Any]:
    came = sum(future[:WEEK].sum() for _, future, _ in pairs)
    naive = sum(
        _off(course.part[-WEEK:].sum(axis=1), future[:WEEK])
        for course, (_, future, _) in zip(courses, pairs, strict=True)
    )
    off = sum(_off(one.days.values[:WEEK], future[:WEEK]) for one, future, _ in pairs)
    by_hour = sum(
        _off(one.hours.values, hours.ravel()) for one, _, hours in pairs if one.hours is not None
    )
    errors = [one.days.error for one, _, _ in pairs if one.days.error is not None]
    held = [
        (one.days.low[:WEEK] <= future[:WEEK]) & (future[:WEEK] <= one.days.high[:WEEK])
        for one, future, _ in pairs
        if one.days.low is not None and one.days.high is not None
    ]
    hours_held = [
        (one.hours.low <= hours.ravel()) & (hours.ravel() <= one.hours.high)
        for one, _, hours in pairs
        if one.hours is not None and one.hours.low is not None and one.hours.high is not None
    ]
    return {
        "off_percent": round(100 * off / came, 1),
        "said_percent": round(100 * float(np.mean(errors)), 1),
        "naive_percent": round(100 * naive / came, 1),
        "level_and_season_used": round(
            float(np.mean([one.method == "level and season" for one, _, _ in pairs])), 2
        ),
        "days_in_band": round(float(np.mean(held)), 3),
        "hours_off_percent": round(100 * by_hour / came, 1),
        "hours_in_band": round(float(np.mean(hours_held)), 3),
        **_budgets(pairs),
    }


def _budgets(pairs: Sequence[tuple[Forecast, Numbers, Numbers]]) -> dict[str, Any]:
    """Of a budget that the truth spends after 18 days: was its day named, and between which."""
    away, held, width = [], [], []
    for one, future, _ in pairs:
        if one.days.low is None or one.days.high is None:
            continue
        usd = future[:18].sum()
        value, low, high = one.days.running(slice(0, MONTH))
        early, day, late = (_day(path, usd) for path in (high, value, low))
        away.append(abs(day - 17))
        held.append(early <= 17 <= late)
        width.append(late - early)
    return {
        "budget_days_away": round(float(np.mean(away)), 1),
        "budget_day_between": round(float(np.mean(held)), 3),
        "budget_days_between": round(float(np.mean(width)), 1),
    }


def _day(path: Numbers | None, usd: float) -> int:
    reached = [] if path is None else np.flatnonzero(path >= usd * (1 - 1e-9)).tolist()
    return reached[0] if reached else MONTH


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.add_argument("--runs", type=int, default=RUNS, help="simulated futures of each bot")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    rows = [
        row for known in (2 * WEEK, 5 * WEEK, READ) for row in table(known, asked.seed, asked.runs)
    ]
    show(rows, asked.runs, asked.seed, as_json=asked.json)


if __name__ == "__main__":
    main()
