"""What is said where a part is not installed: by every command, under every extra."""

from __future__ import annotations

import importlib.metadata
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from otel_chat._common import extras

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EMBEDDED, SERVED = "chdb:./never-made", "clickhouse://127.0.0.1:1/chat"
# Where nothing is missing a command goes on to something that fails at once, and is said.
WORDS = {
    "--help": (),
    "serve": ("server", "embedded"),
    f"serve --store {SERVED}": ("server",),
    f"serve --store={SERVED}": ("server",),
    "migrate": ("server", "embedded"),
    "migrate --show": ("server",),
    "demo --port 1": ("demo",),
    "replay none.jsonl --server http://127.0.0.1:1": ("demo",),
    f"replay none.jsonl --store {EMBEDDED}": ("demo",),
    "doctor --endpoint none-of-these": ("cli", "sdk"),
    "trace c-1 --server http://127.0.0.1:1": ("cli",),
    "erase --user u --server http://127.0.0.1:1": ("cli",),
    "export sessions -o x --server http://127.0.0.1:1": ("cli",),
    "report --server http://127.0.0.1:1": ("cli",),
    "token list --server http://127.0.0.1:1": ("cli",),
    f"token list --store {EMBEDDED}": ("server", "embedded"),
    f"token create x --scope admin --tenant a --store {EMBEDDED}": ("server", "embedded"),
    f"token revoke x --store {SERVED}": ("server",),
}
RUN = """
import contextlib, io, json, runpy, sys, traceback, warnings

class Missing:
    hidden = tuple(json.loads(sys.argv[1]))

    def find_spec(self, name, path=None, target=None):
        if name.startswith(tuple(f"{one}." for one in self.hidden)) or name in self.hidden:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

warnings.simplefilter("ignore")  # runpy's, of a module that is there already
sys.meta_path.insert(0, Missing())
said = {}
for line in json.loads(sys.argv[2]):
    sys.argv = ["otel-chat", *line.split()]
    out, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        try:
            runpy.run_module("otel_chat.cli", run_name="__main__")
            code = 0
        except SystemExit as end:
            code = end.code
        except BaseException:
            code = traceback.format_exc()
    said[line] = [code, errors.getvalue()]
print(json.dumps(said))
"""


def brought(extra: str) -> set[str]:
    """An extra and those that it brings along, as pyproject.toml says."""
    found = {extra}
    for asked in PROJECT["optional-dependencies"].get(extra, ()):
        for inner in re.findall(r"^otel-chat\[([^]]+)\]", asked):
            found |= set().union(*(brought(one) for one in inner.split(",")))
    return found


def run_without(extra: str, lines: list[str], cwd: Path) -> dict[str, Any]:
    there = brought(extra)
    shown = {module for one in there for module in extras.MODULES.get(one, ())}
    hidden = {m for one, modules in extras.MODULES.items() if one not in there for m in modules}
    arguments = [json.dumps(sorted(hidden - shown)), json.dumps(lines)]
    done = subprocess.run(
        [sys.executable, "-c", RUN, *arguments], cwd=cwd, capture_output=True, text=True, check=True
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("extra", ["core", *PROJECT["optional-dependencies"]])
def test_every_command_says_all_that_it_lacks(extra: str, tmp_path: Path) -> None:
    """Under each extra alone: the missing ones and one command that brings them; no traceback."""
    # What has all that it needs is run by other tests.
    lines = {
        line: needs
        for line, needs in WORDS.items()
        if not brought(extra).issuperset(needs or ("cli",))
    }
    said = run_without(extra, list(lines), tmp_path)
    for line, needs in lines.items():
        code, errors = said[line]
        lacking = [one for one in needs or ("cli",) if one not in brought(extra)]
        told = errors if code == 1 else str(code)
        assert told.startswith("Error: otel-chat"), (line, code, errors)
        assert f"pip install 'otel-chat[{','.join(lacking)}]'" in told, (line, told)
        assert ("not installed" in told, len(told.splitlines())) == (True, 1), (line, told)
    assert list(tmp_path.iterdir()) == []


def test_the_extras_are_those_of_the_project() -> None:
    """Each package that an extra asks for is looked for under it, by a module that it brings."""
    assert set(extras.MODULES) == set(PROJECT["optional-dependencies"])
    for extra, asked in PROJECT["optional-dependencies"].items():
        brought_along = set().union(*(brought(one) for one in extras._BRINGS.get(extra, ())))
        assert brought(extra) == {extra} | brought_along
        paths = [module.replace(".", "/") for module in extras.MODULES[extra]]
        for package in (re.split(r"[<>=\[;~! ]", one)[0] for one in asked):
            # Without prices an application is told so once, and goes on
            if package not in {"otel-chat", "genai-prices"}:
                assert any(provides(package, path) for path in paths), (extra, package)


def provides(package: str, path: str) -> bool:
    """Whether a module is of a package, or of one that it brings."""
    asked = importlib.metadata.requires(package) or []
    plain = [re.split(r"[<>=\[;~! ]", one)[0] for one in asked if "extra ==" not in one]
    for name in (package, *plain):
        try:
            files = importlib.metadata.files(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        if any(str(file).startswith((f"{path}/", f"{path}.")) for file in files):
            return True
    return False


LIBRARY = """
import sys
sys.modules["opentelemetry.sdk"] = None
import otel_chat
assert hasattr(otel_chat, "setup")
for asked in ("otel_chat.setup()", "import otel_chat.testing"):
    try:
        exec(asked)
    except otel_chat.ConfigurationError as error:
        assert isinstance(error, ImportError)
        print(error)
"""


def test_setup_and_testing_say_what_they_need() -> None:
    """Without the SDK both name the extra; the name `setup` is there all the same."""
    done = subprocess.run(
        [sys.executable, "-c", LIBRARY], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split(" needs the extra sdk")[0] for line in lines] == [
        "otel_chat.setup()",
        "otel_chat.testing",
    ]
    assert all("pip install 'otel-chat[sdk]'" in line for line in lines)
