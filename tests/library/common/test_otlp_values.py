"""Values that OTLP can carry, made of any others."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common._internal import _encode_key_value

from otel_chat._common import otlp_values

HALF = json.loads('"nice \\ud83d"')
TEXTS = st.text(st.characters(codec=None), max_size=20)
SCALARS = st.one_of(
    st.none(), st.booleans(), TEXTS, st.floats(), st.integers(), st.binary(max_size=9),
    st.integers(-(2**70), 2**70), st.complex_numbers(), st.dates(),
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.one_of(TEXTS, st.integers()), inner, max_size=4),
    ),
    max_leaves=12,
)


class Hostile:
    """Raises whatever it is asked."""

    def __str__(self) -> str:
        raise OSError

    def __getattr__(self, name: str) -> Any:
        raise OSError


@given(TEXTS, VALUES)
def test_every_value_can_be_encoded(key: str, value: Any) -> None:
    """Whatever an attribute holds, the SDK's own encoder takes what is made of it."""
    found = otlp_values.attributes({key: value})
    assert len(found) == 1
    for name, made in found.items():
        _encode_key_value(name, made).SerializeToString()


@given(TEXTS)
def test_text_is_kept_but_for_what_utf_8_cannot_hold(text: str) -> None:
    """Only halves of characters and NUL are replaced; doing it twice changes nothing."""
    made = otlp_values.text(text)
    made.encode()
    assert "\0" not in made
    assert otlp_values.text(made) == made
    if "\0" not in text and not any("\ud800" <= c <= "\udfff" for c in text):
        assert made == text


@pytest.mark.parametrize(
    ("value", "made"),
    [
        (HALF, "nice \ufffd"),
        ("\ud83d\ude00", "\U0001f600"),
        ("a\0b", "a\ufffdb"),
        (2**63 - 1, 2**63 - 1),
        (-(2**63), -(2**63)),
        (2**63, "9223372036854775808"),
        (10**5000, "2^16610"),
        (math.nan, "NaN"),
        (-math.inf, "-Infinity"),
        ([HALF, 2**64, {"k": (math.inf,)}], ["nice \ufffd", str(2**64), {"k": ("Infinity",)}]),
        (Hostile(), "<Hostile>"),
        (b"\xff", b"\xff"),
    ],
    ids=range(12),
)
def test_what_becomes_of_a_value(value: Any, made: Any) -> None:
    """Halves become U+FFFD, numbers beyond 64 bits and no numbers text, the rest stays."""
    assert otlp_values.value(value) == made


def test_cycles_and_endless_data_end() -> None:
    """Data that holds itself, and more than 10,000 values, are cut off."""
    circle: list[Any] = []
    circle.append(circle)
    otlp_values.value(circle)
    assert len(otlp_values.value(list(range(20_000)))) == otlp_values.ITEMS - 1
