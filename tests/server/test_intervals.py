"""Intervals: against published values, against a library's own, and against chance."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from otel_chat.server.figures.intervals import (
    Sample,
    mean_interval,
    newcombe,
    quantile_ranks,
    welch,
    wilson,
)

levels = st.floats(0.8, 0.999)
counts = st.integers(1, 100_000)
shares = st.floats(0, 1)


def of(share: float, trials: int) -> int:
    return round(share * trials)


@given(share=shares, trials=counts, confidence=levels)
def test_wilson_is_what_scipy_has(share: float, trials: int, confidence: float) -> None:
    """To nine digits, over the whole range."""
    successes = of(share, trials)
    theirs = stats.binomtest(successes, trials).proportion_ci(confidence, method="wilson")
    assert wilson(successes, trials, confidence) == pytest.approx(
        (theirs.low, theirs.high), abs=1e-9
    )


@given(share=shares, trials=counts, confidence=levels)
def test_wilson_holds_its_proportion_within_0_and_1(
    share: float, trials: int, confidence: float
) -> None:
    """And is the mirror image for what did not happen."""
    successes = of(share, trials)
    low, high = wilson(successes, trials, confidence)
    assert 0 <= low <= successes / trials <= high <= 1
    mirrored = wilson(trials - successes, trials, confidence)
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=1e-12)


@given(successes=st.integers(0, 50), failures=st.integers(0, 50), times=st.integers(2, 20))
def test_wilson_shrinks_with_the_sample(successes: int, failures: int, times: int) -> None:
    """The same proportion, seen more often, is known better; and better means narrower."""
    trials = successes + failures + 1
    less, more = wilson(successes, trials), wilson(successes * times, trials * times)
    assert more.high - more.low < less.high - less.low
    sure = wilson(successes, trials, 0.99)
    assert sure.low <= less.low
    assert sure.high >= less.high


@pytest.mark.parametrize(
    ("first", "second", "low", "high"),
    [
        # Newcombe 1998, table II, method 10: cases (a) to (h).
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((6, 7), (2, 7), 0.0582, 0.8062),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((0, 10), (0, 20), -0.1611, 0.2775),
        ((0, 10), (0, 10), -0.2775, 0.2775),
        ((10, 10), (0, 20), 0.6791, 1.0000),
        ((10, 10), (0, 10), 0.6075, 1.0000),
    ],
)
def test_newcombe_is_what_its_paper_says(
    first: tuple[int, int], second: tuple[int, int], low: float, high: float
) -> None:
    """The paper's own examples, to its four digits."""
    assert newcombe(first, second) == pytest.approx((low, high), abs=5e-5)


@given(a=st.integers(0, 40), b=st.integers(0, 40), more=st.integers(1, 40), confidence=levels)
def test_newcombe_holds_the_difference_and_turns_with_the_order(
    a: int, b: int, more: int, confidence: float
) -> None:
    """Within -1 and 1; the other way round it has the other sign."""
    first, second = (a, a + more), (b, b + more)
    low, high = newcombe(first, second, confidence)
    assert -1 <= low <= a / (a + more) - b / (b + more) + 1e-12
    assert a / (a + more) - b / (b + more) - 1e-12 <= high <= 1
    assert newcombe(second, first, confidence) == pytest.approx((-high, -low))


@given(level=st.sampled_from([0.5, 0.9, 0.95]), count=st.integers(1, 50_000), confidence=levels)
def test_ranks_of_a_quantile_cover_it(level: float, count: int, confidence: float) -> None:
    """At most half of what is missing lies beyond each bound, and one rank closer is too close."""
    low, high = quantile_ranks(level, count, confidence)
    below, outside = stats.binom(count, level), (1 - confidence) / 2
    slack = 1e-9
    if low is None:
        assert below.cdf(0) > outside - slack
    else:
        assert below.cdf(low - 1) <= outside + slack
        assert below.cdf(low) >= outside - slack
    if high is None:
        assert below.cdf(count - 1) < 1 - outside + slack
    else:
        assert below.cdf(high - 1) >= 1 - outside - slack
        assert below.cdf(high - 2) <= 1 - outside + slack


def test_ranks_of_the_textbook() -> None:
    """The upper quartile of 16: ranks 9 and 16, 15 of which the table puts within 95 %."""
    # B(8; 16, 0.75) = 0.0271 > 0.025, B(7) = 0.0075: so the lower rank is 8;
    # B(15) = 0.9900 ≥ 0.975, B(14) = 0.9365: so the upper rank is 16.
    assert quantile_ranks(0.75, 16) == (8, 16)
    assert quantile_ranks(0.5, 5) == (None, None)
    assert quantile_ranks(0.5, 0) == (None, None)


numbers = st.lists(st.integers(-1000, 1000), min_size=2, max_size=50)


@given(values=numbers, confidence=levels)
def test_a_mean_has_students_interval(values: list[int], confidence: float) -> None:
    """As scipy has it, from sums alone."""
    sample = Sample.of_sums(len(values), sum(values), sum(value * value for value in values))
    low, high = mean_interval(sample, confidence)
    assert low <= sample.mean <= high
    error = stats.sem(values)
    if error > 0:
        theirs = stats.t.interval(confidence, len(values) - 1, sample.mean, error)
        assert (low, high) == pytest.approx(theirs, rel=1e-6, abs=1e-6)


@given(first=numbers, second=numbers, confidence=levels)
def test_a_difference_of_means_has_welchs_interval(
    first: list[int], second: list[int], confidence: float
) -> None:
    """As scipy has it; two samples without any spread differ by exactly their difference."""
    one, other = (
        Sample.of_sums(len(values), sum(values), sum(value * value for value in values))
        for values in (first, second)
    )
    interval = welch(one, other, confidence)
    if one.variance and other.variance:
        theirs = stats.ttest_ind(first, second, equal_var=False).confidence_interval(confidence)
        assert interval == pytest.approx((theirs.low, theirs.high), rel=1e-6, abs=1e-6)
    elif not one.variance and not other.variance:
        assert interval == (one.mean - other.mean, one.mean - other.mean)


def test_without_data_there_is_no_interval() -> None:
    """Nor a mean of one value's."""
    assert wilson(0, 0) is None
    assert newcombe((1, 2), (0, 0)) is None
    assert mean_interval(Sample(1, 3.0, 0.0)) is None
    assert welch(Sample(1, 3.0, 0.0), Sample(9, 3.0, 1.0)) is None
    assert Sample.of_sums(0, 0, 0) is None


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    """Two thousand samples of a known world, each with intervals of 90 %."""
    order, rounds = random.Random(7), 2000
    held = {"proportion": 0, "difference": 0, "median": 0, "mean": 0}
    for _ in range(rounds):
        first = sum(order.random() < 0.3 for _ in range(60))
        second = sum(order.random() < 0.2 for _ in range(80))
        low, high = wilson(first, 60, 0.9)
        held["proportion"] += low <= 0.3 <= high
        low, high = newcombe((first, 60), (second, 80), 0.9)
        held["difference"] += low <= 0.1 <= high
        values = sorted(order.randint(0, 1000) for _ in range(50))
        lower, upper = quantile_ranks(0.5, 50, 0.9)
        held["median"] += values[lower - 1] <= 500 <= values[upper - 1]
        sample = Sample.of_sums(50, sum(values), sum(value * value for value in values))
        low, high = mean_interval(sample, 0.9)
        held["mean"] += low <= 500 <= high
    shares = {name: count / rounds for name, count in held.items()}
    # Chance moves a share of 2,000 by 0.02 (three standard deviations). Counts are whole: so of 60
    # at 0.3 Wilson's holds 0.88 (summed over the binomial), and a median's somewhat too often.
    assert shares["proportion"] == pytest.approx(0.88, abs=0.02)
    assert shares["difference"] == pytest.approx(0.9, abs=0.025)
    assert shares["mean"] == pytest.approx(0.9, abs=0.025)
    assert 0.89 <= shares["median"] <= 0.96


@pytest.mark.parametrize("trials", [10, 60, 300])
@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_wilson_holds_the_truth_as_often_as_it_says_on_average(
    trials: int, confidence: float
) -> None:
    """Over all proportions alike, summed over the binomial and not left to chance."""
    bounds = [wilson(successes, trials, confidence) for successes in range(trials + 1)]
    truths = [(step + 0.5) / 500 for step in range(500)]
    held = sum(
        float(
            sum(stats.binom.pmf([k for k, (a, b) in enumerate(bounds) if a <= p <= b], trials, p))
        )
        for p in truths
    )
    assert held / len(truths) == pytest.approx(confidence, abs=0.02)
