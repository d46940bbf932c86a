"""How often the advice on models is wrong, on simulated conversations whose truth is known.

python benchmarks/model_advice.py --json
"""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from results import show

from otel_chat.server.figures.noninferiority import Group
from otel_chat.server.questions.model_advice import Margins, advised

RUNS: Final = 400
SIZES: Final = (200, 1_000, 5_000)
INTENTS: Final = np.array(["refund", "delivery", "greeting"])
HARD: Final = np.array([0.6, 0.75, 0.9])
"""How often each is resolved by today's model."""
MARGINS: Final = Margins()


@dataclass(frozen=True, slots=True)
class Truth:
    """What another model is like.

    Args:
        resolution: How much less often it resolves.
        satisfaction: How much less often people are satisfied.
        slower: How much longer it takes, as a share.
        cost: Of a conversation, as a share of today's.
        mix: The share of each intent that it gets.
        easier: How much more often what it gets is resolved whoever answers, which nothing tells.
        right: Whether it should be taken.
    """

    resolution: float = 0.0
    satisfaction: float = 0.0
    slower: float = 0.0
    cost: float = 0.5
    mix: tuple[float, float, float] = (0.3, 0.5, 0.2)
    easier: float = 0.0
    right: bool = True


TODAY: Final = Truth(cost=1.0)
TRUTHS: Final[dict[str, Truth]] = {
    "equal, at half the cost": Truth(),
    "better by 2 points": Truth(resolution=-0.02, satisfaction=-0.02),
    "resolves less by just the margin (3 points)": Truth(resolution=0.03, right=False),
    "satisfies less by just the margin (5 points)": Truth(satisfaction=0.05, right=False),
    "slower by just the margin (20 %)": Truth(slower=0.2, right=False),
    "resolves less by 6 points": Truth(resolution=0.06, right=False),
    "equal, and as dear": Truth(cost=1.0, right=False),
    "equal, gets the easy intents": Truth(mix=(0.1, 0.4, 0.5)),
    "less by 3 points, gets the easy intents": Truth(
        resolution=0.03, mix=(0.1, 0.4, 0.5), right=False
    ),
    "less by 6 points, gets easier cases that nothing tells": Truth(
        resolution=0.06, easier=0.06, right=False
    ),
}


def conversations(rng: np.random.Generator, many: int, truth: Truth) -> Group:
    """Conversations of some turns each, whose times go together."""
    kind = rng.choice(3, many, p=truth.mix)
    resolved = rng.random(many) < HARD[kind] - truth.resolution + truth.easier
    turns = 1 + rng.poisson(2, many)
    owner = np.repeat(np.arange(many), turns)
    common = rng.normal(0, 0.4, many)
    seconds = (1 + truth.slower) * np.exp(common[owner] + rng.normal(0, 0.4, len(owner)))
    rated = (rng.random(many) < 0.3).astype(float)
    top = rated * (rng.random(many) < 0.75 - truth.satisfaction)
    usd = truth.cost * 0.02 * turns * rng.gamma(4, 0.25, many)
    ones = np.ones(many)
    ratios = {
        "resolution": (resolved.astype(float), ones),
        "satisfaction": (top, rated),
        "cost": (usd, ones),
    }
    return Group(INTENTS[kind], ratios, seconds, owner)


def table(seed: int, runs: int) -> list[dict[str, Any]]:
    """What was advised, by truth and size."""
    found = []
    for name, truth in TRUTHS.items():
        for many in SIZES:
            rng = np.random.default_rng(seed)
            said: Counter[str] = Counter()
            more = []
            for _ in range(runs):
                today = conversations(rng, 2 * many, TODAY)
                (one,) = advised(today, {"other": conversations(rng, many, truth)}, MARGINS)
                said[one.advice] += 1
                if one.advice == "not enough data":
                    more.append(one.more)
            found.append(
                {
                    "truth": name,
                    "conversations": many,
                    "should_be_taken": truth.right,
                    "taken": round(said["take"] / runs, 3),
                    "worse": round(said["worse"] / runs, 3),
                    "not_enough_data": round(said["not enough data"] / runs, 3),
                    "not_cheaper": round(said["not cheaper"] / runs, 3),
                    "more_median": round(float(np.median(more))) if more else 0,
                }
            )
    return found


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.add_argument("--runs", type=int, default=RUNS, help="simulations of each")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    rows = table(asked.seed, asked.runs)
    show(rows, asked.runs, asked.seed, as_json=asked.json)


if __name__ == "__main__":
    main()
