"""What the rooms of the package promise, as far as import-linter cannot state it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import otel_chat

ROOT = Path(otel_chat.__file__).parent
ALLOWED = ("_sdk/", "testing/", "replay/", "demo/", "server/")


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def test_only_setup_and_the_tools_around_it_import_the_sdk() -> None:
    """What runs in a handler's process stands on the API alone."""
    found = [
        path.relative_to(ROOT).as_posix()
        for path in sorted(ROOT.rglob("*.py"))
        if any(
            n.startswith(("opentelemetry.sdk", "opentelemetry.exporter")) for n in imported(path)
        )
    ]
    assert "_sdk/setup.py" in found
    assert [name for name in found if not name.startswith(ALLOWED)] == []


def test_every_room_says_at_its_door_what_lives_there() -> None:
    """Its `__init__` has a docstring, and the page on the architecture names it."""
    page = (ROOT.parent / "docs" / "architecture.md").read_text()
    rooms = [door.parent for door in ROOT.rglob("__init__.py") if "server" not in door.parts]
    silent = [room.name for room in rooms if not ast.get_docstring(_tree(room / "__init__.py"))]
    assert silent == []
    tops = {room.name for room in rooms if room.parent == ROOT}
    assert {name for name in tops if f"`{name}/`" not in page} == set()


def test_nothing_that_users_import_has_a_private_name() -> None:
    """Documents and examples name public rooms and modules only."""
    places = [ROOT.parent / "README.md", *(ROOT.parent / "docs").glob("*.md")]
    places += (ROOT.parent / "examples").rglob("*.py")
    named = {
        (place.name, found)
        for place in places
        for found in re.findall(r"(?:from|import) (otel_chat\S*\._\S+)", place.read_text())
    }
    assert named == set()


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())
