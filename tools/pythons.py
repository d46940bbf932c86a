"""Runs the tests on every Python that is supported, and on the oldest releases of what is needed.

`python tools/pythons.py` takes the interpreters that this machine has, or that uv can bring, and
says which it could not have. Frameworks that do not go together with what `dev.lock` holds are in
`frameworks.lock`. Each has an environment of its own under `.otel-chat/pythons/`, and half an hour.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
HOME: Final = ROOT / ".otel-chat" / "pythons"
VERSIONS: Final = ("3.12", "3.13", "3.14")
NAMES: Final = ("lowest", "frameworks", *VERSIONS)
"""What is tried: 3.11, of which `make test` is, with the oldest releases and with frameworks."""
PARALLEL: Final = ("-n", "2", "--dist", "loadfile")
LIBRARY: Final = ("tests/library",)
SECONDS: Final = 1800
# What stands on the packages whose oldest releases are tried beside the library's.
SERVER: Final = (
    "tests/server/test_api.py",
    "tests/server/test_access.py",
    "tests/server/test_intervals.py",
    "tests/server/test_unanswered.py",
    "tests/server/ingest/test_requests.py",
    "tests/server/pages/test_routes.py",
    "tests/cli/test_commands.py",
)


FRAMEWORKS: Final = (
    "tests/library/integrations/test_chat_pages.py",
    "tests/library/integrations/test_llama_index.py",
)


def interpreter(version: str) -> str | None:
    """A Python of this version: on the PATH, of pyenv, or one that uv brings."""
    versions = Path.home() / ".pyenv" / "versions"
    for candidate in (
        shutil.which(f"python{version}"),
        *map(str, sorted(versions.glob(f"{version}.*/bin/python"))),
    ):
        if candidate and _is(candidate, version):
            return candidate
    uv = str(Path(sys.executable).with_name("uv"))
    subprocess.run([uv, "python", "install", "--quiet", version], check=False, capture_output=True)
    said = subprocess.run(
        [uv, "python", "find", "--quiet", "--managed-python", version],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    return said.stdout.strip() or None


def _is(candidate: str, version: str) -> bool:
    asked = [candidate, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    said = subprocess.run(asked, check=False, capture_output=True, text=True)
    return said.stdout.strip() == version


def environment(name: str, python: str, kind: str = "dev") -> Path:
    """An environment of what a lock says, made with this Python; returns its interpreter."""
    folder = HOME / name
    setup = [python, "tools/setup_venv.py", str(folder), kind]
    subprocess.run(setup, cwd=ROOT, check=True)
    return folder / "bin" / "python"


def lowest(python: str) -> Path:
    """An environment with the oldest release of each dependency that pyproject.toml allows."""
    there = environment("lowest", python)
    command: list[str | Path] = [there.with_name("uv"), "pip", "install", "--quiet"]
    command += [
        "--python",
        there,
        "--no-deps",
        "--require-hashes",
        "--requirement",
        "requirements/lowest.lock",
    ]
    subprocess.run(command, cwd=ROOT, check=True)
    return there


def passes(name: str, python: Path, tests: tuple[str, ...], *more: str) -> bool:
    """Whether the tests pass there, in time."""
    print(f"pythons: {name}", flush=True)
    command: list[str | Path] = [python, "-m", "pytest", "-q", *more, *tests]
    command += ["-p", "no:cacheprovider", "-m", "not stack and not browser"]
    if name in {"lowest", "frameworks"}:  # releases of one library warn of those of another
        command += ["-W", "default::DeprecationWarning"]
    given = os.environ | ({"OTEL_CHAT_REQUIRE": "frameworks"} if name == "frameworks" else {})
    try:
        done = subprocess.run(command, cwd=ROOT, check=False, timeout=SECONDS, env=given)
    except subprocess.TimeoutExpired:
        print(f"pythons: {name} took more than {SECONDS} s", flush=True)
        return False
    return done.returncode == 0


def verdict(name: str) -> str:
    """Tries one of `NAMES`; says what came of it."""
    version = name if name in VERSIONS else "3.11"
    found = interpreter(version)
    if found is None:
        return "not to be had here, not tried"
    if name == "frameworks":  # their warnings of what they left open come when Python ends
        unclosed = ("-W", "default::pytest.PytestUnraisableExceptionWarning")
        good = passes(name, environment(name, found, name), FRAMEWORKS, *unclosed)
    elif name == "lowest":
        good = passes(name, lowest(found), (*LIBRARY, *SERVER), *PARALLEL)
    else:
        good = passes(name, environment(name, found), LIBRARY, *PARALLEL)
    return "passed" if good else "FAILED"


def main() -> None:
    """Tries all of `NAMES`, or those that are named; ends with 1 where a test fails."""
    HOME.mkdir(parents=True, exist_ok=True)
    wanted = sys.argv[1:]
    told = {name: verdict(name) for name in NAMES if not wanted or name in wanted}
    for name, result in told.items():
        print(f"pythons: {name}: {result}")
    sys.exit("FAILED" in told.values())


if __name__ == "__main__":
    main()
