"""What becomes of a batch: accepted, refused, cleaned, counted, and said once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, Status, StatusCode, TraceFlags

from otel_chat import Config
from otel_chat import semconv as sc
from otel_chat._sdk.exporters import Ledger, Reader, Session, SpanQueue, Watched, WatchedMetrics
from otel_chat._sdk.otlp_items import span_of
from otel_chat.testing import Telemetry
from tests.library.otlp_sink import Answer, OtlpSink

HALF = json.loads('"nice \\ud83d"')


@pytest.fixture(name="sink")
def listening(monkeypatch: pytest.MonkeyPatch) -> Iterator[OtlpSink]:
    monkeypatch.setattr("otel_chat._telemetry.runtime._said", set())
    with OtlpSink() as sink:
        yield sink


def watched(sink: OtlpSink, path: str = "/v1/traces", **more: Any) -> Watched:
    session = Session()
    url = f"{sink.url}{path}"
    exporter = OTLPSpanExporter(endpoint=url, session=session, **more)
    return Watched(exporter, Ledger("spans"), session, url, span_of)


def span(name: str = "x", number: int = 1, **fields: Any) -> ReadableSpan:
    given: dict[str, Any] = {
        "context": SpanContext(1, number, is_remote=False),
        "start_time": 1,
        "end_time": 2,
        "resource": Resource({}),
        "instrumentation_scope": InstrumentationScope("theirs"),
        **fields,
    }
    return ReadableSpan(name, **given)


def attributes(item: Any) -> dict[str, Any]:
    return {a.key: getattr(a.value, a.value.WhichOneof("value")) for a in item.attributes}


def refusing(status: int, kind: str = "", said: bytes = b"") -> Callable[[str, Any], Answer]:
    return lambda path, message: (status, {"content-type": kind}, said)


def partial(rejected: int) -> bytes:
    answer = ExportTraceServiceResponse()
    answer.partial_success.rejected_spans = rejected
    answer.partial_success.error_message = "an impossible time"
    return answer.SerializeToString()


@pytest.mark.parametrize(
    ("answer", "lost", "reason"),
    [
        (refusing(401), 3, "unauthorized"),
        (refusing(404), 3, "wrong_path"),
        (refusing(405), 3, "wrong_path"),
        (refusing(400), 3, "refused"),
        (refusing(308), 3, "redirected"),
        (refusing(200, "text/html", b"<html>"), 3, "not_otlp"),
        (refusing(200, "application/x-protobuf", partial(2)), 2, "partial_success"),
        (refusing(200, "application/x-protobuf", partial(99)), 3, "partial_success"),
    ],
)
def test_what_is_refused_is_counted_and_said_once(
    sink: OtlpSink,
    answer: Callable[[str, Any], Answer],
    lost: int,
    reason: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The ledger and the counters tell how much and why; one line says where and what to do."""
    sink.answer = answer
    exporter = watched(sink)
    with Telemetry() as telemetry:
        for _ in range(2):
            exporter.export([span(number=n) for n in (1, 2, 3)])
        dropped = telemetry.metric(sc.METRIC_TELEMETRY_DROPPED).points
        errors = telemetry.metric(sc.METRIC_TELEMETRY_ERRORS).points
    assert exporter._ledger.lost == 2 * lost
    assert [(p.attributes[sc.TELEMETRY_SIGNAL], p.value) for p in dropped] == [("spans", 2 * lost)]
    component = f"export_{reason}"
    assert [(p.attributes[sc.TELEMETRY_COMPONENT], p.value) for p in errors] == [(component, 2)]
    assert [r.name for r in caplog.records] == ["otel_chat"]
    assert f"{sink.url}/v1/traces" in caplog.text


def test_what_is_accepted_is_lost_to_nobody(
    sink: OtlpSink, caplog: pytest.LogCaptureFixture
) -> None:
    """A batch that is taken leaves the ledger even, and no line."""
    exporter = watched(sink)
    exporter._ledger.queued(2)
    exporter.export([span(number=1), span(number=2)])
    assert (exporter._ledger.left, exporter._ledger.lost, exporter._ledger.clean()) == (0, 0, True)
    assert len(sink.spans()) == 2
    assert caplog.text == ""


@pytest.mark.parametrize(
    "bad",
    [
        span(start_time=-1),
        span(number=2**64),
        span(kind="none"),
        span(end_time="late"),
        object(),
    ],
    ids=range(5),
)
def test_a_span_that_cannot_be_encoded_costs_only_itself(sink: OtlpSink, bad: Any) -> None:
    """The others of its batch are sent; it is counted as lost."""
    exporter = watched(sink)
    exporter.export([span("a", 1), span("b", 2), bad, span("c", 3)])
    assert sorted(s.name for s in sink.spans()) == ["a", "b", "c"]
    assert exporter._ledger.lost == 1


def test_a_batch_that_is_too_large_is_sent_in_parts(sink: OtlpSink) -> None:
    """An endpoint that takes two spans at once gets two at once."""
    exporter = watched(sink)

    def picky(path: str, message: Any) -> Answer:
        count = sum(len(s.spans) for r in message.resource_spans for s in r.scope_spans)
        if count > 2:
            sink.requests.pop()
        return (413 if count > 2 else 200), {}, b""

    sink.answer = picky
    exporter.export([span(str(n), n) for n in range(1, 8)])
    assert sorted(s.name for s in sink.spans()) == list("1234567")
    assert exporter._ledger.lost == 0


def test_half_an_emoji_anywhere_in_a_span_is_replaced(sink: OtlpSink) -> None:
    """In names, keys, values, events, the status, scope and resource: the rest is kept."""
    watched(sink).export(
        [
            span(
                HALF,
                attributes={HALF: HALF, "big": 2**70, "nan": float("nan"), "list": (HALF,)},
                events=[Event(HALF, {"k": HALF}, 1)],
                resource=Resource({"service.name": HALF}),
                instrumentation_scope=InstrumentationScope(HALF, HALF),
            ),
            span("beside", 2),
        ]
    )
    found, beside = sink.spans()
    assert (found.name, beside.name) == ("nice \ufffd", "beside")
    assert found.events[0].name == "nice \ufffd"
    given = attributes(found)
    assert given.pop("list").values[0].string_value == "nice \ufffd"
    assert given == {"nice \ufffd": "nice \ufffd", "big": str(2**70), "nan": "NaN"}
    assert sink.resources()[0]["service.name"] == "nice \ufffd"


TEXTS = {
    "gen_ai.input.messages": (
        '[{"role":"user","parts":[{"type":"text","content":"call 4111 1111 1111 1111"}]}]'
    ),
    "gen_ai.output.messages": "[]",
    "gen_ai.system_instructions": "text",
    "gen_ai.tool.call.arguments": '{"q": "text"}',
    "gen_ai.tool.call.result": "text",
    "gen_ai.prompt": "text",
    "gen_ai.prompt.0.content": "text",
    "gen_ai.completion.0.content": "text",
    "traceloop.entity.input": "text",
    "traceloop.entity.output": "text",
    "input.value": "text",
    "output.value": "text",
    "llm.input_messages.0.message.content": "text",
    "llm.output_messages.0.message.tool_calls.0.tool_call.function.arguments": "text",
    "retrieval.documents.0.document.content": "text",
    "ai.prompt.messages": "text",
    "ai.response.text": "text",
    "ai.toolCall.args": "text",
    "langfuse.observation.input": "text",
    "mlflow.spanInputs": "text",
    "gcp.vertex.agent.llm_request": "text",
    "logfire.msg": "text",
    "exception.message": "text",
    "db.query.text": "text",
    "db.statement": "text",
    "db.query.parameter.name": "text",
    "url.query": "text=hello",
    "error.message": "text",
    "some.library.prompt": "text",
}
FACTS = {
    "gen_ai.usage.input_tokens": 3,
    "gen_ai.request.model": "m",
    "gen_ai.prompt.0.role": "user",
    "gen_ai.prompt.name": "greeting",
    "gen_ai.tool.name": "lookup",
    "exception.type": "OSError",
    "http.request.body.size": 4,
    "http.route": "/chat",
    "otel_chat.message.type": "text",
}


ADDRESSES = {
    "url.full": "https://ann:pw@h/chat?text=hello#part",
    "url.original": "/chat?text=hello",
    "http.url": "http://token@h/chat#text=hello",
    "http.target": "/chat?session=m-1&text=boom",
    "http.referer": "/help?text=hello",
    "peer.url": "//h/chat?text=hello",
    "server": "postgresql://bot:p/w?@db:5432/chat?password=x",
    "visited": ("http://h/one?text=hello", "http://h/two"),
}
"""Under names that say so, and under any name where the value is a whole one."""
CUT = {
    "url.full": "https://h/chat",
    "url.original": "/chat",
    "http.url": "http://h/chat",
    "http.target": "/chat",
    "http.referer": "/help",
    "peer.url": "//h/chat",
    "server": "postgresql://db:5432/chat",
    "visited": ["http://h/one", "http://h/two"],
}
HEADERS = {
    "http.request.header.referer": ("http://h/help?text=hello",),
    "http.request.header.cookie": ("sid=1",),
    "http.request.header.x-message": ("hello",),
    "http.response.header.location": ("/next?text=hello",),
    "rpc.grpc.request.metadata.question-bin": ("hello",),
}
PLAIN_HEADERS = {
    "http.request.header.content-type": ["application/json"],
    "http.request.header.x-request-id": ["r-1"],
    "user_agent.original": "bot/1 (+http://h/?)",
    "otel_chat.data": "http://h/?kept=1",
}


@pytest.mark.parametrize("where", ["span", "event", "link"])
def test_addresses_leave_without_user_query_and_fragment(sink: OtlpSink, where: str) -> None:
    """Whatever the key, and on spans, events and links alike; headers leave if harmless alone."""
    given: Any = {
        **ADDRESSES, **HEADERS, **PLAIN_HEADERS, "url.query": "text=hello", "url.fragment": "text"
    }  # fmt: skip
    context = SpanContext(7, 7, is_remote=False)
    with Telemetry():
        watched(sink).export(
            [
                span(
                    "GET https://ann:pw@h/chat?text=hello",
                    attributes=given if where == "span" else {},
                    events=[Event("request", given if where == "event" else {}, 1)],
                    links=[Link(context, given if where == "link" else {})],
                )
            ]
        )
    (found,) = sink.spans()
    holder = {"span": found, "event": found.events[0], "link": found.links[0]}[where]
    left = {
        key: [v.string_value for v in value.values] if hasattr(value, "values") else value
        for key, value in attributes(holder).items()
    }
    assert left == {**CUT, **PLAIN_HEADERS}
    assert found.name == "GET https://h/chat"


def test_addresses_are_redacted_where_contents_are_captured(sink: OtlpSink) -> None:
    """A query stays, redacted; who asks with which password does not."""
    given = {**ADDRESSES, "http.url": "http://me:pw@h/?card=4111111111111111&text=hello"}
    with Telemetry(Config(capture_content=True)):
        watched(sink).export([span(attributes=given)])
    left = attributes(sink.spans()[0])
    assert left["http.url"] == "http://h/?card=[card]&text=hello"
    assert left["http.target"] == "/chat?session=m-1&text=boom"
    assert left["server"] == "postgresql://db:5432/chat?password=[secret]"


def foreign() -> ReadableSpan:
    return span(
        attributes={**TEXTS, **FACTS, "url.full": "http://h/chat?text=hello"},
        events=[
            Event("gen_ai.user.message", {"content": "text"}, 1),
            Event("exception", {"exception.message": "text", "exception.type": "E"}, 1),
        ],
        status=Status(StatusCode.ERROR, "OSError: text"),
    )


def test_contents_of_other_libraries_stay_at_home(sink: OtlpSink) -> None:
    """Without content capture no text leaves, and what is no text does; the span is untouched."""
    original = foreign()
    with Telemetry():
        watched(sink).export([original])
    (found,) = sink.spans()
    assert attributes(found) == {**FACTS, "url.full": "http://h/chat"}
    assert [attributes(event) for event in found.events] == [{}, {"exception.type": "E"}]
    assert found.status.message == ""
    assert original.attributes is not None
    assert set(TEXTS) < set(original.attributes)


def test_contents_of_other_libraries_are_redacted_where_they_are_captured(sink: OtlpSink) -> None:
    """With content capture texts leave, redacted; JSON stays JSON."""
    with Telemetry(Config(capture_content=True)):
        watched(sink).export([foreign()])
    given = attributes(sink.spans()[0])
    assert set(given) == {*TEXTS, *FACTS, "url.full"}
    (message,) = json.loads(given["gen_ai.input.messages"])
    assert message["parts"][0]["content"] == "call [card]"


def test_a_span_larger_than_servers_take_is_cut_and_says_so(sink: OtlpSink) -> None:
    """Texts of its attributes, events and status; messages can still be read, the rest is whole."""
    history = [
        {"role": "user", "parts": [{"type": "text", "content": "\U0001f642" * 16_000}]}
        for _ in range(60)
    ]
    large = span(
        attributes={"gen_ai.input.messages": json.dumps(history), "gen_ai.agent.name": "support"},
        events=[Event("gen_ai.choice", {"content": "a" * 3_000_000})],
        status=Status(StatusCode.ERROR, "b" * 3_000_000),
    )
    with Telemetry(Config(capture_content=True, content_limit=1_000_000)):
        watched(sink).export([large])
    (sent,) = sink.spans()
    assert 1_900_000 < sent.ByteSize() < 2 * 2**20 + 500
    given = attributes(sent)
    assert given["gen_ai.agent.name"] == "support"
    read = json.loads(given["gen_ai.input.messages"])
    contents = [message["parts"][0]["content"] for message in read]
    assert [text[:9] for text in contents] == ["\U0001f642" * 9] * 60
    (choice,) = sent.events
    for cut in (*contents, attributes(choice)["content"], sent.status.message):
        assert cut.endswith(" characters]")


def test_the_queue_counts_what_it_pushes_out(sink: OtlpSink) -> None:
    """Spans that a full queue drops are known as lost after the flush."""
    exporter = watched(sink)
    queue = SpanQueue(exporter, exporter._ledger, 600)
    for number in range(1, 1001):
        context = SpanContext(1, number, is_remote=False, trace_flags=TraceFlags(1))
        queue.on_end(span(context=context))
    queued = exporter._ledger.queued(0)
    queue.force_flush()
    missing = exporter._ledger.overflown(queued)
    assert queued == 1000
    assert missing == 1000 - len(sink.spans())
    queue.shutdown()


def test_the_child_of_a_fork_uses_connections_of_its_own(sink: OtlpSink) -> None:
    """A connection that the parent keeps open is not written to by its child."""
    session = Session()
    session.post(f"{sink.url}/v1/traces", data=b"")
    before = session.get_adapter("http://")
    session._process = -1
    session.post(f"{sink.url}/v1/traces", data=b"")
    assert session.get_adapter("http://") is not before


def test_an_error_of_the_connection_is_raised_and_noted() -> None:
    """The session lets the exporter see the error, and keeps what it means."""
    session = Session()
    with pytest.raises(requests.ConnectionError):
        session.post("http://127.0.0.1:9/v1/traces", data=b"")
    seen = session.seen()
    assert seen is not None
    assert (seen[0], seen[1].reason) == ("http://127.0.0.1:9/v1/traces", "unreachable")
    assert session.seen() is None


def test_metrics_tell_whether_their_last_export_was_accepted(sink: OtlpSink) -> None:
    """A refusal is known until the next export is taken; half an emoji costs no series."""
    session = Session()
    url = f"{sink.url}/v1/metrics"
    exporter = WatchedMetrics(OTLPMetricExporter(endpoint=url, session=session), session, url)
    reader = Reader(exporter, export_interval_millis=float("inf"))
    provider = MeterProvider([reader], shutdown_on_exit=False)
    counter = provider.get_meter("theirs").create_counter("c")
    counter.add(2**70, {"k": HALF})
    sink.answer = refusing(401)
    reader.force_flush()
    assert exporter.accepted is False
    sink.answer = refusing(200)
    reader.force_flush()
    assert exporter.accepted is True
    (point,) = sink.metrics()["c"].sum.data_points
    assert attributes(point) == {"k": "nice \ufffd"}
    provider.shutdown()


def test_series_that_an_address_alone_told_apart_are_one(sink: OtlpSink) -> None:
    """Queries leave no series of their own: what adds up is added up, a gauge is its latest."""
    session = Session()
    url = f"{sink.url}/v1/metrics"
    exporter = WatchedMetrics(OTLPMetricExporter(endpoint=url, session=session), session, url)
    reader = Reader(exporter, export_interval_millis=float("inf"))
    provider = MeterProvider([reader], shutdown_on_exit=False)
    meter = provider.get_meter("theirs")
    counter, gauge = meter.create_counter("c"), meter.create_gauge("g")
    histogram = meter.create_histogram("h", explicit_bucket_boundaries_advisory=[1.0, 2.0])
    for number, query in enumerate(("text=hello", "text=boom"), 1):
        given = {"http.target": f"/chat?{query}", "url.query": query, "http.route": "/chat"}
        counter.add(number, given)
        gauge.set(number, given)
        histogram.record(number, given)
    counter.add(7, {"http.route": "/other"})
    reader.force_flush()
    left = {"http.target": "/chat", "http.route": "/chat"}
    metrics = sink.metrics()
    first, other = metrics["c"].sum.data_points
    assert (attributes(first), first.as_int) == (left, 3)
    assert (attributes(other), other.as_int) == ({"http.route": "/other"}, 7)
    (latest,) = metrics["g"].gauge.data_points
    assert (attributes(latest), latest.as_int) == (left, 2)
    (point,) = metrics["h"].histogram.data_points
    assert attributes(point) == left
    assert (point.count, point.sum, point.min, point.max) == (2, 3, 1, 2)
    assert list(point.bucket_counts) == [1, 1, 0]
    provider.shutdown()
