"""What rules say of other libraries' spans: in rows, in events, and tried before they are used."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from otel_chat import semconv as sc
from otel_chat.cli import app as command_line
from otel_chat.errors import ConfigurationError
from otel_chat.server.app import create_app
from otel_chat.server.settings import ServerSettings
from otel_chat.server.span_rules import parse_rules, read_rules
from otel_chat.server.summaries.rule_trial import try_rules
from otel_chat.server.summaries.settler import Settler
from tests.server.given import NOON, Given
from tests.server.ingest.test_derived_turns import AGENT, CALL, in_, send, spans
from tests.server.served import over_http

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.server.settled import SettledStore

BASE = "http://127.0.0.1:8400"
RULES = """
[[rule]]
name = "transfer tools"
where = { "gen_ai.tool.name" = "transfer_to_*" }
handoff = { reason = "asked for a human", target_from = "gen_ai.tool.name" }

[[rule]]
name = "router"
span = "rou?e"
intent = { name_from = "router.intent", confidence_from = "router.score" }

[[rule]]
name = "refund graph"
where = { "node" = "refund_*" }
workflow = { name = "refund", step_from = "node" }

[[rule]]
name = "solved"
where = { "ticket" = "solved" }
outcome = { name = "resolved" }
"""
TOOL = {sc.OPERATION_NAME: "execute_tool", sc.TOOL_NAME: "transfer_to_sales"}
SHAPES: list[Any] = [
    ("agent", "", "internal", AGENT | in_("c")),
    ("route", "agent", "internal", {"router.intent": "refund", "router.score": 0.75}),
    ("call", "agent", "client", CALL),
    ("pay", "agent", "internal", {"node": "refund_pay"}),
    ("tool", "agent", "internal", TOOL),
    ("done", "agent", "internal", {"ticket": "solved"}),
]


@pytest.fixture(autouse=True)
def settled_by_hand(store: SettledStore) -> Iterator[None]:
    """By which rules is settled is what these tests are about."""
    with store.by_hand():
        yield
    store.command("TRUNCATE TABLE tokens")


def settle(given: Given, rules: str) -> None:
    Settler(given.store, span_rules=parse_rules(rules)).settle()


def told(given: Given) -> tuple[list[dict[str, Any]], list[tuple[str, str, str, str]]]:
    """Turns, and the events of their conversations."""
    bound = {"tenant": given.tenant}
    turns = given.store.query(
        "SELECT conversation_id AS id, handoff, handoff_reason AS reason, handoff_target AS target,"
        " intent, confidence FROM turns FINAL WHERE tenant = {tenant:String}",
        bound,
    )
    events = given.store.query(
        "SELECT name, workflow, step, outcome FROM events FINAL WHERE tenant = {tenant:String}"
        " ORDER BY time",
        bound,
    )
    return turns, [tuple(row.values()) for row in events]  # type: ignore[misc]


def test_spans_become_handoffs_intents_workflows_and_outcomes(
    client: TestClient, given: Given
) -> None:
    """Each by its rule; settled again, and with spans that come later, all is there once."""
    made = spans(given.tenant, SHAPES)
    send(client, given.tenant, made[:3])
    settle(given, RULES)
    send(client, given.tenant, made[3:])
    for _ in range(2):
        settle(given, RULES)
    (turn,), events = told(given)
    assert turn == {
        "id": "c", "handoff": True, "reason": "asked for a human", "target": "transfer_to_sales",
        "intent": "refund", "confidence": 0.75,
    }  # fmt: skip
    assert events == [
        (sc.EVENT_WORKFLOW_STARTED, "refund", "refund_pay", ""),
        (sc.EVENT_CONVERSATION_END, "", "", "resolved"),
    ]


def test_what_rules_do_not_say_any_more_goes(client: TestClient, given: Given) -> None:
    """With another file the turn is as it says, once its trace is touched again."""
    made = spans(given.tenant, SHAPES)
    send(client, given.tenant, made)
    settle(given, RULES)
    send(client, given.tenant, made[:1])
    settle(given, '[[rule]]\nname = "r"\nspan = "route"\nintent = { name = "other" }')
    (turn,), events = told(given)
    assert (turn["intent"], turn["handoff"], events) == ("other", False, [])


def test_a_rule_is_for_its_tenant_and_spans_speak_first(client: TestClient, given: Given) -> None:
    """Another tenant's rule says nothing; an intent that a span carries by itself stays."""
    shapes = [("agent", "", "internal", AGENT | in_("c") | {sc.INTENT_NAME: "own"})]
    send(client, given.tenant, spans(given.tenant, shapes))
    settle(
        given,
        '[[rule]]\nname = "i"\nspan = "agent"\nintent = { name = "theirs" }\n'
        '[[rule]]\nname = "h"\nspan = "agent"\ntenant = "another"\nhandoff = { reason = "x" }',
    )
    (turn,), _ = told(given)
    assert (turn["intent"], turn["handoff"]) == ("own", False)


def test_rules_are_tried_without_writing(client: TestClient, given: Given) -> None:
    """How many turns each would have said something of, and where; of marked turns none."""
    send(client, given.tenant, spans(given.tenant, SHAPES))
    given.turn("marked")
    given.save()
    window = (NOON - timedelta(hours=1), NOON + timedelta(hours=1))
    done = try_rules(given.store, parse_rules(RULES), window, {given.tenant})
    assert (done.turns, set(map(tuple, done.said.values()))) == (1, {("c",)})
    assert try_rules(given.store, parse_rules(RULES), window, frozenset()).turns == 0
    assert told(given)[1] == []


def test_the_command_checks_a_file_and_tries_it(given: Given, tmp_path: Path) -> None:
    """On the last day of a server; a mistake is named before anything is asked."""
    app = create_app(given.store, ServerSettings())
    make = app.state.access.tokens.create
    token = make("t", scopes={"admin"}, tenants=[given.tenant]).token
    (good := tmp_path / "rules.toml").write_text(RULES)
    (bad := tmp_path / "bad.toml").write_text('[[rule]]\nname = "x"\n')
    with over_http(app) as url:
        options = ["--server", url, "--token", token]
        done = CliRunner().invoke(command_line, ["rules", str(good), *options, "--json"])
        shown = CliRunner().invoke(command_line, ["rules", str(good), *options])
        refused = CliRunner().invoke(command_line, ["rules", str(bad), *options])
    answer = json.loads(done.stdout)
    assert [rule["name"] for rule in answer["rules"]] == [
        "transfer tools", "router", "refund graph", "solved",
    ]  # fmt: skip
    assert "transfer tools: 0 turns" in shown.stdout
    assert refused.exit_code == 1
    assert "rule 1: exactly one of handoff, intent, workflow, outcome" in refused.output
    now = datetime.now(UTC)
    assert try_rules(given.store, (), (now, now), None).turns == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[rule", "rules"),
        ("", "rules named 'rule' are needed"),
        ('[[rule]]\nspan = "a"\nhandoff = { reason = "x" }', "'name' is needed"),
        ('[[rule]]\nname = "a"\nhandoff = { reason = "x" }', "'span' or 'where' is needed"),
        ('[[rule]]\nname = "a"\nspan = "a"\nhandoff = {}', "'reason' or 'reason_from'"),
        ('[[rule]]\nname = "a"\nspan = "a"\nhandoff = { why = "x" }', "unknown key 'why'"),
        ('[[rule]]\nname = "a"\nspan = "a"\nwhen = "x"', "unknown key 'when'"),
        ('[[rule]]\nname = "a"\nspan = 3\nhandoff = { reason = "x" }', "'span' is a text"),
        ('[[rule]]\nname = "a"\nspan = "a"\noutcome = { name = "fine" }', "'name' is one of"),
        (
            '[[rule]]\nname = "a"\nspan = "a"\nworkflow = { name = "w", status = "x" }',
            "'status' is one of started, completed, failed",
        ),
        (
            '[[rule]]\nname = "a"\nspan = "a"\nhandoff = { reason = "x" }\n' * 2,
            "two rules are named 'a'",
        ),
    ],
)
def test_a_rule_that_cannot_be_read_is_named(tmp_path: Path, text: str, said: str) -> None:
    """The rule and the key."""
    path = tmp_path / "rules.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match="rules") as refused:
        read_rules(path)
    assert said in str(refused.value)
