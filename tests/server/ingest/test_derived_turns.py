"""Turns of other libraries: which of a trace's spans they are, and what they are told by."""

from __future__ import annotations

import json
import math
import random
from base64 import b64decode
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from uuid import uuid4

import pytest
from google.protobuf.json_format import MessageToDict
from hypothesis import given as generated
from hypothesis import strategies as st
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from otel_chat import semconv as sc
from otel_chat.server.erase import Eraser
from otel_chat.server.figures.filters import Filters
from otel_chat.server.figures.window import Window
from otel_chat.server.questions.evaluations import evaluations
from otel_chat.server.questions.unclaimed import unclaimed_spans
from otel_chat.server.summaries import derived_turns
from otel_chat.server.summaries.settler import Settler
from tests.examples import examples
from tests.server.ingest.sending import NOON_NS, PROTOBUF, SECOND, Span, Telemetry, digest, put

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi.testclient import TestClient
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue

    from otel_chat.server.store import Store
    from tests.server.given import Given
    from tests.server.settled import SettledStore

Shape = tuple[str, str, str, dict[str, object]]
"""A span: its name, its parent's, its kind and attributes."""
KINDS = {"internal": 1, "server": 2, "client": 3, "consumer": 5}
AGENT = {sc.OPERATION_NAME: "invoke_agent"}
FLOW = {sc.OPERATION_NAME: "invoke_workflow"}
ASKED = json.dumps([{"role": "user", "parts": [{"type": "text", "content": "Where is it?"}]}])
SAID = json.dumps([{"role": "assistant", "parts": [{"type": "text", "content": "On its way."}]}])
CALL: dict[str, object] = {
    sc.OPERATION_NAME: "chat",
    sc.REQUEST_MODEL: "m",
    sc.PROVIDER_NAME: "p",
    sc.GEN_AI_INPUT_TOKENS: 100,
    sc.GEN_AI_OUTPUT_TOKENS: 10,
    sc.INPUT_MESSAGES: ASKED,
    sc.OUTPUT_MESSAGES: SAID,
}
WHOLE = ("m", "p", 100, 10, "Where is it?", "On its way.")


@pytest.fixture(autouse=True, scope="module")
def settled_by_hand(store: SettledStore) -> Iterator[None]:
    """What is settled between is what these tests are about."""
    with store.by_hand():
        yield


def in_(conversation: str) -> dict[str, object]:
    return {sc.CONVERSATION_ID: conversation}


def spans(seed: object, shapes: list[Shape]) -> list[Span]:
    """The spans of one trace, a second long each, one begun a little after the other."""
    ids = {name: digest(seed, name, size=8) for name, *_ in shapes}
    made = []
    for number, (name, parent, kind, attributes) in enumerate(shapes):
        start = NOON_NS + number * SECOND // 100
        span = Span(
            trace_id=digest(seed, size=16), span_id=ids[name], name=name, kind=KINDS[kind],
            start_time_unix_nano=start, end_time_unix_nano=start + SECOND,
        )  # fmt: skip
        if parent:
            span.parent_span_id = ids.get(parent, digest(seed, parent, size=8))
        put(span, attributes)
        made.append(span)
    return made


def send(client: TestClient, tenant: str, *bodies: list[Span]) -> None:
    for body in bodies:
        content = Telemetry(tenant).traces(body).SerializeToString()
        assert client.post("/v1/traces", content=content, headers=PROTOBUF).status_code == 200


def settle(store: Store) -> None:
    Settler(store).settle()


def turns(store: Store, tenant: str) -> list[dict[str, Any]]:
    """The tenant's turns."""
    return store.query(
        "SELECT conversation_id, lower(hex(span_id)) AS span, agent, request_model AS model,"
        " provider, input_tokens, output_tokens, status, input_messages, output_messages,"
        " time_to_first_chunk, route, cost, foreign FROM turns FINAL"
        " WHERE tenant = {tenant:String} ORDER BY start, span",
        {"tenant": tenant},
    )


def names(found: list[dict[str, Any]], seed: object, shapes: list[Shape]) -> list[tuple[str, str]]:
    """Which spans became turns, of which conversations."""
    known = {digest(seed, name, size=8).hex(): name for name, *_ in shapes}
    return sorted((known[row["span"]], row["conversation_id"]) for row in found)


RULE: dict[str, tuple[list[Shape], list[tuple[str, str]]]] = {
    "an agent that is a root": (
        [("agent", "", "internal", AGENT | in_("c")), ("call", "agent", "client", CALL)],
        [("agent", "c")],
    ),
    "an agent beneath a server's span": (
        [
            ("http", "", "server", {sc.HTTP_ROUTE: "/chat"}),
            ("agent", "http", "internal", AGENT | in_("c")),
            ("call", "agent", "client", CALL),
        ],
        [("agent", "c")],
    ),
    "the id on the call alone": (
        [
            ("root", "", "internal", {}),
            ("agent", "root", "internal", AGENT),
            ("call", "agent", "client", CALL | in_("c")),
        ],
        [("agent", "c")],
    ),
    "the id above": (
        [
            ("http", "", "server", {"session.id": "c"}),
            ("agent", "http", "internal", AGENT),
            ("call", "agent", "client", CALL),
        ],
        [("agent", "c")],
    ),
    "the outermost of agents in agents": (
        [
            ("flow", "", "internal", FLOW),
            ("agent", "flow", "internal", AGENT | in_("c")),
            ("inner", "agent", "internal", AGENT | in_("c")),
            ("call", "inner", "client", CALL),
        ],
        [("flow", "c")],
    ),
    "a workflow that is told as an agent": (
        [
            ("flow", "", "internal", AGENT | {sc.WORKFLOW_GEN_AI_NAME: "w"}),
            ("agent", "flow", "internal", AGENT | in_("c")),
            ("call", "agent", "client", CALL),
        ],
        [("flow", "c")],
    ),
    "a workflow told as an agent over several conversations": (
        [
            ("flow", "", "internal", AGENT | {sc.WORKFLOW_GEN_AI_NAME: "w"}),
            ("one", "flow", "internal", AGENT | in_("a")),
            ("two", "flow", "internal", AGENT | in_("b")),
        ],
        [("one", "a"), ("two", "b")],
    ),
    "a workflow over several conversations": (
        [
            ("flow", "", "internal", FLOW),
            ("one", "flow", "internal", AGENT | in_("a")),
            ("two", "flow", "internal", AGENT | in_("b")),
        ],
        [("one", "a"), ("two", "b")],
    ),
    "a framework's turns beneath its session": (
        [
            ("session", "", "internal", AGENT | in_("c")),
            ("turn", "session", "internal", {"turn.number": 1, "conversation.id": "c"}),
            ("call", "turn", "client", CALL),
        ],
        [("turn", "c")],
    ),
    "calls of one request": (
        [
            ("http", "", "server", {}),
            ("first", "http", "client", CALL | in_("c")),
            ("second", "http", "client", CALL | in_("c")),
        ],
        [("first", "c")],
    ),
    "calls of two conversations in one request": (
        [
            ("http", "", "consumer", {}),
            ("first", "http", "client", CALL | in_("a")),
            ("second", "http", "client", CALL | in_("b")),
        ],
        [("first", "a"), ("second", "b")],
    ),
    "a call whose parent never comes": (
        [("call", "lost", "client", CALL | in_("c"))],
        [("call", "c")],
    ),
    "OpenInference": (
        [
            ("LangGraph", "", "internal", {"openinference.span.kind": "CHAIN"}),
            ("node", "LangGraph", "internal", {"openinference.span.kind": "CHAIN"}),
            ("call", "node", "internal", {"openinference.span.kind": "LLM", "session.id": "c"}),
        ],
        [("LangGraph", "c")],
    ),
    "the AI SDK": (
        [
            (
                "ai.streamText",
                "",
                "internal",
                {"operation.name": "ai.streamText chat", "ai.telemetry.metadata.sessionId": "c"},
            ),
            (
                "ai.streamText.doStream",
                "ai.streamText",
                "internal",
                {"operation.name": "ai.streamText.doStream chat"},
            ),
        ],
        [("ai.streamText", "c")],
    ),
    "ids that other frameworks give": (
        [
            ("client", "", "internal", {"spring.ai.chat.client.conversation.id": "c"}),
            ("call", "client", "client", CALL),
            (
                "run",
                "",
                "client",
                {sc.OPERATION_NAME: "process_thread_run", "gen_ai.thread.id": "d"},
            ),
        ],
        [("call", "c"), ("run", "d")],
    ),
    "no id anywhere": (
        [("agent", "", "internal", AGENT), ("call", "agent", "client", CALL)],
        [],
    ),
    "neither agent nor model": ([("http", "", "server", {"session.id": "c"})], []),
}


@pytest.fixture(scope="module")
def whole(running: TestClient, store: Store) -> dict[str, list[tuple[str, str]]]:
    """What each case becomes, sent in one body."""
    for case, (shapes, _) in RULE.items():
        send(running, f"whole {case}", spans(case, shapes))
    return found_of_cases(store, "whole")


@pytest.fixture(scope="module")
def one_by_one(running: TestClient, store: Store) -> dict[str, list[tuple[str, str]]]:
    """What each case becomes, sent span by span, the last first, settled after each."""
    every = {case: spans(case, shapes) for case, (shapes, _) in RULE.items()}
    while any(every.values()):
        for case, left in every.items():
            if left:
                send(running, f"one by one {case}", [left.pop()])
        found = found_of_cases(store, "one by one")
    return found


def found_of_cases(store: Store, way: str) -> dict[str, list[tuple[str, str]]]:
    settle(store)
    return {case: names(turns(store, f"{way} {case}"), case, RULE[case][0]) for case in RULE}


@pytest.mark.parametrize("case", RULE)
def test_which_spans_are_turns(whole: dict[str, list[tuple[str, str]]], case: str) -> None:
    """The rule by examples, each whole in one body."""
    assert whole[case] == RULE[case][1]


@pytest.mark.parametrize("case", RULE)
def test_the_order_of_arrival_changes_nothing(
    one_by_one: dict[str, list[tuple[str, str]]], case: str
) -> None:
    """Each span in a body of its own, the last first, settled after each: the same turns."""
    assert one_by_one[case] == RULE[case][1]


def test_a_turn_is_told_by_its_children(client: TestClient, given: Given) -> None:
    """Tokens, model, provider, texts and route, whatever hangs above it."""
    for number, top in enumerate(([], [("http", "", "server", {sc.HTTP_ROUTE: "/chat"})])):
        above = top[0][0] if top else ""
        shapes = [
            *top,
            ("invoke_agent helper", above, "internal", AGENT | in_(f"c{number}")),
            ("call", "invoke_agent helper", "client", CALL),
        ]
        send(client, given.tenant, spans((given.tenant, number), shapes))
    settle(given.store)
    found = turns(given.store, given.tenant)
    assert len(found) == 2
    for row in found:
        told = (row["model"], row["provider"], row["input_tokens"], row["output_tokens"])
        texts = (json.loads(row["input_messages"]), json.loads(row["output_messages"]))
        assert told == WHOLE[:4]
        assert texts == (json.loads(ASKED), json.loads(SAID))
        assert (row["agent"], row["status"], row["foreign"]) == ("helper", "ok", True)
    assert sorted(row["route"] for row in found) == ["", "/chat"]


@pytest.mark.parametrize(
    ("name", "version"),
    [
        (sc.PROMPT_NAME, sc.PROMPT_VERSION),
        ("traceloop.prompt.key", "traceloop.prompt.version"),
        ("langfuse.observation.prompt.name", "langfuse.observation.prompt.version"),
    ],
)
def test_a_turn_has_the_prompt_of_its_first_call_that_names_one(
    client: TestClient, given: Given, name: str, version: str
) -> None:
    """With the version of that one, and not another call's; a marked turn says it itself."""
    shapes: list[Shape] = [
        ("agent", "", "internal", AGENT | in_("c")),
        ("call 1", "agent", "client", CALL),
        ("call 2", "agent", "client", CALL | {name: "greeting"}),
        ("call 3", "agent", "client", CALL | {name: "other", version: 3}),
    ]
    send(client, given.tenant, spans((given.tenant, name), shapes))
    own = {sc.PROMPT_NAME: "own", sc.PROMPT_VERSION: "7"}
    send(client, given.tenant, [Telemetry(given.tenant).turn(f"own {given.tenant}", 0, **own)])
    settle(given.store)
    found = given.store.query(
        "SELECT toString(prompt) AS prompt, toString(prompt_version) AS version FROM turns FINAL"
        " WHERE tenant = {tenant:String} ORDER BY foreign",
        {"tenant": given.tenant},
    )
    assert [tuple(row.values()) for row in found] == [("own", "7"), ("greeting", "")]


DIALECTS: dict[str, dict[str, object]] = {
    "the former names": {
        sc.OPERATION_NAME: "chat",
        "gen_ai.system": "p",
        sc.REQUEST_MODEL: "m",
        "gen_ai.usage.prompt_tokens": 100,
        "gen_ai.usage.completion_tokens": 10,
        sc.INPUT_MESSAGES: ASKED,
        sc.OUTPUT_MESSAGES: SAID,
    },
    "OpenInference": {
        "openinference.span.kind": "LLM",
        "llm.provider": "p",
        "llm.model_name": "m",
        "llm.token_count.prompt": 100,
        "llm.token_count.completion": 10,
        "llm.input_messages.0.message.role": "system",
        "llm.input_messages.0.message.content": "Be kind.",
        "llm.input_messages.1.message.role": "user",
        "llm.input_messages.1.message.contents.0.message_content.type": "text",
        "llm.input_messages.1.message.contents.0.message_content.text": "Where is it?",
        "llm.output_messages.0.message.role": "assistant",
        "llm.output_messages.0.message.content": "On its way.",
    },
    "OpenLLMetry": {
        "llm.request.type": "chat",
        "gen_ai.system": "p",
        sc.REQUEST_MODEL: "m",
        "gen_ai.usage.prompt_tokens": 100,
        "gen_ai.usage.completion_tokens": 10,
        "gen_ai.prompt.0.role": "user",
        "gen_ai.prompt.0.content": "Where is it?",
        "gen_ai.completion.0.role": "assistant",
        "gen_ai.completion.0.content": "On its way.",
    },
    "the AI SDK": {
        "ai.operationId": "ai.generateText.doGenerate",
        "ai.model.provider": "p",
        "ai.model.id": "m",
        "ai.usage.promptTokens": 100,
        "ai.usage.completionTokens": 10,
        "ai.prompt.messages": json.dumps(
            [{"role": "user", "content": [{"type": "text", "text": "Where is it?"}]}]
        ),
        "ai.response.text": "On its way.",
    },
    "texts as plain input and output": {
        "openinference.span.kind": "LLM",
        "llm.provider": "p",
        "llm.model_name": "m",
        "llm.token_count.prompt": 100,
        "llm.token_count.completion": 10,
        "input.value": json.dumps(
            {"messages": [["human", "no"], {"type": "human", "content": "Where is it?"}]}
        ),
        "output.value": json.dumps({"messages": [{"type": "ai", "content": "On its way."}]}),
    },
    "a history that is handed on as the output": {
        "openinference.span.kind": "LLM",
        "llm.provider": "p",
        "llm.model_name": "m",
        "llm.token_count.prompt": 100,
        "llm.token_count.completion": 10,
        "input.value": "Where is it?",
        "output.value": json.dumps(
            {
                "messages": [
                    {"type": "human", "content": "Hello"},
                    {"type": "ai", "content": "Hello, what is it?"},
                    {"type": "human", "content": "Where is it?"},
                    {"type": "ai", "content": "On its way."},
                ]
            }
        ),
    },
    "Langfuse": {
        "langfuse.observation.type": "generation",
        "gen_ai.system": "p",
        "langfuse.observation.model.name": "m",
        "langfuse.observation.usage_details": json.dumps(
            {"input": 40, "input_cached_tokens": 60, "output": 10, "total": 110}
        ),
        "langfuse.observation.input": json.dumps([{"role": "user", "content": "Where is it?"}]),
        "langfuse.observation.output": json.dumps({"content": "On its way."}),
    },
    "Logfire": {
        sc.OPERATION_NAME: "chat",
        "gen_ai.system": "p",
        sc.REQUEST_MODEL: "m",
        sc.GEN_AI_INPUT_TOKENS: 100,
        sc.GEN_AI_OUTPUT_TOKENS: 10,
        "request_data": json.dumps({"messages": [{"role": "user", "content": "Where is it?"}]}),
        "response_data": json.dumps({"combined_chunk_content": "On its way.", "chunk_count": 2}),
    },
    "Semantic Kernel": CALL | {sc.OPERATION_NAME: "chat.streaming_completions"},
    "a call that does not say what it is": {
        sc.REQUEST_MODEL: "m",
        "gen_ai.system": "p",
        sc.GEN_AI_INPUT_TOKENS: 100.0,
        sc.GEN_AI_OUTPUT_TOKENS: "10.0",
        "gcp.vertex.agent.llm_request": json.dumps(
            {"contents": [{"role": "user", "parts": [{"text": "Where is it?"}]}]}
        ),
        "gcp.vertex.agent.llm_response": json.dumps(
            {"content": {"role": "model", "parts": [{"text": "On its way."}]}}
        ),
    },
}


def blocks(*made: dict[str, object]) -> str:
    """Content in blocks, as JSON."""
    return json.dumps(list(made))


EVENTS: dict[str, list[tuple[str, dict[str, object]]]] = {
    "each role's event, of 1.28 to 1.36": [
        ("gen_ai.system.message", {"content": "Be kind."}),
        ("gen_ai.user.message", {"content": "Where is it?", "role": "user"}),
        ("gen_ai.choice", {"index": 0, "message": '{"role":"assistant","content":"On its way."}'}),
    ],
    "bodies in one attribute": [
        ("gen_ai.user.message", {"gen_ai.event.content": '{"content":"Where is it?"}'}),
        ("gen_ai.choice", {"gen_ai.event.content": '{"message":{"content":"On its way."}}'}),
    ],
    "an assistant's message instead of a choice, of Azure's agents": [
        ("gen_ai.user.message", {"gen_ai.event.content": '{"content":"Where is it?"}'}),
        (
            "gen_ai.assistant.message",
            {"gen_ai.event.content": '{"content":{"text":{"value":"On its way."}}}'},
        ),
    ],
    "prompt and completion, up to 1.27": [
        ("gen_ai.content.prompt",
         {"gen_ai.prompt": '[{"role":"user","content":"Where is it?"}]'}),
        ("gen_ai.content.completion",
         {"gen_ai.completion": '[{"role":"assistant","content":"On its way."}]'}),
    ],
    "one event with the details, from 1.37 on": [
        ("gen_ai.client.inference.operation.details",
         {sc.INPUT_MESSAGES: ASKED, sc.OUTPUT_MESSAGES: SAID}),
    ],
    "blocks, with a tool between": [
        ("gen_ai.user.message", {"content": blocks({"text": "Where is it?"})}),
        ("gen_ai.assistant.message", {"content": blocks({"toolUse": {"name": "find"}})}),
        ("gen_ai.tool.message", {"content": blocks({"text": "Oslo"}), "id": "t1"}),
        ("gen_ai.choice", {"message": blocks({"text": "On its way."}), "finish_reason": "stop"}),
    ],
}  # fmt: skip


def test_messages_in_events_are_read(client: TestClient, given: Given) -> None:
    """As the conventions had them before they became attributes, and as others write them."""
    call = {name: value for name, value in CALL.items() if "messages" not in name}
    for way, events in EVENTS.items():
        (span,) = spans(way, [("call", "", "client", call | in_(way))])
        for name, attributes in events:
            event = span.events.add(name=name, time_unix_nano=NOON_NS)
            put(event, attributes)
        send(client, given.tenant, [span])
    told = json.dumps(
        [
            {"event.name": "gen_ai.user.message", "content": "Where is it?", "role": "user"},
            {"event.name": "gen_ai.choice", "message": {"content": "On its way."}},
        ]
    )
    one = [("call", "", "client", call | in_("an attribute of events") | {"events": told})]
    send(client, given.tenant, spans("attribute", one))
    settle(given.store)
    for way in (*EVENTS, "an attribute of events"):
        assert said(client, given, way) == WHOLE[4:], way


RECORDS: dict[str, list[tuple[str, dict[str, object], object]]] = {
    "each role's record, of 1.28 to 1.36": [
        ("gen_ai.system.message", {}, {"content": "Be kind."}),
        ("gen_ai.user.message", {}, {"content": "Where is it?"}),
        ("gen_ai.choice", {}, {"index": 0, "message": {"role": "assistant",
                                                      "content": "On its way."}}),
    ],
    "with a tool between": [
        ("gen_ai.user.message", {}, {"content": "Where is it?"}),
        ("gen_ai.assistant.message", {}, {"tool_calls": [
            {"id": "t1", "type": "function", "function": {"name": "find", "arguments": "{}"}}]}),
        ("gen_ai.tool.message", {}, {"content": "Oslo", "id": "t1"}),
        ("gen_ai.choice", {}, {"message": {"content": "On its way."}}),
    ],
    "one record with the details, as JSON": [
        ("gen_ai.client.inference.operation.details", CALL, None),
    ],
    "one record with the details, as values": [
        ("gen_ai.client.inference.operation.details",
         CALL | {sc.INPUT_MESSAGES: json.loads(ASKED), sc.OUTPUT_MESSAGES: json.loads(SAID)}, None),
    ],
}  # fmt: skip
NO_WORDS = {name: value for name, value in CALL.items() if "messages" not in name}


def records(seed: object, told: list[tuple[str, dict[str, object], object]]) -> list[LogRecord]:
    """Log records that name the call of a trace, one after the other."""
    made = []
    for number, (name, attributes, body) in enumerate(told):
        record = LogRecord(
            time_unix_nano=NOON_NS + number, event_name=name,
            trace_id=digest(seed, size=16), span_id=digest(seed, "call", size=8),
        )  # fmt: skip
        for key, value in attributes.items():
            fill(record.attributes.add(key=key).value, value)
        fill(record.body, body)
        made.append(record)
    return made


def send_records(client: TestClient, tenant: str, told: list[LogRecord]) -> None:
    content = Telemetry(tenant).logs(told).SerializeToString()
    assert client.post("/v1/logs", content=content, headers=PROTOBUF).status_code == 200


@pytest.mark.parametrize("order", ["spans, records", "records, spans", "records, spans, records"])
def test_messages_in_log_records_are_read(client: TestClient, given: Given, order: str) -> None:
    """Those that name a span tell of it, once, whichever comes first, and however often."""
    for part in order.split(", "):
        for way, told in RECORDS.items():
            seed = (given.tenant, way)
            # Who sends the details may say nothing of them on the span.
            call = {sc.OPERATION_NAME: "chat"} if "details" in way else NO_WORDS
            shapes: list[Shape] = [
                ("agent", "", "internal", AGENT | in_(way)),
                ("call", "agent", "client", call),
            ]
            if part == "spans":
                send(client, given.tenant, spans(seed, shapes))
            else:
                send_records(client, given.tenant, records(seed, told))
        settle(given.store)
    for way in RECORDS:
        address = f"/api/v1/conversations/{quote(way)}"
        (turn,) = client.get(address, params={"tenant": given.tenant}).json()["turns"]
        told = (
            *(turn["model"], turn["provider"]),
            *(turn["tokens"]["input"], turn["tokens"]["output"]),
            *(turn["user_message"], turn["reply"]),
        )
        assert told == WHOLE, way


def test_a_span_is_believed_before_log_records(client: TestClient, given: Given) -> None:
    """Who sends both says it twice; its record adds what the span does not tell."""
    other = {sc.REQUEST_MODEL: "other", sc.GEN_AI_INPUT_TOKENS: 7, sc.PROMPT_NAME: "greeting"}
    details = ("gen_ai.client.inference.operation.details", CALL | other, None)
    told = [*RECORDS["each role's record, of 1.28 to 1.36"], details]
    send(client, given.tenant, spans(given.tenant, [("call", "", "client", CALL | in_("both"))]))
    send_records(client, given.tenant, records(given.tenant, told))
    settle(given.store)
    (turn,) = given.store.query(
        "SELECT request_model, input_tokens, prompt, input_messages, output_messages"
        " FROM turns FINAL WHERE tenant = {tenant:String}",
        {"tenant": given.tenant},
    )
    assert turn == {
        "request_model": "m", "input_tokens": 100, "prompt": "greeting",
        "input_messages": ASKED, "output_messages": SAID,
    }  # fmt: skip


def test_log_records_are_erased_with_their_turn(client: TestClient, given: Given) -> None:
    """They name no conversation, and hold what was said in it."""
    seeds = ((given.tenant, number) for number in count())
    # In the engine an id that ends in zero is another as text than as so many bytes.
    gone = next(seed for seed in seeds if digest(seed, size=16).endswith(b"\0"))
    kept = next(seeds)
    for seed, conversation in ((gone, "gone"), (kept, "kept")):
        send(client, given.tenant, spans(seed, [("call", "", "client", CALL | in_(conversation))]))
        send_records(client, given.tenant, records(seed, RECORDS["with a tool between"]))
    settle(given.store)
    Eraser(given.store, given.scope, given.tenant).conversation("gone")
    rows = given.store.query(
        "SELECT DISTINCT hex(trace_id) AS trace FROM events WHERE tenant = {tenant:String}",
        {"tenant": given.tenant},
    )
    assert rows == [{"trace": digest(kept, size=16).hex().upper()}]


def said(client: TestClient, given: Given, conversation: str) -> tuple[str, str]:
    """What the only turn of a conversation shows of both sides."""
    address = f"/api/v1/conversations/{quote(conversation)}"
    (turn,) = client.get(address, params={"tenant": given.tenant}).json()["turns"]
    return turn["user_message"], turn["reply"]


NESTED: dict[str, tuple[object, object]] = {
    "as the conventions have them": (json.loads(ASKED), json.loads(SAID)),
    "with what is no text": (
        [
            {"role": "user", "parts": [
                {"type": "text", "content": "Where is it?"},
                {"type": "blob", "modality": "image", "content": b"\x89PNG"},
                {"type": "uri", "modality": "audio", "uri": "https://example.org/a.mp3"}]},
        ],
        [
            {"role": "assistant", "parts": [
                {"type": "reasoning", "content": "A parcel."},
                {"type": "tool_call", "id": "t1", "name": "find", "arguments": {"deep": [1, 2.5]}},
                {"type": "text", "content": "On its way."}]},
        ],
    ),
    "of OpenAI": (
        [
            {"role": "user", "content": [
                {"type": "text", "text": "Where is it?"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                {"type": "input_audio", "input_audio": {"data": "AAAA"}}]},
        ],
        [
            {"role": "assistant", "content": "On its way.", "tool_calls": [
                {"id": "t1", "type": "function", "function": {"name": "find", "arguments": "{}"}}]},
        ],
    ),
    "of Anthropic": (
        [{"role": "user", "content": [{"type": "text", "text": "Where is it?"}]}],
        [
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "A parcel."},
                {"type": "tool_use", "id": "t1", "name": "find", "input": {}},
                {"type": "text", "text": "On its way."}]},
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize("how", ["as values", "as JSON"])
@pytest.mark.parametrize("kind", ["protobuf", "JSON"])
def test_messages_of_any_parts_are_read(
    client: TestClient, given: Given, how: str, kind: str
) -> None:
    """As structured values or JSON in a text: the texts are shown, the rest is kept in parts."""
    for case, (asked, answered) in NESTED.items():
        (span,) = spans((case, how), [("call", "", "client", CALL | in_(f"{case} {how}"))])
        for one in span.attributes:
            value = {sc.INPUT_MESSAGES: asked, sc.OUTPUT_MESSAGES: answered}.get(one.key)
            if value is not None and how == "as values":
                fill(one.value, value)
            elif value is not None:
                one.value.string_value = json.dumps(
                    value, default=lambda data: data.decode("latin-1")
                )
        if kind == "JSON":
            request = Telemetry(given.tenant).traces([span])
            content = otlp_json(request)
            headers = {"content-type": "application/json"}
            assert client.post("/v1/traces", content=content, headers=headers).status_code == 200
        else:
            send(client, given.tenant, [span])
    settle(given.store)
    for case in NESTED:
        assert said(client, given, f"{case} {how}") == WHOLE[4:], case
    found = turns(given.store, given.tenant)
    stored = {row["conversation_id"]: row for row in found}
    for case in list(NESTED)[1:]:
        (message,) = json.loads(stored[f"{case} {how}"]["output_messages"])
        (call,) = [part for part in message["parts"] if part["type"] == "tool_call"]
        assert (call["id"], call["name"]) == ("t1", "find")
    (message,) = json.loads(stored[f"of OpenAI {how}"]["input_messages"])
    assert [part.get("modality", "text") for part in message["parts"]] == ["text", "image", "audio"]


VALUES = {
    str: "string_value", int: "int_value", float: "double_value", bytes: "bytes_value",
    bool: "bool_value",
}  # fmt: skip


def fill(value: AnyValue, given: object) -> None:
    """Sets a value to anything that JSON has, and bytes."""
    if isinstance(given, dict):
        value.kvlist_value.SetInParent()
        for key, inner in given.items():
            fill(value.kvlist_value.values.add(key=key).value, inner)
    elif isinstance(given, list):
        value.array_value.SetInParent()
        for inner in given:
            fill(value.array_value.values.add(), inner)
    elif given is not None:
        setattr(value, VALUES[type(given)], given)


def otlp_json(request: Any) -> str:
    """As OTLP writes JSON: ids in hexadecimal digits."""
    made = MessageToDict(request)
    for part in made["resourceSpans"]:
        for scoped in part["scopeSpans"]:
            for span in scoped["spans"]:
                for name in ("traceId", "spanId"):
                    span[name] = b64decode(span[name]).hex()
    return json.dumps(made)


def test_structured_values_are_kept_as_json(client: TestClient, given: Given) -> None:
    """Of spans and of their events, however deep; what is no number in JSON is text."""
    deep = {"a": [{"b": [1, True, None, 2.5, "x"]}], "bytes": b"hi", "nan": math.nan}
    (span,) = spans("deep", [("call", "", "client", CALL | in_("deep"))])
    fill(span.attributes.add(key="deep").value, deep)
    fill(span.attributes.add(key="lists").value, [[1], [2, 3]])
    fill(span.attributes.add(key="plain").value, ["2", "3"])
    event = span.events.add(name="note", time_unix_nano=NOON_NS)
    fill(event.attributes.add(key="deep").value, {"c": {"d": 1}})
    send(client, given.tenant, [span])
    (row,) = given.store.query(
        "SELECT attributes, events FROM spans FINAL WHERE tenant = {tenant:String}",
        {"tenant": given.tenant},
    )
    kept = {name: json.loads(row["attributes"][name]) for name in ("deep", "lists", "plain")}
    assert kept["deep"] == {"a": [{"b": [1, True, None, 2.5, "x"]}], "bytes": "aGk=", "nan": "nan"}
    assert (kept["lists"], kept["plain"]) == ([[1], [2, 3]], ["2", "3"])
    (event,) = json.loads(row["events"])
    assert json.loads(event["attributes"]["deep"]) == {"c": {"d": 1}}


@pytest.mark.parametrize(("failed", "expected"), [(True, "TimeoutError"), (False, "")])
def test_an_exception_names_the_error(
    client: TestClient, given: Given, failed: bool, expected: str
) -> None:
    """Where the span failed and says no more; one that was caught and handled is no error."""
    shapes: list[Shape] = [
        ("agent", "", "internal", AGENT | in_("c")),
        ("tool", "agent", "internal", {sc.OPERATION_NAME: "execute_tool", sc.TOOL_NAME: "find"}),
    ]
    made = spans("failed", shapes)
    for span in made:
        event = span.events.add(name="exception", time_unix_nano=NOON_NS)
        put(event, {"exception.message": "late", "exception.type": "TimeoutError"})
        span.status.code = 2 if failed else 0
    send(client, given.tenant, made)
    settle(given.store)
    for table in ("turns", "spans"):
        rows = given.store.query(
            f"SELECT toString(error_type) AS error FROM {table} FINAL"
            " WHERE tenant = {tenant:String}",
            {"tenant": given.tenant},
        )
        assert {row["error"] for row in rows} == {expected}, table


def test_each_dialect_is_read(client: TestClient, given: Given) -> None:
    """The same call in the words of each instrumentation is the same turn to its reader."""
    for dialect, call in DIALECTS.items():
        said = call | {"session.id": dialect}
        send(client, given.tenant, spans(dialect, [("call", "", "client", said)]))
    settle(given.store)
    for dialect in DIALECTS:
        address = f"/api/v1/conversations/{quote(dialect)}"
        (turn,) = client.get(address, params={"tenant": given.tenant}).json()["turns"]
        told = (
            *(turn["model"], turn["provider"]),
            *(turn["tokens"]["input"], turn["tokens"]["output"]),
            *(turn["user_message"], turn["reply"]),
        )
        assert told == WHOLE, dialect


COUNTS: dict[str, tuple[dict[str, object], tuple[int, int]]] = {
    "the cache within the input": ({"cache": 60, "total": 110}, (100, 10)),
    "the cache beside the input, as the total says": ({"cache": 60, "total": 170}, (160, 10)),
    "more of the cache than there was input": ({"cache": 900}, (1000, 10)),
    "the same, and a total without it": ({"cache": 900, "total": 110}, (1000, 10)),
    "reasoning beside the output": ({"reasoning": 5, "total": 115}, (100, 15)),
    "a total of which nobody knows what it counts": ({"total": 9999}, (100, 10)),
}
NAMES = {
    "cache": sc.GEN_AI_CACHE_READ_TOKENS,
    "reasoning": sc.GEN_AI_REASONING_TOKENS,
    "total": "gen_ai.usage.total_tokens",
}


def test_parts_of_the_tokens_are_counted_in_where_they_stand_beside(
    client: TestClient, given: Given
) -> None:
    """Instrumentations hand on what their provider counts, each in its own way."""
    for case, (told, _) in COUNTS.items():
        call = CALL | in_(case) | {NAMES[name]: value for name, value in told.items()}
        send(client, given.tenant, spans(case, [("call", "", "client", call)]))
    settle(given.store)
    found = {
        row["conversation_id"]: (row["input_tokens"], row["output_tokens"])
        for row in turns(given.store, given.tenant)
    }
    assert found == {case: expected for case, (_, expected) in COUNTS.items()}


def test_the_inner_one_of_two_calls_tells_what_the_outer_one_does_not(
    client: TestClient, given: Given
) -> None:
    """A framework's span of the call, and beneath it that of the provider's client."""
    usage = {sc.GEN_AI_INPUT_TOKENS: 100, sc.GEN_AI_OUTPUT_TOKENS: 10}
    shapes: list[Shape] = [
        ("agent", "", "internal", AGENT | in_("c")),
        ("call_llm", "agent", "internal", {sc.REQUEST_MODEL: "m"} | usage),
        ("call", "call_llm", "client", CALL),
    ]
    send(client, given.tenant, spans(given.tenant, shapes))
    settle(given.store)
    (turn,) = turns(given.store, given.tenant)
    assert (turn["input_messages"], turn["output_messages"]) == (ASKED, SAID)
    assert (turn["model"], turn["provider"], turn["input_tokens"]) == ("m", "p", 100)


def test_a_trace_of_too_many_spans_is_told_by_those_that_tell(
    client: TestClient, given: Given, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many queries come before the model's calls, of which one hangs beneath a plain span."""
    monkeypatch.setattr(derived_turns, "MOST_SPANS", 20)
    shapes: list[Shape] = [
        ("agent", "", "internal", AGENT | in_("c")),
        *((f"query {number}", "agent", "client", {"db.system": "sqlite"}) for number in range(40)),
        ("retry", "agent", "internal", {}),
        ("call", "retry", "client", CALL),
        ("second", "agent", "client", CALL),
    ]
    send(client, given.tenant, spans(given.tenant, shapes))
    settle(given.store)
    (turn,) = turns(given.store, given.tenant)
    assert (turn["input_tokens"], turn["output_messages"]) == (200, SAID)


def test_a_marked_turn_leaves_no_other(client: TestClient, given: Given) -> None:
    """What was taken for a turn before the marked one came is one no more."""
    shapes: list[Shape] = [
        ("turn", "", "internal", AGENT | in_("c") | {sc.TURN_ROOT: True}),
        ("agent", "turn", "internal", AGENT | in_("c")),
        ("call", "agent", "client", CALL),
    ]
    marked, *others = spans(given.tenant, shapes)
    send(client, given.tenant, others)
    settle(given.store)
    assert names(turns(given.store, given.tenant), given.tenant, shapes) == [("agent", "c")]
    send(client, given.tenant, [marked])
    settle(given.store)
    assert names(turns(given.store, given.tenant), given.tenant, shapes) == [("turn", "c")]
    rows = given.store.query(
        "SELECT turns FROM conversations FINAL WHERE tenant = {tenant:String}",
        {"tenant": given.tenant},
    )
    assert rows == [{"turns": 1}]


def test_a_conversation_whose_turns_are_all_taken_back_is_none(
    client: TestClient, given: Given
) -> None:
    """It was told apart from its trace's true one only until the rest came."""
    shapes: list[Shape] = [
        ("outer", "", "internal", AGENT | in_("true")),
        ("inner", "outer", "internal", AGENT | in_(f"early-{given.tenant}")),
    ]
    outer, inner = spans(given.tenant, shapes)
    address = f"/api/v1/conversations/early-{given.tenant}"
    send(client, given.tenant, [inner])
    settle(given.store)
    assert client.get(address, params={"tenant": given.tenant}).status_code == 200
    send(client, given.tenant, [outer])
    settle(given.store)
    assert client.get(address, params={"tenant": given.tenant}).status_code == 404


def test_what_became_no_turn_is_counted(client: TestClient, given: Given) -> None:
    """By the reason and the instrumentation; what comes later takes it back."""
    shapes: list[Shape] = [("agent", "up", "internal", AGENT), ("call", "agent", "client", CALL)]
    send(client, given.tenant, spans(given.tenant, shapes))

    def left() -> list[tuple[str, int]]:
        settle(given.store)
        rows = given.store.query(
            "SELECT toString(reason) AS reason, spans FROM unclaimed_spans FINAL"
            " WHERE tenant = {tenant:String}",
            {"tenant": given.tenant},
        )
        return [(row["reason"], row["spans"]) for row in rows]

    assert left() == [("no conversation id", 2)]
    noon = datetime(2026, 11, 10, 12, tzinfo=UTC)
    hour = Window(noon, noon + timedelta(hours=1), now=noon + timedelta(days=1))
    told = unclaimed_spans(given.store, given.scope, hour)
    (item,) = told.items
    assert (told.spans, item.spans, item.traces) == (2, 2, 1)
    assert (item.reason, item.instrumentation) == ("no conversation id", "")
    assert "session.id" in item.fix
    send(client, given.tenant, spans(given.tenant, [("up", "", "server", {"session.id": "c"})]))
    assert left() == []


ROLES = st.sampled_from(
    [
        ("internal", AGENT),
        ("internal", FLOW),
        ("client", CALL),
        ("server", {}),
        ("internal", {sc.OPERATION_NAME: "execute_tool"}),
        ("internal", {"turn.number": 1}),
        ("internal", {}),
    ]
)


@st.composite
def traces(draw: st.DrawFn) -> list[Shape]:
    """A trace of any form; a parent may come later, be itself, or never be there."""
    made: dict[str, Shape] = {}
    for number in range(draw(st.integers(1, 8))):
        kind, attributes = draw(ROLES)
        name = "turn" if "turn.number" in attributes else f"s{number}"
        parent = draw(st.sampled_from(["", *(f"s{other}" for other in range(9))]))
        conversation = draw(st.sampled_from(["", "", "a", "b"]))
        told = attributes | (in_(conversation) if conversation else {})
        made[name] = (name, "" if parent == name else parent, kind, told)
    return list(made.values())


@examples(2, 60)
@generated(made=st.lists(traces(), min_size=1, max_size=20), seed=st.integers(0, 2**32))
def test_any_trace_in_any_pieces_gives_the_same_turns(
    running: TestClient, store: Store, made: list[list[Shape]], seed: int
) -> None:
    """Cut, shuffled, sent twice and settled between: as if it had come whole."""
    rng = random.Random(seed)
    whole, cut = f"whole-{uuid4()}", f"cut-{uuid4()}"
    every = [span for number, shapes in enumerate(made) for span in spans((seed, number), shapes)]
    send(running, whole, every)
    pieces = [*every, *rng.sample(every, rng.randint(0, len(every)))]
    rng.shuffle(pieces)
    while pieces:
        count = rng.randint(len(pieces) // 3 + 1, len(pieces))
        send(running, cut, pieces[:count])
        pieces = pieces[count:]
        if rng.random() < 0.5:
            settle(store)
    settle(store)
    assert turns(store, cut) == turns(store, whole)


def test_a_score_on_a_scale_of_its_own_is_kept_as_its_value(
    client: TestClient, given: Given
) -> None:
    """Two scores of 4 and 5 whose scale nobody told, and one of 0 to 1."""
    telemetry = Telemetry(given.tenant)
    for number, score in enumerate((4.0, 5.0)):
        telemetry.event(
            sc.EVENT_EVALUATION,
            "c",
            number,
            **{sc.EVALUATION_NAME: "depth", sc.EVALUATION_SCORE: score},
        )
    telemetry.event(
        sc.EVENT_EVALUATION, "c", 2, **{sc.EVALUATION_NAME: "tone", sc.EVALUATION_SCORE: 0.5}
    )
    content = telemetry.logs(telemetry.events).SerializeToString()
    assert client.post("/v1/logs", content=content, headers=PROTOBUF).status_code == 200
    noon = datetime(2026, 11, 10, 12, tzinfo=UTC)
    hour = Window(noon, noon + timedelta(hours=1), now=noon + timedelta(days=1))
    depth, tone = evaluations(given.store, given.scope, hour, Filters()).items
    assert (depth.count, depth.scored, depth.mean, depth.value_mean) == (2, 0, None, 4.5)
    assert (tone.scored, tone.mean, tone.value_mean) == (1, 0.5, None)
