"""The tokenizer: byte-pair encoding, trained on the shipped texts.

`data/tokenizer.json` is what `train()` yields; a test trains it anew and compares. Every text can
be counted, as unknown characters fall back to bytes.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from otel_chat.demo import content

VOCABULARY: Final = 1200
_FILE: Final = "tokenizer.json"


def train() -> str:
    """Trains the tokenizer on phrases, articles and reply templates.

    Returns:
        The tokenizer as JSON, the same on every run.

    Example:
        >>> train() == content.read("tokenizer.json")
        True
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        min_frequency=2,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_corpus(), trainer)
    return f"{tokenizer.to_str(pretty=True)}\n"


def _corpus() -> list[str]:
    return [
        *(phrase for said in content.phrases().values() for phrase in said),
        *(part for article in content.articles() for part in (article.title, article.text)),
        *content.replies().values(),
    ]


@cache
def _tokenizer() -> Any:
    from tokenizers import Tokenizer

    return Tokenizer.from_str(content.read(_FILE))


def count_tokens(*texts: str) -> int:
    """The number of tokens of the texts together.

    Args:
        texts: Any texts, in any language.

    Example:
        >>> count_tokens("where is my order?") < count_tokens("où est ma commande ?")
        True
        >>> count_tokens()
        0
    """
    tokenizer = _tokenizer()
    return sum(len(tokenizer.encode(text).ids) for text in texts)
