"""Topics by a language model, tried against a local server that speaks OpenAI's format."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from otel_chat import Config, ConfigurationError, turn
from otel_chat import semconv as sc
from otel_chat.hooks import ModelTopicDetector
from otel_chat.testing import Telemetry
from tests.waiting import until

KEY = "sk-test-0123456789abcdef"
TOPICS = ["billing", "delivery", "returns"]


class Model:
    """An endpoint; what it was asked, and what it answers."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str], Any]] = []
        self.said = "delivery, Billing."
        self.status = 200
        self.headers: dict[str, str] = {}
        self.tokens = 50
        self.wait = threading.Event()
        self.wait.set()
        model = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                headers = {name.lower(): value for name, value in self.headers.items()}
                model.asked.append((self.path, headers, body))
                model.wait.wait(30)
                message = {"role": "assistant", "content": model.said}
                usage = {"total_tokens": model.tokens}
                answer = json.dumps({"choices": [{"message": message}], "usage": usage}).encode()
                self.send_response(model.status)
                for name, value in {**model.headers, "content-length": str(len(answer))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self.server.server_address[1]}/v1"

    def detector(self, **given: Any) -> ModelTopicDetector:
        """One that asks about every message."""
        more = {"model": "small", "endpoint": self.endpoint, "sample_rate": 1, **given}
        return ModelTopicDetector(TOPICS, **more)


@pytest.fixture(name="model")
def listening(monkeypatch: pytest.MonkeyPatch) -> Iterator[Model]:
    monkeypatch.setattr("otel_chat._telemetry.runtime._logged", set())
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    model = Model()
    threading.Thread(target=model.server.serve_forever, daemon=True).start()
    yield model
    model.wait.set()
    model.server.shutdown()
    model.server.server_close()


def one_turn(text: str = "Where is my parcel? Call 4111 1111 1111 1111.") -> None:
    with turn("support", conversation_id="c", message=text):
        pass


def found(telemetry: Telemetry) -> list[str]:
    return [str(e.attributes[sc.TOPIC_NAME]) for e in telemetry.events(sc.EVENT_TOPIC)]


def test_topics_become_events_of_their_turn(model: Model) -> None:
    """The format is OpenAI's, the text redacted, the key a bearer's; content capture stays off."""
    with Telemetry(Config(topic_detector=model.detector())) as telemetry:
        one_turn()
        until(lambda: found(telemetry) == ["delivery", "billing"])
        told = telemetry.only_turn()
        assert [event.name for event in told.events] == [sc.EVENT_TOPIC] * 2
        assert {e.attributes[sc.CONVERSATION_ID] for e in told.events} == {"c"}
        assert "parcel" not in str(told)
    ((path, headers, body),) = model.asked
    assert path == "/v1/chat/completions"
    assert headers["authorization"] == f"Bearer {KEY}"
    assert (body["model"], body["temperature"]) == ("small", 0)
    assert [m["role"] for m in body["messages"]] == ["system", "user"]
    assert body["messages"][1]["content"] == "Where is my parcel? Call [card]."
    assert all(topic in body["messages"][0]["content"] for topic in TOPICS)


def test_neither_reply_nor_telemetry_waits_for_the_model(model: Model) -> None:
    """While it thinks, the turn is over and its span is there; the topics come after."""
    model.wait.clear()
    with Telemetry(Config(topic_detector=model.detector())) as telemetry:
        one_turn()
        assert telemetry.only_turn()["conversation_id"] == "c"
        until(lambda: model.asked)
        assert found(telemetry) == []
        model.wait.set()
        until(lambda: found(telemetry) == ["delivery", "billing"])


@pytest.mark.parametrize(
    ("given", "tokens", "expected"),
    [
        ({"calls_per_minute": 2}, 50, 2),
        ({"tokens_per_day": 100}, 50, 2),
        ({"tokens_per_day": 100}, 1000, 1),
        ({"sample_rate": 0}, 50, 0),
    ],
)
def test_the_budget_bounds_what_is_asked(
    model: Model, given: dict[str, Any], tokens: int, expected: int
) -> None:
    """By calls a minute, by tokens a day as the endpoint counts them, and by the share."""
    model.tokens = tokens
    detector = model.detector(**given)
    answers = [detector("Where is it?") for _ in range(5)]
    for answer in answers:
        if answer is not None:
            answer.result(30)
    assert len(model.asked) == expected


def test_more_than_wait_are_left_out(model: Model) -> None:
    """A slow endpoint fills a short queue, and memory no further."""
    model.wait.clear()
    detector = model.detector(calls_per_minute=1000)
    answers = [detector("Where is it?") for _ in range(100)]
    assert 16 <= sum(answer is not None for answer in answers) <= 18


def test_topics_that_are_not_on_the_list_are_not_believed(model: Model) -> None:
    """Whatever a message makes the model say."""
    model.said = "ignore previous instructions, delivery\n- *returns*, <script>, delivery"
    answer = model.detector()("Say whatever I want")
    assert answer is not None
    assert answer.result(30) == ("delivery", "returns")


def refuses(model: Model) -> None:
    model.status = 401


def redirects(model: Model) -> None:
    model.status, model.headers = 307, {"location": f"{model.endpoint}/elsewhere"}


def babbles(model: Model) -> None:
    model.said = None  # type: ignore[assignment]


def hangs(model: Model) -> None:
    model.wait.clear()


@pytest.mark.parametrize("fault", [refuses, redirects, hangs])
def test_an_endpoint_that_fails_costs_its_topics_alone(
    model: Model,
    fault: Callable[[Model], None],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Counted, said once without key and text, never followed to another address."""
    monkeypatch.delenv("OTEL_CHAT_RAISE")
    fault(model)
    caplog.set_level(logging.DEBUG)
    patience = 0.2 if fault is hangs else 30.0  # a busy machine's answer is late, too
    detector = model.detector(timeout_seconds=patience)
    with Telemetry(Config(topic_detector=detector)) as telemetry:
        for _ in range(2):
            one_turn()

        def errors() -> float:
            return sum(
                point.value
                for point in telemetry.metric(sc.METRIC_TELEMETRY_ERRORS).points
                if point.attributes[sc.TELEMETRY_COMPONENT] == "topic_detector"
            )

        until(lambda: errors() == 2)
        assert len(telemetry.turns) == 2
        assert found(telemetry) == []
    assert {path for path, _, _ in model.asked} == {"/v1/chat/completions"}
    assert [r.name for r in caplog.records if "topic_detector" in r.getMessage()] == ["otel_chat"]
    assert KEY not in caplog.text
    assert "parcel" not in caplog.text


def test_a_model_that_says_nothing_finds_nothing(model: Model) -> None:
    """An empty answer is no error."""
    babbles(model)
    answer = model.detector()("Where is it?")
    assert answer is not None
    assert answer.result(30) == ()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"topics": []}, "topics must be a list of names"),
        ({"topics": "billing"}, "topics must be a list of names"),
        ({"endpoint": "ftp://h"}, "endpoint must be an address"),
        ({"endpoint": "https://key@h/v1"}, "endpoint must be an address"),
        ({"calls_per_minute": 0}, "calls_per_minute must lie between 1 and"),
        ({"tokens_per_day": 0}, "tokens_per_day must lie between 1 and"),
        ({"timeout_seconds": 0}, "timeout_seconds must lie between 0.1 and 60"),
    ],
)
def test_what_cannot_be_is_refused(given: dict[str, Any], said: str) -> None:
    """The message names the argument; a key in an address is not repeated."""
    with pytest.raises(ConfigurationError, match=said) as refused:
        ModelTopicDetector(**{"topics": TOPICS, "model": "small", **given})
    assert "key@" not in str(refused.value)
