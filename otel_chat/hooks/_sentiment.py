"""Sentiment of a message by VADER."""

from __future__ import annotations

from typing import Final

from otel_chat.errors import ConfigurationError

_THRESHOLD: Final = 0.05
_MAX_TEXT: Final = 2_000


class SentimentAnalyser:
    """Tells the sentiment of English text, from VADER's lexicon and rules (extra `hooks`).

    VADER (Hutto and Gilbert 2014) was made for short informal messages and needs no model. Its
    compound score is cut where its authors cut it: from 0.05 positive, up to -0.05 negative. Only
    the first 2,000 characters are read, and of other languages it knows nothing: pass a function
    of your own for those.

    Raises:
        ConfigurationError: The extra `hooks` is not installed.

    Example:
        >>> sentiment = SentimentAnalyser()
        >>> sentiment("Great, thank you!"), sentiment("This is awful."), sentiment("At eight.")
        ('positive', 'negative', 'neutral')
    """

    __slots__ = ("_analyser",)

    def __init__(self) -> None:
        try:
            from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer
        except ImportError as error:
            raise ConfigurationError(
                "sentiment analysis needs the extra 'hooks': pip install 'otel-chat[hooks]'"
            ) from error
        self._analyser = SentimentIntensityAnalyzer()

    def __call__(self, text: str) -> str:
        """`positive`, `neutral` or `negative`."""
        score: float = self._analyser.polarity_scores(text[:_MAX_TEXT])["compound"]
        if score >= _THRESHOLD:
            return "positive"
        return "negative" if score <= -_THRESHOLD else "neutral"
