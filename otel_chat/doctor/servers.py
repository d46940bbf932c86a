"""The ends of the way: whether the marked turn is in the analytics server, Prometheus and Tempo."""

from __future__ import annotations

from typing import Any, Final, Protocol

import httpx

from otel_chat import semconv as sc
from otel_chat.client import AnalyticsClient
from otel_chat.doctor.collector import ASK_SECONDS, ask
from otel_chat.doctor.findings import Marked, TroubleError
from otel_chat.errors import AccessError, StoreUnavailableError

_LOG: Final = "Its log and the collector's say why"
_METRIC: Final = f"{sc.METRIC_TURN_DURATION.replace('.', '_')}_seconds"
_NOT_FOUND: Final = 404


class End(Protocol):
    """A server where the turn should arrive."""

    name: str
    overdue: str
    """What to do when it answers but has no turn."""

    def look(self, marked: Marked) -> str | None:
        """What was seen, or None while the turn is not there.

        Raises:
            TroubleError: it will not come.
        """


class Analytics:
    """The analytics server: the turn and its events.

    Args:
        url: Its address.
        token: Token to read with.
    """

    name = "analytics"
    overdue = (
        f"{_LOG}. Check OTEL_CHAT_ANALYTICS_URL and OTEL_CHAT_INGEST_TOKEN of the collector: the"
        " token needs ingest:write."
    )

    def __init__(self, url: str, token: str | None) -> None:
        self._url = url
        self._token = token

    def look(self, marked: Marked) -> str | None:
        """The turn and the event of its intent, as the API gives them."""
        try:
            with AnalyticsClient(self._url, token=self._token, timeout=ASK_SECONDS) as client:
                found = client.conversation(marked.conversation_id)
                left = client.unclaimed_spans() if found["turns"] else {"spans": 0}
        except StoreUnavailableError as error:
            raise TroubleError(
                str(error).rstrip("."), "Start it (`otel-chat serve`), or give --analytics."
            ) from error
        except AccessError as error:
            if error.status == _NOT_FOUND:
                return None
            raise TroubleError(
                f"{self._url} lets nobody read without a token ({error})",
                "Give --token (OTEL_CHAT_TOKEN), one with conversations:read.",
            ) from error
        if not (found["turns"] and found["events"]):
            return None
        where = f"{self._url}/conversations/{marked.conversation_id}"
        return f"has the turn and its events: {where}{_unclaimed(left)}"


def _unclaimed(found: dict[str, Any]) -> str:
    """What of the last day is part of no turn, if anything."""
    if not found["spans"]:
        return ""
    first = found["items"][0]
    return (
        f"; in the last 24 hours {found['spans']:,} spans of agents and models became part of no"
        f" turn: {first['spans']:,} of {first['instrumentation'] or 'no named instrumentation'},"
        f" {first['reason']}. {first['fix']}"
    )


class Prometheus:
    """Prometheus: the turn's duration, with an exemplar that names its trace.

    Args:
        url: Its address.
    """

    name = "prometheus"
    overdue = (
        f"{_LOG}. Prometheus needs --web.enable-otlp-receiver, the collector"
        " OTEL_CHAT_PROMETHEUS_URL."
    )

    def __init__(self, url: str) -> None:
        self._url = url

    def look(self, marked: Marked) -> str | None:
        """The count of the turn's histogram, then its exemplar."""
        labels = f'{{service_name="{sc.DOCTOR}",service_instance_id="{marked.instance}"}}'
        counted = self._ask("query", query=f"sum({_METRIC}_count{labels}) > 0")["result"]
        if not counted:
            return None
        at = float(counted[0]["value"][0])
        selector = f"{_METRIC}_bucket{labels}"
        series = self._ask("query_exemplars", query=selector, start=at - 600, end=at + 60)
        named = marked.trace_id in str(series)
        without = "; without an exemplar: run it with --enable-feature=exemplar-storage"
        return f"has counted the turn: {self._url}{'' if named else without}{self._shared()}"

    def _shared(self) -> str:
        """Which services have several processes under one id, whose figures are wrong here."""
        spent = "process_cpu_time_seconds_total"
        falls = f"resets({spent}[10m]) / count_over_time({spent}[10m]) > 0.2"
        by = "service_name, service_instance_id"
        found = self._ask("query", query=f"count by ({by}) ({falls})")["result"]
        named = [one.get("metric", {}) for one in found]
        whose = sorted(
            f"{one.get('service_name', '')} ({one['service_instance_id']})"
            for one in named
            if "service_instance_id" in one
        )
        several = "; several processes send as one (runbook TelemetryInstanceShared): "
        return several + ", ".join(whose) if whose else ""

    def _ask(self, path: str, **parameters: str | float) -> Any:
        fix = "Start Prometheus, or give --prometheus; 'none' leaves it out."
        try:
            answer = ask(f"{self._url}/api/v1/{path}", params=parameters)
        except httpx.HTTPError as error:
            said = error or type(error).__name__
            raise TroubleError(f"{self._url} does not answer ({said})", fix) from error
        if not answer.is_success:
            raise TroubleError(f"{self._url} answers {answer.status_code} to a query", fix)
        return answer.json()["data"]


class Tempo:
    """Tempo: the trace.

    Args:
        url: Its address.
    """

    name = "tempo"
    overdue = (
        f"{_LOG}. The collector needs exporters/collector/tempo.yaml beside collector.yaml, and"
        " OTEL_CHAT_TEMPO_OTLP."
    )

    def __init__(self, url: str) -> None:
        self._url = url

    def look(self, marked: Marked) -> str | None:
        """The trace by its id; the turn was marked to be kept by tail sampling."""
        fix = "Start Tempo, or give --tempo; 'none' leaves it out."
        try:
            answer = ask(f"{self._url}/api/traces/{marked.trace_id}")
        except httpx.HTTPError as error:
            said = error or type(error).__name__
            raise TroubleError(f"{self._url} does not answer ({said})", fix) from error
        if answer.status_code == _NOT_FOUND:
            return None
        if not answer.is_success:
            raise TroubleError(f"{self._url} answers {answer.status_code}", fix)
        return f"has the trace {marked.trace_id}: {self._url}"
