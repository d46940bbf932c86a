"""An event that is settled before its turns arrive counts once they are there."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

from otel_chat import semconv as sc
from tests.server.ingest.sending import PROTOBUF
from tests.server.ingest.test_exactly_once import token
from tests.server.recount.asking import moment
from tests.server.recount.test_recount import reader
from tests.server.recount.world import HOUR, SECOND, Talk, bodies

if TYPE_CHECKING:
    from fastapi.testclient import TestClient


def test_a_rating_that_came_before_its_turn_counts(running: TestClient) -> None:
    """Whatever was settled between the two."""
    now = time.time_ns()
    talk = Talk(random.Random(1), "recount-order", "c", now)
    talk.turn(0, now - HOUR, SECOND, {})
    rating = {sc.EVALUATION_NAME: sc.EVALUATION_USER_FEEDBACK, sc.EVALUATION_SCORE: 1.0}
    talk.event(sc.EVENT_EVALUATION, now - HOUR + 30 * SECOND, rating)
    headers = {**PROTOBUF, **token(running, "ingest:write")}
    asks = reader(running, ["recount-order"])
    window = {"from": moment(now - 24 * HOUR), "to": moment(now)}
    told = []
    for path, body in reversed(bodies(tuple(talk.sent))):
        running.post(f"/v1/{path}", content=body, headers=headers)
        answer = running.get("/api/v1/overview", params=window, headers=asks).json()
        told.append((answer["conversations"], answer["satisfaction"]["count"]))
    assert told == [(0, 0), (1, 1)]
