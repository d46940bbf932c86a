"""Runs the tests on every Python that is supported, and on the oldest releases of what is needed.

`python tools/pythons.py` takes the interpreters that this machine has, or that uv can bring, and
says which it could not have. Each has an environment of its own under `.otel-chat/pythons/`, and
half an hour.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
HOME: Final = ROOT / ".otel-chat" / "pythons"
VERSIONS: Final = ("3.11", "3.12", "3.13", "3.14")
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


def environment(name: str, python: str) -> Path:
    """An environment of what the lock says, made with this Python; returns its interpreter."""
    folder = HOME / name
    setup = [python, "tools/setup_venv.py", str(folder), "dev"]
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


def passes(name: str, python: Path, tests: tuple[str, ...]) -> bool:
    """Whether the tests pass there, in time."""
    print(f"pythons: {name}", flush=True)
    command: list[str | Path] = [
        python,
        "-m",
        "pytest",
        "-q",
        "-n",
        "2",
        "--dist",
        "loadfile",
        *tests,
    ]
    command += ["-p", "no:cacheprovider", "-m", "not stack and not browser"]
    if name == "lowest":  # old releases of one library warn of newer ones of another
        command += ["-W", "default::DeprecationWarning"]
    try:
        return subprocess.run(command, cwd=ROOT, check=False, timeout=SECONDS).returncode == 0
    except subprocess.TimeoutExpired:
        print(f"pythons: {name} took more than {SECONDS} s", flush=True)
        return False


def main() -> None:
    """Tries all, or those that are named (`lowest`, `3.14`); ends with 1 where a test fails."""
    wanted = sys.argv[1:]
    HOME.mkdir(parents=True, exist_ok=True)
    told = {}
    for version in VERSIONS:
        if wanted and ("lowest" if version == "3.11" else version) not in wanted:
            continue
        found = interpreter(version)
        if found is None:
            told[version] = "not to be had here, not tried"
        elif version == "3.11":
            good = passes("lowest", lowest(found), (*LIBRARY, *SERVER))
            told["lowest"] = "passed" if good else "FAILED"
        else:
            good = passes(version, environment(version, found), LIBRARY)
            told[version] = "passed" if good else "FAILED"
    for name, result in told.items():
        print(f"pythons: {name}: {result}")
    sys.exit("FAILED" in told.values())


if __name__ == "__main__":
    main()
