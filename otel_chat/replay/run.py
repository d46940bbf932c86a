"""`otel-chat replay`: reads the file twice, first to check it, then to play it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from otel_chat._common.moments import nanoseconds
from otel_chat._common.time_bounds import ALLOWED, possible, told
from otel_chat.client import AnalyticsClient
from otel_chat.client.local_server import LocalServer
from otel_chat.errors import ConfigurationError
from otel_chat.replay.player import Player, Voice
from otel_chat.replay.schedule import DEFAULT_START, GAP_NS, Schedule
from otel_chat.replay.sending import Sender
from otel_chat.replay.transcripts import Transcript, TranscriptError, parse, read

_LISTED: Final = 5


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """What `otel-chat replay` was asked for."""

    file: Path
    store: str | None = None
    server: str | None = None
    token: str | None = None
    agent: str = "replay"
    model: str = "transcript"
    channel: str | None = None
    start: datetime | None = None
    days: int = 7
    limit: int | None = None
    skip_bad: bool = False
    patience: float = 120.0
    as_json: bool = False


@dataclass(slots=True)
class Contents:
    """What a file holds, found out before anything is sent.

    Args:
        expected: User messages by conversation id.
        lines: Number of the line that each conversation id stands on.
        first: The earliest message, nanoseconds since 1970; last the latest.
        last: See first.
        skipped: Why lines were skipped.
        bad: The numbers of those lines.
    """

    expected: dict[str, int] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    first: int | None = None
    last: int | None = None
    skipped: list[str] = field(default_factory=list)
    bad: set[int] = field(default_factory=set)

    @property
    def conversations(self) -> int:
        """Conversations with at least one user message."""
        return sum(turns > 0 for turns in self.expected.values())

    @property
    def turns(self) -> int:
        """User messages."""
        return sum(self.expected.values())


def run(options: ReplayOptions) -> None:
    """Replays a file and says what was stored of it.

    Args:
        options: What was asked for.

    Raises:
        ConfigurationError: neither or both of store and server are given.
        TranscriptError: the file cannot be read; nothing has been sent then.
        StoreError: the server did not start, died, or acknowledged nothing for too long.
        IngestError: the server refused telemetry.
    """
    if (options.store is None) == (options.server is None):
        raise ConfigurationError("Give either --store URL or --server URL.")
    console = Console(stderr=True, highlight=False)
    schedule = _schedule(options)
    contents = scan(options.file, schedule, limit=options.limit, skip_bad=options.skip_bad)
    if contents.skipped:
        _say_skipped(contents.skipped, console)
    console.print("Message texts are recorded, for the transcripts.", style="dim")
    with ExitStack() as stack:
        local: LocalServer | None = None
        address = options.server
        if options.store is not None:
            local = stack.enter_context(LocalServer(options.store))
            address = local.url
        server = str(address)
        began = time.monotonic()
        sender = Sender(
            server,
            token=options.token,
            patience=options.patience,
            check=local.check if local else None,
        )
        with sender:
            _play(options, schedule, contents, sender, console)
        seconds = time.monotonic() - began
        summary = _summary(server, options, contents, seconds)
    _report(summary, contents, console, as_json=options.as_json)


def _schedule(options: ReplayOptions) -> Schedule:
    start = options.start or DEFAULT_START
    ends = start + timedelta(days=options.days + 1)  # a conversation may go on after its day
    if not possible(nanoseconds(start)) or not possible(nanoseconds(ends)):
        raise ConfigurationError(f"--start needs {ALLOWED} for all its days, not {start:%Y-%m-%d}.")
    return Schedule(start=start, days=options.days)


def transcripts(path: Path, limit: int | None, bad: set[int]) -> Iterator[Transcript]:
    """The conversations of a file that has been scanned.

    Args:
        path: The file.
        limit: How many at most.
        bad: The numbers of the lines to leave out.
    """
    given = 0
    for number, raw in read(path):
        if limit is not None and given >= limit:
            return
        if number not in bad:
            given += 1
            yield parse(raw, number)


def scan(path: Path, schedule: Schedule, *, limit: int | None, skip_bad: bool) -> Contents:
    """Reads the whole file and sees that every line can be replayed.

    Args:
        path: The file.
        schedule: Says when things happened.
        limit: Conversations to read at most.
        skip_bad: Note lines that cannot be read instead of raising.

    Raises:
        TranscriptError: a line cannot be read, or repeats a conversation id.
    """
    contents = Contents()
    for number, raw in read(path):
        if limit is not None and len(contents.lines) >= limit:
            break
        try:
            _take(contents, parse(raw, number), number, schedule)
        except TranscriptError as error:
            if not skip_bad:
                raise
            contents.skipped.append(str(error))
            contents.bad.add(number)
    return contents


def _take(contents: Contents, transcript: Transcript, number: int, schedule: Schedule) -> None:
    conversation_id = transcript.conversation_id
    times = schedule.times(transcript)
    for at, line in enumerate(transcript.turns):
        if line.time is not None:
            _require_possible(number, at, nanoseconds(line.time), "")
    for at, moment in enumerate(times):
        _require_possible(number, at, moment, ", worked out from the others,")
        # What is measured of a turn comes on top.
        _require_possible(number, at, moment + GAP_NS, " with its turn's length")
    earlier = contents.lines.setdefault(conversation_id, number)
    if earlier != number:
        raise TranscriptError(
            f"line {number}, conversation_id: {conversation_id!r} stands on line {earlier} too"
        )
    contents.expected[conversation_id] = transcript.user_messages
    if times:
        contents.first = min(times[0], contents.first or times[0])
        contents.last = max(times[-1], contents.last or times[-1])


def _require_possible(number: int, at: int, moment: int, how: str) -> None:
    if not possible(moment):
        raise TranscriptError(
            f"line {number}, turns[{at}].time: {told(moment)}{how} is not {ALLOWED}"
        )


def _play(
    options: ReplayOptions,
    schedule: Schedule,
    contents: Contents,
    sender: Sender,
    console: Console,
) -> None:
    voice = Voice(options.agent, options.model, options.channel)
    columns = (TextColumn("Turns"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with (
        Player(voice, schedule, sender) as player,
        Progress(*columns, console=console, disable=not console.is_terminal) as progress,
    ):
        task = progress.add_task("", total=contents.turns)
        for transcript in transcripts(options.file, options.limit, contents.bad):
            player.play(transcript)
            progress.advance(task, transcript.user_messages)
        player.deliver()
        sender.finish()


def _summary(
    server: str, options: ReplayOptions, contents: Contents, seconds: float
) -> dict[str, Any]:
    """What was replayed, and what the store has of it, asked back through the API."""
    stored = _stored(server, options, contents)
    pairs = [(turns, stored.get(cid, 0)) for cid, turns in contents.expected.items()]
    return {
        "conversations": contents.conversations,
        "turns": contents.turns,
        "stored_conversations": sum(there > 0 for _, there in pairs),
        "stored_turns": sum(there for _, there in pairs),
        "lost": sum(max(0, turns - there) for turns, there in pairs),
        "duplicates": sum(max(0, there - turns) for turns, there in pairs),
        "seconds": round(seconds, 2),
        "skipped": len(contents.skipped),
        **_window(contents),
    }


def _stored(server: str, options: ReplayOptions, contents: Contents) -> dict[str, int]:
    window = _window(contents)
    if not window["from"] or not window["to"]:
        return {}
    with AnalyticsClient(server, token=options.token) as client:
        client.settled()
        return {
            str(item["conversation_id"]): int(item["turns"])
            for item in client.conversations(
                start=window["from"], end=window["to"], agent=options.agent
            )
            if item["conversation_id"] in contents.expected
        }


def _window(contents: Contents) -> dict[str, str | None]:
    """The time that the conversations take up, as the API names it: whole seconds around it."""
    if contents.first is None or contents.last is None:
        return {"from": None, "to": None}
    first = datetime.fromtimestamp(contents.first // 10**9, UTC)
    last = datetime.fromtimestamp(contents.last // 10**9, UTC) + timedelta(seconds=1)
    return {"from": _rfc3339(first), "to": _rfc3339(last)}


def _rfc3339(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _say_skipped(skipped: list[str], console: Console) -> None:
    for reason in skipped[:_LISTED]:
        console.print(f"skipped: {reason}", style="yellow", markup=False)
    if len(skipped) > _LISTED:
        console.print(f"skipped: {len(skipped) - _LISTED} more lines", style="yellow")


def _report(
    summary: dict[str, Any], contents: Contents, console: Console, *, as_json: bool
) -> None:
    if as_json:
        print(json.dumps(summary))  # noqa: T201 - the command's output
        return
    out = Console(highlight=False)
    for name, value in summary.items():
        out.print(f"{name.replace('_', ' '):>22}  {value}")
    if contents.first is not None:
        console.print(
            f"Look at them with /?from={summary['from']}&to={summary['to']} on the analytics page.",
            style="dim",
        )
