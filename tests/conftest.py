"""What every test stands on: an error of the library's own fails the test."""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import is_hypothesis_test, settings

from tests.examples import THOROUGH

if TYPE_CHECKING:
    from collections.abc import Iterator

os.environ["OTEL_CHAT_RAISE"] = "1"
# Where an environment forbids it, each of hundreds of processes compiles a thousand modules anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# How long an example takes says how much else the machine has to do.
settings.register_profile("few", deadline=None, derandomize=True)
settings.register_profile("many", deadline=None, max_examples=1000)
settings.load_profile("many" if THOROUGH else "few")

pytest_plugins = ["otel_chat.testing.plugin"]

BEGAN = pytest.StashKey[float]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seconds", type=float, help="Begin no test after so many seconds.")
    parser.addoption(
        "--store",
        choices=("embedded", "clickhouse"),
        default="embedded",
        help="Where the tests of the server keep their rows.",
    )
    parser.addoption("--times", type=Path, help="Write the processor time of each test file here.")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where many examples are wanted, the tests that take some, in an order of the day's seed."""
    if not THOROUGH:
        return
    drawn = [
        item
        for item in items
        if is_hypothesis_test(getattr(item, "obj", None)) or item.get_closest_marker("thorough")
    ]
    config.hook.pytest_deselected(items=[item for item in items if item not in drawn])
    seed = str(config.getoption("--hypothesis-seed"))
    items[:] = sorted(drawn, key=lambda item: _shuffled(seed, item.path.name))


def pytest_collection_finish(session: pytest.Session) -> None:
    """The seconds of a run are for its tests: on a busy machine collecting takes minutes."""
    session.config.stash[BEGAN] = time.monotonic()


def _shuffled(seed: str, name: str) -> bytes:
    import hashlib

    return hashlib.sha256(f"{seed} {name}".encode()).digest()


def pytest_runtest_setup(item: pytest.Item) -> None:
    seconds = item.config.getoption("--seconds")
    if seconds is not None and time.monotonic() - item.config.stash[BEGAN] > seconds:
        pytest.skip(f"the {seconds:.0f} seconds of this run are over; another day's seed begins it")


def _processor_seconds() -> float:
    """Of this process and of the children that it has seen end."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[object]:
    target = item.config.getoption("--times")
    before, began = _processor_seconds(), time.monotonic()
    result = yield
    if target is not None:
        spent = [_processor_seconds() - before, time.monotonic() - began]
        with target.open("a") as file:  # a line at once: several workers write
            file.write(json.dumps([item.nodeid, *spent]) + "\n")
    return result


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    target = config.getoption("--times")
    if target is None:
        return
    processor: Counter[str] = Counter()
    for line in target.read_text().splitlines():
        name, spent, _ = json.loads(line)
        processor[name.split("::")[0]] += spent
    terminalreporter.section("seconds of processor by file")
    for name, spent in processor.most_common(25):
        terminalreporter.write_line(f"{spent:8.1f} {name}")
    terminalreporter.write_line(f"{processor.total():8.1f} in all")
