"""Replies as a user reads them: frames, JSON, messages, models; None where nothing can be read."""

from __future__ import annotations

import dataclasses
import enum
import itertools
import json
from collections import namedtuple
from collections.abc import Iterable
from types import MappingProxyType, SimpleNamespace
from typing import Any
from unittest.mock import MagicMock, Mock

import flask
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse

from otel_chat.extract import StreamState, Texts, text_of
from tests.library.extract.wire import CHAT_CHUNKS

WORDS = ["Your ", "parcel ", "is ", "on ", "its ", "way.\n", "Ünïcödé 🎉"]
TEXT = "".join(WORDS)


def reply(chunks: Iterable[Any]) -> str | None:
    state = StreamState(keeps_text=True)
    for chunk in chunks:
        state.record_chunk(chunk)
    found = state.result()
    return None if found is None else found.text


def sse(*payloads: str, end: str = "\n") -> str:
    lines = ["".join(f"data: {line}{end}" for line in p.split("\n")) for p in payloads]
    return "".join(f"{block}{end}" for block in lines)


def ui(kind: str, **more: Any) -> str:
    return json.dumps({"type": kind, **more})


FRAMED = {
    "SSE, text": sse(*WORDS),
    "SSE, carriage returns": sse(*WORDS, end="\r\n"),
    "SSE, JSON": sse(*(json.dumps({"delta": w}) for w in WORDS), "[DONE]"),
    "SSE, JSON strings": sse(*map(json.dumps, WORDS)),
    "SSE, other fields and comments": "".join(
        f": ping\n\nevent: token\nid: {n}\nretry: 10\n{sse(w)}" for n, w in enumerate(WORDS)
    ),
    "SSE, a mark of order": "\ufeff" + sse(*WORDS),
    "SSE, events that are no reply": "event: status\ndata: thinking\n\n"
    + sse(*WORDS)
    + 'event: sources\ndata: [{"text": "a page"}]\n\nevent: error\ndata: late\n\n',
    "SSE, an end that says all again": sse(
        *(json.dumps({"type": "token", "text": w}) for w in WORDS),
        json.dumps({"type": "done", "text": TEXT}),
    ),
    "SSE, an end that says something else": sse(
        *(json.dumps({"type": "token", "text": w}) for w in WORDS),
        json.dumps({"type": "done", "message": "bye"}),
    ),
    "SSE, nothing but an end": sse(
        ui("status", text="thinking"), json.dumps({"type": "final", "answer": TEXT})
    ),
    "SSE, cumulative": sse(
        *(json.dumps({"text": "".join(WORDS[: n + 1])}) for n in range(len(WORDS)))
    ),
    "SSE, a provider's": sse(
        json.dumps({"type": "start"}),
        *(
            json.dumps({"object": "chat.completion.chunk", "choices": [{"delta": {"content": w}}]})
            for w in WORDS
        ),
        "[DONE]",
    ),
    "JSON lines": "".join(json.dumps({"delta": w}) + "\n" for w in WORDS),
    "JSON lines without lines": "".join(json.dumps({"content": w}) for w in WORDS),
    "JSON sequence": "".join(f"\x1e{json.dumps({'text': w})}\n" for w in WORDS),
    "JSON lines with kinds": "".join(
        json.dumps(value) + "\n"
        for value in (
            {"type": "status", "message": "searching"},
            *({"type": "token", "content": w} for w in WORDS),
            {"type": "tool_call", "name": "x", "content": "{}"},
            {"type": "end"},
        )
    ),
    "AI SDK 4": 'f:{"messageId":"m"}\n'
    + "".join(f"0:{json.dumps(w)}\n" for w in WORDS)
    + 'g:"hm"\n2:[{"x":1}]\n9:{"toolName":"x"}\ne:{"finishReason":"stop"}\n'
    + 'd:{"finishReason":"stop","usage":{"promptTokens":12,"completionTokens":3}}\n',
    "AI SDK 5": sse(
        ui("start", messageId="m"),
        ui("reasoning-delta", id="r", delta="hm"),
        ui("text-start", id="t"),
        *(ui("text-delta", id="t", delta=w) for w in WORDS),
        ui("text-end", id="t"),
        ui("tool-input-delta", toolCallId="c", inputTextDelta="{}"),
        ui("data-weather", data={"text": "sunny"}),
        ui("finish"),
        "[DONE]",
    ),
    "AG-UI": sse(
        ui("RUN_STARTED", threadId="t"),
        *(ui("TEXT_MESSAGE_CONTENT", messageId="m", delta=w) for w in WORDS),
        ui("TOOL_CALL_ARGS", delta="{}"),
        ui("STATE_DELTA", delta=[{"op": "add", "path": "/x", "value": "y"}]),
        ui("RUN_FINISHED"),
    ),
}


@pytest.mark.parametrize("kind", FRAMED)
def test_frames_are_read_as_their_reader_does(kind: str) -> None:
    """The text of the reply and nothing else: no frames, statuses, tools or sources."""
    assert reply([FRAMED[kind]]) == TEXT
    assert reply(FRAMED[kind]) == TEXT
    assert reply([FRAMED[kind].encode()]) == TEXT


@settings(max_examples=200, deadline=None)
@given(
    kind=st.sampled_from(sorted(FRAMED)),
    cuts=st.lists(st.integers(0, 2_000), max_size=12),
    binary=st.booleans(),
)
def test_where_frames_are_split_does_not_matter(kind: str, cuts: list[int], binary: bool) -> None:
    """In the middle of a field, a character or an end of line."""
    whole: Any = FRAMED[kind].encode() if binary else FRAMED[kind]
    edges = [0, *sorted(cut % (len(whole) + 1) for cut in cuts), len(whole)]
    assert reply(whole[a:b] for a, b in itertools.pairwise(edges)) == TEXT


@pytest.mark.parametrize("kind", FRAMED)
def test_a_stream_that_was_left_early_says_what_was_read(kind: str) -> None:
    """Cut off anywhere, what is told is the beginning of the reply, and never a frame."""
    whole = FRAMED[kind]
    for cut in range(len(whole) // 3, len(whole), 7):
        found = reply([whole[:cut]]) or ""
        assert TEXT.startswith(found.removesuffix("\n").rstrip()) or found == ""


def test_frames_tell_usage_with_content_off_too() -> None:
    """A provider's frames handed on as they came; the AI SDK's last part."""
    for text, expected in (
        (sse(*map(json.dumps, CHAT_CHUNKS), "[DONE]"), (120, 40, "gpt-4o-2024-08-06")),
        (FRAMED["AI SDK 4"], (12, 3, None)),
    ):
        for pieces in ([text], text, [": ping\n\n", text] if text.startswith("data") else [text]):
            state = StreamState()
            for piece in pieces:
                state.record_chunk(piece)
            found = state.result()
            assert found is not None
            assert (found.input_tokens, found.output_tokens, found.model) == expected


def test_the_usage_of_a_very_long_stream_is_read() -> None:
    """Frames are kept up to a bound, and the last ones always."""
    state = StreamState(keeps_text=True)
    chunk = sse(json.dumps({**CHAT_CHUNKS[1], "padding": "x" * 1000}))
    for _ in range(3_000):
        state.record_chunk(chunk)
    state.record_chunk(sse(json.dumps(CHAT_CHUNKS[-1]), "[DONE]"))
    found = state.result()
    assert found is not None
    assert (found.input_tokens, found.output_tokens) == (120, 40)
    assert (found.text or "").startswith("HelloHello")


@pytest.mark.parametrize(
    "text",
    [
        "Your parcel: on its way.",
        ":)",
        ":) and so on",
        '{"name": "Bob"}',
        '{"name": "Bob"}\n',
        '{\n  "name": "Bob"\n}\n',
        '{"name": "Bob"} is JSON.',
        "[1, 2]",
        "data is what we keep",
        "data",
        "event: Friday\nplace: here",
        "id",
        "0: nothing\n1: one",
        "0:1",
        '```json\n{"a": 1}\n```\n',
        "  indented",
        "\n\n",
        "<b>bold</b>",
        "null",
    ],
)
def test_text_that_is_no_frames_is_the_reply(text: str) -> None:
    """Whole, by the letter, or as bytes."""
    assert reply([text]) == text
    assert reply(text) == text
    assert reply([text.encode()]) == text


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=50), st.data())
def test_bytes_are_joined_before_they_are_decoded(text: str, data: st.DataObject) -> None:
    """A character may be split between two chunks."""
    raw = f"x{text}".encode()
    cut = data.draw(st.integers(0, len(raw)))
    assert reply([raw[:cut], raw[cut:]]) == reply([raw])


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        ([{"event": "token", "data": w} for w in WORDS], TEXT),
        ([{"data": w} for w in WORDS], TEXT),
        ([{"data": json.dumps({"text": w})} for w in WORDS], TEXT),
        ([SimpleNamespace(event="token", data=w) for w in WORDS], TEXT),
        ([{"event": "status", "data": "thinking"}, {"data": "Hi"}], "Hi"),
        ([f"data: {w}" for w in ("Hi", "there")], "Hithere"),
        (["event: status", "data: wait", "", "event: token", "data: Hi", ""], "Hi"),
        (['{"delta": "Hi"}', '{"delta": " there"}'], "Hi there"),
        (["thinking... ", sse("Hi")], "thinking... Hi"),
        ([": ping\n\n"], None),
        ([sse(json.dumps({"t": "Hi"}))], None),
        ([json.dumps({"t": w}) + "\n" for w in WORDS], None),
        ([{"t": "Hi"}], None),
        ([object(), 1, None], None),
        ([{"token": "Hi"}, {"token": " there"}], "Hi there"),
        ([{"type": "text", "text": "Hi"}, {"type": "tool_use", "text": "x"}], "Hi"),
        ([{"choices": [{"text": "Hi"}]}], "Hi"),
        ([{"delta": {"content": [{"type": "text", "text": {"value": "Hi"}}]}}], "Hi"),
        ([("Hi", [["hello", "Hi"]])], "Hi"),
        ([SimpleNamespace(data=SimpleNamespace(text=SimpleNamespace(value="Hi")))], "Hi"),
        ([("token", w) for w in WORDS], TEXT),
        ([("status", "thinking"), ("text", "Hi"), ("error", "none")], "Hi"),
        (
            [
                [{"role": "user", "content": "hello"}, {"role": "assistant", "content": text}]
                for text in ("Your", "Your parcel", "Your parcel is here")
            ],
            "Your parcel is here",
        ),
        ([bytearray(b"Hi"), memoryview(b" there")], "Hi there"),
    ],
)
def test_chunks_of_an_applications_own_are_read(chunks: list[Any], expected: str | None) -> None:
    """Dictionaries, objects and messages; None where their keys say nothing."""
    assert reply(chunks) == expected


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        (["Your ", "Your parcel ", "Your parcel is here"], "Your parcel is here"),
        (["H", "He", "Hel", "Hell", "Hello"], "Hello"),
        (["Your ▌", "Your parcel ▌", "Your parcel is here"], "Your parcel is here"),
        (["Your parcel", "Your parcel", "Your parcel is"], "Your parcel is"),
        (["Thinking...", "Your ", "Your parcel ", "Your parcel is here"], "Your parcel is here"),
        (["ha", "ha", "ha"], "hahaha"),
        (["-", "--", "---"], "------"),
        (["no", "not"], "nonot"),
        (["The ", "There"], "The There"),
        (["a"], "a"),
        ([], ""),
    ],
)
def test_texts_that_repeat_what_came_before_are_not_joined(
    pieces: list[str], expected: str
) -> None:
    """Gradio's yields are the whole so far; words that happen to begin alike are not."""
    texts = Texts()
    for piece in pieces:
        texts.add(piece)
    assert texts.text == expected


def test_a_long_reply_that_is_repeated_each_time_is_kept_whole() -> None:
    """The bound is on the reply, not on all that was sent."""
    words = [f"word{n} " for n in range(3_000)]
    assert reply("".join(words[: n + 1]) for n in range(len(words))) == "".join(words)


def test_a_reply_is_bounded() -> None:
    """Whatever it is made of."""
    assert len(reply(f"{n} word " for n in range(100_000)) or "") == 200_000
    assert len(reply({"text": f"{n} word "} for n in range(100_000)) or "") == 200_000
    assert len(text_of({"reply": "x" * 300_000}) or "") == 200_000


# -- whole results ---------------------------------------------------------------------------------


class Model(pydantic.BaseModel):
    """A reply as a model."""

    reply: str = "Hi"


class Nested(pydantic.BaseModel):
    """A model in a model."""

    message: Model = Model()


@dataclasses.dataclass
class Plain:
    """A dataclass."""

    answer: str = "Hi"
    sources: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(slots=True)
class Slotted:
    """A dataclass whose fields are slots."""

    content: str = "Hi"
    role: str = "assistant"


class Stored:
    """An object whose class holds the text."""

    content = "Hi"
    role = "assistant"


Pair = namedtuple("Pair", "text score")  # noqa: PYI024 - as old code has them


class Color(enum.Enum):
    """An enumeration is no text."""

    text = "red"


class Lazy:
    """As an object of a database: to look at it is to ask the database."""

    asked = False

    @property
    def content(self) -> str:
        """Asks."""
        type(self).asked = True
        return "Hi"

    def __getattr__(self, name: str) -> Any:
        type(self).asked = True
        return "Hi"


PARTS = [
    {"type": "text", "text": "H"},
    {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBOR"}},
    {"type": "tool_use", "name": "x", "input": {"text": "no"}},
    {"type": "text", "text": "i"},
]
HISTORY = [
    {"role": "system", "content": "Be kind."},
    {"role": "user", "content": "hello"},
    {"role": "assistant", "content": "before"},
    {"role": "user", "content": [{"type": "input_text", "text": "hello again"}]},
    {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "x"}}]},
    {"role": "tool", "content": "found"},
    {"role": "assistant", "content": PARTS},
]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *(({key: "Hi"}, "Hi") for key in (
            "reply", "answer", "text", "content", "message", "output", "response", "completion",
            "result", "output_text", "generated_text", "data",
        )),
        ({"message": "my question", "reply": "Hi"}, "Hi"),
        ({"input": "my question", "output": {"content": "Hi"}}, "Hi"),
        ({"status": "ok", "data": {"reply": "Hi", "score": 1}}, "Hi"),
        ({"statusCode": 200, "body": json.dumps({"reply": "Hi"})}, "Hi"),
        ({"reply": "", "text": "Hi"}, "Hi"),
        ({"text": "Hi", "token": "secret"}, "Hi"),
        ({"token": "secret"}, None),
        ({"reply": 7}, None),
        ({"reply": {"score": 1}}, None),
        ({"role": "user", "content": "hello"}, None),
        ({"type": "error", "message": "no"}, None),
        ({"error": "no"}, None),
        ({}, None),
        ([], None),
        (["Hi", "there"], "Hi\nthere"),
        ([{"text": "Hi"}, {"image": "x"}, {"text": "there"}], "Hi\nthere"),
        (PARTS, "Hi"),
        ({"role": "assistant", "content": PARTS}, "Hi"),
        ({"role": "model", "parts": [{"text": "H"}, {"text": "i"}]}, "Hi"),
        ({"id": "1", "role": "assistant", "parts": PARTS}, "Hi"),
        (HISTORY, "Hi"),
        ({"messages": HISTORY}, "Hi"),
        ({"messages": [HumanMessage("a"), {"role": "assistant", "content": "Hi"}]}, "Hi"),
        ([["hello", "before"], ["hello again", "Hi"]], "Hi"),
        ([{"source": "user", "content": "a"}, {"source": "helper", "content": "Hi"}], "Hi"),
        ({"messages": [{"from": "user", "text": "a"}, {"from": "bot", "text": "Hi"}]}, "Hi"),
        ([{"sender": {"type": "user"}, "text": "a"}, {"sender": {}, "text": "Hi"}], "Hi"),
        ({"reply": "Hi", "source": "user manual"}, "Hi"),
        (AIMessage("Hi"), "Hi"),
        (AIMessage([{"type": "text", "text": "Hi"}, {"type": "thinking", "text": "hm"}]), "Hi"),
        (Model(), "Hi"),
        (Nested(), "Hi"),
        (Plain(), "Hi"),
        (Slotted(), "Hi"),
        (Stored(), "Hi"),
        (Pair("Hi", 0.5), "Hi"),
        (SimpleNamespace(reply="Hi"), "Hi"),
        (({"reply": "Hi"}, 200), "Hi"),
        (("Hi", 200, {"X": "y"}), "Hi"),
        (JSONResponse({"reply": "Hi"}), "Hi"),
        (JSONResponse("Hi"), "Hi"),
        (flask.Response(json.dumps({"reply": "Hi"}), mimetype="application/json"), "Hi"),
        (PlainTextResponse("Hi"), "Hi"),
        (HTMLResponse("<p>Hi</p>"), None),
        (b"Hi", "Hi"),
        (b'{"reply": "Hi"}', "Hi"),
        (b"\x89PNG\x00\x00", None),
        ("Hi", "Hi"),
        (7, None),
        (None, None),
        (object(), None),
        (Color.text, None),
        (Model, None),
        (Mock(), None),
        (MagicMock(), None),
        (MappingProxyType({"t": 1}), None),
        ((w for w in WORDS), None),
        (lambda: "Hi", None),
        (ValueError("no"), None),
    ],
)  # fmt: skip
def test_the_text_of_a_whole_result(value: Any, expected: str | None) -> None:
    """What a user is shown of it; never a `repr`."""
    assert text_of(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("hello", "hello"),
        (PARTS, "Hi"),
        (HISTORY, "hello again"),
        ({"messages": HISTORY}, "hello again"),
        ([HumanMessage("one"), AIMessage("two"), HumanMessage("three")], "three"),
        ({"role": "user", "content": PARTS}, "Hi"),
        ({"role": "user", "parts": [{"text": "hello"}]}, "hello"),
        ({"role": "assistant", "content": "Hi"}, None),
        ({"query": "hello", "user_id": 7}, "hello"),
        ([{"text": "hello"}, {"image": {"format": "png"}}], "hello"),
        ([["hello", "Hi"], ["more", None]], "more"),
        (b"hello", "hello"),
        ([{"type": "image_url", "image_url": {"url": "data:..."}}], None),
        (object(), None),
        (None, None),
    ],
)
def test_the_text_of_a_users_message(value: Any, expected: str | None) -> None:
    """Of a history the user's last message, of parts those that are text."""
    assert text_of(value, "user") == expected


def test_to_look_for_text_runs_nobodys_code() -> None:
    """Properties and `__getattr__` may ask a database, or take seconds."""
    assert text_of(Lazy()) is None
    assert text_of([Lazy(), {"reply": Lazy()}]) is None
    assert not Lazy.asked


def deep(levels: int) -> Any:
    value: Any = "Hi"
    for _ in range(levels):
        value = {"content": [value]}
    return value


def test_reading_is_bounded() -> None:
    """Cycles, depth and width end."""
    cycle: dict[str, Any] = {}
    cycle["content"] = [cycle, cycle]
    cycle["message"] = cycle
    assert text_of(cycle) is None
    assert text_of(deep(2)) == "Hi"
    assert text_of(deep(100_000)) is None
    assert text_of([{"role": "assistant", "content": ["x"] * 10_000}] * 100) is not None
    nested = '{"a":' * 40_000
    assert reply([nested]) == nested
    assert reply([sse("[" * 100_000), "data: x\n\n"]) == "[" * 100_000 + "x"


values = st.recursive(
    st.none() | st.integers() | st.text(max_size=4) | st.binary(max_size=4) | st.builds(object),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner)
        | st.dictionaries(
            st.sampled_from(["reply", "content", "text", "type", "role", "parts", "data", "event"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


@given(st.lists(values, max_size=4))
def test_what_is_read_of_anything_was_in_it(chunks: list[Any]) -> None:
    """Text or None, and no `repr` of an object."""
    for found in (*map(text_of, chunks), reply(chunks)):
        assert found is None or isinstance(found, str)
        assert "object at 0x" not in (found or "")
