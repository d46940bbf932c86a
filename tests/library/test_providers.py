"""`setup()` in processes of its own: what is sent, what is kept, what is honoured."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from otel_chat import ConfigurationError, setup
from otel_chat import semconv as sc
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
    """Runs a script; gives its output. What it logs is `said`, each line of it once."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("OTEL_")}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={**kept, "OTEL_CHAT_RAISE": "1", **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == bool(said), done.stderr
    assert said in done.stderr
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
assert otel_chat.shutdown()
assert otel_chat.shutdown()
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
    os._exit(0 if otel_chat.shutdown() else 1)
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
    kept = {k: v for k, v in os.environ.items() if not k.startswith("OTEL_")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=kept,
        capture_output=True,
        text=True,
        timeout=60,
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
        kept = {k: v for k, v in os.environ.items() if not k.startswith("OTEL_")}
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**kept, "OTEL_EXPORTER_OTLP_TIMEOUT": "1"},
            capture_output=True,
            text=True,
            timeout=60,
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
import otel_chat.providers
assert callable(otel_chat.setup)
"""
    )
