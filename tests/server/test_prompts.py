"""Prompts as what turns can be told apart by: in filters, comparisons, exports and pages."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

    from tests.server.given import Given

DAY = {"from": "2026-11-10", "to": "2026-11-10"}


@pytest.fixture
def prompted(given: Given) -> Given:
    """Two conversations by the first version of a prompt, three by the second, one by none."""
    name = f"greeting {given.tenant}"
    for number in range(2):
        given.turn(f"old {number}", number, 2, prompt=name, prompt_version="1", status="error")
    for number in range(3):
        given.turn(f"new {number}", number, 4, prompt=name, prompt_version="2")
    given.turn("bare", 9)
    given.save()
    return given


def asked(client: TestClient, path: str, given: Given, **parameters: str) -> Any:
    found = client.get(path, params={**DAY, "prompt": f"greeting {given.tenant}", **parameters})
    assert found.status_code == 200, found.text
    return found


def test_turns_and_conversations_are_limited_to_a_prompt(
    client: TestClient, prompted: Given
) -> None:
    """By its name, and by its version beside it."""
    whole = asked(client, "/api/v1/overview", prompted).json()
    one = asked(client, "/api/v1/overview", prompted, prompt_version="1").json()
    assert (whole["conversations"], whole["turns"]) == (5, 5)
    assert (one["conversations"], one["turns"]) == (2, 2)
    listed = asked(client, "/api/v1/conversations", prompted, prompt_version="2").json()["items"]
    assert {item["conversation_id"] for item in listed} == {"new 0", "new 1", "new 2"}


def test_versions_of_a_prompt_are_compared(client: TestClient, prompted: Given) -> None:
    """Side by side, within the prompt that is filtered by; and two prompts likewise."""
    compared = asked(
        client, "/api/v1/comparison", prompted, by="prompt_version", a="1", b="2"
    ).json()
    assert (compared["a"]["turns"], compared["b"]["turns"]) == (2, 3)
    name = f"greeting {prompted.tenant}"
    two = {"by": "prompt", "a": name, "b": "x"}
    found = client.get("/api/v1/comparison", params=DAY | two)
    assert (found.json()["a"]["turns"], found.json()["b"]["turns"]) == (5, 0)


def test_an_export_tells_the_prompt_of_each_turn(client: TestClient, prompted: Given) -> None:
    """Name and version are columns, limited by the same filters."""
    lines = asked(client, "/api/v1/exports/interactions", prompted, format="jsonl").text
    told = [json.loads(line) for line in lines.splitlines()]
    assert {row["prompt"] for row in told} == {f"greeting {prompted.tenant}"}
    assert sorted(row["prompt_version"] for row in told) == ["1", "1", "2", "2", "2"]


def test_pages_offer_prompts_where_there_are_any(client: TestClient, prompted: Given) -> None:
    """In the filters of every page, and in the ways to compare."""
    name = f"greeting {prompted.tenant}"
    page = asked(client, "/conversations", prompted).text
    assert f'<option value="{name}" selected>{name}</option>' in page
    assert "by=prompt_version" in asked(client, "/compare", prompted).text
