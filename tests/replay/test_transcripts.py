from __future__ import annotations

import gzip
import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span
from rich.console import Console

from otel_chat._common.moments import nanoseconds
from otel_chat._common.time_bounds import possible
from otel_chat.errors import ConfigurationError
from otel_chat.replay.player import exchanges
from otel_chat.replay.run import ReplayOptions, _say_skipped, run, scan
from otel_chat.replay.schedule import GAP_NS, ReplayClock, ReplayIds, Schedule
from otel_chat.replay.transcripts import Line, Transcript, TranscriptError, parse, read
from otel_chat.server.access import IngestGrant
from otel_chat.server.ingest.bodies import PROTOBUF
from otel_chat.server.ingest.check import check_traces

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
FIRST = nanoseconds(START)
SPEAKERS = st.sampled_from(["user", "system", "assistant", "human"])


def talk(*lines: dict[str, Any], conversation_id: str = "c-1") -> Transcript:
    turns = [{"speaker": "user", "text": "", **line} for line in lines]
    return Transcript.model_validate({"conversation_id": conversation_id, "turns": turns})


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ("{", "line 3, the whole line: Invalid JSON"),
        ("[]", "line 3, the whole line: must be an object"),
        ('{"turns": []}', "line 3, conversation_id: is missing"),
        ('{"conversation_id": "", "turns": []}', "line 3, conversation_id: must not be empty"),
        (
            '{"conversation_id": "c", "turns": [{"speaker": "user", "text": "a"}, {"text": "b"}]}',
            r"line 3, turns\[1\].speaker: is missing",
        ),
        (
            '{"conversation_id": "c", "turns": [{"speaker": "cat", "text": "a"}]}',
            r"line 3, turns\[0\].speaker: must be user, system",
        ),
        (
            '{"conversation_id": "c", "turns": [{"speaker": "user", "text": 7}]}',
            r"line 3, turns\[0\].text: must be text",
        ),
        (
            """{"conversation_id": "c", "turns": [
                {"speaker": "user", "text": "", "time": "2026-01-01T00:00:00"}]}""",
            r"line 3, turns\[0\].time: needs an offset",
        ),
        (
            """{"conversation_id": "c", "turns": [{"speaker": "user", "text": "", "time": 20},
                {"speaker": "user", "text": "", "time": 10}]}""",
            r"line 3, the whole line: .*turns\[1\].time lies before the one before it",
        ),
    ],
)
def test_a_line_that_cannot_be_read_is_named_with_its_field(raw: str, said: str) -> None:
    """The message of the error names the line, the field and what is wrong."""
    with pytest.raises(TranscriptError, match=said):
        parse(raw, 3)


def test_a_gzip_file_is_read_like_a_plain_one(tmp_path: Path) -> None:
    """Blank lines are passed over and line numbers are the file's."""
    text = b'{"a": 1}\n\n{"b": 2}\n'
    plain, packed = tmp_path / "t.jsonl", tmp_path / "t.jsonl.gz"
    plain.write_bytes(text)
    packed.write_bytes(gzip.compress(text))
    assert [number for number, _ in read(plain)] == [1, 3]
    assert list(read(packed)) == list(read(plain))


@pytest.mark.parametrize("name", ["missing.jsonl", "broken.jsonl.gz"])
def test_a_file_that_cannot_be_read_says_so(tmp_path: Path, name: str) -> None:
    """A missing file, or one that is no gzip though its name says so, is a clear error."""
    (tmp_path / "broken.jsonl.gz").write_bytes(b"no gzip")
    with pytest.raises(TranscriptError, match=f"{name} cannot be read"):
        list(read(tmp_path / name))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("name", ["t.jsonl", "t.jsonl.gz", "T.JSONL.GZ", "packed.jsonl"])
def test_a_file_is_read_as_it_comes(tmp_path: Path, encoding: str, name: str) -> None:
    """With byte order marks, in UTF-16 as PowerShell writes it, packed under whatever name."""
    line = '{"conversation_id": "%s", "turns": [{"speaker": "user", "text": "\u2028 héllo 😀"}]}\n'
    raw = "".join(line % name for name in "ab").encode(encoding)
    path = tmp_path / name
    path.write_bytes(raw if name == "t.jsonl" else gzip.compress(raw))
    found = [parse(raw, number) for number, raw in read(path)]
    assert [(one.conversation_id, one.turns[0].text) for one in found] == [
        ("a", "\u2028 héllo 😀"),
        ("b", "\u2028 héllo 😀"),
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_line_that_is_too_long_costs_itself_only(
    tmp_path: Path, encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is named, or skipped; the lines behind it keep their numbers."""
    monkeypatch.setattr("otel_chat.replay.transcripts.LINE_LIMIT", 100)
    lines = ['{"conversation_id": "a", "turns": []}', "x" * 250, "", '{"conversation_id": "b"']
    (tmp_path / "t").write_bytes("\n".join(lines).encode(encoding))
    with pytest.raises(TranscriptError, match="line 2: longer than 100 bytes"):
        scan(tmp_path / "t", Schedule(), limit=None, skip_bad=False)
    found = scan(tmp_path / "t", Schedule(), limit=None, skip_bad=True)
    assert (list(found.expected), found.bad) == (["a"], {2, 4})


def test_a_file_that_ends_early_says_where(tmp_path: Path) -> None:
    """Half of a packed file, as a broken download leaves it: the last line that was whole."""
    lines = [json.dumps({"conversation_id": f"{n**40:x}", "turns": []}) for n in range(3000)]
    packed = gzip.compress("\n".join(lines).encode())
    (tmp_path / "t.gz").write_bytes(packed[: len(packed) // 2])
    with pytest.raises(TranscriptError, match=r"cannot be read after line \d{3,4}: "):
        list(read(tmp_path / "t.gz"))


KNOWN = "2026-03-02T09:00:00Z"


@pytest.mark.parametrize(
    ("times", "fault"),
    [
        ((0, 1), r"turns\[1\].time: 1970-01-01T00:00:01"),
        ((KNOWN, "2190-01-01T00:00:00Z"), r"turns\[1\].time: 2190"),
        (("1969-07-20T20:17:00Z", KNOWN), r"turns\[0\].time: 1969"),
        ((KNOWN, "2026-03-02T08:59:59Z"), r"turns\[1\].time lies before"),
        ((1764000000000000000, None), r"turns\[0\].time: "),
        ((None, "2000-01-01T00:00:01Z"), r"turns\[0\].time: 1999"),
        ((KNOWN, "9999-12-31T23:59:59Z"), r"turns\[1\].time: 9999"),
        (("0001-01-01T00:00:00Z", KNOWN), r"turns\[0\].time: 0001"),
        (("2100-01-01T00:00:00Z", None), r"turns\[0\].time: 2100"),
    ],
)
def test_a_time_that_cannot_be_is_named_or_its_line_skipped(
    tmp_path: Path, times: tuple[Any, Any], fault: str
) -> None:
    """By the rule of the server, and before anything is sent; the other lines are replayed."""

    def line(name: str, *given: Any) -> str:
        turns = [{"speaker": "user", "text": "hi", "time": time} for time in given]
        return json.dumps({"conversation_id": name, "turns": turns})

    lines = [line("a", KNOWN, KNOWN), line("bad", *times), line("b", KNOWN, KNOWN)]
    path = tmp_path / "t.jsonl"
    path.write_text("\n".join(lines))
    with pytest.raises(TranscriptError, match=f"line 2, (the whole line: .*)?{fault}"):
        scan(path, Schedule(), limit=None, skip_bad=False)
    found = scan(path, Schedule(), limit=None, skip_bad=True)
    assert (list(found.expected), found.bad) == (["a", "b"], {2})
    assert found.first == found.last == nanoseconds(datetime(2026, 3, 2, 9, tzinfo=UTC))


def test_a_time_of_zero_is_not_known() -> None:
    """As programs write it; the message gets its time from those beside it."""
    found = talk({"time": KNOWN}, {"time": 0}, {"time": "1970-01-01T00:00:00Z"})
    assert [line.time is None for line in found.turns] == [False, True, True]


@given(st.lists(st.integers(-(2**62), 2**63) | st.integers(FIRST, FIRST + 10**12)))
def test_what_passes_the_check_of_a_file_passes_that_of_the_server(times: list[int]) -> None:
    """One rule: a span at such a time, with what is measured on top, is taken."""
    for moment in times:
        span = Span(
            trace_id=b"t" * 16,
            span_id=b"s" * 8,
            start_time_unix_nano=max(0, moment),
            end_time_unix_nano=max(0, moment) + GAP_NS,
        )
        resource = ResourceSpans(scope_spans=[ScopeSpans(spans=[span])])
        body = ExportTraceServiceRequest(resource_spans=[resource]).SerializeToString()
        if possible(moment) and possible(moment + GAP_NS):
            assert check_traces(body, PROTOBUF, IngestGrant(None)).items == 1


def test_days_that_cannot_be_are_refused() -> None:
    """`--start` with its days lies where the server takes times."""
    for start in (datetime(1990, 1, 1, tzinfo=UTC), datetime(2099, 12, 31, tzinfo=UTC)):
        with pytest.raises(ConfigurationError, match="--start needs a time from 2000 to 2100"):
            run(ReplayOptions(Path("t"), server="http://127.0.0.1:1", start=start))


def test_a_conversation_id_may_stand_once_in_a_file(tmp_path: Path) -> None:
    """The second line of the same id is an error, as its turns would replace the first's."""
    line = '{"conversation_id": "c", "turns": [{"speaker": "user", "text": "hi"}]}\n'
    (tmp_path / "t.jsonl").write_text(line * 2)
    with pytest.raises(TranscriptError, match="line 2, conversation_id: 'c' stands on line 1 too"):
        scan(tmp_path / "t.jsonl", Schedule(), limit=None, skip_bad=False)
    skipped = scan(tmp_path / "t.jsonl", Schedule(), limit=None, skip_bad=True)
    assert (skipped.turns, skipped.bad) == (1, {2})


@given(st.lists(SPEAKERS))
def test_every_message_becomes_part_of_exactly_one_exchange(speakers: list[str]) -> None:
    """Turns are the user's messages, in order, and no line of the transcript is lost or doubled."""
    lines = [Line.model_validate({"speaker": s, "text": str(at)}) for at, s in enumerate(speakers)]
    found = list(exchanges(lines))
    said = [line.text for e in found for line in (e.user, e.reply) if line is not None]
    assert said == [line.text for line in lines]
    assert sum(e.user is not None for e in found) == speakers.count("user")
    assert all(e.reply and e.reply.speaker in {"system", "assistant"} for e in found
               if e.user and e.reply)  # fmt: skip


TIMES = st.lists(st.one_of(st.none(), st.integers(0, 3600)), max_size=12)


@given(TIMES)
def test_times_never_go_back_and_the_files_own_are_kept(seconds: list[int | None]) -> None:
    """Whatever times a file has and lacks, messages stay in order and its times are its times."""
    known = iter(sorted(s for s in seconds if s is not None))
    lines: list[dict[str, Any]] = [
        {"time": START + timedelta(seconds=next(known))} if s is not None else {} for s in seconds
    ]
    conversation = talk(*lines)
    times = Schedule().times(conversation)
    assert times == sorted(times)
    for line, moment in zip(conversation.turns, times, strict=True):
        assert line.time is None or nanoseconds(line.time) == moment


@given(st.text(min_size=1, max_size=40), st.integers(1, 30))
def test_conversations_without_times_begin_within_the_days(name: str, days: int) -> None:
    """The begin depends on the id alone and lies within the days; messages follow each 15 s."""
    schedule = Schedule(start=START, days=days)
    first, second = schedule.times(talk({}, {}, conversation_id=name))
    assert FIRST <= first < nanoseconds(START + timedelta(days=days))
    assert second - first == GAP_NS
    assert schedule.times(talk({}, conversation_id=name)) == [first]


def test_ids_are_decided_by_conversation_and_part() -> None:
    """The same part gives the same ids again; another part or conversation gives others."""

    def made(*place: str) -> tuple[object, ...]:
        ids = ReplayIds()
        ids.begin(*place)
        return (
            ids.generate_trace_id(),
            ids.generate_span_id(),
            ids.generate_span_id(),
            ids.event_uid(),
            ids.event_uid(),
        )

    places = [("a", "turn 1"), ("a", "turn 2"), ("b", "turn 1")]
    assert [made(*p) for p in places] == [made(*p) for p in places]
    every = [part for place in places for part in made(*place)]
    assert len(set(every)) == len(every)


@given(st.integers(0, 2**62), st.integers(0, 10**12))
def test_a_clock_that_is_set_stands_still_until_told(moment: int, step: int) -> None:
    """Times repeat until `catch_up` or `advance_to`, which never go back."""
    clock = ReplayClock()
    clock.set(moment)
    before = clock.monotonic_ns()
    assert clock.time_ns() == clock.time_ns() == moment
    clock.advance_to(moment - step)
    assert clock.time_ns() == moment
    clock.advance_to(moment + step)
    assert clock.time_ns() == moment + step
    clock.catch_up()
    assert clock.time_ns() > moment + step
    assert clock.monotonic_ns() - before == clock.time_ns() - moment


def test_skipped_lines_are_told_as_they_are() -> None:
    """What stands in brackets in a file is no markup of the terminal's."""
    console = Console(file=io.StringIO(), width=200)
    _say_skipped(["line 2, conversation_id: '[/red]' stands on line 1 too"], console)
    assert "'[/red]' stands" in console.file.getvalue()  # type: ignore[attr-defined]
