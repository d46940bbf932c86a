"""The text that a user reads, in what an application of any make returns or yields.

Only what is stored is looked at: the items of dictionaries and lists, the fields of objects. No
property, no `__getattr__` and no method of somebody else's runs, so nothing is slow, loaded or
changed by it; depth, items and length are bounded. What cannot be read is None, never a `repr`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from enum import Enum
from functools import lru_cache
from types import MemberDescriptorType
from typing import Any, Final, Literal, NamedTuple

Sender = Literal["assistant", "user"]

_MAX_DEPTH: Final = 8
_MAX_ITEMS: Final = 5_000
_MAX_TEXT: Final = 200_000
_MAX_BODY: Final = 2_000_000
_CURSORS: Final = "▌█▋▍▎▏●"
_NO_TEXT: Final = (int, float, complex, type, Enum)
_ABSENT: Final = object()

_KEYS: Final = (
    "reply", "answer", "response", "output_text", "output", "delta", "token", "text", "content",
    "message", "chunk", "completion", "generated_text", "result", "data", "parts", "blocks",
    "messages", "choices", "body", "_body", "_container",
)  # fmt: skip
"""Where a text is looked for, the surest first."""
_OF_USERS: Final = ("text", "content", "message", "parts", "messages", "query", "question", "input")
_OF_CHUNKS: Final = frozenset({"token", "delta", "chunk"})
_INNER: Final = frozenset(
    {"content", "parts", "blocks", "choices", "delta", "body", "_body", "_container"}
)
_JSON: Final = {"data": "{[", "result": "{["}
"""Where text may be JSON in turn, and how that begins."""
_KINDS: Final = ("type", "event", "event_type", "part_kind", "kind", "object")
_SENDERS: Final = ("role", "sender", "author")
_SPEAKERS: Final = (*_SENDERS, "source", "from", "speaker")
"""Where messages of both sides that stand in one list may say whose they are."""
_KIND_NAMES: Final = frozenset({*_KINDS, *_SENDERS})
_NONE: Final[frozenset[str]] = frozenset()
_WORD: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")

_WORDS_OF: Final[dict[str, frozenset[str]]] = {
    "assistant": frozenset({"assistant", "ai", "bot", "model", "agent", "chatbot"}),
    "user": frozenset({"user", "human", "customer", "visitor"}),
}
_SIDES: Final = frozenset().union(*_WORDS_OF.values())
_WORDS_OF_NOBODY: Final = frozenset(
    {
        *("system", "developer", "tool", "tools", "function", "status", "progress", "ping"),
        *("pong", "heartbeat", "keepalive", "error", "errors", "thinking", "thought", "thoughts"),
        *("reasoning", "debug", "log", "metadata", "meta", "usage", "source", "sources"),
        *("citation", "citations", "image", "audio", "video", "file", "state", "title"),
        *("session", "trace", "step", "summary"),
    }
)
_WORDS_OF_ENDS: Final = frozenset(
    {"end", "done", "finish", "finished", "complete", "completed", "final", "stop", "snapshot"}
)
_NAME: Final = re.compile(r"[a-z][a-z0-9_.-]{1,40}")
_EVENT_WORDS: Final = frozenset({*_KEYS, *_WORDS_OF_NOBODY, *_WORDS_OF_ENDS})


class Told(NamedTuple):
    """What a chunk of an application's own says.

    Args:
        text: What the user reads of it.
        whole: Whether it ends the reply, and so may say all of it again.
    """

    text: str
    whole: bool = False


def text_of(value: object, sender: Sender = "assistant") -> str | None:
    """The text in a whole result, or in a message; None where there is none to be read.

    Args:
        value: What a handler returned: text, bytes, a dictionary, a model, a dataclass, a message
            made of parts, a list of messages (of which those since the user's last one count), or
            a response with any of these in its body.
        sender: Whose text: `user` takes the user's last message.

    Example:
        >>> text_of({"reply": "Good evening."})
        'Good evening.'
        >>> text_of([{"type": "text", "text": "What is it?"}, {"type": "image_url"}], "user")
        'What is it?'
        >>> text_of(object()) is None
        True
    """
    try:
        found = _Walk(sender, chunk=False).text(value, 0, inner=False)
    except Exception:  # noqa: BLE001 - somebody else's object
        return None
    return found[:_MAX_TEXT] if found else None


def named(chunk: object) -> tuple[str, object] | None:
    """The name and the payload of a pair that an application yields, as it would an event's.

    Example:
        >>> named(("token", "Hi")), named(("Hi", [["hello", "Hi"]]))
        (('token', 'Hi'), None)
    """
    if type(chunk) is tuple and len(chunk) == 2 and type(chunk[0]) is str:  # noqa: PLR2004
        name = chunk[0]
        if _NAME.fullmatch(name) and not _words(name).isdisjoint(_EVENT_WORDS):
            return name, chunk[1]
    return None


def told_by(chunk: object, event: str | None = None) -> Told | None:
    """What a chunk of a stream says, whatever the application makes its chunks of.

    Args:
        chunk: A dictionary, an object, or what a frame holds.
        event: The name of the frame's event.

    Example:
        >>> told_by({"event": "token", "data": "Hi"})
        Told(text='Hi', whole=False)
        >>> told_by({"type": "status", "text": "thinking"}) is None
        True
    """
    try:
        words = _words(event) | _kind_of(chunk) if event or not isinstance(chunk, str) else _NONE
        if words & _WORDS_OF_NOBODY:
            return None
        found = (
            chunk
            if isinstance(chunk, str)
            else _Walk("assistant", chunk=True).text(chunk, 0, inner=True)
        )
    except Exception:  # noqa: BLE001 - somebody else's object
        return None
    return Told(found[:_MAX_TEXT], bool(words & _WORDS_OF_ENDS)) if found else None


class _Walk:
    """One search; it counts what it looks at."""

    def __init__(self, sender: Sender, *, chunk: bool) -> None:
        self._other = _WORDS_OF["user" if sender == "assistant" else "assistant"]
        self._own = _WORDS_OF[sender]
        self._user = sender == "user"
        keys = _OF_USERS if self._user else _KEYS
        self._keys = keys if chunk else tuple(k for k in keys if k not in _OF_CHUNKS)
        self._left = _MAX_ITEMS

    def text(self, value: Any, depth: int, *, inner: bool) -> str | None:
        """The text in a value; `inner` where it is the content of something."""
        self._left -= 1
        if value is None or depth > _MAX_DEPTH or self._left < 0:
            return None
        if isinstance(value, str) and not isinstance(value, Enum):
            return str.__str__(value)
        if isinstance(value, bytes):
            return self._document(value[:_MAX_BODY].decode(errors="replace"), depth)
        names = getattr(type(value), "_fields", None) if isinstance(value, tuple) else None
        if isinstance(names, tuple):
            return self._of_fields(dict(zip(names, value, strict=False)), depth)
        if isinstance(value, list | tuple):
            return self._of_list(value, depth, inner=inner)
        return None if isinstance(value, _NO_TEXT) else self._of_fields(value, depth)

    def _document(self, text: str, depth: int) -> str | None:
        """A body: JSON is looked into, markup is for a browser to show."""
        head = text.lstrip()[:1]
        if head in ("{", "[", '"'):
            try:
                return self.text(json.loads(text), depth + 1, inner=False)
            except (ValueError, RecursionError):
                return text if len(text) < _MAX_TEXT else None
        return None if head == "<" or "\x00" in text else text

    def _of_fields(self, value: Any, depth: int) -> str | None:
        words = _kind_of(value)
        if words & (self._other | _WORDS_OF_NOBODY):
            return None
        keys = self._keys
        if type(value) is dict:
            keys = tuple(key for key in keys if key in value)
        for key in keys:
            found = _field(value, key)
            if found is _ABSENT or found is None:
                continue
            if key == "text" and isinstance(inside := _field(found, "value"), str):
                found = inside  # OpenAI's assistants
            if isinstance(found, str) and (key == "body" or found[:1] in _JSON.get(key, "")):
                text = self._document(found, depth)
            else:
                text = self.text(found, depth + 1, inner=key in _INNER)
            if text:
                return text
        return None

    def _of_list(self, value: Iterable[Any], depth: int, *, inner: bool) -> str | None:
        found = list(value)[-self._left :] if self._left > 0 else []
        if not found:
            return None
        if depth == 0 and isinstance(value, tuple):  # a body and its status, a text and a history
            texts = (self.text(item, depth + 1, inner=False) for item in found)
            return next((text for text in texts if text), None)
        if all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in found):  # noqa: PLR2004
            return self.text(found[-1][0 if self._user else 1], depth + 1, inner=inner)
        kinds = [_kind_of(item) | _speaker_of(item) for item in found]
        spoken = self._spoken(kinds)
        texts = (self.text(found[place], depth + 1, inner=inner) for place in spoken)
        parts = inner or (any(kinds) and all(_is_part(item) for item in found))
        return ("" if parts else "\n").join(text for text in texts if text) or None

    def _spoken(self, kinds: list[frozenset[str]]) -> Iterable[int]:
        """The places of the messages that count, where a list holds both sides' messages."""
        if self._user:
            own = [place for place, words in enumerate(kinds) if words & self._own]
            return own[-1:] or range(len(kinds))
        theirs = [place for place, words in enumerate(kinds) if words & self._other]
        return range(theirs[-1] + 1 if theirs else 0, len(kinds))


def _is_part(item: Any) -> bool:
    """Whether it has a kind and no sender, as the parts of a message have."""
    return all(_field(item, key) is _ABSENT for key in _SENDERS) and any(
        _field(item, key) is not _ABSENT for key in ("type", "part_kind")
    )


def _kind_of(value: Any) -> frozenset[str]:
    """The words that say what something is, and who speaks in it."""
    if value is None or isinstance(value, str | bytes | list | tuple | int | float):
        return _NONE
    found = _NONE
    names = _KIND_NAMES.intersection(value) if type(value) is dict else _KIND_NAMES
    for key in names:
        name = _field(value, key)
        if isinstance(name, Enum):
            name = name.value
        if isinstance(name, str):
            found |= _words(name)
    return found


def _speaker_of(message: Any) -> frozenset[str]:
    """The word that says which side speaks in a message; or it says so of a sender."""
    for key in _SPEAKERS:
        told = _field(message, key)
        if isinstance(told, dict):
            told = told.get("role") or told.get("type")
        if isinstance(told, str) and told.lower() in _SIDES:
            return frozenset({told.lower()})
    return _NONE


@lru_cache(maxsize=1024)
def _words_in(name: str) -> frozenset[str]:
    words = frozenset(word.lower() for word in _WORD.findall(name))
    return words | {"meta"} if name.startswith("data-") else words  # parts of the AI SDK's users


def _words(name: str | None) -> frozenset[str]:
    return _words_in(name[:100]) if name else frozenset()


def _field(value: Any, name: str) -> Any:
    """What is stored under a name: an item, a field, a slot or a text of its class."""
    if isinstance(value, dict):
        return dict.get(value, name, _ABSENT)
    try:
        fields = object.__getattribute__(value, "__dict__")
    except AttributeError:
        fields = None
    if type(fields) is dict and name in fields:
        return fields[name]
    for kind in type(value).__mro__:
        known = kind.__dict__.get(name, _ABSENT)
        if known is not _ABSENT:
            if isinstance(known, MemberDescriptorType):
                try:
                    return known.__get__(value)
                except AttributeError:
                    return _ABSENT
            return known if isinstance(known, str) else _ABSENT
    return _ABSENT


class Texts:
    """The texts of a stream, one after the other; what they say together.

    Some streams repeat with each text all that came before it, as Gradio's do: there the last one
    is the reply. A first text that is replaced, such as "Thinking...", is let go.

    Args:
        limit: Characters kept.

    Example:
        >>> texts = Texts()
        >>> for text in ("Your", "Your parcel", "Your parcel is on its way."):
        ...     texts.add(text)
        >>> texts.text
        'Your parcel is on its way.'
    """

    __slots__ = ("_broken", "_evidence", "_growths", "_last", "_length", "_restarts", "limit",
                 "pieces")  # fmt: skip

    def __init__(self, limit: int = _MAX_TEXT) -> None:
        self.limit = limit
        self.pieces: list[str] = []
        self._length = 0
        self._last = ""
        self._growths = self._evidence = self._restarts = 0
        self._broken = False

    def __bool__(self) -> bool:
        return bool(self.pieces)

    @property
    def full(self) -> bool:
        """Whether no more text is kept."""
        return self._length >= self.limit

    def add(self, text: str, *, whole: bool = False) -> None:
        """Takes the next text.

        Args:
            text: Of a chunk.
            whole: It may say all that was said again; then it counts for it.
        """
        if not text:
            return
        if whole and self.pieces:
            if self.repeats or len(text) >= self._length:
                said = self.text.strip()
                if text.strip().startswith(said):
                    self._start(text)
            return
        if not self._broken:
            self._compare(text)
        if not self.full:
            self.pieces.append(text)
            self._length += len(text)
        elif self.repeats:
            self._start(text)

    def _start(self, text: str) -> None:
        self.pieces[:] = [text]
        self._length = len(text)
        self._last = text.rstrip(_CURSORS)

    def _compare(self, text: str) -> None:
        shown = text.rstrip(_CURSORS)
        last = self._last
        if last and shown.startswith(last):
            if len(shown) > len(last):
                self._growths += 1
                if shown != last * (len(shown) // len(last)):
                    self._evidence += len(last)
        elif last and len(self.pieces) == 1 and not self._restarts:
            self._restarts = 1
        elif last:
            self._broken = True
        self._last = shown

    @property
    def repeats(self) -> bool:
        """Whether enough was repeated to say so: words may begin as the word before did."""
        if self._broken:
            return False
        if self._restarts:
            return self._growths >= 2 and self._evidence >= 12  # noqa: PLR2004
        return self._evidence >= 4  # noqa: PLR2004

    @property
    def text(self) -> str:
        """What they say together, within the limit."""
        if self.repeats:
            return self._last[: self.limit]
        return "".join(self.pieces)[: self.limit]
