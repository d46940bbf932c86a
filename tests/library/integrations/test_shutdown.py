"""A server that is asked to stop loses nothing that it had answered."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import web
from tests.library.integrations.live import Sink, serving

SERVERS = {
    "fastapi": ("uvicorn", "fastapi_app.main:app", "--port", "{port}"),
    "flask": ("gunicorn", "flask_app.app:app", "--bind", "127.0.0.1:{port}"),
    "django": ("uvicorn", "django_app.asgi:application", "--port", "{port}"),
}


@pytest.mark.parametrize("name", SERVERS)
def test_a_terminated_server_has_sent_every_turn(name: str, sink: Sink, tmp_path: Path) -> None:
    """SIGTERM right after the last answer, long before any export is due."""
    never = {"OTEL_BSP_SCHEDULE_DELAY": "600000", "DJANGO_SETTINGS_MODULE": "django_app.settings"}
    with serving(sink, *SERVERS[name], log=tmp_path / "log", **never) as host:
        for _ in range(20):
            question = {"session_id": "s-1", "text": "Any refund?"}
            web.post(f"http://{host}/chat", json=question).raise_for_status()
    assert len(sink.turns) == 20
