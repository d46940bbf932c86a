"""Values that hold others: found by their bytes, written as JSON."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given as generated
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from otel_chat.server.ingest.nested import flatten, may_hold
from tests.examples import examples
from tests.server.ingest.test_derived_turns import fill

SCALARS = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=300),
)
MAPS = st.dictionaries(
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1),
    st.recursive(
        SCALARS,
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", min_size=1), inner)
        ),
        max_leaves=8,
    ),
    min_size=1,
)


@examples(100, 2_000)
@generated(value=MAPS, before=st.integers(0, 3), within=st.booleans())
def test_any_map_is_found_and_written_as_json(
    value: dict[str, Any], before: int, within: bool
) -> None:
    """Alone or in a list, wherever it stands among attributes; those beside it stay."""
    span = Span(trace_id=bytes(16), name="x")
    for number in range(before):
        fill(span.attributes.add(key=f"k{number}").value, ["2", "\n*"])
    given: Any = [1, value] if within else value
    fill(span.attributes.add(key="map").value, given)
    assert may_hold(span.SerializeToString())
    flatten(span)
    *others, last = span.attributes
    assert json.loads(last.value.string_value) == given
    assert all(len(one.value.array_value.values) == 2 for one in others)


def test_a_text_that_would_grow_much_is_left_out() -> None:
    """Control characters take six places each in JSON: that is no way to fill the store."""
    span = Span()
    fill(span.attributes.add(key="map").value, {"a": "\x01" * 10_000})
    flatten(span)
    assert span.attributes[0].value == AnyValue()
