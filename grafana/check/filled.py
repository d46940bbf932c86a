"""Variables and intervals filled in as Grafana fills them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from grafana.board import EVERY

EXPORT_INTERVAL: Final = 15_000
"""Milliseconds; `timeInterval` of the provisioned data source."""
PANEL_PIXELS: Final = 1400
"""The width of a dashboard of 24 columns on a screen of 1440 pixels."""
_ROUNDED: Final = (
    (1500, 1000), (3500, 2000), (7500, 5000), (12_500, 10_000), (17_500, 15_000),
    (25_000, 20_000), (45_000, 30_000), (90_000, 60_000), (210_000, 120_000),
    (450_000, 300_000), (750_000, 600_000), (1_050_000, 900_000), (1_500_000, 1_200_000),
    (2_700_000, 1_800_000), (5_400_000, 3_600_000), (9_000_000, 7_200_000),
    (16_200_000, 10_800_000), (32_400_000, 21_600_000), (86_400_000, 43_200_000),
)  # fmt: skip
_DAY: Final = 86_400_000
_UNITS: Final = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": _DAY}


def milliseconds(duration: str) -> int:
    """A duration of one unit, as `15s` or `1m`.

    Raises:
        ValueError: it is none.
    """
    found = re.fullmatch(r"(\d+)(ms|s|m|h|d)", duration)
    if found is None:
        raise ValueError(f"{duration!r} is no duration.")
    return int(found[1]) * _UNITS[found[2]]


def interval(seconds: float, columns: int, least: str | None = None) -> int:
    """The interval between the points of a panel, in milliseconds.

    Args:
        seconds: The time that is shown.
        columns: The panel's width in columns of the grid.
        least: The panel's own least interval.

    Example:
        >>> interval(3600, 24), interval(86400, 12), interval(3600, 24, "1m")
        (15000, 120000, 60000)
    """
    exact = seconds * 1000 / (PANEL_PIXELS * columns / 24)
    rounded = next((value for limit, value in _ROUNDED if exact < limit), _DAY)
    floor = max(EXPORT_INTERVAL, milliseconds(least) if least else 0)
    return max(rounded, floor)


def times(seconds: float, step: int) -> dict[str, str]:
    """The variables of time.

    Args:
        seconds: The time that is shown.
        step: The interval between points, milliseconds.

    Example:
        >>> times(3600, 15000)["__rate_interval"]
        '60s'
    """
    rate = max(step + EXPORT_INTERVAL, 4 * EXPORT_INTERVAL)
    return {
        "__interval": f"{step}ms",
        "__interval_ms": str(step),
        "__rate_interval": f"{rate // 1000}s",
        "__range": f"{seconds:.0f}s",
        "__range_s": f"{seconds:.0f}",
    }


def escaped(value: str) -> str:
    r"""A value inside a regular expression inside a PromQL string.

    Example:
        >>> print(escaped("a.b"))
        a\\.b
    """
    in_a_pattern = re.sub(r"([\\^$*+?.()|\[\]{}])", r"\\\1", value)
    return in_a_pattern.replace("\\", "\\\\")


def chosen(values: Sequence[str]) -> str:
    """Several values that were ticked, for a `=~` matcher.

    Example:
        >>> chosen(["web", "mobile"])
        '(web|mobile)'
    """
    inside = "|".join(map(escaped, values))
    return inside if len(values) == 1 else f"({inside})"


def fill(text: str, values: Mapping[str, str]) -> str:
    r"""A text with its variables filled in.

    Raises:
        KeyError: a variable has no value.

    Example:
        >>> fill("a[$__range]", {"__range": "60s"})
        'a[60s]'
        >>> fill("id = ${id:doublequote}", {"id": 'a"b'})
        'id = "a\\"b"'
        >>> fill("/turns?${agent:customqueryparam:first_agent}", {"agent": "a b"})
        '/turns?first_agent=a%20b'
    """
    return re.sub(
        r"\$\{(\w+)(?::([\w:]+))?\}|\$(\w+)",
        lambda found: _written(found[1], values[found[1] or found[3]], found[2] or ""),
        text,
    )


def _written(name: str, value: str, form: str) -> str:
    """A value in the form that `${name:form}` asks for."""
    if form.startswith("customqueryparam") and value != EVERY:
        return f"{form.partition(':')[2] or name}={quote(value, safe='')}"
    escaped = value.replace('"', '\\"')
    return f'"{escaped}"' if form == "doublequote" else value


def opened(dashboard: Mapping[str, Any]) -> dict[str, str]:
    """The values that variables have when a dashboard is opened."""
    found: dict[str, str] = {}
    for variable in dashboard["templating"]["list"]:
        current = variable.get("current", {}).get("value")
        if variable["type"] == "constant":
            found[variable["name"]] = variable["query"]
        elif current == ["$__all"]:
            found[variable["name"]] = variable["allValue"]
        elif isinstance(current, str):
            found[variable["name"]] = current
    return found
