"""A process that puts a payment card of its own into every place that text can reach.

Run as `python -m tests.library.card_places ENDPOINT CAPTURE REDACT`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import otel_chat
from otel_chat import (
    Config,
    chat_handler,
    conversation,
    handoff,
    handoff_ended,
    intent_classifier,
    model_call,
    record_turn,
    tool,
    turn,
    workflow,
)
from otel_chat.middleware.asgi import ChatMiddleware
from otel_chat.middleware.wsgi import WsgiChatMiddleware
from otel_chat.privacy import Redactor
from otel_chat.trackers import AnalyticsEvent, AnalyticsTracker, EventTracker, EventType

Place = Callable[[str], object]
PLACES: dict[str, Place] = {}


def place(name: str) -> Callable[[Place], Place]:
    def keep(function: Place) -> Place:
        PLACES[name] = function
        return function

    return keep


def card(number: int) -> str:
    """A card number that passes Luhn's check, another one for each place."""
    digits = f"411111{number:09d}"
    doubled = [int(d) * (2 if i % 2 == 0 else 1) for i, d in enumerate(reversed(digits))]
    check = -sum(d // 10 + d % 10 for d in doubled) % 10
    return f"{digits}{check}"


def in_turn(name: str, act: Callable[[Any, str], object]) -> None:
    def run(text: str) -> None:
        with turn(agent="a", conversation_id="c") as now:
            act(now, text)

    PLACES[name] = run


@place("message")
def _(text: str) -> None:
    with turn(agent="a", conversation_id="c", message=text):
        pass


@place("reply")
def _(text: str) -> None:
    @chat_handler(agent="a")
    def answer() -> str:
        return text

    answer()


@place("reply in chunks that tear the number apart")
def _(text: str) -> None:
    @chat_handler(agent="a")
    def answer() -> Iterator[str]:
        yield f"pay with {text[:7]}"
        yield f"{text[7:]} please"

    list(answer())


@place("exception")
def _(text: str) -> None:
    @chat_handler(agent="a")
    def answer() -> None:
        raise ValueError(text)

    with contextlib.suppress(ValueError):
        answer()


@place("cause of an exception")
def _(text: str) -> None:
    with contextlib.suppress(ValueError), turn(agent="a", conversation_id="c"):
        try:
            {}[text]
        except KeyError as error:
            raise ValueError("plain") from error


def inside(name: str, step: Callable[[str], Any]) -> None:
    """An exception, and a result, within a step of a turn."""

    def fail(text: str) -> None:
        with contextlib.suppress(ValueError), turn(agent="a", conversation_id="c"), step("s"):
            raise ValueError(text)

    def named(text: str) -> None:
        with turn(agent="a", conversation_id="c"), step(text):
            pass

    PLACES[f"exception in a {name}"] = fail
    PLACES[f"name of a {name}"] = named


inside("tool", tool)
inside("model call", model_call)
inside("workflow", workflow)
inside("handoff", handoff)


@place("arguments and result of a tool")
def _(text: str) -> None:
    @tool("search")
    def search(query: str) -> str:
        return query

    with turn(agent="a", conversation_id="c"):
        search(text)


@place("arguments and result of a model call")
def _(text: str) -> None:
    @model_call("m")
    def ask(prompt: str) -> dict[str, Any]:
        called = {"function": {"name": "pay", "arguments": json.dumps({"card": prompt})}}
        message = {"role": "assistant", "content": prompt, "tool_calls": [called]}
        return {
            "object": "chat.completion",
            "model": "m",
            "choices": [{"message": message, "finish_reason": prompt}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1},
        }

    with turn(agent="a", conversation_id="c") as now:
        now.result(ask(text))


@place("model of a result")
def _(text: str) -> None:
    with turn(agent="a", conversation_id="c") as now:
        now.result({
            "object": "chat.completion",
            "model": text,
            "choices": [{"message": {"role": "assistant", "content": "x"}}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1},
        })  # fmt: skip


@place("intent of a classifier")
def _(text: str) -> None:
    @intent_classifier
    def classify(_: str) -> dict[str, Any]:
        return {"intent": {"name": text, "confidence": 0.9}, "text": text, "entities": []}

    with turn(agent="a", conversation_id="c"):
        classify("x")


in_turn("intent", lambda now, text: now.intent(text, 0.9))
in_turn("data of an intent", lambda now, text: now.intent("i", 0.9, data={"said": text}))
in_turn("topic", lambda now, text: now.topic(text))
in_turn("action", lambda now, text: now.action(text))
in_turn("data of an action", lambda now, text: now.action("a", {text: [text]}))
in_turn("entity type", lambda now, text: now.entity(text))
in_turn("entity value", lambda now, text: now.entity("card", text))
in_turn("handoff reason", lambda now, text: now.handoff(text))
in_turn("handoff target", lambda now, text: now.handoff("r", target=text))
in_turn("lead", lambda now, text: now.lead(text))
in_turn("data of a lead", lambda now, text: now.lead("l", text))
in_turn("custom event", lambda now, text: now.event(text))
in_turn("data of a custom event", lambda now, text: now.event("e", {"a": {"b": (text,)}}))
in_turn("workflow", lambda now, text: now.workflow(text, "started"))
in_turn("workflow step", lambda now, text: now.workflow("w", "started", text))
in_turn("api call", lambda now, text: now.api_call(text, duration=1, status="ok"))
in_turn("status of an api call", lambda now, text: now.api_call("a", duration=1, status=text))
in_turn("metadata", lambda now, text: now.metadata({"a": text}))
in_turn("name in metadata", lambda now, text: now.metadata({text: 1}))
in_turn("number in metadata", lambda now, text: now.metadata({"card": int(text)}))
in_turn("model", lambda now, text: now.model(text))
in_turn("provider", lambda now, text: now.model("m", provider=text))
in_turn("response model", lambda now, text: now.model("m", response_model=text))
for _field in (
    "agent_id", "agent_version", "variant", "channel", "platform", "location", "user_type",
    "user_id", "page", "referrer", "user_agent", "message_type", "route",
):  # fmt: skip
    in_turn(_field, lambda now, text, name=_field: now.fields(**{name: text}))


@place("agent")
def _(text: str) -> None:
    with turn(agent=text, conversation_id="c"):
        pass


# Values that are refused: what says so must not repeat them
in_turn("refused confidence", lambda now, text: now.confidence(text))
in_turn("refused intent's confidence", lambda now, text: now.intent("i", text))
in_turn("refused tokens", lambda now, text: now.usage(input_tokens=text))
in_turn("refused cost", lambda now, text: now.usage(cost=text))
in_turn("refused sentiment", lambda now, text: now.sentiment(text))
in_turn("refused workflow status", lambda now, text: now.workflow("w", text))
in_turn("refused context size", lambda now, text: now.context_size(text))
in_turn("refused metadata", lambda now, text: now.metadata(text))


class Hostile:
    """Cannot be written down, and says why with the card."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __str__(self) -> str:
        raise ValueError(self._text)

    __repr__ = __str__


in_turn("value that cannot be written", lambda now, text: now.event("e", Hostile(text)))
in_turn("name that cannot be written", lambda now, text: now.topic(Hostile(text)))


@place("comment of a feedback")
def _(text: str) -> None:
    otel_chat.feedback(4, conversation_id="c", comment=text)


@place("name of an evaluation")
def _(text: str) -> None:
    otel_chat.feedback(4, conversation_id="c", name=text)


@place("refused feedback")
def _(text: str) -> None:
    otel_chat.feedback(text, conversation_id="c")  # type: ignore[arg-type]


@place("refused trace of a feedback")
def _(text: str) -> None:
    otel_chat.feedback(4, conversation_id="c", trace_id=text, span_id=text)


@place("message outside of turns")
def _(text: str) -> None:
    otel_chat.message(text, sender="human", conversation_id="c")


@place("refused sender")
def _(text: str) -> None:
    otel_chat.message("x", sender=text, conversation_id="c")


@place("reason of an end")
def _(text: str) -> None:
    with conversation("c-end", agent="a") as talk:
        talk.end("resolved", text)


@place("refused outcome")
def _(text: str) -> None:
    with conversation("c-out", agent="a") as talk:
        talk.end(text)


@place("handoff that ended")
def _(text: str) -> None:
    handoff_ended(conversation_id="c", target=text)


@place("recorded turn")
def _(text: str) -> None:
    record_turn(
        conversation_id="c", start=datetime.now(UTC), duration=1, user_message=text, reply=text,
        intents=[{"name": text}], handoff=text, metadata={"a": text}, model=text,
        status="error", error_type=text,
    )  # fmt: skip


@place("tracker")
def _(text: str) -> None:
    tracker = AnalyticsTracker("s-1")
    tracker.track_user_message(text)
    tracker.track_assistant_message(12.0, text)
    tracker.track_topic(text)
    tracker.track_action(text, {"a": text})


@place("tracker's store that fails")
def _(text: str) -> None:
    def save(_id: str, _record: object) -> bool:
        raise OSError(text)

    AnalyticsTracker("s-2", save=save).save_analytics()


@place("event tracker")
def _(text: str) -> None:
    class Broken:
        def batch_insert(self, _events: object) -> None:
            raise OSError(text)

    async def main() -> None:
        tracker = EventTracker(event_store=Broken())
        for kind in EventType:
            data = {"text": text, "message": text, "intent": text, "name": text, "error": text}
            await tracker.track(AnalyticsEvent(event_type=kind, session_id="s", data=data))
        await tracker.flush()

    asyncio.run(main())


def _headers(text: str) -> list[tuple[bytes, bytes]]:
    names = ("user-agent", "referer", "x-conversation", "cookie", "content-type")
    return [(name.encode(), text.encode()) for name in names]


@place("HTTP request")
def _(text: str) -> None:
    @chat_handler(agent="a")
    async def answer() -> None:
        raise ValueError(text)

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        with contextlib.suppress(ValueError):
            await answer()
        await send({"type": "http.response.start", "status": 500, "headers": _headers(text)})
        await send({"type": "http.response.body", "body": text.encode()})

    body = json.dumps({"id": "c", "message": text, "type": text}).encode()
    wrapped = ChatMiddleware(
        app, conversation_id="json:id", user_type="json:type", page="query:p", channel="header:x"
    )

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(_message: Any) -> None: ...

    scope = {
        "type": "http", "method": "POST", "path": f"/pay/{text}", "headers": _headers(text),
        "raw_path": f"/pay/{text}".encode(), "query_string": f"p={text}".encode(),
        "scheme": "http", "server": ("x", 80), "client": ("127.0.0.1", 1), "http_version": "1.1",
    }  # fmt: skip
    asyncio.run(wrapped(scope, receive, send))


@place("WebSocket")
def _(text: str) -> None:
    frames = [
        {"type": "websocket.connect"},
        {"type": "websocket.receive", "text": json.dumps({"id": "ws", "message": text})},
        {"type": "websocket.receive", "bytes": text.encode()},
        {"type": "websocket.disconnect", "code": 1000, "reason": text},
    ]

    async def app(_scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while (frame := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": f"got {frame}"})
        raise ValueError(text)

    async def receive() -> dict[str, Any]:
        return frames.pop(0)

    async def send(_message: Any) -> None: ...

    scope = {
        "type": "websocket", "path": f"/ws/{text}", "headers": _headers(text),
        "query_string": f"p={text}".encode(), "scheme": "ws", "subprotocols": [],
    }  # fmt: skip
    wrapped = ChatMiddleware(app, conversation_id="json:id", page="query:p", agent="a")
    with contextlib.suppress(ValueError):
        asyncio.run(wrapped(scope, receive, send))


@place("WSGI request")
def _(text: str) -> None:
    def app(_environ: Any, start_response: Any) -> list[bytes]:
        with turn(agent="a", message=text):
            start_response(f"500 {text}", [("x", text)])
        return [text.encode()]

    environ = {
        "REQUEST_METHOD": "GET", "PATH_INFO": f"/{text}", "QUERY_STRING": f"id=w&p={text}",
        "HTTP_USER_AGENT": text, "HTTP_REFERER": text, "wsgi.url_scheme": "http",
        "SERVER_NAME": "x", "SERVER_PORT": "80",
    }  # fmt: skip
    wrapped = WsgiChatMiddleware(
        app, conversation_id="query:id", page="query:p", user_type="query:p"
    )
    list(wrapped(environ, lambda *_: None))


@place("hooks")
def _(text: str) -> None:
    with turn(agent="a", conversation_id="c", message=f"hook {text}"):
        pass


def detect(message: str) -> str:
    """A hook that tells what it was told."""
    return message


def analyse(message: str) -> str:
    """A hook that fails and says with what."""
    raise ValueError(message)


def main(endpoint: str, capture: str, redact: str) -> None:
    """Fills every place, and writes the places and their cards to the output."""
    logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
    for noisy in ("urllib3", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.INFO)
    config = Config(
        capture_content=capture == "content", keep_rate=1,
        redactor=Redactor(kinds=()) if redact == "plain" else None, user_hash_key="k",
        topic_detector=detect, sentiment_analyser=analyse,
        escalation_advisor=lambda situation: situation.text,
    )  # fmt: skip
    otel_chat.setup(service_name="bot", endpoint=endpoint, config=config)
    cards = {name: card(number) for number, name in enumerate(PLACES)}
    for name, act in PLACES.items():
        act(cards[name])
    assert otel_chat.shutdown(timeout=60)
    sys.stdout.write(json.dumps(cards))


if __name__ == "__main__":
    main(*sys.argv[1:])
