"""What the collector keeps back: secrets of other libraries, and traces Tempo need not have."""

from __future__ import annotations

import asyncio
import secrets
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as messages
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as services

from otel_chat import semconv as sc
from otel_chat.demo import content
from otel_chat.demo.traffic import send_samples
from tests import web
from tests.stack.running import Running, application
from tests.waiting import until
from tools.stack.parts import COLLECTOR, Ports, Settings, parts
from tools.stack.processes import Part, Stack

pytestmark = [pytest.mark.stack, pytest.mark.timeout(120)]


def span(trace_id: str, *, seconds: float = 0.1, error: bool = False, **attributes: Any) -> Any:
    """A turn's span in OTLP/JSON; what is None it does not have."""
    end = time.time_ns()
    every = {
        "otel_chat.turn.root": True,
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.conversation.id": f"c-{trace_id}",
        **attributes,
    }
    given = {name: value for name, value in every.items() if value is not None}
    return {
        "traceId": trace_id,
        "spanId": secrets.token_hex(8),
        "name": "invoke_agent",
        "startTimeUnixNano": str(end - int(seconds * 1e9)),
        "endTimeUnixNano": str(end),
        "status": {"code": 2} if error else {},
        "attributes": [
            {"key": k, "value": {"boolValue": v} if isinstance(v, bool) else {"stringValue": v}}
            for k, v in given.items()
        ],
    }


def send(ports: Ports, *spans: Any) -> None:
    """Gives spans to the collector."""
    body = {"resourceSpans": [{"resource": {}, "scopeSpans": [{"spans": spans}]}]}
    url = f"{ports.url('otlp_http')}/v1/traces"
    web.post(url, json=body).raise_for_status()


def test_secrets_that_others_put_into_attributes_are_masked(running: Running) -> None:
    """Addresses, cards, keys and credentials go no further; ids stay, whatever they look like."""
    secret = {
        "input.value": "mail ann@example.org, card 4111 1111 1111 1111",
        "http.request.header.authorization": "Basic YW5uOnNlY3JldA",
        "note": "key sk-abcdefghijklmnop1234 and Bearer abcdefghijkl",
    }
    trace_id = secrets.token_hex(16)
    kept = {"gen_ai.conversation.id": "4111111111111111", "otel_chat.channel": "web"}
    send(running.settings.ports, span(trace_id, **secret, **kept))

    found = str(until(lambda: _found(running, trace_id)))
    for text in ("ann@example.org", "4111 1111", "YW5uOnNlY3JldA", "sk-abc", "abcdefghijkl"):
        assert text not in found
    assert "4111111111111111" in found
    assert "mail ****" in found


def test_addresses_go_no_further_than_to_their_path(running: Running) -> None:
    """Query, fragment and user are cut for who sends without `setup()`; headers are masked."""
    trace_id = secrets.token_hex(16)
    given = {
        "url.query": "session=m-1&text=boom",
        "url.full": "https://ann:pw@h.example/chat?text=boom#boom",
        "http.target": "/chat?session=m-1&text=boom",
        "http.request.header.referer": "/help?text=boom",
        "peer.address": "postgresql://bot:pw@db/chat?text=boom",
    }
    one = span(trace_id, **given, **{"http.request.header.x-request-id": "r-1"})
    event = {"timeUnixNano": one["startTimeUnixNano"], "name": "sent", "attributes": [
        {"key": "http.url", "value": {"stringValue": "http://h/event?text=boom"}}
    ]}  # fmt: skip
    send(running.settings.ports, {**one, "events": [event], "name": "GET /chat?text=boom"})

    found = str(until(lambda: _found(running, trace_id)))
    for text in ("boom", "ann", "bot:", "pw@"):
        assert text not in found
    for text in ("https://h.example/chat'", "'/chat'", "postgresql://db/chat'", "r-1"):
        assert text in found


def _found(running: Running, trace_id: str) -> dict[str, Any] | None:
    from otel_chat.errors import AccessError

    try:
        return running.trace(trace_id)
    except AccessError:
        return None


class Receiver(services.TraceServiceServicer):
    """Stands where Tempo would; keeps the trace ids, and the turns of each conversation."""

    def __init__(self) -> None:
        self.traces: set[str] = set()
        self.turns: dict[str, set[bytes]] = defaultdict(set)
        self.lock = threading.Lock()

    def Export(self, request: Any, context: Any) -> Any:  # noqa: N802 - the service's name
        """Takes spans."""
        with self.lock:
            for resource in request.resource_spans:
                for scope in resource.scope_spans:
                    for each in scope.spans:
                        self.traces.add(each.trace_id.hex())
                        self._note_turn(each)
        return messages.ExportTraceServiceResponse()

    def _note_turn(self, span: Any) -> None:
        given = {one.key: one.value for one in span.attributes}
        if sc.TURN_ROOT in given:
            self.turns[given[sc.CONVERSATION_ID].string_value].add(span.span_id)


@contextmanager
def receiver(address: str) -> Iterator[Receiver]:
    """An OTLP/gRPC receiver."""
    kept = Receiver()
    server = grpc.server(futures.ThreadPoolExecutor(2))
    services.add_TraceServiceServicer_to_server(kept, server)
    server.add_insecure_port(address)
    server.start()
    try:
        yield kept
    finally:
        server.stop(None).wait()


@contextmanager
def sampling(folder: Path) -> Iterator[tuple[Running, Receiver]]:
    """An analytics server, and a collector that also sends its choice to where Tempo would be."""
    settings = Settings(folder, Ports.free(), {"OTEL_CHAT_DECISION_WAIT_AFTER_ROOT": "1s"})
    wanted = [
        _sampling(part) for part in parts(settings) if part.name in {"analytics", "collector"}
    ]
    with (
        receiver(settings.ports.at("tempo_otlp")) as tempo,
        Stack(wanted, folder / "logs") as stack,
    ):
        yield Running(stack, settings), tempo


def test_tempo_gets_errors_slow_turns_what_is_marked_and_what_has_no_mark(
    built: None, tmp_path: Path
) -> None:
    """The rest stays with the analytics server, which has all."""
    plain, failed, slow, marked, unmarked, nested, nobodys = (
        secrets.token_hex(16) for _ in range(7)
    )
    left_out = {"otel_chat.keep": False}
    with sampling(tmp_path) as (running, tempo):
        send(
            running.settings.ports,
            span(plain, **left_out),
            span(failed, error=True, **left_out),
            span(slow, seconds=4, **left_out),
            span(marked, **{"otel_chat.keep": True}),
            span(unmarked, **{"otel_chat.turn.root": None}),
            span(nested, **left_out),
            span(nested, **{"otel_chat.turn.root": None}),
            span(nobodys, **{"otel_chat.turn.root": None, "gen_ai.conversation.id": None}),
        )
        until(lambda: len(tempo.traces) >= 4)
        for trace_id in (plain, failed, slow, marked, unmarked, nested):
            until(lambda wanted=trace_id: _found(running, wanted))
    assert tempo.traces == {failed, slow, marked, unmarked}


def test_every_conversation_of_the_demo_is_whole_in_tempo(built: None, tmp_path: Path) -> None:
    """Without any setting the sampled branch has each turn of each conversation."""
    with sampling(tmp_path) as (running, tempo):
        command = ("--factory", "tools.demo_app:create", "--log-level", "warning")
        with application(running, *command) as bot:
            sent = asyncio.run(send_samples(bot, content.samples(), done=lambda: None))
        counts = sent.conversations
        until(lambda: sum(map(len, tempo.turns.values())) >= sent.turns)
    whole = [name for name, turns in counts.items() if len(tempo.turns[name]) == turns]
    assert len(whole) / len(counts) == 1.0


def _sampling(part: Part) -> Part:
    if part.name != "collector" or any("tempo.yaml" in word for word in part.command):
        return part
    command = [*part.command, f"--config={COLLECTOR / 'tempo.yaml'}"]
    return Part(part.name, command, part.ports, part.ready, part.environment)
