"""docs/api.md says what the API has, and its commands work; so do those of docs/reports.md."""

from __future__ import annotations

import argparse
import json
import re
import shlex
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from typer.main import get_command

from otel_chat.cli import app as command_line
from otel_chat.server.access import PERMISSIONS
from otel_chat.server.app import create_app
from otel_chat.server.figures.fields import FIELDS
from otel_chat.server.settings import ServerSettings
from tests import web
from tests.server.served import served

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_chat.server.store import Store

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "api.md").read_text()
FILTERS_PAGE = (DOCS / "filters.md").read_text()
COMMAND = re.compile(r"^curl ((?:.*\\\n)*.*)$", re.MULTILINE)


def curl() -> argparse.ArgumentParser:
    """What of curl the pages use."""
    made = argparse.ArgumentParser()
    made.add_argument("address")
    made.add_argument("-N", action="store_true")
    made.add_argument("-G", action="store_true")
    made.add_argument("-X", default="GET")
    made.add_argument("-H", action="append", default=[])
    made.add_argument("-d")
    made.add_argument("--data-urlencode", action="append", default=[])
    return made


def section(name: str) -> str:
    return PAGE.partition(f"\n## {name}\n")[2].partition("\n## ")[0]


@pytest.fixture(scope="module")
def server(store: Store) -> Iterator[str]:
    store.command("TRUNCATE TABLE tokens")
    with served(store) as address:
        yield address


def test_the_table_is_the_api() -> None:
    """Each operation of the description stands in the table once, and nothing else does."""
    app = create_app(cast("Store", SimpleNamespace()), ServerSettings())
    described = {
        (method.upper(), path)
        for path, operations in app.openapi()["paths"].items()
        for method in operations
    }
    tables = section("Every address") + section("Addresses of other products")
    told = re.findall(r"^\| ([A-Z]+) \| `([^`]+)` \| .", tables, re.MULTILINE)
    assert len(told) == len(set(told))
    assert set(told) == described


def test_the_page_of_filters_is_the_language() -> None:
    """Each field once, under its level, with its kind of values and its meaning."""
    kinds = {"flag": "true, false", "said": "what was said"}
    rows = [
        (name, kinds.get(field.kind, field.kind), field.meaning)
        for level in ("turn", "conversation")
        for name, field in FIELDS.items()
        if field.level == level
    ]
    table = FILTERS_PAGE.partition("\n## Every field\n")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \| (.+?) \| (.+) \|$", table, re.MULTILINE) == rows


def test_a_wrong_filter_is_told_as_the_page_says(server: str) -> None:
    """The example is the answer."""
    (example,) = re.findall(r"^```json\n(.+?)\n```", FILTERS_PAGE, re.MULTILINE | re.DOTALL)
    answer = web.get(f"{server}/api/v1/overview", params={"agnt_not": "sales"})
    assert answer.status_code == 422
    assert answer.json() == json.loads(example)


def test_the_table_names_every_scope() -> None:
    """No more and no fewer than there are."""
    scopes = re.findall(r"^\| `([a-z:]+)` \|", section("Tokens"), re.MULTILINE)
    assert set(scopes) == set(PERMISSIONS)


@pytest.mark.parametrize("page", [PAGE, FILTERS_PAGE], ids=["api", "filters"])
def test_the_commands_of_a_page_are_answered(server: str, page: str) -> None:
    """One after the other, whatever the server has."""
    commands = COMMAND.findall(page)
    assert len(commands) > 8
    with web.Client() as client:
        for command in commands:
            given = curl().parse_args(shlex.split(command.replace("\\\n", "")))
            assert given.address.startswith("localhost:8400")
            asked = client.build_request(
                given.X,
                given.address.replace("localhost:8400", server),
                content=given.d,
                headers=[tuple(line.split(": ", 1)) for line in given.H],
            )
            encoded = [tuple(one.split("=", 1)) for one in given.data_urlencode]
            if given.G:
                asked.url = asked.url.copy_merge_params(encoded)
            answer = client.send(asked, stream=True)
            assert answer.status_code == 200, (command, answer.read())
            answer.close()


def test_a_wrong_window_is_told_as_the_page_says(server: str) -> None:
    """The shape of the example is the shape of the answer."""
    answer = web.get(f"{server}/api/v1/overview", params={"window": "8d"})
    assert answer.status_code == 422
    error = answer.json()["error"]
    assert set(error) == {"code", "message", "field"}
    assert (error["code"], error["field"]) == ("invalid", "window")


def test_the_recipes_for_reports_are_understood() -> None:
    """Each `otel-chat report` of the page has options that there are."""
    report = cast("Any", get_command(command_line)).commands["report"]
    known = {option for parameter in report.params for option in parameter.opts}
    page = (DOCS / "reports.md").read_text()
    for place in ("### cron", "### systemd", "### Windows' Task Scheduler"):
        recipe = page.partition(place)[2].partition("\n### ")[0]
        found = re.findall(r"otel-chat report (--.+)", recipe)
        assert found, place
        for line in found:
            used = set(re.findall(r"(?<=\s)--\w[\w-]*", f" {line}"))
            assert used, place
            assert used <= known, place
