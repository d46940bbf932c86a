"""A local server that speaks the providers' wire formats with prepared answers."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

CHAT_USAGE = {
    "prompt_tokens": 120,
    "completion_tokens": 40,
    "total_tokens": 160,
    "prompt_tokens_details": {"cached_tokens": 100},
    "completion_tokens_details": {"reasoning_tokens": 16},
}
TOOL_CALL = {
    "index": 0,
    "id": "call_1",
    "type": "function",
    "function": {"name": "book_table", "arguments": "{}"},
}


def token(text: str, logprob: float) -> dict[str, Any]:
    return {"token": text, "logprob": logprob, "bytes": None, "top_logprobs": []}


LOGPROBS = [token("Hello", -0.1), token(" there", -0.5)]
CHAT = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o-2024-08-06",
    "choices": [
        {
            "index": 0,
            "finish_reason": "tool_calls",
            "message": {
                "role": "assistant",
                "content": "Hello there",
                "tool_calls": [TOOL_CALL],
            },
            "logprobs": {"content": LOGPROBS, "refusal": None},
        }
    ],
    "usage": CHAT_USAGE,
}


def chat_chunk(delta: dict[str, Any], **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": None, "logprobs": None, **more}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "gpt-4o-2024-08-06",
        "choices": [choice],
        "usage": None,
    }


CHAT_CHUNKS: list[dict[str, Any]] = [
    chat_chunk({"role": "assistant", "content": ""}),
    chat_chunk({"content": "Hello"}, logprobs={"content": LOGPROBS[:1]}),
    chat_chunk({"content": " there"}, logprobs={"content": LOGPROBS[1:]}),
    chat_chunk({"tool_calls": [TOOL_CALL]}),
    chat_chunk({"tool_calls": [{"index": 0, "function": {"arguments": "}"}}]}),
    chat_chunk({}, finish_reason="tool_calls"),
    {**chat_chunk({}), "choices": [], "usage": CHAT_USAGE},
]
RESPONSE: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "status": "completed",
    "model": "gpt-5-2025-08-07",
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "output": [
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]},
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": "completed",
            "content": [
                {
                    "type": "output_text",
                    "text": "Hello there",
                    "annotations": [],
                    "logprobs": LOGPROBS,
                }
            ],
        },
        {
            "type": "function_call",
            "id": "fc_1",
            "call_id": "call_1",
            "name": "book_table",
            "arguments": "{}",
        },
    ],
    "usage": {
        "input_tokens": 120,
        "input_tokens_details": {"cached_tokens": 100, "cache_write_tokens": 0},
        "output_tokens": 40,
        "output_tokens_details": {"reasoning_tokens": 16},
        "total_tokens": 160,
    },
}


def text_delta(text: str, logprob: float) -> dict[str, Any]:
    return {
        "type": "response.output_text.delta",
        "item_id": "msg_1",
        "output_index": 1,
        "content_index": 0,
        "delta": text,
        "logprobs": [{"token": text, "logprob": logprob, "top_logprobs": []}],
    }


RESPONSE_EVENTS: list[dict[str, Any]] = [
    {
        "type": "response.created",
        "response": {**RESPONSE, "status": "in_progress", "output": [], "usage": None},
    },
    text_delta("Hello", -0.1),
    text_delta(" there", -0.5),
    {"type": "response.completed", "response": RESPONSE},
]
for _number, _event in enumerate(RESPONSE_EVENTS):
    _event["sequence_number"] = _number

ANTHROPIC_USAGE = {
    "input_tokens": 20,
    "cache_creation_input_tokens": 30,
    "cache_read_input_tokens": 100,
    "output_tokens": 40,
    "output_tokens_details": {"thinking_tokens": 16},
}
TOOL_USE = {"type": "tool_use", "id": "toolu_1", "name": "book_table", "input": {}}
ANTHROPIC: dict[str, Any] = {
    "id": "msg_01",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-5-20250929",
    "content": [
        {"type": "thinking", "thinking": "hm", "signature": "x"},
        {"type": "text", "text": "Hello there"},
        TOOL_USE,
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": ANTHROPIC_USAGE,
}
ANTHROPIC_EVENTS: list[dict[str, Any]] = [
    {
        "type": "message_start",
        "message": {
            **ANTHROPIC,
            "content": [],
            "stop_reason": None,
            "usage": {**ANTHROPIC_USAGE, "output_tokens": 1, "output_tokens_details": None},
        },
    },
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "ping"},
    *(
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "text_delta", "text": text},
        }
        for text in ("Hello", " there")
    ),
    {"type": "content_block_stop", "index": 0},
    {"type": "content_block_start", "index": 1, "content_block": TOOL_USE},
    {
        "type": "content_block_delta",
        "index": 1,
        "delta": {"type": "input_json_delta", "partial_json": "{}"},
    },
    {"type": "content_block_stop", "index": 1},
    {
        "type": "message_delta",
        "delta": {"stop_reason": "tool_use", "stop_sequence": None},
        "usage": {"output_tokens": 40, "output_tokens_details": {"thinking_tokens": 16}},
    },
    {"type": "message_stop"},
]
GOOGLE_USAGE = {
    "promptTokenCount": 120,
    "cachedContentTokenCount": 100,
    "candidatesTokenCount": 24,
    "thoughtsTokenCount": 16,
    "totalTokenCount": 160,
}


def google(parts: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {
        "candidates": [{"content": {"role": "model", "parts": parts}, **more}],
        "modelVersion": "gemini-2.5-flash",
        "responseId": "r-1",
        "usageMetadata": {"promptTokenCount": 120, "candidatesTokenCount": 1},
    }


GOOGLE_CALL = {"functionCall": {"name": "book_table", "args": {}, "id": "call_1"}}
GOOGLE = {
    **google(
        [{"text": "hm", "thought": True}, {"text": "Hello there"}, GOOGLE_CALL],
        finishReason="STOP",
        avgLogprobs=-0.3,
    ),
    "usageMetadata": GOOGLE_USAGE,
}
GOOGLE_CHUNKS: list[dict[str, Any]] = [
    google([{"text": "hm", "thought": True}]),
    google([{"text": "Hello"}]),
    google([{"text": " there"}, GOOGLE_CALL]),
    {**google([], finishReason="STOP", avgLogprobs=-0.3), "usageMetadata": GOOGLE_USAGE},
]


def server_sent(events: list[dict[str, Any]], *, named: bool = False, done: bool = False) -> bytes:
    lines = []
    for event in events:
        if named:
            lines.append(f"event: {event['type']}")
        lines += [f"data: {json.dumps(event)}", ""]
    if done:
        lines += ["data: [DONE]", ""]
    return ("\n".join(lines) + "\n").encode()


STREAMS = {
    "/chat/completions": server_sent(CHAT_CHUNKS, done=True),
    "/responses": server_sent(RESPONSE_EVENTS, named=True),
    "/messages": server_sent(ANTHROPIC_EVENTS, named=True),
    ":streamGenerateContent": server_sent(GOOGLE_CHUNKS),
}
WHOLE = {
    "/chat/completions": CHAT,
    "/responses": RESPONSE,
    "/messages": ANTHROPIC,
    ":generateContent": GOOGLE,
}


class Handler(BaseHTTPRequestHandler):
    """Answers by the path's end, streamed where the request asks for it."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Answers one request."""
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        path = self.path.partition("?")[0]
        streamed = body.get("stream") or path.endswith(":streamGenerateContent")
        answers: dict[str, Any] = STREAMS if streamed else WHOLE
        answer = next(answer for end, answer in answers.items() if path.endswith(end))
        data = answer if streamed else json.dumps(answer).encode()
        self.send_response(200)
        kind = "text/event-stream" if streamed else "application/json"
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: object) -> None:
        """Says nothing."""


@contextmanager
def serving() -> Iterator[str]:
    """Serves until left; yields the base URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
