"""The answer of `/api/v1/comparison`, as the API's description shows it."""

from __future__ import annotations

from typing import Final

from otel_chat.server.api.examples import WINDOW, shown
from otel_chat.server.figures.answers import TimeSpan
from otel_chat.server.questions.comparison import Compared, Comparison, Estimate, Group, SampleRatio

COMPARISON_ANSWER: Final = shown(
    Comparison(
        by="variant",
        confidence=0.95,
        a=Group(name="short-prompt", window=TimeSpan.of(WINDOW), conversations=10, turns=10),
        b=Group(name="long-prompt", window=TimeSpan.of(WINDOW), conversations=10, turns=10),
        sample_ratio=SampleRatio(
            planned=0.5, observed=0.5, a=10, b=10, p_value=1.0, mismatch=False
        ),
        rates=[
            Compared(
                figure="containment_ratio",
                better="higher",
                a=Estimate(value=0.8, low=0.4902, high=0.9433, count=10, numerator=8),
                b=Estimate(value=0.2, low=0.0567, high=0.5098, count=10, numerator=2),
                difference=0.6,
                difference_low=0.1619,
                difference_high=0.8027,
                verdict="better",
            )
        ],
        quantiles=[
            Compared(
                figure="response_time_p50",
                better="lower",
                a=Estimate(value=5.5, low=2.0, high=9.0, count=10),
                b=Estimate(value=15.5, low=12.0, high=19.0, count=10),
                difference=-10.0,
                difference_low=None,
                difference_high=None,
                verdict="better",
            )
        ],
        means=[
            Compared(
                figure="cost_per_turn",
                better="lower",
                a=Estimate(value=0.5, low=0.5, high=0.5, count=10),
                b=Estimate(value=2.0, low=1.623, high=2.377, count=10),
                difference=-1.5,
                difference_low=-1.877,
                difference_high=-1.123,
                verdict="better",
            )
        ],
    )
)
