"""What `docs/adding-a-figure.md` adds, a figure, an attribute and a filter, is told everywhere."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from otel_chat.server.figures import conversation_figures
from otel_chat.server.figures.registry import FIGURES
from tests.server.given import Given

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fastapi.testclient import TestClient

    from otel_chat.server.store import Store

    Ask = Callable[[str], Any]

ROOT = Path(__file__).parents[2]
ADDING = (ROOT / "docs" / "adding-a-figure.md").read_text("utf-8")
MOST_FILES = 5
NAME = "many_handoffs_ratio"
LABEL = "Handed off more than three times"
DAY = "from=2026-11-10&to=2026-11-10"


@pytest.fixture(scope="module")
def given(store: Store) -> Given:
    """Four settled conversations, of which one was handed off four times."""
    given = Given(store)
    for conversation in ("many", "few", "none", "other"):
        given.turn(conversation, agent="figures")
        given.event("conversation.end", conversation, 100)
    for number in range(4):
        given.event("handoff.requested", "many", number)
    given.event("handoff.requested", "few", 1)
    given.save()
    return given


@pytest.fixture
def added() -> Iterator[None]:
    """The entry of the page, for one test."""
    (entry,) = re.findall(r"```python\n(share\(.*?)```", ADDING, re.DOTALL)
    exec(entry, dict(vars(conversation_figures)))
    yield
    del FIGURES[NAME]


@pytest.fixture
def ask(client: TestClient, given: Given) -> Ask:
    """Asks about these conversations alone."""
    scopes = ("analytics:view", "conversations:read", "export:create", "metrics:read")
    tokens = client.app.state.access.tokens  # type: ignore[attr-defined]
    made = tokens.create("reader", scopes=scopes, tenants=[given.tenant])

    def asked(path: str) -> Any:
        answer = client.get(path, headers={"authorization": f"Bearer {made.token}"})
        assert answer.status_code == 200, answer.text
        return answer

    return asked


@pytest.mark.usefixtures("added")
def test_the_overview_tells_it_and_its_course(ask: Ask) -> None:
    """One of four; in the window before there was none to be a share of."""
    overview = ask(f"/api/v1/overview?{DAY}").json()
    assert (overview["figures"][NAME], overview["previous"]["figures"][NAME]) == (0.25, None)
    series = ask(f"/api/v1/overview/series?{DAY}&bucket=1d").json()
    assert [point["figures"][NAME] for point in series["points"]] == [0.25]


@pytest.mark.usefixtures("added")
def test_reports_have_its_line(ask: Ask) -> None:
    """Beside the time before; of the figures without a line of their own."""
    sections = {one["name"]: one for one in ask(f"/api/v1/report?{DAY}").json()["sections"]}
    lines = {one["name"]: one for one in sections["performance"]["lines"]}
    assert (lines[NAME]["label"], lines[NAME]["unit"]) == (LABEL, "ratio")
    assert (lines[NAME]["value"], lines[NAME]["previous"]) == (0.25, None)
    assert "containment_ratio" not in lines


@pytest.mark.usefixtures("added")
def test_its_definition_is_told(ask: Ask) -> None:
    """With its unit and version."""
    items = {one["name"]: one for one in ask("/api/v1/definitions").json()["items"]}
    assert "more than three handoffs" in items[NAME]["definition"]
    assert (items[NAME]["unit"], items[NAME]["version"]) == ("1", 1)


@pytest.mark.usefixtures("added")
@pytest.mark.parametrize("kind", ["sessions", "analytics"])
def test_exports_have_its_column(ask: Ask, kind: str) -> None:
    """Whether a conversation counts."""
    text = ask(f"/api/v1/exports/{kind}?{DAY}&format=csv").text
    rows = csv.DictReader(io.StringIO(text))
    assert {one["conversation_id"]: one["many_handoffs"] for one in rows} == {
        "many": "true", "few": "false", "none": "false", "other": "false",
    }  # fmt: skip


@pytest.mark.usefixtures("added")
def test_comparisons_have_its_row(ask: Ask) -> None:
    """With an interval and which way is good; on the page under its label."""
    rates = ask(f"/api/v1/comparison?by=period&{DAY}").json()["rates"]
    (found,) = (one for one in rates if one["figure"] == NAME)
    assert (found["a"]["value"], found["a"]["count"], found["better"]) == (0.25, 4, "lower")
    assert LABEL in ask(f"/compare?by=period&{DAY}").text


@pytest.mark.usefixtures("added")
def test_prometheus_has_its_gauge(client: TestClient, ask: Ask) -> None:
    """By agent, channel and window."""
    gauges = client.app.state.gauges  # type: ignore[attr-defined]
    gauges.refresh(datetime(2026, 11, 11, tzinfo=UTC))
    told = re.findall(rf"^otel_chat_{NAME}{{(.*)}} 0.25$", ask("/metrics").text, re.MULTILINE)
    assert 'agent="figures",channel="",window="7d"' in told


ASKING = """
import contextlib, json, sys

from fastapi.testclient import TestClient

from otel_chat import semconv as sc
from otel_chat.server.app import create_app
from otel_chat.server.settings import ServerSettings
from otel_chat.server.store import parse_store_url
from tests.server.ingest.sending import PROTOBUF, Telemetry
from tests.server.settled import SettledStore

sent = Telemetry("default")
for number, language in enumerate(("de", "en", "de")):
    sent.turn(f"c{number}", number, **{sc.LANGUAGE: language})
rating = {sc.EVALUATION_NAME: "user_feedback", sc.EVALUATION_SCORE: 1.0}
for number in (0, 1):
    sent.event(sc.EVENT_EVALUATION, f"c{number}", number, **rating)
with contextlib.closing(SettledStore(parse_store_url(f"chdb:{sys.argv[1]}"))) as store:
    store.migrate()
    app = create_app(store, ServerSettings())
    with TestClient(app, base_url="http://127.0.0.1:8400") as client:
        for path, body in sent.requests():
            assert client.post(f"/v1/{path}", content=body, headers=PROTOBUF).status_code == 200

        def ask(path):
            answer = client.get(f"/api/v1/{path}from=2026-11-10&to=2026-11-10")
            assert answer.status_code == 200, answer.text
            return answer

        overview = ask("overview?language=de&").json()
        print(json.dumps({
            "turns": [one["language"] for one in ask("interactions?").json()["items"]],
            "export": [json.loads(line)["language"]
                       for line in ask("exports/interactions?format=jsonl&").text.splitlines()],
            "filtered": [overview["conversations"], overview["turns"],
                         overview["satisfaction"]["count"]],
            "page": client.get("/conversations?language=de&from=2026-11-10&to=2026-11-10").text,
        }))
"""


def test_an_attribute_and_a_filter_are_added_in_five_files_each(tmp_path: Path) -> None:
    """The language of three turns is told of each, and two of them are asked for by it."""
    shutil.copytree(ROOT / "otel_chat", tmp_path / "otel_chat")
    changes = re.findall(r"```diff\n(.*?)```", ADDING, re.DOTALL)
    for change in changes:
        assert change.count("+++ ") <= MOST_FILES
        command = ["git", "apply", "-p1", "-"]
        subprocess.run(command, cwd=tmp_path, input=change, text=True, check=True)
    asked = subprocess.run(
        [sys.executable, "-c", ASKING, tmp_path / "store"],
        cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert not asked.returncode, asked.stderr
    told = json.loads(asked.stdout)
    assert sorted(told["turns"]) == sorted(told["export"]) == ["de", "de", "en"]
    assert told["filtered"] == [2, 2, 1]
    assert "language=de" in told["page"]
    assert len(changes) == 2
