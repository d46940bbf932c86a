from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk.trace import TracerProvider

from otel_chat.client.local_server import free_port
from otel_chat.errors import IngestError, StoreError, StoreUnavailableError
from otel_chat.replay.sending import Collector, Sender

Answer = tuple[int, dict[str, str], bytes]
PROTOBUF = {"content-type": "application/x-protobuf"}
TAKEN: Answer = (200, PROTOBUF, b"")


@contextmanager
def receiver(answer: Callable[[int], Answer], port: int = 0) -> Iterator[tuple[str, list[bytes]]]:
    """An HTTP server that answers its n-th request (from 0) with `answer(n)`."""
    bodies: list[bytes] = []
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            with lock:
                bodies.append(body)
                status, headers, content = answer(len(bodies) - 1)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", bodies
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def gathered(count: int) -> Collector:
    collector = Collector()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(collector)
    for at in range(count):
        provider.get_tracer("t").start_span(f"span {at}").end()
    return collector


def test_a_batch_is_sent_again_until_it_is_acknowledged() -> None:
    """Answers that say "later" are followed by the very same body, and then it is done."""
    answers: list[Answer] = [(503, {"retry-after": "0"}, b""), (429, {}, b""), TAKEN]
    with receiver(lambda n: answers[n]) as (url, bodies), Sender(url) as sender:
        sender.send(*gathered(3).take())
        sender.finish()
        assert sender.retries == 2
    assert len(set(bodies)) == 1
    request = ExportTraceServiceRequest.FromString(bodies[0])
    assert len(request.resource_spans[0].scope_spans[0].spans) == 3


def test_a_server_that_comes_up_later_gets_everything() -> None:
    """A connection refused is waited out."""
    port = free_port()
    with Sender(f"http://127.0.0.1:{port}") as sender:
        for _ in range(3):
            sender.send(*gathered(1).take())
        with receiver(lambda _: TAKEN, port) as (_, bodies):
            sender.finish()
    assert len(bodies) == 3


def test_a_server_that_stays_away_is_given_up() -> None:
    """After the patience without any acknowledgement the error says what to do."""
    with Sender(f"http://127.0.0.1:{free_port()}", patience=0.2) as sender:
        sender.send(*gathered(1).take())
        with pytest.raises(StoreUnavailableError, match="run the same command again"):
            sender.finish()


def test_a_refused_batch_is_not_sent_again() -> None:
    """A 400 ends the replay with the server's own words."""
    said = Status(message="trace_id has 3 bytes").SerializeToString()
    refused = lambda _: (400, PROTOBUF, said)  # noqa: E731
    with receiver(refused) as (url, bodies), Sender(url) as sender:
        sender.send(*gathered(1).take())
        with pytest.raises(IngestError, match="400: trace_id has 3 bytes") as caught:
            sender.finish()
    assert (caught.value.status, len(bodies)) == (400, 1)


def test_a_partly_rejected_batch_is_an_error() -> None:
    """A 200 that takes only a part is no acknowledgement of the rest."""
    partial = ExportTracePartialSuccess(rejected_spans=2, error_message="too old")
    answer = ExportTraceServiceResponse(partial_success=partial).SerializeToString()
    with receiver(lambda _: (200, PROTOBUF, answer)) as (url, _), Sender(url) as sender:
        sender.send(*gathered(2).take())
        with pytest.raises(IngestError, match=r"refused 2 of the records.*: too old"):
            sender.finish()


@pytest.mark.parametrize("status", [400, 413])
def test_what_the_server_cannot_take_costs_only_itself(status: int) -> None:
    """A batch is sent again in halves, down to the one at fault; what is said names its fault."""
    said = Status(message="too odd").SerializeToString()
    bodies: list[bytes] = []
    taken: list[bytes] = []

    def answer(number: int) -> Answer:
        request = ExportTraceServiceRequest.FromString(bodies[number])
        spans = [s for r in request.resource_spans for c in r.scope_spans for s in c.spans]
        if any(span.name == "span 5" for span in spans):
            return status, PROTOBUF, said
        taken.extend(span.span_id for span in spans)
        return TAKEN

    with receiver(answer) as (url, seen), Sender(url) as sender:
        bodies = seen
        sender.send(*gathered(8).take())
        with pytest.raises(IngestError, match=r"refused 1 of the records.*too odd"):
            sender.finish()
    assert len(taken) == len(set(taken)) == 7


def test_a_dead_local_server_ends_the_waiting() -> None:
    """Where the server is known to be dead, its own error comes at once."""

    def check() -> None:
        raise StoreError("it has ended")

    with Sender(f"http://127.0.0.1:{free_port()}", check=check) as sender:
        sender.send(*gathered(1).take())
        with pytest.raises(StoreError, match="it has ended"):
            sender.finish()
