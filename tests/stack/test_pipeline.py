"""From a decorated handler through the collector to Prometheus and the analytics server."""

from __future__ import annotations

import pytest

from tests.stack.running import Running, Sender
from tests.waiting import until

pytestmark = pytest.mark.stack
TURNS = 137


def test_every_turn_is_counted_once_in_analytics_and_in_prometheus(
    running: Running, sender: Sender
) -> None:
    """Both ends have exactly the turns that were answered, the very first one included."""
    sender.answer(TURNS)
    assert sender.said() == (TURNS, True)

    name = f'otel_chat_turn_duration_seconds_count{{service_name="{sender.service}"}}'
    until(lambda: running.turns(sender.service) == TURNS)
    until(lambda: running.query(f"sum(increase({name}[5m] anchored))") == [TURNS])


def test_an_exemplar_opens_its_trace(running: Running, sender: Sender) -> None:
    """The trace ids on the duration's buckets are turns that the analytics server shows."""
    sender.answer(20)
    assert sender.said() == (20, True)

    selector = f'otel_chat_turn_duration_seconds_bucket{{service_name="{sender.service}"}}'
    found = until(lambda: running.exemplars(selector))
    until(lambda: running.turns(sender.service) == 20)
    for trace_id in found:
        assert trace_id in str(running.trace(trace_id))


def test_the_telemetrys_own_health_reaches_analytics_and_prometheus(
    running: Running, sender: Sender
) -> None:
    """Figures of the process go both ways; Prometheus sees every server of the stack up.

    But for Tempo, which may not be there.
    """
    sender.answer(1)
    sender.said()
    memory = f'process_memory_usage_bytes{{service_name="{sender.service}"}}'
    assert until(lambda: running.query(memory))[0] > 1e6
    until(lambda: running.query('sum(up{job!="tempo"})') == [4.0])
    until(lambda: running.query("otelcol_exporter_sent_spans"))
