"""Batches of tagged sentences: a row for each token that differs, looked up as batches are made."""

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from rnnapps.data.batching import BatchesByLength

NO_TAG = -1  # where there is no token, or none whose tag is known


class Forms(NamedTuple):
    """What a network sees of each token that differs. The first row is of no token.

    Args:
        ids: int32 `(forms,)`.
        characters: int32 `(forms, characters)`; `None` where the network sees none.
        affixes: int32 `(forms, affixes)`; `None` where the network sees none.
    """

    ids: tf.Tensor
    characters: tf.Tensor | None
    affixes: tf.Tensor | None = None


class TaggedBatches(BatchesByLength):
    """Sentences with tags: `(inputs, tags, weights)` of each batch. See `BatchesByLength`.

    The inputs are ids `(batch, time)`, and as far as there are such, characters `(batch, time,
    characters)`, affixes `(batch, time, affixes)` and pairs `(batch, time)`.

    Args:
        tokens: int32 rows of `forms`, ragged `(sentences, time)`.
        tags: int32 tags, ragged `(sentences, time)`.
        forms: What the network sees of each.
        batch_size: Rows of a batch.
        boundaries: See `BatchesByLength`.
        seed: Seed of the order.
        pairs: int32 ids of each token and the one behind it, ragged `(sentences, time)`.
    """

    def __init__(
        self,
        tokens: tf.RaggedTensor,
        tags: tf.RaggedTensor,
        forms: Forms,
        batch_size: int,
        boundaries: Sequence[int] = (),
        seed: int = 0,
        pairs: tf.RaggedTensor | None = None,
    ):
        super().__init__(tokens.row_lengths(), batch_size, boundaries, seed)
        self.tokens, self.tags, self.forms, self.pairs = tokens, tags, forms, pairs

    def _batch(self, indices: tf.Tensor) -> tuple:
        rows, real = tf.maximum(indices, 0), (indices >= 0)[:, None]
        tokens = self._pad(tf.where(real, tf.gather(self.tokens, rows).to_tensor(), 0))
        tags = tf.where(real, tf.gather(self.tags, rows).to_tensor(NO_TAG), NO_TAG)
        missing = tf.shape(tokens)[1] - tf.shape(tags)[1]
        tags = tf.pad(tags, [[0, 0], [0, missing]], constant_values=NO_TAG)
        inputs = [tf.gather(self.forms.ids, tokens)]  # (batch, time)
        if self.forms.characters is not None:
            characters = tf.gather(self.forms.characters, tokens)  # (batch, time, characters)
            if not self.boundaries:
                used = tf.reduce_any(characters != 0, axis=(0, 1))
                characters = characters[
                    :, :, : tf.maximum(1, tf.reduce_sum(tf.cast(used, tf.int32)))
                ]
            inputs.append(characters)
        if self.forms.affixes is not None:
            inputs.append(tf.gather(self.forms.affixes, tokens))
        if self.pairs is not None:
            inputs.append(self._pad(tf.where(real, tf.gather(self.pairs, rows).to_tensor(), 0)))
        tags = tf.ensure_shape(tags, (self.batch_size, None))
        fed = tuple(inputs) if len(inputs) > 1 else inputs[0]
        return fed, tags, tf.cast(indices >= 0, tf.float32)
