"""docs/feature-map.md: no row is missing, and each test that it names is there."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROWS = 371
STATES = {"here", "different"}


def rows() -> list[list[str]]:
    """The cells of each row: number, what, state, where, tests."""
    page = (ROOT / "docs" / "feature-map.md").read_text()
    lines = [line for line in page.splitlines() if re.match(r"\| \d+ \|", line)]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip())[1:-1]] for line in lines]


@cache
def named_in(path: str) -> set[str]:
    """The tests of a file, by what follows its name in an id of pytest."""
    found = set()
    for node in ast.parse((ROOT / path).read_text()).body:
        inside = node.body if isinstance(node, ast.ClassDef) else [node]
        of_class = f"{node.name}::" if isinstance(node, ast.ClassDef) else ""
        found |= {
            f"{of_class}{one.name}"
            for one in inside
            if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)
            and one.name.startswith("test_")
        }
    return found


def test_every_row_stands_there_once_in_order() -> None:
    """1 to 371, each with five cells, told in words and with a place."""
    found = rows()
    assert [int(row[0]) for row in found] == list(range(1, ROWS + 1))
    assert all(len(row) == 5 and row[1] for row in found)
    assert [row[0] for row in found if not row[3]] == []


def test_every_state_is_one_of_those_explained() -> None:
    """And what the page says of their numbers is what there is."""
    page = (ROOT / "docs" / "feature-map.md").read_text()
    states = [row[2] for row in rows()]
    assert set(states) <= STATES
    counted = re.findall(
        r"(\d+) ([a-z: ]+?)[,.]", page.partition("Of 371 rows: ")[2].split("\n")[0]
    )
    assert {name: int(number) for number, name in counted} == {
        state: states.count(state) for state in STATES if state in states
    }


def test_what_is_here_names_a_test() -> None:
    """What is not need not."""
    assert [row[0] for row in rows() if row[2] == "here" and "::" not in row[4]] == []


def test_every_test_that_is_named_is_there() -> None:
    """In the file that is named, under that name."""
    for number, *_, named in rows():
        for test in re.findall(r"`([^`]+)`", named):
            path, _, name = test.partition("::")
            assert (ROOT / path).is_file(), number
            assert name in named_in(path), (number, test)
