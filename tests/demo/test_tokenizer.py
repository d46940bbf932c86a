from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from otel_chat.demo import content
from otel_chat.demo.tokenizer import VOCABULARY, _tokenizer, count_tokens, train


def test_training_yields_the_shipped_tokenizer() -> None:
    """The file in the package is what training on the shipped texts gives."""
    assert train() == content.read("tokenizer.json")
    assert _tokenizer().get_vocab_size() == VOCABULARY


@given(st.text())
def test_any_text_can_be_counted_and_read_back(text: str) -> None:
    """Tokens of any text stand for that text, byte for byte."""
    ids = _tokenizer().encode(text).ids
    assert _tokenizer().decode(ids) == text
    assert count_tokens(text) == len(ids) <= len(text.encode())


@given(st.lists(st.text(max_size=20), max_size=5))
def test_counts_of_several_texts_add_up(texts: list[str]) -> None:
    """Several texts have as many tokens as each of them by itself together."""
    assert count_tokens(*texts) == sum(map(count_tokens, texts))
