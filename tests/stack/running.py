"""The running stack, asked as its users ask it, and an application that sends to it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import httpx

from otel_chat.client import AnalyticsClient
from otel_chat.client.local_server import HOST, free_port
from tests import web
from tests.waiting import until
from tools.stack.parts import ROOT, Settings
from tools.stack.processes import Stack


@dataclass(frozen=True)
class Running:
    """The stack and where it is.

    Args:
        stack: Its processes.
        settings: How they were told to run.
    """

    stack: Stack
    settings: Settings

    def turns(self, service: str) -> int:
        """The turns of a service in the analytics server."""
        with AnalyticsClient(self.settings.ports.url("analytics")) as client:
            return sum(
                conversation["turns"]
                for conversation in client.conversations(window="24h")
                if conversation["conversation_id"].startswith(f"{service}-")
            )

    def trace(self, trace_id: str) -> dict[str, Any]:
        """A trace of the analytics server."""
        with AnalyticsClient(self.settings.ports.url("analytics")) as client:
            return client.trace(trace_id)

    def query(self, expression: str) -> list[float]:
        """The values of an instant query to Prometheus."""
        answer = self._ask("query", query=expression)
        return [float(line["value"][1]) for line in answer["result"]]

    def counted(self, service: str) -> list[float]:
        """The turns of a service in Prometheus."""
        name = f'otel_chat_turn_duration_seconds_count{{service_name="{service}"}}'
        return self.query(f"sum(increase({name}[10m] anchored))")

    def exemplars(self, selector: str) -> set[str]:
        """The trace ids of the exemplars of the last minutes."""
        now = time.time()
        answer = self._ask("query_exemplars", query=selector, start=now - 600, end=now + 60)
        return {exemplar["labels"]["trace_id"] for line in answer for exemplar in line["exemplars"]}

    def _ask(self, path: str, **parameters: str | float) -> Any:
        url = f"{self.settings.ports.url('prometheus')}/api/v1/{path}"
        answer = web.get(url, params=parameters).raise_for_status()
        return answer.json()["data"]


class Sender:
    """The application of `application.py` as a process of its own: a context manager.

    Args:
        service: Its name.
        endpoint: Where it sends.
        environment: Variables of its own.
    """

    def __init__(self, service: str, endpoint: str, **environment: str) -> None:
        self.service = service
        self._environment = environment
        self._command = [sys.executable, "-m", "tests.stack.application", service, endpoint]

    def __enter__(self) -> Self:
        self._child = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={
                **os.environ,
                "OTEL_METRIC_EXPORT_INTERVAL": "1000",
                "OTEL_BSP_SCHEDULE_DELAY": "1000",
                **self._environment,
            },
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._child.communicate(timeout=60)

    def answer(self, turns: int, *, flush: bool = True) -> None:
        """Tells it to answer some turns; returns at once.

        Args:
            turns: How many.
            flush: Whether to flush after them; else they go when their time comes.
        """
        assert self._child.stdin
        self._child.stdin.write(f"{turns}{'' if flush else ' held'}\n")
        self._child.stdin.flush()

    def kill(self) -> None:
        """Ends it at once, as a crash would."""
        self._child.kill()

    def said(self) -> tuple[int, bool]:
        """Waits until one order is done: the turns so far, and whether all telemetry was taken."""
        assert self._child.stdout
        answered, taken = self._child.stdout.readline().split()
        return int(answered), taken == "taken"


@contextmanager
def application(running: Running, *command: str) -> Iterator[str]:
    """A web application of uvicorn's that sends to the stack; gives its address."""
    port = free_port()
    url = f"http://{HOST}:{port}"
    environment = {
        **os.environ,
        "OTEL_EXPORTER_OTLP_ENDPOINT": running.settings.ports.url("otlp_http"),
        "OTEL_METRIC_EXPORT_INTERVAL": "1000",
        "OTEL_RESOURCE_ATTRIBUTES": "service.version=1.0.0,deployment.environment.name=test",
        "OTEL_CHAT_DEMO_ANALYTICS": running.settings.ports.url("analytics"),
    }
    started = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", *command, "--host", HOST, "--port", str(port)],
        cwd=ROOT,
        env=environment,
    )
    try:
        until(lambda: _answers(url))
        yield url
    finally:
        started.terminate()
        started.wait(60)


def _answers(url: str) -> bool:
    try:
        return bool(web.get(url).status_code)
    except httpx.HTTPError:
        return False
