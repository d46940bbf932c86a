"""How much of the engine a question may take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Limit:
    """What one question may take; beyond it the engine gives up, and the caller is told.

    Args:
        memory: Bytes.
        seconds: Of time.
        together: Bytes of all that the engine does at once; 0 for any number.

    Example:
        >>> Limit(1000, 0.5).sql()
        'max_memory_usage = 1000, max_execution_time = 0.5'
    """

    memory: int
    seconds: float
    together: int = 0

    def sql(self) -> str:
        """As settings of a SELECT."""
        settings = f"max_memory_usage = {self.memory}, max_execution_time = {self.seconds}"
        if self.together:
            settings += f", max_memory_usage_for_user = {self.together}"
        return settings


QUESTION: Final = Limit(750_000_000, 10)
EXPORT: Final = Limit(750_000_000, 3600)
