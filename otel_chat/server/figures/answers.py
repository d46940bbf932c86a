"""The shapes that answers share, each figure with its definition."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

from otel_chat.server.figures.registry import Quotient, figure, register
from otel_chat.server.figures.sql import SCALE
from otel_chat.server.figures.window import Window


def plain(amount: Decimal) -> str:
    """Money as JSON has it: a string, so that no reader rounds it, without needless zeros.

    Example:
        >>> plain(Decimal("0.001230000")), plain(Decimal("100.000000000"))
        ('0.00123', '100')
    """
    text = format(amount, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


Money = Annotated[Decimal, PlainSerializer(plain, return_type=str, when_used="json")]


UNSURE: Final = register(
    Quotient(
        name="low_confidence_ratio",
        unit="1",
        definition="Turns with a confidence below the threshold ÷ turns with a confidence. The"
        " threshold is a setting of the server, 0.7 without.",
        version=2,
        label="Unsure",
        better="lower",
        part="low_confidence",
        whole="confidence_n",
    )
)
FALLBACKS: Final = register(
    Quotient(
        name="fallback_ratio",
        unit="1",
        definition="Turns with no matched intent ÷ classified turns. A turn without a classifier"
        " or an annotation is neither.",
        version=2,
        label="Fallback",
        better="lower",
        part="fallbacks",
        whole="classified",
        gauge="otel_chat_fallback_ratio",
    )
)
ERRORS: Final = register(
    Quotient(
        name="error_ratio",
        unit="1",
        definition="Turns that ended in an error ÷ turns.",
        label="Errors",
        better="lower",
        part="errors",
        whole="turns",
    )
)


class Answer(BaseModel):
    """Base of every answer: built once, never changed."""

    model_config = ConfigDict(frozen=True)


class TimeSpan(Answer):
    """The time that an answer covers."""

    model_config = ConfigDict(frozen=True, populate_by_name=True, serialize_by_alias=True)

    start: datetime = Field(alias="from", description="The first moment, UTC.")
    end: datetime = Field(alias="to", description="The first moment after it, UTC.")
    as_of: datetime | None = Field(
        None,
        description="Figures of conversations hold all that was stored up to this moment, UTC; null"
        " while that is not known.",
    )
    rules: str | None = Field(
        None,
        description="The rules that figures of conversations are of: their version, and below which"
        " confidence a turn is unsure; null while some are still worked out by others before.",
    )

    @classmethod
    def of(cls, window: Window) -> TimeSpan:
        """The span of a window."""
        return cls(start=window.start, end=window.end, as_of=window.as_of, rules=window.rules)


class Distribution(Answer):
    """A mean and quantiles over `count` values; all `null` over none.

    Quantiles are exact and interpolate between the two values nearest to the rank.
    """

    mean: float | None = None
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None
    count: int = Field(0, description="How many values there were.")

    @classmethod
    def read(cls, row: dict[str, Any], name: str) -> Distribution:
        """The distribution that `distribution_sql(name, ...)` asked for."""
        p50, p95, p99 = row.get(f"{name}_q") or (None, None, None)
        count = row.get(f"{name}_n", 0)
        if not count:
            return cls()
        return cls(mean=row[f"{name}_mean"], p50=p50, p95=p95, p99=p99, count=count)


class Tokens(Answer):
    """Tokens of the turns that reported any; `null` where none did."""

    input: int | None = figure(
        "input_tokens", "{token}", "Tokens sent to models, cached ones among them."
    )
    output: int | None = figure(
        "output_tokens", "{token}", "Tokens that models answered with, reasoning among them."
    )
    cache_read: int | None = figure(
        "cache_read_tokens", "{token}", "Input tokens that were read from a provider's cache."
    )
    reasoning: int | None = figure(
        "reasoning_tokens", "{token}", "Output tokens that were spent on reasoning."
    )
    total: int | None = figure("total_tokens", "{token}", "Input and output tokens.")
    turns: int = figure("token_turns", "{turn}", "Turns that reported tokens.")

    @classmethod
    def read(cls, row: dict[str, Any]) -> Tokens:
        """The tokens of a row of figures of turns."""
        sums = {
            name: row.get(f"sum_{name}_tokens")
            for name in ("input", "output", "cache_read", "reasoning")
        }
        known = [sums[side] for side in ("input", "output") if sums[side] is not None]
        return cls(**sums, total=sum(known) if known else None, turns=row.get("token_turns", 0))


class Confidence(Answer):
    """How sure the turns were of what the user wanted."""

    mean: float | None = figure("mean_confidence", "1", "Mean confidence of turns that have one.")
    count: int = figure("confidence_turns", "{turn}", "Turns with a confidence.")
    low: int = figure(
        "low_confidence_turns", "{turn}", "Turns with a confidence below the threshold."
    )
    high: int = figure(
        "high_confidence_turns", "{turn}", "Turns with a confidence from the threshold up."
    )
    low_rate: float | None = UNSURE.field()
    threshold: float = Field(description="A confidence below it is low; a setting of the server.")

    @classmethod
    def read(cls, row: dict[str, Any], threshold: float) -> Confidence:
        """The confidence of a row of figures of turns, of which those below a threshold are low."""
        count, low = row.get("confidence_n", 0), row.get("low_confidence", 0)
        return cls(
            mean=row.get("confidence_mean"),
            count=count,
            low=low,
            high=count - low,
            low_rate=UNSURE.read(row),
            threshold=threshold,
        )


class Fallback(Answer):
    """Turns in which nobody knew what the user wanted."""

    rate: float | None = FALLBACKS.field()
    count: int = figure("fallback_turns", "{turn}", "Turns with no matched intent.")
    classified: int = figure(
        "classified_turns",
        "{turn}",
        "Turns that a classifier or an annotation gave an intent, or none; an annotation may be"
        " told long after its turn.",
        version=2,
    )

    @classmethod
    def read(cls, row: dict[str, Any]) -> Fallback:
        """The fallbacks of a row of figures of turns."""
        return cls(
            rate=FALLBACKS.read(row),
            count=row.get("fallbacks", 0),
            classified=row.get("classified", 0),
        )


class Errors(Answer):
    """Turns that failed."""

    turns: int = figure("failed_turns", "{turn}", "Turns that ended in an error.")
    rate: float | None = ERRORS.field()

    @classmethod
    def read(cls, row: dict[str, Any]) -> Errors:
        """The errors of a row of figures of turns."""
        return cls(turns=row.get("errors", 0), rate=ERRORS.read(row))


class Cost(Answer):
    """What the models cost, as far as it is known."""

    amount: Money | None = figure(
        "cost",
        "USD",
        "Exact sum of the costs of priced turns, as a decimal string; null if none is priced.",
    )
    priced_turns: int = figure("priced_turns", "{turn}", "Turns with a cost.")
    unpriced_turns: int = figure(
        "unpriced_turns", "{turn}", "Turns that used a model whose price is not known."
    )
    currency: str = "USD"

    @classmethod
    def read(cls, row: dict[str, Any]) -> Cost:
        """The cost of a row of figures of turns."""
        priced = row.get("priced_turns", 0)
        return cls(
            amount=row["sum_cost"] if priced else None,
            priced_turns=priced,
            unpriced_turns=row.get("unpriced_turns", 0),
        )


def exact_mean(billionths: int | None, count: int | None) -> float | None:
    """The mean of values that were summed as whole billionths.

    Example:
        >>> exact_mean(3_000_000_000, 2)
        1.5
    """
    return None if billionths is None or not count else billionths / count / SCALE
