"""Characters as tokens."""

import keras
import tensorflow as tf

from rnnapps.text.tokenizer import Tokenizer


@keras.saving.register_keras_serializable("rnnapps")
class CharacterTokenizer(Tokenizer):
    """Splits a text into Unicode characters: for Chinese, Japanese, Thai, or any other script.

    See `Tokenizer` for the arguments.
    """

    def split(self, texts: tf.Tensor) -> tf.RaggedTensor:
        return tf.strings.unicode_split(texts, "UTF-8")

    def join(self, tokens: tf.RaggedTensor) -> tf.Tensor:
        return tf.strings.reduce_join(tokens, axis=-1)
