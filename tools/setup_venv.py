"""Makes the virtual environment from the lock file; says what is wrong where something is."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

NEEDED_BYTES = 3 * 1024**3


def fail(what: str, fix: str) -> None:
    sys.exit(f"setup: {what}\n       {fix}")


def main(folder: Path) -> None:
    if sys.version_info < (3, 11):  # noqa: UP036 - the point is to say so clearly
        fail(
            f"Python 3.11 or newer is needed, this is {sys.version.split()[0]}.",
            "Install one and run: make setup PYTHON=python3.11",
        )
    python = folder / "bin" / "python"
    fresh = not python.exists()
    if fresh and (free := shutil.disk_usage(Path.cwd()).free) < NEEDED_BYTES:
        fail(
            f"{free // 1024**2} MiB are free on this disk, the environment needs "
            f"{NEEDED_BYTES // 1024**2} MiB.",
            "Free some space, or clone to another disk.",
        )
    if fresh:
        print("setup: making the virtual environment (once, about a minute)", flush=True)
        made = subprocess.run([sys.executable, "-m", "venv", str(folder)], check=False)
        if made.returncode:
            fail("venv could not be made.", "On Debian and Ubuntu: apt-get install python3-venv")
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    for step in (
        ["--require-hashes", "--requirement", "requirements.lock"],
        ["--no-deps", "--no-build-isolation", "--editable", "."],
    ):
        if subprocess.run([*pip, *step], check=False).returncode:
            fail("pip could not install the packages (see above).", "Mend that and run it again.")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
