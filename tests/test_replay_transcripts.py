from __future__ import annotations

import gzip
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_chat.replay.player import exchanges
from otel_chat.replay.run import scan
from otel_chat.replay.schedule import GAP_NS, ReplayClock, ReplayIds, Schedule, to_ns
from otel_chat.replay.transcripts import Line, Transcript, TranscriptError, parse, read

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
SPEAKERS = st.sampled_from(["user", "system", "assistant", "human"])


def talk(*lines: dict[str, Any], conversation_id: str = "c-1") -> Transcript:
    turns = [{"speaker": "user", "text": "", **line} for line in lines]
    return Transcript.model_validate({"conversation_id": conversation_id, "turns": turns})


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ("{", "line 3, the whole line: Invalid JSON"),
        ("[]", "line 3, the whole line: Input should be an object"),
        ('{"turns": []}', "line 3, conversation_id: Field required"),
        ('{"conversation_id": "", "turns": []}', "line 3, conversation_id: String should have"),
        (
            '{"conversation_id": "c", "turns": [{"speaker": "user", "text": "a"}, {"text": "b"}]}',
            r"line 3, turns\[1\].speaker: Field required",
        ),
        (
            '{"conversation_id": "c", "turns": [{"speaker": "cat", "text": "a"}]}',
            r"line 3, turns\[0\].speaker: Input should be 'user', 'system'",
        ),
        (
            '{"conversation_id": "c", "turns": [{"speaker": "user", "text": 7}]}',
            r"line 3, turns\[0\].text: Input should be a valid string",
        ),
        (
            """{"conversation_id": "c", "turns": [
                {"speaker": "user", "text": "", "time": "2026-01-01T00:00:00"}]}""",
            r"line 3, turns\[0\].time: Input should have timezone info",
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
        assert line.time is None or to_ns(line.time) == moment


@given(st.text(min_size=1, max_size=40), st.integers(1, 30))
def test_conversations_without_times_begin_within_the_days(name: str, days: int) -> None:
    """The begin depends on the id alone and lies within the days; messages follow each 15 s."""
    schedule = Schedule(start=START, days=days)
    first, second = schedule.times(talk({}, {}, conversation_id=name))
    assert to_ns(START) <= first < to_ns(START + timedelta(days=days))
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
