"""Each framework's example under load, and whether the server stored every turn once.

Run: python examples/load.py [--seconds 10] [--clients 8] [--json]
It brings up an analytics server on a store of its own, then one example after the other, and
compares the answers that the clients got with the turns that the server has. Exit code 1 where
they differ.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
from websockets.sync.client import connect

EXAMPLES = Path(__file__).parent
TEXT = "Where is my order?"
FRAMEWORKS = {
    "fastapi": "uvicorn fastapi_app.main:app --log-level warning --port",
    "flask": "gunicorn flask_app.app:app --workers 2 --threads 4 --log-level warning --bind",
    "django": "uvicorn django_app.asgi:application --log-level warning --port",
}
SOCKETS = {"fastapi": str, "django": lambda text: json.dumps({"text": text})}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def running(*command: str, port: int, **environment: str) -> Iterator[None]:
    """A process that listens on `port`; asked to stop at the end, which flushes its telemetry."""
    env = {**os.environ, "PYTHONPATH": str(EXAMPLES), **environment}
    process = subprocess.Popen([sys.executable, "-m", *command], cwd=EXAMPLES, env=env)
    try:
        deadline = time.monotonic() + 60
        while not answers(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{' '.join(command)} did not start")
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def by_http(port: int, session: str, until: float) -> int:
    sent = 0
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        while time.monotonic() < until:
            path = "/chat/stream" if sent % 4 == 3 else "/chat"
            client.post(path, json={"session_id": session, "text": TEXT}).raise_for_status()
            sent += 1
    return sent


def by_socket(port: int, session: str, until: float, *, frame: Callable[[str], str]) -> int:
    sent = 0
    with connect(f"ws://127.0.0.1:{port}/ws/{session}") as client:
        if frame is str:
            client.recv()  # the greeting, which is no turn
        while time.monotonic() < until:
            client.send(frame(TEXT))
            client.recv()
            sent += 1
    return sent


def load(name: str, port: int, seconds: float, clients: int) -> int:
    """Turns that the clients sent and had answered."""
    until = time.monotonic() + seconds
    with ThreadPoolExecutor(clients) as pool:
        jobs = []
        for number in range(clients):
            session = f"{name}-{number}"
            frame = SOCKETS.get(name) if number % 2 else None
            if frame is None:
                jobs.append(pool.submit(by_http, port, session, until))
            else:
                jobs.append(pool.submit(by_socket, port, session, until, frame=frame))
        return sum(job.result() for job in jobs)


def stored(server: str) -> int:
    answer = httpx.get(f"{server}/api/v1/overview", params={"window": "24h"}, timeout=60)
    turns: int = answer.raise_for_status().json()["turns"]
    return turns


def settled(server: str, wanted: int) -> int:
    """The turns stored, once they are `wanted` or have stood still for five seconds."""
    found, since = stored(server), time.monotonic()
    while found != wanted and time.monotonic() - since < 5:
        time.sleep(0.2)
        if (now := stored(server)) != found:
            found, since = now, time.monotonic()
    return found


def measure(name: str, server: str, folder: Path, options: argparse.Namespace) -> dict[str, object]:
    port = free_port()
    before = stored(server)
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": server, "DJANGO_DB": str(folder / "django.db")}
    if name == "django":
        environment["DJANGO_SETTINGS_MODULE"] = "django_app.settings"
        subprocess.run(
            [sys.executable, "-m", "django", "migrate", "--run-syncdb", "--verbosity", "0"],
            cwd=EXAMPLES,
            env={**os.environ, **environment},
            check=True,
        )
    *command, last = FRAMEWORKS[name].split()
    address = f"127.0.0.1:{port}" if last == "--bind" else str(port)
    with running(*command, last, address, port=port, **environment):
        sent = load(name, port, options.seconds, options.clients)
    kept = settled(server, before + sent) - before
    return {"framework": name, "sent": sent, "stored": kept, "lost": sent - kept}


def main() -> int:
    parser = argparse.ArgumentParser(description="Loads each framework's example.")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    results = []
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        serve = ("otel_chat.cli", "serve", "--store", f"chdb:{folder}/store", "--port", str(port))
        with running(*serve, port=port):
            for name in FRAMEWORKS:
                results.append(measure(name, f"http://127.0.0.1:{port}", Path(folder), options))
                if not options.json:
                    print("{framework:8} sent {sent:6} stored {stored:6}".format(**results[-1]))
    if options.json:
        print(json.dumps(results))
    return int(any(result["lost"] for result in results))


if __name__ == "__main__":
    sys.exit(main())
