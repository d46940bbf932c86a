"""The addresses that documents on chat analytics print: each request, and each answer's keys."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from otel_chat.server.access import PERMISSIONS
from tests.server.given import NOON, Given

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

NUMBER = (int, float)
DATES = {"start_date": "2026-11-10", "end_date": "2026-11-10"}
OURS = {"from": "2026-11-10", "to": "2026-11-10"}
CONVERSATIONS = {
    "total_conversations": int,
    "avg_conversation_length": NUMBER,
    "completion_rate": NUMBER,
    "avg_response_time_ms": NUMBER,
    "total_messages": int,
}
NLU = {
    "intent_distribution": {"order_status": int},
    "avg_confidence": NUMBER,
    "low_confidence_rate": NUMBER,
    "fallback_rate": NUMBER,
    "total_classifications": int,
}
SAVINGS = {
    "total_conversations": int,
    "automated_conversations": int,
    "automation_rate": NUMBER,
    "cost_savings": NUMBER,
    "cost_per_interaction": NUMBER,
}
INTERACTION = {
    "id": str,
    "conversation_id": str,
    "customer_message": str,
    "detected_intents": [{"name": str, "confidence": NUMBER}],
    "model_used": str,
    "context_size": int,
    "processing_time_ms": NUMBER,
    "agent_response": str,
    "confidence_score": NUMBER,
    "handoff_triggered": bool,
    "handoff_reason": str,
    "message_type": str,
    "token_usage": {"prompt_tokens": int, "completion_tokens": int, "total_tokens": int},
    "estimated_cost": str,
    "created_at": str,
}
# What each document prints: the request, and the keys and types of the answer.
PRINTED = [
    (
        "/admin/chat-analytics/api/",
        {},
        {
            "active_sessions": int,
            "avg_response_time": NUMBER,
            "avg_satisfaction": NUMBER,
            "timestamp": str,
        },
    ),
    ("/api/analytics/overview", {"days": "7"}, {"total_conversations": int}),
    (
        "/api/analytics/conversations",
        {"days": "7"},
        {
            "conversations": [
                {
                    "session_id": str,
                    "message_count": int,
                    "intent_detected": str,
                    "response_time_ms": NUMBER,
                    "user_satisfied": bool,
                    "timestamp": str,
                }
            ]
        },
    ),
    (
        "/api/analytics/engagement",
        {},
        {
            "first_interaction": str,
            "last_interaction": str,
            "total_messages": int,
            "session_duration_seconds": NUMBER,
            "pages_visited": {"/help": int},
            "conversion_event": {"quote": int},
            "device_type": dict,
            "browser": dict,
            "referrer": {"shop.example": int},
        },
    ),
    (
        "/api/analytics/intents",
        {},
        {
            "intents": [
                {
                    "intent_name": str,
                    "trigger_count": int,
                    "success_count": int,
                    "failure_count": int,
                    "avg_confidence": NUMBER,
                    "avg_response_time_ms": NUMBER,
                }
            ]
        },
    ),
    (
        "/api/analytics/performance",
        {"hours": "24"},
        {"endpoints": [{"endpoint": str, "status_code": int, "response_time_ms": NUMBER}]},
    ),
    ("/api/analytics/leads", {}, {"total_leads": int, "leads": [{"kind": str, "leads": int}]}),
    (
        "/api/v1/analytics/conversations/metrics",
        {"agent_id": "support", **DATES},
        CONVERSATIONS,
    ),
    ("/api/v1/analytics/nlu/metrics", {"agent_id": "support", **DATES}, NLU),
    (
        "/api/v1/analytics/users/journey/day",
        {},
        {"session_id": str, "journey": [{"timestamp": str, "type": str, "data": dict}]},
    ),
    (
        "/api/v1/analytics/users/drop-off",
        {"agent_id": "support", **DATES},
        {"drop_off_points": {"order_status": int}, "total_incomplete_sessions": int},
    ),
    (
        "/api/v1/analytics/business/automation-rate",
        {"agent_id": "support", **DATES},
        {"automation_rate": NUMBER},
    ),
    (
        "/api/v1/analytics/business/cost-savings",
        {"agent_id": "support", **DATES, "cost_per_interaction": "5.0"},
        SAVINGS,
    ),
    (
        "/api/v1/analytics/dashboard/overview",
        {"agent_id": "support", "timeframe": "30d"},
        {
            "timeframe": str,
            "conversation_metrics": CONVERSATIONS,
            "nlu_metrics": NLU,
            "automation_rate": NUMBER,
        },
    ),
    (
        "/v1/bot/interactions",
        {"model_used": "gpt-4o", "min_confidence": "0.7"},
        {"results": [INTERACTION]},
    ),
    (
        "/v1/bot/interactions/stats",
        DATES,
        {
            "total_interactions": int,
            "total_cost": str,
            "avg_confidence": NUMBER,
            "avg_processing_time_ms": NUMBER,
            "handoff_count": int,
            "handoff_rate": NUMBER,
            "by_model": {"gpt-4o": {"count": int}},
            "by_message_type": {"text": {"count": int}},
            "high_confidence_count": int,
            "low_confidence_count": int,
        },
    ),
]


@pytest.fixture
def headers(client: TestClient, given: Given) -> dict[str, str]:
    """The header of whoever may see all of a tenant in which everything has happened."""
    now = (datetime.now(UTC) - NOON).total_seconds() - 60
    for conversation, seconds in (("day", 0.0), ("now", now)):
        _happened(given, conversation, seconds)
    given.save()
    tokens = client.app.state.access.tokens  # type: ignore[attr-defined]
    made = tokens.create("all", scopes=PERMISSIONS, tenants=[given.tenant])
    return {"authorization": f"Bearer {made.token}"}


def _happened(given: Given, conversation: str, seconds: float) -> None:
    row = given.turn(
        conversation, seconds, 1.2, agent="support", intent="order_status", confidence=0.92,
        response_model="gpt-4o", input_tokens=1000, output_tokens=500, cost="0.0045",
        context_size=1500, message_type="text", user_type="client", page="/help",
        referrer="https://shop.example/x", route="/chat", http_status=200, user_hash="ann",
        input_messages='[{"role": "user", "parts": [{"type": "text", "content": "hi"}]}]',
        output_messages='[{"role": "assistant", "parts": [{"type": "text", "content": "ho"}]}]',
        handoff=True, handoff_reason="asked", cached=False,
    )  # fmt: skip
    place = {"trace_id": row["trace_id"], "span_id": row["span_id"], "agent": "support"}
    intent = {"intent": "order_status", "confidence": 0.92, "source": "classifier"}
    given.event("intent", conversation, seconds + 0.1, **intent, **place)
    given.event("workflow.started", conversation, seconds + 0.2, workflow="order", **place)
    given.event("lead", conversation, seconds + 0.3, lead_kind="quote", **place)
    given.event("topic", conversation, seconds + 0.4, topic="orders", **place)
    given.event("action", conversation, seconds + 0.5, action="link", **place)
    given.turn(
        f"{conversation}-lost", seconds + 10, agent="support", intent="order_status", fallback=True
    )
    given.feedback(5, conversation, seconds + 20)


def check(found: Any, kind: Any, place: str = "") -> None:
    """Whether an answer has the keys of a document, and each what it prints there."""
    if isinstance(kind, dict):
        assert isinstance(found, dict), place
        for name, inside in kind.items():
            assert name in found, f"{place}.{name}"
            check(found[name], inside, f"{place}.{name}")
    elif isinstance(kind, list):
        assert found, place
        check(found[0] if len(found) == 1 else found[-1], kind[0], f"{place}[]")
    else:
        assert isinstance(found, kind), f"{place}: {found!r}"
        assert kind is bool or not isinstance(found, bool), place


@pytest.mark.parametrize(("path", "params", "printed"), PRINTED, ids=[one[0] for one in PRINTED])
def test_each_printed_request_is_answered_with_the_printed_keys(
    client: TestClient,
    headers: dict[str, str],
    path: str,
    params: dict[str, str],
    printed: dict[str, Any],
) -> None:
    """Each of the type that the document prints."""
    answer = client.get(path, params=params, headers=headers)
    assert answer.status_code == 200, answer.text
    if path == "/api/analytics/conversations":
        answer_of = [one for one in answer.json()["conversations"] if one["session_id"] == "now"]
        check({"conversations": answer_of}, printed)
    else:
        check(answer.json(), printed)


def test_figures_are_those_of_our_own_addresses(
    client: TestClient, headers: dict[str, str]
) -> None:
    """In the document's units: milliseconds and per cent."""

    def ask(path: str, **params: str) -> Any:
        answer = client.get(path, params=params, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    agent, ours = {"agent_id": "support", **DATES}, {"agent": "support", **OURS}
    overview = ask("/api/v1/overview", **ours)
    assert ask("/api/v1/analytics/conversations/metrics", **agent) == {
        "total_conversations": overview["conversations"],
        "avg_conversation_length": overview["messages"] / overview["conversations"],
        "completion_rate": 0,
        "avg_response_time_ms": 1000 * overview["response_time"]["mean"],
        "total_messages": overview["messages"],
    }
    intents = ask("/api/v1/intents", **ours)
    nlu = ask("/api/v1/analytics/nlu/metrics", **agent)
    assert nlu["intent_distribution"] == {one["name"]: one["turns"] for one in intents["items"]}
    assert nlu["fallback_rate"] == 100 * intents["fallback"]["rate"] == 50
    assert nlu["total_classifications"] == intents["classifications"] == 1
    business = ask("/api/v1/business", cost_per_interaction="4", **ours)
    saved = ask("/api/v1/analytics/business/cost-savings", cost_per_interaction="4", **agent)
    assert saved == {
        "total_conversations": business["containment"]["settled"],
        "automated_conversations": business["containment"]["count"],
        "automation_rate": 100 * business["containment"]["rate"],
        "cost_savings": float(business["savings"]["gross"]),
        "cost_per_interaction": 4,
    }
    dropped = ask("/api/v1/journeys/drop-off", **ours)
    assert ask("/api/v1/analytics/users/drop-off", **agent) == {
        "drop_off_points": {one["intent"]: one["dropped"] for one in dropped["intents"]},
        "total_incomplete_sessions": dropped["dropped"],
    }
    turns = ask("/api/v1/interactions/stats", **OURS)
    stats = ask("/v1/bot/interactions/stats", **DATES)
    assert (stats["total_interactions"], stats["total_cost"]) == (
        turns["turns"],
        turns["cost"]["amount"],
    )
    assert stats["avg_processing_time_ms"] == 1000 * turns["response_time"]["mean"]
    listed = ask("/v1/bot/interactions", **DATES)["results"]
    (first, second) = ask("/api/v1/interactions", **OURS)["items"]
    assert [one["id"] for one in listed] == [first["id"], second["id"]]
    assert ask(f"/v1/bot/interactions/{second['id']}") == listed[1]
    assert listed[1]["estimated_cost"] == second["cost"]
    realtime = ask("/api/v1/realtime")
    now = ask("/admin/chat-analytics/api/")
    assert now["avg_response_time"] == realtime["avg_response_time_ms"]
    assert (now["avg_satisfaction"], realtime["avg_satisfaction"]) == (5, 1)


def test_what_happened_in_a_session_comes_in_order(
    client: TestClient, headers: dict[str, str]
) -> None:
    """Under the document's names of events, with what each says."""
    found = client.get("/api/v1/analytics/users/journey/day", headers=headers).json()
    assert found["session_id"] == "day"
    assert [step["type"] for step in found["journey"]] == [
        "user_message", "intent_classified", "workflow_started", "custom", "custom", "custom",
        "bot_response", "user_feedback",
    ]  # fmt: skip
    said = {step["type"]: step["data"] for step in found["journey"]}
    assert (said["user_message"]["text"], said["bot_response"]["text"]) == ("hi", "ho")
    assert said["bot_response"]["response_time_ms"] == 1200
    assert said["intent_classified"]["intent"] == "order_status"


@pytest.mark.parametrize(
    ("kind", "asked", "fields", "ids"),
    [
        (
            "sessions",
            {"user_type": "client", "is_active": "false"},
            (
                "session_id,user,user_type,status,created_at,updated_at,closed_at,total_messages,"
                "user_messages,assistant_messages,average_response_time_ms,satisfaction_rating,"
                "resolved,topics_discussed,engagement_score"
            ),
            ["day"],
        ),
        (
            "messages",
            {"session_id": "day", "sender_type": "assistant"},
            (
                "message_id,session_id,user,sender_type,content,created_at,processing_time_ms,"
                "is_cached,metadata"
            ),
            ["day"],
        ),
        (
            "analytics",
            {"user_type": "client", "resolved": "false"},
            (
                "analytics_id,session_id,user,total_messages,user_messages,assistant_messages,"
                "average_response_time_ms,resolved,escalated_to_human,topics_discussed,actions_taken,"
                "engagement_score,session_duration_seconds"
            ),
            ["day"],
        ),
    ],
)
def test_exports_have_the_fields_and_filters_of_the_document(
    client: TestClient,
    headers: dict[str, str],
    kind: str,
    asked: dict[str, str],
    fields: str,
    ids: list[str],
) -> None:
    """As CSV, with dates and without, with a slash at the end and without."""
    path = f"/admin/chat-analytics/export/{kind}"
    answer = client.get(f"{path}/", params={**asked, **DATES}, headers=headers)
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert answer.text.splitlines()[0].replace('"', "") == fields
    assert [row["session_id"] for row in rows] == ids
    every = client.get(path, headers=headers).text
    seen = {row["session_id"] for row in csv.DictReader(io.StringIO(every))}
    assert seen == {"day", "day-lost", "now", "now-lost"}


def test_the_rows_of_an_export_are_in_the_units_of_the_document(
    client: TestClient, headers: dict[str, str]
) -> None:
    """Milliseconds; the rating on the scale that it was given on."""
    asked = {"user_type": "client", **DATES}
    path = "/admin/chat-analytics/export/sessions/"
    (row,) = csv.DictReader(io.StringIO(client.get(path, params=asked, headers=headers).text))
    assert (row["average_response_time_ms"], row["satisfaction_rating"]) == ("1200", "5")
    assert (row["status"], row["total_messages"], row["topics_discussed"]) == (
        "settled", "2", '["orders"]',
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["all", "conversations", "messages", "engagement", "intents"])
def test_rows_of_the_last_days_can_be_taken_away(
    client: TestClient, headers: dict[str, str], kind: str
) -> None:
    """Of all kinds in an archive, of one as CSV."""
    asked = {"type": kind, "days": "30"}
    answer = client.get("/api/analytics/export", params=asked, headers=headers)
    assert answer.status_code == 200
    assert answer.content.startswith(b"PK" if kind == "all" else b'"')


@pytest.mark.parametrize(
    ("path", "asked", "field"),
    [
        ("/api/v1/analytics/nlu/metrics", {"start_date": "10.11.2026"}, "start_date"),
        ("/admin/chat-analytics/export/sessions/", {"end_date": "2026-11-31"}, "end_date"),
        (
            "/v1/bot/interactions",
            {"start_date": "2026-11-10", "end_date": "2026-11-09"},
            "start_date",
        ),
        ("/v1/bot/interactions", {"modle_used": "gpt-4o"}, "modle_used"),
        ("/api/analytics/overview", {"days": "0"}, "days"),
        ("/api/v1/analytics/dashboard/overview", {"timeframe": "1y"}, "timeframe"),
    ],
)
def test_what_is_wrong_is_refused_by_its_own_name(
    client: TestClient, headers: dict[str, str], path: str, asked: dict[str, str], field: str
) -> None:
    """The parameter of the document, not ours; a misspelt one too."""
    answer = client.get(path, params=asked, headers=headers)
    assert answer.status_code == 422
    error = answer.json()["error"]
    assert error["field"] == field
    if field.endswith("_date"):
        assert field in error["message"]


def test_the_description_marks_them(client: TestClient) -> None:
    """Each address of a document has a tag that says so."""
    found = client.get("/api/v1/openapi.json").json()["paths"]
    marked = {
        path
        for path, operations in found.items()
        if all(one["tags"][0].startswith("documents: ") for one in operations.values())
    }
    assert {re_path(path) for path, _, _ in PRINTED} <= marked
    assert len(marked) == 21


def re_path(path: str) -> str:
    return path.replace("/journey/day", "/journey/{session_id}")


def test_the_dashboard_of_the_document_is_the_overview(client: TestClient) -> None:
    """Its address leads there, filters included."""
    answer = client.get("/admin/chat-analytics/?window=24h", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/?window=24h")


def test_a_month_before_now_is_what_is_asked_about_without_dates(
    client: TestClient, headers: dict[str, str]
) -> None:
    """As the document has it."""
    since = (datetime.now(UTC) - timedelta(days=30)).isoformat()
    path = "/api/v1/analytics/conversations/metrics"
    told = client.get(path, params={"start_date": since}, headers=headers).json()
    assert client.get(path, headers=headers).json() == told
    assert told["total_conversations"] >= 2
