"""Finds the FAQ article that answers a question: cosine of TF-IDF vectors."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

from otel_chat.demo.content import Article, articles

SOURCE: Final = "faq"
_LEAST: Final = 0.02


@dataclass(frozen=True, slots=True)
class Hit:
    """An article that was found.

    Args:
        article: The article.
        score: Its cosine with the question, 0-1.
    """

    article: Article
    score: float


class ArticleIndex:
    """An index of the shipped articles.

    Example:
        >>> article_index().find("what does delivery cost?").article.id
        'shipping-cost'
    """

    def __init__(self) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer

        self._articles = articles()
        self._vectorizer = TfidfVectorizer(
            analyzer="char_wb", ngram_range=(3, 5), sublinear_tf=True
        )
        self._matrix = self._vectorizer.fit_transform(
            [f"{a.topic} {a.title} {a.title} {a.text}" for a in self._articles]
        )

    def find(self, question: str, topic: str | None = None) -> Hit | None:
        """The article closest to the question.

        Args:
            question: The question as it was asked.
            topic: Look among the articles of this topic only.

        Returns:
            The article, or None where none has enough in common with the question.

        Example:
            >>> article_index().find("xyzzy") is None
            True
            >>> article_index().find("how do I oil the table?", topic="care").article.id
            'care-wood'
        """
        scores = (self._matrix @ self._vectorizer.transform([question]).T).toarray().ravel()
        hits = [
            Hit(article, float(score))
            for article, score in zip(self._articles, scores, strict=True)
            if score >= _LEAST and topic in (None, article.topic)
        ]
        return max(hits, key=lambda hit: hit.score, default=None)


@cache
def article_index() -> ArticleIndex:
    """The index, built once a process.

    Example:
        >>> article_index() is article_index()
        True
    """
    return ArticleIndex()
