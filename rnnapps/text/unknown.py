"""Warns about tokens outside the vocabulary."""

import warnings
from collections.abc import Sequence

import tensorflow as tf

from rnnapps.text.tokenizer import UNKNOWN, Tokenizer, utf8

_SHOWN = 10


def warn_of_unknown(tokenizer: Tokenizer, texts: Sequence[str | bytes] | tf.Tensor) -> None:
    """Warns about tokens outside the vocabulary.

    Args:
        tokenizer: The tokenizer.
        texts: The texts.
    """
    if not len(texts):
        return
    if not isinstance(texts, tf.Tensor):
        texts = tf.constant([utf8(text) for text in texts])
    ids, tokens = tokenizer.ids(texts), tokenizer.tokens(texts)
    strange = tf.boolean_mask(tokens.flat_values, ids.flat_values == UNKNOWN).numpy()
    if b"<unk>" in strange:  # unknown subwords have no text: look up characters
        letters = dict.fromkeys(b"".join(texts.numpy()).decode("utf-8", "replace"))
        rows = tokenizer.ids(tf.constant(list(letters))).to_list()
        strange = [
            one.encode() for one, row in zip(letters, rows, strict=True) if UNKNOWN in row
        ] or strange
    unknown = [repr(one.decode("utf-8", "replace")) for one in dict.fromkeys(strange)]
    if unknown:
        shown = ", ".join(unknown[:_SHOWN]) + (", ..." if len(unknown) > _SHOWN else "")
        said = f"never seen in training, and read as unknown: {shown}"
        warnings.warn(said, stacklevel=4)
