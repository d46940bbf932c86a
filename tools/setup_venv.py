"""Makes the virtual environment hold exactly what a lock file says; does nothing where it does.

`python tools/setup_venv.py .venv demo` is enough for the demo, `... .venv dev` adds the rest.
The standard library alone: it runs before anything is installed. No resolver runs either: a lock
file is whole, so the newest releases of the day change nothing.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

LOCKS: Final = Path("requirements")
NEEDED_BYTES: Final = {
    "demo": 3 * 1024**3 // 2,
    "dev": 5 * 1024**3 // 2,
    "frameworks": 3 * 1024**3 // 2,
}


def fail(what: str, fix: str) -> None:
    """Ends with a message of two lines."""
    sys.exit(f"setup: {what}\n       {fix}")


def digest(kind: str) -> str:
    """Changes with every file that says what the environment holds."""
    told = hashlib.sha256()
    for path in (
        LOCKS / f"{kind}.lock",
        LOCKS / "uv.lock",
        Path("pyproject.toml"),
        Path(__file__),
    ):
        told.update(path.read_bytes())
    return told.hexdigest()


def make(folder: Path, kind: str) -> None:
    """Makes an empty environment."""
    if sys.version_info < (3, 11):  # noqa: UP036 - the point is to say so clearly
        fail(
            f"Python 3.11 or newer is needed, this is {sys.version.split()[0]}.",
            "Install one and run: make setup PYTHON=python3.11",
        )
    if (free := shutil.disk_usage(Path.cwd()).free) < NEEDED_BYTES[kind]:
        fail(
            f"{free // 1024**2} MiB are free on this disk, the environment needs "
            f"{NEEDED_BYTES[kind] // 1024**2} MiB.",
            "Free some space, or clone to another disk.",
        )
    print("setup: making the virtual environment (once, less than a minute)", file=sys.stderr)
    if subprocess.run([sys.executable, "-m", "venv", str(folder)], check=False).returncode:
        fail("venv could not be made.", "On Debian and Ubuntu: apt-get install python3-venv")


def install(folder: Path, kind: str) -> None:
    """Brings uv with pip, and everything else with uv."""
    binaries = folder / "bin"
    pip = [str(binaries / "python"), "-m", "pip", "--disable-pip-version-check", "install"]
    uv = [str(binaries / "uv"), "pip"]
    into = ["--quiet", "--python", str(binaries / "python")]
    pinned = ["--no-deps", "--require-hashes", "--requirement", str(LOCKS / "uv.lock")]
    for command in (
        [*pip, "--quiet", *pinned],
        [*uv, "sync", *into, "--require-hashes", str(LOCKS / f"{kind}.lock")],
        [*uv, "install", *into, "--no-deps", "--no-build-isolation", "--editable", "."],
    ):
        if subprocess.run(command, check=False).returncode:
            fail("the packages could not be installed (see above).", "Mend that, run it again.")


def main(folder: Path, kind: str) -> None:
    """Brings the environment up to date.

    Args:
        folder: Where it is, or is to be.
        kind: `demo`, or `dev`, which holds what `demo` does; `frameworks`.
    """
    stamp = folder / ".installed"
    there = json.loads(stamp.read_text()) if stamp.is_file() else {}
    if "dev" in there:
        kind = "dev"
    if there.get(kind) == digest(kind):
        return
    if not (folder / "bin" / "python").exists():
        make(folder, kind)
    stamp.unlink(missing_ok=True)
    install(folder, kind)
    stamp.write_text(json.dumps({kind: digest(kind)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
