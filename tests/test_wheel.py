"""The wheel: builds, installs into an empty environment, and runs there with the core alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HANDLER = """
import sys
import otel_chat

@otel_chat.chat_handler(agent="support", conversation_id="session")
def answer(session, text):
    otel_chat.current_turn().intent("greeting", 0.9)
    return text.upper()

assert answer("c1", "hello") == "HELLO"
assert "opentelemetry.sdk" not in sys.modules
print(otel_chat.__version__)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, ROOT],
        check=True,
        capture_output=True,
    )
    return next(out.glob("*.whl"))


def test_the_core_runs_in_an_empty_environment(wheel: Path, tmp_path: Path) -> None:
    """With nothing but opentelemetry-api a decorated handler works, and no SDK is asked for."""
    venv.create(tmp_path / "env")
    python = tmp_path / "env" / "bin" / "python"
    environment = {
        k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "OTEL_CHAT_RAISE"}
    }
    uv = [Path(sys.executable).with_name("uv"), "pip"]
    pinned = ["--constraint", ROOT / "requirements" / "dev.lock", wheel]
    subprocess.run([*uv, "install", "--quiet", "--python", python, *pinned], check=True)
    listed = subprocess.run(
        [*uv, "list", "--python", python, "--format=json"],
        check=True,
        capture_output=True,
        text=True,
    )
    installed = {package["name"] for package in json.loads(listed.stdout)}
    ran = subprocess.run(
        [python, "-W", "error", "-c", HANDLER],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert installed == {"otel-chat", "opentelemetry-api", "typing-extensions"}
    assert ran.stdout.strip()
    # Nobody takes what is recorded, which is said once and breaks nothing.
    assert (
        ran.stderr.count("\n") == ran.stderr.count("a turn was recorded and nobody takes it") == 1
    )


def test_the_wheel_carries_everything_that_runs(wheel: Path) -> None:
    """Every file of the package that git knows is in the wheel, licence included."""
    listed = subprocess.run(
        ["git", "ls-files", "otel_chat"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {name for name in listed.stdout.splitlines() if name not in names} == set()
    assert any(name.endswith("licenses/LICENSE") for name in names)
    runbooks = {path.name for path in (ROOT / "docs" / "runbooks").glob("*.md")}
    assert {f"otel_chat/server/runbooks/{name}" for name in runbooks} <= names
