"""The transcript format: one conversation a line, as JSON. `docs/replay.md` describes it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from otel_chat._common import text_files
from otel_chat._common.wrong_input import in_words
from otel_chat.errors import OtelChatError

LINE_LIMIT: Final = 16 * 1024 * 1024
_NAME: Final = 256
Name = Annotated[str, Field(min_length=1, max_length=_NAME)]


class TranscriptError(OtelChatError):
    """A line of a transcript file cannot be read. The message names line and field."""


class Line(BaseModel):
    """One message of a conversation."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    speaker: Literal["user", "system", "assistant", "human"]
    text: str
    intents: tuple[Name, ...] = ()
    acts: tuple[Name, ...] = ()
    service_calls: tuple[Name, ...] = ()
    time: AwareDatetime | None = None

    @field_validator("time")
    @classmethod
    def _nothing_is_not_known(cls, value: datetime | None) -> datetime | None:
        """A time of 0 is what programs write that know none, as for the server."""
        return None if value is not None and value.timestamp() == 0 else value

    @property
    def is_user(self) -> bool:
        """Whether the user said it."""
        return self.speaker == "user"


class Transcript(BaseModel):
    """One conversation."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    conversation_id: Name
    services: tuple[Name, ...] = ()
    turns: tuple[Line, ...]

    @model_validator(mode="after")
    def _times_do_not_go_back(self) -> Transcript:
        last: datetime | None = None
        for at, line in enumerate(self.turns):
            if line.time and last and line.time < last:
                raise ValueError(f"turns[{at}].time lies before the one before it")
            last = line.time or last
        return self

    @property
    def user_messages(self) -> int:
        """How many turns the conversation has."""
        return sum(line.is_user for line in self.turns)


def parse(raw: str | bytes | None, number: int) -> Transcript:
    """Reads one line.

    Args:
        raw: The line; None where it was too long to be read.
        number: Its number, from 1, for the message.

    Raises:
        TranscriptError: names the line, the field and what is wrong with it.

    Example:
        >>> parse('{"conversation_id": "c1", "turns": []}', 1).conversation_id
        'c1'
        >>> parse('{"turns": []}', 7)
        Traceback (most recent call last):
        ...
        otel_chat.replay.transcripts.TranscriptError: line 7, conversation_id: is missing
    """
    if raw is None:
        raise TranscriptError(f"line {number}: longer than {LINE_LIMIT} bytes")
    try:
        return Transcript.model_validate_json(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = _field(first["loc"])
        raise TranscriptError(f"line {number}, {field}: {in_words(first, {})}") from error


def _field(place: tuple[int | str, ...]) -> str:
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return path.lstrip(".") or "the whole line"


def read(path: Path) -> Iterator[tuple[int, bytes | None]]:
    """The lines of a file that are not blank, with their numbers from 1.

    Args:
        path: A JSONL file in UTF-8 or UTF-16, plain or packed by gzip; see `text_files.lines`.

    Yields:
        A number and its line; None for one that is longer than 16 MiB, which `parse` refuses.

    Raises:
        TranscriptError: the file cannot be read to its end.
    """
    number = 0
    try:
        for number, raw in enumerate(text_files.lines(path, LINE_LIMIT), 1):
            if raw is None or raw.strip():
                yield number, raw
    except text_files.UNREADABLE as error:
        place = f" after line {number}" if number else ""
        raise TranscriptError(f"{path} cannot be read{place}: {error}") from error
