"""Two groups side by side, worked out by hand."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
from hypothesis import strategies as st

from otel_chat.errors import QueryError
from otel_chat.server.figures.filters import Filters
from otel_chat.server.questions.comparison import Compared, Comparison, Sides, comparison
from otel_chat.server.questions.overview import overview
from tests.examples import examples
from tests.server.given import DAY, Given

if TYPE_CHECKING:
    from otel_chat.server.store import Store

TURNS = st.fixed_dictionaries(
    {
        "variant": st.sampled_from(["a", "b"]),
        "duration": st.integers(1, 10_000).map(lambda ms: ms / 1000),
        "status": st.sampled_from(["ok", "error"]),
        "handoff": st.booleans(),
        "confidence": st.one_of(st.none(), st.floats(0, 1)),
        "cost": st.one_of(st.none(), st.decimals(0, 999_999_999, places=9).map(str)),
        "input_tokens": st.one_of(st.none(), st.integers(0, 5000)),
    }
)


def ask(given: Given, **asked: Any) -> Comparison:
    confidence = asked.pop("confidence", 0.95)
    return comparison(given.store, given.scope, DAY, Filters(), Sides(**asked), confidence)


def named(figures: list[Compared]) -> dict[str, Compared]:
    return {one.figure: one for one in figures}


@pytest.fixture
def arms(given: Given) -> Given:
    """Arm a: 10 conversations, 8 without a handoff; arm b: 10, of which 2 are without."""
    for number in range(10):
        given.turn(
            f"a{number}", number, number + 1, variant="a", handoff=number >= 8,
            input_tokens=10, cost="0.5", confidence=0.9,
        )  # fmt: skip
        given.turn(
            f"b{number}", number, number + 11, variant="b", handoff=number >= 2,
            input_tokens=10, cost="1.5" if number % 2 else "2.5", confidence=0.5,
        )  # fmt: skip
    given.save()
    return given


def test_a_turn_may_cost_as_much_as_the_ingest_takes(given: Given) -> None:
    """999,999,999.5 USD against 12.5: the highest price has no more digits than the others."""
    given.turn("a", variant="a", cost="999999999.5")
    given.turn("b", variant="b", cost="12.5")
    given.save()
    cost = named(ask(given, by="variant", a="a", b="b").means)["cost_per_turn"]
    assert (cost.a.value, cost.b.value) == (999999999.5, 12.5)


def test_no_number_of_tokens_is_too_great(given: Given) -> None:
    """Two turns of 2⁶³ tokens, twice of which no 64 bits hold."""
    for name in "ab":
        given.turn(name, input_tokens=2**63)
    given.save()
    tokens = named(ask(given).means)["tokens_per_turn"].a
    assert (tokens.value, tokens.low, tokens.high) == (2.0**63, 2.0**63, 2.0**63)


def test_rates_come_with_wilsons_and_newcombes_intervals(arms: Given) -> None:
    """8 of 10 contained against 2 of 10: 0.6 apart.

    Wilson of 8 of 10 is 0.4902 to 0.9433, of 2 of 10 it is 0.0567 to 0.5098. Newcombe's:
    0.6 - hypot(0.8 - 0.4902, 0.5098 - 0.2) = 0.1619, 0.6 + hypot(0.1433, 0.1433) = 0.8027.
    """
    answer = ask(arms, by="variant", a="a", b="b")
    one = named(answer.rates)["containment_ratio"]
    assert (one.a.numerator, one.a.count, one.a.value) == (8, 10, 0.8)
    assert (one.b.numerator, one.b.count, one.b.value) == (2, 10, 0.2)
    assert (one.a.low, one.a.high) == pytest.approx((0.4902, 0.9433), abs=5e-5)
    assert one.difference == pytest.approx(0.6)
    assert (one.difference_low, one.difference_high) == pytest.approx((0.1619, 0.8027), abs=1e-4)
    assert one.verdict == "better"


def test_whether_more_is_good_is_the_figures_own(arms: Given) -> None:
    """Fewer handoffs and fewer unsure turns are better; errors do not differ; no feedback."""
    rates = named(ask(arms, by="variant", a="b", b="a").rates)
    assert rates["handoff_ratio"].verdict == "worse"
    assert rates["low_confidence_ratio"].verdict == "worse"
    assert rates["error_ratio"].verdict == "no clear difference"
    csat = rates["csat_top_ratio"]
    assert (csat.a.value, csat.a.low, csat.a.count, csat.verdict) == (None, None, 0, "no data")


def test_quantiles_have_the_order_statistics_that_bound_them(arms: Given) -> None:
    """Medians of 1 to 10 s and of 11 to 20 s: ranks 2 and 9 of 10 hold 95 %; no bound at p95."""
    found = named(ask(arms, by="variant", a="a", b="b").quantiles)
    median = found["response_time_p50"]
    assert (median.a.value, median.a.low, median.a.high) == pytest.approx((5.5, 2, 9))
    assert (median.b.value, median.b.low, median.b.high) == pytest.approx((15.5, 12, 19))
    assert (median.difference, median.verdict) == (-10, "better")
    high = found["response_time_p95"]
    assert (high.a.high, high.verdict) == (None, "no clear difference")
    assert found["time_to_first_chunk_p50"].verdict == "no data"


def test_means_have_students_intervals(arms: Given) -> None:
    """Cost 0.5 each against five of 1.5 and five of 2.5: mean 2, variance 10 × 0.25 ÷ 9.

    t(9) at 97.5 % is 2.2622; half the interval is 2.2622 × √(0.27778 ÷ 10) = 0.3770.
    """
    found = named(ask(arms, by="variant", a="a", b="b").means)
    cost = found["cost_per_turn"]
    assert (cost.a.value, cost.a.low, cost.a.high) == (0.5, 0.5, 0.5)
    assert (cost.b.low, cost.b.high) == pytest.approx((2 - 0.3770, 2 + 0.3770), abs=1e-4)
    assert (cost.difference, cost.verdict) == (-1.5, "better")
    assert found["tokens_per_turn"].verdict == "no clear difference"


def test_periods_are_compared_with_the_one_before(given: Given) -> None:
    """One conversation today, two the day before."""
    given.turn("a", 0)
    given.turn("b", -86400)
    given.turn("c", -86400, status="error")
    given.save()
    answer = ask(given)
    assert (answer.a.conversations, answer.b.conversations) == (1, 2)
    assert answer.b.window.start == DAY.start - timedelta(days=1)
    assert named(answer.rates)["error_ratio"].b.value == 0.5


def test_figures_are_those_of_the_overview(arms: Given) -> None:
    """The same filter, the same values."""
    answer = named(ask(arms, by="variant", a="a", b="b").rates)
    whole = overview(arms.store, arms.scope, DAY, Filters(variant="a"))
    assert answer["containment_ratio"].a.value == whole.containment.rate
    assert answer["resolution_ratio_low"].a.value == whole.resolution.low
    assert answer["resolution_ratio_high"].a.value == whole.resolution.high
    assert answer["handoff_ratio"].a.value == whole.handoffs.rate
    assert answer["low_confidence_ratio"].a.value == whole.confidence.low_rate


def test_without_data_everything_is_null(given: Given) -> None:
    """With sample sizes of 0."""
    answer = ask(given)
    for one in (*answer.rates, *answer.quantiles, *answer.means):
        assert (one.a.value, one.a.low, one.a.count) == (None, None, 0), one.figure
        assert one.verdict == "no data"


def test_a_conversation_of_both_groups_counts_in_both(given: Given) -> None:
    """Two models answered its turns; each turn counts where its model stands."""
    given.turn("both", 0, response_model="x")
    given.turn("both", 10, response_model="y")
    given.turn("one", 0, response_model="y")
    given.save()
    answer = ask(given, by="model", a="x", b="y")
    assert (answer.a.conversations, answer.b.conversations) == (1, 2)
    assert (answer.a.turns, answer.b.turns) == (1, 2)


MIRRORED = {"better": "worse", "worse": "better", "higher": "lower", "lower": "higher"}


@examples(6, 75)
@hypothesis.given(said=st.lists(TURNS, max_size=25))
def test_whatever_is_compared_the_sides_mirror_each_other(
    store: Store, said: list[dict[str, Any]]
) -> None:
    """Each value lies in its interval; b against a is a against b turned round; a is like a."""
    tenant = Given(store)
    for number, turn in enumerate(said):
        tenant.turn(f"{turn['variant']}{number}", number, **turn)
    tenant.save()
    there, back, same = (
        ask(tenant, by="variant", a=a, b=b) for a, b in (("a", "b"), ("b", "a"), ("a", "a"))
    )
    for one, other, alike in zip(
        (*there.rates, *there.quantiles, *there.means),
        (*back.rates, *back.quantiles, *back.means),
        (*same.rates, *same.quantiles, *same.means),
        strict=True,
    ):
        assert (one.a, one.b) == (other.b, other.a)
        assert one.verdict == MIRRORED.get(other.verdict, other.verdict)
        for side in (one.a, one.b):
            assert (side.value is None) == (side.count == 0)
            if side.value is not None and side.low is not None and side.high is not None:
                assert side.low - 1e-9 <= side.value <= side.high + 1e-9
        if one.difference is not None:
            assert one.difference == pytest.approx(-(other.difference or 0.0))
            assert alike.difference in {0, None}
        if one.difference_low is not None:
            assert one.difference_low == pytest.approx(-(other.difference_high or 0.0))
        assert alike.verdict in {"no clear difference", "no data"}


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"by": "agent"}, "a"),
        ({"by": "agent", "a": "x"}, "b"),
        ({"confidence": 0.5}, "confidence"),
    ],
)
def test_what_cannot_be_compared_is_refused(given: Given, asked: dict, field: str) -> None:
    """A group without a name, a level that says nothing."""
    with pytest.raises(QueryError) as raised:
        ask(given, **asked)
    assert raised.value.field == field


def dealt(given: Given, a: int, b: int, **columns: Any) -> None:
    for name, count in (("a", a), ("b", b)):
        for number in range(count):
            given.turn(f"{name}{number}", number, variant=name, **columns)
    given.save()


@pytest.mark.parametrize(
    ("a", "b", "planned", "p_value", "mismatch"),
    [
        (50, 50, 0.5, 1.0, False),
        (70, 30, 0.7, 1.0, False),
        (70, 30, 0.5, 6.334248e-05, True),  # chi-square of 16
        (60, 40, 0.5, 0.04550026, False),  # of 4
        (6, 3, 0.5, None, False),
    ],
)
def test_variants_that_were_not_dealt_as_planned_are_told(
    given: Given, a: int, b: int, planned: float, p_value: float | None, mismatch: bool
) -> None:
    """By the chi-square test, under 0.001; nothing where five are not expected in each."""
    dealt(given, a, b)
    found = ask(given, by="variant", a="a", b="b", planned=planned).sample_ratio
    assert found is not None
    assert (found.a, found.b, found.planned, found.mismatch) == (a, b, planned, mismatch)
    assert found.observed == pytest.approx(a / (a + b))
    assert found.p_value == (None if p_value is None else pytest.approx(p_value))


def test_people_are_dealt_and_not_their_conversations(given: Given) -> None:
    """A user with many conversations is one; one who is not known counts by conversation."""
    dealt(given, 20, 20)
    for number in range(60):
        given.turn(f"busy{number}", number, variant="a", user_hash="busy")
    given.save()
    found = ask(given, by="variant", a="a", b="b").sample_ratio
    assert found is not None
    assert (found.a, found.b, found.mismatch) == (21, 20, False)


def test_only_variants_are_dealt(arms: Given) -> None:
    """Other groups have no planned ratio; a share that is none is refused."""
    assert ask(arms).sample_ratio is None
    for planned in (0.0, 1.0, -1.0):
        with pytest.raises(QueryError, match="between 0 and 1"):
            ask(arms, by="variant", a="a", b="b", planned=planned)
