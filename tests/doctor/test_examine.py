"""What the doctor says of each trouble, with small servers in place of the real ones."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from otel_chat.client.local_server import free_port
from otel_chat.doctor import Addresses, Diagnosis, Hop, Marked, State, examine, straight
from otel_chat.doctor.findings import TroubleError
from otel_chat.doctor.sending import settings_of_sdk
from tests import commands

MARKED = Marked("doctor-1", "0a" * 16, "instance-1")
COUNTED = {"data": {"result": [{"value": [1790000000.0, "1"]}]}}
EXEMPLAR = {"data": [{"exemplars": [{"labels": {"trace_id": MARKED.trace_id}}]}]}
FOUND = {"turns": [{}], "events": [{}]}
QUEUED = (
    'otelcol_exporter_queue_size{data_type="traces",exporter="otlp_http/analytics"} 512\n'
    'otelcol_exporter_send_failed_spans{exporter="otlp_http/analytics"} {failed}\n'
)


@dataclass
class Fake:
    """All servers in one: answers by path.

    Args:
        answers: Status and body of each path; a callable is asked each time.
        asked: The requests so far.
    """

    answers: Mapping[str, Any]
    asked: list[str] = field(default_factory=list)
    url: str = ""

    def addresses(self, **given: str | None) -> Addresses:
        """Every hop is here."""
        found: dict[str, str | None] = {
            "endpoint": self.url,
            "collector": f"{self.url}/health",
            "collector_metrics": f"{self.url}/metrics",
            "prometheus": self.url,
            "tempo": self.url,
            "analytics": self.url,
        }
        return Addresses(**(found | given))


HEALTHY: dict[str, tuple[int, Any]] = {
    "/v1/traces": (200, {}),
    "/v1/logs": (200, {}),
    "/v1/metrics": (200, {}),
    "/health": (200, {}),
    "/metrics": (200, ""),
    f"/api/v1/conversations/{MARKED.conversation_id}": (200, FOUND),
    "/api/v1/unclaimed-spans": (200, {"spans": 0, "items": []}),
    "/api/v1/query": (200, COUNTED),
    "/api/v1/query_exemplars": (200, EXEMPLAR),
    f"/api/traces/{MARKED.trace_id}": (200, {}),
}
CONVERSATION = f"/api/v1/conversations/{MARKED.conversation_id}"
TRACE = f"/api/traces/{MARKED.trace_id}"
REFUSED = {"error": {"message": "no"}}


@contextmanager
def serving(**changes: Any) -> Iterator[Fake]:
    """Healthy servers but for what is changed, given as `path=(status, body)`."""
    fake = Fake({**HEALTHY, **changes})

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.split("?")[0]
            fake.asked.append(path)
            answer = fake.answers.get(path, (404, {}))
            status, body = answer() if callable(answer) else answer
            text = body if isinstance(body, str) else json.dumps(body)
            self.send_response(status)
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            self.do_GET()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever).start()
        fake.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield fake
        finally:
            server.shutdown()


def sent(_endpoint: str | None, _seconds: float) -> Marked:
    """In place of the library: the turn is on its way."""
    return MARKED


def not_sent(_endpoint: str | None, _seconds: float) -> Marked:
    """In place of the library: nothing may be sent."""
    raise AssertionError("a turn was sent")


def of(found: Diagnosis, name: str) -> Hop:
    """One of the hops."""
    return next(hop for hop in found.hops if hop.name == name)


def later(first: tuple[int, Any], then: tuple[int, Any]) -> Callable[[], tuple[int, Any]]:
    """Answers otherwise from the second time on."""
    answers = [first]
    return lambda: answers.pop() if answers else then


def test_all_is_well_where_the_turn_is_at_every_hop() -> None:
    """Each server was asked, and each says what it has."""
    with serving() as fake:
        found = examine(fake.addresses(), send=sent)
    assert [hop.state for hop in found.hops] == [State.OK] * 5
    assert found.failed is None
    assert found.document()["ok"] is True
    assert set(fake.asked) == set(HEALTHY)


def test_a_turn_that_comes_later_is_waited_for() -> None:
    """Neither a 404 nor an empty result is an answer while there is time."""
    late = {
        CONVERSATION: later((404, REFUSED), (200, FOUND)),
        TRACE: later((404, {}), (200, {})),
        "/api/v1/query": later((200, {"data": {"result": []}}), (200, COUNTED)),
    }
    with serving(**late) as fake:
        assert examine(fake.addresses(), send=sent).failed is None


def test_a_turn_whose_events_are_missing_has_not_arrived() -> None:
    """Logs take a way of their own through the collector."""
    with serving(**{CONVERSATION: (200, {"turns": [{}], "events": []})}) as fake:
        found = examine(fake.addresses(), seconds=0.3, send=sent)
    assert found.failed == "analytics"


def test_spans_that_became_no_turn_are_told() -> None:
    """All is well with the pipeline, and still an agent's spans stand in no figure."""
    item = {
        "instrumentation": "langchain",
        "reason": "no conversation id",
        "fix": "Set it.",
        "spans": 1200,
    }
    with serving(**{"/api/v1/unclaimed-spans": (200, {"spans": 1200, "items": [item]})}) as fake:
        found = examine(fake.addresses(), send=sent)
    assert found.failed is None
    assert "1,200 of langchain, no conversation id. Set it." in of(found, "analytics").detail


def test_what_waits_in_the_collector_is_told_when_the_time_is_over() -> None:
    """How much waits for the server, and how much was dropped since the turn was sent."""
    changes = {
        CONVERSATION: (404, REFUSED),
        "/metrics": later(
            (200, QUEUED.replace("{failed}", "4")), (200, QUEUED.replace("{failed}", "7"))
        ),
    }
    with serving(**changes) as fake:
        found = examine(fake.addresses(), seconds=0.3, send=sent)
    hop = of(found, "analytics")
    assert "did not come within 0.3 s" in hop.detail
    assert "512 bytes wait for otlp_http/analytics" in hop.detail
    assert "3 items for otlp_http/analytics were refused and dropped" in hop.detail
    assert "ingest:write" in hop.fix
    assert found.failed == "analytics"


@pytest.mark.parametrize(
    ("name", "changes", "fix"),
    [
        ("analytics", {CONVERSATION: (401, REFUSED)}, "--token"),
        ("analytics", {CONVERSATION: (503, REFUSED)}, "otel-chat serve"),
        ("prometheus", {"/api/v1/query": (503, {})}, "Start Prometheus"),
        ("tempo", {TRACE: (500, {})}, "Start Tempo"),
        ("tempo", {TRACE: (404, {})}, "tempo.yaml"),
        ("prometheus", {"/api/v1/query": (200, {"data": {"result": []}})}, "otlp-receiver"),
        ("collector", {"/health": (503, {})}, "Start the collector"),
        ("application", {"/v1/traces": (401, {})}, "OTEL_EXPORTER_OTLP_HEADERS"),
        ("application", {"/v1/logs": (404, {})}, "base URL"),
    ],
)
def test_the_hop_that_failed_is_named_with_the_fix(
    name: str, changes: dict[str, Any], fix: str
) -> None:
    """One server in trouble is one hop that failed."""
    with serving(**changes) as fake:
        found = examine(fake.addresses(), seconds=0.3, send=sent)
    failed = [hop for hop in found.hops if hop.state is State.FAILED]
    assert [hop.name for hop in failed] == [name]
    assert fix in failed[0].fix
    assert found.lines()[-2:] == [f"It fails at: {name}.", f"Fix {name}: {failed[0].fix}"]


@pytest.mark.parametrize("name", ["analytics", "prometheus", "tempo"])
def test_a_server_that_is_away_is_not_waited_for(name: str) -> None:
    """Nobody listens: known at once, though an hour was given."""
    with serving() as fake:
        away = fake.addresses(**{name: f"http://127.0.0.1:{free_port()}"})
        found = examine(away, seconds=3600, send=sent)
    assert found.failed == name
    assert "does not answer" in of(found, name).detail


def test_a_collector_that_is_away_is_told_as_such_and_nothing_is_sent() -> None:
    """The application could not have done better."""
    with serving() as fake:
        away = f"http://127.0.0.1:{free_port()}"
        found = examine(fake.addresses(endpoint=away, collector=away), send=not_sent)
    assert found.failed == "collector"
    assert {hop.state for hop in found.hops if hop.name != "collector"} == {State.NOT_ASKED}


def test_an_endpoint_that_is_not_the_running_collector_is_the_applications_fault() -> None:
    """The collector is healthy elsewhere."""
    with serving() as fake:
        away = f"http://127.0.0.1:{free_port()}"
        found = examine(fake.addresses(endpoint=away), send=not_sent)
    assert found.failed == "application"
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" in of(found, "application").fix


def test_a_missing_exemplar_is_told() -> None:
    """The count is right, but panels lead to no trace."""
    with serving(**{"/api/v1/query_exemplars": (200, {"data": []})}) as fake:
        found = examine(fake.addresses(), send=sent)
    assert found.failed is None
    assert "exemplar-storage" in of(found, "prometheus").detail


def test_processes_that_send_under_one_id_are_named() -> None:
    """The turn is counted, but figures of that service in Prometheus are wrong."""
    shared = {"metric": {"service_name": "shop", "service_instance_id": "pod-1"}, "value": [0, "1"]}
    answers = iter([COUNTED, {"data": {"result": [shared]}}])
    with serving(**{"/api/v1/query": lambda: (200, next(answers))}) as fake:
        found = examine(fake.addresses(), send=sent)
    assert found.failed is None
    assert "several processes send as one" in of(found, "prometheus").detail
    assert "shop (pod-1)" in of(found, "prometheus").detail


def test_a_server_without_an_address_is_not_asked() -> None:
    """An empty variable and the word none leave a server out."""
    with serving() as fake:
        left_out = fake.addresses(tempo="none", prometheus="", collector=None)
        found = examine(left_out, send=sent)
    names = {hop.name for hop in found.hops if hop.state is State.NOT_ASKED}
    assert names == {"tempo", "prometheus", "collector"}
    assert found.failed is None


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("OTEL_SDK_DISABLED", "true"),
        ("OTEL_METRICS_EXPORTER", "none"),
        ("OTEL_TRACES_SAMPLER", "parentbased_always_off"),
    ],
)
def test_a_variable_that_switches_telemetry_off_is_named(variable: str, value: str) -> None:
    """It is the application's fault, and unsetting it is the fix."""
    with pytest.raises(TroubleError, match=variable) as trouble:
        settings_of_sdk({variable: value})
    assert variable in trouble.value.fix


def test_the_endpoint_of_one_signal_wins_over_the_base() -> None:
    """As the exporters have it; an option wins over both."""
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://base/",
        "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "http://own/logs",
    }
    assert Addresses().sends_to(environ) == {
        "traces": "http://base/v1/traces",
        "logs": "http://own/logs",
        "metrics": "http://base/v1/metrics",
    }
    assert Addresses().for_setup(environ) is None
    assert Addresses("http://mine").sends_to(environ)["logs"] == "http://mine/v1/logs"


def test_the_command_sends_through_the_library_and_prints_json(tmp_path: Path) -> None:
    """The turn of the library arrives at the endpoint; an analytics server without it is named."""
    with serving() as fake:
        options = [
            "--endpoint", fake.url, "--collector", "none", "--collector-metrics", "none",
            "--prometheus", "none", "--analytics", f"http://127.0.0.1:{free_port()}",
        ]  # fmt: skip
        done = commands.run("doctor", *options, "--json", cwd=tmp_path)
    said = json.loads(done.stdout)
    assert (done.returncode, said["failed"]) == (1, "analytics")
    assert said["turn"]["conversation_id"].startswith("doctor-")
    assert len(said["turn"]["trace_id"]) == 32
    assert said["turn"]["instance"]
    assert {path: fake.asked.count(path) >= 2 for path in ("/v1/traces", "/v1/logs")} == {
        "/v1/traces": True,
        "/v1/logs": True,
    }


AWAY = {"collector": "http://127.0.0.1:1", "collector_metrics": None, "tempo": None}


def test_without_a_collector_the_running_server_is_found() -> None:
    """At the usual address, else where the environment puts it; the words say what was done."""
    with serving(**{"/readyz": (200, {})}) as fake:
        usual = fake.addresses(endpoint=None, **AWAY)
        port = {"OTEL_CHAT_SERVER_PORT": fake.url.rpartition(":")[2]}
        elsewhere = replace(usual, analytics="http://127.0.0.1:1")
        for found in (straight(usual, [], {}), straight(elsewhere, [], port)):
            assert (found.endpoint, found.analytics) == (fake.url, fake.url)
            told = examine(found, send=sent)
            assert told.failed is None
            collector = of(told, "collector")
            assert collector.state is State.NOT_ASKED
            assert f"straight to the analytics server at {fake.url}" in collector.detail
            assert of(told, "prometheus").state is State.NOT_ASKED


def test_an_environment_that_sends_to_a_server_is_followed() -> None:
    """The endpoint is left to the environment, and that server is looked at."""
    with serving(**{"/readyz": (200, {})}) as fake:
        given = fake.addresses(endpoint=None, **AWAY)
        environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": fake.url}
        found = straight(replace(given, analytics="http://127.0.0.1:1"), [], environ)
        assert (found.endpoint, found.analytics, found.collector) == (None, fake.url, None)


@pytest.mark.parametrize("named", [["collector"], ["collector_metrics"]])
def test_a_collector_that_was_named_is_asked(named: list[str]) -> None:
    """Whoever names one wants to hear that it is away."""
    with serving(**{"/readyz": (200, {})}) as fake:
        given = fake.addresses(endpoint=None, **AWAY)
        assert straight(given, named, {}) is given


def test_a_collector_that_runs_and_a_server_that_does_not_leave_all_as_it_is() -> None:
    """Then the usual way is examined."""
    with serving(**{"/readyz": (503, {})}) as fake:
        running = fake.addresses(endpoint=None)
        assert straight(running, [], {}) is running
        away = fake.addresses(endpoint=None, **AWAY)
        assert straight(away, [], {}) is away


def test_the_command_alone_finds_the_server(tmp_path: Path) -> None:
    """Without a word of collectors it sends straight; where one is named, that is looked for."""
    with socket.socket() as usual:
        if usual.connect_ex(("127.0.0.1", 13133)) == 0:
            pytest.skip("a collector runs on this machine")
    with serving(**{"/readyz": (200, {})}) as fake:
        options = ("doctor", "--json", "--analytics", fake.url, "--timeout", "9")
        alone = json.loads(commands.run(*options, cwd=tmp_path).stdout)
        named = (*options, "--collector", "http://127.0.0.1:1")
        of_named = json.loads(commands.run(*named, cwd=tmp_path).stdout)
    assert alone["turn"], alone
    assert alone["hops"][1]["state"] == "not asked"
    assert f"straight to the analytics server at {fake.url}" in alone["hops"][1]["detail"]
    assert of_named["failed"] == "collector"


def test_a_wrong_address_is_a_mistake_of_the_call(tmp_path: Path) -> None:
    """Named with its option, without a traceback."""
    done = commands.run("doctor", "--tempo", "localhost:3200", cwd=tmp_path)
    assert done.returncode == 1
    assert "--tempo must begin with http:// or https://" in done.stderr


def test_no_password_of_an_address_is_shown() -> None:
    """Neither in what was seen nor in what to do."""
    hop = Hop("collector", State.FAILED, "http://me:hunter2@c:4318 is away", "ask me:x@y or z")
    diagnosis = Diagnosis([hop])
    assert "hunter2" not in f"{diagnosis.document()}{diagnosis.lines()}"
    assert hop.detail == "http://me:***@c:4318 is away"
