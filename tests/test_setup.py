"""The environment that `make` builds: exactly what the lock says, whatever the registries offer."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
LOCKS = ROOT / "requirements"
# What a locked distribution asks for and is left out on purpose, and why.
LEFT_OUT = {
    "pandas": "chdb-core imports it for DataFrames alone, which nothing here asks for",
    "pyarrow": "chdb-core imports it for Arrow tables alone, which nothing here asks for",
}
BACKEND = """
import zipfile

def build_editable(folder, config_settings=None, metadata_directory=None):
    name = "otel_chat-0-py3-none-any.whl"
    with zipfile.ZipFile(f"{folder}/{name}", "w") as wheel:
        for path, text in {
            "METADATA": "Metadata-Version: 2.1\\nName: otel-chat\\nVersion: 0\\n",
            "WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
            "RECORD": "",
        }.items():
            wheel.writestr(f"otel_chat-0.dist-info/{path}", text)
    return name
"""


def pins(lock: Path) -> dict[str, str]:
    """The versions that a lock file pins for this machine, by canonical name."""
    found = {}
    for line in re.findall(r"^[A-Za-z0-9].*==.*$", lock.read_text(), re.MULTILINE):
        wanted = Requirement(re.split(r" --hash| \\$", line)[0])
        if wanted.marker is None or wanted.marker.evaluate():
            found[canonicalize_name(wanted.name)] = next(iter(wanted.specifier)).version
    return found


def empty_wheel(folder: Path, name: str, version: str, asks: list[str], extras: list[str]) -> str:
    """A wheel without content, with the requirements of a real one; returns its hash."""
    stem = f"{name.replace('-', '_')}-{version}"
    path = folder / f"{stem}-py3-none-any.whl"
    about = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}"]
    about += [f"Provides-Extra: {extra}" for extra in extras]
    about += [f"Requires-Dist: {wanted}" for wanted in asks]
    files = {
        "METADATA": "\n".join(about) + "\n",
        "WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = []
    with zipfile.ZipFile(path, "w") as wheel:
        for file, text in files.items():
            digest = hashlib.sha256(text.encode()).digest()
            sum_ = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
            record.append(f"{stem}.dist-info/{file},sha256={sum_},{len(text.encode())}")
            wheel.writestr(f"{stem}.dist-info/{file}", text)
        record.append(f"{stem}.dist-info/RECORD,,")
        wheel.writestr(f"{stem}.dist-info/RECORD", "\n".join(record) + "\n")
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def rotten(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout whose index offers a newer release of everything that its lock pins."""
    checkout = tmp_path_factory.mktemp("checkout")
    index = checkout / "index"
    index.mkdir()
    lock = []
    for name, version in pins(LOCKS / "dev.lock").items():
        if name == "uv":
            continue
        real = metadata.distribution(name).metadata
        asks = [a for a in real.get_all("Requires-Dist") or [] if not a.startswith("uv")]
        extras = real.get_all("Provides-Extra") or []
        sum_ = empty_wheel(index, name, version, asks, extras)
        for newer in (f"{version}.post1", "99999.0"):
            empty_wheel(index, name, newer, asks, extras)
        lock.append(f"{name}=={version} --hash=sha256:{sum_}\n")
    (checkout / "requirements").mkdir()
    (checkout / "requirements/dev.lock").write_text("".join(lock))
    (checkout / "requirements/uv.lock").write_text("")
    (checkout / "backend.py").write_text(BACKEND)
    (checkout / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        '[project]\nname = "otel-chat"\nversion = "0"\n'
    )
    return checkout


def test_the_environment_is_what_the_lock_says(rotten: Path) -> None:
    """Where newer releases of all packages and of their extras exist, the pinned ones come."""
    place = rotten / ".venv"
    subprocess.run([sys.executable, "-m", "venv", place], check=True)
    shutil.copy(Path(sys.executable).with_name("uv"), place / "bin" / "uv")
    index = str(rotten / "index")
    offline = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("PIP_", "UV_"))},
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": index,
        "PIP_CONFIG_FILE": os.devnull,
        "UV_NO_INDEX": "1",
        "UV_FIND_LINKS": index,
        "UV_NO_CONFIG": "1",
        "UV_CACHE_DIR": str(rotten / "cache"),
    }
    script = ROOT / "tools" / "setup_venv.py"
    done = subprocess.run(
        [sys.executable, script, place, "dev"],
        cwd=rotten,
        env=offline,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    listed = metadata.distributions(path=[str(next(place.glob("lib/*/site-packages")))])
    got = {canonicalize_name(d.metadata["Name"]): d.version for d in listed}
    wanted = pins(rotten / "requirements" / "dev.lock")
    assert len(wanted) > 100
    assert {name: got.get(name) for name in wanted} == wanted  # type: ignore[call-overload]
    assert set(got) - set(wanted) <= {"otel-chat", "pip", "setuptools", "uv"}


def asked_for(names: Iterator[str]) -> Iterator[tuple[str, str]]:
    """What these distributions need here, as (who asks, what); with the extras asked for."""
    todo: list[tuple[str, frozenset[str]]] = [(name, frozenset()) for name in names]
    seen = set(todo)
    while todo:
        name, extras = todo.pop()
        for line in metadata.requires(name) or []:
            wanted = Requirement(line)
            needed = wanted.marker is None or any(
                wanted.marker.evaluate({"extra": extra}) for extra in (extras or {""})
            )
            target = canonicalize_name(wanted.name)
            if not needed:
                continue
            yield name, target
            step = (target, frozenset(wanted.extras))
            if wanted.extras and step not in seen and target not in LEFT_OUT:
                seen.add(step)
                todo.append(step)


@pytest.mark.parametrize("kind", ["demo", "image", "build", "dev"])
def test_the_lock_is_whole(kind: str) -> None:
    """What a locked distribution needs is locked too, or is left out with a reason."""
    locked = set(pins(LOCKS / f"{kind}.lock"))
    missing = {
        (who, what)
        for who, what in asked_for(iter(sorted(locked)))
        if what not in locked and what not in LEFT_OUT
    }
    assert missing == set()


def test_the_locks_agree_on_every_version() -> None:
    """The demo's environment, the image's and the build's hold what the developers' does."""
    everything = pins(LOCKS / "dev.lock")
    for kind in ("demo", "image", "build", "uv"):
        part = pins(LOCKS / f"{kind}.lock")
        assert {name: everything.get(name) for name in part} == part


def test_what_the_lock_leaves_out_is_not_imported(tmp_path: Path) -> None:
    """The embedded engine answers, and exports Parquet, where what was left out cannot be had."""
    script = (
        "import sys\n"
        f"sys.modules.update(dict.fromkeys({sorted(LEFT_OUT)!r}))\n"
        "from otel_chat.server.store import open_store\n"
        "store = open_store('chdb:' + sys.argv[1])\n"
        "store.migrate()\n"
        "assert store.query('SELECT count() AS n FROM turns FINAL') == [{'n': 0}]\n"
        "rows = b''.join(store.stream('SELECT number FROM numbers(3)', fmt='Parquet'))\n"
        "assert rows.startswith(b'PAR1') and rows.endswith(b'PAR1')\n"
        "store.close()\n"
    )
    subprocess.run([sys.executable, "-c", script, tmp_path / "store"], check=True)


def test_nothing_is_done_where_nothing_changed(tmp_path: Path) -> None:
    """A second set-up of the same environment starts no program, and dev serves the demo too."""
    sys.path.insert(0, str(ROOT / "tools"))
    try:
        import setup_venv  # type: ignore[import-not-found]
    finally:
        sys.path.pop(0)
    there = os.getcwd()  # noqa: PTH109 - to come back
    os.chdir(ROOT)
    try:
        told = setup_venv.digest("dev")
        (tmp_path / ".installed").write_text(json.dumps({"dev": told}))
        setup_venv.main(tmp_path, "demo")
        setup_venv.main(tmp_path, "dev")
    finally:
        os.chdir(there)
    assert [path.name for path in tmp_path.iterdir()] == [".installed"]
