"""How far two reviewers agree, beyond what chance would make them.

- Cohen's kappa: J. Cohen, A coefficient of agreement for nominal scales, Educational and
  Psychological Measurement 20 (1960).
- Of scores that are numbers, with quadratic weights: J. Cohen, Weighted kappa, Psychological
  Bulletin 70 (1968). Two of five against three is nearer than one against five.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def kappa(
    pairs: Mapping[tuple[str, str], int], order: Sequence[str], *, weighted: bool = False
) -> float | None:
    """Cohen's kappa of two reviewers: 1 is full agreement, 0 what chance alone would make.

    Args:
        pairs: How often the one said the first, and the other the second, of the same.
        order: All that could be said, the least first.
        weighted: Whether what lies further apart differs more, by the square of its distance.

    Returns:
        Kappa; `None` where both always said one and the same, which chance explains as well, and
        over nothing.

    Example:
        >>> round(kappa({("yes", "yes"): 20, ("yes", "no"): 5, ("no", "yes"): 10,
        ...     ("no", "no"): 15}, ("yes", "no")), 4)
        0.4
        >>> kappa({("yes", "yes"): 9}, ("yes", "no"))
    """
    places = {value: number for number, value in enumerate(order)}
    first: dict[str, int] = {}
    second: dict[str, int] = {}
    for (one, other), times in pairs.items():
        first[one] = first.get(one, 0) + times
        second[other] = second.get(other, 0) + times
    total = sum(first.values())

    def apart(one: str, other: str) -> int:
        return (places[one] - places[other]) ** 2 if weighted else int(one != other)

    seen = sum(apart(*pair) * times for pair, times in pairs.items())
    chance = sum(apart(a, b) * first[a] * second[b] for a in first for b in second)
    # Whole numbers up to here, so that full agreement is 1 to the last digit.
    return None if not chance else 1 - seen * total / chance
