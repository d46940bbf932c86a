"""Settings and where they come from."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_chat import Config, ConfigurationError
from otel_chat.config import ENVIRONMENT, RANGES


def test_every_variable_sets_a_field() -> None:
    """The table of variables names fields that exist."""
    fields = {field.name for field in dataclasses.fields(Config)}
    assert {name for name, _ in ENVIRONMENT.values()} <= fields
    assert set(RANGES) <= fields


@pytest.mark.parametrize(
    ("raw", "expected"),
    [("SPAN_ONLY", True), ("SPAN_AND_EVENT", True), ("true", True), ("NO_CONTENT", False)],
)
def test_the_conventions_switch_for_content_is_honoured(raw: str, expected: bool) -> None:
    """The conventions' variable switches content capture; our own variable wins."""
    variable = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
    assert Config.from_env({variable: raw}).capture_content is expected
    ours = {variable: raw, "OTEL_CHAT_CAPTURE_CONTENT": "off"}
    assert Config.from_env(ours).capture_content is False


def test_arguments_win_over_the_environment() -> None:
    """What is given goes before a variable; None is not given."""
    environ = {"OTEL_CHAT_AGENT": "env", "OTEL_CHAT_KEEP_RATE": "0.5"}
    config = Config.from_env(environ, agent="code", keep_rate=None)
    assert (config.agent, config.keep_rate) == ("code", 0.5)


@pytest.mark.parametrize(
    ("variable", "raw"),
    [("OTEL_CHAT_KEEP_RATE", "often"), ("OTEL_CHAT_CAPTURE_CONTENT", "maybe"),
     ("OTEL_CHAT_QUEUE_SIZE", "1.5")],
)  # fmt: skip
def test_a_variable_that_cannot_be_read_is_named(variable: str, raw: str) -> None:
    """The message names the variable and what stands in it."""
    with pytest.raises(ConfigurationError, match=f"{variable}='{raw}'"):
        Config.from_env({variable: raw})


@given(name=st.sampled_from(sorted(RANGES)), value=st.floats(allow_nan=True))
def test_a_number_is_within_its_range_or_refused(name: str, value: float) -> None:
    """No setting takes a value outside the range that its documentation states."""
    low, high = RANGES[name]
    if low <= value <= high:
        assert getattr(Config(**{name: value}), name) == value  # type: ignore[arg-type]
    else:
        with pytest.raises(ConfigurationError, match=name):
            Config(**{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "known", [["a"], {"gen_ai.agent.name": "support"}, {1: ["a"]}, {"gen_ai.agent.name": [1.5]}]
)
def test_known_values_are_lists_of_names_by_attribute(known: Any) -> None:
    """A single text would be read letter by letter; it is refused in words."""
    with pytest.raises(ConfigurationError, match=r"known_values .*\['support', 'sales'\]"):
        Config(known_values=known)
    assert Config(known_values={"otel_chat.fallback": (True, False)})


def test_secrets_do_not_show() -> None:
    """The key of user hashes is not in what is printed of the settings."""
    assert "hush" not in repr(Config(user_hash_key="hush"))
