"""`setup()` in processes of its own: what is sent, what is kept, what is honoured."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from otel_chat import ConfigurationError, setup
from otel_chat import semconv as sc
from tests.commands import environment
from tests.library.otlp_sink import OtlpSink

TURN = """
import otel_chat
@otel_chat.chat_handler(agent="support", conversation_id="session", channel="web")
def answer(session, text):
    otel_chat.current_turn().intent("greeting", 0.9)
    return "hello"
"""


@pytest.fixture(name="sink")
def listening() -> Iterator[OtlpSink]:
    with OtlpSink() as sink:
        yield sink


def run(code: str, *, said: str = "", **environ: str) -> str:
    """Runs a script; gives its output. What it logs is `said`, each line of it once.

    A turn of no time at all takes some on a busy machine.
    """
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=environment(OTEL_CHAT_RAISE="1", **environ),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == bool(said), done.stderr
    assert said in re.sub(r"\b\d+\.\d\d s\b", "0.00 s", done.stderr)
    return done.stdout


def test_everything_arrives_at_exit(sink: OtlpSink) -> None:
    """A process that just ends has sent its turn, event and metrics; what was open reads 0."""
    run(
        f"""{TURN}
otel_chat.setup(service_name="bot", service_version="1.2", environment="test",
                endpoint={sink.url!r}, headers={{"authorization": "Bearer t"}})
answer("c-1", "hi")
"""
    )
    assert [span.name for span in sink.spans()] == ["invoke_agent support"]
    assert sink.events() == [sc.EVENT_INTENT]
    metrics = sink.metrics()
    assert metrics[sc.METRIC_TURN_DURATION].unit == "s"
    assert metrics[sc.METRIC_TURN_DURATION].histogram.data_points[0].count == 1
    assert list(metrics[sc.METRIC_TURN_DURATION].histogram.data_points[0].explicit_bounds)[8] == 3
    assert {"process.memory.usage", "process.cpu.time", "process.thread.count"} <= set(metrics)
    points = metrics[sc.METRIC_CONVERSATION_ACTIVE].sum.data_points
    assert [(p.as_double, p.as_int) for p in points] == [(0.0, 0)]
    for resource in sink.resources():
        assert resource["service.name"] == "bot"
        assert resource["service.version"] == "1.2"
        assert resource["deployment.environment.name"] == "test"
        assert resource["service.instance.id"]
    assert {headers["authorization"] for _, headers, _ in sink.requests} == {"Bearer t"}


def test_a_process_that_shuts_down_by_itself_says_nothing_more_at_its_end(sink: OtlpSink) -> None:
    """After `shutdown()` the end of the process sends nothing twice and logs nothing."""
    run(
        f"""{TURN}
otel_chat.setup(service_name="bot", endpoint={sink.url!r})
answer("c-1", "hi")
assert otel_chat.shutdown(timeout=60)
assert otel_chat.shutdown(timeout=60)
"""
    )
    assert [span.name for span in sink.spans()] == ["invoke_agent support"]


def test_the_environment_is_honoured(sink: OtlpSink) -> None:
    """Endpoint, name and resource come from OTEL_* where no argument says otherwise."""
    run(
        f'{TURN}\notel_chat.setup()\nanswer("c-1", "hi")\nassert otel_chat.flush()',
        OTEL_EXPORTER_OTLP_ENDPOINT=sink.url,
        OTEL_SERVICE_NAME="from-env",
        OTEL_RESOURCE_ATTRIBUTES="team=chat",
        OTEL_CHAT_CAPTURE_CONTENT="true",
    )
    assert {(r["service.name"], r["team"]) for r in sink.resources()} == {("from-env", "chat")}
    keys = {attribute.key for attribute in sink.spans()[0].attributes}
    assert sc.OUTPUT_MESSAGES in keys


def test_a_second_call_changes_nothing(sink: OtlpSink) -> None:
    """`setup` twice gives the same runtime, sends each span once, and says what it ignored."""
    run(
        f"""{TURN}
first = otel_chat.setup(endpoint={sink.url!r}, service_name="bot")
assert otel_chat.setup(endpoint={sink.url!r}) is first
secret = {{"authorization": "Bearer t"}}
for _ in range(2):
    assert otel_chat.setup(endpoint="http://127.0.0.1:1", headers=secret) is first
answer("c-1", "hi")
""",
        said="ignored: endpoint, headers.",
    )
    assert len(sink.spans()) == 1


def test_installed_providers_are_kept_and_added_to(sink: OtlpSink) -> None:
    """Providers of the application stay the global ones; with an endpoint they send here too."""
    out = run(
        f"""{TURN}
from opentelemetry import metrics, trace
from opentelemetry._logs import get_logger_provider, set_logger_provider
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
spans, reader = InMemorySpanExporter(), InMemoryMetricReader()
mine = TracerProvider(), MeterProvider([reader]), LoggerProvider()
mine[0].add_span_processor(SimpleSpanProcessor(spans))
trace.set_tracer_provider(mine[0])
metrics.set_meter_provider(mine[1])
set_logger_provider(mine[2])
otel_chat.setup(endpoint={sink.url!r})
assert (trace.get_tracer_provider(), metrics.get_meter_provider(), get_logger_provider()) == mine
answer("c-1", "hi")
assert mine[0].force_flush()
print(len(spans.get_finished_spans()))
print(any(m.name == "otel_chat.turn.duration"
          for r in reader.get_metrics_data().resource_metrics
          for s in r.scope_metrics for m in s.metrics))
"""
    )
    assert out.split() == ["1", "True"]
    assert len(sink.spans()) == 1
    assert sink.events() == [sc.EVENT_INTENT]
    assert sink.metrics()[sc.METRIC_TURN_DURATION].histogram.data_points[0].count == 1


def test_without_an_endpoint_an_installed_provider_sends_once(sink: OtlpSink) -> None:
    """Where the application exports by the environment already, no second exporter doubles it."""
    run(
        f"""{TURN}
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(provider)
otel_chat.setup()
answer("c-1", "hi")
""",
        OTEL_EXPORTER_OTLP_ENDPOINT=sink.url,
    )
    assert len(sink.spans()) == 1


PROXIES = """
from opentelemetry import metrics, trace
from opentelemetry._logs import LoggerProvider, set_logger_provider
from opentelemetry.sdk.trace import TracerProvider as Real
class Tracers(trace.TracerProvider):  # as logfire's
    def __init__(self): self.provider = Real()
    def get_tracer(self, *args, **more): return self.provider.get_tracer(*args, **more)
    def add_span_processor(self, processor): self.provider.add_span_processor(processor)
    def force_flush(self, timeout_millis=30000): return self.provider.force_flush(timeout_millis)
class Closed(trace.TracerProvider):  # as Datadog's
    def get_tracer(self, *args, **more): return trace.NoOpTracer()
class Meters(metrics.MeterProvider):
    def get_meter(self, *args, **more): return metrics.NoOpMeter("theirs")
class Loggers(LoggerProvider):
    def get_logger(self, *args, **more): raise AssertionError("not asked: its logs go elsewhere")
def theirs(tracers=Tracers):
    trace.set_tracer_provider(tracers())
    metrics.set_meter_provider(Meters())
    set_logger_provider(Loggers())
"""


def test_providers_of_another_kind_are_added_to_where_they_can_be(sink: OtlpSink) -> None:
    """Stand-ins of another library: spans by its `add_span_processor`, the others by our own."""
    run(
        f"""{TURN}{PROXIES}
theirs()
otel_chat.setup(endpoint={sink.url!r})
answer("c-1", "hi")
assert otel_chat.flush()
assert isinstance(trace.get_tracer_provider(), Tracers)
"""
    )
    assert [span.name for span in sink.spans()] == ["invoke_agent support"]
    assert sink.events() == [sc.EVENT_INTENT]
    assert sc.METRIC_TURN_DURATION in sink.metrics()


def test_a_provider_that_takes_no_exporter_is_named(sink: OtlpSink) -> None:
    """Where spans cannot be sent to the endpoint one line says so; events and metrics are."""
    run(
        f"""{TURN}{PROXIES}
theirs(Closed)
otel_chat.setup(endpoint={sink.url!r})
answer("c-1", "hi")
""",
        said=f"(__main__.Closed) takes no span processor: turns go only where it sends them, not "
        f"to {sink.url}",
    )
    assert sink.events() == [sc.EVENT_INTENT]


def test_providers_that_come_later_change_nothing(sink: OtlpSink) -> None:
    """Who configures second gets the API's own warning; our telemetry goes on."""
    run(
        f"""{TURN}{PROXIES}
import logging
logging.disable(logging.WARNING)
otel_chat.setup(endpoint={sink.url!r})
theirs()
logging.disable(logging.NOTSET)
answer("c-1", "hi")
assert otel_chat.flush()
"""
    )
    assert len(sink.spans()) == 1


def test_lines_that_the_application_logs_are_not_sent(sink: OtlpSink) -> None:
    """Its logger provider gets our exporter for events; what it logs may hold anything."""
    run(
        f"""{TURN}
from opentelemetry._logs import LogRecord, set_logger_provider
from opentelemetry.sdk._logs import LoggerProvider
theirs = LoggerProvider()
set_logger_provider(theirs)
otel_chat.setup(endpoint={sink.url!r})
theirs.get_logger("theirs").emit(LogRecord(body="the user said hi"))
theirs.get_logger("theirs").emit(LogRecord(body="hi", event_name="gen_ai.user.message"))
answer("c-1", "hi")
assert otel_chat.flush()
"""
    )
    assert sink.events() == ["gen_ai.user.message", sc.EVENT_INTENT]
    bodies = [
        record.body.string_value
        for path, _, message in sink.requests
        if path == "/v1/logs"
        for resource in message.resource_logs
        for scope in resource.scope_logs
        for record in scope.log_records
    ]
    assert bodies == ["", ""]


def test_arguments_that_an_installed_provider_overrides_are_named(sink: OtlpSink) -> None:
    """The resource of spans is the application's; a service name given to `setup` is said lost."""
    run(
        f"""{TURN}
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
trace.set_tracer_provider(TracerProvider())
otel_chat.setup(endpoint={sink.url!r}, service_name="bot")
""",
        said="is kept; ignored for spans: service.name.",
    )


def test_turns_that_nobody_takes_are_said_once() -> None:
    """Neither `setup()` nor a provider: one line with the remedy, and `flush()` is False."""
    run(
        f"""{TURN}
assert otel_chat.flush()
answer("c-1", "hi")
answer("c-1", "hi")
assert not otel_chat.flush()
assert otel_chat.flush()
""",
        said="nobody takes it: call otel_chat.setup(endpoint=...)",
    )


def test_the_terminal_shows_a_line_a_turn_without_any_server(sink: OtlpSink) -> None:
    """`console=True`, or OTEL_CHAT_CONSOLE=1: agent, intent, seconds, tokens, cost; no exporter."""
    nested = f"""{TURN}
@otel_chat.chat_handler(agent="outer", conversation_id="session")
def outer(session):
    answer(session, "hi")
    otel_chat.current_turn().usage(input_tokens=812, output_tokens=45)
"""
    for code, environ in (
        (f"{nested}otel_chat.setup(console=True)", {}),
        (f"{nested}otel_chat.setup()", {"OTEL_CHAT_CONSOLE": "1"}),
    ):
        run(
            f"{code}\nouter('c-1')\nassert otel_chat.flush()",
            said="  outer  no intent  0.00 s  812 + 45 tokens  unpriced  ok\n",
            **environ,
        )
    run(
        f"{TURN}otel_chat.setup(console=True, endpoint={sink.url!r})\nanswer('c-1', 'hi')",
        said="  support  greeting  ",
    )
    assert len(sink.spans()) == 1


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (401, "401: send a token that may write"),
        (404, "404: the endpoint ends in /v1/traces: leave that out"),
    ],
)
def test_the_endpoint_is_asked_at_once(sink: OtlpSink, status: int, said: str) -> None:
    """What is wrong with it is said in one line, before any turn, without the secret in it."""
    sink.answer = lambda path, message: (status, {}, b"")
    run(
        f"""{TURN}
import threading
from urllib.parse import urlsplit
url = {sink.url!r}.replace("://", "://ada:secret@") + "/v1/traces"
otel_chat.setup(endpoint=url, headers={{"authorization": "Bearer secret"}})
for thread in threading.enumerate():
    if thread.name == "otel-chat-probe":
        thread.join()
""",
        said=f"spans are not taken at {sink.url}/v1/traces/v1/traces: {said}",
        OTEL_METRICS_EXPORTER="none",
    )


def test_nobody_listens_is_said_at_once_and_holds_nothing() -> None:
    """Away: a line while the exporter still tries; handler and exit do not wait for the answer."""
    run(
        f"""{TURN}
import logging, threading
said = threading.Event()
class Log(logging.StreamHandler):
    def emit(self, record):
        super().emit(record)
        said.set()
logging.getLogger("otel_chat").addHandler(Log())
otel_chat.setup(endpoint="http://127.0.0.1:9")
said.wait(30)
import os
os._exit(0)
""",
        said="spans are not taken at http://127.0.0.1:9/v1/traces: nobody listens there: start "
        "what takes telemetry there (`otel-chat serve`)",
    )


def test_flush_and_shutdown_are_false_where_anything_was_refused(sink: OtlpSink) -> None:
    """Each signal's refusal makes them False, once; what is taken afterwards makes them True."""
    for path in ("/v1/traces", "/v1/logs", "/v1/metrics"):
        sink.answer = lambda asked, message, path=path: (400 if asked == path else 200, {}, b"")
        run(
            f"""{TURN}
otel_chat.setup(endpoint={sink.url!r})
answer("c-1", "hi")
assert not otel_chat.flush()
answer("c-1", "hi")
assert not otel_chat.shutdown()
""",
            said=f"are not taken at {sink.url}{path}: 400",
        )


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"}, "use http/protobuf or grpc"),
        ({"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc"}, "pip install 'otel-chat[grpc]'"),
        ({"OTEL_BSP_MAX_QUEUE_SIZE": "many"}, "OTEL_BSP_MAX_QUEUE_SIZE='many'"),
    ],
)
def test_a_protocol_that_cannot_be_spoken_is_named(environ: dict[str, str], message: str) -> None:
    """`setup` names the variable, and the extra with its command where a package is missing."""
    run(
        f"""
import sys, otel_chat
sys.modules["opentelemetry.exporter.otlp.proto.grpc"] = None
try:
    otel_chat.setup(endpoint="http://127.0.0.1:9")
except otel_chat.ConfigurationError as error:
    assert {message!r} in str(error), error
else:
    raise AssertionError
""",
        **environ,
    )


def test_without_the_sdk_setup_names_the_extra() -> None:
    """The API alone: `setup` can be looked up, and says which command is missing when called."""
    run(
        """
import sys
sys.modules["opentelemetry.sdk"] = None
import otel_chat
assert callable(otel_chat.setup)
try:
    otel_chat.setup()
except otel_chat.ConfigurationError as error:
    assert "pip install 'otel-chat[sdk]'" in str(error), error
else:
    raise AssertionError
"""
    )


def test_grpc_is_spoken_where_it_is_asked_for() -> None:
    """OTEL_EXPORTER_OTLP_PROTOCOL=grpc sends all three signals to a receiver that speaks it."""
    pytest.importorskip("opentelemetry.exporter.otlp.proto.grpc")
    from tests.library.grpc_sink import GrpcSink

    with GrpcSink() as sink:
        run(
            f"""{TURN}
otel_chat.setup(service_name="bot", headers={{"authorization": "Bearer t"}})
answer("c-1", "hi")
assert otel_chat.flush()
""",
            OTEL_EXPORTER_OTLP_PROTOCOL="grpc",
            OTEL_EXPORTER_OTLP_ENDPOINT=sink.url,
        )
    assert [span.name for span in sink.spans()] == ["invoke_agent support"]
    assert sink.events() == [sc.EVENT_INTENT]
    assert sink.metrics()[sc.METRIC_TURN_DURATION].histogram.data_points[0].count == 1
    assert {resource["service.name"] for resource in sink.resources()} == {"bot"}
    assert {headers["authorization"] for _, headers, _ in sink.requests} == {"Bearer t"}


def test_prometheus_fetches_from_the_application_itself() -> None:
    """`prometheus_port` serves the series that come by way of a collector, and sends nothing.

    Each once, however often was flushed, with the labels of the resource.
    """
    pytest.importorskip("opentelemetry.exporter.prometheus")
    port = free_port()
    out = run(
        f"""{TURN}
import logging, urllib.request
from opentelemetry import metrics
import prometheus_client
prometheus_client.Counter("orders", "Of the application's own.").inc()
otel_chat.setup(service_name="bot", environment="test", prometheus_port={port})
metrics.get_meter("theirs").create_counter("theirs").add(1, {{"k": "\\ud83d"}})
answer("c-1", "hi")
assert otel_chat.flush() and otel_chat.flush()
print(urllib.request.urlopen("http://127.0.0.1:{port}/metrics").read().decode())
assert otel_chat.shutdown()
import socket
with socket.socket() as probe:
    assert probe.connect_ex(("127.0.0.1", {port}))
"""
    )
    lines = out.splitlines()
    own = {"gen_ai_agent_name": "support", "otel_chat_channel": "web", "otel_chat_status": "ok"}
    assert _series(lines, "otel_chat_turn_duration_seconds_count") == [own]
    assert "orders_total 1.0" in lines
    assert _series(lines, "theirs_total") == [{"k": "\ufffd"}]
    assert any(line.startswith("target_info{") and 'service_name="bot"' in line for line in lines)


def _series(lines: list[str], name: str) -> list[dict[str, str]]:
    """The labels of a metric's series, each of which has 1, without those of the resource."""
    found = [
        dict(re.findall(r'(\w+)="([^"]*)"', line))
        for line in lines
        if line.startswith(f"{name}{{") and line.endswith(" 1.0")
    ]
    for labels in found:
        assert labels.pop("service_name") == "bot"
        assert labels.pop("deployment_environment_name") == "test"
        assert labels.pop("service_instance_id")
        labels.pop("service_version", None)
    return found


def test_a_port_that_is_taken_is_said_and_chat_goes_on() -> None:
    """A second process on the port cannot be fetched from; its handlers work."""
    pytest.importorskip("opentelemetry.exporter.prometheus")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        run(
            f"""{TURN}
otel_chat.setup(prometheus_port={port})
assert answer("c-1", "hi") == "hello"
""",
            said=f"prometheus_port: 127.0.0.1:{port} cannot be listened on",
        )


def test_one_metric_that_prometheus_cannot_read_costs_only_itself() -> None:
    """An exponential histogram of another library's is left out, and said; the page is there."""
    pytest.importorskip("opentelemetry.exporter.prometheus")
    port = free_port()
    out = run(
        f"""{TURN}
import urllib.request
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
metrics.set_meter_provider(MeterProvider(
    views=[View(instrument_name="e", aggregation=ExponentialBucketHistogramAggregation())]))
otel_chat.setup(prometheus_port={port})
metrics.get_meter("theirs").create_histogram("e").record(1)
answer("c-1", "hi")
assert otel_chat.flush() and otel_chat.flush()
print(urllib.request.urlopen("http://127.0.0.1:{port}/metrics").read().decode())
""",
        said="the exponential histogram e is left out",
    )
    assert "otel_chat_turn_duration_seconds_count" in out


def test_prometheus_names_the_extra_where_it_is_missing() -> None:
    """`prometheus_port` without the exporter's package says which command brings it."""
    run(
        """
import sys, otel_chat
sys.modules["opentelemetry.exporter.prometheus"] = None
for port, said in ((9464, "pip install 'otel-chat[prometheus]'"), (0, "from 1 to 65535")):
    try:
        otel_chat.setup(prometheus_port=port)
    except otel_chat.ConfigurationError as error:
        assert said in str(error), error
    else:
        raise AssertionError
"""
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_a_missing_list_of_prices_is_said_once(sink: OtlpSink) -> None:
    """The first turn without a price names the extra; the others say nothing."""
    run(
        f"""{TURN}
import sys
sys.modules["genai_prices"] = None
otel_chat.setup(endpoint={sink.url!r})
for _ in range(2):
    with otel_chat.turn(agent="a", conversation_id="c") as turn:
        turn.model("gpt-4o")
        turn.usage(input_tokens=3)
""",
        said="a turn has no price: pip install 'otel-chat[pricing]'",
    )


def test_a_disabled_sdk_sends_nothing(sink: OtlpSink) -> None:
    """OTEL_SDK_DISABLED switches everything off; handlers work as before."""
    out = run(
        f'{TURN}\notel_chat.setup(endpoint={sink.url!r})\nprint(answer("c-1", "hi"))',
        OTEL_SDK_DISABLED="true",
    )
    assert out.strip() == "hello"
    assert sink.requests == []


def test_a_signal_can_be_switched_off(sink: OtlpSink) -> None:
    """OTEL_LOGS_EXPORTER=none keeps events at home, the other signals go out."""
    run(
        f'{TURN}\notel_chat.setup(endpoint={sink.url!r})\nanswer("c-1", "hi")',
        OTEL_LOGS_EXPORTER="none",
    )
    assert {path for path, _, _ in sink.requests} == {"/v1/traces", "/v1/metrics"}


def test_the_child_of_a_fork_sends_its_own(sink: OtlpSink) -> None:
    """After a fork parent and child send what is theirs, as instances of their own."""
    run(
        f"""{TURN}
import os
otel_chat.setup(endpoint={sink.url!r})
child = os.fork()
if not child:
    answer("child", "hi")
    os._exit(0 if otel_chat.shutdown(timeout=60) else 1)
assert os.waitpid(child, 0)[1] == 0
answer("parent", "hi")
"""
    )
    owners = {
        (
            {a.key: a.value.string_value for a in span.attributes}[sc.CONVERSATION_ID],
            {a.key: a.value.string_value for a in item.resource.attributes}["service.instance.id"],
        )
        for path, _, message in sink.requests
        if path == "/v1/traces"
        for item in message.resource_spans
        for scope in item.scope_spans
        for span in scope.spans
    }
    assert {conversation for conversation, _ in owners} == {"parent", "child"}
    assert len({instance for _, instance in owners}) == 2


def test_a_collector_that_is_away_costs_the_handler_nothing() -> None:
    """With nobody listening the handler answers, and the process ends."""
    code = f'{TURN}\notel_chat.setup(endpoint="http://127.0.0.1:9")\nprint(answer("c", "hi"))'
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(OTEL_CHAT_EXIT_SECONDS="5"),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stdout.strip() == "hello"


def test_a_collector_that_hangs_holds_neither_handler_nor_exit() -> None:
    """It takes the connection and never answers: flush gives up in time, the process ends."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        code = f"""{TURN}
otel_chat.setup(endpoint={endpoint!r})
print([answer("c", "hi") for _ in range(100)] == ["hello"] * 100, otel_chat.flush(0.2))
"""
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=environment(OTEL_EXPORTER_OTLP_TIMEOUT="1", OTEL_CHAT_EXIT_SECONDS="5"),
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
    assert done.stdout.split() == ["True", "False"]


def test_an_exporter_that_raises_costs_no_answer(sink: OtlpSink) -> None:
    """An application's own exporter fails; handlers answer, and what else is sent arrives."""
    run(
        f"""{TURN}
import logging
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter
class Raising(SpanExporter):
    def export(self, spans):
        raise OSError("no")
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(Raising()))
trace.set_tracer_provider(provider)
logging.disable()
otel_chat.setup(endpoint={sink.url!r})
assert [answer("c", "hi") for _ in range(3)] == ["hello"] * 3
"""
    )
    assert len(sink.spans()) == 3
    assert sink.events() == [sc.EVENT_INTENT] * 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"endpoint": "localhost:4318"}, "endpoint must begin"), ({"export": "later"}, "export must")],
)
def test_wrong_arguments_are_refused_by_name(arguments: dict[str, str], message: str) -> None:
    """`setup` says which argument is wrong, and sets nothing up."""
    with pytest.raises(ConfigurationError, match=message):
        setup(**arguments)  # type: ignore[arg-type]


def test_the_import_is_light() -> None:
    """Importing and decorating loads no SDK, no exporter, no price list; no thread, no socket."""
    out = run(
        """
import sys, threading, socket
made = []
real = socket.socket.__init__
socket.socket.__init__ = lambda *a, **k: (made.append(1), real(*a, **k))[1]
import otel_chat
@otel_chat.chat_handler(agent="a", conversation_id="c")
def answer(c): return c
heavy = ("opentelemetry.sdk", "opentelemetry.exporter", "genai_prices", "requests", "pydantic",
         "fastapi", "asyncio.events", "clickhouse_connect", "chdb")
print([name for name in heavy if name in sys.modules], threading.active_count(), made)
"""
    )
    assert out.strip() == "[] 1 []"


def test_the_public_names_are_those_listed() -> None:
    """Everything in `__all__` is there, `setup` included."""
    run(
        """
import otel_chat
for name in otel_chat.__all__:
    assert getattr(otel_chat, name) is not None, name
import otel_chat._sdk.setup
assert callable(otel_chat.setup)
"""
    )
