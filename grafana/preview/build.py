"""Builds the page that draws dashboards, when its sources have changed."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
DIST: Final = HERE / "dist"
SOURCES: Final = ("package-lock.json", "tsconfig.json", "vite.config.mjs", "index.html", "src/*")


class BuildError(Exception):
    """The page could not be built."""


def key() -> str:
    """What the page is built of, as a hash."""
    digest = hashlib.sha256()
    for pattern in SOURCES:
        for path in sorted(HERE.glob(pattern)):
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def build() -> Path:
    """The folder of the built page.

    Raises:
        BuildError: npm is missing, or it failed; with its last words.
    """
    stamp = DIST / "key"
    wanted = key()
    if stamp.is_file() and stamp.read_text() == wanted:
        return DIST
    # What is installed beside Python comes first: it is there where the system's is too old.
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    npm = shutil.which("npm", path=path)
    if npm is None:
        raise BuildError(
            "npm is needed to build the preview: Node.js 20 or newer, or what"
            " requirements/toolchains.lock brings."
        )
    for command in (["ci"], ["run", "build"]):
        done = subprocess.run(  # noqa: S603 - npm itself, found on the PATH
            [npm, *command],
            cwd=HERE,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            said = "\n".join((done.stdout + done.stderr).splitlines()[-20:])
            raise BuildError(f"npm {' '.join(command)} failed:\n{said}")
    stamp.write_text(wanted)
    return DIST


if __name__ == "__main__":
    try:
        build()
    except BuildError as error:
        sys.exit(f"preview: {error}")
