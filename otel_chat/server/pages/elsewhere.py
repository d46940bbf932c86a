"""Addresses in the other places where a conversation can be looked at: Grafana and Tempo."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlencode

from otel_chat.server.episodes import Episode

if TYPE_CHECKING:
    from datetime import datetime

    from otel_chat.server.settings import ServerSettings

DASHBOARD: Final = "otel-chat-response-time"
CONVERSATION: Final = "otel-chat-conversation"
AROUND: Final = timedelta(minutes=30)


def _millis(moment: datetime) -> str:
    return str(int(moment.timestamp() * 1000))


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Where Grafana and Tempo are.

    Args:
        grafana: Grafana's address; empty without one.
        tempo: Tempo's address; empty without one.

    Example:
        >>> Elsewhere("", "http://tempo:3200").trace("4bf92f3577b34da6a3ce929d0e0e4736")
        'http://tempo:3200/api/traces/4bf92f3577b34da6a3ce929d0e0e4736'
    """

    grafana: str = ""
    tempo: str = ""

    @classmethod
    def of(cls, settings: ServerSettings) -> Elsewhere:
        """As the server's settings say."""
        return cls((settings.grafana_url or "").rstrip("/"), (settings.tempo_url or "").rstrip("/"))

    def trace(self, trace_id: str) -> str:
        """A trace in Tempo; empty without one."""
        return f"{self.tempo}/api/traces/{quote(trace_id)}" if self.tempo else ""

    def conversation(
        self, conversation_id: str, start: datetime, end: datetime, trace_id: str = ""
    ) -> str:
        """A conversation in Grafana, with one of its traces if given; empty without Grafana."""
        if not self.grafana:
            return ""
        asked = {
            "var-conversation": Episode.of(conversation_id).raw,
            **({"var-trace": trace_id} if trace_id else {}),
            "from": _millis(start - AROUND),
            "to": _millis(end + AROUND),
        }
        return f"{self.grafana}/d/{CONVERSATION}?{urlencode(asked)}"

    def dashboard(self, agent: str, start: datetime, end: datetime) -> str:
        """How long replies took around a conversation; empty without Grafana."""
        if not self.grafana:
            return ""
        asked = {"from": _millis(start - AROUND), "to": _millis(end + AROUND)}
        if agent:
            asked["var-agent"] = agent
        return f"{self.grafana}/d/{DASHBOARD}?{urlencode(asked)}"
