"""The figures that are looked at for change: each a sum over conversations ÷ another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from otel_chat.server.figures.answers import ERRORS, FALLBACKS, UNSURE
from otel_chat.server.figures.chance import Ratios
from otel_chat.server.figures.conversation_figures import (
    ABANDONED,
    CONTAINED,
    LENGTH,
    RESOLVED_HIGH,
    RESOLVED_LOW,
)
from otel_chat.server.figures.figures import SATISFIED
from otel_chat.server.figures.registry import Better
from otel_chat.server.figures.sql import SCALE
from otel_chat.server.rules import POSITIVE

Kind = Literal["outcome", "speed", "cost", "volume"]
KINDS: Final[tuple[Kind, ...]] = ("outcome", "speed", "cost", "volume")
CONVERSATIONS: Final = "conversations"


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """A figure that is looked at for change.

    Args:
        name: Its name among the figures.
        label: What it is called in a sentence.
        kind: What it is about.
        better: Which way is good.
        unit: What it is counted in: 1 for a share, s, USD and so on.
        x: SQL of a conversation's numerator, a whole number, of a row that is called `s`.
        y: SQL of its denominator.
        reads: The columns of a row that both read.
        scale: So many of what `x` counts are one of the unit.
    """

    name: str
    label: str
    kind: Kind
    better: Better
    unit: str
    x: str
    y: str
    reads: tuple[str, ...]
    scale: int = 1


def _settled(name: str, label: str, counted: str, better: Better, *reads: str) -> Told:
    return Told(
        name=name, label=label, kind="outcome", better=better, unit="1",
        x=f"s.settled AND {counted}", y="s.settled", reads=("settled", *reads),
    )  # fmt: skip


def _turns(name: str, label: str, part: str, whole: str) -> Told:
    return Told(
        name=name, label=label, kind="outcome", better="lower", unit="1",
        x=f"s.{part}", y=f"s.{whole}", reads=(part, whole),
    )  # fmt: skip


_SCALES: Final = "value, scale_min, scale_max, score"
_RATED: Final = ", ".join(f"s.feedback.{name}" for name in _SCALES.split(", "))
TOLD: Final = (
    _settled(CONTAINED.name, "Containment", "NOT s.handed_off", "higher", "handed_off"),
    _settled(RESOLVED_HIGH.name, "Resolution", "s.outcome = 'resolved'", "higher", "outcome"),
    _settled(RESOLVED_LOW.name, "Confirmed resolution", "s.confirmed", "higher", "confirmed"),
    _settled(ABANDONED.name, "Abandonment", "s.outcome = 'abandoned'", "lower", "outcome"),
    Told(
        name=SATISFIED.name, label="CSAT", kind="outcome", better="higher", unit="1",
        x=f"arrayCount(({_SCALES}) -> {POSITIVE}, {_RATED})", y="length(s.feedback)",
        reads=("feedback",),
    ),
    _turns(FALLBACKS.name, "Fallback rate", "fallbacks", "classified"),
    _turns(UNSURE.name, "Share of unsure turns", "low_confidence", "confidences"),
    _turns(ERRORS.name, "Share of failed turns", "errors", "turns"),
    Told(
        name="response_time", label="Mean response time", kind="speed", better="lower", unit="s",
        x="ifNull(s.response_sum, 0)", y="s.responses", scale=SCALE,
        reads=("response_sum", "responses"),
    ),
    Told(
        name="time_to_first_chunk", label="Mean time to the first words", kind="speed",
        better="lower", unit="s", x="ifNull(s.first_chunk_sum, 0)", y="s.first_chunks",
        scale=SCALE, reads=("first_chunk_sum", "first_chunks"),
    ),
    Told(
        name="mean_conversation_cost", label="Cost of a conversation", kind="cost",
        better="lower", unit="USD", y="s.settled AND s.priced_turns > 0", scale=SCALE,
        x=f"if(s.settled, toInt128(toDecimal128(ifNull(s.cost, 0), 9) * {SCALE}), 0)",
        reads=("settled", "cost", "priced_turns"),
    ),
    Told(
        name="tokens_per_turn", label="Tokens of a turn", kind="cost", better="neither",
        unit="{token}", x="toInt128(ifNull(s.input_tokens, 0)) + ifNull(s.output_tokens, 0)",
        y="s.token_turns", reads=("input_tokens", "output_tokens", "token_turns"),
    ),
    Told(
        name=LENGTH.name, label="Turns of a conversation", kind="volume", better="neither",
        unit="{turn}", x="if(s.settled, s.turns, 0)", y="s.settled", reads=("settled", "turns"),
    ),
)  # fmt: skip
"""What is looked at, beside how many conversations there were."""
VOLUME: Final = Told(
    name=CONVERSATIONS, label="Conversations", kind="volume", better="neither",
    unit="{conversation}", x="1", y="1", reads=(),
)  # fmt: skip


def sums_sql(place: str, one: Told) -> str:
    """SQL of the sums over conversations that `ratios_of` reads, named after a place.

    Args:
        place: What their names begin with.
        one: The figure.
    """
    x, y = f"toInt128({one.x})", f"toInt128({one.y})"
    values = {
        "n": f"countIf({one.y} > 0)", "x": f"sum({x})", "y": f"sum({y})",
        "xx": f"sum({x} * {x})", "xy": f"sum({x} * {y})", "yy": f"sum({y} * {y})",
    }  # fmt: skip
    return ", ".join(f"toString({sql}) AS {place}_{name}" for name, sql in values.items())


def ratios_of(place: str, one: Told, row: Mapping[str, Any]) -> Ratios:
    """The sums of a row.

    Args:
        place: What their names begin with.
        one: The figure.
        row: A row of `sums_sql`.
    """
    count, x, y, xx, xy, yy = (
        int(row[f"{place}_{name}"]) for name in ("n", "x", "y", "xx", "xy", "yy")
    )
    return Ratios(count, x, y, xx, xy, yy, one.scale)
