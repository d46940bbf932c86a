"""A token of two tenants writes into those two, however the bytes are twisted."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from hypothesis import given as generated
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otel_chat import semconv as sc
from otel_chat.server.ingest.wire import framed, varint
from tests.examples import examples
from tests.server.ingest.sending import NOON_NS, digest
from tests.server.ingest.test_requests import post, sender

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

    from otel_chat.server.store import Store

MINE = ("7001", "7002")
# What numbers come to where a text is read out of them, and a text as it is.
THEIRS = (7003, 0x39_39_39_39, b"7003", sc.TENANT.encode())
ITEMS = 3
TIME = NOON_NS.to_bytes(8, "little")


class Twisted:
    """Writes messages of OTLP in which fields stand twice, elsewhere, and in other wire types.

    Args:
        seed: Of what it does.
    """

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)
        # What the engine chokes on hides what it would have read.
        self._calm = self._rng.choice((3, 30, 1000))

    def odd(self) -> bytes:
        """A field that is known by its number but of another wire type, or not known at all."""
        value = self._rng.choice(THEIRS)
        if isinstance(value, int):
            number = self._rng.choice((1, 2, 4, 5, 9, 10, 12, 100))
            return self._rng.choice(
                (
                    varint(number << 3) + varint(value),
                    varint(number << 3 | 1) + value.to_bytes(8, "little"),
                    varint(number << 3 | 5) + value.to_bytes(4, "little"),
                )
            )
        tenant = framed(1, sc.TENANT.encode()) + framed(2, framed(1, b"7003"))
        inside = self._rng.choice((framed(1, value), framed(9, tenant), tenant))
        number = self._rng.choice((1, 2, 4, 5, 9, 100))
        return self._rng.choice((framed(100, inside), framed(30, inside), grouped(number, inside)))

    def mixed(self, *parts: bytes) -> bytes:
        """Fields of a message, with odd ones before, between and after them."""
        made = [part for one in parts for part in (one, *self._some())]
        return b"".join((*self._some(), *made))

    def _some(self) -> list[bytes]:
        return [self.odd() for _ in range(self._rng.choice((0,) * self._calm + (1, 2)))]

    def attribute(self, key: str, value: bytes) -> bytes:
        """A `KeyValue` with a text."""
        return self.mixed(framed(1, key.encode()), framed(2, self.mixed(framed(1, value))))

    def tenant(self, number: int) -> bytes:
        """Attributes, of this field's number, that name a tenant of the token or hide another's."""
        key, hidden = framed(1, sc.TENANT.encode()), framed(1, b"7003")
        mine = self.attribute(sc.TENANT, self._rng.choice(MINE).encode())
        forms = (
            framed(number, mine),
            b"",
            framed(number, key + framed(2, varint(1 << 3 | 5) + b"7003")),
            framed(number, key + framed(2, varint(1 << 3 | 1) + b"00007003")),
            framed(number, key + framed(2, framed(3, varint(7003)))),
            framed(number, key + framed(2, framed(4, TIME))),
            framed(number, key + grouped(2, hidden)),
            grouped(number, key + framed(2, hidden)),
            framed(number, key + framed(2, self.odd())),
            framed(number, self.odd() + framed(2, hidden)),
        )
        return self._rng.choice(forms)

    def body(self, signal: str, conversation: str) -> bytes:
        """A request of some items, each in its own group."""
        groups = []
        for number in range(ITEMS):
            named = self.attribute(sc.TENANT, self._rng.choice(MINE).encode())
            resource = self.mixed(framed(1, named))
            make = self._span if signal == "traces" else self._record
            item = make(digest(conversation, number, size=16))
            scope = self.mixed(framed(1, self.mixed(framed(1, b"s"))), framed(2, item))
            groups.append(framed(1, self.mixed(framed(1, resource), framed(2, scope))))
        return self._rng.choice((self.mixed, lambda *parts: b"".join(parts)))(*groups)

    def _span(self, trace: bytes) -> bytes:
        times = b"\x39" + TIME, b"\x41" + TIME
        ids = framed(1, trace), framed(2, trace[:8])
        return self.mixed(*ids, framed(5, b"n"), *times, self.tenant(9))

    def _record(self, trace: bytes) -> bytes:
        return self.mixed(b"\x09" + TIME, framed(9, trace), framed(12, b"topic"), self.tenant(6))


def grouped(number: int, content: bytes) -> bytes:
    """A group, which OTLP has none of."""
    return varint(number << 3 | 3) + content + varint(number << 3 | 4)


def named(attributes: object) -> str:
    values = [one.value.string_value for one in attributes if one.key == sc.TENANT]  # type: ignore[attr-defined]
    return values[0] if values else ""


def seen(signal: str, body: bytes) -> dict[str, str]:
    """The tenant of each trace as protobuf's own parser reads it."""
    found = {}
    if signal == "traces":
        for part in ExportTraceServiceRequest.FromString(body).resource_spans:
            for scope in part.scope_spans:
                for span in scope.spans:
                    own = named(span.attributes) or named(part.resource.attributes)
                    found[span.trace_id.hex()] = own
        return found
    for group in ExportLogsServiceRequest.FromString(body).resource_logs:
        for logs in group.scope_logs:
            for record in logs.log_records:
                own = named(record.attributes) or named(group.resource.attributes)
                found[record.trace_id.hex()] = own
    return found


@pytest.mark.parametrize(("signal", "table"), [("traces", "spans"), ("logs", "events")])
@examples(30, 300)
@generated(seed=st.integers(0, 2**32))
def test_no_row_stands_in_a_tenant_that_the_token_does_not_list(
    client: TestClient, store: Store, signal: str, table: str, seed: int
) -> None:
    """What is stored is in the tenant that protobuf's parser saw, which is one of the token's."""
    conversation = uuid4().hex
    body = Twisted(seed).body(signal, conversation)
    expected = seen(signal, body)
    answer = post(client, body, signal, **sender(client, *MINE))
    assert answer.status_code in (200, 403), answer.content
    ids = [digest(conversation, number, size=16).hex() for number in range(ITEMS)]
    found = store.query(
        f"SELECT lower(hex(trace_id)) AS id, tenant FROM {table}"
        " WHERE has({ids:Array(String)}, lower(hex(trace_id)))",
        {"ids": ids},
    )
    stored = {str(row["id"]): str(row["tenant"]) for row in found}
    assert set(stored.values()) <= set(MINE)
    assert stored == {one: expected[one] for one in stored}
    assert answer.status_code == 200 or not stored
