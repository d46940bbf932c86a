"""The dashboard of one conversation: its TraceQL, and its tables on an answer of Tempo's."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest
from PIL import Image

from grafana.boards import conversation
from grafana.check.filled import fill, opened
from grafana.preview.build import HERE
from grafana.preview.shots import Asked, take
from otel_chat import semconv as sc
from tests.grafana.test_preview import Prometheus, served
from tests.requirements import demand

ID = 'chat "7f3a"'
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
BOARD = "otel-chat-conversation"
OTHERS = tuple(conversation.ONLY.values())[1:]


def traceql(dashboards: list[dict[str, Any]]) -> list[str]:
    """The TraceQL of all dashboards, with each choice that a reader has."""
    found = []
    for dashboard in dashboards:
        values = {**opened(dashboard), "conversation": ID, "trace": TRACE}
        targets = [t for p in dashboard["panels"] for t in p["targets"] if "query" in t]
        for target in targets:
            choices = conversation.ONLY.values() if "$only" in target["query"] else [""]
            found += [fill(target["query"], {**values, "only": only}) for only in choices]
    return [query for query in found if query != TRACE]


def unread(*queries: str) -> list[list[int]]:
    """Where Grafana's own grammar of TraceQL cannot read each query."""
    there = (HERE / "node_modules" / "@grafana" / "lezer-traceql").is_dir()
    demand("preview", there=there and shutil.which("node") is not None, fix="make preview")
    done = subprocess.run(
        ["node", str(HERE / "traceql.mjs")],
        input=json.dumps(queries),
        capture_output=True,
        text=True,
        check=True,
    )
    found: list[list[int]] = json.loads(done.stdout)
    return found


def test_grafanas_grammar_reads_every_query(dashboards: list[dict[str, Any]]) -> None:
    """With whatever is chosen or entered; of a broken query it tells the place."""
    queries = traceql(dashboards)
    assert len(queries) >= len(conversation.ONLY) + 2
    assert unread(*queries) == [[] for _ in queries]
    broken = queries[0].replace("&&", "&", 1).replace("| select(", "| selct(")
    assert unread(broken) != [[]]


def test_an_id_with_quotes_stays_one_id(dashboards: list[dict[str, Any]]) -> None:
    """What a reader enters is a text of the query, whatever is in it."""
    assert any('span.gen_ai.conversation.id = "chat \\"7f3a\\""' in q for q in traceql(dashboards))


def test_a_click_leads_from_list_to_conversation_to_trace(
    dashboards: list[dict[str, Any]],
) -> None:
    """Conversation ids and traces in the tables lead back to the dashboard, which has both."""
    (board,) = (one for one in dashboards if one["uid"] == BOARD)
    links = {
        (panel["title"], rule["matcher"]["options"], link["title"]): link["url"]
        for panel in board["panels"]
        for rule in panel["fieldConfig"]["overrides"]
        for one in rule["properties"]
        if one["id"] == "links"
        for link in one["value"]
    }
    variables = {variable["name"] for variable in board["templating"]["list"]}
    here = {at: url for at, url in links.items() if url.startswith("/d/")}
    for url in here.values():
        assert urlsplit(url).path == f"/d/{BOARD}"
        named = {name.removeprefix("var-") for name in parse_qs(url.split("?")[1]) if "var" in name}
        assert named <= variables
        assert url.endswith("${environment:queryparam}&${agent:queryparam}")
    assert set(here) == {
        ("Turns of the conversation", "Trace", "Show this trace beneath"),
        ("Conversation of the trace", "Conversation", "Show this conversation"),
        ("Latest turns", "Conversation", "Show this conversation"),
    }
    to_read = {url for at, url in links.items() if at not in here}
    assert to_read == {"${analytics}/conversations/${__value.raw:percentencode}"}
    assert (
        "var-conversation=${conversation:percentencode}"
        in here["Turns of the conversation", "Trace", "Show this trace beneath"]
    )


class Backends(Prometheus):
    """Prometheus and Tempo, which answers `/api/search` as its documentation says."""

    asked: ClassVar[list[dict[str, list[str]]]] = []

    def do_GET(self) -> None:  # noqa: N802 - the base class's way
        """A search: two turns, the later one first; the second has no confidence and no cost."""
        split = urlsplit(self.path)
        assert split.path == "/api/search"
        asked = parse_qs(split.query)
        self.asked.append(asked)
        end = int(asked["end"][0]) * 10**9
        first = {
            sc.AGENT_NAME: {"stringValue": "support"},
            sc.CONVERSATION_ID: {"stringValue": ID},
            sc.INTENT_NAME: {"stringValue": "order_status"},
            sc.CONFIDENCE: {"doubleValue": 0.93},
            sc.USAGE_INPUT_TOKENS: {"intValue": "1412"},
            sc.USAGE_OUTPUT_TOKENS: {"intValue": "64"},
            sc.COST_AMOUNT: {"doubleValue": 0.0042},
            sc.STATUS: {"stringValue": "ok"},
        }
        second = {
            sc.AGENT_NAME: {"stringValue": "support"},
            sc.CONVERSATION_ID: {"stringValue": ID},
            sc.STATUS: {"stringValue": "error"},
        }
        traces = [
            _trace("b" * 32, end - 60 * 10**9, "4200000000", second),
            _trace(TRACE, end - 90 * 10**9, "850000000", first),
        ]
        self.send_response(200)
        self.send_header("Access-Control-Allow-Origin", "*")
        self.end_headers()
        self.wfile.write(json.dumps({"traces": traces, "metrics": {}}).encode())


def _trace(
    trace_id: str, start: int, duration: str, attributes: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    span = {
        "spanID": trace_id[:16],
        "startTimeUnixNano": str(start),
        "durationNanos": duration,
        "attributes": [{"key": key, "value": value} for key, value in attributes.items()],
    }
    return {
        "traceID": trace_id,
        "rootServiceName": "shop",
        "rootTraceName": "POST /chat",
        "startTimeUnixNano": str(start),
        "durationMs": int(duration) // 10**6,
        "spanSets": [{"spans": [span], "matched": 1}],
    }


@pytest.mark.browser
def test_its_tables_are_drawn_on_tempos_answer(
    page: Path, dashboards: list[dict[str, Any]], tmp_path: Path
) -> None:
    """Each table asks for its turns and shows them: no panel is empty, nothing is refused."""
    (board,) = (one for one in dashboards if one["uid"] == BOARD)
    (tmp_path / "conversation.json").write_text(json.dumps(board))
    with served(Backends) as url:
        asked = Asked(
            *(url, tmp_path, tmp_path / "out", 900),
            themes=("light",),
            tempo=url,
            values={"conversation": ID, "trace": TRACE},
        )
        (shot,) = take(asked, page)
    assert shot.empty == []
    first = conversation.ONLY["Every turn"]
    shown = [q for q in traceql([board]) if first in q or not any(o in q for o in OTHERS)]
    assert sorted(asked["q"][0] for asked in Backends.asked) == sorted(shown)
    with Image.open(shot.path) as picture:
        assert len(picture.convert("RGB").getcolors(100_000)) > 50
