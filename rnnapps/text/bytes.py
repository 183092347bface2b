"""Bytes as tokens."""

from collections.abc import Iterable

import keras
import tensorflow as tf

from rnnapps.text.tokenizer import Tokenizer


@keras.saving.register_keras_serializable("rnnapps")
class ByteTokenizer(Tokenizer):
    """Splits a text, or any file, into bytes: a vocabulary of 256 without unknown tokens.

    The id of a byte is its value plus 2.

    Args:
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        texts: String tensor `(batch,)` of any bytes.

    Output:
        int32 ids `(batch, time)`, padded with 0 on the right; time is at least 1.
    """

    def __init__(self, **kwargs):
        super().__init__(max_tokens=258, lower=False, verbatim=True, **kwargs)

    @property
    def vocabulary(self) -> list[bytes]:
        return [b"", b"[UNK]", *(bytes([value]) for value in range(256))]

    @property
    def vocabulary_size(self) -> int:
        return 258

    def adapt(self, texts: Iterable[str | bytes]) -> None:
        """Does nothing: the vocabulary is fixed."""

    def clean(self, texts: tf.Tensor) -> tf.Tensor:
        return texts

    def split(self, texts: tf.Tensor) -> tf.RaggedTensor:
        return tf.strings.bytes_split(texts)

    def ids(self, texts: tf.Tensor) -> tf.RaggedTensor:
        def values(tokens):
            return 2 + tf.cast(tf.reshape(tf.io.decode_raw(tokens, tf.uint8), (-1,)), tf.int32)

        return tf.ragged.map_flat_values(values, self.tokens(texts))

    def join(self, tokens: tf.RaggedTensor) -> tf.Tensor:
        return tf.strings.reduce_join(tokens, axis=-1)

    def save_assets(self, dir_path: str) -> None:
        """Does nothing: there are no assets."""

    def load_assets(self, dir_path: str) -> None:
        """Does nothing: there are no assets."""

    def get_config(self):
        return {"name": self.name}


def whole_characters(pending: tf.Tensor, token: tf.Tensor) -> tuple:
    """Buffers the bytes of a UTF-8 character until it is complete.

    Invalid bytes are returned as U+FFFD as soon as they are known to be invalid.

    Args:
        pending: int32 ids of the buffered bytes `(batch, 3)`, left-padded with 0.
        token: int32 ids of the next bytes `(batch,)`.

    Returns:
        The completed text `(batch,)`, often empty, and the new buffer.
    """
    byte = token - 2  # (batch,)
    goes_on = (byte >= 0x80) & (byte < 0xC0)
    lead = tf.gather(
        tf.concat([pending, token[:, None]], 1) - 2,
        3 - tf.math.count_nonzero(pending, 1, dtype=tf.int32) * tf.cast(goes_on, tf.int32),
        batch_dims=1,
    )  # the first byte of this byte's character
    size = tf.where(lead < 0xC2, 1, tf.where(lead < 0xE0, 2, tf.where(lead < 0xF0, 3, 4)))
    size = tf.where(lead > 0xF4, 1, size)
    broken = tf.where(goes_on[:, None], 0, pending)  # a new character begins too early
    held = tf.where(goes_on[:, None], pending, 0)
    count = 1 + tf.math.count_nonzero(held, 1, dtype=tf.int32)
    whole = (count >= size)[:, None]
    held = tf.concat([held, token[:, None]], 1)  # (batch, 4)
    given = tf.concat([broken, tf.where(whole, held, 0)], 1)  # (batch, 7)
    tokenizer = ByteTokenizer()
    return as_utf8(tokenizer.detokenize(given)), tf.where(whole, 0, held[:, 1:])


def as_utf8(texts: tf.Tensor) -> tf.Tensor:
    """Replaces invalid UTF-8 by U+FFFD.

    Args:
        texts: Strings of any bytes.

    Returns:
        Strings of the same shape.
    """
    return tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8", errors="replace")
