"""Every snippet of docs/instrumenting.md is executed as it stands, but for addresses."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from websockets.sync.client import connect

from otel_chat import Config
from otel_chat import semconv as sc
from otel_chat.testing import Telemetry, assert_turn
from otel_chat.testing.views import CollectedTurn
from tests import web
from tests.library.integrations.live import Sink, otlp_sink, serving

PAGE = Path(__file__).parents[1] / "docs" / "instrumenting.md"
ENDPOINT = "http://127.0.0.1:8400"


def sections() -> dict[str, str]:
    parts = re.split(r"^## (.+)$", PAGE.read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def blocks(section: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", section, re.MULTILINE | re.DOTALL)


SERVED = [name for name, text in sections().items() if blocks(text, "sh")]
PLAIN = [name for name, text in sections().items() if blocks(text, "python") and name not in SERVED]


def ask(command: str, host: str) -> str:
    """Does what the second command of a snippet says, and gives the answer."""
    (address,) = [word for word in shlex.split(command) if "localhost:8000" in word]
    address = address.replace("localhost:8000", host)
    if address.startswith("ws:"):
        with connect(address) as socket:
            socket.send("Hello")
            return str(socket.recv())
    reply: str = web.get(f"http://{address}").json()["reply"]
    return reply


@pytest.mark.parametrize("name", SERVED)
def test_ten_lines_lead_to_a_first_trace(name: str, tmp_path: Path) -> None:
    """The snippet, on the server that it names, sends the turn of the request shown."""
    section = sections()[name]
    (code,), (commands,) = blocks(section, "python"), blocks(section, "sh")
    server, client = commands.strip().splitlines()
    with otlp_sink() as sink:
        (tmp_path / "app.py").write_text(code.replace(ENDPOINT, sink.endpoint))
        words = [word.replace("8000", "{port}") for word in shlex.split(server)]
        environment = {"PYTHONPATH": str(tmp_path)}
        with serving(sink, *words, log=tmp_path / "log", **environment) as host:
            assert ask(client, host) == "You said: Hello"
            (turn,) = sink.turns_when(1)
    assert turn[sc.CONVERSATION_ID] == "s-1"
    assert turn[sc.AGENT_NAME] == "support"
    assert turn[sc.STATUS] == "ok"


@pytest.mark.parametrize("name", [*SERVED, "A function"])
def test_a_snippet_has_ten_lines(name: str) -> None:
    """Empty ones do not count; a WebSocket's loop may take two more."""
    (code,) = blocks(sections()[name], "python")
    lines = [line for line in code.splitlines() if line.strip()]
    assert len(lines) <= 12 if "WebSocket" in code else len(lines) <= 10


def test_a_function_sends_its_turn(tmp_path: Path) -> None:
    """The first snippet is a whole program."""
    (code,) = blocks(sections()["A function"], "python")
    sink: Sink
    with otlp_sink() as sink:
        program = tmp_path / "app.py"
        program.write_text(code.replace(ENDPOINT, sink.endpoint))
        subprocess.run([sys.executable, program], check=True, timeout=60)
        (turn,) = sink.turns_when(1)
    assert turn[sc.CONVERSATION_ID] == "s-1"
    assert turn[sc.INTENT_NAME] == "greeting"


def test_the_trackers_snippets_run(capsys: pytest.CaptureFixture[str]) -> None:
    """Both make a turn; the store gets both events."""
    for code in blocks(sections()["From a tracker of your own"], "python"):
        with Telemetry() as telemetry:
            exec(compile(code, str(PAGE), "exec"), {"__name__": "snippet"})
            assert telemetry.only_turn().duration == pytest.approx(0.15, abs=0.01)
    assert "2 stored" in capsys.readouterr().out


def run_here(name: str, telemetry: Telemetry) -> CollectedTurn:
    """Executes a section's snippet; the turn that it makes."""
    (code,) = blocks(sections()[name], "python")
    exec(compile(code, str(PAGE), "exec"), {"__name__": "snippet"})
    return telemetry.only_turn()


def test_what_a_model_returns_is_read() -> None:
    """The usage of the last chunk is the call's and the turn's."""
    with Telemetry() as telemetry:
        found = run_here("What a model returns", telemetry)
        assert_turn(found, input_tokens=12, output_tokens=3, inside=["chat gpt-4o-mini"])


def test_the_reply_is_kept_as_the_user_reads_it() -> None:
    """What `reply=` makes of each chunk."""
    with Telemetry(Config(capture_content=True)) as telemetry:
        found = run_here("The reply as the user reads it", telemetry)
        assert "Good evening." in found[sc.OUTPUT_MESSAGES]


def test_what_a_classifier_returns_is_the_intent() -> None:
    """The surest of the candidates."""
    with Telemetry() as telemetry:
        found = run_here("What a classifier returns", telemetry)
        assert_turn(found, intent="order_status", confidence=0.93)


def test_handing_over_is_requested_accepted_and_ended() -> None:
    """The end is reported outside the turn, of the same conversation."""
    with Telemetry() as telemetry:
        found = run_here("Handing over to a human", telemetry)
        assert_turn(
            found,
            handoff_reason="user_request",
            handoff_target="billing",
            events=[sc.EVENT_HANDOFF_REQUESTED, sc.EVENT_HANDOFF_ACCEPTED],
        )
        (ended,) = telemetry.events(sc.EVENT_HANDOFF_ENDED)
        assert ended.attributes[sc.CONVERSATION_ID] == "s-1"


def test_a_variant_stands_on_the_turn() -> None:
    """Test and variant, by which pages and API filter."""
    with Telemetry() as telemetry:
        found = run_here("An A/B test", telemetry)
        assert found[sc.VARIANT] in {"greeting:short", "greeting:warm"}


def test_hooks_speak_after_the_reply(tmp_path: Path) -> None:
    """`setup()` takes them; what they say is sent, the message is not."""
    (code,) = blocks(sections()["After the reply"], "python")
    with otlp_sink() as sink:
        program = tmp_path / "app.py"
        program.write_text(code.replace(ENDPOINT, sink.endpoint))
        subprocess.run([sys.executable, program], check=True, timeout=60)
        (turn,) = sink.turns_when(1)
        assert sink.event_when(sc.EVENT_TOPIC)[sc.TOPIC_NAME] == "delivery"
        advice = sink.event_when(sc.EVENT_CUSTOM)
    assert turn[sc.SENTIMENT] == "negative"
    assert advice[sc.EVENT_CUSTOM_NAME] == sc.HANDOFF_ADVISED
    assert advice[sc.HANDOFF_REASON] == "user_request"
    assert "awful" not in str(sink)


def test_a_thread_is_in_the_turn() -> None:
    """The snippet reports its topic and its tool from a thread of a pool."""
    with Telemetry() as telemetry:
        found = run_here("Threads and executors", telemetry)
    assert_turn(found, inside=["execute_tool find_parcel"], events=["otel_chat.topic"])


def test_every_snippet_is_among_those_executed() -> None:
    """A new section is either served, or has its own test here."""
    assert set(PLAIN) == {
        "A function",
        "What a model returns",
        "The reply as the user reads it",
        "Threads and executors",
        "What a classifier returns",
        "Handing over to a human",
        "After the reply",
        "From a tracker of your own",
        "An A/B test",
    }
    assert len(SERVED) == 5
