"""Frameworks that show a chat, the real packages where they are installed, with our decorator."""

from __future__ import annotations

import contextlib
import importlib
import itertools
import sys
from typing import TYPE_CHECKING

import pytest

from otel_chat.testing import assert_turn
from tests import requirements
from tests.foreign import expected, provider
from tests.foreign.record import answering
from tests.library.integrations.texts import texts
from tests.waiting import until

if TYPE_CHECKING:
    from otel_chat.testing import Telemetry

NEEDED = {
    "slack_bolt": ("slack_bolt",),
    "sse_starlette": ("sse_starlette",),
    "socketio_chat": ("socketio", "requests"),
    "socketio_aiohttp": ("socketio", "requests", "aiohttp"),
    "gradio_chat": ("gradio",),
    "chainlit_chat": ("chainlit",),
}


@pytest.fixture(scope="module", autouse=True)
def imported_before_any_serves() -> None:
    """Python 3.11 up to 3.11.7 can fail to parse a module while other threads collect garbage.

    https://github.com/python/cpython/issues/106905
    """
    for module in itertools.chain.from_iterable(NEEDED.values()):
        with contextlib.suppress(ImportError):
            importlib.import_module(module)


@pytest.mark.parametrize("bot", NEEDED)
def test_each_message_is_a_turn(
    keeping_texts: Telemetry, bot: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its conversation, texts and the model's tokens; the user has the reply as ever."""
    requirements.frameworks(*NEEDED[bot])
    for name in (f"tests.foreign.bots.{bot}", "tests.foreign.bots.model"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    importlib.invalidate_caches()
    with provider.serving() as url:
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        with answering(bot) as answer:
            for text in (expected.HELLO, expected.THANKS):
                assert answer(text, "s-1") == provider.THANKED
            turns = until(lambda: len(keeping_texts.turns) == 2 and keeping_texts.turns)
    for turn, text in zip(turns, (expected.HELLO, expected.THANKS), strict=True):
        told = {"agent": "support", "conversation_id": "s-1", "status": "ok"}
        used = dict(zip(("input_tokens", "output_tokens"), provider.FIRST, strict=True))
        assert_turn(turn, **told, **used, model=provider.MODEL)
        assert texts(turn) == (text, provider.THANKED)
