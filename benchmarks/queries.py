"""How fast the API answers over many turns: every address that it describes, over HTTP.

python benchmarks/queries.py --turns 10000000 --json
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, Final, cast

import httpx
from query_store import SETTLED, filled, place_of, put_together

from otel_chat.server.app import background
from otel_chat.server.settings import ServerSettings
from otel_chat.server.store import Store, open_store
from otel_chat.server.summaries.settler import Settler

WINDOWS: Final = ("7d", "90d")
FILTERS: Final = {"agent": "support", "intent": "intent-7"}
LONG_AGO: Final = {"from": "2001-01-01T00:00:00Z", "to": "2001-01-08T00:00:00Z"}
SPEED: Final = "SELECT sum(sipHash64(number)) FROM numbers_mt(50000000) SETTINGS max_threads = 2"
SPEED_MS: Final = 400
"""What that takes on the machine that the goals are for."""
API: Final = "/api/v1"
READER: Final = Path(__file__).with_name("read_export.py")
RATIO_OF: Final = "7d"
Address = tuple[str, dict[str, str], bool]
Asked = tuple[httpx.Client, str, dict[str, str]]
Taken = tuple[float, float]
# Answered otherwise: for ever, in one piece each, of tokens.
LEFT_OUT: Final = ("/stream", "/exports", "/tokens")


@contextmanager
def serving(place: Path) -> Iterator[httpx.Client]:
    """A client of the server as `otel-chat serve` runs it."""
    settings = ServerSettings(port=0, store=f"chdb:{place}", gauge_seconds=3600)
    with background(settings) as url, httpx.Client(base_url=url, timeout=600) as client:
        yield client


def ids(client: httpx.Client) -> dict[str, str]:
    """What to put into the addresses that name one thing."""
    turn = client.get(f"{API}/interactions", params={"window": "7d"}).json()["items"][0]
    return {
        "conversation_id": turn["conversation_id"],
        "session_id": turn["conversation_id"],
        "trace_id": turn["trace_id"],
        "interaction_id": f"{turn['trace_id']}-{turn['span_id']}",
    }


def addresses(client: httpx.Client) -> list[Address]:
    """Every address that reads, what it must be asked with, and whether it takes a window."""
    described = client.get(f"{API}/openapi.json").json()["paths"]
    known = ids(client)
    found: list[Address] = []
    for path, methods in sorted(described.items()):
        reads = path.startswith(API) and "get" in methods
        if not reads or any(part in path for part in LEFT_OUT):
            continue
        takes = methods["get"].get("parameters", ())
        named = {one["name"] for one in takes}
        windowed = any(one["name"] == "from" for one in takes)
        if "{dimension}" in path:
            names = ("device", "channel")
            found += [(path.replace("{dimension}", name), {}, windowed) for name in names]
            continue
        if "{pack}" in path:
            packs = [one["name"] for one in client.get(f"{API}/definitions").json()["packs"]]
            found += [(path.replace("{pack}", name), {}, windowed) for name in packs]
            continue
        if {one["name"] for one in takes if one["in"] == "path"} - known.keys():
            continue  # Of a thing that somebody has to make first, as a report
        found.append((path.format_map(known), {}, windowed))
        for name, value in FILTERS.items():
            if name in named and windowed:
                found.append((path.format_map(known), {name: value}, windowed))
        if path == f"{API}/conversations":
            found.append((path, {"search": "order 4711"}, windowed))
    return found


def seconds(client: httpx.Client, path: str, params: dict[str, str]) -> Taken | None:
    """How long an answer takes, and this process' processor meanwhile; None where there is none."""
    began, worked = time.perf_counter(), time.process_time()
    answer = client.get(path, params=params)
    taken = time.perf_counter() - began, time.process_time() - worked
    if answer.status_code == httpx.codes.OK:
        return taken
    sys.stderr.write(f"{path}: {answer.status_code} {answer.text[:200]}\n")
    return None


def medians(asked: Sequence[Asked], runs: int) -> list[Taken | None]:
    """The medians of each, in ms, of some runs after a first one, in which they take turns."""
    taken = list(zip(*([seconds(*one) for one in asked] for _ in range(runs + 1)), strict=True))
    return [None if None in some else _medians(cast("Any", some[1:])) for some in taken]


def _medians(some: Sequence[Taken]) -> Taken:
    wall, processor = (round(statistics.median(one) * 1000, 1) for one in zip(*some, strict=True))
    return wall, processor


def note(row: dict[str, Any], name: str, taken: Taken | None) -> None:
    """Puts an answer's time into a row, and its processor time, which others disturb less."""
    row[name], row[f"{name}_processor"] = taken or (None, None)


def endpoint(servers: Sequence[httpx.Client], told: Sequence[Address], runs: int) -> dict[str, Any]:
    """An address over each window, and what the first server's time is to that of the second.

    `fixed_ms` is what it takes where there is nothing to find: to plan, above all.
    """
    path, params, windowed = told[0]
    name = path if not params else f"{path}?{'&'.join(params)}="
    row: dict[str, Any] = {"endpoint": name}
    if not windowed:
        note(row, "ms", *medians([(servers[0], path, params)], runs))
        return row
    note(row, "fixed_ms", *medians([(servers[0], path, {**params, **LONG_AGO})], runs))
    for window in WINDOWS:
        both = [
            (server, one[0], {**params, "window": window})
            for server, one in zip(servers, told, strict=True)
        ]
        taken, *others = medians(both if window == RATIO_OF else both[:1], runs)
        note(row, window, taken)
        if others and others[0] and taken:
            row[f"{window}_ratio"] = round(taken[0] / others[0][0], 2)
    return row


def speed(place: Path) -> float:
    """How long the machine takes now for what is the same everywhere, in ms."""
    with closing(open_store(f"chdb:{place}")) as store:
        taken = []
        for _ in range(3):
            began = time.perf_counter()
            store.query(SPEED)
            taken.append(time.perf_counter() - began)
    return round(statistics.median(taken) * 1000, 1)


def export(client: httpx.Client, kind: str, rows: int) -> dict[str, Any]:
    """Rows a second of an export, and by how much the process grew meanwhile."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    path = f"{API}/exports/{kind}"
    asked = client.build_request("GET", path, params={"window": "90d", "format": "csv"})
    # In a process of its own: to take half a gigabyte apart would keep the server waiting.
    told = [sys.executable, str(READER), str(asked.url), str(rows)]
    done = subprocess.run(told, capture_output=True, check=True, text=True)
    lines, seconds = (float(word) for word in done.stdout.split())
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "export": kind,
        "rows": int(lines),
        "rows_per_second": round(lines / seconds),
        "grown_mb": round((after - before) / 1024, 1),
    }


def prepare(turns: int, folder: Path) -> dict[str, Any]:
    """Fills a store, unless it is, and settles it: first all, then what came late."""
    taken: dict[str, Any] = {}

    def settle(store: Store, when: str) -> None:
        began = time.process_time()
        taken[f"conversations_settled_{when}"] = Settler(store).settle()
        taken[f"settling_processor_seconds_{when}"] = round(time.process_time() - began, 1)

    def settle_all(store: Store) -> None:
        settle(store, "first")
        put_together(store, SETTLED)

    with closing(filled(folder, turns, settle_all)) as store:
        settle(store, "late")
    return taken


@contextmanager
def beside(turns: int, folder: Path) -> Iterator[httpx.Client]:
    """A client of another server, in a process of its own: one process has one such store."""
    told = [sys.executable, __file__, "--turns", str(turns), "--folder", str(folder), "--serve"]
    with subprocess.Popen(told, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        with httpx.Client(base_url=server.stdout.readline().strip(), timeout=600) as client:
            yield client
        # Closing its input, as the end of the block does, ends it.


def serve(turns: int, folder: Path) -> None:
    """Serves a store until the standard input ends, and says where."""
    prepare(turns, folder)
    with serving(place_of(folder, turns)) as client:
        sys.stdout.write(f"{client.base_url}\n")
        sys.stdout.flush()
        sys.stdin.read()


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    turns, folder, only = arguments.turns, arguments.folder, arguments.only
    found: dict[str, Any] = {
        "turns": turns,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "window": "ends now",
        **prepare(turns, folder),
        "speed_ms": speed(place_of(folder, turns)),
        "speed_ms_of_goals": SPEED_MS,
    }
    with ExitStack() as stack:
        servers = [stack.enter_context(serving(place_of(folder, turns)))]
        if arguments.beside:
            servers.append(stack.enter_context(beside(arguments.beside, folder)))
        # In the same order: the ids in some addresses differ.
        told = zip(*(addresses(server) for server in servers), strict=True)
        found["endpoints"] = [
            endpoint(servers, one, arguments.runs) for one in told if only in one[0][0]
        ]
        if not only:
            rows = min(turns // 10, 1_000_000)
            kinds = ("interactions", "sessions")
            found["exports"] = [export(servers[0], kind, rows) for kind in kinds]
    found["peak_memory_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--only", default="", help="addresses that contain this")
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path(tempfile.gettempdir()) / "otel-chat-benchmark",
        help="where filled stores are kept",
    )
    parser.add_argument("--beside", type=int, default=0, help="compare with so many turns")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--serve", action="store_true", help="only serve, until the input ends")
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments.turns, arguments.folder)
        return
    found = measure(arguments)
    if arguments.json:
        sys.stdout.write(json.dumps(found, indent=1) + "\n")
        return
    for row in found["endpoints"]:
        columns = "".join(f"{row.get(name, '')!s:>9}" for name in ("ms", "fixed_ms", *WINDOWS))
        sys.stdout.write(f"{columns}  {row['endpoint']}\n")
    for row in found.get("exports", ()):
        sys.stdout.write(f"{row}\n")


if __name__ == "__main__":
    main()
