"""Which results the delivery thread reads itself: those that run no code of somebody else's."""

# ruff: noqa: D101, D102 - classes are named after what is special about them

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import anthropic.types
import openai.types.chat
import pydantic
import pytest

from otel_chat import chat_handler, current_turn
from otel_chat import semconv as sc
from otel_chat._telemetry.workers import Reader
from otel_chat.extract import is_data
from otel_chat.testing import Telemetry

COMPLETION = {
    "id": "c-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o-mini",
    "choices": [
        {
            "index": 0,
            "finish_reason": "stop",
            "logprobs": None,
            "message": {"role": "assistant", "content": "Hello."},
        }
    ],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
}


class Plain:
    kind = "answer"

    def __init__(self, **held: object) -> None:
        for name, value in held.items():
            setattr(self, name, value)

    def to_dict(self) -> dict[str, object]:
        return dict(self.__dict__)


class Asked(Plain):
    def __getattr__(self, name: str) -> object:
        raise AssertionError(name)


class Intercepted(Plain):
    def __getattribute__(self, name: str) -> object:
        raise AssertionError(name)


class WithProperty(Plain):
    @property
    def choices(self) -> list[object]:
        raise AssertionError


class WithSlots:
    __slots__ = ("choices",)


class Called(Plain):
    def usage(self) -> object:
        raise AssertionError


class Compared(Plain):
    def __eq__(self, other: object) -> bool:
        raise AssertionError

    __hash__ = None  # type: ignore[assignment]


class Measured(Plain):
    def __len__(self) -> int:
        raise AssertionError


class Disguised(Plain):
    @property
    def __class__(self) -> Any:  # type: ignore[override]
        raise AssertionError


class Held(Plain):
    choices = MagicMock()


class OwnFields(Plain):
    @property
    def __dict__(self) -> Any:  # type: ignore[override]
        raise AssertionError


class Unhashable(type):
    def __hash__(cls) -> int:
        raise TypeError


class OfUnhashable(metaclass=Unhashable):
    pass


class Listed(list[object]):
    def __getitem__(self, place: object) -> Any:
        raise AssertionError


class Reason(Enum):
    STOP = "stop"


class Answer(pydantic.BaseModel, extra="allow"):
    text: str = "Hello."
    _secret: object = pydantic.PrivateAttr(default=None)


@dataclass
class Comparable:
    text: str = "Hello."


CYCLE: list[object] = []
CYCLE.append(CYCLE)
WITH_PRIVATE = Answer()
WITH_PRIVATE._secret = MagicMock()
DATA: dict[str, object] = {
    "text": "Hello.",
    "dictionary": COMPLETION,
    "namespace": SimpleNamespace(choices=[SimpleNamespace(text="Hello.")]),
    "class": Plain(usage=Plain(tokens=3)),
    "openai": openai.types.chat.ChatCompletion.model_validate(COMPLETION),
    "openai, not checked": openai.types.chat.ChatCompletion.construct(**COMPLETION),  # type: ignore[arg-type]
    "anthropic": anthropic.types.Message.construct(id="m-1", content=[{"type": "text"}]),
    "extra field": Answer(more=[1]),  # type: ignore[call-arg]
}
OTHERS: dict[str, object] = {
    "mock": MagicMock(),
    "inside": SimpleNamespace(choices=[MagicMock()]),
    "key": {MagicMock(): 1},
    "__getattr__": Asked(),
    "__getattribute__": Intercepted(),
    "property": WithProperty(),
    "slots": WithSlots(),
    "usage()": Called(),
    "__eq__": Compared(),
    "generated __eq__": Comparable(),
    "__len__": Measured(),
    "__class__": Disguised(),
    "__dict__": OwnFields(),
    "class attribute": Held(),
    "metaclass": OfUnhashable(),
    "list": Listed([1]),
    "enumeration": Reason.STOP,
    "exception": ValueError("no"),
    "iterator": iter([1]),
    "cycle": CYCLE,
    "extra field": Answer(more=MagicMock()),  # type: ignore[call-arg]
    "private field": WITH_PRIVATE,
}


@pytest.mark.parametrize("name", DATA)
def test_what_is_stored_is_data(name: str) -> None:
    """Whatever a client answers with that holds values alone."""
    assert is_data(DATA[name])


@pytest.mark.parametrize("name", OTHERS)
def test_what_may_run_code_is_none(name: str) -> None:
    """Anything whose reading may call a function of somebody else's."""
    assert not is_data(OTHERS[name])


def test_more_than_the_limit_is_none() -> None:
    """So that to find out takes no longer than it is worth."""
    assert is_data([1] * 9, limit=9)
    assert not is_data([1] * 10, limit=9)


def test_an_answer_of_a_client_is_read_without_another_thread(
    telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To hand it over and to wait costs several times what reading takes."""
    handed_over: list[object] = []

    class Noting(Reader):
        def read(self, value: object, function: Callable[..., Any], *more: object) -> Any:
            handed_over.append(value)
            return super().read(value, function, *more)

    monkeypatch.setattr("otel_chat._turns.model_results.reader", Noting())

    @chat_handler(agent="support")
    def handler(answer: object) -> str:
        current_turn().result(answer)
        return "Hello."

    other = WithProperty(id="r-1")
    handler(DATA["openai"])
    handler(other)
    first, second = telemetry.turns
    assert first.attributes[sc.USAGE_INPUT_TOKENS] == 3
    assert sc.USAGE_INPUT_TOKENS not in second.attributes
    assert handed_over == [other]
