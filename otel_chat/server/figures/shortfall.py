"""What conversations of a kind lack, were they like the others: so many, and as a sum in words."""

from __future__ import annotations

from dataclasses import dataclass

from otel_chat.server.figures.chance import Ratios
from otel_chat.server.figures.intervals import newcombe


@dataclass(frozen=True, slots=True)
class Shortfall:
    """(share of the others - share of these) × these.

    Args:
        here: Of these, how many are well.
        others: Of the others.
        every: How many there are in all.

    Example:
        >>> found = Shortfall(Ratios.share(12, 30), Ratios.share(120, 128), 158)
        >>> round(found.lost, 1), [round(end, 1) for end in found.ends], round(found.points, 3)
        (16.1, [10.6, 20.8], 0.102)
        >>> found.said("handoffs")
        '(94 % - 40 %) × 30 = 16 handoffs, 10.2 points of all 158.'
    """

    here: Ratios
    others: Ratios
    every: int

    @property
    def lost(self) -> float:
        """How many fewer are well than if these were like the others."""
        return ((self.others.value or 0.0) - (self.here.value or 0.0)) * self.here.count

    @property
    def ends(self) -> tuple[float, float]:
        """The ends of its interval, at 95 %."""
        apart = newcombe((self.others.x, self.others.y), (self.here.x, self.here.y))
        if apart is None:
            return (0.0, 0.0)
        return apart.low * self.here.count, apart.high * self.here.count

    @property
    def points(self) -> float:
        """The same, as a part of all."""
        return self.lost / self.every

    @property
    def shares(self) -> tuple[str, str]:
        """The share of these and that of the others, in words."""
        here, others = (f"{100 * (one.value or 0.0):.0f} %" for one in (self.here, self.others))
        return here, others

    def said(self, what: str) -> str:
        """The sum in words.

        Args:
            what: What is lost, as `handoffs`.
        """
        here, others = self.shares
        return (
            f"({others} - {here}) × {self.here.count:,} = {self.lost:,.0f} {what},"
            f" {100 * self.points:.1f} points of all {self.every:,}."
        )
