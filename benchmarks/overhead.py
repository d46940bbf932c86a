"""What a decorated handler costs: on the caller's path, in CPU, in memory, at import.

`python benchmarks/overhead.py --json`. Every contestant is a process of its own (the peers each in
their environment, as for `conformance_peers.py`); rounds are interleaved, and medians over the
rounds are told, so that what else the machine does meets all of them alike.
"""

# ruff: noqa: D102 - methods that say what they do

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any, Self

from conformance_peers import PEERS, ROOT, SUBJECTS, default_cache, environment

WORKER = ROOT / "benchmarks" / "overhead_worker.py"
OWN = (
    "bare",
    "raw_span",
    "naive",
    "naive_events",
    "decorator",
    "records",
    "otel_chat",
    "away",
)
API = "import opentelemetry.trace, opentelemetry.metrics, opentelemetry._logs"
IMPORT = "import time; begin = time.perf_counter(); {}; print(time.perf_counter() - begin)"


class Contestant:
    """A worker process that makes calls when told to."""

    def __init__(self, name: str, python: Path) -> None:
        self.name = name
        self.rounds: list[dict[str, float]] = []
        self._process = subprocess.Popen(
            [str(python), str(WORKER), name],
            env=surroundings(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def __enter__(self) -> Self:
        while (line := self._read()) != "ready":
            if not line:
                sys.exit(f"{self.name} did not start; run {WORKER.name} {self.name} to see why")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def _read(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline().strip()

    def run(self, calls: int) -> dict[str, float]:
        assert self._process.stdin
        self._process.stdin.write(f"{calls}\n")
        self._process.stdin.flush()
        answer: dict[str, float] = json.loads(self._read())
        return answer

    def typical(self, key: str) -> float:
        return median(taken[key] for taken in self.rounds)


def surroundings() -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("OTEL_")}
    return {**kept, "PYTHONPATH": os.pathsep.join([str(ROOT), str(PEERS)])}


def race(rounds: int, calls: int, cache: Path, *, peers: bool) -> dict[str, Contestant]:
    pythons = {name: Path(sys.executable) for name in OWN}
    if peers:
        pythons |= {name: environment(name, cache) for name in SUBJECTS if name != "otel_chat"}
    with ExitStack() as stack:
        field = {n: stack.enter_context(Contestant(n, p)) for n, p in pythons.items()}
        for contestant in field.values():
            contestant.run(calls)  # warm
        for number in range(rounds):
            order = [*field.values()]
            for contestant in order[number % len(order) :] + order[: number % len(order)]:
                contestant.rounds.append(contestant.run(calls))
        return field


def seconds_to(statement: str) -> float:
    done = subprocess.run(
        [sys.executable, "-c", IMPORT.format(statement)],
        env=surroundings(),
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout)


def import_ms(rounds: int) -> float:
    """What `import otel_chat` takes beyond the imports of opentelemetry-api."""
    pairs = [(seconds_to("import otel_chat"), seconds_to(API)) for _ in range(rounds)]
    return 1000 * (median(ours for ours, _ in pairs) - median(api for _, api in pairs))


def ours_alone(rounds: int) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, str(WORKER), "alone", str(rounds)],
        env=surroundings(),
        capture_output=True,
        text=True,
        check=True,
    )
    answer: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return answer


def results(chosen: argparse.Namespace) -> dict[str, Any]:
    field = race(chosen.rounds, chosen.calls, chosen.cache, peers=not chosen.no_peers)
    us = {name: contestant.typical("us") for name, contestant in field.items()}
    cpu = {name: contestant.typical("cpu_us") for name, contestant in field.items()}
    return {
        "bare_us": us["bare"],
        "raw_span_us": us["raw_span"],
        "naive_us": us["naive"],
        "naive_events_us": us["naive_events"],
        "decorator_us": us["decorator"],
        "records_us": us["records"],
        "otel_chat_us": us["otel_chat"],
        "latency_ratio": us["otel_chat"] / us["raw_span"],
        "raw_span_cpu_us": cpu["raw_span"],
        "naive_cpu_us": cpu["naive"],
        "naive_events_cpu_us": cpu["naive_events"],
        "decorator_cpu_us": cpu["decorator"],
        "records_cpu_us": cpu["records"],
        "otel_chat_cpu_us": cpu["otel_chat"],
        "cpu_ratio": cpu["otel_chat"] / cpu["naive"],
        "records_cpu_ratio": cpu["records"] / cpu["naive"],
        "events_cpu_ratio": cpu["otel_chat"] / cpu["naive_events"],
        "collector_away_us": us["away"],
        **ours_alone(chosen.rounds),
        "peers": {name: us[name] for name in us if name not in OWN},
        "import_ms": import_ms(chosen.rounds),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}, "
        f"Python {platform.python_version()}",
        "rounds": chosen.rounds,
        "calls": chosen.calls,
    }


def rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: rounded(inner) for key, inner in value.items()}
    return round(value, 3) if isinstance(value, float) else value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--calls", type=int, default=400, help="calls a round")
    parser.add_argument("--cache", type=Path, default=default_cache(), help="for environments")
    parser.add_argument("--no-peers", action="store_true", help="without the other libraries")
    chosen = parser.parse_args()
    answer = rounded(results(chosen))
    if chosen.json:
        print(json.dumps(answer))
        return
    for key, value in answer.items():
        print(f"{key:20} {value}")


if __name__ == "__main__":
    main()
