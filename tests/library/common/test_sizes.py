"""What is too large for the servers behind is cut, so that it can still be read."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common._internal import _encode_attributes

from otel_chat._common import otlp_values, sizes
from tests.examples import examples

LIMIT = 4000
LONG = st.builds(
    lambda text, times: text * times,
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=9),
    st.integers(1, 3000),
)
DATA = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), LONG),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=9), inner, max_size=4)
    ),
    max_leaves=8,
)
JSON = st.lists(DATA, max_size=4).map(lambda data: json.dumps(data, ensure_ascii=False))
VALUES = st.one_of(LONG, JSON, DATA, st.binary(max_size=9000), st.lists(LONG, max_size=3))
GROUPS = st.lists(st.dictionaries(st.text(max_size=9), VALUES, max_size=5), max_size=4)


def encoded(groups: Any) -> int:
    """Bytes of the attributes as the SDK sends them."""
    return sum(
        len(one.SerializeToString()) for group in groups for one in _encode_attributes(group) or ()
    )


def said(value: Any) -> bool:
    """Whether a value says that it was cut."""
    return "…[cut " in (value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


@given(GROUPS)
@examples(120)
def test_whatever_is_too_large_fits_says_so_and_json_stays_json(groups: Any) -> None:
    """Encoded, all are within the limit; what is not whole has a word; JSON can be read."""
    groups = [otlp_values.attributes(group) for group in groups]
    cut = sizes.fit(groups, LIMIT)
    assert encoded(cut) <= LIMIT
    for before, after in zip(groups, cut, strict=True):
        assert list(before) == list(after)
        for key, value in before.items():
            assert after[key] == value or said(after[key])
            if isinstance(value, str) and value[:1] in ("[", "{") and is_json(value):
                json.loads(after[key])


def is_json(text: str) -> bool:
    """Whether it can be read."""
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


@given(GROUPS)
@examples(40)
def test_what_fits_is_left_as_it_is(groups: Any) -> None:
    """The very same values."""
    groups = [otlp_values.attributes(group) for group in groups]
    assert sizes.fit(groups, 10_000_000) == groups


def test_the_longest_alone_are_cut_all_to_one_length() -> None:
    """A history of a few long messages keeps its short ones, and who said what."""
    texts = ["🙂" * 9000, "short", "é\n" * 9000]
    history = [{"role": "user", "parts": [{"type": "text", "content": text}]} for text in texts]
    given = {"gen_ai.input.messages": json.dumps(history), "gen_ai.agent.name": "support"}
    (cut,) = sizes.fit([given], 8000)
    assert cut["gen_ai.agent.name"] == "support"
    read = json.loads(cut["gen_ai.input.messages"])
    assert [message["role"] for message in read] == ["user"] * 3
    first, second, third = (message["parts"][0]["content"] for message in read)
    assert first.startswith("🙂" * 800)
    assert first.endswith("characters]")
    assert second == "short"
    assert third.startswith("é\n" * 800)
    assert third.endswith("characters]")


def test_numbers_alone_make_way_for_a_notice() -> None:
    """Of an embedding that nobody reads nothing is kept but the word; it is JSON too."""
    (cut,) = sizes.fit([{"vector": json.dumps([0.125] * 5000)}], LIMIT)
    assert said(json.loads(cut["vector"]))
