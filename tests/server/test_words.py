"""One word for one thing: the table of docs/words.md, over everything that people read."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from otel_chat.server.app import create_app
from otel_chat.server.settings import ServerSettings
from otel_chat.server.store import Store

ROOT: Final = Path(__file__).parents[2]
WORDS: Final = ROOT / "docs" / "words.md"
QUOTED: Final = {"docs/feature-map.md"}
"""Pages that say what others ask for, in their words."""
PANEL_TEXTS: Final = frozenset({"title", "description", "legendFormat", "displayName", "content"})
API_TEXTS: Final = frozenset({"summary", "description"})
_CODE: Final = re.compile(r"^```.*?^```|`[^`\n]*`|\]\([^)\n]*\)", re.MULTILINE | re.DOTALL)
_NAME: Final = re.compile(r"[a-z0-9_./-]*")
_TEMPLATE: Final = re.compile(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}|<[^>]*>", re.DOTALL)


def unused() -> list[str]:
    """What the table says is not used."""
    rows = [line.split("|") for line in WORDS.read_text("utf-8").splitlines() if line[:2] == "| "]
    return [word.strip() for row in rows[1:] for word in row[3].split(",")]


def found(text: str) -> list[str]:
    """The words of a text that are not used, each as the table has it."""
    one = "|".join(re.escape(word) for word in sorted(unused(), key=len, reverse=True))
    return re.findall(rf"(?<![\w-])(?:{one})(?![\w-])", " ".join(text.split()), re.IGNORECASE)


def texts(value: Any, keys: frozenset[str], key: str = "") -> Iterator[str]:
    """The texts that stand under some keys, however deep."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from texts(inner, keys, name)
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner, keys, key)
    elif isinstance(value, str) and key in keys:
        yield value


def labels(path: Path) -> Iterator[str]:
    """The texts of a module, but for its docstrings and names."""
    tree = ast.parse(path.read_text("utf-8"))
    said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        text = node.value if isinstance(node, ast.Constant) else None
        if isinstance(text, str) and id(node) not in said and not _NAME.fullmatch(text):
            yield text


def test_the_table_is_read() -> None:
    """Each synonym stands once, and is none of the words that are used."""
    every = unused()
    assert len(every) == len(set(every)) > 40
    assert found("Escalations are no latency,\nand user\n goals no deflection-rate.") == ["latency"]


@pytest.mark.parametrize(
    "path",
    [path for path in sorted(ROOT.glob("docs/**/*.md")) if path != WORDS] + [ROOT / "README.md"],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_the_documentation_says_each_thing_by_its_word(path: Path) -> None:
    """But for code, addresses, and pages that quote others."""
    if str(path.relative_to(ROOT)) not in QUOTED:
        assert found(_CODE.sub(" ", path.read_text("utf-8"))) == []


@pytest.mark.parametrize(
    "path",
    sorted(ROOT.glob("otel_chat/server/pages/templates/*.html")),
    ids=lambda path: path.name,
)
def test_templates_say_each_thing_by_its_word(path: Path) -> None:
    """What a reader sees of them."""
    assert found(_TEMPLATE.sub(" ", path.read_text("utf-8"))) == []


@pytest.mark.parametrize(
    "path", sorted(ROOT.glob("otel_chat/server/pages/*.py")), ids=lambda path: path.name
)
def test_pages_say_each_thing_by_its_word(path: Path) -> None:
    """Labels, questions and notes."""
    assert [word for text in labels(path) for word in found(text)] == []


@pytest.mark.parametrize(
    "path", sorted(ROOT.glob("grafana/dashboards/*.json")), ids=lambda path: path.name
)
def test_dashboards_say_each_thing_by_its_word(path: Path) -> None:
    """Titles, descriptions, legends and texts."""
    dashboard = json.loads(path.read_text("utf-8"))
    assert [word for text in texts(dashboard, PANEL_TEXTS) for word in found(text)] == []


def test_the_api_says_each_thing_by_its_word(store: Store) -> None:
    """Summaries and descriptions, but for the addresses of others' documents, and no code's."""
    described = create_app(store, ServerSettings(port=0)).openapi()
    assert "Raises:" not in json.dumps(described["paths"])
    assert {
        (text, *found(text)) for text in texts(described, API_TEXTS) if found(_CODE.sub(" ", text))
    } == set()
