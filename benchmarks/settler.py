"""How far behind the settler is while turns come, and what settling many conversations costs.

A server is started in a process of its own and gets turns at an even pace, in ten requests a
second; its own metric tells how long the oldest insert waits. Then a store of many turns is settled
in this process.

    python benchmarks/settler.py --json
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import platform
import re
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import ingest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from query_store import TURNS_EACH, filled

from otel_chat import semconv as sc
from otel_chat.server.store import Store
from otel_chat.server.summaries.settler import Settler

PACES: Final = (100, 1000)
REQUESTS_A_SECOND: Final = 10
EVERY_SECONDS: Final = 0.5
APART_SECONDS: Final = 30
"""How far apart the turns of a conversation come: so long is each of many open."""
_LAG: Final = re.compile(rb"^otel_chat_server_settler_lag_seconds (\S+)", re.MULTILINE)


def body(first: int, turns: int, pace: int) -> bytes:
    """Turns that end now, each of another conversation of half a minute's worth."""
    request = ExportTraceServiceRequest()
    scoped = request.resource_spans.add().scope_spans.add()
    now = time.time_ns()
    opened = pace * APART_SECONDS
    for number in range(first, first + turns):
        ingest.turn(scoped, number, now - 1_200_000_000)
        conversation = f"{number % opened}-{number // opened // TURNS_EACH}"
        for span in scoped.spans[-2:]:
            for attribute in span.attributes:
                if attribute.key == sc.CONVERSATION_ID:
                    attribute.value.string_value = conversation
    return request.SerializeToString()


def get(port: int, path: str) -> bytes:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        connection.request("GET", path)
        return connection.getresponse().read()


def watch(port: int, ended: threading.Event, lags: list[float]) -> None:
    """Notes the lag again and again."""
    while not ended.wait(EVERY_SECONDS):
        if found := _LAG.search(get(port, "/metrics")):
            lags.append(float(found[1]))


def paced(pace: int, seconds: int) -> Iterator[bytes]:
    """Bodies, each when it is due."""
    each = pace // REQUESTS_A_SECOND
    began = time.monotonic()
    for number in range(seconds * REQUESTS_A_SECOND):
        time.sleep(max(0, began + number / REQUESTS_A_SECOND - time.monotonic()))
        yield body(number * each, each, pace)


def lag(pace: int, seconds: int) -> dict[str, Any]:
    """How long the oldest insert waited while turns came at a pace."""
    folder = Path(tempfile.mkdtemp(prefix="otel-chat-settler-"))
    lags: list[float] = []
    ended = threading.Event()
    try:
        with ingest.server(folder / "store") as port:
            watching = threading.Thread(target=watch, args=(port, ended, lags))
            watching.start()
            taken, failed = ingest.timed(port, paced(pace, seconds), 4)
            ended.set()
            watching.join()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return {
        "turns_per_second": pace,
        "came_per_second": round(pace * seconds / taken),
        "refused": len(failed),
        "lag_seconds_median": round(statistics.median(lags), 2),
        "lag_seconds_most": round(max(lags), 2),
    }


def settle(turns: int) -> dict[str, Any]:
    """What it costs to settle all conversations of a store."""
    folder = Path(tempfile.mkdtemp(prefix="otel-chat-settler-"))
    told: dict[str, Any] = {}

    def measured(store: Store) -> None:
        processor, wall = time.process_time(), time.perf_counter()
        told["conversations"] = Settler(store).settle()
        told["processor_seconds"] = round(time.process_time() - processor, 1)
        told["seconds"] = round(time.perf_counter() - wall, 1)

    try:
        filled(folder, turns, measured).close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--seconds", type=int, default=60, help="how long turns come, at each pace")
    parser.add_argument("--turns", type=int, default=1_000_000, help="in the store to settle")
    asked = parser.parse_args()
    result: dict[str, Any] = {
        "lag": [lag(pace, asked.seconds) for pace in PACES],
        "settle": settle(asked.turns) if asked.turns else None,
        "machine": {"cores": os.cpu_count(), "python": platform.python_version()},
    }
    if asked.json:
        print(json.dumps(result))
        return
    for row in (*result["lag"], result["settle"]):
        print(row)


if __name__ == "__main__":
    main()
