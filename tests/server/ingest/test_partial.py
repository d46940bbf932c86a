"""One bad span, record or attribute costs only itself, in protobuf and in JSON alike."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf.json_format import MessageToDict
from google.rpc.status_pb2 import Status
from hypothesis import given as generated
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from otel_chat import semconv as sc
from otel_chat.errors import IngestError
from otel_chat.server.access import IngestGrant
from otel_chat.server.ingest import bodies
from otel_chat.server.ingest.check import Batch, check_traces
from otel_chat.server.ingest.wire import framed
from tests.examples import examples
from tests.server.ingest.sending import NOON_NS, SECOND, Telemetry, conversations, put
from tests.server.ingest.test_requests import JSON, hexadecimal, post, rows

if TYPE_CHECKING:
    from fastapi.testclient import TestClient
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

    from otel_chat.server.store import Store

ANY = IngestGrant(None)
LOST = "\N{REPLACEMENT CHARACTER}"


@pytest.fixture
def sent() -> Telemetry:
    """A tenant of its own with nothing in it yet."""
    return Telemetry(conversations(0).tenant)


def checked(body: bytes, kind: str = bodies.PROTOBUF) -> tuple[Batch, list[Span]]:
    """What may be stored of a body, and the spans in it."""
    batch = check_traces(body, kind, ANY)
    found = ExportTraceServiceRequest.FromString(b"".join(batch.bodies))
    return batch, [
        span for part in found.resource_spans for scope in part.scope_spans for span in scope.spans
    ]


def document(sent: Telemetry) -> dict[str, Any]:
    """The spans as OTLP's JSON."""
    made: Any = hexadecimal(MessageToDict(sent.traces(sent.spans)))
    return made


def spans_of(made: dict[str, Any]) -> list[dict[str, Any]]:
    spans: list[dict[str, Any]] = made["resourceSpans"][0]["scopeSpans"][0]["spans"]
    return spans


def texts(span: Span) -> dict[str, str]:
    return {one.key: one.value.string_value for one in span.attributes}


# Times


def test_a_span_that_ends_before_it_starts_ends_when_it_starts_and_is_marked(
    client: TestClient, store: Store, sent: Telemetry
) -> None:
    """A clock that was set back leaves the turn in its place, with no length, and says so."""
    turn = sent.turn("c", 0)
    turn.end_time_unix_nano = turn.start_time_unix_nano - 1000
    answer = post(client, sent.traces(sent.spans).SerializeToString())
    assert ExportTraceServiceResponse.FromString(answer.content) == ExportTraceServiceResponse()
    (row,) = rows(store, sent.tenant)
    assert (row["start"], row["duration"]) == (row["end"], 0.0)
    assert row["attributes"][sc.CLOCK_ADJUSTED] == "true"
    (inside,) = rows(store, sent.tenant, "spans")
    assert sc.CLOCK_ADJUSTED not in inside["attributes"]


@examples(40, 300)
@generated(start=st.integers(0, 2**64 - 1), end=st.integers(0, 2**64 - 1))
def test_a_span_is_kept_in_order_or_refused(start: int, end: int) -> None:
    """Whatever its times, what is kept of it lies from 2000 to 2100 and ends after its start."""
    sent = Telemetry("t")
    good = sent.turn("c", 0)
    bad = sent.turn("c", 1)
    bad.start_time_unix_nano, bad.end_time_unix_nano = start, end
    batch, spans = checked(sent.traces([good, bad]).SerializeToString())
    assert (batch.items, batch.rejected) in ((2, 0), (1, 1))
    assert spans[0] == good
    for span in spans[1:]:
        assert span.start_time_unix_nano == start
        assert span.end_time_unix_nano == max(start, end)
        assert (sc.CLOCK_ADJUSTED in texts(span)) == (end < start)


def test_an_event_without_any_time_has_that_of_its_arrival(
    client: TestClient, store: Store, sent: Telemetry
) -> None:
    """Zero means unknown; nothing of the request is lost for it."""
    sent.event(sc.EVENT_TOPIC, "c", 0)
    for number in (1, 2):
        record = sent.event(sc.EVENT_TOPIC, "c", number)
        record.time_unix_nano, record.observed_time_unix_nano = 0, NOON_NS * (number - 1)
    before = time.time_ns()
    answer = post(client, sent.logs(sent.events).SerializeToString(), "logs")
    assert ExportLogsServiceResponse.FromString(answer.content) == ExportLogsServiceResponse()
    times = sorted(row["time"].timestamp() for row in rows(store, sent.tenant, "events"))  # type: ignore[attr-defined]
    assert len(times) == 3
    assert times[0] == NOON_NS / SECOND
    arrived = [one for one in times if before / SECOND - 1 <= one <= time.time() + 1]
    assert len(arrived) == 1


# Texts


def test_half_a_surrogate_pair_in_json_is_replaced(
    client: TestClient, store: Store, sent: Telemetry
) -> None:
    """The attribute and all others stay; what only looks escaped is left as it is."""
    sent.turn("c", 0, half="X", whole="\N{GRINNING FACE}", escaped="Y")
    text = json.dumps(document(sent))
    text = text.replace('"X"', '"a\\ud83db"').replace('"Y"', '"\\\\ud83d"')
    answer = client.post("/v1/traces", content=text, headers=JSON)
    assert (answer.status_code, answer.json()) == (200, {})
    kept = rows(store, sent.tenant)[0]["attributes"]
    assert (kept["half"], kept["whole"], kept["escaped"]) == (
        f"a{LOST}b", "\N{GRINNING FACE}", "\\ud83d",
    )  # fmt: skip


@examples(40, 300)
@generated(st.text(st.characters(codec=None, exclude_categories=()), max_size=8))
def test_any_text_in_json_is_kept_as_far_as_it_is_one(value: str) -> None:
    """Half pairs are replaced, whatever stands around them, in keys and names as in values."""
    sent = Telemetry("t")
    sent.turn("c", 0)
    made = document(sent)
    spans_of(made)[0] |= {"name": value}
    spans_of(made)[0]["attributes"].append({"key": f"k{value}", "value": {"stringValue": value}})
    batch, spans = checked(json.dumps(made).encode(), bodies.JSON)
    whole = value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    assert (batch.rejected, batch.message, len(spans)) == (0, "", 2)
    assert len(spans[0].name) == len(json.loads(json.dumps(value)))
    if LOST not in whole:
        assert spans[0].name == texts(spans[0])[f"k{whole}"] == whole


@pytest.mark.parametrize("raw", [b"\xed\xa0\xbd", b"\xff", b"a\xc3"])
def test_bytes_that_are_no_text_are_replaced_in_protobuf(raw: bytes) -> None:
    """In a name, a key, a value or a resource: neither the span nor its neighbours are lost."""
    sent = Telemetry("t")
    good, bad = sent.turn("c", 0), sent.turn("c", 1)
    attribute = framed(1, b"k" + raw) + framed(2, framed(1, raw))
    broken = bad.SerializeToString() + framed(5, raw) + framed(9, attribute)
    resource = framed(1, framed(1, framed(1, b"service.name") + framed(2, framed(1, raw))))
    held = framed(2, framed(2, good.SerializeToString()) + framed(2, broken))
    batch, spans = checked(framed(1, resource + held))
    assert (batch.items, batch.rejected) == (2, 0)
    assert spans[0] == good
    assert spans[1].name == raw.decode(errors="replace")
    assert texts(spans[1])["k" + raw.decode(errors="replace")] == raw.decode(errors="replace")


# Attributes


BAD_ATTRIBUTES: dict[str, Any] = {
    "of a wrong type": {"key": "bad", "value": {"intValue": "many"}},
    "out of range": {"key": "bad", "value": {"intValue": str(2**70)}},
    "of endless digits": None,
    "no object": 5,
    "two values": {"key": "bad", "value": {"intValue": "1", "stringValue": "1"}},
    "nested too deeply": {"key": "bad", "value": {"arrayValue": {"values": []}}},
}


@pytest.mark.parametrize("kind", BAD_ATTRIBUTES)
def test_a_bad_attribute_in_json_is_left_out_alone(kind: str) -> None:
    """The span keeps its others, and the sender is told."""
    sent = Telemetry("t")
    sent.turn("c", 0)
    made = document(sent)
    bad = BAD_ATTRIBUTES[kind]
    if kind == "nested too deeply":
        for _ in range(100):
            bad = {"key": "bad", "value": {"arrayValue": {"values": [bad["value"]]}}}
    given = spans_of(made)[0]["attributes"]
    spans_of(made)[0]["attributes"] = [*given, "HERE"]
    written = (
        '{"key": "bad", "value": {"intValue": ' + "9" * 5000 + "}}"
        if kind == "of endless digits"
        else json.dumps(bad)
    )
    text = json.dumps(made).replace('"HERE"', written)
    batch, spans = checked(text.encode(), bodies.JSON)
    assert (batch.items, batch.rejected) == (2, 0)
    assert len(spans[0].attributes) == len(given)
    assert "1 attribute was left out" in batch.message
    assert "resourceSpans[0].scopeSpans[0].spans[0]" in batch.message


def test_a_bad_attribute_in_protobuf_is_left_out_alone(
    client: TestClient, store: Store, sent: Telemetry
) -> None:
    """One that is no message, and one nested deeper than anybody reads."""
    turn = sent.turn("c", 0)
    deep = framed(1, b"x")
    for _ in range(200):
        deep = framed(5, framed(1, deep))
    broken = (
        turn.SerializeToString()
        + framed(9, b"\x0a\x05no")
        + framed(9, framed(1, b"deep") + framed(2, deep))
    )
    resource = sent.traces([]).resource_spans[0].resource.SerializeToString()
    body = framed(1, framed(1, resource) + framed(2, framed(2, broken)))
    answer = post(client, body)
    told = ExportTraceServiceResponse.FromString(answer.content).partial_success
    assert (answer.status_code, told.rejected_spans) == (200, 0)
    assert "left out" in told.error_message
    (row,) = rows(store, sent.tenant)
    assert row["conversation_id"] == "c"


# Bodies


def test_a_span_or_group_that_cannot_be_read_costs_only_itself(sent: Telemetry) -> None:
    """In both forms the neighbours stay, and each thing that is lost is named."""
    turn = sent.turn("c", 0)
    whole = sent.traces([turn]).SerializeToString()
    resource = sent.traces([]).resource_spans[0].resource.SerializeToString()
    junk = b"\x0a\x05no"
    scope = framed(2, framed(2, junk) + framed(2, turn.SerializeToString()))
    batch, spans = checked(
        framed(1, junk) + framed(1, framed(1, resource) + framed(2, junk) + scope) + whole
    )
    assert (len(spans), batch.rejected) == (2, 3)
    for place in (
        "resource_spans[0]: ",
        "resource_spans[1].scope_spans[0]: ",
        "resource_spans[1].scope_spans[1].spans[0]: ",
    ):
        assert place in batch.message
    sent.spans = [turn]
    made = document(sent)
    spans_of(made)[:0] = [5, {"traceId": "zz"}]  # type: ignore[list-item]
    made["resourceSpans"][:0] = [7, {"scopeSpans": 5}]
    batch, spans = checked(json.dumps(made).encode(), bodies.JSON)
    assert (spans, batch.rejected) == ([turn], 4)


def test_a_body_of_which_nothing_can_be_read_is_refused_whole(client: TestClient) -> None:
    """400, for a sender that speaks something else must not think that it is understood."""
    for body in (b"\xff\xff", b"<html>", framed(1, b"\x0a\x05no"), framed(1, framed(2, b"\x12no"))):
        answer = post(client, body)
        assert (answer.status_code, Status.FromString(answer.content).code) == (400, 3)
        with pytest.raises(IngestError):
            check_traces(body, bodies.PROTOBUF, ANY)


def test_many_faults_are_counted_and_the_first_told(sent: Telemetry) -> None:
    """The answer stays short."""
    for number in range(50):
        put(sent.turn("c", number), {"x": 1})
    for span in sent.spans[1:]:
        span.span_id = b"short"
    batch, _ = checked(sent.traces(sent.spans).SerializeToString())
    assert (batch.items, batch.rejected) == (1, 99)
    assert batch.message.endswith("; and 96 more.")
