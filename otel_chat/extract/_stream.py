"""What the chunks of one stream have said so far: usage, model, and the reply as it is read."""

from __future__ import annotations

import codecs
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from otel_chat.extract import _langgraph
from otel_chat.extract._draft import Answer, Draft, Extracted
from otel_chat.extract._frames import decoded, frames, looks_framed
from otel_chat.extract._readers import Reader, recognise
from otel_chat.extract._reading import get
from otel_chat.extract._reply import Texts, Told, named, told_by

_PLAIN: Final = frozenset({int, float, bool, complex, type(None)})
_TEXT: Final = frozenset({str, bytes, bytearray, memoryview})
_HEAD: Final = 64
_MOST_FRAMED: Final = 2_000_000
_LAST_FRAMED: Final = 64_000
_MAX_TEXT: Final = 200_000
_MAX_SEGMENTS: Final = 200
_BEFORE_DATA: Final = ("event:", "id:", "retry:")
_SSE_FIELDS: Final = frozenset({"data", "event", "id", "retry", "comment", "sep", "raw_data"})
SHAPE: Final = "text"
"""The shape of a stream in which nothing but text was read."""


class StreamState:
    r"""Reads a stream, chunk by chunk.

    Every chunk is looked at for itself: an application's own may stand before a provider's,
    between them or after them. Text is read only when all is there, so that it does not matter
    where frames were split.

    Args:
        keeps_text: Whether the reply is wanted. Without it text is kept only while it may be
            frames of a provider's, for what they say of usage.

    Example:
        >>> state = StreamState(keeps_text=True)
        >>> for chunk in (": ping\n\n", {"object": "chat.completion.chunk", "model": "gpt-5",
        ...                              "choices": [{"delta": {"content": "Hello"}}]}):
        ...     state.record_chunk(chunk)
        >>> state.result().text, state.result().model
        ('Hello', 'gpt-5')
    """

    __slots__ = ("_draft", "_keeps", "_reader", "_said")

    def __init__(self, *, keeps_text: bool = False) -> None:
        self._keeps = keeps_text
        self._draft = Draft()
        self._reader: Reader | None = None
        self._said: list[_Sent | Texts | Answer] = []

    def record_chunk(self, chunk: object) -> None:
        """Takes what a chunk says. Never raises."""
        kind = type(chunk)
        if kind in _PLAIN:
            return
        try:
            if kind in _TEXT or isinstance(chunk, str | bytes):
                last = self._said[-1] if self._said else None
                sent = last if type(last) is _Sent else self._sent()
                sent.add(chunk)  # type: ignore[arg-type] # text, by its type
            else:
                self._read(chunk)
        except KeyboardInterrupt:
            raise
        except BaseException:  # noqa: BLE001 - somebody else's object; the stream goes on
            return

    def result(self, *, whole: bool = True) -> Extracted | None:
        """What is known now; at any time, and again later.

        Args:
            whole: Without it what was sent as text is left unread, since that takes time.

        Returns:
            None where nothing could be read.
        """
        if whole:
            said, self._said = self._said, []
            for segment in said:
                if isinstance(segment, _Sent):
                    self._decode(segment)
                else:
                    self._append(segment)
        text = self._text() if self._keeps else None
        if self._reader is None:
            return None if text is None else Extracted(shape=SHAPE, text=text)
        return self._draft.finish(self._reader.shape, text)

    def _sent(self) -> _Sent:
        sent = _Sent(keeps=self._keeps)
        self._append(sent)
        return sent

    def _append(self, segment: _Sent | Texts | Answer) -> None:
        said = self._said
        room = len(said) < _MAX_SEGMENTS or isinstance(segment, Answer)
        if room and not (said and said[-1] is segment) and segment not in said:
            said.append(segment)

    def _read(self, chunk: Any, event: str | None = None) -> None:
        reader = recognise(chunk, self._reader)
        pair = named(chunk) if event is None and _langgraph.part(chunk)[0] is None else None
        if pair is not None:
            event, chunk = pair
            reader = recognise(chunk, self._reader)
        if reader is None:
            data = get(chunk, "data")
            if isinstance(data, str) and event is None and _is_event(chunk):
                self.record_chunk(_written(data, get(chunk, "event")))
                return
            # an envelope: of a client (Mistral, Bedrock), of its helper (OpenAI), of a framework
            held = get(chunk, "chunk")
            sent = decoded(get(held, "bytes"))
            for inner in (data, held, get(data, "chunk"), get(chunk, "raw"), sent):
                reader = None if inner is None else recognise(inner, self._reader)
                if reader is not None:
                    chunk = inner
                    break
            else:
                inner = _langgraph.within(chunk)
                reader = None if inner is None else recognise(inner, self._reader)
                chunk = chunk if reader is None else inner
        if reader is not None:
            self._reader = reader
            reader.read(self._draft, chunk)
            if self._draft.answer.pieces:
                self._append(self._draft.answer)
        elif self._keeps:
            self._read_own(chunk, event)

    def _read_own(self, chunk: Any, event: str | None) -> None:
        """Takes the text in a chunk of no known shape."""
        mode, chunk = _langgraph.part(chunk)
        if mode == "updates" and type(chunk) is dict:  # of each node
            chunk = next((update for update in chunk.values() if update is not None), None)
        told = told_by(chunk, event) if _langgraph.is_read(mode) else None
        if told is not None:
            self._tell_beside(chunk, told._replace(whole=told.whole or mode == "values"))

    def _tell_beside(self, chunk: Any, told: Told) -> None:
        """Takes text of the application's, unless it is what a provider's chunks said already."""
        repeats = told.whole or get(chunk, "snapshot") is not None
        if not (repeats and self._draft.answer.pieces):
            self._tell(told.text, whole=told.whole)

    def _tell(self, text: str, *, whole: bool = False) -> None:
        last = self._said[-1] if self._said else None
        if not isinstance(last, Texts):
            last = Texts()
            self._append(last)
        last.add(text, whole=whole)

    def _decode(self, sent: _Sent) -> None:
        """Reads what was sent as text: frames, or the reply itself."""
        before, found = sent.framed()
        if before and self._keeps:
            self._append(before)
        known = len(self._said), self._reader
        for payload, event in found:
            if isinstance(payload, str):
                if self._keeps and (told := told_by(payload, event)) is not None:
                    self._tell(told.text, whole=told.whole)
            elif payload is not None:
                with suppress(Exception):  # one bad frame costs itself
                    self._read(payload, event or "")
        if len(found) == 1 and sent.is_json and known == (len(self._said), self._reader):
            self._append(sent.texts)  # one object that says nothing: the model's answer

    def _text(self) -> str | None:
        return "".join(segment.text for segment in self._said)[:_MAX_TEXT] or None


class _Sent:
    """Text as it was sent, bounded: of frames the last are kept too, where the usage stands."""

    __slots__ = ("_after", "_bound", "_cut", "_decode", "_dropped", "_keeps", "_length", "_texts")

    def __init__(self, *, keeps: bool) -> None:
        self._keeps = keeps
        self._texts = Texts(_MAX_TEXT if keeps else _HEAD)
        self._decode: Callable[[bytes], str] | None = None
        self._after: deque[str] = deque()
        self._length = 0
        self._dropped = False

    @property
    def text(self) -> str:
        """What was sent, where it is no frames."""
        return self._texts.text

    @property
    def is_json(self) -> bool:
        """Whether it is no frames but what may be JSON."""
        return self._texts.text.lstrip().startswith("{")

    @property
    def texts(self) -> Texts:
        """Its pieces."""
        return self._texts

    def add(self, piece: str | bytes | bytearray | memoryview) -> None:
        """Takes the next piece; characters may be split between two."""
        if self._dropped:
            return
        if isinstance(piece, str):
            text = piece if type(piece) is str else str.__str__(piece)
        else:
            if self._decode is None:
                self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
            text = self._decode(bytes(piece))
        texts = self._texts
        if not texts.full:
            texts.add(text)
        elif texts.limit < _MOST_FRAMED:
            if looks_framed(_head(texts.pieces)):
                texts.limit = _MOST_FRAMED
            texts.add(text)
            self._dropped = texts.full and not (self._keeps and texts.repeats)
        else:
            self._after.append(text)
            self._length += len(text)
            while self._length - len(self._after[0]) > _LAST_FRAMED:
                self._length -= len(self._after.popleft())

    def framed(self) -> tuple[Texts | None, list[Any]]:
        """Text that stands before frames or instead of them, and the frames."""
        pieces = self._texts.pieces
        if not self._keeps and not looks_framed(_head(pieces)):
            return None, []
        text = _joined(pieces)
        found = frames(text)
        if found is not None:
            found += frames(_from_frame("".join(self._after))) or [] if self._after else []
            return None, found
        for place in range(1, min(len(pieces), 4)):  # a status, and then the frames
            if looks_framed(pieces[place]):
                found = frames(_joined(pieces[place:]))
                if found is not None:
                    before = Texts()
                    before.add("".join(pieces[:place]))
                    return before, found
        return self._texts, []


def _head(pieces: list[str]) -> str:
    """How they begin."""
    head = ""
    for piece in pieces:
        head += piece[:_HEAD]
        if len(head) >= _HEAD:
            break
    return head


def _is_event(chunk: Any) -> bool:
    """Whether it is a server-sent event that somebody else will write down."""
    keys = chunk if isinstance(chunk, dict) else getattr(chunk, "__dict__", {})
    return "event" in keys or keys.keys() <= _SSE_FIELDS


def _written(data: str, event: Any) -> str:
    """A server-sent event as it is sent."""
    name = f"event: {event}\n" if isinstance(event, str) and event else ""
    lines = data.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return name + "".join(f"data: {line}\n" for line in lines) + "\n"


def _joined(pieces: list[str]) -> str:
    """The pieces in one. Lines without their ends, as clients give them, get them back."""
    text = "".join(pieces)
    bare = len(pieces) > 1 and "\n" not in text and "\r" not in text
    if bare and all(piece.startswith(("data:", ":", *_BEFORE_DATA)) for piece in pieces):
        ends = ("\n" if piece.startswith(_BEFORE_DATA) else "\n\n" for piece in pieces)
        return "".join(piece + end for piece, end in zip(pieces, ends, strict=True))
    return text


def _from_frame(text: str) -> str:
    """The part after the first end of a frame."""
    ends = [text.find(end) + len(end) for end in ("\n\n", "\r\n\r\n", "\n") if end in text]
    return text[ends[0] :] if ends else text
