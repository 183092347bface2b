"""From pairs of texts to the ids to learn from."""

import sys

import tensorflow as tf

from rnnapps.apps.translation.config import TranslationConfig
from rnnapps.data import Pairs, clean_pairs
from rnnapps.errors import DataError
from rnnapps.text import CharacterTokenizer, SubwordTokenizer, Tokenizer, WordTokenizer

_WHOLE = {"word": WordTokenizer, "character": CharacterTokenizer}
_CHARACTERS = 1_000  # of the texts, that there have to be for each piece of a word


def make_tokenizers(pairs: Pairs, config: TranslationConfig) -> tuple[Tokenizer, Tokenizer]:
    """Makes the tokenizers of both sides, and adapts them.

    Args:
        pairs: The training pairs.
        config: The configuration.

    Returns:
        The tokenizers of the texts and of their translations; with a joint vocabulary the same.
    """
    if config.vocabulary == "joint":
        return (_make(pairs.sources + pairs.targets, "tokenizer", config),) * 2
    sides = ((pairs.sources, "source_tokenizer"), (pairs.targets, "target_tokenizer"))
    return tuple(_make(*side, config) for side in sides)


def _make(texts: list[str], name: str, config: TranslationConfig) -> Tokenizer:
    size, options = config.max_tokens, {"lower": config.lowercase, "tidy": True, "name": name}
    if config.tokenizer in _WHOLE:  # verbatim, so that tokens give the text's spaces back
        tokenizer = _WHOLE[config.tokenizer](size, verbatim=True, **options)
    else:  # few texts have few pieces that are seen often
        text = "".join(texts)
        size = min(size, max(len(text) // _CHARACTERS, len(set(text)) + 100))
        if size < config.max_tokens and "max_tokens" in config.model_fields_set:
            print(
                f"{name}: {size:,} subwords instead of --max-tokens {config.max_tokens:,}, for "
                f"which {len(text):,} characters are too few",
                file=sys.stderr,
            )
        tokenizer = SubwordTokenizer(size, algorithm=config.tokenizer, **options)
    tokenizer.adapt(texts)
    return tokenizer


def encode(
    pairs: Pairs,
    tokenizers: tuple[Tokenizer, Tokenizer],
    config: TranslationConfig,
    part: str = "",
) -> tuple[tuple[tf.RaggedTensor, tf.RaggedTensor], dict[str, int]]:
    """Turns pairs into ids, leaves out those from which nothing can be learned, and says how many.

    Args:
        pairs: The pairs.
        tokenizers: The tokenizers of both sides.
        config: Its `max_length` and `max_ratio` are read.
        part: What the pairs are called in what is printed.

    Returns:
        The ids of both sides, ragged `(pairs, time)`; and the counts of `data.clean_pairs`.

    Raises:
        DataError: If no pair is left.
    """
    texts = (pairs.sources, pairs.targets)
    ids = [one.encode(side) for one, side in zip(tokenizers, texts, strict=True)]
    kept, found = clean_pairs(*ids, config.max_length, config.max_ratio)
    said, out = f"{part}pairs: {found['pairs']:,}", found["pairs"] - len(kept)
    if out:
        said += (
            f", of which {out:,} left out ({found['empty']:,} with an empty side, "
            f"{found['long']:,} of over {config.max_length} tokens, {found['uneven']:,} with one "
            f"side over {config.max_ratio:g} times as long)"
        )
    print(said, file=sys.stderr)
    if not len(kept):
        raise DataError(
            f"Expected {part}pairs to learn from. Received: {found['pairs']:,}, all left out; see "
            "--max-length and --max-ratio."
        )
    return tuple(tf.gather(side, kept) for side in ids), found
