"""Words, numbers, punctuation marks and emoji as tokens."""

import keras
import tensorflow as tf

from rnnapps.text.tokenizer import Tokenizer

# A token is a run of letters, marks, digits and inner apostrophes, or any other visible character
# by itself. All that needs spaces: the end of a word with apostrophes, and those characters. To
# match whole words, too, takes five times as long.
_MARK = r"([\p{L}\p{M}\p{N}_](?:['’]\p{L}+)+)|([^\p{L}\p{M}\p{N}_\s])"
# A token with one preceding space, or any other white space by itself: covers the whole text.
_PIECE = r"( ?[\p{L}\p{M}\p{N}_]+(?:['’]\p{L}+)*| ?[^\s]|\s)"
_CUT = b"\xff"  # a byte that never occurs in UTF-8


@keras.saving.register_keras_serializable("rnnapps")
class WordTokenizer(Tokenizer):
    """Splits a text into words; punctuation marks and emoji are separate tokens.

    For scripts with spaces between words. See `Tokenizer` for the arguments. With `verbatim=True`
    a word includes the space before it, and other white space is a token.

    Example:
    >>> tokenizer = WordTokenizer()
    >>> tokenizer.adapt(["Not bad, not bad at all!"])
    >>> tokenizer(tf.constant(["bad, not awful"]))
    <tf.Tensor: shape=(1, 4), dtype=int32, numpy=array([[2, 5, 3, 1]], dtype=int32)>
    """

    def split(self, texts: tf.Tensor) -> tf.RaggedTensor:
        if not self.verbatim:
            return tf.strings.split(tf.strings.regex_replace(texts, _MARK, r"\1 \2 "))
        pieces = tf.strings.regex_replace(texts, _PIECE, rb"\1" + _CUT)
        pieces = tf.strings.split(pieces, _CUT)  # (batch, time), the last of each row empty
        return tf.ragged.boolean_mask(pieces, pieces != "")

    def join(self, tokens: tf.RaggedTensor) -> tf.Tensor:
        return tf.strings.reduce_join(tokens, axis=-1, separator="" if self.verbatim else " ")
