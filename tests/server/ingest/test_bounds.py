"""What a small body may cost: items and values are counted before they are read."""

from __future__ import annotations

import gzip
import resource
from typing import TYPE_CHECKING

import pytest

from otel_chat.errors import IngestError
from otel_chat.server.access import IngestGrant
from otel_chat.server.ingest import bodies, reading
from otel_chat.server.ingest.check import check_logs, check_traces
from otel_chat.server.ingest.metrics import read_metrics
from otel_chat.server.ingest.wire import framed
from tests.server.ingest.sending import NOON_NS
from tests.server.ingest.test_requests import JSON, post

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi.testclient import TestClient

ANY = IngestGrant(None)
TIME = NOON_NS.to_bytes(8, "little")
SPAN = framed(1, b"t" * 16) + framed(2, b"s" * 8) + b"\x39" + TIME + b"\x41" + TIME
MANY = bodies.UNPACKED_BYTES // 2 - 100
MEGABYTES = 300


def held(item: bytes) -> bytes:
    """A request of one item."""
    return framed(1, framed(2, framed(2, item)))


def one_resource(size: int, spans: int) -> bytes:
    text = framed(1, framed(2, framed(1, b"x" * size)))
    return framed(1, framed(1, text) + framed(2, framed(2, SPAN) * spans))


BOMBS: dict[str, Callable[[], bytes]] = {
    "groups": lambda: framed(1, b"") * MANY,
    "scopes": lambda: framed(1, framed(2, b"") * MANY),
    "items": lambda: framed(1, framed(2, framed(2, b"") * MANY)),
    "sound items": lambda: framed(1, framed(2, framed(2, SPAN) * 1_000_000)),
    "unknown fields": lambda: b"\x78\x01" * MANY,
    "attributes": lambda: held(SPAN + framed(9, b"") * MANY),
    "attributes of many": lambda: framed(
        1, framed(2, framed(2, SPAN + framed(9, b"") * 20_000) * 1500)
    ),
    "values": lambda: held(SPAN + framed(9, framed(2, framed(5, framed(1, b"") * MANY)))),
    "values of many": lambda: framed(
        1, framed(2, framed(2, SPAN + framed(9, framed(2, framed(5, b"\x0a\x00" * 20_000)))) * 1500)
    ),
    "events of a span": lambda: held(SPAN + framed(11, b"") * MANY),
    "one resource for all": lambda: one_resource(1_000_000, 1000),
}


@pytest.mark.parametrize("kind", BOMBS)
def test_a_body_that_would_fill_the_memory_is_refused(kind: str) -> None:
    """413 for the whole or a refusal of the one item; it takes no memory to find out."""
    body = BOMBS[kind]()
    assert len(gzip.compress(body, 1)) < len(body) / 50
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(IngestError) as refused:
        check_traces(body, bodies.PROTOBUF, ANY)
    assert refused.value.status in (400, 413)
    assert "more than" in str(refused.value) or "too much" in str(refused.value)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert (after - before) / 1024 < MEGABYTES


def test_points_of_metrics_are_counted_too() -> None:
    """Each is a row: a small body must not become millions of them."""
    point = framed(1, b"\x19" + TIME)
    metric = framed(1, b"process.a") + framed(5, point * 3000)
    body = framed(1, framed(2, framed(2, metric) * 40))
    with pytest.raises(IngestError) as refused:
        read_metrics(body, bodies.PROTOBUF, ANY)
    assert refused.value.status == 413


@pytest.mark.parametrize(
    "body",
    [
        b'{"resourceSpans":[' + b"{}," * (reading.ITEMS + 1) + b"{}]}",
        b'{"resourceSpans":[' + b"[[]]," * 300_000 + b"{}]}",
        b'{"resourceSpans":[' + b"1," * 5_000_000 + b"{}]}",
    ],
)
def test_json_of_too_many_objects_is_refused(body: bytes) -> None:
    """Each costs a multiple of its text."""
    with pytest.raises(IngestError) as refused:
        check_logs(body.replace(b"Spans", b"Logs"), bodies.JSON, ANY)
    assert refused.value.status == 413


def test_json_is_unpacked_no_further_than_its_own_limit(client: TestClient) -> None:
    """It takes more memory than protobuf does."""
    packed = gzip.compress(b" " * (bodies.JSON_BYTES + 1))
    answer = client.post("/v1/traces", content=packed, headers={**JSON, "content-encoding": "gzip"})
    assert answer.status_code == 413


def test_too_much_at_once_is_to_come_again(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503 with Retry-After; what is done with is room for others."""
    monkeypatch.setattr(bodies, "HELD_BYTES", 1000)
    for _ in range(3):
        assert post(client, b"", "traces").status_code == 200
        answer = post(client, framed(15, b"x" * 1001))
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert post(client, framed(15, b"x" * 900)).status_code == 200
