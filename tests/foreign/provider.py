"""A server that speaks OpenAI's and Anthropic's wire formats and knows one short conversation.

Asked where the parcel is, it calls the tool, and then says what the tool said; else it says that
one is welcome. The first call of a turn uses 100 tokens and 10, the one after a tool 120 and 12.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any, Final

MODEL: Final = "gpt-4o-mini-2024-07-18"
CLAUDE: Final = "claude-haiku-4-5-20251001"
ASKED: Final = "Where is my parcel?"
FOUND: Final = "It is in Oslo."
THANKED: Final = "You are welcome."
TOOL: Final = "find_parcel"
FIRST: Final = (100, 10)
AFTER_TOOL: Final = (120, 12)

_numbers = count(1)


def _chat(said: str | None, tokens: tuple[int, int]) -> Iterator[dict[str, Any]]:
    """A completion, and then its chunks."""
    head = {"id": f"chatcmpl-{next(_numbers)}", "created": 1, "model": MODEL}
    call = {"index": 0, "id": "call_1", "type": "function",
            "function": {"name": TOOL, "arguments": '{"number": "17"}'}}  # fmt: skip
    told = {"tool_calls": [call]} if said is None else {"content": said}
    message = {"role": "assistant", "content": None, **told}
    reason = "tool_calls" if said is None else "stop"
    usage = {"prompt_tokens": tokens[0], "completion_tokens": tokens[1],
             "total_tokens": sum(tokens)}  # fmt: skip
    choice = {"index": 0, "message": message, "finish_reason": reason}
    yield {**head, "object": "chat.completion", "choices": [choice], "usage": usage}
    chunk = {**head, "object": "chat.completion.chunk"}
    yield {**chunk, "choices": [{"index": 0, "delta": message, "finish_reason": None}]}
    yield {**chunk, "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}
    yield {**chunk, "choices": [], "usage": usage}


def _response(said: str | None, tokens: tuple[int, int]) -> Iterator[dict[str, Any]]:
    """A response, and then its events."""
    call = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": TOOL,
            "arguments": '{"number": "17"}', "status": "completed"}  # fmt: skip
    part = {"type": "output_text", "text": said, "annotations": []}
    message = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
               "content": [part]}  # fmt: skip
    response = {
        "id": f"resp_{next(_numbers)}", "object": "response", "created_at": 1, "model": MODEL,
        "status": "completed", "parallel_tool_calls": True, "tool_choice": "auto", "tools": [],
        "output": [call if said is None else message],
        "usage": {"input_tokens": tokens[0], "output_tokens": tokens[1],
                  "total_tokens": sum(tokens), "input_tokens_details": {"cached_tokens": 0},
                  "output_tokens_details": {"reasoning_tokens": 0}},
    }  # fmt: skip
    yield response
    yield {"type": "response.completed", "sequence_number": 0, "response": response}


def _message(said: str | None, tokens: tuple[int, int]) -> Iterator[dict[str, Any]]:
    """Anthropic's message, whole: no bot streams one."""
    call = {"type": "tool_use", "id": "toolu_1", "name": TOOL, "input": {"number": "17"}}
    part = call if said is None else {"type": "text", "text": said}
    yield {
        "id": f"msg_{next(_numbers)}", "type": "message", "role": "assistant", "model": CLAUDE,
        "content": [part], "stop_reason": "tool_use" if said is None else "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": tokens[0], "output_tokens": tokens[1]},
    }  # fmt: skip


_FORMATS: Final = {"/chat/completions": _chat, "/responses": _response, "/messages": _message}


def _answer(path: str, asked: dict[str, Any]) -> Iterator[dict[str, Any]]:
    given = asked.get("messages") or asked.get("input")
    last = given[-1] if isinstance(given, list) else {"content": given}
    after = last.get("role") == "tool" or last.get("type") == "function_call_output"
    said = FOUND if after else None if ASKED in json.dumps(last) else THANKED
    make = next(make for end, make in _FORMATS.items() if path.endswith(end))
    return make(said, AFTER_TOOL if after else FIRST)


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Says nothing."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        whole, *pieces = _answer(self.path, asked)
        kind, body = "application/json", json.dumps(whole)
        if asked.get("stream"):
            kind = "text/event-stream"
            body = "".join(f"data: {json.dumps(one)}\n\n" for one in pieces) + "data: [DONE]\n\n"
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())


@contextmanager
def serving() -> Iterator[str]:
    """Runs the server; gives its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()
