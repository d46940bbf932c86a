"""Servers that crash or are away under traffic: what was answered is counted in the end."""

from __future__ import annotations

import pytest

from tests.stack.running import Running, Sender
from tests.waiting import until

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]
ORDER = 150


@pytest.mark.parametrize("part", ["collector", "analytics", "prometheus"])
def test_a_crash_under_traffic_loses_nothing(running: Running, sender: Sender, part: str) -> None:
    """Kill -9 and restart: both ends have every turn, once."""
    process = running.stack[part]
    sender.answer(ORDER)
    until(lambda: running.turns(sender.service) > 0)
    sender.answer(ORDER)
    process.kill()
    sender.answer(ORDER)
    process.start()
    sender.answer(ORDER)
    answered = [sender.said()[0] for _ in range(4)]

    assert answered[-1] == 4 * ORDER
    name = f'otel_chat_turn_duration_seconds_count{{service_name="{sender.service}"}}'
    until(lambda: running.turns(sender.service) == 4 * ORDER)
    until(lambda: running.query(f"sum(increase({name}[10m] anchored))") == [4 * ORDER])


@pytest.mark.parametrize("part", ["analytics", "prometheus"])
def test_what_comes_while_a_server_is_away_waits_on_disk(
    running: Running, sender: Sender, part: str
) -> None:
    """The collector takes all; after a crash of its own it still brings what the server missed."""
    running.stack[part].kill()
    sender.answer(ORDER)
    assert sender.said() == (ORDER, True)
    running.stack["collector"].kill()
    running.stack["collector"].start()
    running.stack[part].start()

    name = f'otel_chat_turn_duration_seconds_count{{service_name="{sender.service}"}}'
    until(lambda: running.turns(sender.service) == ORDER)
    until(lambda: running.query(f"sum(increase({name}[10m] anchored))") == [ORDER])
