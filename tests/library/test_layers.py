"""Who may import the SDK: a rule that import-linter cannot state of a namespace package."""

from __future__ import annotations

import ast
from pathlib import Path

import otel_chat

ROOT = Path(otel_chat.__file__).parent
ALLOWED = ("_sdk/", "testing/", "replay/", "demo/", "server/")


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
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
