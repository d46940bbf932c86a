"""Whether one of two groups of conversations is worse than the other by more than a margin.

Not that two groups are alike is shown, but that one is not worse by more than a margin that was set
beforehand: the end of a one-sided interval lies within it (G. Piaggio et al., Reporting of
noninferiority and equivalence randomized trials, JAMA 308, 2012).

- Turns and ratings of a conversation belong together: a ratio's error is that of sums over
  conversations (the linearised ratio of clusters; W. G. Cochran, Sampling Techniques, 3rd edition,
  1977, 6.3 and 9A).
- The second group's conversations are weighted so that each intent has the share that it has in
  the first (direct standardisation), and the error is that within intents.
- Quantiles: by the interval of the share below it (R. S. Woodruff, Confidence intervals for
  medians and other position measures, Journal of the American Statistical Association 47, 1952),
  compared as a ratio.
- All criteria have to hold, so that none needs a correction (R. L. Berger, Technometrics 24,
  1982); of several candidates each has its part of the chance to err (Bonferroni).
- How many conversations are missing: as many as show a group that is in truth no worse to be so in
  four of five cases (S. A. Julious, Sample sizes for clinical trials with normal data, Statistics
  in Medicine 23, 2004).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Verdict = Literal["not worse", "worse", "unclear", "not measured"]
PER_INTENT: Final = 20
"""An intent with fewer conversations on either side is not compared."""
FEWEST: Final = 20
"""Under so many conversations with a value nothing is compared."""
POWER: Final = 0.8
FAR: Final = 10
"""What takes so many times the conversations that there are is too near to the margin to tell."""
P95: Final = 0.95


@dataclass(frozen=True, slots=True)
class Group:
    """Conversations, each with what is counted of it.

    Args:
        intents: What each began with.
        ratios: By criterion, the numerator and the denominator of each conversation.
        seconds: Response times of all turns.
        owner: The place of the conversation that each of these is of.
    """

    intents: NDArray[np.str_]
    ratios: Mapping[str, tuple[Numbers, Numbers]]
    seconds: Numbers
    owner: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.intents)

    def only(self, kept: NDArray[np.bool_]) -> Group:
        """Some of the conversations."""
        place = np.cumsum(kept) - 1
        turns = kept[self.owner]
        ratios = {name: (top[kept], below[kept]) for name, (top, below) in self.ratios.items()}
        return Group(self.intents[kept], ratios, self.seconds[turns], place[self.owner[turns]])


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure of a group, with its standard error over conversations.

    Args:
        value: The figure; `None` over none.
        error: Its standard error; infinite where too little is known.
        count: How many conversations it is over.
    """

    value: float | None
    error: float
    count: int


@dataclass(frozen=True, slots=True)
class Judged:
    """A criterion: the second group against the first.

    Args:
        first: The first group's.
        second: The second group's.
        difference: The second less the first; of times the second ÷ the first, less 1.
        worst: The worst that it may be at the level asked for; `None` where too little is known.
        verdict: What that says.
        more: About how many more conversations of the second group would be enough; 0 where it is
            not unclear, or too near to the margin for any number.
    """

    first: Estimate
    second: Estimate
    difference: float | None
    worst: float | None
    verdict: Verdict
    more: int


@dataclass(frozen=True, slots=True)
class Common:
    """Two groups as far as they can be compared.

    Args:
        first: Its conversations with intents that both have enough of.
        second: Likewise.
        weights: Of the second, so that each intent has the share that it has in the first.
        covered: Which share of the first group that is.
    """

    first: Group
    second: Group
    weights: Numbers
    covered: float


def common(first: Group, second: Group) -> Common:
    """Two groups by intent, as far as both have at least `PER_INTENT` conversations of it."""
    names, counts = np.unique(first.intents, return_counts=True)
    others = dict(zip(*np.unique(second.intents, return_counts=True), strict=True))
    kept = [
        name
        for name, count in zip(names, counts, strict=True)
        if count >= PER_INTENT and others.get(name, 0) >= PER_INTENT
    ]
    own = first.only(np.isin(first.intents, kept))
    other = second.only(np.isin(second.intents, kept))
    weights = np.ones(len(other))
    for name, count in zip(names, counts, strict=True):
        if name in kept:
            weights[other.intents == name] = (count / len(own)) / (others[name] / len(other))
    return Common(own, other, weights, len(own) / len(first) if len(first) else 0.0)


def ratio(
    top: Numbers,
    below: Numbers,
    weights: Numbers,
    intents: NDArray[np.str_],
    *,
    share: bool = False,
) -> Estimate:
    """A sum ÷ another over conversations, with its error within intents.

    Args:
        top: What counts, of each conversation.
        below: What it is a share of, or how many values there are.
        weights: Of each conversation.
        intents: Of each conversation.
        share: Whether it lies between 0 and 1: where all are alike it still is not certain.

    Example:
        >>> ones, same = np.ones(100), np.full(100, "a")
        >>> half = ratio(np.arange(100.0) % 2, ones, ones, same)
        >>> half.value, round(half.error, 4), half.count
        (0.5, 0.0503, 100)
    """
    count = int((below > 0).sum())
    whole = float((weights * below).sum())
    if not count or whole <= 0:
        return Estimate(None, math.inf, 0)
    value = float((weights * top).sum()) / whole
    apart = weights * (top - value * below) / whole
    variance = 0.0
    for name in np.unique(intents):
        own = apart[intents == name]
        if len(own) > 1:
            variance += len(own) * float(own.var(ddof=1))
    if share:
        near = (value * count + 1) / (count + 2)
        variance = max(variance, near * (1 - near) / count)
    return Estimate(value, math.sqrt(variance), count)


def log_quantile(group: Group, weights: Numbers, level: float = P95) -> Estimate:
    """The logarithm of a quantile of response times, with its error over conversations.

    Args:
        group: The conversations.
        weights: Of each conversation.
        level: The quantile.
    """
    if not len(group.seconds):
        return Estimate(None, math.inf, 0)
    order = np.argsort(group.seconds)
    seconds = group.seconds[order]
    reached = np.cumsum(weights[group.owner][order])
    reached /= reached[-1]

    def at(share: float) -> float:
        return float(seconds[min(int(np.searchsorted(reached, share)), len(seconds) - 1)])

    value = at(level)
    many = len(group)
    turns = np.bincount(group.owner, minlength=many).astype(float)
    short = (group.seconds <= value).astype(float)
    below = np.bincount(group.owner, weights=short, minlength=many).astype(float)
    of = ratio(below, turns, weights, group.intents, share=True)
    log = math.log(max(value, 1e-9))
    if level + of.error >= 1 - 1 / len(seconds):
        return Estimate(log, math.inf, of.count)
    low, high = max(at(level - of.error), 1e-9), max(at(level + of.error), 1e-9)
    return Estimate(log, max((math.log(high) - math.log(low)) / 2, 1e-6), of.count)


def judged(
    first: Estimate, second: Estimate, margin: float, chance: float, *, lower: bool = False
) -> Judged:
    """Whether the second is worse than the first by more than a margin.

    Args:
        first: The first group's figure.
        second: The second group's.
        margin: By how much it may be worse, above 0.
        chance: How likely it may be called not worse where it is worse by the margin.
        lower: Whether a lower figure is the better one.

    Example:
        >>> both = Estimate(0.8, 0.01, 1600), Estimate(0.79, 0.01, 1600)
        >>> one = judged(*both, 0.04, 0.05)
        >>> one.verdict, round(one.difference, 3), round(one.worst, 3)
        ('not worse', -0.01, -0.033)
        >>> judged(*both, 0.02, 0.05).verdict
        'unclear'
    """
    if first.value is None and second.value is None:
        return Judged(first, second, None, None, "not measured", 0)
    few = min(first.count, second.count) < FEWEST
    if first.value is None or second.value is None or few:
        return Judged(first, second, None, None, "unclear", max(FEWEST - second.count, 1))
    from scipy.special import ndtri

    difference = second.value - first.value
    gain = -difference if lower else difference
    error = math.hypot(first.error, second.error)
    if math.isinf(error):
        return Judged(first, second, difference, None, "unclear", second.count)
    z = float(ndtri(1 - chance))
    worst = gain - z * error
    verdict: Verdict = "unclear"
    if worst >= -margin:
        verdict = "not worse"
    elif gain + z * error < -margin:
        verdict = "worse"
    more = 0
    if verdict == "unclear":
        more = _more(first, second, margin / (z + float(ndtri(POWER))))
        if not more and gain > -margin:
            seen = _more(first, second, (gain + margin) / z)
            more = seen if seen <= FAR * second.count else 0
    return Judged(first, second, difference, -worst if lower else worst, verdict, more)


def _more(first: Estimate, second: Estimate, wanted: float) -> int:
    """How many more conversations of the second bring the error of the difference down."""
    room = wanted**2 - first.error**2
    if room <= 0:  # the first needs more as well: as many times as much of both
        factor = (first.error**2 + second.error**2) / wanted**2
        return max(math.ceil(second.count * (factor - 1)), 0)
    return max(math.ceil(second.count * second.error**2 / room) - second.count, 0)


def chances(candidates: Sequence[str], chance: float) -> float:
    """The chance that each candidate has, so that together they err no more often.

    Example:
        >>> chances(["small", "tiny"], 0.05)
        0.025
    """
    return chance / max(len(candidates), 1)
