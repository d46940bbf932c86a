"""What a sender cannot do to the ingest: break it, hold it up, or reach another tenant."""

from __future__ import annotations

import asyncio
import copy
import gzip
import itertools
import json
from concurrent.futures import ThreadPoolExecutor
from threading import Event, current_thread
from typing import TYPE_CHECKING, Any

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
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from otel_chat import semconv as sc
from otel_chat.errors import StoreError
from otel_chat.server.app import READERS
from otel_chat.server.ingest.bodies import GZIP_MEMBERS
from otel_chat.server.ingest.metrics import NO_VALUE
from tests.examples import examples
from tests.server.ingest.sending import NOON_NS, SECOND, Telemetry, conversations, put
from tests.server.ingest.test_requests import JSON, hexadecimal, post, rows, sender
from tests.waiting import until

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

    from otel_chat.server.store import Store


@pytest.fixture
def sent() -> Telemetry:
    """A tenant of its own with nothing in it yet."""
    return Telemetry(conversations(0).tenant)


# Tenants

NO_TEXT = {
    "a number": AnyValue(int_value=7),
    "a flag": AnyValue(bool_value=True),
    "bytes": AnyValue(bytes_value=b"evil"),
    "a list": AnyValue(array_value={"values": [{"string_value": "evil"}]}),
}


@pytest.mark.parametrize("kind", NO_TEXT)
@pytest.mark.parametrize("of_resource", [False, True])
def test_a_tenant_that_is_no_text_is_refused_where_the_telemetry_chooses(
    client: TestClient, store: Store, sent: Telemetry, kind: str, *, of_resource: bool
) -> None:
    """It would be stored under its text, which no grant allows: 403, and no row anywhere."""
    span = sent.turn(f"{sent.tenant}-c", 0)
    request = sent.traces(sent.spans)
    if of_resource:
        del request.resource_spans[0].resource.attributes[:]
        request.resource_spans[0].resource.attributes.add(key=sc.TENANT, value=NO_TEXT[kind])
    else:
        span.attributes.add(key=sc.TENANT, value=NO_TEXT[kind])
        request = sent.traces(sent.spans)
    answer = post(client, request.SerializeToString(), **sender(client, sent.tenant, "b"))
    assert answer.status_code == 403
    assert sc.TENANT in Status.FromString(answer.content).message
    sql = "SELECT tenant FROM spans WHERE conversation_id = {c:String}"
    assert store.query(sql, {"c": f"{sent.tenant}-c"}) == []


@pytest.mark.parametrize("order", [("own", "evil"), ("evil", "own"), ("own", "own")])
def test_a_tenant_named_twice_is_refused_where_the_telemetry_chooses(
    client: TestClient, sent: Telemetry, order: tuple[str, str]
) -> None:
    """Which of the two counts must not hang on who reads them."""
    span = sent.turn("c", 0)
    for name in order:
        put(span, {sc.TENANT: sent.tenant if name == "own" else name})
    body = sent.traces(sent.spans).SerializeToString()
    assert post(client, body, **sender(client, sent.tenant, "b")).status_code == 403


def test_events_and_metrics_keep_to_the_tenants_of_the_token(
    client: TestClient, store: Store, sent: Telemetry
) -> None:
    """With several to choose from, another tenant's is refused on those addresses too."""
    sent.event(sc.EVENT_TOPIC, "c", 0)
    metrics = ExportMetricsServiceRequest()
    part = metrics.resource_metrics.add()
    put(part.resource, {sc.TENANT: sent.tenant})
    metric = part.scope_metrics.add().metrics.add(name="process.memory.usage")
    metric.gauge.data_points.add(time_unix_nano=NOON_NS, as_int=1)
    for signal, table, body in (
        ("logs", "events", sent.logs(sent.events).SerializeToString()),
        ("metrics", "metrics", metrics.SerializeToString()),
    ):
        refused = post(client, body, signal, **sender(client, "a", "b"))
        assert refused.status_code == 403
        assert sc.TENANT in Status.FromString(refused.content).message
        assert rows(store, sent.tenant, table) == []
        assert post(client, body, signal, **sender(client, "a", sent.tenant)).status_code == 200
        assert len(rows(store, sent.tenant, table)) == 1


# Log records

RECORD_FAULTS: dict[str, dict[str, object]] = {
    "time_unix_nano": {"time_unix_nano": 5},
    "time_unix_nano:": {"time_unix_nano": 2**63},
    "trace_id": {"trace_id": b"short"},
    "span_id": {"span_id": b"x"},
    "severity_number": {"severity_number": 25},
}


@pytest.mark.parametrize("field", RECORD_FAULTS)
def test_a_malformed_event_is_refused_alone_and_named(
    client: TestClient, store: Store, sent: Telemetry, field: str
) -> None:
    """Partial success names the record and the field; the good event is kept."""
    sent.event(sc.EVENT_TOPIC, "c", 0)
    bad = sent.event(sc.EVENT_TOPIC, "c", 1)
    for name, value in RECORD_FAULTS[field].items():
        setattr(bad, name, value)
    answer = post(client, sent.logs(sent.events).SerializeToString(), "logs")
    assert answer.status_code == 200
    told = ExportLogsServiceResponse.FromString(answer.content).partial_success
    assert told.rejected_log_records == 1
    place = "resource_logs[0].scope_logs[0].log_records[1]."
    assert told.error_message.startswith(f"{place}{field.rstrip(':')}: ")
    assert len(rows(store, sent.tenant, "events")) == 1


def test_an_event_without_a_time_has_the_time_it_was_observed(
    client: TestClient, store: Store, sent: Telemetry
) -> None:
    """As OTLP says for records whose own time is unknown."""
    record = sent.event(sc.EVENT_TOPIC, "c", 0)
    record.time_unix_nano, record.observed_time_unix_nano = 0, NOON_NS
    assert post(client, sent.logs(sent.events).SerializeToString(), "logs").status_code == 200
    (row,) = rows(store, sent.tenant, "events")
    assert row["time"].timestamp() * 1e9 == NOON_NS  # type: ignore[attr-defined]


# Metrics


def _metrics(sent: Telemetry) -> tuple[ExportMetricsServiceRequest, Any]:
    request = ExportMetricsServiceRequest()
    part = request.resource_metrics.add()
    put(part.resource, {sc.TENANT: sent.tenant})
    return request, part.scope_metrics.add().metrics


def test_a_histogram_is_kept_as_its_sum_and_its_count(
    client: TestClient, store: Store, sent: Telemetry
) -> None:
    """A sum that was not sent is no row, rather than a zero that nobody measured."""
    request, metrics = _metrics(sent)
    for name, values in (("process.a", {"sum": 4.5, "count": 3}), ("process.b", {"count": 2})):
        points = metrics.add(name=name).histogram.data_points
        points.add(time_unix_nano=NOON_NS, **values)
    assert post(client, request.SerializeToString(), "metrics").status_code == 200
    kept = {row["name"]: row["value"] for row in rows(store, sent.tenant, "metrics")}
    assert kept == {"process.a.sum": 4.5, "process.a.count": 3.0, "process.b.count": 2.0}


def test_a_point_without_a_value_is_no_row(
    client: TestClient, store: Store, sent: Telemetry
) -> None:
    """Neither where the sender says that nothing was recorded nor where the value is missing."""
    request, metrics = _metrics(sent)
    points = metrics.add(name="process.a").gauge.data_points
    points.add(time_unix_nano=NOON_NS, flags=NO_VALUE)
    points.add(time_unix_nano=NOON_NS + SECOND)
    points.add(time_unix_nano=NOON_NS + 2 * SECOND, as_double=0.0)
    assert post(client, request.SerializeToString(), "metrics").status_code == 200
    assert [row["value"] for row in rows(store, sent.tenant, "metrics")] == [0.0]


def test_a_malformed_data_point_is_refused_alone_and_named(
    client: TestClient, store: Store, sent: Telemetry
) -> None:
    """Partial success has the place of the point that has no time; the one beside it is kept."""
    request, metrics = _metrics(sent)
    points = metrics.add(name="process.a").sum.data_points
    points.add(as_int=1)
    points.add(as_int=2, time_unix_nano=NOON_NS)
    answer = post(client, request.SerializeToString(), "metrics")
    place = "resource_metrics[0].scope_metrics[0].metrics[0].sum.data_points[0].time_unix_nano: "
    assert answer.status_code == 200
    told = ExportMetricsServiceResponse.FromString(answer.content).partial_success
    assert told.rejected_data_points == 1
    assert told.error_message.startswith(place)
    assert [row["value"] for row in rows(store, sent.tenant, "metrics")] == [2.0]


# Bodies


def test_gzip_of_endlessly_many_parts_is_refused(client: TestClient) -> None:
    """Several parts are unpacked; so many that each would cost a copy of the rest are not."""
    part = gzip.compress(b"")
    packed = {"content_encoding": "gzip"}
    assert post(client, part * GZIP_MEMBERS, **packed).status_code == 200
    answer = post(client, part * (GZIP_MEMBERS + 1), **packed)
    assert answer.status_code == 400
    assert "members" in Status.FromString(answer.content).message


@pytest.mark.parametrize("packed", [False, True])
def test_a_large_body_is_checked_like_a_small_one(
    client: TestClient, store: Store, sent: Telemetry, *, packed: bool
) -> None:
    """Each span is taken or refused by the same rules, packed or not."""
    for number in range(400):
        sent.turn("c", number, noise=Telemetry(str(number)).tenant * 50)
    headers = {"content_encoding": "gzip"} if packed else {}

    def send() -> Any:
        body = sent.traces(sent.spans).SerializeToString()
        return post(client, gzip.compress(body) if packed else body, **headers)

    sent.spans[-1].kind = 9
    answer = send()
    assert answer.status_code == 200
    told = ExportTraceServiceResponse.FromString(answer.content).partial_success
    assert (told.rejected_spans, "spans[799].kind: " in told.error_message) == (1, True)
    assert len(rows(store, sent.tenant)) == 400
    assert len(rows(store, sent.tenant, "spans")) == 399


def test_a_whole_surrogate_pair_is_text(client: TestClient, store: Store, sent: Telemetry) -> None:
    """The escaped form of what lies beyond the basic plane is read as it was meant."""
    sent.turn("\N{GRINNING FACE}", 0)
    text = json.dumps(hexadecimal(MessageToDict(sent.traces(sent.spans))))
    assert "\\ud83d" in text
    assert client.post("/v1/traces", content=text, headers=JSON).status_code == 200
    assert [row["conversation_id"] for row in rows(store, sent.tenant)] == ["\N{GRINNING FACE}"]


def test_a_refusal_does_not_send_back_all_that_was_sent(client: TestClient) -> None:
    """A message may quote the body, but only so much of it."""
    text = json.dumps({"resourceSpans": "x" * 100_000})
    assert len(client.post("/v1/traces", content=text, headers=JSON).content) < 2000


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every place of a JSON document, as what holds it and the key or index."""
    keys = value if isinstance(value, dict) else range(len(value) if isinstance(value, list) else 0)
    return [found for key in keys for found in ((value, key), *places(value[key]))]


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["traceId", "key", "", "values"]), inner, max_size=2)
    ),
    max_leaves=4,
)


@examples(60, 750)
@generated(data=st.data())
def test_damaged_json_is_taken_or_refused_and_never_half_written(
    client: TestClient, store: Store, data: st.DataObject
) -> None:
    """Anything at all in any place of the document: 200 or 400, and after a 400 no row."""
    sent = Telemetry(conversations(0).tenant)
    sent.turn("c", 0, list=["a"])
    sent.turn("c", 1)
    document = hexadecimal(MessageToDict(sent.traces(sent.spans)))
    for _ in range(data.draw(st.integers(1, 2))):
        holder, key = data.draw(st.sampled_from(places(document)))
        holder[key] = copy.deepcopy(data.draw(ODD))
    answer = client.post("/v1/traces", content=json.dumps(document), headers=JSON)
    assert answer.status_code in (200, 400), answer.text
    if answer.status_code == 400:
        assert answer.json()["message"]
        assert rows(store, sent.tenant, "spans") == []


# Failures


def test_a_store_that_fails_otherwise_is_asked_again_too(
    client: TestClient, sent: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503 and Retry-After also while the token is looked up: after 500 a collector drops it."""

    def failing(*_: object, **__: object) -> None:
        raise StoreError("The table is broken.")

    monkeypatch.setattr(client.app.state.store, "query", failing)  # type: ignore[attr-defined]
    sent.turn("c", 0)
    answer = post(client, sent.traces(sent.spans).SerializeToString())
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0


def test_a_fault_of_the_server_is_told_without_its_inside(
    client: TestClient, sent: Telemetry, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    """500 in OTLP's form; what happened stands in the log alone, and the answer is counted."""

    async def broken(_: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(client.app.state.committer, "commit", broken)  # type: ignore[attr-defined]
    sent.turn("c", 0)
    answer = post(client, sent.traces(sent.spans).SerializeToString())
    assert (answer.status_code, Status.FromString(answer.content).code) == (500, 13)
    assert "secret" not in answer.text
    assert "secret detail" in caplog.text
    counted = 'otel_chat_server_ingest_requests_total{signal="traces",status="500"} 1.0'
    assert counted in client.get("/metrics").text


async def test_a_sender_that_leaves_in_the_middle_is_no_fault(
    client: TestClient, caplog: Any
) -> None:
    """Its body is dropped, nothing is stored, and the log stays silent."""
    parts = iter(
        [{"type": "http.request", "body": b"\n", "more_body": True}, {"type": "http.disconnect"}]
    )
    answers: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return next(parts)

    async def send(message: dict[str, Any]) -> None:
        answers.append(message)

    scope = {
        "type": "http", "method": "POST", "path": "/v1/traces", "query_string": b"",
        "headers": [(b"host", b"127.0.0.1:8400"), (b"content-type", b"application/x-protobuf")],
        "scheme": "http", "server": ("127.0.0.1", 8400), "http_version": "1.1", "root_path": "",
    }  # fmt: skip
    await asyncio.wait_for(client.app(scope, receive, send), 30)
    assert answers[0]["status"] == 499
    assert caplog.text == ""


def test_slow_queries_do_not_hold_up_telemetry(
    client: TestClient, store: Store, sent: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With every thread of the queries taken, small and large bodies are stored all the same."""
    sent.turn("small", 0)
    small = sent.traces(sent.spans).SerializeToString()
    sent.turn("large", 1, noise="x" * 200_000)
    large = sent.traces(sent.spans).SerializeToString()
    query, go_on, waiting = store.query, Event(), itertools.count(1)
    reached: list[int] = []

    def slow(sql: str, *args: Any, **named: Any) -> Any:
        ours = current_thread().name.startswith("otel-chat-")
        if "FROM tokens" not in sql and not ours and not go_on.is_set():
            reached.append(next(waiting))
            assert go_on.wait(60)
        return query(sql, *args, **named)

    monkeypatch.setattr(client.app.state.store, "query", slow)  # type: ignore[attr-defined]
    with ThreadPoolExecutor(READERS + 4) as pool:
        asked = [pool.submit(client.get, "/api/v1/overview") for _ in range(READERS + 4)]
        try:
            until(lambda: len(reached) == READERS)
            assert [post(client, body).status_code for body in (small, large)] == [200, 200]
        finally:
            go_on.set()
        assert {one.result(60).status_code for one in asked} == {200}
    assert len(rows(store, sent.tenant)) == 2


def test_what_is_not_kept_is_counted_by_signal(client: TestClient, sent: Telemetry) -> None:
    """`/metrics` shows what of accepted requests is faulty, or of no kept kind."""
    sent.event("", "c", 0)
    sent.event("", "c", 1)
    request, metrics = _metrics(sent)
    metrics.add(name="http.x").gauge.data_points.add(time_unix_nano=NOON_NS, as_int=1)
    bad = sent.turn("c", 0)
    bad.kind = 9

    def counted(signal: str) -> float:
        name = f'otel_chat_server_ingest_rejected_items_total{{signal="{signal}"}} '
        _, _, after = client.get("/metrics").text.partition(name)
        return float(after.partition("\n")[0] or 0)

    signals = ("traces", "logs", "metrics")
    before = [counted(signal) for signal in signals]
    post(client, sent.traces(sent.spans).SerializeToString())
    post(client, sent.logs(sent.events).SerializeToString(), "logs")
    post(client, request.SerializeToString(), "metrics")
    assert [counted(signal) - was for signal, was in zip(signals, before, strict=True)] == [1, 2, 1]
