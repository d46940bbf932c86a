"""What the owner and what people wrote, as it may leave the process."""

from __future__ import annotations

import json

from otel_chat import privacy
from otel_chat import semconv as sc
from otel_chat._telemetry.runtime import Runtime
from otel_chat._turns.state import TurnState


def redact_metadata(state: TurnState, runtime: Runtime) -> None:
    """Sets the caller's own data, every text in it redacted."""
    if state.metadata:
        written = runtime.redact_json(state.metadata, privacy.redact_mappings)
        state.attributes[sc.METADATA] = written


def redact_messages(state: TurnState, runtime: Runtime) -> None:
    """Sets message and reply, redacted, where content is captured."""
    if not runtime.config.capture_content:
        return
    for key, role, text in (
        (sc.INPUT_MESSAGES, "user", state.user_message),
        (sc.OUTPUT_MESSAGES, "assistant", state.reply),
    ):
        if text is not None:
            state.attributes[key] = _messages(role, runtime.redact(text))


def _messages(role: str, text: str) -> str:
    parts = [{"type": "text", "content": text}]
    return json.dumps([{"role": role, "parts": parts}], ensure_ascii=False, separators=(",", ":"))
