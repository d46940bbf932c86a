"""What frameworks return and stream: the shapes of their real objects, and each provider's own."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage

from otel_chat.extract import Extracted, StreamState, ToolCall, extract
from tests.library.extract.wire import CHAT, CHAT_CHUNKS, RESPONSE

USAGE: Any = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}
TOLD: Any = {"usage_metadata": USAGE, "response_metadata": {"model_name": "gpt-4o-mini"}}
ASKED = HumanMessage("hi", id="asked")
SUBGRAPH = ("sub:1",)
REFUSED = "I can't help with that."


def read(chunks: list[Any]) -> Extracted:
    """What a stream says, the same of its usage whether the reply is wanted or not."""
    state, silent = StreamState(keeps_text=True), StreamState()
    for chunk in chunks:
        state.record_chunk(chunk)
        silent.record_chunk(chunk)
    found, usage = state.result(), silent.result()
    assert found is not None
    if found.input_tokens is not None:
        assert usage is not None
        assert (usage.input_tokens, usage.model) == (found.input_tokens, found.model)
    return found


# -- LangGraph: two nodes call a model ------------------------------------------------------------


def answer(node: str) -> AIMessage:
    return AIMessage("Hello there", id=f"run-{node}", **TOLD)


def pieces(node: str) -> list[AIMessageChunk]:
    texts = ("Hello", " there")
    chunks = [AIMessageChunk(content=text, id=f"run-{node}") for text in texts]
    return [*chunks, AIMessageChunk(content="", id=f"run-{node}", **TOLD)]


NODES = ("one", "two")
MESSAGES = [(chunk, {"langgraph_node": node}) for node in NODES for chunk in pieces(node)]
VALUES: list[Any] = [
    {"messages": [ASKED]},
    {"messages": [ASKED, answer("one")]},
    {"messages": [ASKED, answer("one"), answer("two")]},
]
UPDATES: list[Any] = [{node: {"messages": [answer(node)]}} for node in NODES]
TASKS: list[Any] = [
    task
    for node, state in zip(NODES, VALUES, strict=False)
    for task in (
        {"id": node, "name": node, "input": state, "triggers": ("branch",)},
        {"id": node, "name": node, "result": {"messages": [answer(node)]}, "interrupts": []},
    )
]
DEBUG = [{"step": 1, "timestamp": "t", "type": "task_result", "payload": task} for task in TASKS]
MODES = {
    "messages": MESSAGES,
    "updates": UPDATES,
    "tasks": TASKS,
    "debug": DEBUG,
    "values": VALUES,
}
WAYS: dict[str, Any] = {
    "alone": lambda mode, part: part,
    "among modes": lambda mode, part: (mode, part),
    "of subgraphs": lambda mode, part: (SUBGRAPH, part),
    "of subgraphs, among modes": lambda mode, part: (SUBGRAPH, mode, part),
    "version 2": lambda mode, part: {"type": mode, "ns": SUBGRAPH, "data": part},
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("mode", MODES)
def test_each_mode_of_langgraphs_stream_is_read(mode: str, way: str) -> None:
    """Two calls of 10 and 5 tokens; the reply is the last node's, or both nodes' as they came."""
    found = read([WAYS[way](mode, part) for part in MODES[mode]])
    assert (found.input_tokens, found.output_tokens, found.model) == (20, 10, "gpt-4o-mini")
    assert (found.text or "").replace("Hello there", "") == ""
    assert found.text


@pytest.mark.parametrize("way", ["among modes", "of subgraphs, among modes", "version 2"])
def test_modes_beside_each_other_repeat_nothing(way: str) -> None:
    """A message comes as chunks, in an update, in a task and in the states at last."""
    parts = [WAYS[way](mode, part) for mode, parts in MODES.items() for part in parts]
    found = read(parts)
    assert (found.input_tokens, found.output_tokens) == (20, 10)
    assert found.text == "Hello there"


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        ([("custom", {"token": "Hel"}), ("custom", {"token": "lo"})], "Hello"),
        ([((), "custom", "Hello")], "Hello"),
        ([("updates", {"node": {"answer": "Hello"}})], "Hello"),
        ([("values", {"answer": "Hello"}), ("values", {"answer": "Hello"})], "Hello"),
        ([{"type": "values", "ns": (), "data": {"answer": "Hello"}}] * 2, "Hello"),
        ([("values", {"question": "x"}), ((), {"answer": "Hello"})], "Hello"),
        ([("updates", {"node": None}), ("custom", "Hello")], "Hello"),
        ([("custom", "Hello"), ("tasks", {"name": "node", "result": {"text": "x"}})], "Hello"),
    ],
)
def test_text_of_a_graph_without_messages_is_read(chunks: list[Any], expected: str) -> None:
    """Modes and namespaces are no text, tasks are for nobody to read, values repeat themselves."""
    assert read(chunks).text == expected


@pytest.mark.parametrize(
    "result",
    [
        VALUES[-1],
        SimpleNamespace(value=VALUES[-1], interrupts=()),
        UPDATES,
        [(answer(node), {"langgraph_node": node}) for node in NODES],
        {"answer": answer("two"), "drafts": [answer("one")]},
    ],
    ids=["values", "version 2", "updates", "messages", "a state of its own"],
)
def test_a_whole_result_of_langgraph_is_read(result: Any) -> None:
    """Whichever mode `invoke` was asked for, and whatever the state calls its messages."""
    found = extract(result)
    assert found is not None
    assert (found.input_tokens, found.output_tokens, found.model) == (20, 10, "gpt-4o-mini")
    assert found.text == "Hello there"


# -- OpenAI ----------------------------------------------------------------------------------------


def response(*output: Any) -> dict[str, Any]:
    return {**RESPONSE, "output": list(output)}


def test_a_refusal_is_the_reply() -> None:
    """Whole and streamed, of the responses API and of chat completions."""
    refused = {"type": "message", "role": "assistant",
               "content": [{"type": "refusal", "refusal": REFUSED}]}  # fmt: skip
    whole = extract(response(refused))
    assert whole is not None
    assert whole.text == REFUSED
    pieces = (REFUSED[:7], REFUSED[7:])
    deltas = [{"type": "response.refusal.delta", "delta": piece} for piece in pieces]
    done = {"type": "response.completed", "response": response(refused)}
    assert read([*deltas]).text == read([*deltas, done]).text == REFUSED
    message = {"role": "assistant", "content": None, "refusal": REFUSED}
    chat = extract({"object": "chat.completion", "model": "m", "choices": [{"message": message}]})
    assert chat is not None
    assert chat.text == REFUSED


CALLS: list[Any] = [
    {"type": "function_call", "id": "1", "call_id": "c1", "name": "find_parcel"},
    {"type": "custom_tool_call", "id": "2", "call_id": "c2", "name": "run_sql"},
    {"type": "mcp_call", "id": "3", "server_label": "shop", "name": "find_order"},
    {"type": "web_search_call", "id": "4", "action": {"type": "search", "query": "parcel"}},
]
CALLED = (
    ToolCall("find_parcel", "c1"), ToolCall("run_sql", "c2"), ToolCall("find_order", "3"),
    ToolCall("web_search", "4"),
)  # fmt: skip


def test_calls_of_all_kinds_are_told() -> None:
    """Custom tools, other servers' and the provider's own; once, where events repeat them."""
    whole = extract(response({"type": "reasoning", "id": "0"}, *CALLS))
    assert whole is not None
    assert whole.tool_calls == CALLED
    events = [{"type": "response.output_item.done", "item": call} for call in CALLS]
    assert read(events).tool_calls == CALLED
    done = {"type": "response.completed", "response": response(*CALLS)}
    assert read([*events, done]).tool_calls == CALLED


def test_a_custom_tool_of_chat_completions_is_told() -> None:
    """It stands beside functions, under another name."""
    call = {"id": "c2", "type": "custom", "custom": {"name": "run_sql", "input": "SELECT 1"}}
    found = extract({**CHAT, "choices": [{"message": {"tool_calls": [call]}}]})
    assert found is not None
    assert found.tool_calls == (ToolCall("run_sql", "c2"),)


def test_what_was_spoken_is_the_reply() -> None:
    """A model that answers with sound writes down what it says."""
    message = {"content": None, "audio": {"id": "a", "data": "UklG", "transcript": "Hello"}}
    found = extract({**CHAT, "choices": [{"message": message}]})
    assert found is not None
    assert found.text == "Hello"


def test_what_is_spoken_in_events_is_the_reply() -> None:
    """Of the responses API and of a realtime session, which counts what was said."""
    for kind in ("audio.transcript", "audio_transcript", "output_audio_transcript"):
        said = [{"type": f"response.{kind}.delta", "delta": piece} for piece in ("Hel", "lo")]
        part = {"type": "output_audio", "transcript": "Hello"}
        spoken = response({"type": "message", "content": [part]})
        found = read([*said, {"type": "response.done", "response": spoken}])
        assert (found.text, found.input_tokens) == ("Hello", RESPONSE["usage"]["input_tokens"])
        assert read(said).text == "Hello"


def test_a_function_that_older_servers_call_is_told() -> None:
    """It stands in the message itself."""
    message = {"content": None, "function_call": {"name": "find_parcel", "arguments": "{}"}}
    found = extract({**CHAT, "choices": [{"message": message}]})
    assert found is not None
    assert found.tool_calls == (ToolCall("find_parcel"),)


def test_a_text_completion_is_read() -> None:
    """Servers of open models still speak OpenAI's first format."""
    found = extract({**CHAT, "object": "text_completion", "choices": [{"text": "Hello"}]})
    assert found is not None
    assert (found.text, found.input_tokens) == ("Hello", 120)


def test_a_run_of_openais_agents_is_the_sum_of_its_answers() -> None:
    """The user reads what the run ends with, not what was said on the way to a tool."""
    usage = SimpleNamespace(
        input_tokens=10,
        output_tokens=5,
        total_tokens=15,
        input_tokens_details=SimpleNamespace(cached_tokens=4),
        output_tokens_details=SimpleNamespace(reasoning_tokens=1),
    )

    def message(text: str) -> Any:
        part = SimpleNamespace(type="output_text", text=text)
        return SimpleNamespace(type="message", role="assistant", content=[part])

    call = SimpleNamespace(**CALLS[0])
    answers = [
        SimpleNamespace(output=output, usage=usage, response_id=response_id)
        for output, response_id in (
            ([message("One moment."), call], "resp_1"),
            ([message("Hello there")], "resp_2"),
        )
    ]
    model = SimpleNamespace(model="gpt-5")
    run = SimpleNamespace(
        raw_responses=answers, final_output="Hello there", last_agent=SimpleNamespace(model=model)
    )
    found = extract(run)
    assert found is not None
    assert (found.input_tokens, found.output_tokens, found.cache_read_tokens) == (20, 10, 8)
    assert (found.model, found.text, found.response_id) == ("gpt-5", "Hello there", "resp_2")
    assert found.tool_calls == CALLED[:1]
    run.final_output = {"structured": True}
    found = extract(run)
    assert found is not None
    assert found.text == "Hello there"


# -- LlamaIndex ------------------------------------------------------------------------------------


def llama_message(text: str) -> Any:
    return SimpleNamespace(
        role="assistant", blocks=[SimpleNamespace(block_type="text", text=text)]
    )  # fmt: skip


def test_llamaindexs_answers_hold_the_providers() -> None:
    """Whole and chunk by chunk, where each repeats the text so far."""
    whole = extract(SimpleNamespace(message=llama_message("Hello there"), raw=CHAT, delta=None))
    assert whole == extract(CHAT)
    chunks, said = [], ""
    for chunk in CHAT_CHUNKS:
        delta = chunk["choices"][0]["delta"].get("content") if chunk["choices"] else None
        said += delta or ""
        chunks.append(SimpleNamespace(message=llama_message(said), raw=chunk, delta=delta))
    assert read(chunks) == read(list(CHAT_CHUNKS))


def test_llamaindexs_agent_tells_its_text_and_its_only_call() -> None:
    """Its result keeps the last chunk alone; after tools that is not what the run used."""
    last = CHAT_CHUNKS[-1]
    result = SimpleNamespace(response=llama_message("Hello there"), raw=last, tool_calls=[])
    found = extract(result)
    assert found is not None
    assert (found.input_tokens, found.text) == (120, "Hello there")
    result.tool_calls = [SimpleNamespace(tool_name="find_parcel")]
    assert extract(result) is None


# -- Providers' own interfaces ---------------------------------------------------------------------

COHERE: dict[str, Any] = {
    "text": "Hello there",
    "generation_id": "g-1",
    "finish_reason": "COMPLETE",
    "tool_calls": [{"name": "find_parcel", "parameters": {}}],
    "meta": {
        "billed_units": {"input_tokens": 5.0, "output_tokens": 3.0},
        "tokens": {"input_tokens": 12.0, "output_tokens": 3.0},
    },
}
COHERE_EVENTS: list[Any] = [
    {"event_type": "stream-start", "generation_id": "g-1"},
    {"event_type": "text-generation", "text": "Hello"},
    {"event_type": "text-generation", "text": " there"},
    {"event_type": "stream-end", "finish_reason": "COMPLETE", "response": COHERE},
]
MISTRAL_USAGE = {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}
MISTRAL: dict[str, Any] = {
    "object": "conversation.response",
    "conversation_id": "conv-1",
    "outputs": [
        {"type": "tool.execution", "name": "web_search", "id": "t-1"},
        {"type": "message.output", "role": "assistant", "model": "mistral-large", "content": [
            {"type": "text", "text": "Hello there"}, {"type": "tool_reference", "tool": "web"}]},
    ],
    "usage": MISTRAL_USAGE,
}  # fmt: skip
MISTRAL_EVENTS: list[Any] = [
    SimpleNamespace(event=data["type"], data=SimpleNamespace(**data))
    for data in (
        {"type": "conversation.response.started", "conversation_id": "conv-1"},
        {"type": "tool.execution.started", "name": "web_search", "id": "t-1"},
        {"type": "message.output.delta", "model": "mistral-large", "content": "Hello"},
        {"type": "message.output.delta", "content": {"type": "text", "text": " there"}},
        {"type": "conversation.response.done", "usage": MISTRAL_USAGE},
    )
]
DETAILS = {"finish_reason": "eos_token", "generated_tokens": 3, "input_length": 12}
HUGGING_FACE = [{"generated_text": "Hello there", "details": DETAILS}]
HUGGING_FACE_TOKENS: list[Any] = [
    {"token": {"id": 1, "text": "Hello", "logprob": -0.1, "special": False}, "details": None},
    {"token": {"id": 2, "text": " there", "logprob": -0.1, "special": False}, "details": None},
    {
        "token": {"id": 3, "text": "</s>", "logprob": -0.1, "special": True},
        "generated_text": "Hello there",
        "details": DETAILS,
    },
]


@pytest.mark.parametrize(
    ("whole", "chunks", "provider"),
    [
        (COHERE, COHERE_EVENTS, "cohere"),
        (MISTRAL, MISTRAL_EVENTS, "mistral_ai"),
        (HUGGING_FACE, HUGGING_FACE_TOKENS, None),
    ],
    ids=["Cohere's version 1", "Mistral's conversations", "Hugging Face's generation"],
)
def test_a_providers_own_interface_says_the_same_whole_and_streamed(
    whole: Any, chunks: list[Any], provider: str | None
) -> None:
    """Tokens, reply, tools and how it ended; a second answer in the stream adds up."""
    found, streamed = extract(whole), read(chunks)
    assert found is not None
    for one in (found, streamed):
        assert (one.input_tokens, one.output_tokens, one.text) == (12, 3, "Hello there")
        assert (one.provider, one.model) == (provider, found.model)
        assert one.finish_reason == found.finish_reason
        assert one.tool_calls == found.tool_calls
    if provider != "cohere":  # whose answers have ids: the same again is the same
        assert read([*chunks, *chunks]).input_tokens == 24


def test_tokens_alone_are_no_answer() -> None:
    """An application's own token is text, not Hugging Face's."""
    assert read([{"token": "Hel"}, {"token": "lo"}]).shape == "text"


# -- Who recognises intents ------------------------------------------------------------------------


def clu(top: str, intents: Any) -> dict[str, Any]:
    prediction = {"topIntent": top, "projectKind": "Conversation", "intents": intents}
    return {"kind": "ConversationResult", "result": {"query": "hi", "prediction": prediction}}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (clu("book", [{"category": "ask", "confidenceScore": 0.1},
                      {"category": "book", "confidenceScore": 0.9}]), ("book", 0.9, False)),
        (clu("None", [{"category": "None", "confidenceScore": 0.4}]), (None, 0.4, True)),
        (clu("book", {"book": {"confidenceScore": 0.9}, "None": {"confidenceScore": 0.0}}),
         ("book", 0.9, False)),
    ],
    ids=["a conversation's", "none", "an orchestration's"],
)  # fmt: skip
def test_azures_top_intent_is_taken(value: Any, expected: tuple[Any, ...]) -> None:
    """With its own confidence; None is how it says that nothing was understood."""
    found = extract(value)
    assert found is not None
    assert (found.intent, found.confidence, found.fallback) == expected


def lex(name: str, score: float | None) -> dict[str, Any]:
    best: dict[str, Any] = {"intent": {"name": name, "state": "InProgress"}}
    if score is not None:
        best["nluConfidence"] = {"score": score}
    other = {"intent": {"name": "Other"}, "nluConfidence": {"score": 0.1}}
    messages = [{"content": "Which day?", "contentType": "PlainText"}]
    return {"messages": messages, "interpretations": [best, other], "sessionId": "s"}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (lex("Book", 0.9), ("Book", 0.9, False)),
        (lex("FallbackIntent", None), (None, None, True)),
        ({"intentName": "Book", "nluIntentConfidence": {"score": 0.9}, "message": "Which day?",
          "dialogState": "ElicitSlot"}, ("Book", 0.9, False)),
    ],
    ids=["version 2", "the fallback", "version 1"],
)  # fmt: skip
def test_amazon_lexs_likeliest_intent_is_taken(value: Any, expected: tuple[Any, ...]) -> None:
    """With its score, and what the bot says as the reply."""
    found = extract(value)
    assert found is not None
    assert (found.intent, found.confidence, found.fallback) == expected
    assert found.text == "Which day?"
