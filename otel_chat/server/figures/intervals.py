"""Intervals about figures: how far the truth may lie from what a sample shows.

All take a level of confidence between 0 and 1 and hold for values that are independent of each
other. None is worked out where the sample is too small for one: then it is `None`.

- Proportions: E. B. Wilson, Probable inference, the law of succession, and statistical
  inference, Journal of the American Statistical Association 22 (1927).
- Differences of two proportions: R. G. Newcombe, Interval estimation for the difference between
  independent proportions, Statistics in Medicine 17 (1998), method 10.
- Quantiles: by order statistics, W. J. Conover, Practical Nonparametric Statistics, 3rd edition
  (1999), section 3.2.
- Sample ratio mismatch: Pearson's chi-square test with one degree of freedom, as A. Fabijan et
  al., Diagnosing sample ratio mismatch in online controlled experiments, KDD 2019, use it.
- Counts: F. Garwood, Fiducial limits for the Poisson distribution, Biometrika 28 (1936).
- Means: Student's t; differences of two means: B. L. Welch, Biometrika 34 (1947).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple


class Interval(NamedTuple):
    """Where the truth lies, at the level of confidence that was asked for."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Sample:
    """What a mean's interval needs to know of a sample.

    Args:
        count: How many values there are.
        mean: Their mean.
        variance: Their variance, with `count - 1` in the denominator; not asked for under two.
    """

    count: int
    mean: float
    variance: float

    @classmethod
    def of_sums(cls, count: int, total: int, squares: int, scale: int = 1) -> Sample | None:
        """The sample with these exact sums of values and of their squares.

        Args:
            count: How many values there are.
            total: Their sum, in units of 1 ÷ `scale`.
            squares: The sum of their squares, in those units squared.
            scale: How many of those units make one.

        Example:
            >>> Sample.of_sums(4, 20, 120)
            Sample(count=4, mean=5.0, variance=6.666666666666667)
            >>> Sample.of_sums(0, 0, 0)
        """
        if not count:
            return None
        spread = count * squares - total * total  # exact: whole numbers of any size
        variance = spread / (count * (count - 1)) / scale / scale if count > 1 else 0.0
        return cls(count, total / count / scale, variance)


def _normal_quantile(confidence: float) -> float:
    from scipy.special import ndtri

    return float(ndtri((1 + confidence) / 2))


def wilson(successes: int, trials: int, confidence: float = 0.95) -> Interval | None:
    """Wilson's score interval of a proportion.

    Args:
        successes: How often it was so, 0 to `trials`.
        trials: How often it was looked at.
        confidence: The level, between 0 and 1.

    Returns:
        The interval, within 0 to 1; `None` over no trials.

    Example:
        >>> low, high = wilson(8, 10)
        >>> round(low, 4), round(high, 4)
        (0.4902, 0.9433)
        >>> wilson(0, 0)
    """
    if not trials:
        return None
    z = _normal_quantile(confidence)
    share, square = successes / trials, z * z / trials
    centre = (share + square / 2) / (1 + square)
    half = z / (1 + square) * math.sqrt(share * (1 - share) / trials + square / trials / 4)
    # Rounding must not put the bound of 0 or of all of them beside the proportion itself.
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == trials else min(1.0, centre + half)
    return Interval(min(low, share), max(high, share))


def garwood(count: int, confidence: float = 0.95) -> Interval:
    """Garwood's exact interval of how many were to be expected where so many came.

    Args:
        count: How many came, each by itself.
        confidence: The level, between 0 and 1.

    Example:
        >>> low, high = garwood(10)
        >>> round(low, 2), round(high, 2)
        (4.8, 18.39)
        >>> garwood(0).low
        0.0
    """
    from scipy.special import gammaincinv

    half = (1 - confidence) / 2
    low = float(gammaincinv(count, half)) if count else 0.0
    return Interval(low, float(gammaincinv(count + 1, 1 - half)))


def newcombe(
    first: tuple[int, int], second: tuple[int, int], confidence: float = 0.95
) -> Interval | None:
    """Newcombe's hybrid score interval of the difference between two proportions.

    Args:
        first: Successes and trials of one sample.
        second: Those of the other, which is subtracted.
        confidence: The level, between 0 and 1.

    Returns:
        The interval, within -1 to 1; `None` if either has no trials.

    Example:
        >>> low, high = newcombe((56, 70), (48, 80))
        >>> round(low, 4), round(high, 4)
        (0.0524, 0.3339)
    """
    of_first, of_second = wilson(*first, confidence), wilson(*second, confidence)
    if of_first is None or of_second is None:
        return None
    a, b = first[0] / first[1], second[0] / second[1]
    difference = a - b
    down = math.hypot(a - of_first.low, of_second.high - b)
    up = math.hypot(of_first.high - a, b - of_second.low)
    return Interval(max(-1.0, difference - down), min(1.0, difference + up))


def quantile_ranks(
    level: float, count: int, confidence: float = 0.95
) -> tuple[int | None, int | None]:
    """Which of `count` values, in order from 1, bound a quantile.

    The number of values below the quantile is binomial; each bound leaves at most half of what
    is missing from `confidence` outside.

    Args:
        level: The quantile, between 0 and 1.
        count: How many values there are.
        confidence: The level, between 0 and 1.

    Returns:
        The ranks of the lower and of the upper bound; `None` for one that so few values cannot
        give.

    Example:
        >>> quantile_ranks(0.5, 100)
        (40, 61)
        >>> quantile_ranks(0.95, 20)
        (17, None)
    """
    if not count:
        return None, None
    outside = (1 - confidence) / 2
    low = _binomial_quantile(outside, count, level)
    high = _binomial_quantile(1 - outside, count, level) + 1
    return (low if low >= 1 else None), (high if high <= count else None)


def _binomial_quantile(probability: float, trials: int, chance: float) -> int:
    """The least number of successes that at most so many are reached with `probability`."""
    from scipy.special import bdtr, bdtrik

    number = min(trials, max(0, math.ceil(float(bdtrik(probability, trials, chance)))))
    # The inverse comes with rounding: the distribution itself decides about its neighbour.
    while number > 0 and float(bdtr(number - 1, trials, chance)) >= probability:
        number -= 1
    while number < trials and float(bdtr(number, trials, chance)) < probability:
        number += 1
    return number


def mean_interval(sample: Sample, confidence: float = 0.95) -> Interval | None:
    """Student's interval of a mean.

    Args:
        sample: What there was.
        confidence: The level, between 0 and 1.

    Returns:
        The interval; `None` under two values.

    Example:
        >>> low, high = mean_interval(Sample(4, 5.0, 20 / 3))
        >>> round(low, 4), round(high, 4)
        (0.8915, 9.1085)
    """
    if sample.count < 2:  # noqa: PLR2004 - one value has no variance
        return None
    half = _student(sample.count - 1, confidence) * math.sqrt(sample.variance / sample.count)
    return Interval(sample.mean - half, sample.mean + half)


def welch(first: Sample, second: Sample, confidence: float = 0.95) -> Interval | None:
    """Welch's interval of the difference between two means.

    Args:
        first: One sample.
        second: The other, whose mean is subtracted.
        confidence: The level, between 0 and 1.

    Returns:
        The interval; `None` if either has under two values.

    Example:
        >>> low, high = welch(Sample(4, 5.0, 20 / 3), Sample(4, 1.0, 20 / 3))
        >>> round(low, 4), round(high, 4)
        (-0.4674, 8.4674)
    """
    if min(first.count, second.count) < 2:  # noqa: PLR2004 - one value has no variance
        return None
    of_first, of_second = first.variance / first.count, second.variance / second.count
    difference, error = first.mean - second.mean, of_first + of_second
    if error == 0:
        return Interval(difference, difference)
    freedom = error**2 / (of_first**2 / (first.count - 1) + of_second**2 / (second.count - 1))
    half = _student(freedom, confidence) * math.sqrt(error)
    return Interval(difference - half, difference + half)


def _student(freedom: float, confidence: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(freedom, (1 + confidence) / 2))


def sample_ratio_p(first: int, second: int, planned: float) -> float | None:
    """How likely a split at least this uneven is, if the groups were dealt as planned.

    Args:
        first: How many there are in the one group.
        second: And in the other.
        planned: The share that the first was to have, between 0 and 1.

    Returns:
        The p-value of the chi-square test; `None` where under five are expected in a group.

    Example:
        >>> round(sample_ratio_p(821_588, 815_482, 0.5), 8)
        1.82e-06
        >>> sample_ratio_p(4, 4, 0.5)
    """
    total = first + second
    expected = planned * total, (1 - planned) * total
    if min(expected) < 5:  # noqa: PLR2004 - below, the test is not known to hold
        return None
    from scipy.special import chdtrc

    pairs = zip((first, second), expected, strict=True)
    return float(chdtrc(1, sum((seen - wanted) ** 2 / wanted for seen, wanted in pairs)))
