"""Topics of a message by a table of keywords."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from otel_chat.errors import ConfigurationError


class TopicDetector:
    """Finds topics by their keywords: whole words or phrases, in any case.

    A keyword that ends in `*` stands for every word that begins so. The topic with the most hits
    comes first, at a tie the one that stands first in the table.

    Args:
        topics: Keywords by topic.

    Raises:
        ConfigurationError: The table is empty, or a topic has no keywords or an empty one.

    Example:
        >>> topics = TopicDetector({"billing": ["invoice*", "refund"], "delivery": ["parcel"]})
        >>> topics("Where is my parcel? The invoices came, so REFUND me.")
        ('billing', 'delivery')
        >>> topics("Refundable hello")
        ()
    """

    __slots__ = ("_patterns",)

    def __init__(self, topics: Mapping[str, Iterable[str]]) -> None:
        if not topics:
            raise ConfigurationError("topics: the table is empty; give keywords by topic")
        self._patterns = tuple((topic, _compile(topic, words)) for topic, words in topics.items())

    def __call__(self, text: str) -> tuple[str, ...]:
        """The topics of `text`, the strongest first."""
        hits = [
            (-len(pattern.findall(text)), place, topic)
            for place, (topic, pattern) in enumerate(self._patterns)
        ]
        return tuple(topic for count, _, topic in sorted(hits) if count)


def _compile(topic: str, keywords: Iterable[str]) -> re.Pattern[str]:
    words = [keywords] if isinstance(keywords, str) else list(keywords)
    if not words or not all(isinstance(word, str) and word.strip(" *") for word in words):
        raise ConfigurationError(f"topics: {topic!r} has no keywords, or an empty one")
    parts = [
        r"\s{1,8}".join(re.escape(part) for part in word.rstrip("*").split())
        + ("" if word.endswith("*") else r"(?!\w)")
        for word in sorted(words, key=len, reverse=True)
    ]
    return re.compile(rf"(?<!\w)(?:{'|'.join(parts)})", re.IGNORECASE)
