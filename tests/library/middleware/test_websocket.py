"""A WebSocket: a conversation, a turn for each message, whatever the order of frames."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_chat import Config, chat_handler, current_turn
from otel_chat import semconv as sc
from otel_chat.middleware.asgi import ChatMiddleware
from otel_chat.testing import Telemetry, assert_turn
from tests.library.middleware.server import Client, Message

CONNECT: Message = {"type": "websocket.connect"}
ACCEPT: Message = {"type": "websocket.accept"}


def text(content: str) -> Message:
    return {"type": "websocket.receive", "text": content}


def frame(content: str) -> Message:
    return {"type": "websocket.send", "text": content}


def left(code: int = 1001) -> Message:
    return {"type": "websocket.disconnect", "code": code}


def wrap(app: Any, **options: Any) -> ChatMiddleware:
    given = {"conversation_id": "query:s", "agent": "support", "text": lambda f: f, **options}
    return ChatMiddleware(app, **given)


async def run(wrapped: ChatMiddleware, *messages: Message, query: bytes = b"s=c-1") -> Client:
    client = Client(CONNECT, *messages)
    scope = {"type": "websocket", "path": "/ws", "query_string": query, "headers": []}
    await wrapped(scope, client.receive, client.send)
    return client


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answers each message with two frames; closes on "bye"."""
    await receive()
    await send(ACCEPT)
    while (message := await receive())["type"] == "websocket.receive":
        if message["text"] == "bye":
            await send({"type": "websocket.close", "code": 1000})
            return
        await send(frame(message["text"]))
        await send(frame("!"))


def ends(telemetry: Telemetry) -> list[str]:
    return [str(e.attributes[sc.REASON]) for e in telemetry.events(sc.EVENT_CONVERSATION_END)]


async def test_each_message_is_a_turn_to_the_last_frame_of_its_reply(telemetry: Telemetry) -> None:
    """Roots of their own, linked to the connection's span, with both texts."""
    client = await run(wrap(echo), text("Hello"), text("Again"), left())
    assert [m["text"] for m in client.sent[1:]] == ["Hello", "!", "Again", "!"]
    connection = next(s for s in telemetry.spans if s.name == "WEBSOCKET")
    first, second = telemetry.turns
    assert_turn(first, status="ok", agent="support", conversation_id="c-1")
    assert first.span.parent is None
    assert first.span.links[0].context.span_id == connection.context.span_id
    assert first.span.context.trace_id != second.span.context.trace_id
    assert json.loads(first[sc.INPUT_MESSAGES])[0]["parts"][0]["content"] == "Hello"
    assert json.loads(first[sc.OUTPUT_MESSAGES])[0]["parts"][0]["content"] == "Hello!"
    assert first["time_to_first_chunk"] is not None
    assert connection.attributes
    assert connection.attributes[sc.CLOSE_CODE] == 1001


async def test_the_turn_ends_at_its_last_frame(telemetry: Telemetry) -> None:
    """What the application does after the last frame is not the reply's."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(ACCEPT)
        await receive()
        telemetry.clock.advance(seconds=2)
        await send(frame("reply"))
        telemetry.clock.advance(seconds=60)
        await receive()

    await run(wrap(app), text("Hello"), left())
    turn = telemetry.only_turn()
    assert 2 <= turn.duration < 3
    assert turn["time_to_first_chunk"] is None


async def test_a_greeting_is_a_message_and_no_turn(telemetry: Telemetry) -> None:
    """What the server says unasked is `otel_chat.message`, before and after."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(ACCEPT)
        await send(frame("Good evening"))
        await receive()

    await run(wrap(app), left())
    assert telemetry.turns == []
    (message,) = telemetry.events(sc.EVENT_MESSAGE)
    assert message.attributes[sc.MESSAGE_SENDER] == "assistant"
    assert message.attributes[sc.MESSAGE_TEXT] == "Good evening"
    assert message.attributes[sc.CONVERSATION_ID] == "c-1"


async def test_a_decorated_handler_is_the_turn(telemetry: Telemetry) -> None:
    """No second turn beside the handler's, which keeps its own agent and fields."""

    @chat_handler(agent="inner", message="question", channel="voice")
    async def answer(question: str) -> str:
        current_turn().intent("greeting", 0.9)
        return question.upper()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(ACCEPT)
        while (message := await receive())["type"] == "websocket.receive":
            await send(frame(await answer(message["text"])))

    await run(wrap(app), text("Hello"), text("Again"), left())
    assert len(telemetry.turns) == 2
    for turn in telemetry.turns:
        assert_turn(turn, agent="inner", channel="voice", intent="greeting", conversation_id="c-1")
        assert turn.span.name == "invoke_agent inner"
        assert turn.span.parent is None
    assert telemetry.metric("otel_chat.turn.duration").count == 2
    assert telemetry.metric("otel_chat.turn.active").total == 0


async def test_a_handler_in_a_task_of_its_own_is_the_turn_too(telemetry: Telemetry) -> None:
    """An application that reads all along and answers in tasks has one turn a message."""

    @chat_handler(agent="inner")
    async def answer(question: str) -> None:
        await send_later(frame(question))

    send_later: Any = None

    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal send_later
        send_later = send
        await receive()
        await send(ACCEPT)
        tasks = []
        while (message := await receive())["type"] == "websocket.receive":
            tasks.append(asyncio.create_task(answer(message["text"])))
            await asyncio.sleep(0)
        await asyncio.gather(*tasks)

    await run(wrap(app), text("a"), text("b"), text("c"), left())
    assert [t["agent"] for t in telemetry.turns] == ["inner"] * 3


async def test_what_is_current_inside_is_the_turn_and_afterwards_nothing(
    telemetry: Telemetry,
) -> None:
    """Without a decorator `current_turn()` works between a message and the next `receive()`."""
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(ACCEPT)
        seen.append(current_turn().trace_id)
        await receive()
        current_turn().intent("greeting", 0.9)
        seen.append(current_turn().trace_id)
        await send(frame("Hi"))
        await receive()
        seen.append(current_turn().trace_id)

    await run(wrap(app), text("Hello"), left())
    assert seen[0] is None
    assert seen[1] is not None
    assert seen[2] is None
    assert_turn(telemetry.only_turn(), intent="greeting")
    assert current_turn().trace_id is None


async def test_an_application_that_reads_all_along_ends_turns_at_the_next_message(
    telemetry: Telemetry,
) -> None:
    """With `last_frame` a reply ends where that says so; a later frame is a message of its own."""
    gate = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(ACCEPT)

        async def reading() -> None:
            while (await receive())["type"] == "websocket.receive":
                gate.set()

        reader = asyncio.create_task(reading())
        await gate.wait()
        await asyncio.sleep(0)
        for part in ("one", "two", "[done]", "news"):
            await send(frame(part))
        client.gone.set()
        await reader

    client = Client(CONNECT, text("Hello"))
    scope = {"type": "websocket", "path": "/ws", "query_string": b"s=c-1", "headers": []}
    wrapped = wrap(app, last_frame=lambda f: f == "[done]")
    await wrapped(scope, client.receive, client.send)
    turn = telemetry.only_turn()
    assert json.loads(turn[sc.OUTPUT_MESSAGES])[0]["parts"][0]["content"] == "onetwo[done]"
    (message,) = telemetry.events(sc.EVENT_MESSAGE)
    assert message.attributes[sc.MESSAGE_TEXT] == "news"


async def test_control_frames_are_neither_message_nor_reply(telemetry: Telemetry) -> None:
    """Pings of the application's own make no turn and end none."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(ACCEPT)
        while (message := await receive())["type"] == "websocket.receive":
            await send(frame("pong" if message["text"] == "ping" else "reply"))

    await run(wrap(app), text("ping"), text("Hello"), text('{"type": "ping"}'), left())
    await run(wrap(app, control=lambda f: f != "Hi"), text("typing"), text("Hi"), left())
    inputs = [json.loads(t[sc.INPUT_MESSAGES])[0]["parts"][0]["content"] for t in telemetry.turns]
    assert inputs == ["Hello", "Hi"]


@pytest.mark.parametrize(
    ("messages", "code"),
    [
        ([text("Hello"), text("bye"), left()], 1000),
        ([text("Hello"), left(4001)], 4001),
        ([left(1006)], 1006),
        ([left(0)], 1005),
    ],
)
async def test_a_conversation_ends_once_with_its_close_code(
    telemetry: Telemetry, messages: list[Message], code: int
) -> None:
    """Closed by either side, or left without a word: one start, one end."""
    await run(wrap(echo), *messages)
    assert ends(telemetry) == [f"close {code}"]
    assert len(telemetry.events(sc.EVENT_CONVERSATION_START)) == 1
    assert telemetry.metric("otel_chat.conversation.ended").total == 1
    assert telemetry.metric("otel_chat.conversation.duration").count == 1


async def test_the_application_may_fail_and_its_error_goes_on(telemetry: Telemetry) -> None:
    """The turn is an error, the conversation ends with 1011, the exception is the same."""
    problem = ValueError("bad")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(ACCEPT)
        await receive()
        raise problem

    with pytest.raises(ValueError, match="bad") as caught:
        await run(wrap(app), text("Hello"))
    assert caught.value is problem
    assert_turn(telemetry.only_turn(), status="error", error_type="ValueError")
    assert ends(telemetry) == ["close 1011"]


async def test_a_client_that_leaves_in_the_middle_cancels_the_turn(telemetry: Telemetry) -> None:
    """A send that fails ends turn and conversation, and raises on."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(ACCEPT)
        await receive()
        await send(frame("one"))
        await send(frame("two"))

    client = Client(CONNECT, text("Hello"))

    async def send(message: Message) -> None:
        if message.get("text") == "two":
            raise OSError("gone")

    scope = {"type": "websocket", "path": "/ws", "query_string": b"s=c-1", "headers": []}
    with pytest.raises(OSError, match="gone"):
        await wrap(app, last_frame=lambda f: False)(scope, client.receive, send)
    assert_turn(telemetry.only_turn(), status="cancelled")
    assert ends(telemetry) == ["close 1006"]


async def test_a_message_without_a_reply_is_cancelled_when_the_client_leaves(
    telemetry: Telemetry,
) -> None:
    """Nobody got a reply; with one, the turn was well."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(ACCEPT)
        while (await receive())["type"] == "websocket.receive":
            pass

    await run(wrap(app), text("Hello"), text("Anyone?"), left())
    assert [t["status"] for t in telemetry.turns] == ["ok", "cancelled"]


async def test_a_rejected_connection_is_no_conversation(telemetry: Telemetry) -> None:
    """Neither start nor end, and no turn."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.close", "code": 4403})

    await run(wrap(app), left())
    assert telemetry.events() == []
    assert telemetry.turns == []


async def test_the_id_may_come_with_the_first_frame(telemetry: Telemetry) -> None:
    """A `json:` source looks into frames until one names the conversation; it is never made up."""
    hello = json.dumps({"session": "c-2", "text": "Hello"})
    await run(wrap(echo, conversation_id="json:session"), text("early"), text(hello), left())
    assert [t["conversation_id"] for t in telemetry.turns] == [None, "c-2"]
    assert len(telemetry.events(sc.EVENT_CONVERSATION_START)) == 1
    assert ends(telemetry) == ["close 1001"]


async def test_without_an_id_there_are_turns_and_no_conversation(telemetry: Telemetry) -> None:
    """No id is made up, so there is neither start nor end."""
    await run(wrap(echo), text("Hello"), left(), query=b"")
    assert_turn(telemetry.only_turn(), conversation_id=None)
    assert telemetry.events(sc.EVENT_CONVERSATION_START) == []


async def test_text_stays_out_without_content_capture() -> None:
    """Neither messages nor greetings leave with their text, extractor or not."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(ACCEPT)
        await send(frame("SECRET greeting"))
        await receive()
        await send(frame("SECRET reply"))
        await receive()

    with Telemetry(Config()) as telemetry:
        await run(wrap(app), text("SECRET question"), left())
        everything = [str(dict(s.attributes or {})) for s in telemetry.spans]
        everything += [str(e.attributes) for e in telemetry.events()]
    assert len(everything) >= 4
    assert not [part for part in everything if "SECRET" in part]


async def test_turns_can_be_left_to_handlers(telemetry: Telemetry) -> None:
    """`turns=False` opens none; the conversation still starts and ends."""
    await run(wrap(echo, turns=False), text("Hello"), left())
    assert telemetry.turns == []
    assert ends(telemetry) == ["close 1001"]


async def test_an_extractor_that_fails_disturbs_no_frame(
    telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every frame arrives, the turn is there without text, and the error is counted."""
    monkeypatch.delenv("OTEL_CHAT_RAISE")
    client = await run(wrap(echo, text=lambda f: 1 / 0), text("Hello"), left())
    assert [m.get("text") for m in client.sent] == [None, "Hello", "!"]
    assert_turn(telemetry.only_turn(), status="ok", attributes={sc.INPUT_MESSAGES: None})
    assert telemetry.metric("otel_chat.telemetry.errors").total >= 1


@given(
    script=st.lists(
        st.sampled_from(["message", "ping", "frame", "receive", "close"]), min_size=1, max_size=20
    ),
    closes=st.booleans(),
)
def test_any_order_of_frames_ends_every_turn_once(script: list[str], closes: bool) -> None:
    """As many turns as messages were received, none left open, one end for one start."""
    messages: list[Message] = []
    for step in script:
        if step == "message":
            messages.append(text("Hello"))
        elif step == "ping":
            messages.append(text("ping"))

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(ACCEPT)
        for step in script:
            if step == "frame":
                await send(frame("reply"))
            elif step == "close" and closes:
                await send({"type": "websocket.close", "code": 1000})
                return
            elif step in {"message", "ping", "receive"}:
                message = await receive()
                received.append(message)
                if message["type"] == "websocket.disconnect":
                    return

    received: list[Message] = []
    with Telemetry() as telemetry:
        asyncio.run(run(wrap(app), *messages, left()))
        asked = [m for m in received if m.get("text") == "Hello"]
        assert len(telemetry.turns) == len(asked)
        assert telemetry.metric("otel_chat.turn.active").total == 0
        assert len(ends(telemetry)) == 1
        assert len(telemetry.events(sc.EVENT_CONVERSATION_START)) == 1


ENGINE = ("2probe", "5", "3", "2", "6", "40", "40/chat,", "41", "430[]", '43["seen"]', '42["ping"]')


@given(st.lists(st.sampled_from(ENGINE), max_size=4), st.booleans())
def test_frames_of_engine_and_socket_io_are_no_messages(frames: list[str], inside: bool) -> None:
    """Greetings, pings, acknowledgements and attachments are not; events are, one turn each."""

    @chat_handler(agent="inner")
    async def handle(content: str) -> str:
        return content

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(ACCEPT)
        await send(frame('0{"sid":"x","upgrades":[],"pingInterval":25000}'))
        while (message := await receive())["type"] == "websocket.receive":
            await send(frame("2"))
            if str(message.get("text")).startswith(('42["message', "451-")):
                if inside:
                    await asyncio.create_task(handle("x"))
                await send(frame('42["reply","said"]'))
                await send(frame("430[]"))

    around = [text(content) for content in frames]
    binary: Message = {"type": "websocket.receive", "bytes": b"\x01"}
    with Telemetry() as telemetry:
        asyncio.run(
            run(
                wrap(app),
                *around,
                text('42["message","hello"]'),
                *around,
                text('451-["message",{"_placeholder":true,"num":0}]'),
                binary,
                *around,
                left(1000),
                query=b"EIO=4&transport=websocket&s=c-1",
            )
        )
        assert [(turn["status"], turn["agent"]) for turn in telemetry.turns] == [
            ("ok", "inner" if inside else "support")
        ] * 2


async def test_messages_of_engine_io_alone_are_messages(telemetry: Telemetry) -> None:
    """Without Socket.IO on top a message is what follows the packet's type."""
    frames = [text(content) for content in ("2", "4hello", "3", "4where is my order", "4ping")]
    await run(wrap(echo), *frames, left(), query=b"EIO=4&s=c-1")
    assert len(telemetry.turns) == 2


async def test_an_answer_to_an_event_is_the_reply(telemetry: Telemetry) -> None:
    """What the server acknowledges an event with ends up in the reply, an empty one does not."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(ACCEPT)
        await receive()
        await send(frame('431["answered"]'))
        await receive()

    frames = [text('421["message","hi"]'), left()]
    await run(wrap(app), *frames, query=b"EIO=4&s=c-1")
    assert telemetry.only_turn()["status"] == "ok"


@pytest.mark.parametrize(
    "beat",
    [
        '{"type":"ping","at":1}',
        '{"event": "heartbeat"}',
        '{"type":6}\x1e',
        '{"protocol":"json","version":1}\x1e',
        '[null,"1","phoenix","heartbeat",{}]',
        '{"type":"connection_init"}',
        " PONG ",
    ],
)
async def test_heartbeats_of_other_transports_are_no_messages(
    telemetry: Telemetry, beat: str
) -> None:
    """SignalR's, Phoenix', GraphQL's and an application's own: whatever else they carry."""
    await run(wrap(echo), text(beat), text("hello"), text(beat), left())
    assert len(telemetry.turns) == 1
