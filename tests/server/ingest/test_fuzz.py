"""Bodies that no exporter writes: what is stored is what was checked, whole or not at all."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from google.rpc.status_pb2 import Status
from hypothesis import example
from hypothesis import given as generated
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from otel_chat import semconv as sc
from tests.examples import examples
from tests.server.ingest.sending import NOON_NS, SECOND, Telemetry, conversations, put
from tests.server.ingest.test_exactly_once import answers, send
from tests.server.ingest.test_requests import post, rows, sender

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

    from otel_chat.server.store import Store

MONTH = 31 * 24 * 3600 * SECOND
YEAR_2001 = 978_307_200 * SECOND


@pytest.fixture
def sent() -> Telemetry:
    """A tenant of its own with nothing in it yet."""
    return Telemetry(conversations(0).tenant)


def framed(number: int, content: bytes) -> bytes:
    """A length-delimited field of protobuf's wire format."""
    length, encoded = len(content), bytearray()
    while length >> 7:
        encoded.append(length & 0x7F | 0x80)
        length >>= 7
    return bytes([number << 3 | 2, *encoded, length]) + content


def text(value: str) -> bytes:
    """The `value` of an attribute, as a text."""
    return framed(2, framed(1, value.encode()))


def named(tenant: str) -> dict[str, bytes]:
    """Resources that name a tenant in ways of writing that a parser reads as that tenant."""
    key, said = framed(1, sc.TENANT.encode()), framed(1, tenant.encode())
    plain = framed(1, key + text(tenant))
    return {
        "the value twice": framed(1, key + text("other") + text(tenant)),
        "the text twice": framed(1, key + framed(2, framed(1, b"other") + said)),
        "the key twice": framed(1, framed(1, b"other") + key + text(tenant)),
        "the value before the key": framed(1, text(tenant) + key),
        "a field that nobody knows": plain + framed(14, b"unknown"),
    }


@pytest.mark.parametrize("form", named(""))
def test_the_tenant_that_was_checked_is_the_one_that_is_written(
    client: TestClient, store: Store, sent: Telemetry, form: str
) -> None:
    """Fields that stand twice or in another order name the same tenant to check and store."""
    sent.turn(f"{sent.tenant}-c", 0)
    resource = named(sent.tenant)[form]
    assert Resource.FromString(resource).attributes[0].key == sc.TENANT
    scope = b"".join(framed(2, span.SerializeToString()) for span in sent.spans)
    body = framed(1, framed(1, resource) + framed(2, scope))
    assert post(client, body, **sender(client, sent.tenant, "b")).status_code == 200
    sql = "SELECT tenant FROM turns WHERE conversation_id = {c:String}"
    assert store.query(sql, {"c": f"{sent.tenant}-c"}) == [{"tenant": sent.tenant}]


def test_an_id_that_stands_twice_is_stored_as_it_was_checked(
    client: TestClient, store: Store, sent: Telemetry
) -> None:
    """The last one counts, as everywhere in protobuf."""
    span = sent.turn("c", 0)
    resource = sent.traces([]).resource_spans[0].resource.SerializeToString()
    doubled = framed(1, b"short") + span.SerializeToString()
    body = framed(1, framed(1, resource) + framed(2, framed(2, doubled)))
    assert post(client, body).status_code == 200
    (turn,) = rows(store, sent.tenant)
    assert turn["trace_id"] == span.trace_id


def test_a_body_may_span_all_the_years_that_are_taken(
    client: TestClient, store: Store, sent: Telemetry
) -> None:
    """A backfill of many years in one request is stored whole."""
    for number in range(150):
        span = sent.turn("c", number)
        span.start_time_unix_nano = YEAR_2001 + number * MONTH
        span.end_time_unix_nano = span.start_time_unix_nano + SECOND
    answer = post(client, sent.traces(sent.spans).SerializeToString())
    assert answer.status_code == 200, answer.content
    assert len(rows(store, sent.tenant)) == len(rows(store, sent.tenant, "spans")) == 150


def damaged(body: bytes, rng: random.Random) -> bytes:
    """A body with bytes changed, cut or doubled."""
    changed = bytearray(body)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(changed))
        match rng.randrange(3):
            case 0:
                changed[at] = rng.randrange(256)
            case 1:
                del changed[at : at + rng.randint(1, 9)]
            case _:
                changed[at:at] = changed[at : at + rng.randint(1, 9)]
    return bytes(changed)


def events(sent: Telemetry) -> bytes:
    """A body of three events."""
    for number in range(3):
        values = {sc.INTENT_NAME: "greet", sc.CONFIDENCE: 0.5, "flags": ["a", "b"]}
        sent.event(sc.EVENT_INTENT, "c", number, uid=number == 0, **values)
    return sent.logs(sent.events).SerializeToString()


def points(sent: Telemetry) -> bytes:
    """A body of three data points that are kept."""
    request = ExportMetricsServiceRequest()
    part = request.resource_metrics.add()
    put(part.resource, {"service.name": "bot", sc.TENANT: sent.tenant})
    metric = part.scope_metrics.add().metrics.add(name=sc.METRIC_PROCESS_MEMORY, unit="By")
    for number in range(3):
        metric.gauge.data_points.add(time_unix_nano=NOON_NS + number, as_double=1.5)
    return request.SerializeToString()


@pytest.mark.parametrize(
    ("signal", "table", "build"), [("logs", "events", events), ("metrics", "metrics", points)]
)
@examples(12, 150)
@generated(seed=st.integers(0, 2**32))
def test_damaged_events_and_metrics_are_taken_or_refused_whole(
    client: TestClient, store: Store, signal: str, table: str, build, seed: int
) -> None:
    """Bytes changed, cut or doubled by chance: 200 or 400, and after a 400 no row."""
    sent = Telemetry(conversations(0).tenant)
    answer = post(client, damaged(build(sent), random.Random(seed)), signal)
    assert answer.status_code in (200, 400), answer.content
    if answer.status_code == 400:
        assert Status.FromString(answer.content).message
        assert rows(store, sent.tenant, table) == []


HOSTILE = st.one_of(
    st.text(max_size=20),
    st.integers(-(2**63), 2**63 - 1),
    st.sampled_from([float("nan"), float("inf"), -float("inf"), 1e300, -1.0, 5e-324]),
    st.booleans(),
    st.binary(max_size=8),
    st.lists(st.text(max_size=5), max_size=3),
)
TYPED = [
    sc.CONFIDENCE, sc.FALLBACK, sc.INTENT_SUCCESS, sc.INTENT_NAME, sc.API_DURATION, sc.API_STATUS,
    sc.HANDOFF_WAIT, sc.EVALUATION_SCORE, sc.FEEDBACK_VALUE, sc.FEEDBACK_SCALE_MIN, sc.DATA,
    sc.EVENT_UID, sc.CONVERSATION_ID, sc.MESSAGE_TEXT, sc.OUTCOME,
]  # fmt: skip


@examples(12, 150)
@generated(values=st.dictionaries(st.sampled_from(TYPED), HOSTILE, max_size=8))
def test_attributes_of_any_type_never_lose_an_event(
    client: TestClient, store: Store, values: dict[str, object]
) -> None:
    """Whatever stands where a number, a flag or a text belongs, the event is stored, once."""
    sent = Telemetry(conversations(0).tenant)
    sent.event(sc.EVENT_API_CALL, "c", 0, uid=False, **values)
    body = sent.logs(sent.events).SerializeToString()
    assert post(client, body, "logs").status_code == 200
    assert post(client, body, "logs").status_code == 200
    (event,) = rows(store, sent.tenant, "events")
    assert event["confidence"] is None or 0 <= event["confidence"] <= 1
    assert event["score"] is None or 0 <= event["score"] <= 1
    assert event["duration"] is None or abs(event["duration"]) < float("inf")


TURN_TYPED = [
    sc.TIME_TO_FIRST_CHUNK, sc.CONFIDENCE, sc.FALLBACK, sc.COST_AMOUNT, sc.USAGE_INPUT_TOKENS,
    sc.USAGE_OUTPUT_TOKENS, sc.CONTEXT_SIZE, sc.TURN_INDEX, sc.HTTP_STATUS_CODE, sc.INTENT_NAME,
    sc.REQUEST_MODEL, sc.STATUS,
]  # fmt: skip


SAID: st.SearchStrategy[dict[str, object]] = st.dictionaries(
    st.sampled_from(TURN_TYPED), HOSTILE, min_size=1, max_size=8
)


@examples(1, 15)
@generated(turns=st.lists(SAID, min_size=1, max_size=4))
@example(turns=[{sc.TIME_TO_FIRST_CHUNK: float("nan")}])
@example(turns=[{sc.TIME_TO_FIRST_CHUNK: float("inf")}, dict.fromkeys(TURN_TYPED, 1e300)])
def test_attributes_of_any_type_leave_every_answer_readable(
    client: TestClient, store: Store, turns: list[dict[str, object]]
) -> None:
    """Whatever turns say of themselves, they are stored, and every address still answers."""
    sent = Telemetry(conversations(0).tenant)
    for number, values in enumerate(turns):
        sent.turn("conversation-1", number, **values)
    send(client, sent.requests())
    assert len(rows(store, sent.tenant)) == len(turns)
    answers(client, sent.tenant)
