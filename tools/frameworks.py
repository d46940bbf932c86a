"""Writes docs/frameworks.md, from the bots that tests/foreign records and what becomes of them.

python tools/frameworks.py
"""

from __future__ import annotations

import ast
import json
from collections.abc import Collection
from pathlib import Path
from typing import Final

from tests.foreign import expected
from tests.foreign.record import DECORATED, FOLDER, INSTRUMENTED, INTEGRATED, PACKAGES, RECORDINGS
from tools.reference import table

PAGE: Final = Path(__file__).parent.parent / "docs" / "frameworks.md"
_INTRODUCTION: Final = """\
# Frameworks

What to switch on so that turns of a framework's bot have their tokens, model, texts and tools. \
This page is made by `python tools/frameworks.py` from `tests/foreign/`: each bot below was run \
with the packages that are named, its spans were recorded, and a test compares what the analytics \
server makes of them. `python -m tests.foreign.record NAME` records a bot anew, with the newest \
versions.

## Bots without our decorators

They need a tracer provider that sends to the server (`OTEL_EXPORTER_OTLP_ENDPOINT`), the lines \
below, and a conversation's id. Each holds the same conversation: a question that takes a tool, \
and thanks.

"""
_INTEGRATED: Final = """\
## Bots with an integration of ours

After `otel_chat.setup(endpoint="http://127.0.0.1:8400", capture_content=True)` a few lines make \
each of these a conversation; no other instrumentation is needed. An integration inside a \
decorated handler adds its calls to the handler's turn.

"""
_DECORATED: Final = """\
## Chats that need no more than the decorator

These frameworks call a function for each message: `@chat_handler` stands on it, beneath the \
framework's own decorator, and needs nothing else. A handler that sends its reply itself returns \
it, too. (Or it calls `current_turn().reply(...)`.) The model is in all of them, as `model.py`:

"""
_INSTRUMENTED: Final = """\
## Instrumentations of providers beside our decorators

They may stay: a call that the instrumentation of its client tells of, too, counts once, with its \
tokens and cost and in Dependencies, because its spans hang beneath ours and the answer has one \
id. Without `@model_call` theirs are the turn's model calls. Anthropic's client tells of its calls \
by itself as well.

"""
_BESIDE: Final = """\
Costs are the server's by its prices, where no span tells one. A handler of ours around such a \
bot makes the turn itself and sums up the spans beneath it: nothing counts twice.

## Results and streams

With `@chat_handler` or `@model_call` usage, model and reply are read from what is returned or \
streamed. What has to be switched on for it:

"""
_SWITCHES: Final = (
    ("OpenAI chat completions, streamed", '`stream_options={"include_usage": True}`'),
    ("OpenAI responses, Agents SDK", "nothing"),
    ("LangChain `ChatOpenAI`, streamed", "`stream_usage=True` with a `base_url` of your own"),
    (
        "LangGraph",
        'nothing: each `stream_mode`, subgraphs, `version="v2"`, `astream_events` are read',
    ),
    ("Pydantic AI", "nothing"),
    (
        "LlamaIndex with OpenAI, streamed",
        '`additional_kwargs={"stream_options": {"include_usage": True}}`; stream agents with tools',
    ),
    ("Mistral chat and conversations", "nothing"),
    ("Cohere, versions 1 and 2", "nothing; the model is not named: `@model_call(model)`"),
    ("Ollama", "nothing; a prompt that it still holds is not counted"),
    ("Hugging Face text generation", "`details=True`; the model is not named"),
    ("Rasa, Dialogflow, Azure CLU, Amazon Lex", "nothing: intent, confidence and fallback"),
)


def title(bot: str) -> str:
    """What a bot is made with, as its module says."""
    return (ast.get_docstring(_module(bot)) or "").rstrip(".")


def code(bot: str) -> str:
    """The lines that a user writes."""
    text = (FOLDER / "bots" / f"{bot}.py").read_text(encoding="utf-8")
    first = _module(bot).body[1].lineno
    return "\n".join(text.splitlines()[first - 1 :]).replace("from tests.foreign.bots.", "from ")


def _module(bot: str) -> ast.Module:
    return ast.parse((FOLDER / "bots" / f"{bot}.py").read_text(encoding="utf-8"))


def packages(bot: str) -> str:
    """What a bot was recorded with."""
    recorded = json.loads((RECORDINGS / f"{bot}.json").read_text(encoding="utf-8"))
    return ", ".join(f"{name} {version}" for name, version in recorded["packages"].items())


def appears(bot: str) -> str:
    """What a test holds of a bot's turns."""
    first, *_ = expected.turns(bot)
    named = "asked" if first["model"] == expected.ASKED_MODEL else "that answered"
    tool = ", tool" if expected.tools(bot) else ""
    return f"agent, provider, status, tokens, cost, model {named}, texts{tool}"


def bots(names: Collection[str]) -> str:
    """A table of bots, and the lines of each."""
    rows = [(title(bot), packages(bot), appears(bot)) for bot in names]
    parts = [f"### {title(bot)}\n\n```python\n{code(bot)}\n```\n" for bot in names]
    return f"{table(('bot', 'recorded with', 'what appears'), rows)}\n" + "\n".join(parts)


def page() -> str:
    """The page."""
    switches = table(("what is returned or streamed", "what to switch on"), _SWITCHES)
    model = f"```python\n{code('model')}\n```\n\n"
    parts = (
        f"{_INTRODUCTION}{bots(PACKAGES)}",
        f"{_INTEGRATED}{bots(INTEGRATED)}",
        f"{_DECORATED}{model}{bots(DECORATED)}",
        f"{_INSTRUMENTED}{bots(INSTRUMENTED)}",
        f"{_BESIDE}{switches}",
    )
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
