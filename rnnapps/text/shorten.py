"""Shortens texts that are too long for the network, by dropping their middle."""

import keras
import tensorflow as tf

from rnnapps.text.tokenizer import PADDING


def shorten(tokens: tf.Tensor, lengths: tf.Tensor, max_length: int) -> tf.Tensor:
    """Shortens rows to `max_length` tokens by dropping the middle.

    Opinions are more often at the beginning or the end of a text.

    Args:
        tokens: Ids or strings `(batch, time)`, padded on the right.
        lengths: int32 number of tokens per row `(batch,)`.
        max_length: Maximum number of tokens to keep.

    Returns:
        `(batch, min(time, max_length))`.
    """
    time = tf.minimum(tf.shape(tokens)[1], max_length)
    static = None if tokens.shape[1] is None else min(tokens.shape[1], max_length)
    place = tf.range(time if static is None else static)[None, :]  # (1, time)
    skipped = tf.maximum(lengths - max_length, 0)[:, None]  # (batch, 1)
    source = tf.where(place < (max_length + 1) // 2, place, place + skipped)  # (batch, time)
    return tf.gather(tokens, source, batch_dims=1)


@keras.saving.register_keras_serializable("rnnapps")
class Shorten(keras.layers.Layer):
    """`shorten` as a layer, for ids.

    Args:
        max_length: Maximum number of tokens to keep.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        ids: int32 ids `(batch, time)`, padded with 0.

    Output:
        int32 ids `(batch, min(time, max_length))`.
    """

    def __init__(self, max_length: int, **kwargs):
        super().__init__(**kwargs)
        self.max_length = max_length

    def call(self, ids):
        lengths = tf.reduce_sum(tf.cast(ids != PADDING, tf.int32), axis=1)
        return shorten(ids, lengths, self.max_length)

    def compute_output_spec(self, ids):
        time = None if ids.shape[1] is None else min(ids.shape[1], self.max_length)
        return keras.KerasTensor((ids.shape[0], time), dtype="int32")

    def get_config(self):
        return {**super().get_config(), "max_length": self.max_length}
