"""However a process ends, what was queued is sent, or said to be left."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from otel_chat import semconv as sc
from tests.commands import environment
from tests.library.otlp_sink import OtlpSink
from tests.waiting import until

TURN = """
import os, sys
import otel_chat
@otel_chat.chat_handler(agent="support", conversation_id="session")
def answer(session):
    return "hello"
"""


@pytest.fixture(name="sink")
def listening() -> Iterator[OtlpSink]:
    with OtlpSink() as sink:
        yield sink


def start(path: Path, code: str, **environ: str) -> subprocess.Popen[str]:
    """Runs a script of its own, as children that are spawned import it again."""
    script = path / "script.py"
    script.write_text(code)
    # From 3.12 on Python warns a script that forks once it has threads, as exporting has.
    quiet = ("-W", "ignore:This process:DeprecationWarning")
    return subprocess.Popen(
        [sys.executable, *quiet, str(script)],
        env=environment(OTEL_CHAT_RAISE="1", **environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str], code: int = 0) -> str:
    """Waits for its end; gives what it logged."""
    out, said = process.communicate(timeout=120)
    assert process.returncode == code, (out, said)
    return said


def conversations(sink: OtlpSink) -> set[str]:
    return {
        attribute.value.string_value
        for span in sink.spans()
        for attribute in span.attributes
        if attribute.key == sc.CONVERSATION_ID
    }


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_children_of_multiprocessing_send_what_is_theirs(
    sink: OtlpSink, tmp_path: Path, method: str
) -> None:
    """Processes and pools of every start method; a pool that is terminated, too."""
    code = f"""{TURN}
import multiprocessing
otel_chat.setup(endpoint={sink.url!r})
if __name__ == "__main__":
    answer("parent")
    context = multiprocessing.get_context({method!r})
    child = context.Process(target=answer, args=("child",))
    child.start()
    child.join()
    with context.Pool(1, maxtasksperchild={1 if method == "fork" else None}) as pool:
        pool.map(answer, ["pool-1", "pool-2"], chunksize=1)
"""
    assert finish(start(tmp_path, code)) == ""
    assert conversations(sink) == {"parent", "child", "pool-1", "pool-2"}


def test_a_process_that_is_terminated_sends_first(sink: OtlpSink, tmp_path: Path) -> None:
    """SIGTERM ends it as the signal does, after what was queued is sent."""
    code = f"""{TURN}
import threading
otel_chat.setup(endpoint={sink.url!r})
answer("c")
print("ready", flush=True)
threading.Event().wait()
"""
    process = start(tmp_path, code)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    assert finish(process, -signal.SIGTERM) == ""
    assert conversations(sink) == {"c"}


@pytest.mark.parametrize("ending", ["otel_chat.shutdown()", "pass"])
def test_sigterm_while_the_last_word_is_said_waits_for_it(tmp_path: Path, ending: str) -> None:
    """It interrupts the thread that sends, by `shutdown()` or as the process ends by itself."""
    asked, may_answer = threading.Event(), threading.Event()

    def slow(path: str, message: Any) -> tuple[int, dict[str, str], bytes]:
        if path == "/v1/traces" and message.resource_spans:  # setup() asks with an empty request
            asked.set()
            may_answer.wait(60)
        return 200, {}, b""

    with OtlpSink(slow) as sink:
        code = f"""{TURN}
import time
otel_chat.setup(endpoint={sink.url!r})
answer("c")
print("ready", flush=True)
{ending}
"""
        process = start(tmp_path, code)
        assert asked.wait(60)
        process.send_signal(signal.SIGTERM)
        assert sink.metrics() == {}  # they follow the spans
        may_answer.set()
        assert finish(process, -signal.SIGTERM) == ""
        assert conversations(sink) == {"c"}
        assert sc.METRIC_TURN_DURATION in sink.metrics()


def test_a_handler_of_the_applications_own_for_sigterm_is_kept(
    sink: OtlpSink, tmp_path: Path
) -> None:
    """Who handles the signal goes on doing so; it can be left alone altogether."""
    code = f"""{TURN}
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
otel_chat.setup(endpoint={sink.url!r})
assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
"""
    assert finish(start(tmp_path, code)) == ""
    code = f"""{TURN}
import signal
otel_chat.setup(endpoint={sink.url!r})
assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
"""
    assert finish(start(tmp_path, code, OTEL_CHAT_HANDLE_SIGTERM="0")) == ""


@pytest.mark.parametrize("late", [False, True])
def test_workers_of_celery_send_at_their_end(sink: OtlpSink, tmp_path: Path, late: bool) -> None:
    """A worker tells its end by a signal of Celery's, then leaves by `os._exit`."""
    celery = """
import types
class Signal:
    receivers = {}
    def connect(self, receiver, weak=True, dispatch_uid=None):
        assert not weak
        self.receivers[dispatch_uid] = receiver
    def send(self, **given):
        for receiver in self.receivers.values():
            receiver(signal=self, **given)
signals = sys.modules["celery.signals"] = types.ModuleType("celery.signals")
signals.worker_process_shutdown = Signal()
"""
    configure = f"otel_chat.setup(endpoint={sink.url!r})\n"
    code = f"""{TURN}
{configure + celery if late else celery + configure}
child = os.fork()
if not child:
    answer("worker")
    signals.worker_process_shutdown.send(sender=None, pid=os.getpid(), exitcode=0)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
"""
    assert finish(start(tmp_path, code)) == ""
    assert conversations(sink) == {"worker"}


def test_what_could_not_be_sent_is_said_in_one_line(tmp_path: Path) -> None:
    """With an endpoint that never answers the process ends in time, and counts what was left."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        code = f"""{TURN}
otel_chat.setup(endpoint={endpoint!r})
for _ in range(3):
    answer("c")
    otel_chat.feedback(5, conversation_id="c", agent="support")
"""
        said = finish(start(tmp_path, code, OTEL_CHAT_EXIT_SECONDS="0.2"))
    assert said.count("the process ends") == 1
    assert "not sent: 3 spans, 3 events" in said


def test_hooks_are_left_out_at_the_end(sink: OtlpSink, tmp_path: Path) -> None:
    """A slow hook of the owner's does not keep turns from being sent as the process ends."""
    code = f"""{TURN}
import threading
called = []
def topics(text):
    called.append(text)
    threading.Event().wait(5)
@otel_chat.chat_handler(agent="support", conversation_id="session", message="text")
def ask(session, text):
    return "hello"
config = otel_chat.Config(drain_seconds=10, hook_seconds=5)
otel_chat.setup(endpoint={sink.url!r}, topic_detector=topics, config=config)
otel_chat.flush()
for number in range(20):
    ask(f"c-{{number}}", "Where is my order?")
"""
    finish(start(tmp_path, code))
    assert len(conversations(sink)) == 20


def test_busy_processes_that_end_together_lose_nothing(sink: OtlpSink, tmp_path: Path) -> None:
    """Four children with much to send each: every turn of theirs arrives."""
    code = f"""{TURN}
otel_chat.setup(endpoint={sink.url!r})
if __name__ == "__main__":
    import multiprocessing
    context = multiprocessing.get_context("fork")
    def busy(name):
        for number in range(1000):
            answer(f"{{name}}-{{number}}")
    children = [context.Process(target=busy, args=(n,)) for n in range(4)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0] * 4
"""
    said = finish(start(tmp_path, code))
    assert said == ""
    assert until(lambda: len(conversations(sink))) == 4 * 1000
