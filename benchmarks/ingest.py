"""How fast the server takes telemetry, with everything in force: checked, durable, exactly once.

A server is started in a process of its own; batches are prebuilt and sent from this one. What is
counted is what stands in the typed tables when the server has stopped.

    python benchmarks/ingest.py --json
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from otel_chat import semconv as sc
from otel_chat.server.store import open_store

Sample = tuple[list[bytes], int, int]  # bodies, spans in each, senders


def put(span: Span, **values: object) -> None:
    for name, value in values.items():
        attribute = span.attributes.add()
        attribute.key = getattr(sc, name)
        kind = {bool: "bool_value", int: "int_value", float: "double_value"}.get(type(value))
        setattr(attribute.value, kind or "string_value", value)


def turn(into: Any, number: int, start: int) -> None:
    """A turn's span and the model call inside it, with the attributes of a usual turn."""
    root = into.spans.add()
    root.trace_id, root.span_id = os.urandom(16), os.urandom(8)
    root.name, root.kind = "invoke_agent support", 1
    root.start_time_unix_nano, root.end_time_unix_nano = start, start + 1_200_000_000
    conversation = f"conversation-{number // 10}"
    common = {"CONVERSATION_ID": conversation, "AGENT_NAME": "support", "REQUEST_MODEL": "gpt-4o"}
    put(
        root,
        **common,
        TURN_ROOT=True,
        OPERATION_NAME=sc.OPERATION_INVOKE_AGENT,
        CHANNEL="web",
        USER_TYPE="client",
        PROVIDER_NAME="openai",
        USAGE_INPUT_TOKENS=412,
        USAGE_OUTPUT_TOKENS=87,
        COST_AMOUNT=0.00190,
        COST_SOURCE="provider",
        INTENT_NAME=f"intent_{number % 20}",
        CONFIDENCE=0.83,
        FALLBACK=False,
        MESSAGE_TYPE="text",
        STATUS=sc.STATUS_OK,
        TIME_TO_FIRST_CHUNK=0.21,
        KEEP=True,
    )
    call = into.spans.add()
    call.trace_id, call.span_id, call.parent_span_id = root.trace_id, os.urandom(8), root.span_id
    call.name, call.kind = "chat gpt-4o", 3
    call.start_time_unix_nano, call.end_time_unix_nano = start + 1_000_000, start + 1_100_000_000
    put(
        call,
        **common,
        OPERATION_NAME=sc.OPERATION_CHAT,
        PROVIDER_NAME="openai",
        GEN_AI_INPUT_TOKENS=412,
        GEN_AI_OUTPUT_TOKENS=87,
    )


def bodies(spans: int, each: int) -> list[bytes]:
    """Prebuilt requests of `each` spans, two a turn."""
    made = []
    started = time.time_ns() - 3600 * 10**9
    for first in range(0, spans // 2, each // 2):
        request = ExportTraceServiceRequest()
        part = request.resource_spans.add()
        name = part.resource.attributes.add()
        name.key, name.value.string_value = "service.name", "benchmark"
        scoped = part.scope_spans.add()
        for number in range(first, first + each // 2):
            turn(scoped, number, started + number * 1_000_000)
        made.append(request.SerializeToString())
    return made


def send(port: int, queue: Iterator[bytes], guard: threading.Lock, failed: list[int]) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        while True:
            with guard:
                body = next(queue, None)
            if body is None:
                return
            headers = {"content-type": "application/x-protobuf"}
            connection.request("POST", "/v1/traces", body, headers)
            answer = connection.getresponse()
            answer.read()
            if answer.status != http.HTTPStatus.OK:
                failed.append(answer.status)


def timed(port: int, requests: Iterable[bytes], senders: int) -> tuple[float, list[int]]:
    queue, guard = iter(requests), threading.Lock()
    failed: list[int] = []
    threads = [
        threading.Thread(target=send, args=(port, queue, guard, failed)) for _ in range(senders)
    ]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - begun, failed


@contextmanager
def server(store: Path) -> Iterator[int]:
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    serve = [sys.executable, "-m", "otel_chat.cli", "serve", "--port", str(port)]
    process = subprocess.Popen(
        [*serve, "--store", f"chdb:{store}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
                connection.request("GET", "/readyz")
                if connection.getresponse().status == http.HTTPStatus.OK:
                    break
        except OSError:
            threading.Event().wait(0.1)
    else:
        process.kill()
        sys.exit("the server was not ready after 60 s")
    try:
        yield port
    finally:
        process.terminate()
        process.wait(60)


def stored(store: Path) -> tuple[int, int]:
    """Spans that count, and rows beyond those."""
    with closing(open_store(f"chdb:{store}")) as opened:
        row = opened.query(
            "SELECT (SELECT count() FROM turns FINAL) + (SELECT count() FROM spans FINAL) AS kept,"
            " (SELECT uniqExact(trace_id, span_id) FROM turns)"
            " + (SELECT uniqExact(trace_id, span_id) FROM spans) AS different"
        )[0]
    return int(row["kept"]), int(row["kept"]) - int(row["different"])


def measure(spans: int, each: int, senders: int, build: Callable[[int, int], list[bytes]]) -> Any:
    folder = Path(tempfile.mkdtemp(prefix="otel-chat-ingest-"))
    try:
        requests = build(spans, each)
        sent = len(requests) * each
        with server(folder / "store") as port:
            seconds, failed = timed(port, requests, senders)
        kept, duplicates = stored(folder / "store")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return {
        "spans": sent,
        "seconds": round(seconds, 3),
        "spans_per_second": round(kept / seconds),
        "requests_per_second": round(len(requests) / seconds, 1),
        "lost": sent - kept,
        "duplicates": duplicates,
        "refused": len(failed),
        "senders": senders,
        "spans_per_request": each,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--spans", type=int, default=204_800, help="spans in requests of 512")
    parser.add_argument("--small-spans", type=int, default=25_600, help="spans in requests of 4")
    asked = parser.parse_args()
    result = measure(asked.spans, 512, 6, bodies)
    result["small"] = measure(asked.small_spans, 4, 64, bodies)
    result["machine"] = {"cores": os.cpu_count(), "python": platform.python_version()}
    if asked.json:
        print(json.dumps(result))
        return
    for title, one in (("requests of 512 spans", result), ("requests of 4 spans", result["small"])):
        print(
            f"{title}: {one['spans_per_second']} spans/s, {one['lost']} lost,"
            f" {one['duplicates']} doubled, from {one['senders']} senders"
        )


if __name__ == "__main__":
    main()
