"""Whether one group of conversations is worse than another by more than a margin."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_chat.server.figures.noninferiority import (
    Estimate,
    Group,
    common,
    judged,
    log_quantile,
    ratio,
)
from tests.examples import examples


def group(intents: list[str], resolved: list[int], turns: int = 1) -> Group:
    """Conversations of so many turns, of a second each."""
    many = len(intents)
    return Group(
        np.array(intents),
        {"resolution": (np.array(resolved, dtype=float), np.ones(many))},
        np.ones(many * turns),
        np.repeat(np.arange(many), turns),
    )


def test_turns_that_go_together_tell_no_more_than_their_conversations() -> None:
    """100 conversations of ten equal turns are as sure as 100 of one, not as 1,000 turns."""
    rng = np.random.default_rng(1)
    top = (rng.random(100) < 0.5).astype(float)
    ones, same = np.ones(100), np.full(100, "a")
    single = ratio(top, ones, ones, same)
    tenfold = ratio(10 * top, 10 * ones, ones, same)
    assert tenfold.value == single.value
    assert tenfold.error == pytest.approx(single.error)


def test_the_error_is_how_much_the_ratio_varies() -> None:
    """Over 2,000 samples of conversations of different lengths whose turns go together."""
    rng = np.random.default_rng(2)
    values, errors = [], []
    for _ in range(2000):
        turns = 1.0 + rng.poisson(2, 200)
        rate = rng.beta(2, 2, 200)
        found = ratio(rng.binomial(turns.astype(int), rate), turns, np.ones(200), np.full(200, "a"))
        values.append(found.value)
        errors.append(found.error)
    assert float(np.mean(errors)) == pytest.approx(float(np.std(values)), rel=0.05)


def test_each_intent_weighs_what_it_weighs_in_the_first_group() -> None:
    """By hand: of the first half greet; the second, greeting at four of five, is told as if so."""
    first = group(["greet"] * 50 + ["refund"] * 50, [1] * 50 + [0] * 50)
    second = group(["greet"] * 80 + ["refund"] * 20, [1] * 80 + [0] * 20)
    both = common(first, second)
    top, below = both.second.ratios["resolution"]
    assert ratio(top, below, both.weights, both.second.intents).value == pytest.approx(0.5)
    assert both.covered == 1


def test_intents_that_the_other_has_hardly_seen_are_not_compared() -> None:
    """19 refunds are too few; half of the first group is covered."""
    first = group(["greet"] * 50 + ["refund"] * 50, [1] * 100)
    second = group(["greet"] * 80 + ["refund"] * 19, [1] * 99)
    both = common(first, second)
    assert (both.covered, len(both.first), len(both.second)) == (0.5, 50, 80)


def test_a_quantile_is_as_sure_as_its_conversations() -> None:
    """Over 400 samples, the error of the logarithm is how much it varies."""
    rng = np.random.default_rng(3)
    values, errors = [], []
    for _ in range(400):
        owner = np.repeat(np.arange(500), 3)
        seconds = np.exp(rng.normal(0, 0.5, 500)[owner] + rng.normal(0, 0.2, 1500))
        many = Group(np.full(500, "a"), {}, seconds, owner)
        found = log_quantile(many, np.ones(500))
        assert found.value is not None
        values.append(found.value)
        errors.append(found.error)
    assert float(np.mean(values)) == pytest.approx(1.645 * math.hypot(0.5, 0.2), abs=0.02)
    assert float(np.mean(errors)) == pytest.approx(float(np.std(values)), rel=0.15)


def test_so_many_more_are_enough_where_the_truth_is_equal() -> None:
    """With the conversations that were asked for, four of five are called not worse."""
    first = Estimate(0.8, 0.004, 10_000)
    asked = judged(first, Estimate(0.8, 0.04, 100), 0.03, 0.05)
    assert asked.verdict == "unclear"
    error = 0.04 * math.sqrt(100 / (100 + asked.more))
    rng = np.random.default_rng(4)
    verdicts = [
        judged(
            Estimate(rng.normal(0.8, 0.004), 0.004, 10_000),
            Estimate(rng.normal(0.8, error), error, 100 + asked.more),
            0.03,
            0.05,
        ).verdict
        for _ in range(2000)
    ]
    assert verdicts.count("not worse") / 2000 == pytest.approx(0.8, abs=0.03)


@examples(60, 600)
@given(
    st.floats(0, 1), st.floats(0, 1), st.floats(0.001, 0.2), st.floats(0.001, 0.2),
    st.floats(0.01, 0.3), st.floats(0.01, 0.2),
)  # fmt: skip
def test_a_wider_margin_never_makes_worse(
    first: float, second: float, one: float, other: float, margin: float, more: float
) -> None:
    """What is not worse by a margin is not by a wider one; what is worse by the wider, by both."""
    pair = Estimate(first, one, 100), Estimate(second, other, 100)
    narrow, wide = judged(*pair, margin, 0.05), judged(*pair, margin + more, 0.05)
    order = ["worse", "unclear", "not worse"]
    assert order.index(narrow.verdict) <= order.index(wide.verdict)
    mirrored = judged(
        Estimate(-first, one, 100), Estimate(-second, other, 100), margin, 0.05, lower=True
    )
    assert mirrored.verdict == narrow.verdict
