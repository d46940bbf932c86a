"""Records the spans that real packages send, for `test_foreign.py`.

    python -m tests.foreign.record                 all of them
    python -m tests.foreign.record pydantic_ai     one

Each bot runs in a new environment with the newest versions of its packages (by uv), against a
server that speaks its provider's wire format, and its spans are written beside this file.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any, Final

FOLDER: Final = Path(__file__).parent
RECORDINGS: Final = FOLDER / "recordings"
PACKAGES: Final[dict[str, tuple[str, ...]]] = {
    "pydantic_ai": ("pydantic-ai-slim[openai]",),
    "langgraph_openinference": (
        "langchain", "langchain-openai", "openinference-instrumentation-langchain",
    ),
    "langgraph_openllmetry": (
        "langchain", "langchain-openai", "opentelemetry-instrumentation-langchain",
    ),
    "openai_agents": ("openai-agents", "openinference-instrumentation-openai-agents"),
    "llama_index": (
        "llama-index-core", "llama-index-llms-openai", "openinference-instrumentation-llama-index",
    ),
}  # fmt: skip
"""What is installed for each bot that knows nothing of us."""
INTEGRATED: Final[dict[str, tuple[str, ...]]] = {
    "langchain_callback": ("langchain", "langchain-openai"),
    "agents_processor": ("openai-agents",),
    "llama_instrument": ("llama-index-core", "llama-index-llms-openai"),
}
"""The same for each bot with our integration of its framework."""
DECORATED: Final[dict[str, tuple[str, ...]]] = {
    "slack_bolt": ("slack-bolt", "openai"),
    "chainlit_chat": ("chainlit", "openai"),
    "gradio_chat": ("gradio", "openai"),
    "socketio_chat": ("python-socketio[client]", "openai", "uvicorn[standard]"),
    "socketio_aiohttp": ("python-socketio[client]", "openai", "aiohttp"),
    "sse_starlette": ("sse-starlette", "openai", "uvicorn", "httpx"),
}
"""The same for each whose framework shows a chat, and needs no more than our decorator."""
INSTRUMENTED: Final[dict[str, tuple[str, ...]]] = {
    "openai_instrumented": ("openai", "opentelemetry-instrumentation-openai"),
    "openai_openinference": ("openai", "openinference-instrumentation-openai"),
    "anthropic_instrumented": ("anthropic", "opentelemetry-instrumentation-anthropic"),
    "anthropic_undecorated": ("anthropic", "opentelemetry-instrumentation-anthropic"),
    "anthropic_openinference": ("anthropic", "openinference-instrumentation-anthropic"),
}
"""The same for each whose calls an instrumentation tells of, too."""
BOTS: Final = PACKAGES | INTEGRATED | DECORATED | INSTRUMENTED
_SENDING: Final = ("opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http")


def conversation_id(bot: str) -> str:
    """The conversation that a recording is of."""
    return f"parcel-{bot}"


def record(bot: str) -> dict[str, Any]:
    """Has a bot answer twice, here and now; gives its spans as OTLP in JSON."""
    from google.protobuf.json_format import MessageToDict
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    import otel_chat
    from otel_chat._sdk.setup import UsageRollup
    from tests.foreign.expected import said_to
    from tests.foreign.provider import serving

    kept = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource({"service.name": bot}))
    for processor in (UsageRollup(), SimpleSpanProcessor(kept)):  # as `setup()` has them
        provider.add_span_processor(processor)
    trace.set_tracer_provider(provider)
    os.environ["OTEL_CHAT_CAPTURE_CONTENT"] = "1"
    with serving() as url:
        os.environ |= {"OPENAI_BASE_URL": url, "OPENAI_API_BASE": url, "OPENAI_API_KEY": "none"}
        os.environ |= {
            "ANTHROPIC_BASE_URL": url.removesuffix("/v1"), "ANTHROPIC_API_KEY": "none",
        }  # fmt: skip
        with answering(bot) as answer:
            for text in said_to(bot):
                answer(text, conversation_id(bot))
    otel_chat.flush()
    sent = MessageToDict(encode_spans(kept.get_finished_spans()))
    for span in spans_of(sent):
        for one in (span, *span.get("links", ())):
            for name in {"traceId", "spanId", "parentSpanId"} & one.keys():
                one[name] = _hexadecimal(one[name])
    packages = [name.partition("[")[0] for name in BOTS[bot]]
    return {"packages": {name: version(name) for name in packages}, "sent": sent}


@contextmanager
def answering(bot: str) -> Iterator[Callable[[str, str], str]]:
    """Runs a bot; gives a function of a text and a conversation's id that has it answer."""
    from tests.foreign.drivers import DRIVERS

    def load() -> ModuleType:
        return importlib.import_module(f"tests.foreign.bots.{bot}")

    if bot not in DRIVERS:
        yield load().answer
        return
    with DRIVERS[bot](load) as answer:
        yield answer


def spans_of(sent: dict[str, Any]) -> list[dict[str, Any]]:
    """The spans in OTLP in JSON."""
    scoped = [one for part in sent["resourceSpans"] for one in part["scopeSpans"]]
    return [span for one in scoped for span in one["spans"]]


def _hexadecimal(data: str) -> str:
    from base64 import b64decode

    return b64decode(data).hex()


def main() -> None:
    """Records the bots that are named, or all."""
    here = Path(sys.executable).parent
    uv = shutil.which("uv", path=os.pathsep.join((str(here), os.environ.get("PATH", ""))))
    if uv is None:
        raise SystemExit("uv is needed: make setup")
    for bot in sys.argv[1:] or BOTS:
        wanted = [one for name in (*BOTS[bot], *_SENDING) for one in ("--with", name)]
        command = [uv, "run", "--no-project", "--python", sys.executable, *wanted]
        made = subprocess.run(
            [*command, "python", "-m", "tests.foreign.record", "--here", bot],
            check=True, cwd=FOLDER.parent.parent, stdout=subprocess.PIPE,
        )  # fmt: skip
        RECORDINGS.mkdir(exist_ok=True)
        (RECORDINGS / f"{bot}.json").write_bytes(made.stdout)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--here"]:
        with redirect_stdout(sys.stderr):  # what a framework has to say there
            recorded = record(sys.argv[2])
        json.dump(recorded, sys.stdout, indent=1, ensure_ascii=False)
        sys.stdout.flush()
        os._exit(0)  # some leave threads that never end
    else:
        main()
