"""What is done again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_chat.server.periodic import Periodic
from tests.waiting import until

if TYPE_CHECKING:
    import pytest


def test_what_is_done_again_and_again_outlives_an_error(caplog: pytest.LogCaptureFixture) -> None:
    """The first time fails, whatever it is: it is logged, and the second time comes."""
    times: list[int] = []

    def act() -> None:
        times.append(1)
        if len(times) == 1:
            raise ZeroDivisionError("of ours")

    chore = Periodic("chore", 0.01, act)
    chore.start()
    until(lambda: len(times) > 1)
    chore.stop()
    assert "chore failed" in caplog.text
