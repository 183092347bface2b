"""The tokenizers by name."""

import re
from collections.abc import Sequence

from rnnapps.text.character import CharacterTokenizer
from rnnapps.text.subword import SubwordTokenizer
from rnnapps.text.tokenizer import Tokenizer
from rnnapps.text.word import WordTokenizer

TOKENIZERS = {  # the classes by their `--tokenizer` names
    "word": WordTokenizer,
    "character": CharacterTokenizer,
    "subword": SubwordTokenizer,
}
# Thai, Japanese kana and Chinese characters: scripts without spaces between words.
_NO_SPACES = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]")


def make_tokenizer(
    kind: str, texts: Sequence[str], max_tokens: int, known: Sequence[str] = ()
) -> Tokenizer:
    """Creates a tokenizer and adapts it to texts.

    Args:
        kind: `"word"`, `"character"` or `"subword"`; or `"auto"`: characters if a fifth of the text
            is in a script without spaces, else words.
        texts: The training texts.
        max_tokens: Maximum vocabulary size.
        known: Another tokenizer's vocabulary, appended to the tokens of the texts.

    Returns:
        The adapted tokenizer, a layer named `tokenizer`.
    """
    if kind == "auto":
        kind = "character" if without_spaces(texts) else "word"
    tokenizer = TOKENIZERS[kind](max_tokens, name="tokenizer")
    tokenizer.adapt(texts)
    tokenizer.extend(known)
    return tokenizer


def without_spaces(texts: Sequence[str]) -> bool:
    """Whether a fifth of the texts is in a script without spaces between words."""
    sample = "".join(texts[:1000])
    return len(_NO_SPACES.findall(sample)) > 0.2 * max(1, len(sample))


def kind_of(tokenizer: Tokenizer) -> str:
    """The kind of a tokenizer.

    Args:
        tokenizer: The tokenizer.

    Returns:
        Its name in `make_tokenizer`.
    """
    return next(kind for kind, one in TOKENIZERS.items() if type(tokenizer) is one)
