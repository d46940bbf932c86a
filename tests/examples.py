"""How many examples a property is shown by: few in `make test`, many in `make test-thorough`."""

from __future__ import annotations

import os
from typing import Final

from hypothesis import HealthCheck, settings

THOROUGH: Final = bool(os.environ.get("OTEL_CHAT_THOROUGH"))
"""Whether many are wanted; a day's seed draws them (`--hypothesis-seed`)."""


def examples(few: int, many: int = 0) -> settings:
    """How many examples a test draws, however long each takes.

    Args:
        few: At a desk and before each change: the same ones each time.
        many: In `make test-thorough`; ten times as many if it is 0.
    """
    return settings(
        max_examples=(many or 10 * few) if THOROUGH else few,
        deadline=None,
        derandomize=not THOROUGH,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
