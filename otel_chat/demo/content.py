"""What the bot knows: the texts and tables shipped in `otel_chat/demo/data/`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

_DATA: Final = "data"


@dataclass(frozen=True, slots=True)
class Article:
    """One FAQ article.

    Args:
        id: A short name, stable.
        topic: What conversations about it are filed under.
        title: Its heading.
        text: A few sentences.
    """

    id: str
    topic: str
    title: str
    text: str


def read(name: str) -> str:
    """The text of a shipped file, by its name.

    Args:
        name: A file name in `otel_chat/demo/data/`.

    Raises:
        FileNotFoundError: when there is no such file.

    Example:
        >>> read("faq.json")[0]
        '['
    """
    return (files("otel_chat.demo") / _DATA / name).read_text(encoding="utf-8")


def _load(name: str) -> Any:
    return json.loads(read(name))


@cache
def phrases() -> dict[str, tuple[str, ...]]:
    """The training phrases by intent.

    Example:
        >>> len(phrases()) >= 15 and min(len(p) for p in phrases().values()) >= 25
        True
    """
    return {intent: tuple(said) for intent, said in _load("phrases.json").items()}


@cache
def articles() -> tuple[Article, ...]:
    """The FAQ articles.

    Example:
        >>> articles()[0].topic
        'shipping'
    """
    return tuple(Article(**fields) for fields in _load("faq.json"))


@cache
def replies() -> dict[str, str]:
    """The reply templates by name, with `{placeholders}`.

    Example:
        >>> replies()["ask_order"].endswith("?")
        True
    """
    return dict(_load("replies.json"))


def orders() -> dict[str, Any]:
    """The rows of the order book: `carriers` and `orders`.

    Example:
        >>> sorted(orders())
        ['carriers', 'orders']
    """
    loaded: dict[str, Any] = _load("orders.json")
    return loaded


def samples() -> list[dict[str, Any]]:
    """The sample conversations, each with `name`, `channel` and `steps`.

    Example:
        >>> len(samples()) >= 40
        True
    """
    loaded: list[dict[str, Any]] = _load("samples.json")
    return loaded


def story() -> list[dict[str, Any]]:
    """The conversations about one carrier's parcels, as `samples()` has them.

    With `if_failed`: what the user does once a reply has failed.

    Example:
        >>> all("if_failed" in told for told in story())
        True
    """
    loaded: list[dict[str, Any]] = _load("story.json")
    return loaded


def tour() -> list[dict[str, str]]:
    """The steps by which the pages lead to the fault of the story.

    Example:
        >>> len(tour())
        5
    """
    loaded: list[dict[str, str]] = _load("tour.json")
    return loaded


def prices() -> dict[str, dict[str, float]]:
    """The declared prices by model, in US dollars for a million tokens.

    They are the demo's own, so that costs have a source (`local`); no provider charges them.

    Example:
        >>> sorted(prices()["otel-chat-demo-composer"])
        ['input', 'output']
    """
    models: dict[str, dict[str, float]] = _load("prices.json")["models"]
    return models
