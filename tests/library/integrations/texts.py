"""What a collected turn keeps of its texts."""

from __future__ import annotations

import json

from otel_chat import semconv as sc
from otel_chat.testing.views import CollectedTurn


def texts(turn: CollectedTurn) -> tuple[str, str]:
    """What the user said, and the reply."""
    kept = (json.loads(turn[key] or "[]") for key in (sc.INPUT_MESSAGES, sc.OUTPUT_MESSAGES))
    asked, reply = ("".join(p["content"] for m in one for p in m["parts"]) for one in kept)
    return asked, reply
