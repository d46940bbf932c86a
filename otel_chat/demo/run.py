"""`otel-chat demo`: the analytics server, the bot and the sample conversations, together."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import Any, Final

import uvicorn
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

import otel_chat
from otel_chat.client import AnalyticsClient
from otel_chat.client.local_server import HOST, LocalServer, require_free
from otel_chat.demo import content
from otel_chat.demo.bot import AGENT, SupportBot, configuration
from otel_chat.demo.story import StoryClock, Told, story, tell
from otel_chat.demo.traffic import Sent, send_samples
from otel_chat.demo.web import create_app
from otel_chat.errors import ConfigurationError, StoreError

HOME: Final = Path(".otel-chat")
SETTINGS: Final = {"OTEL_CHAT_SERVER_COST_PER_INTERACTION": "5"}
"""Of the demo's server: what it takes for no panel to be empty."""
_LEAST_DISK: Final = 200 * 1024 * 1024
_FLUSH_SECONDS: Final = 30.0
_LOOK_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What `otel-chat demo` was asked for."""

    once: bool = False
    as_json: bool = False
    port: int = 8400
    bot_port: int = 8401
    store: str | None = None
    keep: bool = False


def run(options: DemoOptions) -> None:
    """Runs the demo; returns after one pass, or on Ctrl-C.

    Args:
        options: What was asked for.

    Raises:
        ConfigurationError: a port is taken, or there is no room on the disk.
        StoreError: the server did not start, died, or did not take everything.
    """
    console = Console(stderr=options.as_json, highlight=False)
    stopped = threading.Event()
    with ExitStack() as stack:
        stack.enter_context(_signals(stopped))
        require_free(options.port, "--port")
        require_free(options.bot_port, "--bot-port")
        store = options.store or stack.enter_context(_own_store(keep=options.keep))
        pool = stack.enter_context(ThreadPoolExecutor(1))
        training: Future[SupportBot] = pool.submit(SupportBot)
        with console.status("Starting the analytics server and training the bot …"):
            told = {**SETTINGS, "OTEL_CHAT_SERVER_SAMPLE": _sample(options.store)}
            server = stack.enter_context(LocalServer(store, port=options.port, defaults=told))
            bot = stack.enter_context(_bot(training.result(), server.url, options.bot_port))
        sent = _send(bot, console, stopped, untold=_untold(server))
        _flush(server)
        if stopped.is_set():
            return
        if options.once:
            _report(_summary(server.url, sent), console, as_json=options.as_json)
            return
        _stay(server, bot, console, stopped)


@contextmanager
def _signals(stopped: threading.Event) -> Iterator[None]:
    """Ctrl-C and SIGTERM ask for a clean stop; a second one ends the process as usual."""

    def ask(number: int, _frame: FrameType | None) -> None:
        if stopped.is_set():
            signal.signal(number, signal.SIG_DFL)
        stopped.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _own_store(*, keep: bool) -> Iterator[str]:
    """The demo's own store, empty unless `keep`; one demo at a time in a folder."""
    import fcntl

    place = HOME / "demo"
    try:
        HOME.mkdir(parents=True, exist_ok=True)
        lock = (HOME / "demo.lock").open("w")
    except OSError as error:
        raise ConfigurationError(
            f"Cannot write to {HOME.absolute()} ({error.strerror})."
            " Run the demo in a folder of yours, or name a place with --store chdb:DIR."
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ConfigurationError(
                "Another demo runs in this folder. Stop it, or name another store with --store."
            ) from error
        if not keep:
            shutil.rmtree(place, ignore_errors=True)
        free = shutil.disk_usage(HOME).free
        if free < _LEAST_DISK:
            raise ConfigurationError(
                f"Only {free // 2**20} MiB are free on the disk of {HOME.absolute()};"
                f" the demo needs {_LEAST_DISK // 2**20} MiB."
            )
        yield f"chdb:{place}"


@contextmanager
def _bot(bot: SupportBot, analytics: str, port: int) -> Iterator[str]:
    """Serves the bot from a thread, with its telemetry going to the analytics server."""
    otel_chat.setup(
        service_name="otel-chat-demo",
        environment="demo",
        endpoint=analytics,
        config=configuration(),
        clock=StoryClock(),
    )
    app = create_app(bot, analytics=analytics)
    served = uvicorn.Server(uvicorn.Config(app, host=HOST, port=port, log_level="warning"))
    thread = threading.Thread(target=served.run, name="otel-chat-demo-bot", daemon=True)
    thread.start()
    try:
        while not served.started:
            if not thread.is_alive():
                raise StoreError(f"The bot could not be served on port {port}.")
            time.sleep(0.02)
        yield f"http://{HOST}:{port}"
    finally:
        served.should_exit = True
        thread.join(10.0)
        otel_chat.shutdown()


def _sample(store: str | None) -> str:
    """What the pages say of the data, for the server's environment."""
    place = HOME / "demo"
    removal = (
        ("Stop the server with Ctrl-C, and delete its folder:", f"rm -r {place}")
        if store is None
        else (
            "It lies beside what the store held before. While it is served, all is erased by:",
            f"otel-chat erase --before {datetime.now(UTC) + timedelta(days=1):%Y-%m-%d}",
        )
    )
    return json.dumps(
        {
            "about": "Three weeks of a made-up shop. The bot answered just now, as if then.",
            "removal": removal[0],
            "command": removal[1],
            "steps": content.tour(),
        }
    )


def _untold(server: LocalServer) -> list[Told]:
    """The story; empty where the store has it, or other conversations of the bot, already."""
    with AnalyticsClient(server.url) as client:
        known = client.overview(window="30d", agent=AGENT)["conversations"]
    return [] if known else story(datetime.now(UTC))


def _send(bot: str, console: Console, stopped: threading.Event, untold: list[Told]) -> Sent:
    """Plays the story, then the samples; what was sent, nothing where it was stopped."""
    samples = content.samples()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(
        *columns, TimeElapsedColumn(), console=console, disable=not console.is_terminal
    ) as progress:
        task = progress.add_task("Sample conversations", total=len(untold) + len(samples))

        def done() -> None:
            progress.advance(task)

        async def both() -> Sent:
            told = await tell(untold, done=done)
            return told + await send_samples(bot, samples, done=done)

        async def play() -> Sent:
            sending = asyncio.create_task(both())
            while not sending.done() and not stopped.is_set():
                await asyncio.wait({sending}, timeout=_LOOK_SECONDS)
            if not sending.done():
                sending.cancel()
                await asyncio.wait({sending})
                return Sent({})
            return await sending

        return asyncio.run(play())


def _flush(server: LocalServer) -> None:
    """Sees that the analytics server has everything."""
    done = otel_chat.flush(_FLUSH_SECONDS)
    server.check()
    if not done:
        raise StoreError(f"The server did not take everything within {_FLUSH_SECONDS:.0f} s.")


def _summary(server: str, sent: Sent) -> dict[str, Any]:
    """What was sent, and what the store has of it, asked back through the API."""
    with AnalyticsClient(server) as client:
        client.settled()
        stored = {
            str(item["conversation_id"]): int(item["turns"])
            for item in client.conversations(window="30d", agent=AGENT)
        }
        overview = client.overview(window="30d")
    pairs = [(turns, stored.get(cid, 0)) for cid, turns in sent.conversations.items()]
    return {
        "conversations": len(sent.conversations),
        "turns": sent.turns,
        "stored_conversations": sum(cid in stored for cid in sent.conversations),
        "stored_turns": sum(there for _, there in pairs),
        "lost": sum(max(0, turns - there) for turns, there in pairs),
        "duplicates": sum(max(0, there - turns) for turns, there in pairs),
        "handoffs": overview["handoffs"]["conversations"],
        "tokens": overview["tokens"]["total"],
        "overview": overview,
    }


def _report(summary: dict[str, Any], console: Console, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(summary, ensure_ascii=False))  # noqa: T201 - the command's output
        return
    for name, value in summary.items():
        if name != "overview":
            console.print(f"{name.replace('_', ' '):>22}  {value}")
    console.print_json(data=summary["overview"])


def _stay(server: LocalServer, bot: str, console: Console, stopped: threading.Event) -> None:
    console.print(f"\n  Chat with the bot   [bold]{bot}[/]")
    console.print(f"  Look at the figures [bold]{server.url}[/]")
    console.print("\nMessage texts are recorded, for the transcripts. Ctrl-C stops both.")
    while not stopped.wait(_LOOK_SECONDS):
        server.check()
    console.print("Stopped.")
