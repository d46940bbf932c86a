"""`variant`: who gets what in an A/B test, and where it is noted."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from typing import Any

import pytest

from otel_chat import ConfigurationError, conversation, turn, variant
from otel_chat import semconv as sc
from otel_chat._turns.experiments import choose
from otel_chat.testing import Telemetry

PEOPLE = [f"user-{number}" for number in range(5000)]
THREE = {"a": 0.5, "b": 0.3, "c": 0.2}


def test_the_choice_is_the_same_in_every_release_and_process() -> None:
    """These were dealt by 0.2; another order of the weights and another hash seed change nothing.

    Who changes this list breaks every test that is running.
    """
    keys = ["ada", "bob", "c-1", 7, "łódź"]
    dealt = ["b", "a", "a", "b", "c"]
    assert [choose("greeting", THREE, key) for key in keys] == dealt
    assert [choose("greeting", dict(reversed(THREE.items())), key) for key in keys] == dealt
    code = (
        "import json, sys; from otel_chat._turns.experiments import choose;"
        "print(json.dumps([choose('greeting', {'c': 2, 'a': 5, 'b': 3}, k) for k in"
        " json.loads(sys.argv[1])]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(keys)], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == dealt


def test_people_are_dealt_by_the_weights() -> None:
    """Each share is within four standard deviations of its plan; a weight of 0 gets nobody."""
    found = Counter(choose("greeting", {**THREE, "off": 0}, one) for one in PEOPLE)
    assert set(found) == set(THREE)
    for name, share in THREE.items():
        deviation = (len(PEOPLE) * share * (1 - share)) ** 0.5
        assert abs(found[name] - len(PEOPLE) * share) < 4 * deviation


def test_another_variant_takes_people_and_moves_nobody_else() -> None:
    """Whoever moves goes to the new one, and about its share does; so does a greater weight."""
    before = {one: choose("greeting", {"a": 1, "b": 1}, one) for one in PEOPLE}
    after = {one: choose("greeting", {"a": 1, "b": 1, "c": 1}, one) for one in PEOPLE}
    moved = {one for one in PEOPLE if before[one] != after[one]}
    assert {after[one] for one in moved} == {"c"}
    assert abs(len(moved) / len(PEOPLE) - 1 / 3) < 0.03
    heavier = {one: choose("greeting", {"a": 1, "b": 3}, one) for one in PEOPLE}
    assert {heavier[one] for one in PEOPLE if heavier[one] != before[one]} == {"b"}


def test_tests_are_independent_of_each_other() -> None:
    """Who has a variant of one test is dealt by the weights in another."""
    of_a = [one for one in PEOPLE if choose("first", {"a": 1, "b": 1}, one) == "a"]
    share = sum(choose("second", {"a": 1, "b": 1}, one) == "a" for one in of_a) / len(of_a)
    assert abs(share - 0.5) < 0.04


def test_the_turn_carries_it_and_the_exposure_is_counted_once(telemetry: Telemetry) -> None:
    """Test and variant stand on the turn; asking again in it counts no second time."""
    with turn(agent="support", conversation_id="c"):
        assert {variant("greeting", {"short": 1}, key="ada") for _ in range(3)} == {"short"}
    assert telemetry.only_turn().attributes[sc.VARIANT] == "greeting:short"
    (point,) = telemetry.metric(sc.METRIC_EXPOSURES).points
    assert (point.value, point.attributes) == (
        1,
        {sc.AGENT_NAME: "support", sc.VARIANT: "greeting:short"},
    )


def test_turns_take_it_over_from_their_conversation(telemetry: Telemetry) -> None:
    """Asked for once in the conversation, outside of its turns."""
    with conversation("c", agent="support"):
        variant("greeting", {"warm": 1}, key="c")
        for _ in range(2):
            with turn():
                pass
    assert [t.attributes[sc.VARIANT] for t in telemetry.turns] == ["greeting:warm"] * 2
    assert telemetry.metric(sc.METRIC_EXPOSURES).total == 1


@pytest.mark.parametrize(
    ("experiment", "weights", "key", "said"),
    [
        ("", {"a": 1}, "k", "experiment must be a name of 1 to 60"),
        ("x" * 61, {"a": 1}, "k", "experiment must be"),
        ("x", {}, "k", "weights must map each variant"),
        ("x", ["a", "b"], "k", "weights must map each variant"),
        ("x", {"a": 0, "b": 0}, "k", "one must be more than 0"),
        ("x", {"a": -1, "b": 2}, "k", "that of 'a' must be a number of 0 or more, not -1"),
        ("x", {"a": float("nan")}, "k", "that of 'a' must be a number"),
        ("x", {"a": True}, "k", "that of 'a' must be a number"),
        ("x", {"a": "1"}, "k", "that of 'a' must be a number"),
        ("x", {"": 1}, "k", "a variant must be a name"),
        ("x", {"a": 1}, "", "key must be a text that is not empty"),
        ("x", {"a": 1}, None, "key must be a text that is not empty, a whole number or a UUID"),
    ],
)
def test_what_cannot_be_dealt_is_refused(
    experiment: str, weights: Any, key: Any, said: str
) -> None:
    """The message names the argument and what is allowed."""
    with pytest.raises(ConfigurationError, match=said):
        variant(experiment, weights, key=key)
