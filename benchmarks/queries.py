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
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import httpx
from query_store import END, KEPT, filled, place_of, put_together

from otel_chat.server.app import background
from otel_chat.server.rollup import Rollup
from otel_chat.server.settings import ServerSettings

WINDOWS: Final = {"7d": 7, "90d": 90}
API: Final = "/api/v1"
READER: Final = Path(__file__).with_name("read_export.py")
# Answered otherwise: for ever, in one piece each, of tokens.
LEFT_OUT: Final = ("/stream", "/exports", "/tokens")


@contextmanager
def serving(place: Path) -> Iterator[httpx.Client]:
    """A client of the server as `otel-chat serve` runs it."""
    settings = ServerSettings(port=0, store=f"chdb:{place}", gauge_seconds=3600)
    with background(settings) as url, httpx.Client(base_url=url, timeout=600) as client:
        yield client


def times(days: int) -> dict[str, str]:
    return {"from": (END - timedelta(days=days)).isoformat(), "to": END.isoformat()}


def ids(client: httpx.Client) -> dict[str, str]:
    """What to put into the addresses that name one thing."""
    turn = client.get(f"{API}/interactions", params=times(7)).json()["items"][0]
    return {
        "conversation_id": turn["conversation_id"],
        "trace_id": turn["trace_id"],
        "interaction_id": f"{turn['trace_id']}-{turn['span_id']}",
    }


def addresses(client: httpx.Client) -> list[tuple[str, dict[str, str], bool]]:
    """Every address that reads, what it must be asked with, and whether it takes a window."""
    described = client.get(f"{API}/openapi.json").json()["paths"]
    known = ids(client)
    found: list[tuple[str, dict[str, str], bool]] = []
    for path, methods in sorted(described.items()):
        reads = path.startswith(API) and "get" in methods
        if not reads or any(part in path for part in LEFT_OUT):
            continue
        takes = methods["get"].get("parameters", ())
        windowed = any(one["name"] == "from" for one in takes)
        if "{dimension}" in path:
            names = ("device", "channel")
            found += [(path.replace("{dimension}", name), {}, windowed) for name in names]
            continue
        if "{pack}" in path:
            packs = [one["name"] for one in client.get(f"{API}/definitions").json()["packs"]]
            found += [(path.replace("{pack}", name), {}, windowed) for name in packs]
            continue
        found.append((path.format_map(known), {}, windowed))
        if path == f"{API}/conversations":
            found.append((path, {"search": "order 4711"}, windowed))
    return found


def median_ms(client: httpx.Client, path: str, params: dict[str, str], runs: int) -> float | None:
    """The median of some runs after a first one; None where it is not answered."""
    taken = []
    for _ in range(runs + 1):
        began = time.perf_counter()
        answer = client.get(path, params=params)
        taken.append(time.perf_counter() - began)
        if answer.status_code != httpx.codes.OK:
            sys.stderr.write(f"{path}: {answer.status_code} {answer.text[:200]}\n")
            return None
    return round(statistics.median(taken[1:]) * 1000, 1)


def export(client: httpx.Client, kind: str, rows: int) -> dict[str, Any]:
    """Rows a second of an export, and by how much the process grew meanwhile."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    path = f"{API}/exports/{kind}"
    asked = client.build_request("GET", path, params={**times(90), "format": "csv"})
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


def measure(turns: int, folder: Path, runs: int, only: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        "turns": turns,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
    }
    with closing(filled(folder, turns)) as store:
        began = time.perf_counter()
        found["days_kept"] = Rollup(store, timedelta(0)).refresh()
        found["days_kept_seconds"] = round(time.perf_counter() - began, 1)
        put_together(store, KEPT)
    with serving(place_of(folder, turns)) as client:
        found["endpoints"] = [
            {
                "endpoint": path if not params else f"{path}?{next(iter(params))}=",
                **{
                    name: median_ms(
                        client, path, {**(times(days) if windowed else {}), **params}, runs
                    )
                    for name, days in WINDOWS.items()
                },
            }
            for path, params, windowed in addresses(client)
            if only in path
        ]
        if not only:
            rows = min(turns // 10, 1_000_000)
            found["exports"] = [export(client, kind, rows) for kind in ("interactions", "sessions")]
    found["peak_memory_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return found


def set_beside(found: dict[str, Any], arguments: argparse.Namespace) -> None:
    """The same over fewer turns, in a process of its own, and how many times that long it takes."""
    told = ["--turns", str(arguments.beside), "--runs", str(arguments.runs)]
    told += ["--folder", str(arguments.folder), "--only", arguments.only, "--json"]
    done = subprocess.run([sys.executable, __file__, *told], capture_output=True, check=True)
    others = json.loads(done.stdout)["endpoints"]
    # In the same order: the ids in some addresses differ.
    for row, other in zip(found["endpoints"], others, strict=True):
        if other["7d"] and row["7d"]:
            row["7d_ratio"] = round(row["7d"] / other["7d"], 2)


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
    arguments = parser.parse_args()
    found = measure(arguments.turns, arguments.folder, arguments.runs, arguments.only)
    if arguments.beside:
        set_beside(found, arguments)
    if arguments.json:
        sys.stdout.write(json.dumps(found, indent=1) + "\n")
        return
    for row in found["endpoints"]:
        sys.stdout.write(f"{row['7d']!s:>9} {row['90d']!s:>9}  {row['endpoint']}\n")
    for row in found.get("exports", ()):
        sys.stdout.write(f"{row}\n")


if __name__ == "__main__":
    main()
