"""Bytes as tokens."""

from collections.abc import Sequence

import keras
import tensorflow as tf

from rnnapps.text.tokenizer import Tokenizer


@keras.saving.register_keras_serializable("rnnapps")
class ByteTokenizer(Tokenizer):
    """Cuts a text into its bytes: any file at all, with a vocabulary of 256 and none unknown.

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

    def adapt(self, texts: Sequence[str | bytes]) -> None:
        """Has nothing to learn."""

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
        """Has nothing to save."""

    def load_assets(self, dir_path: str) -> None:
        """Has nothing to load."""

    def get_config(self):
        return {"name": self.name}
