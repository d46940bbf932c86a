"""Processes: a fork in the middle, and an exit with telemetry still queued."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    SpanExporter,
    SpanExportResult,
)

from otel_chat.testing.conformance.model import Case, Failure, Maker, Subject, scope_name

GROUP = "processes"
DEADLINE = 60.0
LONG_MS = 3_600_000
"""A batch processor's delay that no case lives to see: only a flush can deliver."""


class LineExporter(SpanExporter):
    """Appends each span as `pid name` to a file, which several processes may share."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Writes the spans."""
        with self.path.open("a") as out:
            out.writelines(
                json.dumps({"pid": os.getpid(), "name": span.name, "scope": scope_name(span)})
                + "\n"
                for span in spans
            )
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Nothing to close."""


def make(maker: str, processor: BatchSpanProcessor) -> Subject:
    """The subject that `module:function` makes around a span processor."""
    module, _, function = maker.partition(":")
    chosen: Maker = getattr(importlib.import_module(module), function)
    return chosen(processor)


def worker(maker: str, scenario: str, path: str) -> None:
    """What the other process runs."""
    processor = BatchSpanProcessor(LineExporter(Path(path)), schedule_delay_millis=LONG_MS)
    subject = make(maker, processor)

    def handler(text: str) -> str:
        return text

    answer = subject.decorate(handler)
    answer("before")
    if scenario == "exit":
        return
    if scenario == "error":
        raise SystemExit(3)

    def deliver() -> None:
        subject.spans()
        processor.force_flush()

    deliver()
    child = os.fork()
    if not child:
        answer("child")
        deliver()
        os._exit(0)
    os.waitpid(child, 0)
    answer("parent")
    deliver()


def _run(subject: Subject, scenario: str) -> tuple[list[int], int, str]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "spans"
        path.touch()
        code = f"from {__name__} import worker; worker(*{[subject.maker, scenario, str(path)]!r})"
        done = subprocess.run(  # noqa: S603 - this interpreter, this module
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
        )
        pids = [json.loads(line)["pid"] for line in path.read_text().splitlines()]
        return pids, done.returncode, done.stderr.strip()[-160:]


def _case(name: str, scenario: str, *, code: int, per_process: list[int]) -> Case:
    def check(subject: Subject) -> Iterator[Failure]:
        pids, returned, said = _run(subject, scenario)
        if returned != code:
            yield Failure("passes through", f"the process ended with {returned}: {said}")
        counts = [pids.count(pid) for pid in dict.fromkeys(pids)]
        if counts != per_process:
            yield Failure("one span", f"{counts} spans by process, not {per_process}")

    return Case(GROUP, name, check, needs_maker=True)


def process_cases() -> tuple[Case, ...]:
    """The cases of the group `processes`."""
    return (
        _case("exit with telemetry queued", "exit", code=0, per_process=[1]),
        _case("sys.exit with telemetry queued", "error", code=3, per_process=[1]),
        _case("fork", "fork", code=0, per_process=[2, 1]),
    )
