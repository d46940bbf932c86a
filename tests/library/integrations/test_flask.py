"""The Flask example on gunicorn, which forks its workers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from otel_chat import semconv as sc
from tests import web
from tests.library.integrations.live import Sink, serving
from tests.waiting import until

QUESTION = {"session_id": "s-1", "text": "Where is my order?"}


@pytest.fixture(params=["plain", "preload"])
def host(request: pytest.FixtureRequest, sink: Sink, tmp_path: Path) -> Iterator[str]:
    command = ["gunicorn", "flask_app.app:app", "--bind", "127.0.0.1:{port}", "--workers", "2"]
    command += ["--preload"] if request.param == "preload" else []
    with serving(sink, *command, log=tmp_path / "log") as address:
        yield address


def test_a_decorated_view_is_a_turn_that_knows_its_request(sink: Sink, host: str) -> None:
    """Conversation id from the body, which the view reads too; route and status, in each worker."""
    for _ in range(4):
        answer = web.post(f"http://{host}/chat", json=QUESTION, headers={"user-agent": "b/1"})
        assert answer.json() == {"reply": "Your order leaves us today."}
    turns = sink.turns_when(4)
    assert len(turns) == 4
    for turn in turns:
        assert turn[sc.CONVERSATION_ID] == "s-1"
        assert turn[sc.HTTP_ROUTE] == "/chat"
        assert turn[sc.HTTP_STATUS_CODE] == 200
        assert turn[sc.USER_AGENT] == "b/1"
        assert turn[sc.INTENT_NAME] == "order_status"


def test_a_streamed_answer_is_one_turn_to_its_last_word(sink: Sink, host: str) -> None:
    """The generator runs after the view has returned, and still knows its request."""
    answer = web.post(f"http://{host}/chat/stream", json=QUESTION)
    assert answer.text == "Your order leaves us today. "
    (turn,) = sink.turns_when(1)
    assert turn[sc.CONVERSATION_ID] == "s-1"
    assert turn[sc.HTTP_STATUS_CODE] == 200
    assert turn[sc.TIME_TO_FIRST_CHUNK] <= turn["seconds"]


@pytest.mark.parametrize("more", [[], ["--preload"]], ids=["plain", "preload"])
def test_workers_under_one_given_id_are_counted_apart(
    sink: Sink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: list[str]
) -> None:
    """As an operator gives the pod's name to four workers: each has a series of its own."""
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.instance.id=pod-1")
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "500")
    command = ["gunicorn", "flask_app.app:app", "--bind", "127.0.0.1:{port}", "--workers", "4"]
    with serving(sink, *command, *more, log=tmp_path / "log") as address:
        for _ in range(24):
            web.post(f"http://{address}/chat", json=QUESTION)
        workers = until(lambda: counted if sum((counted := _counted(sink)).values()) == 24 else {})
        until(lambda: len(_told_memory(sink)) >= 4)
    assert len(workers) > 1
    if not more:
        assert all(re.fullmatch(r"pod-1-\d+", instance) for instance in workers)


def _counted(sink: Sink) -> dict[str, int]:
    """The turns that each process says it has had so far."""
    return {
        instance: max(point.count for metric in metrics for point in metric.histogram.data_points)
        for instance, metrics in _by_instance(sink, sc.METRIC_TURN_DURATION).items()
    }


def _told_memory(sink: Sink) -> set[str]:
    return set(_by_instance(sink, sc.METRIC_PROCESS_MEMORY))


def _by_instance(sink: Sink, name: str) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for resource, metric in list(sink.metrics):
        if metric.name == name:
            found.setdefault(resource["service.instance.id"], []).append(metric)
    return found
