"""What the ingest takes, what it refuses, and that a refusal leaves nothing behind."""

from __future__ import annotations

import gzip
import json
import random
import zlib
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from google.protobuf.json_format import MessageToDict
from google.rpc.status_pb2 import Status
from hypothesis import given as generated
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from otel_chat import semconv as sc
from otel_chat.errors import StoreUnavailableError
from otel_chat.server.ingest.bodies import SENT_BYTES, UNPACKED_BYTES
from tests.examples import examples
from tests.server.ingest.sending import NOON_NS, PROTOBUF, Telemetry, conversations, put

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

    from otel_chat.server.store import Store

JSON = {"content-type": "application/json"}


@pytest.fixture
def sent() -> Telemetry:
    """A tenant of its own with nothing in it yet."""
    return Telemetry(conversations(0).tenant)


def rows(store: Store, tenant: str, table: str = "turns") -> list[dict[str, object]]:
    sql = f"SELECT * FROM {table} FINAL WHERE tenant = {{tenant:String}}"
    return store.query(sql, {"tenant": tenant})


def post(client: TestClient, body: bytes, signal: str = "traces", **headers: str):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.post(f"/v1/{signal}", content=body, headers={**PROTOBUF, **named})


def hexadecimal(document: object) -> object:
    """Protobuf's JSON with the ids as OTLP writes them."""
    import base64

    if isinstance(document, dict):
        return {
            key: base64.b64decode(value).hex() if key.endswith("Id") else hexadecimal(value)
            for key, value in document.items()
        }
    return [hexadecimal(item) for item in document] if isinstance(document, list) else document


def test_spans_are_on_disk_when_they_are_acknowledged(
    client: TestClient, store: Store, sent: Telemetry
) -> None:
    """200 with an empty answer, and the turn stands in its table with its types."""
    sent.turn("c", 0, **{sc.CONFIDENCE: 0.25, sc.USAGE_INPUT_TOKENS: 7, sc.COST_AMOUNT: 1.25e-5})
    answer = post(client, sent.traces(sent.spans).SerializeToString())
    assert answer.status_code == 200
    assert ExportTraceServiceResponse.FromString(answer.content) == ExportTraceServiceResponse()
    (turn,) = rows(store, sent.tenant)
    assert (turn["confidence"], turn["input_tokens"], str(turn["cost"])) == (
        0.25,
        7,
        "0.000012500",
    )
    assert turn["duration"] == 1.0


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        (1.5e-9, "0.000000002"), (2.5e-9, "0.000000002"), (2.5000000000000004e-9, "0.000000003"),
        (0.1234567899, "0.123456790"), ("0.12345678949999999999999", "0.123456789"),
        (1e-10, "0.000000000"), (7, "7.000000000"), (123456.123456789, "123456.123456789"),
    ],
)  # fmt: skip
def test_a_cost_is_rounded_half_even_to_a_billionth(
    client: TestClient, store: Store, sent: Telemetry, told: object, kept: str
) -> None:
    """As it is written: nothing is cut off."""
    sent.turn("c", 0, **{sc.COST_AMOUNT: told})
    post(client, sent.traces(sent.spans).SerializeToString())
    (turn,) = rows(store, sent.tenant)
    assert turn["cost"] == Decimal(kept)


def test_tokens_that_nobody_counted_are_absent(
    client: TestClient, store: Store, sent: Telemetry
) -> None:
    """The sum of such numbers would run over, and be a wrong one."""
    for number, tokens in enumerate((2**63 - 1, 2**63 - 1, 2**63 - 1, 1e300, "1e13", 7)):
        sent.turn("c", number, **{sc.USAGE_INPUT_TOKENS: tokens})
    post(client, sent.traces(sent.spans).SerializeToString())
    assert {turn["input_tokens"] for turn in rows(store, sent.tenant)} == {None, 7}


@pytest.mark.parametrize("encoding", ["", "gzip", "deflate"])
def test_json_and_what_is_packed_come_to_the_same_rows(
    client: TestClient, store: Store, sent: Telemetry, encoding: str
) -> None:
    """The same spans as JSON, plain or as an exporter packs them, are the same rows."""
    sent.turn("c", 0, **{sc.CONFIDENCE: 0.25, "list": ["a", "b"]})
    request = sent.traces(sent.spans)
    text = json.dumps(hexadecimal(MessageToDict(request))).encode()
    pack = {"gzip": gzip.compress, "deflate": zlib.compress}.get(encoding, bytes)
    told = {"content-encoding": encoding} if encoding else {}
    answer = client.post("/v1/traces", content=pack(text), headers={**JSON, **told})
    assert (answer.status_code, answer.json()) == (200, {})
    from_json = rows(store, sent.tenant), rows(store, sent.tenant, "spans")
    assert post(client, request.SerializeToString()).status_code == 200
    assert (rows(store, sent.tenant), rows(store, sent.tenant, "spans")) == from_json
    assert from_json[0][0]["attributes"]["list"] == '["a","b"]'


def test_an_empty_body_is_taken(client: TestClient) -> None:
    """Nothing to store is no error, in either form."""
    for signal in ("traces", "logs", "metrics"):
        assert post(client, b"", signal).status_code == 200
        assert client.post(f"/v1/{signal}", content=b"{}", headers=JSON).status_code == 200


FAULTS: dict[str, dict[str, object]] = {
    "trace_id": {"trace_id": b"short"},
    "trace_id:": {"trace_id": bytes(16)},
    "span_id": {"span_id": b""},
    "parent_span_id": {"parent_span_id": b"x"},
    "start_time_unix_nano": {"start_time_unix_nano": 0},
    "start_time_unix_nano:": {"start_time_unix_nano": 2**64 - 1},
    "end_time_unix_nano": {"end_time_unix_nano": 0},
    "end_time_unix_nano:": {"end_time_unix_nano": 2**63},
    "kind": {"kind": 9},
}


@pytest.mark.parametrize("field", FAULTS)
def test_a_malformed_span_is_refused_alone_and_named(
    client: TestClient, store: Store, sent: Telemetry, field: str
) -> None:
    """Partial success names the span and the field; the spans beside it are stored."""
    sent.turn("c", 0)
    bad = sent.turn("c", 1)
    for name, value in FAULTS[field].items():
        setattr(bad, name, value)
    answer = post(client, sent.traces(sent.spans).SerializeToString())
    assert answer.status_code == 200
    told = ExportTraceServiceResponse.FromString(answer.content).partial_success
    assert told.rejected_spans == 1
    place = "resource_spans[0].scope_spans[0].spans[2]."
    assert told.error_message.startswith(f"{place}{field.rstrip(':')}: ")
    assert (len(rows(store, sent.tenant)), len(rows(store, sent.tenant, "spans"))) == (1, 2)


@pytest.mark.parametrize(
    ("body", "headers", "status", "says"),
    [
        (b"\xff\xff", {}, 400, "ExportTraceServiceRequest"),
        (b"{", JSON, 400, "no JSON"),
        (b"[]", JSON, 400, "no JSON object"),
        (b'{"resourceSpans": 5}', JSON, 400, "does not fit"),
        (b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"xyz"}]}]}]}', JSON, 400,
         "resourceSpans[0].scopeSpans[0].spans[0].traceId"),
        (b'{"a":' * 2000, JSON, 400, "JSON"),
        (b"", {"content-type": "text/plain"}, 415, "content-type"),
        (b"", {"content-encoding": "br"}, 415, "gzip"),
        (b"no gzip", {"content-encoding": "gzip"}, 400, "gzip"),
        (gzip.compress(b"abc", mtime=0)[:-4], {"content-encoding": "gzip"}, 400, "ends early"),
        (gzip.compress(bytes(UNPACKED_BYTES + 1), mtime=0), {"content-encoding": "gzip"}, 413,
         "unpacks"),
        (bytes(SENT_BYTES + 1), {}, 413, "more than"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_with_the_reason(
    client: TestClient, body: bytes, headers: dict[str, str], status: int, says: str
) -> None:
    """Each kind of bad request has its status and says what to mend, in the form it came in."""
    answer = client.post("/v1/traces", content=body, headers={**PROTOBUF, **headers})
    assert answer.status_code == status
    if headers.get("content-type") == "application/json":
        assert says in answer.json()["message"]
    else:
        assert says in Status.FromString(answer.content).message


def test_a_store_that_is_away_asks_to_try_again(
    client: TestClient, sent: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503 with Retry-After, so that a collector keeps what it has."""

    def away(*_: object, **__: object) -> None:
        raise StoreUnavailableError("The disk is gone.", retry_after=7)

    monkeypatch.setattr(client.app.state.store, "insert_otlp", away)  # type: ignore[attr-defined]
    sent.turn("c", 0)
    answer = post(client, sent.traces(sent.spans).SerializeToString())
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "7")
    assert Status.FromString(answer.content).message == "The disk is gone."


def test_one_bad_body_does_not_refuse_those_that_were_joined_with_it(
    client: TestClient, store: Store, sent: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a joined insert fails each body is tried by itself, twice."""
    insert = client.app.state.store.insert_otlp  # type: ignore[attr-defined]
    calls = []

    def failing_once(table: str, block: bytes, *, message: str) -> None:
        calls.append(table)
        if len(calls) == 1:
            raise StoreUnavailableError("for a moment")
        insert(table, block, message=message)

    monkeypatch.setattr(client.app.state.store, "insert_otlp", failing_once)  # type: ignore[attr-defined]
    sent.turn("c", 0)
    assert post(client, sent.traces(sent.spans).SerializeToString()).status_code == 200
    assert len(calls) == 2
    assert len(rows(store, sent.tenant)) == 1


def test_a_log_that_is_no_event_is_counted_as_rejected(
    client: TestClient, store: Store, sent: Telemetry
) -> None:
    """Events are kept, by either way of naming them; plain logs are told back as not kept."""
    sent.event(sc.EVENT_TOPIC, "c", 0, **{sc.TOPIC_NAME: "prices"})
    sent.event("", "c", 1, **{"event.name": sc.EVENT_ACTION, sc.ACTION_TYPE: "click"})
    sent.event("", "c", 2, level="info")
    answer = post(client, sent.logs(sent.events).SerializeToString(), "logs")
    assert answer.status_code == 200
    partial = ExportLogsServiceResponse.FromString(answer.content).partial_success
    assert partial.rejected_log_records == 1
    assert "event name" in partial.error_message
    kept = {row["name"]: row for row in rows(store, sent.tenant, "events")}
    assert kept.keys() == {sc.EVENT_TOPIC, sc.EVENT_ACTION}
    assert kept[sc.EVENT_TOPIC]["topic"] == "prices"


def test_only_the_metrics_that_the_store_answers_for_are_kept(
    client: TestClient, store: Store, sent: Telemetry
) -> None:
    """`process.*` and `otel_chat.telemetry.*` are stored once; of the rest a warning is told."""
    request = ExportMetricsServiceRequest()
    part = request.resource_metrics.add()
    put(part.resource, {"service.name": "bot", sc.TENANT: sent.tenant})
    metrics = part.scope_metrics.add().metrics
    for name in ("process.memory.usage", "otel_chat.turn.duration", sc.METRIC_TELEMETRY_DROPPED):
        metric = metrics.add(name=name, unit="By")
        point = metric.gauge.data_points.add(time_unix_nano=NOON_NS, as_int=42)
        put(point, {"component": "delivery"})
    body = request.SerializeToString()
    for _ in range(2):
        answer = post(client, body, "metrics")
        partial = ExportMetricsServiceResponse.FromString(answer.content).partial_success
        assert (answer.status_code, partial.rejected_data_points) == (200, 0)
        assert "send the others to Prometheus" in partial.error_message
    kept = {row["name"]: row["value"] for row in rows(store, sent.tenant, "metrics")}
    assert kept == {"process.memory.usage": 42.0, sc.METRIC_TELEMETRY_DROPPED: 42.0}
    assert len(rows(store, sent.tenant, "metrics")) == 2


def sender(client: TestClient, *tenants: str) -> dict[str, str]:
    tokens = client.app.state.access.tokens  # type: ignore[attr-defined]
    made = tokens.create("sender", scopes=["ingest:write"], tenants=tenants)
    return {"authorization": f"Bearer {made.token}"}


def test_a_token_of_one_tenant_writes_that_one_whatever_the_telemetry_says(
    client: TestClient, store: Store, sent: Telemetry
) -> None:
    """Neither an attribute nor a hidden field of the body reaches another tenant."""
    own = f"{sent.tenant}-own"
    sent.turn("c", 0)
    body = sent.traces(sent.spans).SerializeToString()
    hidden = b"\xa2\x06" + bytes([len(sent.tenant)]) + sent.tenant.encode()
    for spoofed in (body, body + hidden, hidden + body, hidden + body + hidden):
        assert post(client, spoofed, **sender(client, own)).status_code == 200
    assert rows(store, sent.tenant) == []
    assert len(rows(store, own)) == 1


def test_a_token_of_several_tenants_lets_the_telemetry_choose_among_them(
    client: TestClient, store: Store, sent: Telemetry
) -> None:
    """A named tenant of the list is written; another, or none, is refused by name."""
    sent.turn("c", 0)
    body = sent.traces(sent.spans).SerializeToString()
    assert post(client, body, **sender(client, sent.tenant, "b")).status_code == 200
    assert len(rows(store, sent.tenant)) == 1
    for refused in (body, Telemetry("").traces(sent.spans).SerializeToString()):
        answer = post(client, refused, **sender(client, "a", "b"))
        assert answer.status_code == 403
        assert sc.TENANT in Status.FromString(answer.content).message
    assert rows(store, "a") == []


def test_without_a_token_telemetry_is_refused_in_its_own_form(client: TestClient) -> None:
    """401 as a status of OTLP, once a token exists."""
    sender(client, "a")
    answer = post(client, b"")
    assert answer.status_code == 401
    assert "token" in Status.FromString(answer.content).message


HOSTILE = st.one_of(
    st.text(max_size=20),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=True, allow_infinity=True),
    st.booleans(),
    st.binary(max_size=8),
    st.lists(st.text(max_size=5), max_size=3),
)
TYPED = [
    sc.CONFIDENCE, sc.FALLBACK, sc.COST_AMOUNT, sc.USAGE_INPUT_TOKENS, sc.TURN_INDEX, sc.CACHED,
    sc.CONTEXT_SIZE, sc.TIME_TO_FIRST_CHUNK, sc.HANDOFF_TRIGGERED, sc.STATUS, sc.HTTP_STATUS_CODE,
    sc.CONVERSATION_ID, sc.CHANNEL, sc.METADATA,
]  # fmt: skip


@examples(15, 200)
@generated(values=st.dictionaries(st.sampled_from(TYPED), HOSTILE, max_size=8))
def test_attributes_of_any_type_never_lose_a_turn(
    client: TestClient, store: Store, values: dict[str, object]
) -> None:
    """Whatever stands where a number, a flag or a text belongs, the turn is stored and in range."""
    sent = Telemetry(conversations(0).tenant)
    sent.turn("c", 0, **values)
    assert post(client, sent.traces(sent.spans).SerializeToString()).status_code == 200
    (turn,) = rows(store, sent.tenant)
    assert turn["confidence"] is None or 0 <= turn["confidence"] <= 1
    assert turn["cost"] is None or turn["cost"] >= 0
    assert turn["status"] in ("ok", "error", "cancelled")


@pytest.mark.parametrize(
    ("name", "column"),
    [
        (sc.TIME_TO_FIRST_CHUNK, "time_to_first_chunk"),
        (sc.CONFIDENCE, "confidence"),
        (sc.USAGE_INPUT_TOKENS, "input_tokens"),
        (sc.COST_AMOUNT, "cost"),
    ],
)
def test_what_cannot_be_below_zero_is_not_told_below_it(
    client: TestClient, store: Store, name: str, column: str
) -> None:
    """A clock that steps back and a wrong count leave the turn without that figure."""
    sent = Telemetry(conversations(0).tenant)
    sent.turn("c", 0, **{name: -1})
    assert post(client, sent.traces(sent.spans).SerializeToString()).status_code == 200
    (turn,) = rows(store, sent.tenant)
    assert turn[column] is None


@examples(50, 600)
@generated(seed=st.integers(0, 2**32))
def test_a_damaged_body_is_taken_or_refused_and_never_half_written(
    client: TestClient, store: Store, seed: int
) -> None:
    """Bytes changed, cut or doubled by chance: 200 or 400, and after a 400 no row."""
    rng = random.Random(seed)
    sent = Telemetry(conversations(0).tenant)
    for number in range(3):
        sent.turn("c", number)
    body = bytearray(sent.traces(sent.spans).SerializeToString())
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(body))
        match rng.randrange(3):
            case 0:
                body[at] = rng.randrange(256)
            case 1:
                del body[at : at + rng.randint(1, 9)]
            case _:
                body[at:at] = body[at : at + rng.randint(1, 9)]
    answer = post(client, bytes(body))
    assert answer.status_code in (200, 400), answer.content
    if answer.status_code == 400:
        assert Status.FromString(answer.content).message
        assert rows(store, sent.tenant) == []


def test_what_was_taken_and_refused_is_counted(client: TestClient, sent: Telemetry) -> None:
    """`/metrics` shows requests by signal and status, and what is on disk."""
    requests = 'otel_chat_server_ingest_requests_total{signal="traces",status="%s"}'
    names = (requests % 200, requests % 400, "otel_chat_server_ingest_items_total")

    def shown() -> list[float]:
        told = dict(line.rsplit(" ", 1) for line in client.get("/metrics").text.splitlines())
        return [float(told.get(name, 0)) for name in names]

    before = shown()
    sent.turn("c", 0)
    post(client, sent.traces(sent.spans).SerializeToString())
    post(client, b"\xff\xff")
    assert [now - then for now, then in zip(shown(), before, strict=True)] == [1, 1, 2]
