"""Whether a figure changed beyond chance: tests of two samples of conversations.

Turns of one conversation belong together, so conversations are what is drawn by chance: of each
a numerator and a denominator are known, and a figure is the sum of the ones ÷ that of the others.
A share of conversations is the case where both are 0 or 1.

- Shares: the N - 1 chi-square test, which holds where at least one is expected in each cell:
  I. Campbell, Chi-squared and Fisher-Irwin tests of two-by-two tables with small sample
  recommendations, Statistics in Medicine 26 (2007).
- Other ratios: the variance by the delta method, as A. Deng, U. Knoblich and J. Lu, Applying the
  delta method in metric analytics, KDD 2018, then B. L. Welch's test, Biometrika 34 (1947).
- Counts by day or hour: Student's paired t-test, each day with the same of the window before.
- Many tests at once: Y. Benjamini and Y. Hochberg, Controlling the false discovery rate, Journal
  of the Royal Statistical Society B 57 (1995).
- Since when: the most likely place of a single change, D. V. Hinkley, Inference about the
  change-point in a sequence of random variables, Biometrika 57 (1970).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

LEAST: Final = 20
"""So many conversations on either side are needed for a verdict."""


@dataclass(frozen=True, slots=True)
class Ratios:
    """Exact sums over conversations, of a numerator x and a denominator y of each.

    Args:
        count: How many conversations have a denominator.
        x: The sum of numerators.
        y: The sum of denominators.
        xx: The sum of squares of numerators.
        xy: The sum of products.
        yy: The sum of squares of denominators.
        scale: So many of what a numerator counts are one of the figure's unit.

    Example:
        >>> half = Ratios.share(10, 20)
        >>> half.value, round(half.variance, 6)
        (0.5, 0.013158)
        >>> both = half + Ratios.share(0, 5)
        >>> both.count, both.value
        (25, 0.4)
    """

    count: int = 0
    x: int = 0
    y: int = 0
    xx: int = 0
    xy: int = 0
    yy: int = 0
    scale: int = 1

    @classmethod
    def share(cls, successes: int, trials: int) -> Ratios:
        """Those of a share of conversations."""
        return cls(trials, successes, trials, successes, successes, trials)

    def __add__(self, other: Ratios) -> Ratios:
        """Both together."""
        return Ratios(
            self.count + other.count, self.x + other.x, self.y + other.y, self.xx + other.xx,
            self.xy + other.xy, self.yy + other.yy, max(self.scale, other.scale),
        )  # fmt: skip

    @property
    def value(self) -> float | None:
        """The figure; `None` over nothing."""
        return self.x / self.y / self.scale if self.y else None

    @property
    def variance(self) -> float:
        """The variance of the figure by the delta method; 0 under two conversations."""
        if self.count < 2 or not self.y:  # noqa: PLR2004 - one has no variance
            return 0.0
        # Exact until the last division: whole numbers of any size.
        spread = (
            self.xx * self.y * self.y - 2 * self.xy * self.x * self.y + self.yy * self.x * self.x
        )
        of_one = self.count / (self.count - 1)
        return of_one * (spread / self.y**4) / self.scale / self.scale


class Change(NamedTuple):
    """A change between two samples.

    Args:
        difference: This less the one before.
        error: Its standard error.
        p_value: How likely a change at least as large is, if nothing changed.
    """

    difference: float
    error: float
    p_value: float

    @property
    def sure(self) -> float:
        """How much of the change is beyond chance: its bound nearest to nothing, at 95 %."""
        from scipy.special import ndtri

        return max(0.0, abs(self.difference) - float(ndtri(0.975)) * self.error)


def ratios_change(now: Ratios, before: Ratios) -> Change | None:
    """How a ratio of sums over conversations changed; shares have a test of their own.

    Returns:
        `None` with fewer than 20 conversations on a side, or without any spread to compare with.

    Example:
        >>> change = ratios_change(Ratios.share(35, 40), Ratios.share(40, 40))
        >>> round(change.difference, 3), round(change.p_value, 3)
        (-0.125, 0.022)
        >>> ratios_change(Ratios.share(1, 5), Ratios.share(5, 5))
    """
    if min(now.count, before.count) < LEAST or now.value is None or before.value is None:
        return None
    difference, variances = now.value - before.value, (now.variance, before.variance)
    error = math.sqrt(sum(variances))
    if now.yy == now.y and before.yy == before.y and now.xx == now.x and before.xx == before.x:
        p_value = _shares_p(now, before)
        return None if p_value is None else Change(difference, error, p_value)
    if not error:
        return None
    freedom = error**4 / sum(
        one * one / (side.count - 1) for one, side in zip(variances, (now, before), strict=True)
    )
    return Change(difference, error, _student_p(difference / error, freedom))


def _shares_p(now: Ratios, before: Ratios) -> float | None:
    """The p-value of the N - 1 chi-square test; `None` where it does not hold."""
    n, yes = now.y + before.y, now.x + before.x
    expected = min(now.y, before.y) * min(yes, n - yes) / n
    if yes in {0, n}:
        return 1.0
    if expected < 1:
        return None
    from scipy.special import chdtrc

    crossed = now.x * (before.y - before.x) - before.x * (now.y - now.x)
    square = (n - 1) * crossed * crossed / (now.y * before.y * yes * (n - yes))
    return float(chdtrc(1, square))


def counts_change(now: Sequence[int], before: Sequence[int]) -> Change | None:
    """How counts changed, each beside that of the same part of the window before.

    Returns:
        The change of the mean; `None` under five pairs, or where there is no spread.

    Example:
        >>> change = counts_change([12, 14, 11, 15, 13], [10, 10, 10, 10, 11])
        >>> round(change.difference, 1), round(change.p_value, 3)
        (2.8, 0.019)
    """
    pairs = [one - other for one, other in zip(now, before, strict=True)]
    if len(pairs) < 5:  # noqa: PLR2004 - fewer tell nothing of their spread
        return None
    mean = sum(pairs) / len(pairs)
    variance = sum((one - mean) ** 2 for one in pairs) / (len(pairs) - 1)
    if not variance:
        return None
    error = math.sqrt(variance / len(pairs))
    return Change(mean, error, _student_p(mean / error, len(pairs) - 1))


def _student_p(statistic: float, freedom: float) -> float:
    from scipy.special import stdtr

    return 2 * float(stdtr(freedom, -abs(statistic)))


def adjusted(p_values: Sequence[float]) -> list[float]:
    """Benjamini and Hochberg's adjusted p-values: taking those up to q, a share q is false.

    Example:
        >>> [round(q, 3) for q in adjusted([0.01, 0.04, 0.03, 0.5])]
        [0.04, 0.053, 0.053, 0.5]
        >>> adjusted([])
        []
    """
    order = sorted(range(len(p_values)), key=lambda place: -p_values[place])
    found, least = [0.0] * len(p_values), 1.0
    for rank, place in zip(range(len(order), 0, -1), order, strict=True):
        least = min(least, p_values[place] * len(p_values) / rank)
        found[place] = least
    return found


def turning_point(parts: Sequence[Ratios]) -> int | None:
    """The part with which a figure most likely became another.

    Args:
        parts: The sums of equal parts of time, in order.

    Returns:
        Its place, 1 or more; `None` if there is no such place.

    Example:
        >>> turning_point([Ratios.share(9, 10)] * 4 + [Ratios.share(4, 10)] * 3)
        4
        >>> turning_point([Ratios.share(9, 10)])
    """
    best, place = 0.0, None
    for cut in range(1, len(parts)):
        before, after = sum(parts[:cut], Ratios()), sum(parts[cut:], Ratios())
        if before.value is None or after.value is None:
            continue
        weight = before.y * after.y / (before.y + after.y)
        apart = abs(after.value - before.value) * math.sqrt(weight)
        if apart > best:
            best, place = apart, cut
    return place


def contribution(now: Ratios, before: Ratios, whole: Ratios, whole_before: Ratios) -> float | None:
    """How far a part moved the whole's figure; those of all parts add up to its change.

    What counts is how far the part is from what the whole was before, and how large it is: a part
    that is as the whole was contributes nothing, however large it becomes.

    Example:
        >>> whole, whole_before = Ratios.share(30, 40), Ratios.share(40, 40)
        >>> contribution(Ratios.share(0, 10), Ratios.share(10, 10), whole, whole_before)
        -0.25
    """
    reference = whole_before.value
    if reference is None or not whole.y:
        return None
    moved = 0.0
    for part, all_parts, sign in ((now, whole, 1), (before, whole_before, -1)):
        if part.value is not None:
            moved += sign * part.y / all_parts.y * (part.value - reference)
    return moved
