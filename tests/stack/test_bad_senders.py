"""A sender whose metrics Prometheus refuses costs no other sender a sample."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import pytest

from tests import web
from tests.stack.running import Running, Sender
from tests.waiting import until

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]
Body = dict[str, Any]
SAMPLES = 40
AHEAD, BEHIND = 15 * 60, -2 * 3600
"""Seconds by which a clock is wrong."""


def gauge(service: str, value: int, *, name: str = "process.probe", late: float = 0.0) -> Body:
    """A request with one point of a gauge, as OTLP/JSON."""
    now = time.time_ns() + int(late * 1e9)
    points = [{"asInt": str(value), "timeUnixNano": str(now)}]
    return request(service, {"name": name, "gauge": {"dataPoints": points}})


def request(service: str, *metrics: Body) -> Body:
    """A request of one service, as OTLP/JSON."""
    named = [{"key": "service.name", "value": {"stringValue": service}}]
    scopes = [{"scope": {"name": "test"}, "metrics": list(metrics)}]
    return {"resourceMetrics": [{"resource": {"attributes": named}, "scopeMetrics": scopes}]}


def send(running: Running, body: Body) -> None:
    """Gives a request to the collector, which must take it."""
    url = f"{running.settings.ports.url('otlp_http')}/v1/metrics"
    web.post(url, json=body).raise_for_status()


@contextmanager
def again_and_again(running: Running, body: Callable[[int], Body]) -> Iterator[None]:
    """A sender that goes on beside the others until the block ends."""
    over = threading.Event()

    def go_on() -> None:
        number = 0
        while not over.wait(0.02):
            number += 1
            send(running, body(number))

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def kept(running: Running, service: str) -> list[float]:
    """How many samples of a service Prometheus has."""
    return running.query(f'count_over_time(process_probe{{job="{service}"}}[10m])')


BAD: dict[str, Callable[[int], Body]] = {
    "a clock 15 minutes ahead": lambda n: gauge("bad", n, late=AHEAD),
    "a clock 2 hours behind": lambda n: gauge("bad", n, late=BEHIND),
    "a metric without points": lambda n: request("bad", {"name": "process.x", "gauge": {}}),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_a_healthy_application_keeps_each_of_its_samples(
    running: Running, bad: Callable[[int], Body]
) -> None:
    """However often another sends beside it what Prometheus refuses."""
    service = f"healthy-{uuid4().hex[:8]}"
    with again_and_again(running, bad):
        for number in range(SAMPLES):
            send(running, gauge(service, number))
    until(lambda: kept(running, service) == [SAMPLES])


def test_points_that_are_dropped_are_counted(running: Running) -> None:
    """By the collector, so that an alert can tell of them."""
    dropped = 'otelcol_processor_filter_datapoints_filtered{filter="filter/bounds"}'
    before = sum(running.query(dropped))
    send(running, gauge("bad", 1, late=AHEAD))
    send(running, gauge("bad", 1, late=BEHIND))
    until(lambda: sum(running.query(dropped)) == before + 2)


def test_metrics_that_are_not_of_chat_stay_out_of_prometheus(running: Running) -> None:
    """Those beside them in the same request arrive."""
    service = f"mixed-{uuid4().hex[:8]}"
    theirs, ours = (gauge(service, 1, name=name) for name in ("theirs.requests", "process.probe"))
    theirs["resourceMetrics"] += ours["resourceMetrics"]
    send(running, theirs)
    until(lambda: kept(running, service) == [1.0])
    assert running.query("theirs_requests") == []


def test_short_processes_are_counted_though_prometheus_was_away(running: Running) -> None:
    """Each of them had ended before Prometheus was there again, and one that it refuses was too."""
    service = f"short-{uuid4().hex[:8]}"
    running.stack["prometheus"].stop()
    try:
        together = [Sender(service, running.settings.ports.url("otlp_http")) for _ in range(4)]
        for one in together:
            one.__enter__().answer(1)
        send(running, gauge("bad", 1, late=AHEAD))
        for one in together:
            assert one.said() == (1, True)
            one.__exit__(None, None, None)
    finally:
        running.stack["prometheus"].start()
    until(lambda: running.counted(service) == [4.0])
