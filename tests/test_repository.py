"""The repository's own rules: what a reader may rely on everywhere."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def python_files() -> list[Path]:
    return tracked("*.py")


def functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    tree = ast.parse(path.read_text())
    return [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]


@pytest.mark.parametrize("path", tracked("tests/**/test_*.py", "tests/test_*.py"), ids=str)
def test_every_test_says_which_behaviour_it_shows(path: Path) -> None:
    """A test without a docstring, or with one of a word or two, fails here."""
    silent = [
        f.name
        for f in functions(path)
        if f.name.startswith("test_") and len((ast.get_docstring(f) or "").split()) < 4
    ]
    assert silent == []


def test_modules_and_functions_stay_short() -> None:
    """A module of the product has at most 800 lines, a function at most 60."""
    product = [p for p in python_files() if p.is_relative_to(ROOT / "otel_chat")]
    long_modules = {str(p): n for p in product if (n := len(p.read_text().splitlines())) > 800}
    long_functions = {
        f"{p}:{f.name}": n
        for p in product
        for f in functions(p)
        if (n := (f.end_lineno or 0) - f.lineno) > 60
    }
    assert long_modules == {}
    assert long_functions == {}


def test_tests_do_not_sleep() -> None:
    """Tests poll with a bound; `time.sleep` and `asyncio.sleep(n)` with n > 0 are not there."""
    sleepers = [
        str(path)
        for path in python_files()
        if path.is_relative_to(ROOT / "tests")
        and re.search(r"time\.sleep\(|asyncio\.sleep\((?!0\))", path.read_text())
        and path != Path(__file__)
    ]
    assert sleepers == []


def test_the_lock_file_pins_with_hashes_and_names_no_registry() -> None:
    """Every pin has a hash, and no address of a registry stands in the lock file."""
    lock = (ROOT / "requirements.lock").read_text()
    pins = re.findall(r"^[\w.\-\[\]]+==\S+.*\\$", lock, re.MULTILINE)
    assert len(pins) > 50
    assert "http" not in re.sub(r"^\s*#.*$|^[\w.\-]*http\S*", "", lock, flags=re.MULTILINE)
    for block in re.split(r"\n(?=\S)", lock.strip()):
        assert "--hash=sha256:" in block, block


def test_every_direct_dependency_is_explained() -> None:
    """`docs/dependencies.md` names every package that pyproject.toml asks for."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    asked = [*project["project"]["dependencies"]]
    for extra in project["project"]["optional-dependencies"].values():
        asked += extra
    asked += project["dependency-groups"]["dev"]
    names = {re.split(r"[<>=\[;]", item)[0].strip() for item in asked} - {"otel-chat"}
    explained = (ROOT / "docs" / "dependencies.md").read_text()
    assert {n for n in names if n not in explained} == set()


def test_relative_links_in_the_documentation_lead_somewhere() -> None:
    """Every relative link and picture of every Markdown file exists."""
    broken = [
        f"{page.relative_to(ROOT)} -> {target}"
        for page in tracked("*.md")
        for target in re.findall(r"\]\((?!https?://|#|mailto:)([^)#\s]+)", page.read_text())
        if not (page.parent / target).exists()
    ]
    assert broken == []
