"""`make stack`: runs the servers until Ctrl-C."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from dataclasses import asdict, fields
from pathlib import Path
from types import FrameType

from tools.stack.expand import MissingVariableError
from tools.stack.parts import PROMETHEUS, Ports, Settings, parts
from tools.stack.processes import Stack, StackError


def arguments() -> argparse.Namespace:
    """The command line: a folder, and a port for every server."""
    parser = argparse.ArgumentParser(prog="make stack", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path(".otel-chat/stack"))
    parser.add_argument(
        "--rules", type=Path, default=PROMETHEUS, help="folder of rules/ and alerts/ (generated)"
    )
    parser.add_argument("--quiet", action="store_true", help="logs go to DATA/logs only")
    for port, default in asdict(Ports()).items():
        parser.add_argument(f"--{port.replace('_', '-')}", type=int, default=default)
    return parser.parse_args()


def main() -> None:
    """Starts the stack, says where it is, and stops it cleanly."""
    given = arguments()
    ports = Ports(*(getattr(given, line.name) for line in fields(Ports)))
    own = {name: value for name, value in os.environ.items() if name.startswith("OTEL_CHAT_")}
    settings = Settings(given.data.absolute(), ports, own, given.rules)

    def end(_signal: int, _frame: FrameType | None) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C must not leave servers behind
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)

    def say(name: str, line: str) -> None:
        print(f"{name:12} | {line}", flush=True)

    def started(name: str) -> None:
        print(f"{'stack':12} | {name} is ready", flush=True)

    try:
        stack = Stack(
            parts(settings),
            settings.data / "logs",
            say=None if given.quiet else say,
            started=started,
        )
        with stack:
            print(where(ports), flush=True)
            stack.watch()
    except KeyboardInterrupt:
        print(f"{'stack':12} | stopped", flush=True)
    except (StackError, MissingVariableError, ValueError) as error:
        sys.exit(f"stack: {error}")


def where(ports: Ports) -> str:
    """What to open, and what to tell an application."""
    return (
        f"\n  Analytics     {ports.url('analytics')}"
        f"\n  Runbooks      {ports.url('analytics')}/runbooks"
        f"\n  Alertmanager  {ports.url('alertmanager')}"
        f"\n  Prometheus    {ports.url('prometheus')}, its API: built from source it has no pages"
        f"\n  Applications  OTEL_EXPORTER_OTLP_ENDPOINT={ports.url('otlp_http')}"
        "\n  Ctrl-C stops all of them.\n"
    )


if __name__ == "__main__":
    main()
